"""One request and its answer through libcurl: bounded in bytes and time."""

import os
import threading
import time
from collections.abc import Callable, Collection
from typing import Any, Final

import msgspec

from cellbank.model.errors import BadAnswer, CellbankError, Interrupted, Unreachable

CONNECT_SECONDS: Final = 10
RECEIVE_BYTES: Final = 512 << 10
SEND_BYTES: Final = 256 << 10
GATHER_BYTES: Final = 512 << 10
"""libcurl gives 16 KiB at a time: too little to write or to hash without much ado."""
SLOWEST: Final = 64
"""Fewer bytes a second than this, for as long as the time limit, are a stall."""
MAX_REFUSAL_BYTES: Final = 1 << 20
OK: Final = range(200, 300)


class Head(msgspec.Struct, frozen=True):
    """What stands before the body of an answer."""

    status: int
    headers: dict[str, str]


class Answer(msgspec.Struct, frozen=True):
    """An answer with all of its body."""

    head: Head
    body: bytes


class Trouble(Exception):
    """A failure that may pass: try again, or raise `error`.

    One that is not likely to pass, or that took long already, weighs more than one try.
    """

    def __init__(self, error: CellbankError, *, weight: int = 1, after: float = 0.0) -> None:
        super().__init__(str(error))
        self.error = error
        self.weight = weight
        self.after = after


class FilePart(msgspec.Struct, frozen=True):
    """A part of a file to send; `progress` hears of every byte that is handed over."""

    path: str
    start: int
    length: int
    progress: Callable[[int], None]


class Request(msgspec.Struct, frozen=True):
    """One request.

    `sink` takes the body of a good answer, in pieces that are valid until the next; without it the
    body is collected, and may have `limit` bytes. Answers whose status is in `accept` are returned,
    not raised. `patience` multiplies the time after which a still connection is given up.
    """

    method: str
    path: str
    body: bytes | FilePart | None = None
    headers: tuple[str, ...] = ()
    limit: int = 1 << 20
    sink: Callable[[Head, memoryview], None] | None = None
    accept: Collection[int] = ()
    patience: float = 1.0


class Line(msgspec.Struct, frozen=True):
    """What all exchanges of a client share."""

    address: str
    token: str
    timeout: float
    stop: threading.Event


