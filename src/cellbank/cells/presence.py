"""Which records of a package are here: in its manifest, and with their documents in the store."""

from collections.abc import Iterable

from cellbank.cells.documents import info_path
from cellbank.cells.kinds import KINDS
from cellbank.packages.nodes import View


def records_here(view: View, kind: str, ids: Iterable[str]) -> list[str]:
    """Return those of the records whose `info` can be read, in their order."""
    group = KINDS[kind].group
    there = [name for name in ids if view.is_group(group, name)]
    if view.has_documents and view.reader is view.whole:
        return there
    # Of a subset a record may have come without its document.
    found = {name: view.reader.find(info_path(kind, name)) for name in there}
    entries = {name: entry for name, entry in found.items() if entry is not None}
    if view.has_documents:
        return list(entries)
    lacking = {entry.digest for entry in view.lacking(entries.values())}
    return [name for name, entry in entries.items() if entry.digest not in lacking]
