"""Compaction: many small packs of a package become few full ones."""

from collections.abc import Iterable
from typing import Final

from cellbank.model.digest import SMALL_BELOW, digest_of
from cellbank.model.errors import IntegrityError
from cellbank.model.manifest import decode_header, decode_page
from cellbank.model.reference import Package
from cellbank.storage.packs import read_pack, write_packs
from cellbank.storage.place import Place

MANY: Final = 32
SMALL_BYTES: Final = 4 << 20


def small_packs(place: Place, package: Package) -> list[str]:
    """Return the names of the packs under 4 MiB."""
    packs = place.packs(package)
    packs.refresh()
    sizes = {name: place.bucket.size(packs.key(name)) for name in packs.names()}
    return sorted(name for name, size in sizes.items() if size is not None and size < SMALL_BYTES)


def sorts(place: Place, package: Package, revisions: Iterable[str]) -> list[dict[str, None]]:
    """Return the small objects of these revisions by sort, each in the order of paths.

    The sorts are parts of manifests, with the tables of the package; documents; everything else.
    """
    tables = place.named_tables(package)
    parts = dict.fromkeys(table.digest for table in tables if table.size < SMALL_BELOW)
    read: set[str] = set()
    documents: dict[str, None] = {}
    other: dict[str, None] = {}
    for revision in revisions:
        if revision in read:
            continue
        read.add(revision)
        parts[revision] = None
        header = decode_header(place.read_small(package, revision))
        for info in header.pages:
            if info.digest in read:
                continue
            read.add(info.digest)
            parts[info.digest] = None
            for entry in decode_page(place.read_small(package, info.digest)):
                if entry.pieces is not None:
                    parts[entry.pieces] = None
                if entry.size < SMALL_BELOW:
                    (documents if entry.is_document else other)[entry.digest] = None
    return [parts, documents, other]


def compact(
    place: Place, package: Package, revisions: Iterable[str] = (), *, more_than: int = MANY
) -> int:
    """Rewrite the small packs of a package if there are more than so many; return how many went.

    `revisions` are those that are not in the log of this place. The old packs are removed when the
    new ones are durable; objects that no known revision names are carried along.
    """
    names = small_packs(place, package)
    if len(names) <= more_than:
        return 0
    packs = place.packs(package)
    batch = place.bucket.batch()
    made: set[str] = set()
    try:
        records = [kept.record for kept in place.records(package)]
        known = [*revisions, *(r.revision for r in records if r.revision)]
        groups = sorts(place, package, known)
        groups[0] |= dict.fromkeys(r.history for r in records if r.history)
        held: dict[str, bytes] = {}
        for name in names:
            held |= dict(read_pack(place.bucket.read(packs.key(name)), name))
        groups[2] |= dict.fromkeys(held.keys() - set().union(*groups))
        for group in groups:
            for pack in write_packs(
                (digest, held.pop(digest)) for digest in group if digest in held
            ):
                made.add(digest_of(pack))
                batch.add(packs.key(digest_of(pack)), pack)
        batch.commit()
        for name in names:
            if name not in made:
                place.bucket.delete(packs.key(name))
    except (OSError, IntegrityError):
        # Somebody else is at it, the disk is full, or a pack is damaged. What is not tidied now is
        # tidied after the next push; this one is done, and must not look as if it had failed.
        return 0
    finally:
        batch.abandon()
    packs.refresh()
    return len(names)
