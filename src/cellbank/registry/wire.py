"""What goes over the wire: bodies with limits, streams of packs, files, and errors."""

import asyncio
import contextlib
import errno
import json
import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any, Final, TypeVar

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from cellbank.model.errors import BadInput, CellbankError, DiskError, DiskFull, to_wire

CHUNK: Final = 1 << 20
GATHER: Final = 4 << 20
MAX_LENGTH_DIGITS: Final = 18
"""Bodies are handed to a thread in pieces of this size."""
STILL_SECONDS = 60.0
END: Final = bytes(8)
_FULL: Final = frozenset([errno.ENOSPC, errno.EDQUOT])

_T = TypeVar("_T")


async def in_thread(call: Callable[..., _T], *args: Any) -> _T:
    """Run what blocks where it does not hold up other requests."""
    return await asyncio.get_running_loop().run_in_executor(None, call, *args)


# --- bodies


def declared_length(request: Request) -> int | None:
    """Return the length that the request says its body has, or None; raises `BadInput`."""
    text = request.headers.get("content-length")
    if text is None:
        return None
    if not text.isdigit() or len(text) > MAX_LENGTH_DIGITS:
        raise BadInput("Content-Length is not a number")
    return int(text)


async def gathered(request: Request, limit: int) -> AsyncIterator[list[bytes]]:
    """Yield the body in lists of pieces of together a few MiB; raises `BadInput` beyond `limit`."""
    length = declared_length(request)
    if length is not None and length > limit:
        raise BadInput(f"the body is longer than {limit} bytes")
    chunks: list[bytes] = []
    held, total = 0, 0
    try:
        async for chunk in _in_time(request.stream()):
            held += len(chunk)
            total += len(chunk)
            if total > limit:
                raise BadInput(f"the body is longer than {limit} bytes")
            if chunk:
                chunks.append(chunk)
            if held >= GATHER:
                yield chunks
                chunks, held = [], 0
    except (ClientDisconnect, TimeoutError) as error:
        # What has come need not come again.
        if chunks:
            yield chunks
        if isinstance(error, TimeoutError):
            raise BadInput("the body does not come to an end", "Send it again.") from None
        raise
    if chunks:
        yield chunks


async def _in_time(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield the pieces of a body; raises TimeoutError when none comes for a minute."""
    while True:
        try:
            async with asyncio.timeout(STILL_SECONDS):
                chunk = await anext(chunks)
        except StopAsyncIteration:
            return
        yield chunk


async def drained(request: Request, limit: int) -> None:
    """Read what is left of a body: who is still sending might not see our answer."""
    with contextlib.suppress(ClientDisconnect, RuntimeError):
        async for chunk in request.stream():
            limit -= len(chunk)
            if limit < 0:
                return


async def whole_body(request: Request, limit: int) -> bytes:
    """Return the body; raises `BadInput` if it is longer than `limit`."""
    return b"".join([b"".join(chunks) async for chunks in gathered(request, limit)])


async def decoded(request: Request, kind: type[_T], limit: int, empty: bytes = b"") -> _T:
    """Return the JSON body as a value; raises `BadInput` if it is none.

    A body without bytes counts as `empty`.
    """
    data = await whole_body(request, limit) or empty
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadInput(f"the body is not what belongs here: {error}") from None


# --- answers


class Packs(Response):
    """Packs, each behind its length in eight bytes; a length of 0 says that these are all."""

    media_type = "application/octet-stream"

    def __init__(self, packs: Iterator[bytes]) -> None:
        super().__init__()
        self._packs = packs
        del self.headers["content-length"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        # The first pack is made before the answer begins, so that what fails there is told.
        pack = await in_thread(next, self._packs, None)
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        while pack is not None:
            head = len(pack).to_bytes(8, "little")
            await send({"type": "http.response.body", "body": head, "more_body": True})
            for at in range(0, len(pack), CHUNK):
                body = pack[at : at + CHUNK]
                await send({"type": "http.response.body", "body": body, "more_body": True})
            pack = await in_thread(next, self._packs, None)
        await send({"type": "http.response.body", "body": END, "more_body": False})


class Stretch(Response):
    """A stretch of a file; the server's own way of sending files where it is the whole."""

    media_type = "application/octet-stream"

    def __init__(self, path: str, size: int, stretch: range, headers: Mapping[str, str]) -> None:
        super().__init__(status_code=200 if len(stretch) == size else 206, headers=dict(headers))
        self._path = path
        self._stretch = stretch
        self._size = size
        self.headers["content-length"] = str(len(stretch))
        if self.status_code == 206:
            said = f"bytes {stretch.start}-{stretch.stop - 1}/{size}"
            self.headers["content-range"] = said

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        start = {
            "type": "http.response.start",
            "status": self.status_code,
            "headers": self.raw_headers,
        }
        if scope["method"] == "HEAD":
            await send(start)
            await send({"type": "http.response.body", "body": b""})
        elif self.status_code == 200 and "http.response.pathsend" in scope.get("extensions", {}):
            await send(start)
            await send({"type": "http.response.pathsend", "path": self._path})
        else:
            await self._send_pieces(start, send)

    async def _send_pieces(self, start: Mapping[str, Any], send: Send) -> None:
        descriptor = await in_thread(os.open, self._path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            await send(dict(start))
            at, stop = self._stretch.start, self._stretch.stop
            while at < stop:
                data = await in_thread(os.pread, descriptor, min(CHUNK, stop - at), at)
                if not data:
                    raise OSError(errno.EIO, "the file was cut short", self._path)
                at += len(data)
                await send({"type": "http.response.body", "body": data, "more_body": at < stop})
        finally:
            os.close(descriptor)


def wanted_range(header: str | None, size: int) -> range | None:
    """Return the stretch that a Range header asks for, or None if it cannot be given.

    A header that is not of the one form that we speak, `bytes=first-last` or `bytes=first-`,
    counts as none.
    """
    whole = range(size)
    if header is None or not header.startswith("bytes=") or "," in header:
        return whole
    first, dash, last = header.removeprefix("bytes=").strip().partition("-")
    if not dash or not first.isascii() or not first.isdigit() or len(first) > 19:
        return whole
    if last and (not last.isascii() or not last.isdigit() or len(last) > 19):
        return whole
    start = int(first)
    stop = min(int(last) + 1, size) if last else size
    if start >= size:
        return None
    return range(start, stop) if start < stop else whole


# --- errors


def error_answer(error: CellbankError, root: str, where: str) -> Response:
    """Return an error as an answer; no path of this machine gets out."""
    document = to_wire(_without_paths(error, root, where))
    headers = {"www-authenticate": "Bearer"} if error.http_status == 401 else {}
    return Response(json.dumps(document), error.http_status, headers, media_type="application/json")


def _without_paths(error: CellbankError, root: str, where: str) -> CellbankError:
    def clean(fact: Any) -> Any:
        if isinstance(fact, str):
            return fact.replace(root, where)
        return [clean(f) for f in fact] if isinstance(fact, (list, tuple)) else fact

    return type(error)(*map(clean, error.args))


def disk_error(error: OSError, where: str) -> DiskError:
    """Return the error of our tree for one of the disk."""
    if error.errno in _FULL:
        return DiskFull(where, 0, 0)
    return DiskError(where, error.strerror or "the disk failed")
