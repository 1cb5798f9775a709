"""Pushes by honest and by hostile clients: nothing wrong, foreign or unnamed gets in."""

import errno
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec
import pytest

from cellbank.model.digest import digest_of
from cellbank.model.errors import DiskFull, RevisionNotFound
from cellbank.model.log import decode_record
from cellbank.model.manifest import Manifest, make_entry
from cellbank.model.reference import Package
from cellbank.registry.pushed import MAX_HEADER_BYTES, Pushed
from cellbank.registry.uploads import MAX_UPLOADS
from cellbank.storage import disk
from cellbank.storage.http_remote import HttpRemote
from cellbank.storage.packs import MAX_PACK_BYTES, write_packs
from cellbank.storage.place import object_key
from cellbank.storage.remote import Upload
from cellbank.storage.store import Store
from tests.registry.asking import API, Asker, Reply
from tests.storage.making import (
    FILES,
    HUGE,
    LARGE,
    PACKAGE,
    contents,
    draft,
    event,
    install,
    keep,
    push_files,
    served,
)

DEMO = f"{API}/packages/{PACKAGE}"
SECRET = Package("aics", "secret")
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

    def missing(self) -> set[str]:
        body = self.ask.post(f"{self.path}/missing").body
        end = 8 + 32 * int.from_bytes(body[:8], "little")
        found = {body[at : at + 32].hex() for at in range(8, end, 32)}
        return found | {body[at : at + 32].hex() for at in range(end, len(body), 40)}

    def put(self, data: bytes, digest: str = D, offset: int = 0) -> Reply:
        return self.ask.put(f"{self.path}/objects/{digest}?offset={offset}", data)

    def commit(self, **fields: str) -> Reply:
        wanted = msgspec.structs.replace(draft(self.made.revision), **fields)
        return self.ask.post(f"{self.path}/commit", msgspec.json.encode(wanted))


@pytest.fixture
def push(admin: Asker) -> Push:
    """A push whose manifest has arrived."""
    begun = Push(admin, manifest_of({"a.txt": b"a", "large.tif": LARGE}))
    assert 200 == begun.manifest().status
    return begun


def refused(reply: Reply, status: int, error: str) -> None:
    assert (status, error) == (reply.status, reply.error), reply.body


# --- the way it goes


def test_a_push_by_hand(push: Push, nobody: Asker) -> None:
    assert push.missing() == {D, digest_of(b"a")}
    assert 200 == push.pack([b"a"]).status
    assert 100 == push.put(LARGE[:100]).json["offset"]
    assert len(LARGE) == push.put(LARGE[100:], offset=100).json["offset"]
    assert set() == push.missing()
    record = decode_record(push.commit(author="", time="1999-01-01T00:00:00Z").body).record
    assert ("admin", push.made.revision) == (record.author, record.state.latest)
    assert record.time > "2020"
    assert LARGE == nobody.get(f"{DEMO}/objects/{D}").body


def test_an_author_is_kept(remote: HttpRemote, store: Store) -> None:
    upload = begun(remote, store, FILES)
    send_all(upload, store, FILES)
    assert "Rosalind" == upload.append(draft(keep(store, FILES), author="Rosalind")).record.author


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


# --- the manifest


@pytest.mark.parametrize("header", [b"", b"{}", b"not json", b'{"bytes":-1}', b"[" * 10_000])
def test_a_header_that_is_none_is_refused(admin: Asker, header: bytes) -> None:
    refused(admin.post(f"{DEMO}/uploads", header), 422, "NotCanonical")


def test_a_header_that_is_too_large_is_refused(admin: Asker) -> None:
    refused(admin.post(f"{DEMO}/uploads", bytes(MAX_HEADER_BYTES + 1)), 400, "BadInput")


def test_objects_before_the_manifest_are_refused(admin: Asker) -> None:
    push = Push(admin, manifest_of({"a.txt": b"a"}))
    refused(push.pack([b"a"]), 400, "BadInput")
    refused(push.put(LARGE), 400, "BadInput")
    refused(push.ask.post(f"{push.path}/missing"), 400, "BadInput")
    refused(push.commit(), 400, "BadInput")


@pytest.mark.parametrize(
    ("paths", "error"),
    [
        (["../x"], "NotCanonical"),
        (["/x"], "NotCanonical"),
        (["con"], "NotCanonical"),
        (["a\\b"], "NotCanonical"),
        (["a", "A"], "InvalidPaths"),
        (["a", "a/b"], "InvalidPaths"),
        (["e\u0301"], "InvalidPaths"),
        (["a\u202eb"], "InvalidPaths"),
        (["ﬁ", "fi"], "InvalidPaths"),
    ],
)
def test_paths_that_break_the_rules_are_refused(admin: Asker, paths: list[str], error: str) -> None:
    push = Push(admin, manifest_of(dict.fromkeys(paths, b"x")))
    reply = push.manifest()
    refused(reply, reply.status, error)
    assert push.commit().status >= 400
    assert 404 == admin.get(DEMO).status


