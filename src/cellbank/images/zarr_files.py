"""The files of a Zarr folder, on a disk or in a package; none outside of it is ever read."""

import errno
import os
import stat
from typing import Final, Protocol

from cellbank.images.source import translated
from cellbank.model.errors import BadImage

_KNOWN_FOLDERS: Final = 1 << 14
_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Node(Protocol):
    """A folder in a package, as far as it is needed here."""

    def _read_file(self, path: str) -> bytes | None: ...


class Files(Protocol):
    """Files by their paths in a folder (checked by `inside`); None for what is not there."""

    name: str

    def read(self, path: str, most: int) -> bytes | None:
        """Return a whole file, which may have `most` bytes."""

    def part(self, path: str, start: int, length: int) -> bytes | None:
        """Return bytes of a file; a negative start counts from its end."""


def files_of(source: str | os.PathLike[str] | Node, name: str = "") -> Files:
    """Return the files of a folder, or of a node that has `_read_file`."""
    if isinstance(source, (str, os.PathLike)):
        return Folder(source)
    return Packed(source, name or str(getattr(source, "_path", "")) or "the package")


def inside(path: object, name: str) -> str:
    """Return a path that metadata name, without what it does not need; never one that leads out."""
    if not isinstance(path, str) or not path or len(path) > 4096 or "\0" in path:
        raise BadImage(name, f"its metadata name {str(path)[:60]!r} as the path of a part of it")
    parts = [part for part in path.split("/") if part not in {"", "."}]
    if ".." in parts or "\\" in path or path.startswith("/") or not parts:
        raise BadImage(
            name,
            f"its metadata name {path[:60]!r}, which does not lie in it",
            "Such a path is never followed.",
        )
    return "/".join(parts)


class Folder:
    """A folder on this disk.

    Invariant: no byte outside of the folder is read, whatever links lie in it.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.name = os.fspath(path)
        self._root = os.path.realpath(path)
        self._known: dict[str, bool] = {}

    def read(self, path: str, most: int) -> bytes | None:
        """Return a whole file, which may have `most` bytes."""
        opened = self._open(path)
        if opened is None:
            return None
        descriptor, size = opened
        try:
            if size > most:
                raise self._bad(path, f"has {size} bytes, which is more than it can need")
            return self._bytes(descriptor, path, 0, size)
        finally:
            os.close(descriptor)

    def part(self, path: str, start: int, length: int) -> bytes | None:
        """Return bytes of a file; a negative start counts from its end."""
        opened = self._open(path)
        if opened is None:
            return None
        descriptor, size = opened
        try:
            return self._bytes(descriptor, path, start + size if start < 0 else start, length)
        finally:
            os.close(descriptor)

    def _bad(self, path: str, reason: str) -> BadImage:
        return BadImage(self.name, f"{path} {reason}")

    def _bytes(self, descriptor: int, path: str, start: int, length: int) -> bytes:
        if start < 0:
            raise self._bad(path, "is truncated")
        data = os.pread(descriptor, length, start)
        while 0 < len(data) < length:
            more = os.pread(descriptor, length - len(data), start + len(data))
            if not more:
                break
            data += more
        if len(data) < length:
            raise self._bad(path, f"is truncated: bytes {start} to {start + length} are not there")
        return data

    def _open(self, path: str) -> tuple[int, int] | None:
        folder = path.rpartition("/")[0]
        within = self._known.get(folder)
        if within is None:
            if len(self._known) >= _KNOWN_FOLDERS:
                self._known.clear()
            within = self._known[folder] = self._holds(os.path.realpath(f"{self._root}/{folder}"))
        if not within:
            raise self._bad(folder, "is a link that leads out of the folder")
        with translated(self.name):
            return self._opened(path)

    def _opened(self, path: str) -> tuple[int, int] | None:
        try:
            try:
                descriptor = os.open(f"{self._root}/{path}", _FLAGS)
            except OSError as error:
                if error.errno != errno.ELOOP:
                    raise
                # It is a link: where it leads is asked for once more, without following links.
                place = os.path.realpath(f"{self._root}/{path}")
                if not self._holds(place):
                    raise self._bad(path, "is a link that leads out of the folder") from None
                descriptor = os.open(place, _FLAGS)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:
                return None
            if error.errno == errno.ELOOP:
                raise self._bad(path, "is a link that leads to itself") from None
            raise
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            os.close(descriptor)
            raise self._bad(path, "is not a file")
        return descriptor, found.st_size

    def _holds(self, place: str) -> bool:
        return place == self._root or place.startswith(f"{self._root.rstrip('/')}/")


class Packed:
    """A folder in a package. Its files come whole; the last one is kept, for its other parts."""

    def __init__(self, node: Node, name: str) -> None:
        self.name = name
        self._node = node
        self._last: tuple[str, bytes | None] = ("", None)

    def read(self, path: str, most: int) -> bytes | None:
        """Return a whole file, which may have `most` bytes."""
        data = self._node._read_file(path)
        if data is not None and len(data) > most:
            reason = f"{path} has {len(data)} bytes, which is more than it can need"
            raise BadImage(self.name, reason)
        return data

    def part(self, path: str, start: int, length: int) -> bytes | None:
        """Return bytes of a file; a negative start counts from its end."""
        known, data = self._last
        if known != path or data is None:
            data = self._node._read_file(path)
            self._last = (path, data)
        if data is None:
            return None
        start += len(data) if start < 0 else 0
        if start < 0 or start + length > len(data):
            reason = f"{path} is truncated: bytes {start} to {start + length} are not there"
            raise BadImage(self.name, reason)
        return data[start : start + length]
