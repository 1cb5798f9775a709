"""The one module that changes a disk: every write, sync, rename, link and removal is here.

A test sets `fault` to make the Nth of these fail, or to kill the process there.
"""

import ctypes
import errno
import fcntl
import os
import re
import shutil
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

fault: Callable[[str, str], None] | None = None
"""Called with (kind, path) before every change; a test may raise or kill from it."""

FEW: Final = 8
"""Up to so many files or folders are synced one by one, more by one `syncfs`."""

_SYNCFS_SYSTEMS: Final = frozenset(["ext4", "xfs", "btrfs", "tmpfs"])
_NO_LINKS: Final = frozenset([errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK])
_RENAME_NOREPLACE: Final = 1
_AT_FDCWD: Final = -100
_FICLONE: Final = 0x40049409


def _step(kind: str, path: str | os.PathLike[str]) -> None:
    if fault is not None:
        fault(kind, os.fspath(path))


def random_name(stem: str) -> str:
    """Return a name in staging that nobody else uses."""
    return f"{stem}.{os.urandom(8).hex()}"


# --- files ------------------------------------------------------------------------------------


def create(path: str, mode: int = 0o600) -> int:
    """Make a new file and return its descriptor; never follows a link, never opens an old file."""
    _step("create", path)
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.open(path, flags, mode)


def reopen(path: str) -> int:
    """Open a file that was left in staging, to read it and to go on at its end."""
    flags = os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(path, flags)
    except PermissionError:
        # It was finished, and read-only, when its writer died.
        _step("chmod", path)
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fchmod(descriptor, 0o600)
    finally:
        os.close(descriptor)
    return os.open(path, flags)


def write(descriptor: int, data: bytes | bytearray | memoryview, path: str) -> None:
    """Write all of `data`; a short write is carried on."""
    _step("write", path)
    view = memoryview(data)
    try:
        while view:
            view = view[os.write(descriptor, view) :]
    except OSError as error:
        error.filename = path
        raise


def truncate(descriptor: int, size: int, path: str) -> None:
    """Cut a file, or lengthen it with zeros."""
    _step("truncate", path)
    os.ftruncate(descriptor, size)


def touch(path: str) -> None:
    """Let a file look as if it came just now."""
    _step("touch", path)
    os.utime(path)


def seal(descriptor: int, path: str) -> None:
    """Make a finished file read-only."""
    _step("chmod", path)
    os.fchmod(descriptor, 0o444)


def clone(source: int, target: int, path: str) -> bool:
    """Let `target` share the blocks of `source` where the file system can; say whether it did."""
    _step("write", path)
    try:
        fcntl.ioctl(target, _FICLONE, source)
    except OSError:
        return False
    return True


def sync(descriptor: int, path: str) -> None:
    """Make a file durable."""
    _step("fsync", path)
    os.fsync(descriptor)
    if sys.platform == "darwin":  # pragma: no cover
        fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)


