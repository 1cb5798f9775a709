"""Keys and bytes in a folder of this machine; a power cut loses nothing that was said."""

import os
import threading
import time
from collections.abc import Iterable, Iterator
from io import RawIOBase
from typing import Final, Protocol

from blake3 import blake3

from cellbank.model.digest import PieceHasher, digest_of
from cellbank.model.errors import DigestMismatch
from cellbank.storage import disk

CHUNK: Final = 1 << 20
STALE_SECONDS: Final = 24 * 3600
COMMIT_BYTES: Final = 2 << 30
"""Verified objects go to their final place at least this often."""
Data = bytes | bytearray | memoryview

_spare_buffers: list[bytearray] = []
"""Memory that was read into before: to get 1 MiB anew costs as much as to fill it."""


class Bucket(Protocol):
    """Keys and bytes: a folder, or a bucket of an object store."""

    address: str

    def read(self, key: str) -> bytes:
        """Return the bytes at `key`; raises FileNotFoundError."""

    def read_range(self, key: str, start: int, length: int) -> bytes:
        """Return up to `length` bytes from `start` (from the end, if negative)."""

    def stream(self, key: str, start: int) -> Iterator[Data]:
        """Yield the bytes at `key` from `start`; each piece is valid until the next."""

    def size(self, key: str) -> int | None:
        """Return the number of bytes at `key`, or None if there is no such key."""

    def names(self, prefix: str) -> list[str]:
        """Return the names right below `prefix`, sorted."""

    def create(self, key: str, data: bytes) -> bool:
        """Write `data` unless the key is there; say whether it was free."""

    def replace(self, key: str, data: bytes) -> None:
        """Write `data`, in place of what is there."""

    def delete(self, key: str) -> None:
        """Remove `key` if it is there."""

    def batch(self) -> "Batch":
        """Return a batch of keys to be written together."""


class Batch(Protocol):
    """Keys that appear together, and only when they are durable.

    `staged_bytes` says how much waits for the next `commit`.
    """

    staged_bytes: int

    def add(self, key: str, data: bytes) -> None:
        """Take a small file."""

    def add_stream(self, key: str, chunks: Iterable[Data]) -> None:
        """Take a file in pieces; if the pieces raise, nothing of it appears."""

    def commit(self) -> None:
        """Make everything durable, then let it appear."""

    def abandon(self) -> None:
        """Leave nothing behind."""


class LocalBucket:
    """A folder of this machine.

    Invariant: a file under its final key is complete and durable.
    """

    def __init__(self, root: str) -> None:
        self.root = os.path.abspath(root)
        self.address = self.root
        self.staging = f"{self.root}/staging"

    def path(self, key: str) -> str:
        """Return where `key` lies."""
        return f"{self.root}/{key}"

    def read(self, key: str) -> bytes:
        """Return the bytes at `key`; raises FileNotFoundError."""
        return read_file(self.path(key))

    def read_range(self, key: str, start: int, length: int) -> bytes:
        """Return up to `length` bytes from `start` (from the end, if negative)."""
        descriptor = os.open(self.path(key), os.O_RDONLY | os.O_CLOEXEC)
        try:
            if start < 0:
                start = max(os.fstat(descriptor).st_size + start, 0)
            return os.pread(descriptor, length, start)
        finally:
            os.close(descriptor)

    def stream(self, key: str, start: int) -> Iterator[memoryview]:
        """Yield the bytes at `key` from `start`; each piece is valid until the next."""
        return read_chunks(self.path(key), start)

    def size(self, key: str) -> int | None:
        """Return the number of bytes at `key`, or None if there is no such key."""
        try:
            return os.stat(self.path(key)).st_size
        except (FileNotFoundError, NotADirectoryError):
            return None

    def names(self, prefix: str) -> list[str]:
        """Return the names right below `prefix`, sorted."""
        try:
            return sorted(os.listdir(self.path(prefix)))
        except (FileNotFoundError, NotADirectoryError):
            return []

    def create(self, key: str, data: bytes) -> bool:
        """Write `data` unless the key is there; say whether it was free."""
        disk.make_folders(self.staging)
        return disk.create_whole(self.path(key), data, self.staging)

    def replace(self, key: str, data: bytes) -> None:
        """Write `data`, in place of what is there."""
        disk.make_folders(self.staging)
        disk.replace_whole(self.path(key), data, self.staging)

    def delete(self, key: str) -> None:
        """Remove `key` if it is there."""
        disk.remove(self.path(key))

    def batch(self) -> "LocalBatch":
        """Return a batch of keys to be written together."""
        return LocalBatch(self)


