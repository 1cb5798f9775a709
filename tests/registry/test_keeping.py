"""What a registry keeps: whose objects count, who sees them, and what faults and restarts leave."""

import errno
import socket
from collections.abc import Mapping
from pathlib import Path

import pytest

from cellbank.model.digest import digest_of
from cellbank.model.errors import DiskFull
from cellbank.model.manifest import Manifest
from cellbank.model.reference import Package
from cellbank.registry import wire
from cellbank.registry.uploads import MAX_UPLOADS
from cellbank.storage import disk
from cellbank.storage.http_remote import HttpRemote
from cellbank.storage.layout import object_key
from cellbank.storage.store import Store
from tests.registry.asking import API, Asker
from tests.registry.pushing import D, Push, begun, manifest_of, refused, send_all
from tests.storage.making import (
    FILES,
    HUGE,
    LARGE,
    PACKAGE,
    Served,
    contents,
    draft,
    install,
    keep,
    push_files,
    served,
)

DEMO = f"{API}/packages/{PACKAGE}"
SECRET = Package("aics", "secret")


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


def test_a_body_that_does_not_come_to_an_end_is_given_up(
    push: Push, registry: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "STILL_SECONDS", 0.05)
    host, port = registry.url.removeprefix("http://").split(":")
    head = f"PUT {push.path}/objects/{D}?offset=0 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n"
    head += f"authorization: Bearer {registry.token}\r\ncontent-length: {len(LARGE)}\r\n\r\n"
    with socket.create_connection((host, int(port)), timeout=10) as line:
        line.sendall(head.encode() + LARGE[:1000])
        assert b"400" in line.recv(1000).split(b"\r\n")[0]
    reply = push.put(LARGE)
    assert (409, 1000) == (reply.status, reply.json["offset"])
