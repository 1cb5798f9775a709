"""Taking care of a store: verify and repair, collection of garbage, removal, several processes."""

import errno
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import cellbank
from cellbank.model.reference import Package
from cellbank.packages.verify import Damage, set_aside
from cellbank.storage import disk, gc
from cellbank.storage.local import remove_stale_staging
from cellbank.storage.store import Store

LARGE = 150_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "files"
    (root / "images").mkdir(parents=True)
    for i in range(4):
        (root / "images" / f"{i}.tif").write_bytes(bytes([i]) * LARGE)
        (root / f"{i}.json").write_text(f'{{"n": {i}}}')
    return root


@pytest.fixture
def remote(tmp_path: Path, folder: Path) -> str:
    """Return a folder remote that has `lab/cells`, built in the test's store."""
    cellbank.build("lab/cells", folder)
    cellbank.push("lab/cells", to=str(tmp_path / "remote"))
    return str(tmp_path / "remote")


def spoil(path: Path, at: int = -1) -> None:
    path.chmod(0o644)
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def object_file(home: Path, ref: str) -> Path:
    digest = cellbank.load(ref).digest
    return home / "objects" / digest[:2] / digest


def test_verify_names_every_damaged_entry_by_package_and_path(remote, own_home):
    spoil(object_file(own_home, "lab/cells/images/0.tif"))
    object_file(own_home, "lab/cells/images/2.tif").unlink()
    found = cellbank.verify()
    assert not found.good
    assert ["images/0.tif", "images/2.tif"] == [damage.path for damage in found.damaged]
    assert "lab/cells/images/0.tif: its bytes have changed" in str(found.damaged[0])
    assert (8, 4 * LARGE + 4 * 8) == (found.entries, found.bytes)


@pytest.mark.parametrize("at", [9, 100, -80, -1, 0])
def test_a_flipped_bit_anywhere_in_a_pack_is_found_and_repaired(remote, own_home, at):
    for pack in sorted((own_home / "packages").glob("*/*/packs/*")):
        data = [child.path for child in cellbank.tree("lab/cells").children if not child.is_group]
        before = {path: cellbank.load(f"lab/cells/{path}").digest for path in data}
        spoil(pack, at)
        found = cellbank.verify("lab/cells")
        assert not found.good, pack
        assert cellbank.verify("lab/cells", repair=True).good, pack
        assert cellbank.verify("lab/cells").good
        for path, digest in before.items():
            assert digest == cellbank.load(f"lab/cells/{path}").digest
            assert cellbank.load(f"lab/cells/{path}").bytes()


def test_one_repair_mends_large_objects_beside_a_damaged_manifest(remote, own_home):
    spoil(object_file(own_home, "lab/cells/images/0.tif"))
    for pack in (own_home / "packages").glob("*/*/packs/*"):
        spoil(pack, 100)
    assert cellbank.verify(repair=True).good
    assert cellbank.verify().good


@pytest.fixture
def in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Go to an empty store, with a remote that has a large file in two packages."""
    root = tmp_path / "pieces"
    root.mkdir()
    (root / "large.tif").write_bytes(bytes(range(256)) * (9 << 12))
    for name in ("lab/one", "lab/two"):
        (root / "name.txt").write_text(name)
        cellbank.build(name, root)
        cellbank.push(name, to=str(tmp_path / "remote"))
    monkeypatch.setenv("CELLBANK_HOME", str(tmp_path / "empty"))
    return str(tmp_path / "remote")


def test_what_another_package_brought_is_no_damage_of_a_part(in_pieces, tmp_path):
    cellbank.install("lab/one", in_pieces)
    cellbank.install("lab/two", in_pieces, path="name.txt")
    assert cellbank.verify().good
    assert 2 == cellbank.verify("lab/two").entries
    spoil(object_file(tmp_path / "empty", "lab/one/large.tif"))
    assert not cellbank.verify("lab/two").good
    assert cellbank.verify(repair=True).good


def test_an_object_whose_list_of_pieces_is_damaged_stays(in_pieces, tmp_path):
    cellbank.install("lab/one", in_pieces)
    file = object_file(tmp_path / "empty", "lab/one/large.tif")
    before = file.stat().st_ino
    for pack in (tmp_path / "empty/packages/lab/one/packs").iterdir():
        spoil(pack, 9)
    assert not cellbank.verify().good
    assert cellbank.verify(repair=True).good
    assert cellbank.verify().good
    assert before == file.stat().st_ino


def test_a_good_object_stays_whatever_an_entry_says_of_it(remote, own_home):
    file = object_file(own_home, "lab/cells/images/0.tif")
    wrong = Damage("lab/other", "image", file.name, "it has another size", LARGE + 1)
    set_aside(Store.at(str(own_home)), Package("lab", "other"), [wrong])
    assert file.exists()
    assert cellbank.verify().good


def move_on(remote: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Push another revision of `lab/one` from another store."""
    with monkeypatch.context() as patch:
        patch.setenv("CELLBANK_HOME", str(tmp_path / "another"))
        cellbank.install("lab/one", remote)
        draft = cellbank.edit("lab/one")
        draft.set("name.txt", b"another")
        draft.build()
        cellbank.push("lab/one", to=remote)