def sync_path(path: str) -> None:
    """Make a file, or the names in a folder, durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        sync(descriptor, path)
    finally:
        os.close(descriptor)


def rename(source: str, target: str) -> None:
    """Give a file its final name; what stood there before is replaced."""
    _step("rename", target)
    os.rename(source, target)


def link_new(source: str, target: str) -> bool:
    """Give a file a second name if that name is free; say whether it was."""
    _step("link", target)
    try:
        os.link(source, target, follow_symlinks=False)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        return _rename_new(source, target)
    return True


def _rename_new(source: str, target: str) -> bool:
    """Rename where hard links do not work, never over another file."""
    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if call is None:  # pragma: no cover
        raise OSError(errno.ENOTSUP, "neither links nor renameat2 work here", target)
    done = call(_AT_FDCWD, os.fsencode(source), _AT_FDCWD, os.fsencode(target), _RENAME_NOREPLACE)
    if done == 0:
        return True
    number = ctypes.get_errno()
    if number == errno.EEXIST:
        return False
    raise OSError(number, os.strerror(number), target)


def remove(path: str) -> bool:
    """Remove a file; say whether it was there."""
    _step("unlink", path)
    try:
        os.unlink(path)
    except FileNotFoundError:
        return False
    return True


def remove_tree(path: str) -> None:
    """Remove a folder of temporary files with all that is in it, as far as that can be done."""
    _step("rmtree", path)
    shutil.rmtree(path, ignore_errors=True)


def remove_folder(path: str) -> bool:
    """Remove a folder if it is empty; say whether it is gone."""
    _step("rmdir", path)
    try:
        os.rmdir(path)
    except FileNotFoundError:
        return True
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            return False
        raise
    return True


def symlink(target: str, path: str) -> None:
    """Make a symbolic link at `path`, in place of one that stands there."""
    _step("link", path)
    temporary = random_name(path)
    os.symlink(target, temporary)
    os.rename(temporary, path)


def make_folders(path: str, mode: int = 0o777) -> list[str]:
    """Make a folder and those above it; return the folders in which a new name appeared."""
    missing = []
    while not os.path.isdir(path):
        missing.append(path)
        path = os.path.dirname(path) or "."
    for folder in reversed(missing):
        _step("mkdir", folder)
        try:
            os.mkdir(folder, mode)
        except FileExistsError:
            if not os.path.isdir(folder):
                raise
    return [os.path.dirname(folder) or "." for folder in missing]


# --- whole small files ------------------------------------------------------------------------


def _temporary(folder: str, name: str, data: bytes, mode: int, *, durable: bool) -> str:
    path = os.path.join(folder, random_name(name))
    descriptor = create(path, mode)
    try:
        write(descriptor, data, path)
        if durable:
            sync(descriptor, path)
    except BaseException:
        os.close(descriptor)
        remove(path)
        raise
    os.close(descriptor)
    return path


def create_whole(path: str, data: bytes, staging: str, mode: int = 0o666) -> bool:
    """Make a file with this content unless one is there; durable, and never seen half written."""
    folder, name = os.path.split(path)
    touched = make_folders(folder)
    temporary = _temporary(staging, name, data, mode, durable=True)
    try:
        made = link_new(temporary, path)
    finally:
        remove(temporary)
    if made:
        for place in [folder, *touched]:
            sync_path(place)
    return made


def replace_whole(path: str, data: bytes, staging: str, mode: int = 0o666) -> None:
    """Put a file with this content in place of what is there: the old or the new one is seen."""
    folder, name = os.path.split(path)
    touched = make_folders(folder)
    temporary = _temporary(staging, name, data, mode, durable=True)
    try:
        rename(temporary, path)
    except BaseException:
        remove(temporary)
        raise
    for place in [folder, *touched]:
        sync_path(place)


def write_cache(path: str, data: bytes, mode: int = 0o600) -> None:
    """Put a cache file in place; complete when seen, but not made durable."""
    folder, name = os.path.split(path)
    make_folders(folder)
    temporary = _temporary(folder, f".{name}", data, mode, durable=False)
    try:
        rename(temporary, path)
    except BaseException:
        remove(temporary)
        raise


# --- whole large files ------------------------------------------------------------------------


@contextmanager
def new_file(path: str, mode: int = 0o666) -> Iterator[BinaryIO]:
    """Give a new file to write and to seek in; it gets its name when it is whole."""
    with new_path(path) as temporary:
        _step("create", path)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(temporary, flags, mode), "w+b") as file:
            yield file


@contextmanager
def new_path(path: str) -> Iterator[str]:
    """Give a free name to a library that writes files itself; what is whole gets its own name."""
    folder, name = os.path.split(path)
    make_folders(folder)
    temporary = os.path.join(folder, f".{random_name(name)}")
    try:
        yield temporary
        rename(temporary, path)
    except BaseException:
        remove(temporary)
        raise


# --- one barrier a batch ----------------------------------------------------------------------


class Barrier:
    """Makes a batch of files durable at once.

    Invariant: opened before the first file of the batch is written, so that an error of writing
    back any of them is reported to it.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._syncfs = _syncfs_call(folder)

    def sync_all(self) -> None:
        """Return when all that was written to the file system is durable."""
        if self._syncfs is None:
            os.sync()
        else:
            self._sync_system(self._syncfs)

    def sync(self, paths: Collection[str], *, may_go: bool = False) -> None:
        """Return when all these files, or the names in these folders, are durable.

        With `may_go` a file may get another name meanwhile, from who made it durable before.

        Raises `OSError`: Something could not be written back: nothing of the batch may be relied
        on.
        """
        if len(paths) <= FEW or self._syncfs is None:
            for path in paths:
                with suppress(*[FileNotFoundError] * may_go):
                    sync_path(path)
            return
        self._sync_system(self._syncfs)

    def _sync_system(self, syncfs: Callable[[int], int]) -> None:
        _step("fsync", self._folder)
        if syncfs(self._descriptor) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), self._folder)

    def close(self) -> None:
        """Let go of the folder."""
        os.close(self._descriptor)


