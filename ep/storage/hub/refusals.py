"""Turns the errors of huggingface_hub and of the network into errors of this package.

Each message is one line: what was requested, what went wrong, what to do. Errors are told apart by
their types and status codes, not by the wording of their messages.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from ep.errors import EPError, RequestError, ServiceError, StorageError

LOG_IN = "log in with `hf auth login`, or set HF_TOKEN"
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def refusals(target: str) -> Iterator[None]:
    """Convert the errors that huggingface_hub raises in the block.

    target: the repository or file that is requested; messages begin with it.

    Raises RequestError when it does not exist or access is denied, ServiceError when the Hub or the
    connection fails, and StorageError for errors of the disk.
    """
    from httpx2 import TransportError

    try:
        yield
    except EPError:
        raise
    except RuntimeError as error:  # an error in a thread of an upload is its cause
        if isinstance(error.__cause__, (OSError, TransportError)):
            raise _converted(target, error.__cause__) from error
        raise
    except (OSError, TransportError, ValueError) as error:
        raise _converted(target, error) from error


def _converted(target: str, error: Exception) -> EPError:
    """The error of this package for one of huggingface_hub, the network or the disk."""
    from httpx2 import TimeoutException, TransportError
    from huggingface_hub import errors as hub

    if isinstance(error, hub.OfflineModeIsEnabled):
        return ServiceError(
            f"{target} was not requested: the Hub is switched off here (HF_HUB_OFFLINE); unset it "
            "and try again"
        )
    if isinstance(error, hub.LocalTokenNotFoundError):
        return RequestError(f"{target} needs a Hub token and there is none here: {LOG_IN}")
    if isinstance(error, hub.HfHubHTTPError):
        return _http_error(target, error)
    if isinstance(error, hub.HFValidationError):
        return RequestError(f"{target} is not the name of a repository: expected OWNER/REPO")
    if isinstance(error, TimeoutException):
        return ServiceError(
            f"{target}: the Hub did not answer in time; try again, the download continues"
        )
    if isinstance(error, TransportError):
        return ServiceError(
            f"{target}: the Hub cannot be reached; check the connection and try again"
        )
    if isinstance(error, OSError) and error.errno in FULL:
        return StorageError(
            f"{target}: the disk is full; free some space and try again, the download continues"
        )
    if isinstance(error, OSError):
        return StorageError(f"{target}: {error.strerror or 'a file could not be read or written'}")
    return ServiceError(
        f"{target}: the server that answered is not a Hub; check HF_ENDPOINT and any proxy"
    )


def _http_error(target: str, error: Exception) -> EPError:
    """The error of this package for an error that the Hub answered with."""
    from huggingface_hub import errors as hub

    if isinstance(error, hub.GatedRepoError):
        return RequestError(
            f"{target} is gated: ask for access on its page on the Hub, then {LOG_IN}"
        )
    if isinstance(error, hub.RepositoryNotFoundError):
        if _has_token():
            return RequestError(
                f"{target}: there is no such dataset on the Hub, or your token has no right to it"
            )
        return _unknown_or_private(target)
    if isinstance(error, hub.RevisionNotFoundError):
        return RequestError(
            f"{target}: the repository has no such revision; give a branch, a tag or a full commit"
        )
    if isinstance(error, hub.EntryNotFoundError):
        return RequestError(f"{target}: the repository has no such file at this revision")
    if isinstance(error, hub.DisabledRepoError):
        return RequestError(f"{target}: the Hub has disabled this repository")
    assert isinstance(error, hub.HfHubHTTPError)
    return _status(
        target, error.response.status_code, error.response.headers.get("Retry-After", "")
    )


def _status(target: str, status: int, retry_after: str) -> EPError:
    """The error of this package for an HTTP status; `retry_after` is the header of that name."""
    if status == 401 and not _has_token():
        return _unknown_or_private(target)
    if status == 401:
        return RequestError(f"{target}: the Hub does not accept your token; {LOG_IN} again")
    if status == 403:
        return RequestError(
            f"{target}: your token has no right to do that; use one that has, or ask the owner"
        )
    if status == 404:
        return RequestError(f"{target} is not on the Hub")
    if status == 429:
        wait = f"wait {retry_after} s" if retry_after.isdigit() else "wait a few minutes"
        return ServiceError(
            f"{target}: the Hub has received too many requests; {wait} and try again"
        )
    if status >= 500:
        return ServiceError(f"{target}: the Hub had an internal error ({status}); try again later")
    return RequestError(f"{target}: the Hub refused the request (status {status})")


def _unknown_or_private(target: str) -> RequestError:
    return RequestError(
        f"{target}: there is no such dataset on the Hub, or it is private: then {LOG_IN}"
    )


def _has_token() -> bool:
    from huggingface_hub import get_token

    return get_token() is not None