def test_a_page_that_another_program_would_cut_otherwise_is_refused(admin: Asker) -> None:
    made = manifest_of({"b": b"x", "a": b"y"})
    page = next(iter(made.pages.values()))
    forged = b"\n".join(reversed(page.split(b"\n")[:2])) + b"\n"
    header = made.data.replace(digest_of(page).encode(), digest_of(forged).encode())
    push = Push(admin, Manifest(made.header, header, {digest_of(forged): forged}))
    refused(push.manifest(), 422, "NotCanonical")


def test_one_digest_with_two_sizes_is_refused(admin: Asker) -> None:
    made = Manifest.of([make_entry("a", D, 5), make_entry("b", D, 6)])
    refused(Push(admin, made).manifest(), 422, "NotCanonical")


def test_a_list_of_pieces_that_fits_in_no_pack_is_a_file_of_its_own() -> None:
    pieces = digest_of(b"pieces")
    made = Manifest.of([make_entry("huge", D, 1 << 40, pieces=pieces)])
    pushed = Pushed(made.data)
    for digest, data in made.pages.items():
        pushed.take(digest, data)
    assert {D: 1 << 40, pieces: 32 << 20} == {
        digest: expected.size for digest, expected in pushed.check().large.items()
    }


# --- objects


def test_an_object_that_the_manifest_does_not_name_is_refused(push: Push) -> None:
    refused(push.pack([b"a", b"else"]), 422, "BadPack")
    refused(push.put(b"else", digest_of(b"else")), 400, "BadInput")


def test_a_small_object_of_another_size_is_refused(admin: Asker) -> None:
    push = Push(admin, Manifest.of([make_entry("a", digest_of(b"a"), 2)]))
    push.manifest()
    refused(push.pack([b"a"]), 422, "DigestMismatch")


def test_other_than_a_pack_is_refused(push: Push) -> None:
    refused(push.ask.post(f"{push.path}/packs", b"x" * 1000), 422, "BadPack")
    refused(push.ask.post(f"{push.path}/packs", bytes(MAX_PACK_BYTES + 1)), 400, "BadInput")


def test_wrong_bytes_are_dropped_and_may_come_again(push: Push, folder: Path) -> None:
    refused(push.put(bytes(len(LARGE))), 422, "DigestMismatch")
    assert not (folder / object_key(D)).exists()
    assert D in push.missing()
    assert 200 == push.put(LARGE).status


def test_more_bytes_than_the_object_has_are_refused(push: Push) -> None:
    refused(push.put(LARGE + b"x"), 400, "BadInput")
    assert 200 == push.put(LARGE).status


def test_bytes_that_do_not_fit_are_told_where_to_go_on(push: Push) -> None:
    push.put(LARGE[:1000])
    for offset in (0, 999, 1001):
        reply = push.put(LARGE[offset:], offset=offset)
        assert (409, {"offset": 1000}) == (reply.status, reply.json)
    assert 200 == push.put(LARGE[1000:], offset=1000).status


def test_an_object_that_has_come_may_come_again(push: Push) -> None:
    push.put(LARGE)
    reply = push.put(LARGE)
    assert (409, len(LARGE)) == (reply.status, reply.json["offset"])
    assert D not in push.missing()


@pytest.mark.parametrize("offset", ["-1", "x", "", str(len(LARGE) + 1), "9" * 30])
def test_an_impossible_offset_is_refused(push: Push, offset: str) -> None:
    reply = push.ask.put(f"{push.path}/objects/{D}?offset={offset}", b"x")
    assert reply.status in (400, 409)


def test_a_wrong_list_of_pieces_is_refused(admin: Asker) -> None:
    listed = bytes(32 * 9)
    entry = make_entry("huge", digest_of(HUGE), len(HUGE), pieces=digest_of(listed))
    push = Push(admin, Manifest.of([entry]))
    push.manifest()
    push.pack([listed])
    refused(push.put(HUGE, digest_of(HUGE)), 422, "DigestMismatch")


# --- the record


def test_a_record_before_all_has_come_is_refused(push: Push, admin: Asker) -> None:
    push.pack([b"a"])
    refused(push.commit(), 422, "Damaged")
    assert 404 == admin.get(DEMO).status


