"""Metadata tables travel with packages: pushed, installed, checked, collected, removed."""

from collections.abc import Callable
from pathlib import Path

import pytest

import cellbank
from cellbank.api import Said
from cellbank.model.digest import digest_of
from cellbank.model.errors import Damaged, DigestMismatch, DiskFull
from cellbank.model.log import Table
from cellbank.model.reference import Package
from cellbank.storage import disk
from cellbank.storage.layout import object_key
from cellbank.storage.place import Place
from cellbank.storage.remote import BucketRemote
from cellbank.storage.store import Store
from tests.storage.making import add_tables, served

CELLS = Package("lab", "cells")
FOVS = b"PAR1 fovs PAR1"
WELLS = b"PAR1" + bytes(200_000)
TABLES = {"fovs": FOVS, "wells": WELLS}


class Lab:
    """A store `lab` that builds and pushes to a folder, and others that install."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = root
        self.remote = str(root / "remote")
        self._monkeypatch = monkeypatch
        self.said: list[str] = []

    def at(self, home: str, *borrowed: str) -> None:
        self._monkeypatch.setenv("CELLBANK_HOME", str(self.root / home))
        paths = ":".join(str(self.root / name) for name in borrowed)
        self._monkeypatch.setenv("CELLBANK_PATH", paths)

    def store(self, home: str, *borrowed: str) -> Store:
        return Store.at(str(self.root / home), [str(self.root / name) for name in borrowed])

    def place(self) -> Place:
        return BucketRemote.open(self.remote).place

    def watch(self, event: object) -> None:
        if isinstance(event, Said):
            self.said.append(event.text)


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """A package of two files with two tables, built in `lab` and pushed."""
    made = Lab(tmp_path, monkeypatch)
    (tmp_path / "files" / "a").mkdir(parents=True)
    (tmp_path / "files" / "a" / "one.json").write_bytes(b"1")
    (tmp_path / "files" / "two.bin").write_bytes(b"2" * 150_000)
    made.at("lab")
    cellbank.build("lab/cells", tmp_path / "files")
    add_tables(made.store("lab"), TABLES, CELLS)
    cellbank.push("lab/cells", to=made.remote)
    return made


def read(store: Store) -> dict[str, bytes]:
    """Return the bytes of all tables of what is installed."""
    tables = store.tables(CELLS, store.need_installed(CELLS).revision)
    return {kind: store.read_table(CELLS, table) for kind, table in tables.items()}


def table_of(data: bytes, store: Store) -> Table:
    tables = store.tables(CELLS, store.need_installed(CELLS).revision)
    return next(table for table in tables.values() if table.size == len(data))


# --- push


def test_a_push_brings_the_tables_and_the_record_names_them(lab: Lab) -> None:
    record = lab.place().state_of(CELLS).record
    assert ("push", lab.store("lab").tables(CELLS, record.revision)) == (
        record.event,
        record.tables,
    )


def test_new_tables_of_an_unchanged_revision_are_an_event_once(lab: Lab) -> None:
    newer = {"fovs": b"PAR1 newer PAR1", "cells": WELLS[1:]}
    add_tables(lab.store("lab"), newer, CELLS)
    pushed = cellbank.push("lab/cells", to=lab.remote)
    record = lab.place().state_of(CELLS).record
    assert (True, 1, "tables") == (pushed.changed, pushed.number, record.event)
    assert ["cells", "fovs"] == sorted(record.tables)
    again = cellbank.push("lab/cells", to=lab.remote)
    assert (False, 1) == (again.changed, again.number)
    lab.at("guest")
    cellbank.install("lab/cells", from_=lab.remote)
    assert newer == read(lab.store("guest"))


def test_who_has_no_tables_takes_none_away(lab: Lab) -> None:
    lab.at("guest")
    cellbank.install("lab/cells", from_=lab.remote)
    store = lab.store("guest")
    for table in store.need_installed(CELLS).tables.values():
        disk.remove(store.files.path(object_key(table.digest)))
    assert not cellbank.push("lab/cells").changed
    cellbank.push("lab/cells", public=True)
    record = lab.place().state_of(CELLS).record
    assert ("push", ["fovs"]) == (record.event, sorted(record.tables))


# --- install


@pytest.mark.parametrize("ref", ["lab/cells", "lab/cells/a"])
def test_an_install_brings_the_tables_also_with_a_part(lab: Lab, ref: str) -> None:
    lab.at("guest")
    done = cellbank.install(ref, from_=lab.remote)
    store = lab.store("guest")
    assert TABLES == read(store)
    path = store.file_of(CELLS, table_of(FOVS, store))
    assert FOVS == Path(path or "").read_bytes()
    assert (True, 4 if ref == "lab/cells" else 3) == (done.changed, done.objects)
    lab.said = []
    assert not cellbank.install(ref, watch=lab.watch).changed
    assert "lab/cells is up to date" in lab.said


def test_who_built_and_pushed_is_up_to_date(lab: Lab) -> None:
    assert not cellbank.install("lab/cells").changed


def test_a_dry_run_counts_the_tables(lab: Lab) -> None:
    lab.at("guest")
    asked = cellbank.install("lab/cells", from_=lab.remote, dry_run=True)
    assert (4, 150_001 + len(FOVS) + len(WELLS)) == (asked.objects, asked.bytes)


def test_a_disk_that_is_too_small_for_the_tables_is_told_before_the_first_byte(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.at("guest")
    monkeypatch.setattr(disk, "free_bytes", lambda _: 200_000)
    with pytest.raises(DiskFull):
        cellbank.install("lab/cells", from_=lab.remote)
    assert [] == list((lab.root / "guest" / "objects").glob("*/*"))


def test_tables_come_over_http(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    with served(lab.root / "registry") as registry:
        monkeypatch.setenv("CELLBANK_TOKEN", registry.token or "")
        cellbank.push("lab/cells", to=registry.url, public=True)
        monkeypatch.delenv("CELLBANK_TOKEN")
        lab.at("guest")
        cellbank.install("lab/cells", from_=registry.url)
        assert TABLES == read(lab.store("guest"))


def lose(path: Path) -> None:
    path.unlink()


def spoil(path: Path) -> None:
    path.chmod(0o644)
    path.write_bytes(bytes(path.stat().st_size))


@pytest.mark.parametrize("harm", [lose, spoil])
def test_a_table_that_cannot_be_had_fails_no_install_and_comes_with_the_next(
    lab: Lab, harm: Callable[[Path], None]
) -> None:
    at = Path(lab.remote) / object_key(table_of(WELLS, lab.store("lab")).digest)
    harm(at)
    lab.at("guest")
    assert cellbank.install("lab/cells", from_=lab.remote, watch=lab.watch).changed
    assert any(text.startswith("The table wells of lab/cells is left out") for text in lab.said)
    assert {"fovs": FOVS} == read(lab.store("guest"))
    assert cellbank.verify().good
    assert not cellbank.install("lab/cells").changed
    at.unlink(missing_ok=True)
    at.write_bytes(WELLS)
    assert cellbank.install("lab/cells").changed
    assert TABLES == read(lab.store("guest"))


def test_tables_of_a_borrowed_store_are_read_there(lab: Lab) -> None:
    lab.at("guest")
    cellbank.install("lab/cells", from_=lab.remote)
    for home in ("lab", "guest"):
        assert TABLES == read(lab.store("fresh", home))


def test_a_table_that_is_not_here_or_has_changed_is_not_given_out(lab: Lab) -> None:
    store = lab.store("lab")
    table = table_of(WELLS, store)
    spoil(Path(store.files.path(object_key(table.digest))))
    with pytest.raises(DigestMismatch):
        store.read_table(CELLS, table)
    disk.remove(store.files.path(object_key(table.digest)))
    with pytest.raises(Damaged):
        store.read_table(CELLS, table)
    with pytest.raises(DigestMismatch):
        store.read_table(CELLS, Table(table_of(FOVS, store).digest, 3))


# --- care


@pytest.mark.parametrize("home", ["lab", "guest"])
def test_gc_keeps_tables_that_are_named(lab: Lab, home: str) -> None:
    lab.at("guest")
    cellbank.install("lab/cells", from_=lab.remote)
    lab.at(home)
    (lab.root / "files" / "more").write_bytes(b"more")
    cellbank.build("lab/more", lab.root / "files")
    cellbank.gc()
    assert TABLES == read(lab.store(home))


def test_gc_removes_tables_that_nothing_names_any_more(lab: Lab) -> None:
    lab.at("guest")
    cellbank.install("lab/cells", from_=lab.remote)
    wells = object_key(table_of(WELLS, lab.store("guest")).digest)
    add_tables(lab.store("lab"), {"fovs": FOVS + b"2"}, CELLS)
    lab.at("lab")
    cellbank.push("lab/cells", to=lab.remote)
    lab.at("guest")
    cellbank.install("lab/cells")
    cellbank.gc()
    store = lab.store("guest")
    assert {"fovs": FOVS + b"2"} == read(store)
    assert (None, set()) == (
        store.files.size(wells),
        store.has_small(CELLS, [digest_of(FOVS)]),
    )


@pytest.mark.parametrize("home", ["lab", "guest"])
def test_removing_a_package_removes_its_tables(lab: Lab, home: str) -> None:
    lab.at("guest")
    cellbank.install("lab/cells", from_=lab.remote)
    lab.at(home)
    cellbank.remove("lab/cells")
    assert [] == list((lab.root / home / "objects").glob("*/*"))


def test_tables_count_in_what_a_package_holds(lab: Lab) -> None:
    [share] = cellbank.du()
    assert 150_001 + len(FOVS) + len(WELLS) == share.alone


def spoil_small(lab: Lab) -> None:
    for pack in (lab.root / "guest" / "packages" / "lab" / "cells" / "packs").iterdir():
        if FOVS in pack.read_bytes():
            pack.chmod(0o644)
            pack.write_bytes(pack.read_bytes().replace(FOVS, FOVS[::-1]))


def spoil_large(lab: Lab) -> None:
    store = lab.store("guest")
    spoil(Path(store.files.path(object_key(table_of(WELLS, store).digest))))


@pytest.mark.parametrize(("harm", "kind"), [(spoil_small, "fovs"), (spoil_large, "wells")])
def test_a_damaged_table_is_named_and_repaired(
    lab: Lab, harm: Callable[[Lab], None], kind: str
) -> None:
    lab.at("guest")
    cellbank.install("lab/cells", from_=lab.remote)
    harm(lab)
    [damage] = cellbank.verify().damaged
    assert ("", kind) == (damage.path, damage.table)
    assert str(damage).startswith(f"lab/cells (its table {kind}): ")
    found = cellbank.verify(repair=True)
    assert ([kind], []) == ([damage.table for damage in found.repaired], found.damaged)
    assert cellbank.verify().good
    assert TABLES == read(lab.store("guest"))


def test_one_repair_mends_tables_beside_the_manifest_and_entries(lab: Lab) -> None:
    lab.at("guest")
    cellbank.install("lab/cells", from_=lab.remote)
    for path in (lab.root / "guest").glob("packages/lab/cells/packs/*"):
        spoil(path)
    for path in (lab.root / "guest").glob("objects/*/*"):
        spoil(path)
    assert cellbank.verify(repair=True).good
    assert TABLES == read(lab.store("guest"))
