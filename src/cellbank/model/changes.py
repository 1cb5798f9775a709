"""What differs between two manifests, found by reading only the pages that differ."""

import msgspec

from cellbank.model.manifest import Entry, ManifestReader, decode_page


class Changes(msgspec.Struct, frozen=True):
    """What differs between two manifests, each list in order of its paths."""

    added: list[Entry]
    removed: list[Entry]
    changed: list[tuple[Entry, Entry]]
    renamed: list[tuple[Entry, Entry]]

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed or self.renamed)


def compare(old: ManifestReader, new: ManifestReader) -> Changes:
    """Return what differs; pages that both have are not read.

    An entry that left one path and came at another with the same bytes is renamed.
    """
    gone_lines, came_lines = _different_lines(old, new)
    gone = decode_page(b"\n".join(gone_lines - came_lines))
    came = decode_page(b"\n".join(came_lines - gone_lines))
    before = {entry.path: entry for entry in gone}
    after = {entry.path: entry for entry in came}
    changed = [(before[path], after[path]) for path in sorted(before.keys() & after.keys())]
    removed = [before[path] for path in sorted(before.keys() - after.keys())]
    added = [after[path] for path in sorted(after.keys() - before.keys())]
    return _with_renames(added, removed, changed)


def _different_lines(old: ManifestReader, new: ManifestReader) -> tuple[set[bytes], set[bytes]]:
    """Return a few lines of each side, among them all that only this side has."""
    shared = {p.digest for p in old.header.pages} & {p.digest for p in new.header.pages}
    before = {p.first: p.digest for p in old.header.pages if p.digest not in shared}
    after = {p.first: p.digest for p in new.header.pages if p.digest not in shared}
    gone: set[bytes] = set()
    came: set[bytes] = set()
    # Most pages keep their first path: compare such pairs at once, while they are in the cache.
    for first in before.keys() | after.keys():
        one = old.read_page(before[first]) if first in before else b""
        two = new.read_page(after[first]) if first in after else b""
        one, two = _without_ends(one, two)
        ones, twos = set(one.split(b"\n")), set(two.split(b"\n"))
        gone |= ones - twos
        came |= twos - ones
    gone.discard(b"")
    came.discard(b"")
    return gone, came


def _without_ends(one: bytes, two: bytes) -> tuple[bytes, bytes]:
    """Return both without the whole lines that they begin and end with in common."""
    start = _common(one, two)
    start = one.rfind(b"\n", 0, start) + 1
    one, two = one[start:], two[start:]
    end = _common(one[::-1], two[::-1])
    end = max(end - (one[len(one) - end :].find(b"\n") + 1), 0) if end else 0
    return one[: len(one) - end], two[: len(two) - end]


def _common(one: bytes, two: bytes) -> int:
    """Return how many bytes both begin with in common."""
    low, high = 0, min(len(one), len(two))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == two[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _with_renames(
    added: list[Entry], removed: list[Entry], changed: list[tuple[Entry, Entry]]
) -> Changes:
    sources: dict[str, list[Entry]] = {}
    for entry in reversed(removed):
        sources.setdefault(entry.digest, []).append(entry)
    renamed, really_added = [], []
    for entry in added:
        if sources.get(entry.digest):
            renamed.append((sources[entry.digest].pop(), entry))
        else:
            really_added.append(entry)
    moved = {source.path for source, _ in renamed}
    return Changes(
        really_added, [entry for entry in removed if entry.path not in moved], changed, renamed
    )