def test_a_draft_of_another_revision_is_refused(push: Push) -> None:
    push.pack([b"a"])
    push.put(LARGE)
    refused(push.commit(revision="0" * 64), 400, "BadInput")
    refused(push.commit(event="tag", name="x"), 400, "BadInput")
    refused(push.commit(nonce=""), 400, "BadInput")
    assert 200 == push.commit().status


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[]", b"\xff", b'{"event":1,"nonce":"x"}', b"x" * 2_000_000]
)
def test_a_body_that_is_no_draft_is_refused(push: Push, body: bytes) -> None:
    refused(push.ask.post(f"{push.path}/commit", body), 400, "BadInput")
    refused(push.ask.post(f"{push.home}/log", body), 400, "BadInput")


@pytest.mark.parametrize("kind", ["push", "purge", "tables", "nonsense"])
def test_only_events_without_objects_are_appended_alone(
    remote: HttpRemote, store: Store, kind: str
) -> None:
    revision = push_files(store, remote).record.revision
    with pytest.raises(ValueError, match="event"):
        remote.append(PACKAGE, event(kind, name="x", revision=revision))


@pytest.mark.parametrize("kind", ["tag", "version"])
def test_a_name_cannot_point_into_another_package(
    remote: HttpRemote, store: Store, kind: str
) -> None:
    push_files(store, remote)
    other = push_files(store, remote, {"x": b"secret"}, package=SECRET).record.revision
    with pytest.raises(RevisionNotFound):
        remote.append(PACKAGE, event(kind, name="1", revision=other))


# --- what others have


def test_naming_a_foreign_object_does_not_give_it(
    remote: HttpRemote, admin: Asker, store: Store
) -> None:
    push_files(store, remote, {"x": b"secret"}, package=SECRET, public=False)
    push = Push(admin, manifest_of({"mine": b"secret"}))
    push.manifest()
    assert {digest_of(b"secret")} == push.missing()
    refused(push.commit(), 422, "Damaged")
    assert 404 == admin.get(DEMO).status


def test_a_file_that_lies_there_unnamed_does_not_count(push: Push, folder: Path) -> None:
    path = folder / object_key(D)
    path.parent.mkdir(parents=True)
    path.write_bytes(LARGE)
    assert D in push.missing()


def test_a_large_object_that_the_caller_may_read_elsewhere_counts(
    remote: HttpRemote, store: Store, push: Push
) -> None:
    push_files(store, remote, {"x.tif": LARGE}, package=SECRET)
    assert {digest_of(b"a")} == push.missing()


def test_a_large_object_that_was_lost_is_sent_again(
    remote: HttpRemote, store: Store, folder: Path
) -> None:
    base = push_files(store, remote).record.revision
    (folder / object_key(D)).unlink()
    files = {**FILES, "new": b"new"}
    upload = begun(remote, store, files)
    assert {D: 0} == upload.missing().large
    send_all(upload, store, files)
    upload.append(draft(keep(store, files), base))
    assert (folder / object_key(D)).read_bytes() == LARGE


# --- public or private


@pytest.mark.parametrize(
    ("options", "asked", "seen"),
    [
        ({}, None, 200),
        ({}, False, 404),
        ({"public": False}, None, 404),
        ({"public": False}, True, 200),
    ],
)
def test_who_sees_a_new_package_is_decided_by_the_push_else_by_the_registry(
    folder: Path, store: Store, options: dict[str, bool], asked: bool | None, seen: int
) -> None:
    with served(folder, **options) as registry:
        remote = HttpRemote(registry.url, registry.token or "")
        push_files(store, remote, public=asked)
        remote.close()
        assert seen == Asker(registry.url).get(DEMO).status


def test_a_later_push_can_change_who_sees_it(
    remote: HttpRemote, store: Store, nobody: Asker
) -> None:
    base = push_files(store, remote, public=False).record.revision
    assert 404 == nobody.get(DEMO).status
    push_files(store, remote, {"x": b"x"}, base=base, public=True)
    assert 200 == nobody.get(DEMO).status


# --- the disk


