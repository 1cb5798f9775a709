"""Small packages made by hand in a store, and a registry on loopback, for the tests of remotes."""

import secrets
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec

from cellbank.model.digest import PIECES_ABOVE, SMALL_BELOW, PieceHasher, digest_of
from cellbank.model.log import Draft, Kept, Table
from cellbank.model.manifest import Manifest, ManifestReader, make_entry
from cellbank.model.reference import Package
from cellbank.server import serve
from cellbank.storage.layout import object_key, package_key
from cellbank.storage.packs import write_packs
from cellbank.storage.remote import Remote
from cellbank.storage.store import Store
from cellbank.storage.transfer import fetch, fetch_manifest, plan_fetch, present_in, push

PACKAGE = Package("aics", "demo")
LARGE = bytes(range(256)) * 800
"""Large enough to be a file of its own."""
HUGE = b"".join(bytes([n]) * (1 << 20) for n in range(9))
"""Large enough to have a list of pieces."""
FILES = {
    "README.md": b"# cells",
    "a/info.json": b'{"a":1}',
    "a/image.tif": LARGE,
    "b/info.json": b'{"b":2}',
    "b/image.tif": LARGE[::-1],
    "b/mask.tif": b"mask",
}


def keep(store: Store, files: Mapping[str, bytes], package: Package = PACKAGE) -> str:
    """Put a revision with these files into a store, without a record; return its digest."""
    small, entries, batch = {}, [], store.files.batch()
    for path, data in files.items():
        digest, pieces = digest_of(data), None
        if len(data) > PIECES_ABOVE:
            hasher = PieceHasher()
            hasher.update(data)
            listed = hasher.piece_list()
            pieces = digest_of(listed)
            small[pieces] = listed
        if len(data) < SMALL_BELOW:
            small[digest] = data
        else:
            batch.add(object_key(digest), data)
        entries.append(make_entry(path, digest, len(data), pieces=pieces))
    made = Manifest.of(entries)
    parts = {made.revision: made.data, **made.pages}
    for group in (parts, small):
        for pack in write_packs(group.items()):
            batch.add(package_key(package, "packs", digest_of(pack)), pack)
    batch.commit()
    batch.abandon()
    store.packs(package).refresh()
    return made.revision


def keep_tables(
    store: Store, tables: Mapping[str, bytes], package: Package = PACKAGE
) -> dict[str, Table]:
    """Put metadata tables into a store, without a record; return what a draft says of them."""
    batch = store.files.batch()
    small = {digest_of(data): data for data in tables.values() if len(data) < SMALL_BELOW}
    for pack in write_packs(small.items()):
        batch.add(package_key(package, "packs", digest_of(pack)), pack)
    for data in tables.values():
        if len(data) >= SMALL_BELOW:
            batch.add(object_key(digest_of(data)), data)
    batch.commit()
    batch.abandon()
    store.packs(package).refresh()
    return {kind: Table(digest_of(data), len(data), "test") for kind, data in tables.items()}


def add_tables(store: Store, tables: Mapping[str, bytes], package: Package) -> dict[str, Table]:
    """Name tables of the latest revision in the log of a store, as a build does."""
    kept = keep_tables(store, tables, package)
    revision = store.state_of(package).record.state.latest
    store.append(package, event("tables", revision=revision, tables=kept))
    return kept


def draft(revision: str, base: str = "", **fields: object) -> Draft:
    """A draft of a push with a nonce of its own."""
    return Draft(event="push", nonce=secrets.token_hex(16), revision=revision, base=base, **fields)


def event(kind: str, **fields: object) -> Draft:
    """A draft of another event."""
    return Draft(event=kind, nonce=secrets.token_hex(16), **fields)


def push_files(
    store: Store,
    remote: Remote,
    files: Mapping[str, bytes] = FILES,
    *,
    base: str = "",
    package: Package = PACKAGE,
    public: bool | None = None,
) -> Kept:
    """Put files into a store and push them."""
    revision = keep(store, files, package)
    return push(store, remote, package, draft(revision, base), public=public)


def install(store: Store, remote: Remote, package: Package = PACKAGE) -> ManifestReader:
    """Fetch the newest revision with all its objects."""
    newest = remote.newest(package)
    reader = fetch_manifest(store, remote, package, newest.record.state.latest)
    fetch(store, remote, package, plan_fetch(reader, present_in(store, package)))
    return reader


def contents(store: Store, reader: ManifestReader, package: Package = PACKAGE) -> dict[str, bytes]:
    """Return the bytes of every entry, read from the store."""
    found = {}
    for entry in reader:
        path = store.file_of(package, entry)
        found[entry.path] = b"missing" if path is None else Path(path).read_bytes()
    return found


class Served(msgspec.Struct, frozen=True):
    """A registry that is running."""

    url: str
    token: str | None


@contextmanager
def served(folder: Path, **options: int) -> Iterator[Served]:
    """Serve a folder on a free port of this machine, until the block ends."""
    ready, stop = threading.Event(), threading.Event()
    told: list[Served] = []
    failed: list[BaseException] = []

    def on_ready(url: str, token: str | None) -> None:
        told.append(Served(url, token))
        ready.set()

    def run() -> None:
        try:
            serve(str(folder), on_ready=on_ready, stop=stop, **{"port": 0, **options})
        except BaseException as error:  # noqa: BLE001  raised again in the test
            failed.append(error)
            ready.set()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert ready.wait(20)
        if failed:
            raise failed[0]
        yield told[0]
    finally:
        stop.set()
        thread.join(20)
    assert not thread.is_alive()