def test_what_was_chosen_of_an_earlier_revision_is_no_damage(in_pieces, tmp_path, monkeypatch):
    first = cellbank.install("lab/one", in_pieces, path="name*").revision
    move_on(in_pieces, tmp_path, monkeypatch)
    assert first != cellbank.install("lab/one", in_pieces).revision
    assert cellbank.verify(f"lab/one@{first}").good


def test_gc_makes_room_on_a_full_disk(in_pieces, tmp_path, monkeypatch):
    cellbank.install("lab/one", in_pieces)
    move_on(in_pieces, tmp_path, monkeypatch)
    cellbank.install("lab/one", in_pieces)
    garbage = tmp_path / "empty/objects/00" / ("00" * 32)
    garbage.parent.mkdir(exist_ok=True)
    garbage.write_bytes(b"garbage")

    def full(kind: str, _path: str) -> None:
        if kind == "write" and garbage.exists():
            raise OSError(errno.ENOSPC, "No space left on device")

    disk.fault = full
    try:
        assert 1 <= cellbank.gc().removed
    finally:
        disk.fault = None
    assert not garbage.exists()
    assert cellbank.verify().good


def test_gc_keeps_all_where_all_was_chosen(in_pieces):
    cellbank.install("lab/one", in_pieces, path="*")
    cellbank.install("lab/two", in_pieces, kind="entries")
    assert 0 == cellbank.gc().removed
    assert cellbank.verify().good


def test_repair_fetches_from_where_the_package_came_from(remote, own_home):
    spoil(object_file(own_home, "lab/cells/images/0.tif"))
    object_file(own_home, "lab/cells/images/2.tif").unlink()
    done = cellbank.verify(repair=True)
    assert done.good
    assert 2 == len(done.repaired)
    assert cellbank.verify().good
    assert 1 == len(list((own_home / "quarantine").iterdir()))


def test_what_cannot_be_repaired_is_said_and_the_rest_is_repaired(remote, own_home, tmp_path):
    for number in (0, 1):
        object_file(own_home, f"lab/cells/images/{number}.tif").unlink()
    digest = cellbank.load("lab/cells/images/1.tif").digest
    (Path(remote) / "objects" / digest[:2] / digest).unlink()
    done = cellbank.verify(repair=True)
    assert ["images/1.tif"] == [damage.path for damage in done.damaged]
    assert ["images/0.tif"] == [damage.path for damage in done.repaired]


def test_gc_removes_what_nothing_names_and_nothing_else(remote, own_home, tmp_path, monkeypatch):
    guest = tmp_path / "guest"
    monkeypatch.setenv("CELLBANK_HOME", str(guest))
    cellbank.install("lab/cells", from_=remote)
    assert 0 == cellbank.gc().removed
    first = cellbank.inspect("lab/cells").revision
    monkeypatch.setenv("CELLBANK_HOME", str(own_home))
    (tmp_path / "files" / "images" / "0.tif").write_bytes(b"n" * LARGE)
    cellbank.build("lab/cells", tmp_path / "files")
    cellbank.push("lab/cells")
    monkeypatch.setenv("CELLBANK_HOME", str(guest))
    cellbank.install("lab/cells")
    assert b"\0" * LARGE == cellbank.load(f"lab/cells@{first}/images/0.tif").bytes()
    done = cellbank.gc()
    assert done.bytes >= LARGE
    assert 4 == len(list(guest.glob("objects/*/*")))
    assert cellbank.verify().good
    with pytest.raises(LookupError):
        cellbank.load(f"lab/cells@{first}")


