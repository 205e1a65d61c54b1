"""A language model behind a network API: any server with OpenAI's chat completions.

The API key stays in memory, is sent in one header, and appears in no message, file or address.
Answers are bounded in size and time. They are untrusted input, and callers must treat them so.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Collection, Mapping, Sequence
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
from ep.public import is_public

SUFFIX = "/chat/completions"
MOST_BYTES = 2**20
"""Largest size of an answer."""
AGAIN = (408, 429, 500, 502, 503, 504, 529)
"""HTTP statuses after which the same request may succeed a little later."""
LONGEST_WAIT_S = 30.0
"""Longest pause between two tries, also when the server asks for more."""
ALLOWED = "EP_ENDPOINTS"
"""Environment variable, set by the person who runs the app, that restricts the servers.

It lists the allowed host names, separated by commas; "none" allows no host. Without it all hosts
are allowed, and none on a public server.
"""


def _nothing() -> None:
    """Do nothing: the default callback while waiting."""


@dataclass(frozen=True)
class Endpoint:
    """The address, model name and key of a chat-completions server.

    url: http or https address up to and including "/v1", or the full address of the chat
        completions.
    model: the name by which the server knows the model.
    key: sent as a bearer token; empty where none is needed.
    timeout: seconds allowed for one request including its answer.
    tries: number of requests before giving up.
    pause: seconds before the second try, doubled before each further one.
    inside: whether the address may be of this machine or of its private network, which strangers
        must not reach through a page. Hosts listed in EP_ENDPOINTS may be so in any case.

    The constructor raises RequestError for an address, model name or key that is invalid.
    """

    url: str
    model: str
    key: str = field(default="", repr=False)
    timeout: float = 60.0
    tries: int = 3
    pause: float = 1.0
    inside: bool = True

    def __post_init__(self) -> None:
        parts = _address(self.url)
        path = parts.path.rstrip("/")
        path = path if path.endswith(SUFFIX) else path + SUFFIX
        object.__setattr__(self, "url", parts._replace(path=path).geturl())
        if not self.model.strip() or len(self.model) > 150 or not self.model.isprintable():
            raise RequestError(
                "the model's name is missing or invalid: give the name that the server uses for it"
            )
        if not (self.key.isascii() and self.key.isprintable()) or " " in self.key.strip():
            raise RequestError("the key contains characters that no key has: copy it again")

    @property
    def host(self) -> str:
        """Host and port, as they were given."""
        return urlsplit(self.url).netloc

    @property
    def source(self) -> str:
        """The source of labels made by this model: "model:NAME@HOST"."""
        return f"model:{self.model.strip()}@{self.host}"

    def ask(
        self,
        messages: Sequence[Mapping[str, str]],
        most_tokens: int = 200,
        pulse: Callable[[], None] = _nothing,
    ) -> str:
        """Return the model's answer to a conversation, at temperature 0.

        messages: the conversation, each message with "role" and "content".
        most_tokens: length limit of the answer.
        pulse: called several times a second while waiting; an exception it raises ends the wait and
            abandons the request.

        Raises RequestError when the server refuses the address, the model or the key, and
        ServiceError when it does not answer properly.
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
        """Send one request in its own thread and wait for it, `timeout` seconds at most.

        The thread makes the wait interruptible and bounds its total length; the timeout of a socket
        bounds each single read only.
        """
        done, outcome = Event(), Future[bytes]()

        def work() -> None:
            try:
                outcome.set_result(self._exchange(body))
            except BaseException as error:  # raised again in the waiting thread
                outcome.set_exception(error)
            finally:
                done.set()

        Thread(target=work, name="endpoint", daemon=True).start()
        _sleep(self.timeout, pulse, done)
        if not done.is_set():
            raise self._late()
        return outcome.result()

    def _exchange(self, body: bytes) -> bytes:
        """Send the request and return the body of the answer; _TryAgain for what may pass."""
        headers = {
            "Content-Type": "application/json",
            "Accept": "application/json",
            "User-Agent": "ep-explorer",
        }
        if self.key.strip():
            headers["Authorization"] = f"Bearer {self.key.strip()}"
        request = Request(self.url, body, headers, method="POST")
        try:
            with _opener(self.url, self.inside).open(request, timeout=self.timeout) as response:
                data: bytes = response.read(MOST_BYTES + 1)
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
            raise _TryAgain(f"sent no valid answer ({_reason(error)})") from None
        if len(data) > MOST_BYTES:
            raise ServiceError(
                f"{self.host} answered with more than {MOST_BYTES >> 20} MB: expected a short text"
            )
        return data

    def _late(self) -> _TryAgain:
        return _TryAgain(f"did not answer in {self.timeout:g} s")

    def _refused(self, error: HTTPError) -> NoReturn:
        """Raise the error that an HTTP status stands for."""
        status = error.code
        if status in AGAIN:
            raise _TryAgain(
                f"is busy or failing ({status})", _seconds(error.headers.get("Retry-After"))
            )
        detail = self._detail(error)
        if status in (401, 403):
            raise RequestError(
                f"{self.host} refused the key ({status}{detail}): give one that may use this model"
            )
        if status in (404, 405):
            raise RequestError(
                f"{self.host} does not know this address or model ({status}{detail}): check both"
            )
        raise RequestError(f"{self.host} refused the request ({status}{detail})")

    def _detail(self, error: HTTPError) -> str:
        """Return the server's own explanation on one line, shortened, without the key."""
        try:
            body = json.loads(error.read(20_000))
            text = body["error"]["message"] if isinstance(body["error"], dict) else body["error"]
        except (OSError, ValueError, LookupError, TypeError, RecursionError):
            return ""
        text = " ".join(str(text).split())
        if key := self.key.strip():
            text = text.replace(key, "…")
        return f": {text[:160]}" if text else ""


