"""Installing the metadata only: what comes, what it becomes, how the store is cared for."""

import shutil
from pathlib import Path

import pytest

import cellbank
from cellbank.api import Said
from cellbank.model.errors import (
    InvalidReference,
    NotFetched,
    RemoteNotFound,
    WouldOverwrite,
)
from cellbank.model.reference import Package
from cellbank.storage.store import Store
from tests.storage.making import add_tables

LARGE = 150_000
CELLS = Package("lab", "cells")
FILES = {
    "README.md": b"# cells",
    "a/one.json": b'{"n": 1}',
    "a/one.tif": b"1" * LARGE,
    "a/mask.tif": b"mask",
    "b/two.json": b'{"n": 2}',
    "b/two.tif": b"2" * LARGE,
    "b/wells.csv": b"well\n" * 50_000,
}
DOCUMENTS = {path: data for path, data in FILES.items() if not path.endswith(".tif")}
METADATA = sum(map(len, DOCUMENTS.values()))


class Lab:
    """Two stores and a folder remote; `at` says in which store the next call works."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = root
        self.remote = str(root / "remote")
        self.monkeypatch = monkeypatch
        self.said: list[str] = []

    def at(self, home: str) -> Store:
        self.monkeypatch.setenv("CELLBANK_HOME", str(self.root / home))
        return Store.at(str(self.root / home))

    def publish(self, files: dict[str, bytes] = FILES) -> str:
        self.at("lab")
        for path, data in files.items():
            (self.root / "files" / path).parent.mkdir(parents=True, exist_ok=True)
            (self.root / "files" / path).write_bytes(data)
        built = cellbank.build("lab/cells", self.root / "files")
        cellbank.push("lab/cells", to=self.remote)
        self.at("guest")
        return built.revision

    def install(self, ref: str = "lab/cells", **options):
        options.setdefault("metadata_only", True)
        self.said.clear()
        return cellbank.install(ref, from_=self.remote, watch=self._watch, **options)

    def _watch(self, event: object) -> None:
        if isinstance(event, Said):
            self.said.append(event.text)

    def here(self) -> set[str]:
        """The paths of the entries whose bytes are in the store."""
        cells = cellbank.load("lab/cells")
        return {path for path in FILES if cells[path].fetched}

    def lose_the_remote(self) -> None:
        Path(self.remote).rename(self.root / "away")


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    lab = Lab(tmp_path, monkeypatch)
    lab.publish()
    return lab


def test_documents_come_and_nothing_else(lab: Lab) -> None:
    done = lab.install()
    assert (len(DOCUMENTS), METADATA, True) == (done.objects, done.bytes, done.changed)
    assert lab.here() == set(DOCUMENTS)
    said = f"Downloading {len(DOCUMENTS)} objects ({METADATA} bytes)..."
    assert ["Downloading package metadata...", said] == lab.said
    lab.lose_the_remote()
    cells = cellbank.load("lab/cells")
    assert {path: cells[path].bytes() for path in DOCUMENTS} == DOCUMENTS
    assert 7 == cellbank.inspect("lab/cells").entries
    assert ["metadata"] * 2 == [cellbank.ls()[0].want, cellbank.inspect("lab/cells").want]


def test_tables_come_with_it(lab: Lab) -> None:
    tables = {"fovs": b"PAR1 fovs PAR1", "wells": b"PAR1" + bytes(LARGE)}
    add_tables(lab.at("lab"), tables, CELLS)
    cellbank.push("lab/cells", to=lab.remote)
    store = lab.at("guest")
    done = lab.install()
    assert METADATA + sum(map(len, tables.values())) == done.bytes
    found = store.tables(CELLS, done.revision)
    assert tables == {kind: store.read_table(CELLS, table) for kind, table in found.items()}
    cellbank.gc()
    assert tables == {kind: store.read_table(CELLS, table) for kind, table in found.items()}


def test_a_dry_run_says_what_would_move(lab: Lab) -> None:
    would = lab.install(dry_run=True)
    assert (len(DOCUMENTS), METADATA, False) == (would.objects, would.bytes, would.changed)
    assert [] == cellbank.ls()


def test_a_second_time_it_is_up_to_date(lab: Lab) -> None:
    lab.install()
    assert not lab.install().changed
    assert "lab/cells is up to date" == lab.said[-1]


def test_the_metadata_of_a_part_cannot_be_asked_for(lab: Lab) -> None:
    with pytest.raises(InvalidReference, match="not a part"):
        lab.install("lab/cells/a")
    assert [] == cellbank.ls()


# --- what it becomes


def test_a_full_install_brings_the_rest(lab: Lab) -> None:
    lab.install()
    cellbank.load("lab/cells/a/one.tif")()
    rest = lab.install(metadata_only=False)
    assert (2, LARGE + 4, True) == (rest.objects, rest.bytes, rest.changed)
    assert (lab.here(), cellbank.ls()[0].want) == (set(FILES), "all")
    lab.lose_the_remote()
    cellbank.gc()
    assert cellbank.verify().good
    assert FILES["b/two.tif"] == cellbank.load("lab/cells/b/two.tif").bytes()


def test_what_is_installed_in_full_stays_so_and_it_is_said(lab: Lab) -> None:
    lab.install(metadata_only=False)
    assert not lab.install().changed
    expected = ["lab/cells is installed in full already, and stays so", "lab/cells is up to date"]
    assert expected == lab.said[1:]
    assert (lab.here(), cellbank.ls()[0].want) == (set(FILES), "all")


def test_what_was_built_here_stays_whole(lab: Lab) -> None:
    lab.at("lab")
    lab.install()
    assert "all" == cellbank.ls()[0].want


def test_metadata_adds_to_a_part(lab: Lab) -> None:
    lab.install("lab/cells/a", metadata_only=False)
    lab.install()
    assert lab.here() == {*DOCUMENTS, "a/one.tif", "a/mask.tif"}
    assert "metadata, a" == cellbank.ls()[0].want
    assert FILES["b/two.tif"] == cellbank.load("lab/cells/b/two.tif").bytes()
    assert not lab.install().changed


def test_a_part_adds_to_the_metadata(lab: Lab) -> None:
    lab.install()
    done = lab.install("lab/cells/a", metadata_only=False)
    assert (2, LARGE + 4) == (done.objects, done.bytes)
    assert "metadata, a" == cellbank.inspect("lab/cells").want
    cellbank.load("lab/cells/b/two.tif")()
    cellbank.gc()
    # The part is wanted, what was only fetched on the way is a cache.
    assert lab.here() == {*DOCUMENTS, "a/one.tif", "a/mask.tif"}
    assert cellbank.verify().good
    assert "all" == (lab.install(metadata_only=False) and cellbank.ls()[0].want)


def test_a_newer_revision_comes_with_its_metadata_only(lab: Lab) -> None:
    first = lab.install().revision
    second = lab.publish({**FILES, "a/one.json": b'{"n": 3}', "b/two.tif": b"3" * LARGE})
    questions: list[str] = []
    done = lab.install(confirm=lambda question: not questions.append(question))
    assert (1, 8, ["Overwrite? (y/n)"]) == (done.objects, done.bytes, questions)
    assert second == cellbank.inspect("lab/cells").revision
    assert b"3" * LARGE == cellbank.load("lab/cells/b/two.tif").bytes()
    assert b"2" * LARGE == cellbank.load(f"lab/cells@{first[:8]}/b/two.tif").bytes()


def test_over_an_older_full_one_the_newer_is_metadata_and_shares_what_is_here(lab: Lab) -> None:
    lab.install(metadata_only=False)
    lab.publish({**FILES, "b/two.tif": b"3" * LARGE})
    assert 0 == lab.install().objects
    assert lab.here() == set(FILES) - {"b/two.tif"}
    assert "metadata" == cellbank.ls()[0].want


# --- care


def test_verify_asks_for_nothing_that_is_only_a_cache(lab: Lab) -> None:
    lab.install()
    assert (len(DOCUMENTS), METADATA) == (
        cellbank.verify().entries,
        cellbank.verify().bytes,
    )
    cellbank.load("lab/cells/a/one.tif")()
    cellbank.load("lab/cells/a/mask.tif")()
    found = cellbank.verify("lab/cells")
    assert (len(DOCUMENTS) + 2, METADATA + LARGE + 4, True) == (
        found.entries,
        found.bytes,
        found.good,
    )


def spoil(path: str, data: bytes) -> None:
    file = Path(path)
    file.chmod(0o644)
    file.write_bytes(data)


@pytest.mark.parametrize("data", [b"x" * LARGE, b"short"])
def test_what_was_fetched_and_is_damaged_is_found_and_got_again(lab: Lab, data: bytes) -> None:
    lab.install()
    node = cellbank.load("lab/cells/a/one.tif")
    spoil(node(), data)
    found = cellbank.verify()
    assert ["a/one.tif"] == [damage.path for damage in found.damaged]
    found = cellbank.verify(repair=True)
    assert (["a/one.tif"], True) == ([damage.path for damage in found.repaired], found.good)
    assert FILES["a/one.tif"] == node.bytes()


def test_a_document_that_is_damaged_is_repaired(lab: Lab) -> None:
    lab.install()
    node = cellbank.load("lab/cells/b/wells.csv")
    Path(node()).unlink()
    assert ["b/wells.csv"] == [damage.path for damage in cellbank.verify().damaged]
    assert cellbank.verify(repair=True).good
    assert DOCUMENTS["b/wells.csv"] == node.bytes()


def test_a_manifest_that_is_lost_is_brought_back(lab: Lab) -> None:
    lab.install()
    lab.install("lab/cells/a", metadata_only=False)
    shutil.rmtree(lab.root / "guest/packages/lab/cells/packs")
    assert not cellbank.verify().good
    assert cellbank.verify(repair=True).good
    assert lab.here() == {*DOCUMENTS, "a/one.tif", "a/mask.tif"}
    assert "metadata, a" == cellbank.ls()[0].want


def test_gc_drops_what_was_fetched_and_keeps_the_metadata(lab: Lab) -> None:
    lab.install()
    node = cellbank.load("lab/cells/a/one.tif")
    node()
    cellbank.load("lab/cells/a/mask.tif")()
    with cellbank.load("lab/cells/b/two.tif").open() as file:
        file.read(1)
    held = cellbank.cache().bytes
    assert held > LARGE
    done = cellbank.gc()
    assert done.removed == 2
    assert lab.here() == set(DOCUMENTS)
    assert held == cellbank.cache().bytes
    assert cellbank.verify().good
    assert FILES["a/one.tif"] == node.bytes()


def test_gc_keeps_what_another_package_wants(lab: Lab) -> None:
    lab.at("lab")
    cellbank.build("lab/more", lab.root / "files" / "a")
    cellbank.push("lab/more", to=lab.remote)
    lab.at("guest")
    lab.install()
    lab.install("lab/more", metadata_only=False)
    assert lab.here() == {*DOCUMENTS, "a/one.tif"}
    cellbank.gc()
    assert lab.here() == {*DOCUMENTS, "a/one.tif"}
    assert cellbank.verify().good
    cellbank.remove("lab/more")
    assert lab.here() == set(DOCUMENTS)


def test_gc_keeps_what_the_log_of_this_store_names(lab: Lab) -> None:
    lab.install()
    cellbank.build("lab/cells", lab.root / "files")
    lab.install()
    assert lab.here() == set(FILES)
    cellbank.gc()
    assert lab.here() == set(FILES)


def test_du_counts_what_is_here(lab: Lab) -> None:
    lab.install()
    assert [(METADATA, 0)] == [(share.alone, share.shared) for share in cellbank.du()]
    cellbank.load("lab/cells/a/one.tif")()
    cellbank.load("lab/cells/a/mask.tif")()
    assert [METADATA + LARGE + 4] == [share.alone for share in cellbank.du()]


def test_remove_frees_all_of_it(lab: Lab) -> None:
    lab.install()
    cellbank.load("lab/cells/a/one.tif")()
    assert cellbank.remove("lab/cells").bytes >= 2 * LARGE
    assert [] == list((lab.root / "guest" / "objects").glob("*/*"))
    assert [] == cellbank.ls()


def test_an_export_fetches_what_it_needs_and_no_more(lab: Lab, tmp_path: Path) -> None:
    lab.install()
    done = cellbank.export("lab/cells/a", tmp_path / "out")
    assert (3, LARGE + 12) == (done.files, done.bytes)
    assert FILES["a/one.tif"] == (tmp_path / "out" / "one.tif").read_bytes()
    assert lab.here() == {*DOCUMENTS, "a/one.tif", "a/mask.tif"}
    with pytest.raises(WouldOverwrite):
        cellbank.export("lab/cells", tmp_path / "files")
    assert "b/two.tif" not in lab.here()


def test_an_export_without_the_remote_writes_nothing(lab: Lab, tmp_path: Path) -> None:
    lab.install()
    lab.lose_the_remote()
    with pytest.raises(RemoteNotFound):
        cellbank.export("lab/cells", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_push_to_where_all_is_sends_nothing_and_works(lab: Lab) -> None:
    lab.install()
    assert not cellbank.push("lab/cells").changed
    # A record of its own, and nothing beside it.
    assert 1 == cellbank.push("lab/cells", public=True).number
    assert lab.here() == set(DOCUMENTS)


def test_a_push_to_where_it_lacks_says_what_is_not_here(lab: Lab) -> None:
    lab.install()
    with pytest.raises(NotFetched, match=r"cellbank install lab/cells/a/one\.tif"):
        cellbank.push("lab/cells", to=str(lab.root / "mirror"))
    assert [] == cellbank.ls(from_=str(lab.root / "mirror"))
    lab.install(metadata_only=False)
    assert cellbank.push("lab/cells", to=str(lab.root / "mirror")).changed


def test_in_a_borrowed_store_it_is_fetched_into_the_own_one(lab: Lab) -> None:
    lab.install()
    lab.monkeypatch.setenv("CELLBANK_PATH", str(lab.root / "guest"))
    lab.at("mine")
    node = cellbank.load("lab/cells/a/one.tif")
    assert FILES["a/one.tif"] == Path(node()).read_bytes()
    assert b"mask" == cellbank.load("lab/cells/a/mask.tif").bytes()
    assert str(lab.root / "mine") == node()[: len(str(lab.root / "mine"))]
    assert [] == list((lab.root / "guest" / "objects").glob(f"*/{node.digest}"))


def test_without_a_network_what_is_here_works(lab: Lab) -> None:
    lab.install()
    cellbank.load("lab/cells/a/one.tif")()
    with cellbank.load("lab/cells/b/two.tif").open() as file:
        assert b"22" == file.read(2)
    lab.lose_the_remote()
    cells = cellbank.load("lab/cells")
    assert FILES["a/one.tif"] == cells.a["one.tif"].bytes()
    with cells.b["two.tif"].open() as file:
        assert FILES["b/two.tif"] == file.read()
    with pytest.raises(RemoteNotFound):
        cells.b["two.tif"]()
    assert cellbank.verify().good
