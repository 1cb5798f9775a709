"""Exporting: the tree of a package as plain files in a folder of the user's."""

import os
from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import Final

import msgspec

from cellbank.model.digest import SMALL_BELOW
from cellbank.model.errors import BadInput, DiskFull, InvalidPaths, NotFetched, WouldOverwrite
from cellbank.model.manifest import Entry
from cellbank.model.names import collisions, path_problem
from cellbank.model.progress import Watcher, ignore
from cellbank.packages.nodes import View, safe_filename
from cellbank.storage import disk
from cellbank.storage.jobs import Counter
from cellbank.storage.local import checked, read_chunks

BATCH: Final = 2000


class Exported(msgspec.Struct, frozen=True):
    """What an export wrote."""

    folder: str
    files: int
    bytes: int


def targets(entries: Iterable[Entry], below: str) -> dict[str, Entry]:
    """Return where each entry goes: its path, the last part being its file name.

    An entry with a file name of its own is written under that name in its path's folder. Where
    that would meet another file, it keeps its path.
    """
    cut = len(below) + 1 if below else 0
    wished: dict[str, Entry] = {}
    named: list[Entry] = []
    for entry in entries:
        if entry.path == below:
            return {safe_filename(entry.name): entry}
        wished[entry.path[cut:]] = entry
        if entry.filename is not None:
            named.append(entry)
    for entry in named:
        path = entry.path[cut:]
        folder, slash, _ = path.rpartition("/")
        target = f"{folder}{slash}{safe_filename(entry.name)}"
        # The path of an entry that keeps it is never taken.
        if target not in wished:
            wished[target] = wished.pop(path)
    return wished


def check_targets(paths: Iterable[str]) -> None:
    """Check what a reader must, before the first write; raises `InvalidPaths`."""
    names = list(paths)
    problems = {path: why for path in names if (why := path_problem(path))}
    problems |= collisions(sorted(names, key=str.encode))
    if problems:
        raise InvalidPaths([f"{path!r}: {why}" for path, why in problems.items()])


def export(
    view: View,
    below: str,
    folder: str,
    *,
    force: bool = False,
    watch: Watcher = ignore,
) -> Exported:
    """Write the entries below a path into a folder.

    What was left out of the store at a metadata-only install is fetched first. Raises
    `WouldOverwrite` before anything is written if a file is in the way and `force` is not given,
    `DiskFull` if it would not fit, `NotFetched` if some of it is not in the store and stays away,
    and `DigestMismatch` if something in the store is damaged.
    """
    one = view.reader.find(below) if below else None
    wanted = targets([one] if one else view.reader.under(below), below)
    check_targets(wanted)
    _check_folder(folder, wanted, force=force)
    total = sum(entry.size for entry in wanted.values())
    _check_room(folder, total)
    if lacking := view.lacking(sorted(wanted.values(), key=attrgetter("path"))):
        view.fetch(lacking, watch)
        _check_room(folder, total)
    counter = Counter("export", total, watch)
    tree = disk.Tree(folder)
    try:
        _write_small(view, wanted, tree, counter)
        for path, entry in wanted.items():
            if entry.size >= SMALL_BELOW:
                tree.write(path, _filler(view, entry, counter))
        tree.sync()
    finally:
        tree.close()
    return Exported(os.path.abspath(folder), len(wanted), total)


def _check_folder(folder: str, wanted: dict[str, Entry], *, force: bool) -> None:
    if os.path.exists(folder) and not os.path.isdir(folder):
        raise BadInput(f"{folder} is not a folder", "Name a folder to write into.")
    if not os.path.isdir(folder):
        return
    groups = {path[:at] for path in wanted for at, c in enumerate(path) if c == "/"}
    for group in sorted(groups):
        place = os.path.join(folder, group)
        if os.path.lexists(place) and (os.path.islink(place) or not os.path.isdir(place)):
            raise BadInput(f"{group} is no folder there", "Choose another folder.")
    there = [path for path in wanted if os.path.lexists(os.path.join(folder, path))]
    blocked = [path for path in there if os.path.isdir(os.path.join(folder, path))]
    if blocked:
        raise BadInput(f"{blocked[0]} is a folder there", "Choose another folder.")
    if there and not force:
        raise WouldOverwrite(sorted(there))


def _check_room(folder: str, needed: int) -> None:
    free = disk.free_bytes(os.path.abspath(folder))
    if needed > free:
        raise DiskFull(folder, needed, free)


def _write_small(view: View, wanted: dict[str, Entry], tree: disk.Tree, counter: Counter) -> None:
    """Write small objects pack by pack, so that no block is decoded twice."""
    places: dict[str, list[str]] = {}
    for path, entry in wanted.items():
        if entry.size < SMALL_BELOW:
            places.setdefault(entry.digest, []).append(path)
    found = set()
    for digest, data in view.store.read_many(view.package, places):
        found.add(digest)
        _write_all(tree, places[digest], data, counter)
    for digest in places.keys() - found:
        _write_all(tree, places[digest], view.store.read_small(view.package, digest), counter)


def _write_all(tree: disk.Tree, paths: list[str], data: bytes, counter: Counter) -> None:
    for path in paths:
        tree.write(path, lambda descriptor, name: disk.write(descriptor, data, name))
        counter.add(len(data))


def _filler(view: View, entry: Entry, counter: Counter) -> Callable[[int, str], None]:
    def fill(descriptor: int, name: str) -> None:
        source = view.store.object_path(entry.digest, entry.size)
        if source is None:
            raise NotFetched(str(view.package), entry.path)
        for chunk in checked(read_chunks(source), entry.digest, source):
            disk.write(descriptor, chunk, name)
            counter.add(len(chunk))

    return fill
