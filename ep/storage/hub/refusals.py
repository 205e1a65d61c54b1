"""What the Hub and the network refuse, each as one line of ours: what was asked, what is wrong,
what to do.

Decided by the types and status codes of huggingface_hub, never by the wording of its messages.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from ep.errors import EPError, RequestError, ServiceError, StorageError

LOG_IN = "log in with `hf auth login`, or set HF_TOKEN"
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def refusals(what: str) -> Iterator[None]:
    """Turns whatever huggingface_hub raises inside into one of ours; `what` is the repository or
    file asked for.

    RequestError: there is no such thing, or no right to it. ServiceError: the Hub or the way to it
    failed.
    StorageError: the disk.
    """
    from httpx2 import TransportError

    try:
        yield
    except EPError:
        raise
    except RuntimeError as error:  # an upload's thread wraps what went wrong in it
        if isinstance(error.__cause__, (OSError, TransportError)):
            raise _said(what, error.__cause__) from error
        raise
    except (OSError, TransportError, ValueError) as error:
        raise _said(what, error) from error


def _said(what: str, error: Exception) -> EPError:
    from httpx2 import TimeoutException, TransportError
    from huggingface_hub import errors as hub

    if isinstance(error, hub.OfflineModeIsEnabled):
        return ServiceError(
            f"{what} was not asked for: the Hub is switched off here (HF_HUB_OFFLINE); unset it "
            "and try again"
        )
    if isinstance(error, hub.LocalTokenNotFoundError):
        return RequestError(f"{what} needs a Hub token and there is none here: {LOG_IN}")
    if isinstance(error, hub.HfHubHTTPError):
        return _answered(what, error)
    if isinstance(error, hub.HFValidationError):
        return RequestError(f"{what} is not a repository's name: expected OWNER/REPO")
    if isinstance(error, TimeoutException):
        return ServiceError(
            f"{what}: the Hub did not answer in time; try again, what was downloaded is kept"
        )
    if isinstance(error, TransportError):
        return ServiceError(
            f"{what}: the Hub cannot be reached; check the connection and try again"
        )
    if isinstance(error, OSError) and error.errno in FULL:
        return StorageError(
            f"{what}: the disk is full; free some space and try again, what was downloaded is kept"
        )
    if isinstance(error, OSError):
        return StorageError(f"{what}: {error.strerror or 'a file could not be read or written'}")
    return ServiceError(
        f"{what}: what answered is not a Hub; check HF_ENDPOINT, and whether a proxy is in between"
    )


def _answered(what: str, error: Exception) -> EPError:
    """The line for an answer of the Hub that is an error."""
    from huggingface_hub import errors as hub

    if isinstance(error, hub.GatedRepoError):
        return RequestError(
            f"{what} is gated: ask for access on its page on the Hub, then {LOG_IN}"
        )
    if isinstance(error, hub.RepositoryNotFoundError):
        own = "your token has no right to it" if _has_token() else f"it is private: then {LOG_IN}"
        return RequestError(f"{what}: there is no such dataset on the Hub, or {own}")
    if isinstance(error, hub.RevisionNotFoundError):
        return RequestError(
            f"{what}: the repository has no such revision; give a branch, a tag or a full commit"
        )
    if isinstance(error, hub.EntryNotFoundError):
        return RequestError(f"{what}: the repository has no such file at this revision")
    if isinstance(error, hub.DisabledRepoError):
        return RequestError(f"{what}: the Hub has disabled this repository")
    assert isinstance(error, hub.HfHubHTTPError)
    return _status(what, error.response.status_code, error.response.headers.get("Retry-After", ""))


def _status(what: str, status: int, retry_after: str) -> EPError:
    if status == 401 and not _has_token():
        return RequestError(
            f"{what}: there is no such dataset on the Hub, or it is private: then {LOG_IN}"
        )
    if status == 401:
        return RequestError(f"{what}: the Hub does not accept the token kept here; {LOG_IN} anew")
    if status == 403:
        return RequestError(
            f"{what}: this token has no right to do that; use one that has, or ask the owner"
        )
    if status == 404:
        return RequestError(f"{what} is not on the Hub")
    if status == 429:
        wait = f"wait {retry_after} s" if retry_after.isdigit() else "wait a few minutes"
        return ServiceError(
            f"{what}: the Hub limits how often it may be asked; {wait} and try again"
        )
    if status >= 500:
        return ServiceError(f"{what}: the Hub has an error of its own ({status}); try again later")
    return RequestError(f"{what}: the Hub refused ({status})")


def _has_token() -> bool:
    from huggingface_hub import get_token

    return get_token() is not None