class LocalBatch:
    """Files in staging that are made durable by one barrier, then renamed."""

    def __init__(self, bucket: LocalBucket) -> None:
        self._bucket = bucket
        self._touched = set(disk.make_folders(bucket.staging))
        # Listed once: with a thousand parts in staging, a look for each would cost a second.
        self._left = {name.partition(".")[0] for name in os.listdir(bucket.staging)}
        self._barrier = disk.Barrier(bucket.staging)
        self._ready: list[tuple[str, str]] = []
        self._lock = threading.Lock()
        self._committing = threading.Lock()
        self.staged_bytes = 0

    def add(self, key: str, data: bytes) -> None:
        """Take a small file."""
        self.add_stream(key, (data,))

    def add_stream(self, key: str, chunks: Iterable[Data]) -> None:
        """Take a file in pieces; if the pieces raise, nothing of it appears."""
        part = Part.new(self._bucket.staging, key.rpartition("/")[2])
        try:
            for chunk in chunks:
                part.write(chunk)
        except BaseException:
            part.discard()
            raise
        self.take(key, part)

    def part(self, stem: str) -> "Part":
        """Return the part that a dead process left, to go on with it, or a new one."""
        left = Part.adopt(self._bucket.staging, stem) if stem in self._left else None
        return left or Part.new(self._bucket.staging, stem)

    def take(self, key: str, part: "Part") -> None:
        """Take a part that is complete and has the right bytes."""
        part.finish()
        with self._lock:
            self._ready.append((part.path, key))
            self.staged_bytes += part.size

    def commit(self) -> None:
        """Make everything durable, then let it appear; the batch can be filled again."""
        with self._committing:
            with self._lock:
                ready, self._ready, self.staged_bytes = self._ready, [], 0
            if ready:
                self._place(ready)

    def _place(self, ready: list[tuple[str, str]]) -> None:
        try:
            # One that has gone was placed by another process, which took over our finished part.
            self._barrier.sync([path for path, _ in ready], may_go=True)
        except BaseException:
            # What could not be written back must never be trusted, or tried again.
            for path, _ in ready:
                disk.remove(path)
            raise
        for path, key in ready:
            target = self._bucket.path(key)
            folder = os.path.dirname(target)
            if folder not in self._touched:
                self._touched.update(disk.make_folders(folder))
                self._touched.add(folder)
            try:
                disk.rename(path, target)
            except FileNotFoundError:
                if not os.path.exists(target):
                    raise
        self._barrier.sync(self._touched)
        self._touched = set()

    def abandon(self) -> None:
        """Leave nothing behind; parts of large objects stay in staging for the next process."""
        for path, _ in self._ready:
            disk.remove(path)
        self._ready = []
        self._barrier.close()


class Part:
    """A file in staging that grows.

    Invariant: while it grows, its writer holds the kernel's lock on it.
    """

    def __init__(self, path: str, descriptor: int, size: int) -> None:
        self.path = path
        self.size = size
        self._descriptor = descriptor

    @classmethod
    def new(cls, staging: str, stem: str) -> "Part":
        """Start a new part."""
        path = f"{staging}/{disk.random_name(stem)}"
        descriptor = disk.create(path)
        disk.try_lock(descriptor)
        return cls(path, descriptor, 0)

    @classmethod
    def adopt(cls, staging: str, stem: str) -> "Part | None":
        """Take over a part that a dead process left, if its lock is free."""
        for name in sorted(os.listdir(staging)):
            if not name.startswith(f"{stem}."):
                continue
            path = f"{staging}/{name}"
            try:
                descriptor = disk.reopen(path)
            except OSError:
                continue
            if disk.try_lock(descriptor) and os.path.exists(path):
                return cls(path, descriptor, os.fstat(descriptor).st_size)
            os.close(descriptor)
        return None

    @property
    def descriptor(self) -> int:
        """The open file."""
        return self._descriptor

    def chunks(self) -> Iterator[memoryview]:
        """Yield what an adopted part has; it may lose its name meanwhile to its old writer."""
        with os.fdopen(os.dup(self._descriptor), "rb", buffering=0) as file:
            file.seek(0)
            yield from _chunks_of(file)

    def write(self, data: Data) -> None:
        """Add bytes."""
        disk.write(self._descriptor, data, self.path)
        self.size += len(data)

    def clone(self, source: int, size: int) -> bool:
        """Share the blocks of the file `source`, where the file system can; say whether it did."""
        if not disk.clone(source, self._descriptor, self.path):
            return False
        self.size = size
        return True

    def finish(self) -> None:
        """Close it, read-only."""
        disk.seal(self._descriptor, self.path)
        os.close(self._descriptor)

    def keep(self) -> None:
        """Close it unfinished; the next process may go on with it."""
        os.close(self._descriptor)

    def discard(self) -> None:
        """Close and remove it."""
        os.close(self._descriptor)
        disk.remove(self.path)


