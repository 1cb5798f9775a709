"""HTTP through libcurl: one handle a thread, all answers bounded, no secret in any message."""

import json
import os
import random
import threading
from collections.abc import Callable, Collection
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

import msgspec

from cellbank.model.errors import (
    BadAnswer,
    BadInput,
    CellbankError,
    Forbidden,
    Interrupted,
    NetworkError,
    NotSignedIn,
    Unreachable,
    from_wire,
)

CONNECT_SECONDS: Final = 10
RECEIVE_BYTES: Final = 512 << 10
SEND_BYTES: Final = 2 << 20
MAX_REDIRECTS: Final = 5
MAX_TRIES: Final = 5
MAX_QUICK_TRIES: Final = 3
MAX_WAIT: Final = 20.0
SLOWEST: Final = 64
"""Fewer bytes a second than this, for the whole of the time limit, are a stall."""

_PORTS: Final = {"http": 80, "https": 443}
_OK: Final = range(200, 300)
_BUSY: Final = 429
_BROKEN: Final = 500


class Head(msgspec.Struct, frozen=True):
    """What stands before the body of an answer."""

    status: int
    headers: dict[str, str]


class Answer(msgspec.Struct, frozen=True):
    """An answer with all of its body."""

    head: Head
    body: bytes


class Trouble(Exception):
    """A failure that may pass: try again, or raise `error`."""

    def __init__(self, error: CellbankError, *, quick: bool = False, after: float = 0.0) -> None:
        super().__init__(str(error))
        self.error = error
        self.quick = quick
        self.after = after


class FilePart(msgspec.Struct, frozen=True):
    """A part of a file to send; `progress` hears of every byte that is handed over."""

    path: str
    start: int
    length: int
    progress: Callable[[int], None]


class Request(msgspec.Struct, frozen=True):
    """One request.

    `sink` takes the body of a good answer piece by piece; without it the body is collected, and
    may have `limit` bytes. Answers whose status is in `accept` are returned, not raised.
    """

    method: str
    path: str
    body: bytes | FilePart | None = None
    headers: tuple[str, ...] = ()
    limit: int = 1 << 20
    sink: Callable[[Head, bytes], None] | None = None
    accept: Collection[int] = ()
    patience: float = 1.0


