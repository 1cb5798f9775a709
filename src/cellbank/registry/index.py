"""What is reachable: the objects that the revisions in a package's log name."""

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Collection
from typing import Final

from cellbank.model.digest import SMALL_BELOW
from cellbank.model.errors import IntegrityError
from cellbank.model.log import Record
from cellbank.model.manifest import Entry, decode_header, decode_page
from cellbank.model.reference import Package
from cellbank.storage.packs import MAX_OBJECT_BYTES
from cellbank.storage.place import Place

MAX_DIGESTS: Final = 4_000_000
"""So many digests are kept in memory; packages not asked for lately are forgotten first."""
FRESH_SECONDS: Final = 1.0
PIECE_LIST: Final = 32

log = logging.getLogger(__name__)


class Reach:
    """The objects of one package, with their sizes.

    `small` holds what lies in packs, also headers, pages (of unknown size, -1) and lists of
    pieces; `pieces` maps an object to its list. `pages` are those that were read: that one is
    named does not say so, for an entry or a table may have the bytes of a page.
    """

    def __init__(self) -> None:
        self.newest = ""
        self.number = -1
        self.looked = 0.0
        self.small: dict[str, int] = {}
        self.large: dict[str, int] = {}
        self.pieces: dict[str, str] = {}
        self.revisions: set[str] = set()
        self.pages: set[str] = set()

    def __len__(self) -> int:
        return len(self.small) + len(self.large)

    def has(self, digest: str) -> bool:
        """Whether the package reaches the object."""
        return digest in self.small or digest in self.large

    def add_object(self, digest: str, size: int) -> None:
        """Take an object, by its size."""
        (self.small if size < SMALL_BELOW else self.large)[digest] = size

    def add(self, entry: Entry) -> None:
        """Take what an entry names."""
        if entry.pieces is not None:
            self.pieces[entry.digest] = entry.pieces
            length = pieces_size(entry.size)
            # What fits in no pack is a file of its own.
            (self.small if length <= MAX_OBJECT_BYTES else self.large)[entry.pieces] = length
        self.add_object(entry.digest, entry.size)


def pieces_size(size: int) -> int:
    """Return how long the list of pieces of an object is."""
    return PIECE_LIST * -(-size // (1 << 20))


class Index:
    """The reach of every package, read from its log when it is asked for.

    Invariant: it is derived from the place and can be forgotten at any time.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self._reaches: OrderedDict[Package, Reach] = OrderedDict()
        self._lock = threading.Lock()
        self._locks: dict[Package, threading.Lock] = {}

    def reach(self, package: Package, *, wanted: str = "") -> Reach:
        """Return the reach of a package as of now.

        Where it has `wanted`, and was brought up to date within the last second, that is enough.
        """
        with self._lock:
            known = self._reaches.get(package)
            lock = self._locks.setdefault(package, threading.Lock())
            fresh = known is not None and time.monotonic() - known.looked < FRESH_SECONDS
        if known is not None and fresh and known.has(wanted):
            return known
        with lock:
            with self._lock:
                known = self._reaches.get(package)
            found = self._updated(package, known)
            with self._lock:
                self._reaches[package] = found
                self._reaches.move_to_end(package)
                self._forget()
        return found

    def _forget(self) -> None:
        while len(self._reaches) > 1 and sum(map(len, self._reaches.values())) > MAX_DIGESTS:
            self._reaches.popitem(last=False)

    def _updated(self, package: Package, known: Reach | None) -> Reach:
        now = time.monotonic()
        newest = self._place.newest(package)
        if newest is None:
            return Reach()
        if known is not None and known.newest == newest.digest:
            known.looked = now
            return known
        found = known or Reach()
        fresh: list[Record] = []
        for kept in self._place.records(package):
            if known is not None and kept.record.number <= known.number:
                if kept.digest != known.newest:
                    # Not the log that we knew: begin anew.
                    return self._updated(package, None)
                break
            fresh.append(kept.record)
        broken = [r for r in reversed(fresh) if not self._add(package, r, found)]
        for digest in newest.record.state.gone:
            found.small.pop(digest, None)
            found.large.pop(digest, None)
        found.newest, found.number, found.looked = newest.digest, newest.record.number, now
        if broken:
            # What could not be read now may be readable later: look at the whole log again.
            found.newest, found.number = "", -1
        return found

    def _add(self, package: Package, record: Record, found: Reach) -> bool:
        """Take what a record names; return whether all of it could be read."""
        if record.history:
            found.small[record.history] = -1
        for table in record.tables.values():
            found.add_object(table.digest, table.size)
        if record.event != "push" or record.revision in found.revisions:
            return True
        found.small[record.revision] = -1
        try:
            header = decode_header(self._place.read_small(package, record.revision))
        except IntegrityError as error:
            log.warning("%s: %s", package, error.message)
            return False
        lacking = [page.digest for page in header.pages if page.digest not in found.pages]
        try:
            for digest, data in self._place.read_many(package, lacking):
                for entry in decode_page(data):
                    found.add(entry)
                found.small[digest] = len(data)
                found.pages.add(digest)
        except IntegrityError as error:
            log.warning("%s: %s", package, error.message)
            return False
        if any(digest not in found.pages for digest in lacking):
            log.warning("%s: pages of %s are missing", package, record.revision)
            return False
        found.revisions.add(record.revision)
        return True

    def elsewhere(self, packages: Collection[Package], large: dict[str, int]) -> set[str]:
        """Return those of the large objects that one of these packages reaches."""
        found: set[str] = set()
        for package in packages:
            if len(found) == len(large):
                break
            theirs = self.reach(package).large
            found |= {d for d, size in large.items() if d not in found and theirs.get(d) == size}
        return found