def read_file(path: str, expected: int = CHUNK - 1) -> bytes:
    """Return the bytes of a file; the fastest way for small ones, more so if the size is known."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        data = os.read(descriptor, expected + 1)
        if len(data) <= expected:
            return data
        rest = [data]
        while data := os.read(descriptor, CHUNK):
            rest.append(data)
        return b"".join(rest)
    finally:
        os.close(descriptor)


def read_chunks(path: str, start: int = 0) -> Iterator[memoryview]:
    """Yield the bytes of a file in pieces of 1 MiB; each piece is valid until the next."""
    with open(path, "rb", buffering=0) as file:
        file.seek(start)
        yield from _chunks_of(file)


def _chunks_of(file: RawIOBase) -> Iterator[memoryview]:
    buffer = _spare_buffers.pop() if _spare_buffers else bytearray(CHUNK)
    view = memoryview(buffer)
    try:
        while count := file.readinto(view):
            yield view[:count]
    finally:
        _spare_buffers.append(buffer)


def checked(chunks: Iterable[Data], digest: str, where: str) -> Iterator[Data]:
    """Yield `chunks`, and raise `DigestMismatch` at the end if they are not what `digest` names."""
    hasher = blake3()
    for chunk in chunks:
        hasher.update(chunk)
        yield chunk
    if hasher.hexdigest() != digest:
        raise DigestMismatch(where, digest, hasher.hexdigest())


class Hasher:
    """Digest of a stream and, where the entry has one, of its list of pieces.

    Both are checked on every full install and verification, so that a range can be trusted later.
    """

    def __init__(self, *, pieces: bool) -> None:
        self._hasher = PieceHasher() if pieces else blake3()
        self.size = 0

    def update(self, data: Data) -> None:
        """Take the next bytes."""
        self._hasher.update(data)
        self.size += len(data)

    def digests(self) -> tuple[str, bytes | None]:
        """Return the digest of all bytes, and the list of pieces if it was asked for."""
        if isinstance(self._hasher, PieceHasher):
            return self._hasher.digest(), self._hasher.piece_list()
        return self._hasher.hexdigest(), None

    def check(self, where: str, digest: str, pieces: str | None) -> None:
        """Raise `DigestMismatch` unless the bytes are what the entry says."""
        found, listed = self.digests()
        if found != digest:
            raise DigestMismatch(where, digest, found)
        if listed is not None and digest_of(listed) != pieces:
            raise DigestMismatch(f"{where} (its list of pieces)", str(pieces), digest_of(listed))


def file_digest(path: str) -> str:
    """Return the digest of a file."""
    hasher = blake3()
    for chunk in read_chunks(path):
        hasher.update(chunk)
    return hasher.hexdigest()


def remove_stale_staging(bucket: LocalBucket) -> int:
    """Remove what was left in staging for more than 24 hours and has no living writer."""
    gone = 0
    for name in bucket.names("staging"):
        path = bucket.path(f"staging/{name}")
        try:
            if time.time() - os.stat(path).st_mtime < STALE_SECONDS:
                continue
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            if disk.try_lock(descriptor):
                gone += disk.remove(path)
        finally:
            os.close(descriptor)
    return gone