def normal_address(address: str) -> str:
    """Return the address of a registry as it is compared and shown, else raise `BadInput`."""
    parts = urlsplit(address)
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
        self._count = 0

    def again(self, trouble: Trouble) -> None:
        """Return after a while, or raise the error when there were enough tries."""
        self._count += 1
        if self._count >= (MAX_QUICK_TRIES if trouble.quick else MAX_TRIES):
            raise trouble.error
        pause = 0.2 * 2 ** (self._count - 1 if trouble.quick else self._count)
        wait = max(pause * random.uniform(0.5, 1.0), trouble.after)  # noqa: S311  no secret
        if self._stop.wait(min(wait, MAX_WAIT)):
            raise Interrupted

    def progressed(self) -> None:
        """Forget the failures so far: the work came forward."""
        self._count = 0


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
        self._token = token
        self._timeout = timeout
        self._local = threading.local()
        self._handles: list[Any] = []
        self.stop = threading.Event()

    def close(self) -> None:
        """Let go of all connections; no request may be under way."""
        for handle in self._handles:
            handle.close()
        self._handles = []
        self._local = threading.local()

    def send(self, request: Request) -> Answer:
        """Return the answer; a failure that may pass is tried again.

        Raises
        ------
        CellbankError
            What the registry said, or why there was no good answer.
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
            exchange = _Exchange(self, request, url)
            exchange.perform(self._handle(), self._token, self._timeout)
            target = exchange.redirect()
            if target is None:
                return exchange.answer()
            url = self._checked_target(url, target)
        raise BadAnswer(self.address, "it sends us from one address to the next")

    def _checked_target(self, url: str, target: str) -> str:
        old, new = urlsplit(url), urlsplit(urljoin(url, target))
        same = (old.scheme, old.hostname, _port(old)) == (new.scheme, new.hostname, _port(new))
        upgraded = (old.scheme, new.scheme) == ("http", "https") and old.hostname == new.hostname
        if not same and not upgraded:
            raise BadAnswer(self.address, f"it sends us elsewhere, to {new.hostname or 'nowhere'}")
        if upgraded and new.path == old.path:
            self._base = new._replace(path=urlsplit(self._base).path, query="").geturl()
        return new.geturl()

    def _handle(self) -> Any:
        handle = getattr(self._local, "handle", None)
        if handle is None:
            import pycurl

            handle = self._local.handle = pycurl.Curl()
            self._handles.append(handle)
        return handle


def _port(parts: Any) -> int | None:
    return parts.port or _PORTS.get(parts.scheme)


class _Exchange:
    """One request and its answer on one handle."""

    def __init__(self, client: HttpClient, request: Request, url: str) -> None:
        self._client = client
        self._request = request
        self._url = url
        self._status = 0
        self._headers: dict[str, str] = {}
        self._head: Head | None = None
        self._body = bytearray()
        self._raised: BaseException | None = None
        self._file = -1
        self._sent = 0

    # --- what libcurl calls; an exception must not go through it, so it is kept for later

    def _on_header(self, line: bytes) -> int:
        text = line.decode("latin-1").strip()
        if text.startswith("HTTP/"):
            status = text.partition(" ")[2][:3]
            self._status = int(status) if status.isdigit() else 0
            self._headers = {}
        elif ":" in text:
            name, _, value = text.partition(":")
            self._headers[name.strip().lower()] = value.strip()
        return len(line)

    def _on_body(self, chunk: bytes) -> int:
        try:
            if self._head is None:
                self._head = Head(self._status, self._headers)
                coding = self._headers.get("content-encoding", "identity")
                if coding != "identity":
                    raise BadAnswer(self._client.address, f"its answer is coded as {coding[:20]}")
            if self._request.sink is not None and self._status in _OK:
                self._request.sink(self._head, chunk)
            else:
                self._body += chunk
                limit = self._request.limit if self._status in _OK else 1 << 20
                if len(self._body) > limit:
                    raise BadAnswer(self._client.address, "its answer is too long")
        except BaseException as error:  # noqa: BLE001  also Ctrl-C
            self._raised = error
            return -1
        return len(chunk)

    def _on_read(self, size: int) -> bytes:
        part = self._request.body
        assert isinstance(part, FilePart)  # noqa: S101  set up only then
        try:
            want = min(size, part.length - self._sent)
            data = os.pread(self._file, want, part.start + self._sent)
            self._sent += len(data)
            part.progress(len(data))
        except BaseException as error:  # noqa: BLE001  also Ctrl-C
            self._raised = error
            return b""
        return data

    def _on_progress(self, *_: float) -> int:
        return 1 if self._client.stop.is_set() or self._raised is not None else 0

    # --- carrying it out

    def perform(self, handle: Any, token: str, timeout: float) -> None:
        """Send the request and take the answer; raises `Trouble` if the connection fails."""
        if self._client.stop.is_set():
            raise Interrupted
        self._set_up(handle, token, timeout)
        import pycurl

        failure: tuple[int, str] | None = None
        try:
            handle.perform()
        except pycurl.error as error:
            failure = (int(error.args[0]), str(error.args[1]))
        except BaseException as error:  # noqa: BLE001  Ctrl-C between two callbacks
            self._raised = self._raised or error
        finally:
            if self._file >= 0:
                os.close(self._file)
        if self._raised is not None:
            self._take_back()
            raise self._raised
        if failure is not None and not self._answered_early(failure[0]):
            self._take_back()
            self._raise_for(*failure)

    def _take_back(self) -> None:
        """Tell the watcher that what was handed over does not count."""
        if isinstance(self._request.body, FilePart):
            self._request.body.progress(-self._sent)

    def _set_up(self, handle: Any, token: str, timeout: float) -> None:
        import pycurl

        request = self._request
        handle.reset()
        headers = ["Expect:", *request.headers]
        if token:
            headers.append(f"Authorization: Bearer {token}")
        options: list[tuple[int, Any]] = [
            (pycurl.URL, self._url),
            (pycurl.NOSIGNAL, 1),
            (pycurl.TCP_NODELAY, 1),
            (pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS),
            (pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1),
            (pycurl.USERAGENT, "cellbank"),
            (pycurl.BUFFERSIZE, RECEIVE_BYTES),
            (pycurl.CONNECTTIMEOUT_MS, int(min(CONNECT_SECONDS, timeout) * 1000)),
            (pycurl.LOW_SPEED_LIMIT, SLOWEST),
            (pycurl.LOW_SPEED_TIME, max(int(timeout * request.patience), 1)),
            (pycurl.HEADERFUNCTION, self._on_header),
            (pycurl.WRITEFUNCTION, self._on_body),
            (pycurl.NOPROGRESS, 0),
            (pycurl.XFERINFOFUNCTION, self._on_progress),
        ]
        body = request.body
        if isinstance(body, FilePart):
            self._file = os.open(body.path, os.O_RDONLY | os.O_CLOEXEC)
            options += [
                (pycurl.UPLOAD, 1),
                (pycurl.UPLOAD_BUFFERSIZE, SEND_BYTES),
                (pycurl.INFILESIZE_LARGE, body.length),
                (pycurl.READFUNCTION, self._on_read),
            ]
        elif body is not None:
            headers.append("Content-Type: application/octet-stream")
            options += [(pycurl.POST, 1), (pycurl.POSTFIELDSIZE_LARGE, len(body))]
            options += [(pycurl.POSTFIELDS, body), (pycurl.UPLOAD_BUFFERSIZE, SEND_BYTES)]
        options += [(pycurl.CUSTOMREQUEST, request.method), (pycurl.HTTPHEADER, headers)]
        for option, value in options:
            handle.setopt(option, value)

    def _answered_early(self, code: int) -> bool:
        """Whether a refusal came before all was sent: then the refusal is what to tell."""
        import pycurl

        return code in (pycurl.E_SEND_ERROR, pycurl.E_RECV_ERROR) and self._status >= 400

    def _raise_for(self, code: int, message: str) -> None:
        import pycurl

        where = self._client.address
        if code == pycurl.E_ABORTED_BY_CALLBACK:
            raise Interrupted
        if code in (pycurl.E_COULDNT_CONNECT, pycurl.E_COULDNT_RESOLVE_HOST):
            raise Trouble(Unreachable(where, _reason(message)), quick=True)
        if code in (pycurl.E_FTP_WEIRD_SERVER_REPLY, pycurl.E_UNSUPPORTED_PROTOCOL):
            raise BadAnswer(where, "it does not speak HTTP")
        if code == pycurl.E_OPERATION_TIMEDOUT:
            raise Trouble(Unreachable(where, "nothing moves any more"))
        if code in (
            pycurl.E_PARTIAL_FILE,
            pycurl.E_GOT_NOTHING,
            pycurl.E_RECV_ERROR,
            pycurl.E_SEND_ERROR,
            pycurl.E_HTTP2,
        ):
            raise Trouble(Unreachable(where, "the connection broke off"))
        raise Unreachable(where, _reason(message))

    def redirect(self) -> str | None:
        """Return where the answer sends us, or None."""
        if self._status in (301, 302, 307, 308):
            location = self._headers.get("location", "")
            if self._request.method == "GET" or self._status in (307, 308):
                return location
        return None

    def answer(self) -> Answer:
        """Return the answer, or raise what it says."""
        head = Head(self._status, self._headers)
        body = bytes(self._body)
        if self._status in _OK or self._status in self._request.accept:
            return Answer(head, body)
        self._take_back()
        error = self._error(body)
        wait = self._status == _BUSY or (
            self._status >= _BROKEN and isinstance(error, NetworkError)
        )
        if wait:
            after = self._headers.get("retry-after", "")
            raise Trouble(error, after=float(after) if after.isdigit() else 0.0)
        raise error

    def _error(self, body: bytes) -> CellbankError:
        where = self._client.address
        fallback: CellbankError = BadAnswer(where, f"it answers {self._status}")
        if self._status == 401:
            fallback = NotSignedIn(where)
        elif self._status == 403:
            fallback = Forbidden(where, "do this")
        elif self._status == _BUSY or self._status >= _BROKEN:
            fallback = Unreachable(where, f"it is in trouble now and answers {self._status}")
        try:
            found = from_wire(json.loads(body), fallback)
        except (ValueError, RecursionError):
            return fallback
        if type(found) is CellbankError:
            return fallback
        return found


def _reason(message: str) -> str:
    """Return what libcurl says, in one line."""
    return (
        message.split(" after ", maxsplit=1)[0].split("\n", maxsplit=1)[0].strip()
        or "no connection"
    )