class Exchange:
    """One request and its answer.

    Invariant: no exception goes through libcurl; it is kept, and raised when libcurl is done.
    """

    def __init__(self, line: Line, request: Request, url: str) -> None:
        self._line = line
        self._request = request
        self._url = url
        self._status = 0
        self._headers: dict[str, str] = {}
        self._head: Head | None = None
        self._body = bytearray()
        self._gathered = 0
        self._raised: BaseException | None = None
        self._file = -1
        self._sent = 0
        self._mark, self._marked = 0.0, time.monotonic()
        self._stalled = False

    @property
    def head(self) -> Head:
        """What stands before the body."""
        return Head(self._status, self._headers)

    @property
    def body(self) -> bytes:
        """The body, where it was collected."""
        return bytes(self._body)

    # --- what libcurl calls

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
                self._begin_body()
            if self._request.sink is not None and self._status in OK:
                self._gather(chunk)
            else:
                self._collect(chunk)
        except BaseException as error:  # noqa: BLE001  also Ctrl-C
            self._raised = error
            return -1
        return len(chunk)

    def _begin_body(self) -> None:
        self._head = self.head
        coding = self._headers.get("content-encoding", "identity")
        if coding != "identity":
            raise BadAnswer(self._line.address, f"its answer is coded as {coding[:20]}")
        if self._request.sink is not None and self._status in OK:
            self._body = bytearray(GATHER_BYTES)

    def _gather(self, chunk: bytes) -> None:
        if self._gathered + len(chunk) > len(self._body):
            self._give()
        if len(chunk) > len(self._body):
            self._body = bytearray(len(chunk))
        self._body[self._gathered : self._gathered + len(chunk)] = chunk
        self._gathered += len(chunk)

    def _give(self) -> None:
        """Give the sink what was gathered."""
        count, self._gathered = self._gathered, 0
        if count and self._request.sink is not None and self._head is not None:
            with memoryview(self._body) as view:
                self._request.sink(self._head, view[:count])

    def _collect(self, chunk: bytes) -> None:
        self._body += chunk
        limit = self._request.limit if self._status in OK else MAX_REFUSAL_BYTES
        if len(self._body) > limit:
            raise BadAnswer(self._line.address, "its answer is too long")

    def _on_read(self, size: int) -> bytes:
        part = self._request.body
        try:
            if not isinstance(part, FilePart):
                return b""
            want = min(size, part.length - self._sent)
            data = os.pread(self._file, want, part.start + self._sent)
            self._sent += len(data)
            part.progress(len(data))
        except BaseException as error:  # noqa: BLE001  also Ctrl-C
            self._raised = error
            return b""
        return data

    def _on_progress(self, _to_come: float, come: float, _to_go: float, gone: float) -> int:
        """Say whether to break off; asked about once a second, also when nothing moves."""
        # libcurl's own watch over slow connections takes 5 s longer to notice.
        now, limit = time.monotonic(), self._line.timeout * self._request.patience
        if come + gone - self._mark >= SLOWEST * limit:
            self._mark, self._marked = come + gone, now
        self._stalled = now - self._marked > limit
        return 1 if self._stalled or self._line.stop.is_set() or self._raised is not None else 0

    # --- carrying it out

    def perform(self, handle: Any) -> None:
        """Send the request and take the answer.

        Raises `Trouble`: the connection failed; another try may help.
        Raises `CellbankError`: it failed for good, or the sink raised.
        """
        import pycurl

        if self._line.stop.is_set():
            raise Interrupted
        self._set_up(handle)
        failure: tuple[int, str] | None = None
        try:
            handle.perform()
        except pycurl.error as error:
            facts: tuple[Any, ...] = error.args
            failure = (int(facts[0]), str(facts[1]))
        except BaseException as error:  # noqa: BLE001  Ctrl-C between two callbacks
            self._raised = self._raised or error
        finally:
            if self._file >= 0:
                os.close(self._file)
        if self._raised is None:
            # Also of an answer that broke off: what has come need not come again.
            self._give()
        if self._raised is not None:
            self.take_back()
            raise self._raised
        if failure is not None and not self._answered_early(failure[0]):
            self.take_back()
            self._raise_for(*failure)

    def take_back(self) -> None:
        """Tell the watcher that what was handed over does not count."""
        if isinstance(self._request.body, FilePart):
            self._request.body.progress(-self._sent)
            self._sent = 0

    def _set_up(self, handle: Any) -> None:
        import pycurl

        request, line = self._request, self._line
        handle.reset()
        headers = ["Expect:", *request.headers]
        if line.token:
            headers.append(f"Authorization: Bearer {line.token}")
        options: list[tuple[int, Any]] = [
            (pycurl.URL, self._url),
            (pycurl.NOSIGNAL, 1),
            (pycurl.TCP_NODELAY, 1),
            (pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS),
            (pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1),
            (pycurl.USERAGENT, "cellbank"),
            (pycurl.BUFFERSIZE, RECEIVE_BYTES),
            (pycurl.CONNECTTIMEOUT_MS, int(min(CONNECT_SECONDS, line.timeout) * 1000)),
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
            options += [
                (pycurl.POST, 1),
                (pycurl.POSTFIELDSIZE_LARGE, len(body)),
                (pycurl.POSTFIELDS, body),
            ]
        options += [(pycurl.CUSTOMREQUEST, request.method), (pycurl.HTTPHEADER, headers)]
        for option, value in options:
            handle.setopt(option, value)

    def _answered_early(self, code: int) -> bool:
        """Whether a refusal came before all was sent: then the refusal is what to tell."""
        import pycurl

        return code in (pycurl.E_SEND_ERROR, pycurl.E_RECV_ERROR) and self._status >= 400

    def _raise_for(self, code: int, message: str) -> None:
        import pycurl

        where = self._line.address
        if code == pycurl.E_ABORTED_BY_CALLBACK and not self._stalled:
            raise Interrupted
        if code in (pycurl.E_COULDNT_CONNECT, pycurl.E_COULDNT_RESOLVE_HOST):
            raise Trouble(Unreachable(where, _reason(message)), weight=2)
        if code in (pycurl.E_FTP_WEIRD_SERVER_REPLY, pycurl.E_UNSUPPORTED_PROTOCOL):
            raise BadAnswer(where, "it does not speak HTTP")
        if self._stalled or code == pycurl.E_OPERATION_TIMEDOUT:
            raise Trouble(Unreachable(where, "nothing moves any more"), weight=2)
        if code in (
            pycurl.E_PARTIAL_FILE,
            pycurl.E_GOT_NOTHING,
            pycurl.E_RECV_ERROR,
            pycurl.E_SEND_ERROR,
        ):
            raise Trouble(Unreachable(where, "the connection broke off"))
        raise Unreachable(where, _reason(message))


def _reason(message: str) -> str:
    """Return what libcurl says, in one line."""
    first = message.partition("\n")[0].partition(" after ")[0]
    return first.strip() or "no connection"
