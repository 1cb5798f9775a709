"""Pushes by hand, step by step, for the tests of the registry."""

from collections.abc import Iterable, Mapping

import msgspec

from cellbank.model.digest import digest_of
from cellbank.model.log import Table
from cellbank.model.manifest import Manifest, make_entry
from cellbank.model.reference import Package
from cellbank.storage.http_remote import HttpRemote
from cellbank.storage.layout import object_key
from cellbank.storage.packs import write_packs
from cellbank.storage.remote import Upload
from cellbank.storage.store import Store
from tests.registry.asking import API, Asker, Reply
from tests.storage.making import (
    LARGE,
    PACKAGE,
    draft,
    keep,
)

D = digest_of(LARGE)


def manifest_of(files: Mapping[str, bytes]) -> Manifest:
    return Manifest.of(make_entry(path, digest_of(data), len(data)) for path, data in files.items())


class Push:
    """A push by hand, step by step."""

    def __init__(self, asker: Asker, made: Manifest, package: Package = PACKAGE) -> None:
        self.ask = asker
        self.made = made
        self.home = f"{API}/packages/{package}"
        self.begun = asker.post(f"{self.home}/uploads", made.data)
        self.path = ""
        if self.begun.status == 200:
            self.path = f"{self.home}/uploads/{self.begun.json['upload']}"

    def pack(self, objects: Iterable[bytes]) -> Reply:
        packs = list(write_packs((digest_of(data), data) for data in objects))
        assert 1 == len(packs)
        return self.ask.post(f"{self.path}/packs", packs[0])

    def manifest(self) -> Reply:
        return self.pack([self.made.data, *self.made.pages.values()])

    def missing(self, **tables: Table) -> set[str]:
        named = msgspec.json.encode(tables) if tables else b""
        body = self.ask.post(f"{self.path}/missing", named).body
        end = 8 + 32 * int.from_bytes(body[:8], "little")
        found = {body[at : at + 32].hex() for at in range(8, end, 32)}
        return found | {body[at : at + 32].hex() for at in range(end, len(body), 40)}

    def put(self, data: bytes, digest: str = D, offset: int = 0) -> Reply:
        return self.ask.put(f"{self.path}/objects/{digest}?offset={offset}", data)

    def commit(self, **fields: object) -> Reply:
        wanted = msgspec.structs.replace(draft(self.made.revision), **fields)
        return self.ask.post(f"{self.path}/commit", msgspec.json.encode(wanted))


def refused(reply: Reply, status: int, error: str) -> None:
    assert (status, error) == (reply.status, reply.error), reply.body


def begun(remote: HttpRemote, store: Store, files: Mapping[str, bytes]) -> Upload:
    """Begin a push and send the manifest."""
    revision = keep(store, files)
    reader = store.reader(PACKAGE, revision)
    upload = remote.upload(PACKAGE, revision, store.read_small(PACKAGE, revision), reader)
    for pack in store.packs_of(PACKAGE, upload.pages()):
        upload.send_pack(pack)
    return upload


def send_all(upload: Upload, store: Store, files: Mapping[str, bytes]) -> None:
    """Send all that is missing."""
    missing = upload.missing()
    for pack in store.packs_of(PACKAGE, missing.small):
        upload.send_pack(pack)
    sizes = {digest_of(data): len(data) for data in files.values()}
    for digest in missing.large:
        path = store.files.path(object_key(digest))
        upload.send_object(digest, sizes[digest], path, lambda _: None)