class _TryAgain(Exception):
    """A failure that may pass.

    after: seconds to wait that the server requests, or None.
    """

    def __init__(self, message: str, after: float | None = None) -> None:
        super().__init__(message)
        self.after = after


def _address(url: str) -> SplitResult:
    """Return the parts of a usable address; RequestError explains what is wrong with another."""
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
            "that is not the address of a server: expected one like http://localhost:11434/v1"
        )
    if parts.username is not None or parts.password is not None:
        raise RequestError("the address contains a user name or a key: give the key separately")
    allowed = _allowed()
    if (allowed or is_public()) and host.lower() not in allowed:
        raise RequestError(
            f"requests to {host} are not allowed here; allowed hosts: "
            f"{', '.join(allowed) or 'none'}"
        )
    return parts._replace(fragment="")


def _allowed() -> list[str]:
    """Return the hosts of the variable EP_ENDPOINTS, in lower case; empty where it is not set."""
    return [h.strip().lower() for h in os.environ.get(ALLOWED, "").split(",") if h.strip()]


def _opener(url: str, inside: bool) -> OpenerDirector:
    """Return a URL opener that bypasses the proxy for this machine itself.

    Raises RequestError for link-local and multicast addresses, where cloud metadata services live,
    and without `inside` for all addresses that are not public.
    """
    host = urlsplit(url).hostname or ""
    try:
        addresses = {_number(str(entry[4][0])) for entry in getaddrinfo(host, None)}
    except (OSError, UnicodeError):
        addresses = set()  # perhaps a name that only a proxy can resolve
    if any(address.is_link_local or address.is_multicast for address in addresses):
        raise RequestError(f"{host} is a link-local address: give the address of a model server")
    if not (inside or host.lower() in _allowed()):
        _refuse_inside(host, addresses)
    local = any(address.is_loopback for address in addresses)
    return build_opener(_SameHost(), *([ProxyHandler({})] if local else []))


def _refuse_inside(host: str, addresses: Collection[IPv4Address | IPv6Address]) -> None:
    """Raise RequestError unless all addresses of a host are public."""
    if any(not address.is_global for address in addresses):
        raise RequestError(
            f"{host} is this machine or one of its private network: confirm that you mean it"
        )


def _number(text: str) -> IPv4Address | IPv6Address:
    """Return an IP address as an object; an IPv4 address wrapped in IPv6 is unwrapped."""
    address = ip_address(text.split("%")[0])
    return getattr(address, "ipv4_mapped", None) or address


class _SameHost(HTTPRedirectHandler):
    """Redirect handler that follows redirects within one server, with the same POST request.

    Redirects to another host are refused, since the request carries the key.
    """

    def redirect_request(
        self, req: Request, fp: Any, code: int, msg: str, headers: Message, newurl: str
    ) -> Request | None:
        """Return the redirected request; RequestError where it leaves the server."""
        old, new = urlsplit(req.full_url), urlsplit(urljoin(req.full_url, newurl))
        secured = (old.scheme, new.scheme) == ("http", "https") and not old.port and not new.port
        if new.hostname != old.hostname or not (
            secured or (new.scheme, new.port) == (old.scheme, old.port)
        ):
            fp.close()
            raise RequestError(
                f"{old.netloc} redirects to {new.netloc[:80]}: give that address if you trust it"
            )
        return Request(newurl, req.data, dict(req.header_items()), method="POST")

    http_error_308 = HTTPRedirectHandler.http_error_302


def _content(data: bytes) -> str:
    """Return the text of the first choice; ServiceError for an answer of another form."""
    try:
        content = json.loads(data)["choices"][0]["message"]["content"]
        if isinstance(content, list):
            content = "".join(part["text"] for part in content if part.get("type") == "text")
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        content = None
    if not isinstance(content, str):
        raise ServiceError(
            "the answer is not a chat completion: check that the address ends in /v1"
        )
    return content


def _sleep(seconds: float, pulse: Callable[[], None], until: Event | None = None) -> None:
    """Wait, calling `pulse` several times a second; end early when `until` is set."""
    until, deadline = until or Event(), time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        pulse()
        if until.wait(min(0.2, left)):
            return


def _seconds(text: str | None) -> float | None:
    """Parse the Retry-After header: whole seconds, or None for anything else."""
    return float(text) if text and text.isascii() and text.isdigit() and len(text) < 6 else None


def _reason(error: Any) -> str:
    """Return why a connection failed, in a few words."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(text).split())[:100]
