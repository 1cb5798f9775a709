"""Reading a folder: which files it has, which may be packaged, which look unchanged."""

import errno
import os
import stat
import time
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any, Final

import msgspec

from cellbank.model.digest import digest_of
from cellbank.model.errors import BadInput, InvalidPaths, NotFound
from cellbank.model.names import fixed_names, path_problems
from cellbank.storage import disk
from cellbank.storage.store import Store

RACY_NS: Final = 20_000_000
"""A file that changed so shortly before we looked could change again within the same tick."""
COARSE_NS: Final = 2_000_000_000
"""The same where a file system keeps whole seconds."""


class Source(msgspec.Struct, frozen=True, gc=False):
    """What shall become an entry: a file, bytes (`data`), or an object of the store (`known`)."""

    path: str
    file: str
    look: "Look"
    filename: str | None = None
    meta: dict[str, Any] | None = None
    data: bytes | None = None
    known: "Known | None" = None

    @classmethod
    def of_bytes(
        cls,
        path: str,
        data: bytes,
        filename: str | None = None,
        meta: dict[str, Any] | None = None,
    ) -> "Source":
        """Return the source of an entry whose bytes are here."""
        return cls(path, "", Look(len(data), 0, 0, 0), filename, meta, data=data)

    @classmethod
    def of_known(cls, path: str, known: "Known", filename: str | None = None) -> "Source":
        """Return the source of an entry whose bytes are in the store already."""
        return cls(path, "", known.look, filename, known=known)


