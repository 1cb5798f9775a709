"""Pushes by honest and by hostile clients: nothing wrong, foreign or unnamed gets in."""

from pathlib import Path

import pytest

from cellbank.model.digest import digest_of
from cellbank.model.errors import RevisionNotFound
from cellbank.model.log import decode_record
from cellbank.model.manifest import Manifest, make_entry
from cellbank.model.reference import Package
from cellbank.registry.pushed import MAX_HEADER_BYTES, Pushed
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
    push_files,
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


@pytest.mark.parametrize("kind", ["tag", "version"])
def test_a_name_cannot_point_into_another_package(
    remote: HttpRemote, store: Store, kind: str
) -> None:
    push_files(store, remote)
    other = push_files(store, remote, {"x": b"secret"}, package=SECRET).record.revision
    with pytest.raises(RevisionNotFound):
        remote.append(PACKAGE, event(kind, name="1", revision=other))
