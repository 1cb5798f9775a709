"""Opening what was given, a path or a file, and telling bad content from a bad disk."""

import errno
import os
import stat
import threading
from typing import Any, BinaryIO, Final, TypeAlias, Union

from cellbank.model.errors import BadImage, BadInput, CellbankError

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
            raise self._short(offset + length)
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
            raise self._short(offset + length)
        self.file.seek(offset)
        while view:
            count = _read_into(self.file, view)
            if not count:
                raise BadImage(self.name, "truncated: it became shorter while it was read")
            view = view[count:]

    def _short(self, needed: int) -> BadImage:
        reason = f"truncated: it has {self.size} bytes and names bytes up to {needed}"
        return BadImage(self.name, reason, "It may have been copied in part only: get it again.")

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
        self.far = is_far(file)

    def reader(self) -> "SharedFile":
        """Return another reader of the same file, at its beginning."""
        return SharedFile(self._file, self._lock)

    def __reduce__(self) -> Any:
        raise BadInput(
            f"{self.name}: an open file cannot be sent to another process",
            "Open the image by its path.",
        )

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


def is_far(source: Source) -> bool:
    """Tell whether each part of a file that is read costs a request: it says so itself."""
    return bool(getattr(source, "far", False))


class translated:  # noqa: N801  read as a verb: with translated(name)
    """Raises as `BadImage` what decoders raise for bad bytes.

    Written out, as `opened` is, because a generator's way costs as much as reading a few rows.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def __enter__(self) -> Any:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: object
    ) -> None:
        if error is None or isinstance(error, CellbankError) or not isinstance(error, Exception):
            return
        # A seek to where no file can have bytes is the content's fault.
        faults = {None, errno.EINVAL, errno.EOVERFLOW}
        if isinstance(error, OSError) and error.errno not in faults:
            return
        raise BadImage(self.name, _told(error)) from None


class opened(translated):  # noqa: N801
    """Opens a source for reading. Whatever its content leads to is a `BadImage`.

    A file object must be seekable; its position is moved and it is not closed. An `OSError` of
    the disk stays what it is. `name` is for messages.
    """

    def __init__(self, source: Source, name: str = "") -> None:
        self.name = name or name_of(source)
        self._source: Any = source
        self._file: BinaryIO | None = None

    def __enter__(self) -> Window:
        try:
            return self._window()
        except BaseException as error:
            self.__exit__(type(error), error, None)
            raise

    def _window(self) -> Window:
        source = self._source
        if not isinstance(source, (str, os.PathLike)):
            return Window(source, self.name)
        if not stat.S_ISREG(os.stat(source).st_mode):  # noqa: PTH116
            # A pipe that nobody writes to would be waited for; a folder has no bytes.
            raise BadImage(self.name, "it is not a file", "Name one file.")
        self._file = open(source, "rb", buffering=0)  # noqa: PTH123, SIM115  closed on exit
        return Window(self._file, self.name)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: object
    ) -> None:
        if self._file is not None:
            self._file.close()
        if error is not None:
            super().__exit__(kind, error, _)


def _told(error: Exception) -> str:
    first = str(error).strip().partition("\n")[0][:200]
    return f"it cannot be read: {first}" if first else f"it cannot be read: {type(error).__name__}"
