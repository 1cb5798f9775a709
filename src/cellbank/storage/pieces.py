"""An object at a remote, opened like a file: brought by pieces as they are read, each checked."""

import io
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any, Final

from cellbank.model.digest import PIECE_BYTES, SMALL_BELOW, digest_of
from cellbank.model.errors import DigestMismatch, Interrupted, NotCanonical
from cellbank.model.manifest import Entry
from cellbank.model.reference import Package
from cellbank.storage.cache import Cache
from cellbank.storage.remote import Remote

RUN: Final = 16
"""So many pieces that adjoin are asked for in one request."""
KEPT: Final = 16
"""So many pieces of an open file stay in memory: readers of images come back for few bytes."""
AHEAD: Final = 8
"""So many pieces are brought before they are asked for, where a file is read from end to end."""


class Far:
    """Where objects of a package come from that are not here.

    Parameters
    ----------
    package
        The package.
    address
        Where the remote is, for messages.
    remote
        Gives the remote; called when something must come from there, not before.
    near
        Gives a small object that is in the store, or None.
    cache
        Keeps what was brought.
    """

    def __init__(
        self,
        package: Package,
        address: str,
        remote: Callable[[], Remote],
        near: Callable[[str], bytes | None],
        cache: Cache,
    ) -> None:
        self.package = package
        self.address = address
        self.remote = remote
        self.cache = cache
        self._near = near

    def small(self, digest: str) -> bytes:
        """Return a small object, its digest checked: from the store, the cache or the remote."""
        data = self._near(digest)
        if data is None:
            data = self.cached(digest)
        if data is None:
            data = self.remote().read_small(self.package, [digest])[digest]
            self.cache.put(digest, data)
        return data

    def cached(self, digest: str) -> bytes | None:
        """Return bytes of the cache, checked, or None."""
        data = self.cache.get(digest)
        return data if data is not None and digest_of(data) == digest else None


