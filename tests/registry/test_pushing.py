"""Pushes by honest and by hostile clients: nothing wrong, foreign or unnamed gets in."""

from pathlib import Path

import msgspec
import pytest

from cellbank.model.digest import digest_of
from cellbank.model.errors import BadInput, RevisionNotFound
from cellbank.model.log import MAX_TABLE_BYTES, Table, decode_record
from cellbank.model.manifest import Manifest, make_entry
from cellbank.model.reference import Package
from cellbank.registry.pushed import MAX_HEADER_BYTES, Pushed
from cellbank.storage import transfer
from cellbank.storage.http_remote import HttpRemote
from cellbank.storage.layout import object_key
from cellbank.storage.packs import MAX_PACK_BYTES
from cellbank.storage.store import Store
from tests.registry.asking import API, Asker
from tests.registry.pushing import D, Push, begun, manifest_of, refused, send_all
from tests.storage.making import (
    FILES,
    HUGE,
    LARGE,
    PACKAGE,
    draft,
    event,
    keep,
    keep_tables,
    push_files,
    served,
)

DEMO = f"{API}/packages/{PACKAGE}"
SECRET = Package("aics", "secret")


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


# --- tables

FOVS = b"PAR1 fovs PAR1"
TABLE = Table(digest_of(FOVS), len(FOVS), "test")


def named(**tables: Table) -> bytes:
    return msgspec.json.encode(tables)


def test_tables_are_missing_until_they_came(push: Push, nobody: Asker) -> None:
    wells = Table(digest_of(LARGE[1:]), len(LARGE) - 1)
    tables = {"fovs": TABLE, "wells": wells}
    push.pack([b"a"])
    push.put(LARGE)
    assert set() == push.missing()
    refused(push.pack([FOVS]), 422, "BadPack")
    assert {TABLE.digest, wells.digest} == push.missing(**tables)
    refused(push.commit(tables=tables), 422, "Damaged")
    assert 200 == push.pack([FOVS]).status
    refused(push.put(LARGE[:-1], wells.digest), 422, "DigestMismatch")
    assert 200 == push.put(LARGE[1:], wells.digest).status
    assert set() == push.missing(**tables)
    assert tables == decode_record(push.commit(tables=tables).body).record.tables
    assert LARGE[1:] == nobody.get(f"{DEMO}/objects/{wells.digest}").body
    body = nobody.post(f"{DEMO}/objects/small", bytes.fromhex(TABLE.digest)).body
    assert FOVS in body


def test_a_table_of_another_size_is_refused(push: Push) -> None:
    assert TABLE.digest in push.missing(fovs=Table(TABLE.digest, 1))
    refused(push.pack([FOVS]), 422, "DigestMismatch")
    two = named(fovs=TABLE, wells=Table(TABLE.digest, 1))
    refused(push.ask.post(f"{push.path}/missing", two), 422, "NotCanonical")
    huge = Table(D, len(LARGE) + 1)
    refused(push.ask.post(f"{push.path}/missing", named(fovs=huge)), 422, "NotCanonical")
    assert {D, digest_of(b"a")} == push.missing()


@pytest.mark.parametrize(
    "tables",
    [
        {"Fovs": TABLE},
        {"../x": TABLE},
        {"": TABLE},
        {"fovs": Table("../x", 1)},
        {"fovs": Table(D, -1)},
        {"fovs": Table(D, MAX_TABLE_BYTES + 1)},
        {f"k{i}": TABLE for i in range(65)},
    ],
)
def test_tables_that_break_a_rule_are_refused(push: Push, tables: dict[str, Table]) -> None:
    reply = push.ask.post(f"{push.path}/missing", msgspec.json.encode(tables))
    refused(reply, 400, "RuleBroken")
    push.pack([b"a"])
    push.put(LARGE)
    refused(push.commit(tables=tables), 400, "RuleBroken")
    assert 200 == push.commit().status


