"""HTTP requests to one registry: a handle a thread, tries, redirects; no secret in any message."""

import json
import random
import threading
import weakref
from contextlib import suppress
from typing import Any, Final
from urllib.parse import SplitResult, urljoin, urlsplit

from cellbank.model.errors import (
    BadAnswer,
    BadInput,
    CellbankError,
    Forbidden,
    Interrupted,
    NetworkError,
    NotSignedIn,
    PackageNotFound,
    Unreachable,
    from_wire,
)
from cellbank.storage.http_exchange import OK, Answer, Exchange, Line, Request, Trouble

MAX_REDIRECTS: Final = 5
MAX_TRIES: Final = 5
FIRST_PAUSE = 0.2
MAX_WAIT: Final = 20.0

_PORTS: Final = {"http": 80, "https": 443}
_MOVED: Final = (301, 302, 307, 308)
_MOVED_WITH_BODY: Final = (307, 308)
_SIGN_IN, _FORBIDDEN, _BUSY, _BROKEN = 401, 403, 429, 500


def normal_address(address: str) -> str:
    """Return the address of a registry as it is compared and shown, else raise `BadInput`."""
    try:
        parts = urlsplit(address)
    except ValueError:
        parts = urlsplit("")
    try:
        port = parts.port
    except ValueError:
        port = -1
    if parts.scheme not in _PORTS or not parts.hostname or port == -1 or parts.query:
        raise BadInput(
            "that is not the address of a registry", "Write https://host or http://host."
        )
    if parts.username is not None or parts.password is not None:
        raise BadInput("an address must not hold a password", "Sign in: cellbank login URL")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    shown = "" if port is None or port == _PORTS[parts.scheme] else f":{port}"
    return f"{parts.scheme}://{host}{shown}{parts.path.rstrip('/')}"


class Tries:
    """Counts the failures of one piece of work, and waits between them."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self._weight = 0
        self._count = 0

    def again(self, trouble: Trouble) -> None:
        """Return after a while, or raise the error when there were enough tries."""
        self._weight += trouble.weight
        self._count += 1
        if self._weight >= MAX_TRIES:
            raise trouble.error
        pause = FIRST_PAUSE * 2**self._count * random.uniform(0.5, 1.0)  # noqa: S311  no secret
        if self._stop.wait(min(max(pause, trouble.after), MAX_WAIT)):
            raise Interrupted

    def progressed(self) -> None:
        """Forget the failures so far: the work came forward."""
        self._weight = self._count = 0


class HttpClient:
    """Requests to one registry.

    Invariant: the token goes to the host it was given for and to no other, and never from https
    to http.

    Parameters
    ----------
    address
        The address of the registry.
    token
        What to sign in with; empty for nobody.
    timeout
        Seconds after which a connection on which nothing moves is given up.
    """

    def __init__(self, address: str, token: str, timeout: float) -> None:
        self.address = normal_address(address)
        self._base = self.address
        self.stop = threading.Event()
        self._line = Line(self.address, token, timeout, self.stop)
        self._local = threading.local()
        # A handle goes with the thread that it was for, and its connections with it.
        self._handles: weakref.WeakSet[Any] = weakref.WeakSet()

    def close(self) -> None:
        """Let go of all connections; no request may be under way."""
        if not self._handles:
            return
        import pycurl

        for handle in list(self._handles):
            # A thread that was told to stop may still be in it: then it goes with the thread.
            with suppress(pycurl.error):
                handle.close()
        self._handles.clear()
        self._local = threading.local()

    def send(self, request: Request) -> Answer:
        """Return the answer; a failure that may pass is tried again.

        Raises `CellbankError`: what the registry said, or why there was no good answer.
        """
        tries = Tries(self.stop)
        while True:
            try:
                return self.once(request)
            except Trouble as trouble:
                tries.again(trouble)

    def once(self, request: Request) -> Answer:
        """Return the answer; raises `Trouble` where another try may help."""
        url = self._base + request.path
        for _ in range(MAX_REDIRECTS):
            exchange = Exchange(self._line, request, url)
            exchange.perform(self._handle())
            head = exchange.head
            if head.status in (_MOVED if request.method == "GET" else _MOVED_WITH_BODY):
                exchange.take_back()
                url = self._moved(url, head.headers.get("location", ""))
                continue
            if head.status in OK or head.status in request.accept:
                return Answer(head, exchange.body if request.sink is None else b"")
            exchange.take_back()
            self._refuse(Answer(head, exchange.body))
        raise BadAnswer(self.address, "it sends us from one address to the next")

    def _moved(self, url: str, location: str) -> str:
        target = followed(url, location)
        if target is None:
            host = urlsplit(urljoin(url, location)).hostname or "nowhere"
            raise BadAnswer(self.address, f"it sends us elsewhere, to {host}")
        old, new = urlsplit(url), urlsplit(target)
        if new.scheme != old.scheme and new.path == old.path:
            self._base = new._replace(path=urlsplit(self._base).path, query="").geturl()
        return target

    def _refuse(self, answer: Answer) -> None:
        """Raise what a refusal says, as `Trouble` where another try may help."""
        head = answer.head
        error = self._error(answer)
        passing = head.status >= _BROKEN and isinstance(error, NetworkError)
        if head.status == _BUSY or passing:
            after = head.headers.get("retry-after", "")
            raise Trouble(error, after=float(after) if after.isdigit() else 0.0)
        raise error

    def _error(self, answer: Answer) -> CellbankError:
        status = answer.head.status
        fallback: CellbankError = BadAnswer(self.address, f"it answers {status}")
        if status == _SIGN_IN:
            fallback = NotSignedIn(self.address)
        elif status == _FORBIDDEN:
            fallback = Forbidden(self.address, "do this")
        elif status == _BUSY or status >= _BROKEN:
            fallback = Unreachable(self.address, f"it is in trouble now and answers {status}")
        try:
            found = from_wire(json.loads(answer.body), fallback)
        except (ValueError, RecursionError):
            return fallback
        if isinstance(found, PackageNotFound) and not self._line.token:
            # What is private looks so to who does not say who he is.
            found.advice += f". If it is private, sign in: cellbank login {self.address}"
        return fallback if type(found) is CellbankError else found

    def _handle(self) -> Any:
        handle = getattr(self._local, "handle", None)
        if handle is None:
            import pycurl

            handle = self._local.handle = pycurl.Curl()
            self._handles.add(handle)
        return handle


def followed(url: str, location: str) -> str | None:
    """Return where a redirect leads, or None where we do not follow it.

    We follow it to the same host and port, and on the same host from http to https.
    """
    try:
        old, new = urlsplit(url), urlsplit(urljoin(url, location))
        same = (old.scheme, old.hostname, _port(old)) == (new.scheme, new.hostname, _port(new))
    except ValueError:
        return None
    upgraded = (old.scheme, new.scheme) == ("http", "https") and old.hostname == new.hostname
    if new.username is not None or not (same or upgraded):
        return None
    return new.geturl()


def _port(parts: SplitResult) -> int | None:
    return parts.port or _PORTS.get(parts.scheme)