def _syncfs_call(folder: str) -> Callable[[int], int] | None:
    """Return `syncfs` where it waits for all data and tells of errors, else None."""
    if not sys.platform.startswith("linux") or file_system(folder) not in _SYNCFS_SYSTEMS:
        return None
    version = os.uname().release.split(".")
    if (int(version[0]), int(version[1])) < (5, 8):
        return None
    call: Callable[[int], int] = ctypes.CDLL(None, use_errno=True).syncfs
    return call


def file_system(folder: str) -> str:
    """Return the type of the file system that `folder` is on, or nothing where it is not told."""
    place = os.path.realpath(folder)
    best, kind = "", ""
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as lines:
            for line in lines:
                fields, _, rest = line.partition(" - ")
                point = _unescaped(fields.split()[4])
                inside = place == point or place.startswith(point.rstrip("/") + "/")
                if inside and len(point) >= len(best):
                    best, kind = point, rest.split()[0]
    except OSError:
        return ""
    return kind


def _unescaped(point: str) -> str:
    """Return a mount point as it is: the kernel spells blanks and backslashes in octal."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), point)


def free_bytes(folder: str) -> int:
    """Return the free space where `folder` is, or will be."""
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder) or "."
    numbers = os.statvfs(folder)
    return numbers.f_bavail * numbers.f_frsize


# --- locks ------------------------------------------------------------------------------------


def try_lock(descriptor: int, *, shared: bool = False) -> bool:
    """Take the kernel's lock on an open file if it is free; say whether we have it."""
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


@contextmanager
def shared_lock(path: str) -> Iterator[None]:
    """Hold the lock at `path` together with others; where locks do not work, go without."""
    descriptor = -1
    try:
        _step("create", path)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        fcntl.flock(descriptor, fcntl.LOCK_SH)
    except OSError as error:
        if error.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EROFS):
            if descriptor >= 0:
                os.close(descriptor)
            raise
    try:
        yield
    finally:
        if descriptor >= 0:
            os.close(descriptor)


@contextmanager
def waiting_lock(path: str) -> Iterator[None]:
    """Hold the lock at `path` alone, after waiting for it; where locks do not work, go without."""
    _step("create", path)
    with _alone(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)):
        yield


@contextmanager
def folder_lock(folder: str) -> Iterator[None]:
    """Hold a folder alone, after waiting for it; where locks do not work, go without."""
    with _alone(os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)):
        yield


@contextmanager
def _alone(descriptor: int) -> Iterator[None]:
    try:
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def exclusive_lock(path: str) -> Iterator[bool]:
    """Try to hold the lock at `path` alone; yields whether it was free."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        yield try_lock(descriptor)
    finally:
        os.close(descriptor)


# --- a tree below a folder that others may touch ----------------------------------------------


class Tree:
    """Writes files below a folder and never outside it, whatever links stand in the way."""

    def __init__(self, root: str | Path) -> None:
        self.root = os.fspath(root)
        make_folders(self.root)
        self._descriptor = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._folder: tuple[str, int] = ("", os.dup(self._descriptor))
        self._barrier = Barrier(self.root)

    def sync(self) -> None:
        """Make everything durable."""
        self._barrier.sync_all()

    def close(self) -> None:
        """Let go of the folder."""
        os.close(self._folder[1])
        os.close(self._descriptor)
        self._barrier.close()

    def _enter(self, folder: str) -> int:
        if folder == self._folder[0]:
            return self._folder[1]
        descriptor = os.dup(self._descriptor)
        for part in folder.split("/") if folder else ():
            _step("mkdir", f"{self.root}/{folder}")
            with suppress(FileExistsError):
                os.mkdir(part, dir_fd=descriptor)
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
            inner = os.open(part, flags, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = inner
        os.close(self._folder[1])
        self._folder = (folder, descriptor)
        return descriptor

    def write(self, path: str, fill: Callable[[int, str], None]) -> None:
        """Make the file `path`; `fill` gets its descriptor and writes its bytes."""
        folder, _, name = path.rpartition("/")
        inside = self._enter(folder)
        temporary = f".{os.urandom(8).hex()}.part"
        _step("create", path)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(temporary, flags, 0o666, dir_fd=inside)
        try:
            try:
                fill(descriptor, path)
            finally:
                os.close(descriptor)
            _step("rename", path)
            os.rename(temporary, name, src_dir_fd=inside, dst_dir_fd=inside)
        except BaseException:
            os.unlink(temporary, dir_fd=inside)
            raise