def test_what_would_not_fit_is_refused_before_it_is_sent(
    push: Push, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    monkeypatch.setattr(disk, "free_bytes", lambda _: 1000)
    reply = push.ask.post(f"{push.path}/missing")
    refused(reply, 507, "DiskFull")
    assert str(folder).encode() not in reply.body


def test_a_disk_that_gets_full_midway_loses_nothing(
    push: Push, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    def full(kind: str, path: str) -> None:
        if kind == "write" and path.startswith(str(folder)):
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(disk, "fault", full)
    refused(push.put(LARGE), 507, "DiskFull")
    refused(push.pack([b"a"]), 507, "DiskFull")
    monkeypatch.setattr(disk, "fault", None)
    assert {D, digest_of(b"a")} == push.missing()
    assert 200 == push.put(LARGE).status
    assert 200 == push.pack([b"a"]).status
    assert 200 == push.commit().status


def test_a_full_disk_is_told_to_the_one_who_pushes(
    remote: HttpRemote, store: Store, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    free = disk.free_bytes
    monkeypatch.setattr(disk, "free_bytes", lambda f: 1 if f == str(folder) else free(f))
    with pytest.raises(DiskFull) as caught:
        push_files(store, remote)
    assert remote.address in caught.value.message


def test_a_barrier_that_fails_names_nothing(
    push: Push, monkeypatch: pytest.MonkeyPatch, admin: Asker
) -> None:
    push.pack([b"a"])
    push.put(LARGE)

    def broken(kind: str, _: str) -> None:
        if kind == "fsync":
            raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(disk, "fault", broken)
    refused(push.commit(), 507, "DiskError")
    monkeypatch.setattr(disk, "fault", None)
    assert 404 == admin.get(DEMO).status
    refused(push.commit(), 404, "NotFound")
    again = Push(admin, push.made)
    again.manifest()
    again.pack([b"a"])
    again.put(LARGE)
    assert 200 == again.commit().status


# --- many, and again


def test_the_same_push_has_the_same_name(push: Push, admin: Asker) -> None:
    assert push.path == Push(admin, push.made).path


def test_a_push_is_known_under_its_package_alone(push: Push, admin: Asker) -> None:
    path = push.path.replace(str(PACKAGE), str(SECRET))
    refused(admin.post(f"{path}/missing"), 404, "NotFound")
    refused(admin.post(f"{DEMO}/uploads/{'0' * 32}/missing"), 404, "NotFound")


def test_too_many_pushes_at_once_put_the_oldest_aside(push: Push, admin: Asker) -> None:
    push.put(LARGE[:1000])
    for number in range(MAX_UPLOADS):
        assert 200 == Push(admin, manifest_of({"n": b"%d" % number})).begun.status
    refused(admin.post(f"{push.path}/missing"), 404, "NotFound")
    again = Push(admin, push.made)
    assert [] == again.begun.json["lacks"]
    assert 409 == again.put(LARGE).status
    assert 200 == again.put(LARGE[1000:], offset=1000).status


def test_a_push_goes_on_after_a_restart(folder: Path, store: Store) -> None:
    files = {**FILES, "huge.tif": HUGE}
    with served(folder) as registry:
        token = registry.token or ""
        push = Push(Asker(registry.url, token), _manifest(store, files))
        push.manifest()
        push.pack([b"mask"])
        push.put(LARGE)
        push.missing()
        push.put(HUGE[: 5 << 20], digest_of(HUGE))
    with served(folder) as registry:
        again = Push(Asker(registry.url, token), push.made)
        assert [] == again.begun.json["lacks"]
        missing = again.missing()
        assert D not in missing
        assert digest_of(b"mask") not in missing
        reply = again.put(HUGE, digest_of(HUGE))
        assert (409, 5 << 20) == (reply.status, reply.json["offset"])
        remote = HttpRemote(registry.url, token)
        push_files(store, remote, files)
        other = Store.at(str(folder.parent / "other"))
        assert contents(other, install(other, remote)) == files
        remote.close()
    assert [] == [path.name for path in (folder / "staging").iterdir()]


def _manifest(store: Store, files: Mapping[str, bytes]) -> Manifest:
    revision = keep(store, files)
    reader = store.reader(PACKAGE, revision)
    pages = {page.digest: reader.read_page(page.digest) for page in reader.header.pages}
    return Manifest(reader.header, store.read_small(PACKAGE, revision), pages)


def test_a_client_goes_on_where_the_registry_was_restarted_under_it(
    folder: Path, store: Store
) -> None:
    with served(folder) as registry:
        token, port = registry.token or "", int(registry.url.rpartition(":")[2])
        remote = HttpRemote(registry.url, token)
        upload = begun(remote, store, FILES)
        upload.missing()
    with served(folder, port=port):
        send_all(upload, store, FILES)
        kept = upload.append(draft(keep(store, FILES)))
        assert kept == remote.newest(PACKAGE)
        remote.close()


def test_a_push_that_is_done_leaves_nothing_in_staging(
    remote: HttpRemote, store: Store, folder: Path
) -> None:
    push_files(store, remote)
    assert [] == list((folder / "staging").iterdir())


def test_a_name_that_is_not_allowed_cannot_be_pushed(admin: Asker) -> None:
    for name in ("con", "Demo", "api"):
        reply = admin.post(f"{API}/packages/aics/{name}/uploads", b"{}")
        refused(reply, 400, "InvalidName")