class Pieces:
    """The bytes of one object that is not here, in pieces of 1 MiB, or in one if it has no list.

    Invariant: no byte is given out before the piece that it belongs to was checked. A piece that
    several threads want at once is brought once.
    """

    def __init__(self, far: Far, entry: Entry) -> None:
        self._far = far
        self._entry = entry
        self.size = entry.size
        self._length = entry.size if entry.pieces is None else PIECE_BYTES
        self._digests: list[str] = [entry.digest] if entry.pieces is None else []
        self._lock = threading.Lock()
        self._kept: OrderedDict[int, bytes] = OrderedDict()
        self._coming: dict[int, Future[bytes]] = {}
        self._next = -1
        self._ahead = 0

    def read_into(self, start: int, view: memoryview) -> None:
        """Fill `view` with the bytes from `start` on; the object must have as many.

        Raises `DigestMismatch`: The remote gave wrong bytes, twice. Raises `Damaged`,
        `NetworkError`: It does not give them.
        """
        stop = start + len(view)
        while start < stop:
            first = start // self._length
            last = min((stop - 1) // self._length, first + RUN - 1)
            for number, piece in enumerate(self._pieces(first, last), first):
                offset = start - number * self._length
                part = memoryview(piece)[offset : offset + stop - start]
                view[: len(part)] = part
                view = view[len(part) :]
                start += len(part)

    def forget(self) -> None:
        """Let go of the pieces in memory."""
        with self._lock:
            self._kept.clear()

    def _pieces(self, first: int, last: int) -> Iterator[bytes]:
        """Yield the pieces from `first` to `last`."""
        mine, coming = self._claim(first, last)
        if mine:
            self._bring(mine)
        for piece in coming:
            yield piece if isinstance(piece, bytes) else piece.result()

    def _claim(
        self, first: int, last: int
    ) -> tuple[dict[int, Future[bytes]], list[bytes | Future[bytes]]]:
        """Return which pieces this thread must bring, and all that it wants, or where it comes."""
        mine: dict[int, Future[bytes]] = {}
        coming: list[bytes | Future[bytes]] = []
        with self._lock:
            for number in range(first, last + 1):
                if number in self._kept:
                    self._kept.move_to_end(number)
                    coming.append(self._kept[number])
                elif number in self._coming:
                    coming.append(self._coming[number])
                else:
                    mine[number] = self._coming[number] = Future()
                    coming.append(mine[number])
            if mine:
                self._look_ahead(mine)
        return mine, coming

    def _look_ahead(self, mine: dict[int, Future[bytes]]) -> None:
        """Add pieces that will be wanted soon, if those before were the last that came."""
        goes_on = min(mine) == self._next
        self._ahead = min(2 * self._ahead or 1, AHEAD) if goes_on else 0
        after = max(mine) + 1
        end = min(after + self._ahead, -(-self.size // self._length))
        for number in range(after, end):
            if number in self._kept or number in self._coming:
                break
            mine[number] = self._coming[number] = Future()
        self._next = max(mine) + 1

    def _bring(self, mine: dict[int, Future[bytes]]) -> None:
        """Bring pieces and give them to all who wait for them."""
        try:
            for number, piece in self._brought(list(mine)):
                with self._lock:
                    self._kept[number] = piece
                    while len(self._kept) > KEPT:
                        self._kept.popitem(last=False)
                    del self._coming[number]
                mine[number].set_result(piece)
        except BaseException as error:
            told = error if isinstance(error, Exception) else Interrupted()
            with self._lock:
                for number, future in mine.items():
                    if not future.done():
                        del self._coming[number]
                        future.set_exception(told)
            raise

    def _brought(self, numbers: list[int]) -> Iterator[tuple[int, bytes]]:
        """Yield pieces from the cache or the remote, those that adjoin by one request."""
        digests = self._list()
        run: list[int] = []
        for number in numbers:
            piece = self._far.cached(digests[number])
            if run and (piece is not None or number != run[-1] + 1 or len(run) == RUN):
                yield from self._fetched(run)
                run = []
            if piece is None:
                run.append(number)
            else:
                yield number, piece
        if run:
            yield from self._fetched(run)

    def _fetched(self, run: list[int]) -> Iterator[tuple[int, bytes]]:
        """Yield pieces that adjoin, from the remote; wrong bytes are asked for once more."""
        pieces = self._checked(run, self._ask(run), last=False)
        if pieces is None:
            pieces = self._checked(run, self._ask(run), last=True) or []
        for number, piece in zip(run, pieces, strict=True):
            self._far.cache.put(self._digests[number], piece)
            yield number, piece

    def _ask(self, run: list[int]) -> bytes:
        digest, far = self._entry.digest, self._far
        if self.size < SMALL_BELOW:
            data = far.remote().read_small(far.package, [digest])[digest]
            if len(data) != self.size:
                raise DigestMismatch(self._where(), f"{self.size} bytes", f"{len(data)} bytes")
            return data
        start, stop = run[0] * self._length, min((run[-1] + 1) * self._length, self.size)
        return far.remote().read_range(far.package, digest, start, stop)

    def _checked(self, run: list[int], data: bytes, *, last: bool) -> list[bytes] | None:
        """Return the pieces in `data`; None, or `DigestMismatch` at `last`, if one is wrong."""
        pieces = [data[at : at + self._length] for at in range(0, len(data), self._length)]
        for number, piece in zip(run, pieces, strict=True):
            expected, found = self._digests[number], digest_of(piece)
            if expected != found:
                if last:
                    raise DigestMismatch(self._where(), expected, found)
                return None
        return pieces

    def _list(self) -> list[str]:
        """Return the digests of the pieces; brought when they are first needed."""
        if not self._digests and self._entry.pieces is not None:
            listed = self._far.small(self._entry.pieces)
            if len(listed) != 32 * -(-self.size // PIECE_BYTES):
                raise NotCanonical(f"the list of pieces of {self._where()}", "its length is wrong")
            self._digests = [listed[at : at + 32].hex() for at in range(0, len(listed), 32)]
        return self._digests

    def _where(self) -> str:
        far, entry = self._far, self._entry
        return f"{far.package}/{entry.path} (object {entry.digest[:12]}) from {far.address}"


class RemoteFile(io.RawIOBase):
    """A binary file that is read from a remote: to be read and sought in, also by many threads.

    Invariant: what is read is what the manifest promised, or an error is raised. A read is short
    only at the end of the file.

    Parameters
    ----------
    pieces
        The bytes.
    name
        What to call it in messages.
    """

    def __init__(self, pieces: Pieces, name: str) -> None:
        super().__init__()
        self.name = name
        self.mode = "rb"
        self.far = True  # who reads images cares that each part costs a request
        self._pieces = pieces
        self._at = 0
        self._lock = threading.Lock()

    def readable(self) -> bool:
        """Say yes."""
        return True

    def seekable(self) -> bool:
        """Say yes."""
        return True

    def tell(self) -> int:
        """Return from which byte on the next read reads."""
        self._check_open()
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Let the next read begin elsewhere; return where."""
        self._check_open()
        with self._lock:
            base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._pieces.size}
            if whence not in base:
                raise ValueError(f"whence must be 0, 1 or 2, not {whence}")
            if base[whence] + offset < 0:
                raise ValueError(f"there is no byte {base[whence] + offset}")
            self._at = base[whence] + offset
            return self._at

    def readinto(self, buffer: Any, /) -> int:
        """Fill a buffer, as far as there are bytes; return how many."""
        with memoryview(buffer).cast("B") as view:
            start, count = self._take(len(view))
            self._fill(start, view[:count])
            return count

    def read(self, size: int | None = -1, /) -> bytes:
        """Return so many bytes, or all that are left."""
        start, count = self._take(-1 if size is None else size)
        data = bytearray(count)
        self._fill(start, memoryview(data))
        return bytes(data)

    def readall(self) -> bytes:
        """Return all bytes that are left."""
        return self.read()

    def _take(self, size: int) -> tuple[int, int]:
        """Move on by up to `size` bytes; return where they begin and how many they are."""
        self._check_open()
        with self._lock:
            left = max(self._pieces.size - self._at, 0)
            count = left if size < 0 else min(size, left)
            start, self._at = self._at, self._at + count
            return start, count

    def _fill(self, start: int, view: memoryview) -> None:
        try:
            self._pieces.read_into(start, view)
        except BaseException:
            with self._lock:
                # What could not be read was not read, unless another thread moved on since.
                if self._at == start + len(view):
                    self._at = start
            raise

    def close(self) -> None:
        """Close it, and let go of what was read."""
        super().close()
        self._pieces.forget()

    def _check_open(self) -> None:
        if self.closed:
            raise ValueError("the file is closed")

    def __repr__(self) -> str:
        return f"<RemoteFile {self.name!r}>"
