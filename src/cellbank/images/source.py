"""Opening what was given, a path or a file, and telling bad content from a bad disk."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from cellbank.model.errors import BadImage, CellbankError

Source = str | os.PathLike[str] | BinaryIO

HEAD: Final = 8192
"""Most small files, and the directories of many large ones, lie within this."""


class Window:
    """The bytes of one file, looked at piece by piece; never past its end."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        self.file = file
        self.name = name
        file.seek(0)
        self._start, self._seen = 0, file.read(HEAD)
        self.size = len(self._seen)
        if self.size == HEAD:
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

    def _read(self, length: int) -> bytes:
        pieces = []
        while length and (piece := self.file.read(length)):
            pieces.append(piece)
            length -= len(piece)
        if length:
            raise BadImage(self.name, "truncated: it became shorter while it was read")
        return b"".join(pieces)


def name_of(source: Source) -> str:
    """Return the name of a source for messages."""
    if isinstance(source, (str, os.PathLike)):
        return os.fspath(source)
    name = getattr(source, "name", None)
    return name if isinstance(name, str) else "the image"


@contextmanager
def opened(source: Source) -> Iterator[Window]:
    """Open a source for reading. Whatever its content leads to is a `BadImage`.

    A file object must be seekable; its position is moved and it is not closed. An `OSError` of
    the disk stays what it is.
    """
    name = name_of(source)
    with translated(name):
        if isinstance(source, (str, os.PathLike)):
            if not stat.S_ISREG(os.stat(source).st_mode):  # noqa: PTH116
                # A pipe that nobody writes to would be waited for; a folder has no bytes.
                raise BadImage(name, "it is not a file", "Name one file.")
            with Path(source).open("rb", buffering=0) as file:
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