def test_gc_in_a_lab_keeps_every_revision_of_its_log(remote, own_home, tmp_path):
    first = cellbank.inspect("lab/cells").revision
    (tmp_path / "files" / "images" / "0.tif").write_bytes(b"n" * LARGE)
    cellbank.build("lab/cells", tmp_path / "files")
    cellbank.gc()
    assert b"\0" * LARGE == cellbank.load(f"lab/cells@{first}/images/0.tif").bytes()


def test_gc_that_cannot_read_a_manifest_removes_nothing(remote, own_home):
    extra = own_home / "objects" / "00" / ("00" * 32)
    extra.parent.mkdir(exist_ok=True)
    extra.write_bytes(b"garbage")
    for pack in (own_home / "packages").glob("*/*/packs/*"):
        spoil(pack, 9)
    with pytest.raises(cellbank.CellbankError):
        cellbank.gc()
    assert extra.exists()


def test_gc_beside_a_running_transaction_condemns_and_removes_after_a_day(remote, own_home):
    extra = own_home / "objects" / "00" / ("00" * 32)
    extra.parent.mkdir(exist_ok=True)
    extra.write_bytes(b"garbage")
    store = Store.at(str(own_home))
    now = datetime.now(UTC)
    with store.transaction():
        assert 1 == gc.collect(store, now=now).condemned
        assert {"00" * 32} == store.condemned()
        assert 0 == gc.collect(store, now=now + timedelta(hours=23)).removed
        assert extra.exists()
        assert 1 == gc.collect(store, now=now + timedelta(hours=25)).removed
    assert not extra.exists()
    assert cellbank.verify().good


def test_a_condemned_object_is_fetched_again_before_it_is_counted_on(remote, own_home):
    digest = cellbank.load("lab/cells/images/0.tif").digest
    store = Store.at(str(own_home))
    gc._condemn(store, {digest}, datetime.now(UTC))
    done = cellbank.install("lab/cells", from_=remote)
    assert 1 == done.objects


def test_removing_a_package_frees_what_only_it_had(remote, own_home, folder):
    (folder / "images" / "0.tif").write_bytes(b"other" * LARGE)
    cellbank.build("lab/more", folder)
    done = cellbank.remove("lab/cells")
    assert LARGE < done.bytes < 2 * LARGE
    assert ["lab/more"] == [str(found) for found in cellbank.ls()]
    assert cellbank.verify().good
    with pytest.raises(LookupError, match="cellbank install lab/cells"):
        cellbank.load("lab/cells")
    assert cellbank.install("lab/cells", from_=remote).changed


def test_the_shares_of_packages_add_up(remote, folder):
    (folder / "images" / "0.tif").write_bytes(b"o" * LARGE)
    cellbank.build("lab/more", folder)
    cells, more = cellbank.du()
    assert (3 * LARGE, 3 * LARGE) == (cells.shared, more.shared)
    assert (LARGE + 32, LARGE + 32) == (cells.alone, more.alone)


def test_stale_staging_goes_and_what_a_living_process_writes_stays(own_home):
    store = Store.at(str(own_home))
    disk.make_folders(store.files.staging)
    old = Path(store.files.staging) / "old.1"
    held = Path(store.files.staging) / "held.1"
    fresh = Path(store.files.staging) / "fresh.1"
    for path in (old, held, fresh):
        path.write_bytes(b"part")
    for path in (old, held):
        os.utime(path, (0, 0))
    descriptor = os.open(held, os.O_RDONLY)
    assert disk.try_lock(descriptor)
    assert 1 == remove_stale_staging(store.files)
    os.close(descriptor)
    assert (False, True, True) == (old.exists(), held.exists(), fresh.exists())


WORKER = """
import sys, cellbank
kind, number, folder, remote = sys.argv[1:]
for _ in range(3):
    if kind == "install":
        cellbank.install("lab/cells", from_=remote)
    elif kind == "build":
        cellbank.build(f"lab/own{number}", folder)
    elif kind == "gc":
        cellbank.gc()
    else:
        assert cellbank.verify("lab/cells").good
"""