@pytest.mark.parametrize("body", [b"[]", b"{", b'{"fovs":1}', b'{"fovs":{"digest":"x"}}'])
def test_tables_that_are_none_are_refused(push: Push, body: bytes) -> None:
    refused(push.ask.post(f"{push.path}/missing", body), 400, "BadInput")


def test_packs_are_named_by_nobody_but_the_registry(push: Push) -> None:
    push.pack([b"a"])
    push.put(LARGE)
    refused(push.commit(packs=[D]), 400, "BadInput")


def test_tables_of_a_revision_that_was_never_pushed_are_refused(push: Push, admin: Asker) -> None:
    push.pack([b"a"])
    push.put(LARGE)
    push.missing(fovs=TABLE)
    push.pack([FOVS])
    refused(push.commit(event="tables", tables={"fovs": TABLE}), 404, "RevisionNotFound")
    assert 404 == admin.get(DEMO).status
    assert 200 == push.commit(tables={"fovs": TABLE}).status


def test_other_events_name_no_tables(remote: HttpRemote, store: Store) -> None:
    revision = push_files(store, remote).record.revision
    for wanted in (
        event("tag", name="x", revision=revision, tables={"fovs": TABLE}),
        event("tables", revision=revision, tables={"fovs": TABLE}),
        event("purge", name=D),
    ):
        with pytest.raises(BadInput):
            remote.append(PACKAGE, wanted)


def test_tables_are_read_by_those_who_may_read_the_package(
    remote: HttpRemote, store: Store, nobody: Asker, admin: Asker
) -> None:
    push_files(store, remote)
    revision = keep(store, {"x": b"x"}, SECRET)
    tables = keep_tables(store, {"fovs": FOVS, "wells": LARGE[7:]}, SECRET)
    transfer.push(store, remote, SECRET, draft(revision, tables=tables), public=False)
    secret = f"{API}/packages/{SECRET}"
    for asker, home, status in ((admin, secret, 200), (nobody, secret, 404), (nobody, DEMO, 404)):
        assert status == asker.get(f"{home}/objects/{tables['wells'].digest}").status
    small = bytes.fromhex(TABLE.digest)
    assert FOVS in admin.post(f"{secret}/objects/small", small).body
    assert bytes(8) == nobody.post(f"{DEMO}/objects/small", small).body


def test_a_table_with_the_bytes_of_a_page_hides_nothing(
    remote: HttpRemote, store: Store, admin: Asker
) -> None:
    first = push_files(store, remote).record.revision
    made = manifest_of({"new.txt": b"new"})
    [page] = made.pages.values()
    tables = keep_tables(store, {"fovs": page})
    transfer.push(store, remote, PACKAGE, event("tables", revision=first, tables=tables))
    push_files(store, remote, {"new.txt": b"new"}, base=first)
    body = admin.post(f"{DEMO}/objects/small", bytes.fromhex(digest_of(b"new"))).body
    assert b"new" in body


def test_tables_that_came_before_a_restart_need_not_come_again(
    folder: Path, tmp_path: Path, store: Store
) -> None:
    made = manifest_of({"a.txt": b"a"})
    wells = Table(digest_of(LARGE), len(LARGE))
    tables = {"fovs": TABLE, "wells": wells}
    token = ""
    for again in range(2):
        with served(folder) as running:
            token = token or running.token or ""
            push = Push(Asker(running.url, token), made)
            if again:
                assert [] == push.begun.json["lacks"]
                assert set() == push.missing(**tables)
                assert tables == decode_record(push.commit(tables=tables).body).record.tables
            else:
                push.manifest()
                push.pack([b"a"])
                push.missing(**tables)
                push.pack([FOVS])
                push.put(LARGE, wells.digest)


@pytest.mark.parametrize("kind", ["tag", "version"])
def test_a_name_cannot_point_into_another_package(
    remote: HttpRemote, store: Store, kind: str
) -> None:
    push_files(store, remote)
    other = push_files(store, remote, {"x": b"secret"}, package=SECRET).record.revision
    with pytest.raises(RevisionNotFound):
        remote.append(PACKAGE, event(kind, name="1", revision=other))
