"""A cache of bytes on this disk with a limit: what was used least recently goes first."""

import os
import threading
from contextlib import suppress
from typing import Final

import msgspec

from cellbank.model.digest import digest_of
from cellbank.storage import disk
from cellbank.storage.local import read_file

FOLDER: Final = "caches/recent"
"""Where in a store the cache lies."""
LOOK_AGAIN: Final = 16
"""After this share of the limit was written, see what other processes wrote meanwhile."""
ROOM: Final = 10
"""Where the limit was passed, this share of it is freed, so that not every write has to look."""
MARK_BYTES: Final = 32


class _File(msgspec.Struct, frozen=True):
    """One file of the cache: when it was last used, in nanoseconds; its path and size."""

    used: int
    path: str
    size: int


class Cache:
    """Bytes by key, as many as fit below a limit; several threads and processes may share it.

    Invariant: `get` returns what was put under that very key, or nothing. A cache that is damaged
    or cannot be written to never makes anyone fail: it only helps less.

    Parameters
    ----------
    folder
        Where it lies; made when it is first written to.
    limit
        So many bytes at most. With 0 nothing is kept.
    """

    def __init__(self, folder: str, limit: int) -> None:
        self.folder = folder
        self.limit = limit
        self._lock = threading.Lock()
        self._held = -1
        self._written = 0

    def _path(self, key: str) -> str:
        name = digest_of(key.encode())
        return f"{self.folder}/{name[:2]}/{name}"

    def get(self, key: str) -> bytes | None:
        """Return the bytes that were put under a key, if they are still here and whole."""
        path = self._path(key)
        try:
            kept = read_file(path)
        except OSError:
            return None
        data = kept[MARK_BYTES:]
        with suppress(OSError):
            if kept[:MARK_BYTES] != _mark(key, data):
                disk.remove(path)
                return None
            disk.touch(path)
        return data

    def put(self, key: str, data: bytes) -> None:
        """Keep bytes under a key, where they fit below the limit."""
        size = len(data) + MARK_BYTES
        if size > self.limit:
            return
        try:
            disk.write_cache(self._path(key), _mark(key, data) + data)
        except OSError:
            return
        with self._lock:
            self._written += size
            if self._held < 0 or self._written > self.limit // LOOK_AGAIN:
                self._held, self._written = sum(file.size for file in self._files()), 0
            else:
                self._held += size
            if self._held > self.limit:
                self._held = self._shrink(self.limit - self.limit // ROOM)

    def size(self) -> int:
        """Return how many bytes it holds now."""
        return sum(file.size for file in self._files())

    def shrink(self) -> None:
        """Remove what is over the limit."""
        with self._lock:
            self._held = self._shrink(self.limit)

    def clear(self) -> int:
        """Remove everything; return how many bytes that were."""
        with self._lock:
            before = self.size()
            self._held = self._shrink(0)
            return before - self._held

    def _files(self) -> list[_File]:
        """Return all files, also those that a process that was killed left half written."""
        found = []
        for folder in _entries(self.folder):
            for entry in _entries(folder.path):
                with suppress(OSError):
                    look = entry.stat(follow_symlinks=False)
                    found.append(_File(look.st_mtime_ns, entry.path, look.st_size))
        return found

    def _shrink(self, limit: int) -> int:
        """Remove the files used least recently until `limit` is kept; return what is left."""
        files = self._files()
        held = sum(file.size for file in files)
        for file in sorted(files, key=lambda file: file.used):
            if held <= limit:
                break
            with suppress(OSError):
                disk.remove(file.path)
                held -= file.size
        return held


def _mark(key: str, data: bytes) -> bytes:
    """Return what stands before the data: it fits to these bytes under this key only."""
    return bytes.fromhex(digest_of(bytes.fromhex(digest_of(data)) + key.encode()))


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError:
        return []
