"""Opening what was given, a path or a file, and telling bad content from a bad disk."""

import errno
import os
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, Final, TypeAlias, Union

from cellbank.model.errors import BadImage, CellbankError

# Not as one text: `Source | None` is evaluated.
Source: TypeAlias = Union[str, "os.PathLike[str]", BinaryIO, "SharedFile"]

HEAD: Final = 8192
"""Most small files, and the directories of many large ones, lie within this."""


class Window:
    """The bytes of one file, looked at piece by piece; never past its end."""

    def __init__(self, file: "BinaryIO | SharedFile", name: str) -> None:
        self.file: Any = file
        self.name = name
        self._start, self._seen = 0, b""
        self.size = file.seek(0, os.SEEK_END)
        if not self.size:
            raise BadImage(name, "the file is empty")

    def at(self, offset: int, length: int) -> bytes:
        """Return `length` bytes from `offset` on; raises `BadImage` where the file is shorter."""
        start = offset - self._start
        if start >= 0 and start + length <= len(self._seen):
            return self._seen[start : start + length]
        if offset < 0 or length < 0 or offset + length > self.size:
            raise BadImage(
                self.name, f"truncated: bytes {offset} to {offset + length} of {self.size}"
            )
        self.file.seek(offset)
        found = self._read(max(length, min(HEAD, self.size - offset)))
        self._start, self._seen = offset, found
        return found[:length]

    def into(self, view: memoryview, offset: int) -> None:
        """Fill `view` with the bytes from `offset` on; raises `BadImage` where there are less."""
        length = len(view)
        start = offset - self._start
        if start >= 0 and start + length <= len(self._seen):
            view[:] = self._seen[start : start + length]
            return
        if offset < 0 or offset + length > self.size:
            raise BadImage(
                self.name, f"truncated: bytes {offset} to {offset + length} of {self.size}"
            )
        self.file.seek(offset)
        while view:
            count = _read_into(self.file, view)
            if not count:
                raise BadImage(self.name, "truncated: it became shorter while it was read")
            view = view[count:]

    def _read(self, length: int) -> bytes:
        pieces = []
        while length and (piece := self.file.read(length)):
            pieces.append(piece)
            length -= len(piece)
        if length:
            raise BadImage(self.name, "truncated: it became shorter while it was read")
        return b"".join(pieces)


def shared(source: Source) -> Source:
    """Return a source that several can read at once: a path as it is, a file with its lock."""
    if isinstance(source, (str, os.PathLike, SharedFile)):
        return source
    return SharedFile(source)


def _read_into(file: Any, view: memoryview) -> int:
    """Read into `view`; not every file object can do that itself."""
    if hasattr(file, "readinto"):
        return int(file.readinto(view) or 0)
    data = file.read(len(view))
    view[: len(data)] = data
    return len(data)


class SharedFile:
    """A binary file for several readers at once: each has its own position, none disturbs others.

    Invariant: the file is moved and read under one lock.
    """

    def __init__(self, file: BinaryIO, lock: "threading.Lock | None" = None) -> None:
        self._file = file
        self._lock = lock or threading.Lock()
        self._at = 0
        self.name = name_of(file)

    def reader(self) -> "SharedFile":
        """Return another reader of the same file, at its beginning."""
        return SharedFile(self._file, self._lock)

    def seekable(self) -> bool:
        """Tell that it can be moved in."""
        return True

    def tell(self) -> int:
        """Return the position."""
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to a position and return it."""
        if whence == os.SEEK_CUR:
            offset += self._at
        elif whence == os.SEEK_END:
            with self._lock:
                offset = self._file.seek(offset, os.SEEK_END)
        if offset < 0:
            raise OSError(errno.EINVAL, "before the beginning of the file")
        self._at = offset
        return offset

    def read(self, length: int = -1) -> bytes:
        """Return the next bytes, all that are left if `length` is negative."""
        with self._lock:
            self._file.seek(self._at)
            found = self._file.read(length)
        self._at += len(found)
        return found

    def readinto(self, view: memoryview) -> int:
        """Read the next bytes into `view` and return how many."""
        with self._lock:
            self._file.seek(self._at)
            count = _read_into(self._file, view)
        self._at += count
        return count


def name_of(source: Source) -> str:
    """Return the name of a source for messages."""
    if isinstance(source, (str, os.PathLike)):
        return os.fspath(source)
    name = getattr(source, "name", None)
    return name if isinstance(name, str) else "the image"


@contextmanager
def opened(source: Source, name: str = "") -> Iterator[Window]:
    """Open a source for reading. Whatever its content leads to is a `BadImage`.

    A file object must be seekable; its position is moved and it is not closed. An `OSError` of
    the disk stays what it is. `name` is for messages.
    """
    name = name or name_of(source)
    with translated(name):
        if isinstance(source, (str, os.PathLike)):
            if not stat.S_ISREG(os.stat(source).st_mode):  # noqa: PTH116
                # A pipe that nobody writes to would be waited for; a folder has no bytes.
                raise BadImage(name, "it is not a file", "Name one file.")
            with open(source, "rb", buffering=0) as file:  # noqa: PTH123
                yield Window(file, name)
        else:
            yield Window(source, name)


@contextmanager
def translated(name: str) -> Iterator[None]:
    """Raise as `BadImage` what decoders raise for bad bytes."""
    try:
        yield
    except CellbankError:
        raise
    except OSError as error:
        # A seek to where no file can have bytes is the content's fault.
        if error.errno not in {None, errno.EINVAL, errno.EOVERFLOW}:
            raise
        raise BadImage(name, _told(error)) from None
    except Exception as error:  # noqa: BLE001  decoders raise whatever they like
        raise BadImage(name, _told(error)) from None


def _told(error: Exception) -> str:
    first = str(error).strip().partition("\n")[0][:200]
    return f"it cannot be read: {first}" if first else f"it cannot be read: {type(error).__name__}"
