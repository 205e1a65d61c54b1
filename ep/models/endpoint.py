"""A language model asked over the network: any server with OpenAI's chat completions. It sees text,
never weights.

The key lives in memory, goes into one header, and appears in no message, file or address. Answers
are bounded in size and time, and are what a stranger says: whoever uses them must treat them so.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from email.message import Message
from http.client import HTTPException
from ipaddress import IPv4Address, IPv6Address, ip_address
from socket import getaddrinfo
from threading import Event, Thread
from typing import Any, NoReturn
from urllib.error import HTTPError, URLError
from urllib.parse import SplitResult, urljoin, urlsplit
from urllib.request import HTTPRedirectHandler, OpenerDirector, ProxyHandler, Request, build_opener

from ep.errors import RequestError, ServiceError

SUFFIX = "/chat/completions"
MOST_BYTES = 2**20
AGAIN = (408, 429, 500, 502, 503, 504, 529)
"""HTTP statuses after which the same request may succeed a little later."""
LONGEST_WAIT_S = 30.0
ALLOWED = "EP_ENDPOINTS"
"""Environment variable of the person who runs the app: hosts that may be asked, with commas
between, or "none".
"""


def _nothing() -> None:
    """Called while waiting; may raise to stop."""


@dataclass(frozen=True)
class Endpoint:
    """Where a model answers. RequestError, on making it, when address, model or key cannot be
    right.

    url: http or https, up to and including "/v1", or the whole address of its chat completions.
    key: sent as a bearer token; empty where none is needed.
    timeout: seconds for one request and its answer, all told; tries: requests before giving up;
    pause: seconds before the second try, doubled before each further one.
    """

    url: str
    model: str
    key: str = field(default="", repr=False)
    timeout: float = 60.0
    tries: int = 3
    pause: float = 1.0

    def __post_init__(self) -> None:
        parts = _address(self.url)
        path = parts.path.rstrip("/")
        path = path if path.endswith(SUFFIX) else path + SUFFIX
        object.__setattr__(self, "url", parts._replace(path=path).geturl())
        if not self.model.strip() or len(self.model) > 150 or not self.model.isprintable():
            raise RequestError("the model's name is missing: give the one the server knows it by")
        if not (self.key.isascii() and self.key.isprintable()) or " " in self.key.strip():
            raise RequestError("the key holds characters no key has: copy it again")

    @property
    def host(self) -> str:
        """Host and port, as given."""
        return urlsplit(self.url).netloc

    @property
    def source(self) -> str:
        """What labels made by it are signed with: "model:NAME@HOST"."""
        return f"model:{self.model.strip()}@{self.host}"

    def ask(
        self,
        messages: Sequence[Mapping[str, str]],
        most_tokens: int = 200,
        pulse: Callable[[], None] = _nothing,
    ) -> str:
        """The model's answer to a conversation, at temperature 0.

        pulse: called several times a second while waiting; what it raises ends the wait and the
        request is let go. RequestError when the server refuses address, model or key; ServiceError
        when it does not answer well.
        """
        body = {
            "model": self.model.strip(),
            "messages": list(messages),
            "max_tokens": most_tokens,
            "temperature": 0,
        }
        for attempt in range(1, self.tries + 1):
            try:
                return _content(self._once(json.dumps(body).encode(), pulse))
            except _TryAgain as error:
                if attempt == self.tries:
                    raise ServiceError(
                        f"{self.host} {error}, after {self.tries} tries: try again later"
                    ) from None
                _sleep(min(LONGEST_WAIT_S, error.after or self.pause * 2 ** (attempt - 1)), pulse)
        raise AssertionError("unreachable: at least one try")

    def _once(self, body: bytes, pulse: Callable[[], None]) -> bytes:
        """One request in a thread of its own, so that waiting can be stopped and its whole length
        bounded.
        """
        done, outcome = Event(), Future[bytes]()

        def work() -> None:
            try:
                outcome.set_result(self._exchange(body))
            except BaseException as error:  # whatever it is, it belongs to the one who waits
                outcome.set_exception(error)
            finally:
                done.set()

        Thread(target=work, name="endpoint", daemon=True).start()
        _sleep(self.timeout, pulse, done)
        if not done.is_set():
            raise self._late()
        return outcome.result()

    def _exchange(self, body: bytes) -> bytes:
        headers = {
            "Content-Type": "application/json",
            "Accept": "application/json",
            "User-Agent": "ep-explorer",
        }
        if self.key.strip():
            headers["Authorization"] = f"Bearer {self.key.strip()}"
        request = Request(self.url, body, headers, method="POST")
        try:
            with _opener(self.url).open(request, timeout=self.timeout) as answer:
                data: bytes = answer.read(MOST_BYTES + 1)
        except HTTPError as error:
            with error:
                self._refused(error)
        except TimeoutError:
            raise self._late() from None
        except URLError as error:
            if isinstance(error.reason, TimeoutError):
                raise self._late() from None
            raise _TryAgain(f"cannot be reached ({_reason(error.reason)})") from None
        except (OSError, ValueError, HTTPException) as error:
            raise _TryAgain(f"broke off ({_reason(error)})") from None
        if len(data) > MOST_BYTES:
            raise ServiceError(
                f"{self.host} answered with more than {MOST_BYTES >> 20} MB: that is no label"
            )
        return data

    def _late(self) -> _TryAgain:
        return _TryAgain(f"did not answer in {self.timeout:g} s")

    def _refused(self, error: HTTPError) -> NoReturn:
        status = error.code
        if status in AGAIN:
            raise _TryAgain(
                f"is busy or failing ({status})", _seconds(error.headers.get("Retry-After"))
            )
        said = self._said(error)
        if status in (401, 403):
            raise RequestError(
                f"{self.host} refused the key ({status}{said}): give a key that may use this model"
            )
        if status in (404, 405):
            raise RequestError(
                f"{self.host} knows no such address or model ({status}{said}): check both"
            )
        raise RequestError(f"{self.host} refused the request ({status}{said})")

    def _said(self, error: HTTPError) -> str:
        """The server's own reason, cut, on one line, and without the key should it repeat it."""
        try:
            found = json.loads(error.read(20_000))
            text = found["error"]["message"] if isinstance(found["error"], dict) else found["error"]
        except (OSError, ValueError, LookupError, TypeError, RecursionError):
            return ""
        text = " ".join(str(text).split())
        if key := self.key.strip():
            text = text.replace(key, "…")
        return f": {text[:160]}" if text else ""


