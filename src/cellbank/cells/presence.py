"""Which records of a package are here: in its manifest, and with their documents in the store."""

from collections.abc import Iterable

from cellbank.cells.documents import info_path
from cellbank.cells.kinds import KINDS
from cellbank.model.digest import SMALL_BELOW
from cellbank.packages.nodes import View


def records_here(view: View, kind: str, ids: Iterable[str]) -> list[str]:
    """Return those of the records whose `info` can be read, in their order."""
    group = KINDS[kind].group
    there = [name for name in ids if view.is_group(group, name)]
    if _all_here(view):
        return there
    found = {name: view.reader.find(info_path(kind, name)) for name in there}
    entries = {name: entry for name, entry in found.items() if entry is not None}
    small = {entry.digest for entry in entries.values() if entry.size < SMALL_BELOW}
    here = view.store.has_small(view.package, small)
    return [
        name
        for name, entry in entries.items()
        if entry.digest in here or view.store.object_path(entry.digest, entry.size)
    ]


def _all_here(view: View) -> bool:
    """Whether all documents were installed, so that none need be looked for."""
    installed = view.store.installed(view.package)
    if installed is None or installed.revision != view.revision:
        return False
    return installed.want.everything or installed.want.metadata
