"""Servers that misbehave: one that says what a test tells it, and one that drops real answers."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final
from urllib.parse import urlsplit

import msgspec

from cellbank.model.digest import digest_of
from cellbank.storage.http_remote import HttpRemote
from tests.storage.making import LARGE, PACKAGE

STALL: Final = "stall"
"""In place of bytes: keep the connection open and say nothing."""


class Ask(msgspec.Struct, frozen=True):
    """A request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    head: bytes
    body: bytes


Script = Callable[[Ask], Iterator[bytes | str]]


def answer(
    body: bytes = b"", *, status: int = 200, length: int | None = None, **headers: str
) -> bytes:
    """Return the bytes of an answer."""
    size = len(body) if length is None else length
    lines = [f"HTTP/1.1 {status} x", f"content-length: {size}", "connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def read_ask(connection: socket.socket) -> Ask | None:
    """Read one request from a connection; None where it ends before."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65536)
        if not more:
            return None
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    method, path, _ = first.split(" ")
    headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
    while len(body) < int(headers.get("content-length", 0)):
        more = connection.recv(1 << 20)
        if not more:
            return None
        body += more
    return Ask(method, path, headers, head, body)


class Listener:
    """A server on loopback that handles every connection in a thread."""

    def __init__(self, handle: Callable[[socket.socket], None]) -> None:
        self._handle = handle
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self.over = threading.Event()
        self._threads: list[threading.Thread] = []
        self._start(self._accept)

    def _start(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args)
        thread.start()
        self._threads.append(thread)

    def _accept(self) -> None:
        while True:
            connection, _ = self._socket.accept()
            if self.over.is_set():
                connection.close()
                return
            self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            try:
                self._handle(connection)
            except OSError:
                return

    def close(self) -> None:
        """End all connections that wait, and stop."""
        self.over.set()
        with socket.create_connection(self._socket.getsockname()):
            pass
        for thread in self._threads:
            thread.join(10)
        self._socket.close()


class Liar(Listener):
    """A server that answers as its script says, and remembers what it was asked."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self.asks: list[Ask] = []
        super().__init__(self._answer)

    def _answer(self, connection: socket.socket) -> None:
        ask = read_ask(connection)
        if ask is None:
            return
        self.asks.append(ask)
        for piece in self._script(ask):
            if isinstance(piece, str):
                self.over.wait(20)
                return
            connection.sendall(piece)


@contextmanager
def lying(script: Script) -> Iterator[Liar]:
    """Run a server that answers as `script` says."""
    server = Liar(script)
    try:
        yield server
    finally:
        server.close()


Rule = Callable[[Ask], str]
"""What becomes of a request: `pass`, `lose the answer`, `cut the answer`, `cut the body`."""


@contextmanager
def between(url: str, rule: Rule, count: Callable[[int], None] | None = None) -> Iterator[str]:
    """Run a proxy before a real registry that loses what `rule` says; yield its address.

    `count` hears of the bytes of every answer.
    """
    target = urlsplit(url)

    def handle(connection: socket.socket) -> None:
        ask = read_ask(connection)
        if ask is None:
            return
        what = rule(ask)
        head = ask.head.replace(b"\r\nConnection:", b"\r\nX-Connection:")
        with socket.create_connection((target.hostname, target.port)) as real:
            body = ask.body[: len(ask.body) // 2] if what == "cut the body" else ask.body
            real.sendall(head + b"\r\nConnection: close\r\n\r\n" + body)
            if what == "cut the body":
                real.shutdown(socket.SHUT_WR)
            back = b""
            while more := real.recv(1 << 20):
                back += more
        if count is not None:
            count(len(back))
        if what == "pass":
            connection.sendall(back)
        elif what == "cut the answer":
            connection.sendall(back[: len(back) // 2])

    server = Listener(handle)
    try:
        yield server.url
    finally:
        server.close()


# --- scripts

TOKEN = "cbk_secret-that-must-not-be-shown"  # noqa: S105  of nobody
DIGEST = digest_of(LARGE)
HTML = answer(b"<html>Please sign in</html>", content_type="text/html")


def remote_at(server: Liar, timeout: float = 1) -> HttpRemote:
    """The liar as a remote, with little patience."""
    return HttpRemote(server.url, TOKEN, timeout)


def always(*pieces: bytes | str) -> Script:
    """Say the same whatever is asked."""
    return lambda _: iter(pieces)


def fetched(remote: HttpRemote, start: int = 0) -> bytes:
    """What comes of the large object from a byte on."""
    found = bytearray()
    remote.fetch_object(PACKAGE, DIGEST, start, found.extend)
    return bytes(found)


def stretch_of(ask: Ask) -> tuple[int, int]:
    """The stretch of an object that a request wants: from and to before."""
    first, _, last = ask.headers["range"].removeprefix("bytes=").partition("-")
    return int(first), int(last) + 1


def stretch(start: int, stop: int, data: bytes = LARGE) -> bytes:
    """An honest answer to a range with an end."""
    said = f"bytes {start}-{stop - 1}/{len(data)}"
    return answer(data[start:stop], status=206, content_range=said)


def start_of(ask: Ask) -> int:
    """The byte from which a request wants an object."""
    said = ask.headers.get("range", "bytes=0-")
    return int(said.removeprefix("bytes=").rstrip("-"))


def ranged(start: int, data: bytes = LARGE, *, told: int | None = None) -> bytes:
    """An honest answer to a range, but for what is told in its head."""
    at = start if told is None else told
    said = f"bytes {at}-{len(data) - 1}/{len(data)}"
    return answer(data[start:], status=206, content_range=said)