def test_several_processes_work_in_one_store_at_once(remote, folder, tmp_path):
    home = str(tmp_path / "shared")
    environment = {**os.environ, "CELLBANK_HOME": home}
    subprocess.run(
        [sys.executable, "-c", WORKER, "install", "0", folder, remote], env=environment, check=True
    )
    kinds = ["install", "build", "gc", "verify", "install", "build", "gc", "verify"]
    running = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, kind, str(i), folder, remote],
            env=environment,
            stderr=subprocess.PIPE,
        )
        for i, kind in enumerate(kinds)
    ]
    for process in running:
        _, errors = process.communicate(timeout=60)
        assert 0 == process.returncode, errors.decode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CELLBANK_HOME", home)
        assert ["lab/cells", "lab/own1", "lab/own5"] == [str(found) for found in cellbank.ls()]
        assert cellbank.verify().good


BUILDER = """
import sys, cellbank
from pathlib import Path
folder = Path(sys.argv[1]); folder.mkdir()
(folder / "n").write_text(sys.argv[1])
print(cellbank.build("lab/race", folder).revision)
"""


def test_builds_of_one_package_at_once_are_all_in_its_log(tmp_path):
    running = [
        subprocess.Popen(
            [sys.executable, "-c", BUILDER, str(tmp_path / f"r{i}")],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for i in range(6)
    ]
    ended = [process.communicate(timeout=60) for process in running]
    done = {out.strip() for out, _ in ended if out.strip()}
    refused = [errors for _, errors in ended if "PushConflict" in errors]
    assert 6 == len(done) + len(refused)
    assert done
    assert done == {event.revision for event in cellbank.log("lab/race")}


def test_a_file_that_says_what_is_installed_and_cannot_be_read_stops_nothing_else(
    remote, own_home, folder
):
    cellbank.build("lab/more", folder)
    (own_home / "pkgs" / "lab" / "cells").write_bytes(b"")
    assert {"lab/cells": "damaged", "lab/more": "all"} == {str(p): p.want for p in cellbank.ls()}
    assert cellbank.verify("lab/more").good
    found = cellbank.verify()
    assert ["lab/cells"] == [damage.package for damage in found.damaged]
    done = cellbank.verify(repair=True)
    assert done.good
    assert ["lab/cells"] == [damage.package for damage in done.repaired]
    assert cellbank.verify().good


def test_what_says_what_is_installed_is_fetched_again_where_there_is_no_log(
    remote, own_home, tmp_path, monkeypatch
):
    monkeypatch.setenv("CELLBANK_HOME", str(tmp_path / "guest"))
    cellbank.install("lab/cells", from_=remote)
    (tmp_path / "guest" / "pkgs" / "lab" / "cells").write_text("{")
    assert not cellbank.verify(repair=True).good
    assert cellbank.verify(repair=True, from_=remote).good
    (tmp_path / "guest" / "pkgs" / "lab" / "cells").write_text("{")
    assert cellbank.install("lab/cells", from_=remote).changed
    (tmp_path / "guest" / "pkgs" / "lab" / "cells").write_text("{")
    cellbank.remove("lab/cells")
    assert [] == cellbank.ls()


def test_a_damaged_record_is_found_and_named_by_its_path(remote, own_home):
    [record] = (own_home / "packages" / "lab" / "cells" / "log").iterdir()
    record.chmod(0o644)
    record.write_text("{}")
    found = cellbank.verify("lab/cells")
    assert not found.good
    assert str(record) in str(found.damaged[0])


def test_a_push_out_of_a_borrowed_store_leaves_nothing_half_here(
    remote, own_home, tmp_path, monkeypatch
):
    monkeypatch.setenv("CELLBANK_HOME", str(tmp_path / "guest"))
    monkeypatch.setenv("CELLBANK_PATH", str(own_home))
    assert cellbank.push("lab/cells", to=str(tmp_path / "mirror")).changed
    monkeypatch.delenv("CELLBANK_PATH")
    assert [] == cellbank.ls()
    assert cellbank.verify().good


ADDER = """
import sys, cellbank.api
cellbank.api.add_remote(sys.argv[1], "/somewhere/" + sys.argv[1])
"""


def test_remotes_that_are_added_at_once_are_all_kept(own_home):
    names = [f"r{i}" for i in range(8)]
    running = [subprocess.Popen([sys.executable, "-c", ADDER, name]) for name in names]
    assert [0] * 8 == [process.wait(timeout=60) for process in running]
    assert set(names) == set(cellbank.remotes())