class _TryAgain(Exception):
    """A failure that may pass. after: seconds the server asks to wait, or None."""

    def __init__(self, what: str, after: float | None = None) -> None:
        super().__init__(what)
        self.after = after


def _address(url: str) -> SplitResult:
    """The parts of a usable address. RequestError says what is wrong with another."""
    url = url.strip()
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host, parts = None, urlsplit("")
    if (
        parts.scheme not in ("http", "https")
        or not host
        or not url.isprintable()
        or " " in url
        or len(url) > 2000
    ):
        raise RequestError(
            "that is no address of a server: it should look like http://localhost:11434/v1"
        )
    if parts.username is not None or parts.password is not None:
        raise RequestError("the address holds a name or a key: give the key in its own place")
    allowed = [h.strip().lower() for h in os.environ.get(ALLOWED, "").split(",") if h.strip()]
    if allowed and host.lower() not in allowed:
        raise RequestError(
            f"this server may not ask {host}: whoever runs it allows {', '.join(allowed)}"
        )
    return parts._replace(fragment="")


def _opener(url: str) -> OpenerDirector:
    """An opener that goes straight to this machine itself, and never to an address only machines
    use.
    """
    host = urlsplit(url).hostname or ""
    try:
        addresses = {_number(str(found[4][0])) for found in getaddrinfo(host, None)}
    except (OSError, UnicodeError):
        addresses = set()  # a name only a proxy knows
    if any(address.is_link_local or address.is_multicast for address in addresses):
        raise RequestError(f"{host} is a link-local address: give the address of a model's server")
    local = any(address.is_loopback for address in addresses)
    return build_opener(_SameHost(), *([ProxyHandler({})] if local else []))


def _number(text: str) -> IPv4Address | IPv6Address:
    """An address as a number, the IPv4 one where an IPv6 one only wraps it."""
    address = ip_address(text.split("%")[0])
    return getattr(address, "ipv4_mapped", None) or address


class _SameHost(HTTPRedirectHandler):
    """Follows a redirect within the server that was asked, as the same POST; to another host it
    refuses.
    """

    def redirect_request(
        self, req: Request, fp: Any, code: int, msg: str, headers: Message, newurl: str
    ) -> Request | None:
        old, new = urlsplit(req.full_url), urlsplit(urljoin(req.full_url, newurl))
        secured = (old.scheme, new.scheme) == ("http", "https") and not old.port and not new.port
        if new.hostname != old.hostname or not (
            secured or (new.scheme, new.port) == (old.scheme, old.port)
        ):
            fp.close()
            raise RequestError(
                f"{old.netloc} sends on to {new.netloc[:80]}: give that address if you trust it"
            )
        return Request(newurl, req.data, dict(req.header_items()), method="POST")

    http_error_308 = HTTPRedirectHandler.http_error_302


def _content(data: bytes) -> str:
    """The text of the first choice; ServiceError when the answer is of another form."""
    try:
        content = json.loads(data)["choices"][0]["message"]["content"]
        if isinstance(content, list):
            content = "".join(part["text"] for part in content if part.get("type") == "text")
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        content = None
    if not isinstance(content, str):
        raise ServiceError("the answer is no chat completion: check that the address ends in /v1")
    return content


def _sleep(seconds: float, pulse: Callable[[], None], until: Event | None = None) -> None:
    """Waits, calling `pulse` several times a second; ends early when `until` is set."""
    until, deadline = until or Event(), time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        pulse()
        if until.wait(min(0.2, left)):
            return


def _seconds(text: str | None) -> float | None:
    return float(text) if text and text.isascii() and text.isdigit() and len(text) < 6 else None


def _reason(error: Any) -> str:
    """Why the connection failed, in a few words."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(text).split())[:100]