class Look(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What the file system says of a file: if all of it is as before, so are the bytes."""

    size: int
    mtime: int
    ctime: int
    inode: int

    @classmethod
    def of(cls, found: os.stat_result) -> "Look":
        """Return what `os.stat` said."""
        return cls(found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)


class Known(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What was learned of a file when it was last read."""

    look: Look
    digest: str
    pieces: str | None


class StatCache:
    """Which files of a folder have which digests, as long as they look the same.

    A file that was changed so shortly before it was read that it could change again without
    looking different is not remembered (as git treats racy entries).
    """

    def __init__(self, store: Store, folder: str) -> None:
        name = digest_of(os.fsencode(os.path.realpath(folder)))
        self._path = store.files.path(f"caches/stat/{name}")
        # By the bytes of the file's path, which need not be UTF-8.
        self._known: dict[bytes, Known] = {}
        self._changed = False
        try:
            with open(self._path, "rb") as file:
                self._known = msgspec.msgpack.decode(file.read(), type=dict[bytes, Known])
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
            pass
        self._next: dict[bytes, Known] = {}

    def find(self, file: str, look: Look) -> Known | None:
        """Return what is known of a file that still looks like `look`."""
        key = os.fsencode(file)
        known = self._known.get(key)
        if known is None or known.look != look:
            return None
        self._next[key] = known
        return known

    def learn(self, file: str, look: Look, digest: str, pieces: str | None, looked: int) -> Known:
        """Remember a file that was read; `looked` is when, in ns, before its first byte."""
        changed = max(look.mtime, look.ctime)
        window = (
            COARSE_NS if look.mtime % 1_000_000_000 == 0 == look.ctime % 1_000_000_000 else RACY_NS
        )
        known = Known(look, digest, pieces)
        if changed < looked - window:
            self._next[os.fsencode(file)] = known
            self._changed = True
        return known

    def save(self, *, keep: bool = False) -> None:
        """Write the cache, if it has changed; without it the next build only takes longer.

        With `keep`, what was not asked for this time stays: the build has not ended well yet.
        """
        if self._changed or len(self._next) != len(self._known):
            known = {**self._known, **self._next} if keep else self._next
            with suppress(OSError):
                disk.write_cache(self._path, msgspec.msgpack.encode(known))


def now() -> int:
    """Return the time in ns, as the file system would stamp it at the earliest."""
    return time.time_ns()


def scan(folder: str, *, fix_names: bool = False) -> tuple[list[Source], dict[str, str]]:
    """Return the files of a folder as sources, and the names that were mapped.

    Raises `NotFound`: There is no such folder. Raises `InvalidPaths`: Links that lead out,
    devices, or names that break the rules: all of them.
    """
    if not os.path.isdir(folder):
        if os.path.exists(folder):
            advice = "Name the folder that holds the files."
            if folder.endswith((".yaml", ".yml")):
                advice = f"A recipe names its packages itself: cellbank build OWNER {folder}"
            raise BadInput(f"{folder} is not a folder", advice)
        raise NotFound(f"the folder {folder} does not exist", "Check its name. Nothing was built.")
    root = os.path.realpath(folder)
    refused: list[str] = []
    files, twice = _by_name(_walk(root, refused), fix_names=fix_names)
    problems = path_problems(sorted(files))
    mapped: dict[str, str] = {}
    if problems and fix_names:
        mapped = fixed_names(sorted(files))
        problems = {}
    shown = [f"{_shown(path)}: {why}" for path, why in problems.items()]
    if refused or twice or shown:
        broken = InvalidPaths(refused + twice + shown)
        if not (twice or shown):
            broken.advice = "Remove them, or put plain files in their place. Nothing was built."
        raise broken
    sources = []
    for path, (file, look) in files.items():
        if path in mapped:
            original = _readable(path.rpartition("/")[2])
            sources.append(Source(mapped[path], file, look, original))
        else:
            sources.append(Source(path, file, look))
    return sources, {_readable(old): new for old, new in mapped.items()}


def _by_name(
    found: Iterable[tuple[str, str, Look]], *, fix_names: bool
) -> tuple[dict[str, tuple[str, Look]], list[str]]:
    """Return the files by their paths in form NFC, and what is wrong with those that meet there.

    With `fix_names` such a one keeps its path as it is, so that it is mapped.
    """
    files: dict[str, tuple[str, Look]] = {}
    other_forms: list[tuple[str, str, Look]] = []
    for path, file, look in found:
        if path.isascii() or unicodedata.is_normalized("NFC", path):
            files[path] = (file, look)
        else:
            other_forms.append((path, file, look))
    twice = []
    for path, file, look in sorted(other_forms, key=lambda other: _bytes(other[0])):
        name = unicodedata.normalize("NFC", path)
        if name not in files:
            files[name] = (file, look)
        elif fix_names:
            files[path] = (file, look)
        else:
            twice.append(f"{name!r}: two spellings of it are in the folder")
    return files, twice


def _bytes(path: str) -> bytes:
    return os.fsencode(path)


def _readable(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _shown(path: str) -> str:
    return repr(_readable(path))


def _walk(root: str, refused: list[str]) -> Iterator[tuple[str, str, Look]]:
    """Yield (path, file, look) of every file below `root`; what may not be goes to `refused`."""
    # Folder, how paths in it begin, and the real folders that it lies in.
    left = [(root, "", frozenset([root]))]
    while left:
        folder, prefix, above = left.pop()
        try:
            with os.scandir(folder) as found:
                for item in found:
                    path = f"{prefix}{item.name}"
                    if item.is_file(follow_symlinks=False):
                        yield path, item.path, Look.of(item.stat(follow_symlinks=False))
                    elif item.is_dir(follow_symlinks=False):
                        left.append((item.path, f"{path}/", above | {item.path}))
                    elif not item.is_symlink():
                        refused.append(f"{_shown(path)}: not a file (a device, FIFO or socket)")
                    else:
                        target = os.path.realpath(item.path)
                        why = _link_problem(root, target, above)
                        if why:
                            refused.append(f"{_shown(path)}: {why}")
                        elif os.path.isdir(target):
                            left.append((target, f"{path}/", above | {target}))
                        else:
                            yield path, target, Look.of(os.stat(target))
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR):
                raise BadInput(
                    f"{folder} changes while it is read",
                    "Wait until nobody writes to it, then try again.",
                ) from None
            if error.errno != errno.ENAMETOOLONG:
                raise
            refused.append(f"{_shown(prefix)}: so deep that this system cannot open it")


def _link_problem(root: str, target: str, above: frozenset[str]) -> str | None:
    if target != root and not target.startswith(root.rstrip("/") + "/"):
        return "a link that leads out of the folder"
    if target in above:
        return "a link to a folder that it lies in"
    try:
        mode = os.stat(target).st_mode
    except OSError:
        return "a link to nothing"
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        return "a link to a device, FIFO or socket"
    return None
