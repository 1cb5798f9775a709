"""Installing what a question selects: what comes, what stays, what is said of the rest."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import cellbank
import cellbank.cells
from cellbank.api import Said
from cellbank.model.errors import (
    BadInput,
    BadQuestion,
    EntryNotFound,
    InvalidReference,
    LeftOut,
    NotFetched,
)
from cellbank.model.reference import Package
from cellbank.storage.store import Store
from tests.cells.lab import FOVS, Lab
from tests.storage.making import served

CELLS = "aics/cell_lines"
DOCUMENTS = {"README", "SCHEMA"}
TJP1 = "gene = 'TJP1'"


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def install(remote: Path, said: list[str]):
    def call(ref: str = CELLS, **options: object):
        said.clear()
        watch = lambda event: said.append(event.text) if isinstance(event, Said) else None  # noqa: E731
        return cellbank.install(ref, watch=watch, **options)

    return call


def paths(ref: str = CELLS) -> list[str]:
    return [entry.path for entry in cellbank.load(ref)._view.reader]


def ids(group: str) -> list[str]:
    node = cellbank.load(CELLS)
    return getattr(node, group)._keys() if group in node else []


def fovs(*numbers: int) -> list[str]:
    return sorted(f"fov_{FOVS[number]}" for number in numbers)


def test_the_records_that_fit_come_with_all_that_belongs_to_them(install) -> None:
    done = install(where=TJP1)
    assert fovs(0, 1) == ids("fovs")
    assert (1, 1, 1) == tuple(len(ids(group)) for group in ("wells", "plates", "lines"))
    assert (2, 2, 2) == tuple(
        len(ids(group)) for group in ("cell_segs", "nuclei_segs", "structure_segs")
    )
    assert {path for path in paths() if "/" not in path} == DOCUMENTS
    assert len(paths()) == done.entries == cellbank.inspect(CELLS).entries
    assert cellbank.verify(CELLS).good
    cells = cellbank.load(CELLS)
    assert all(cells[path].bytes() for path in paths())


def test_only_tables_move_before_it_is_known_what_does(
    install, published: Lab, own_home: Path
) -> None:
    with pytest.raises(BadQuestion):
        install(where="gen = 'TJP1'")
    assert [] == cellbank.ls()
    store, package = Store.at(str(own_home)), Package.parse(CELLS)
    entries = published.entries("cell_lines").values()
    assert set() == store.has_small(package, {entry.digest for entry in entries})
    assert [] == list((own_home / "objects").rglob("*"))
    with published.at_home():
        tables = published.store().tables(package, cellbank.inspect(CELLS).revision)
    assert tables == store.tables_here(package, tables)


def test_a_dry_run_says_how_much_by_kind_and_type_and_what_is_here(install) -> None:
    would = install(where=TJP1, dry_run=True)
    assert [] == cellbank.ls()
    parts = would.parts
    assert parts is not None
    assert {"documents": 2, "fovs": 4, "wells": 1, "plates": 1, "lines": 1} == {
        kind: amount.objects for kind, amount in parts.kinds.items() if "segs" not in kind
    }
    assert would.objects == sum(amount.objects for amount in parts.kinds.values())
    assert would.bytes == sum(amount.bytes for amount in parts.types.values())
    assert {"json", "md", "tif"} == set(parts.types)
    assert 0 == parts.here.objects
    install(where=TJP1)
    again = install(where="gene = 'SEC61B'", dry_run=True)
    assert would.objects == again.parts.here.objects
    assert {"fovs", "wells", "plates", "lines"} <= set(again.parts.kinds)


def test_a_second_question_adds(install) -> None:
    install(where=TJP1)
    install(where="passage = 41")
    assert fovs(0, 1, 2) == ids("fovs")
    assert f"where {TJP1}; where passage = 41" == cellbank.ls()[0].want
    assert not install(where="passage = 41").changed


def test_parts_and_patterns_and_kinds_add_too(install) -> None:
    install(path="fovs/*/info", kinds=["fovs"])
    assert {"load"} == {path.rpartition("/")[2] for path in paths() if path not in DOCUMENTS}
    assert 4 == len(ids("fovs"))
    install(f"{CELLS}/wells")
    assert 3 == len(ids("wells"))
    assert "kinds fovs, paths fovs/*/info; wells" == cellbank.inspect(CELLS).want


def test_without_relations_only_the_records_come(install) -> None:
    install(where=TJP1, related=False)
    assert ["README", "SCHEMA", "fovs"] == sorted(cellbank.load(CELLS)._keys())
    assert fovs(0, 1) == ids("fovs")


def test_two_who_choose_at_once_both_have_what_they_chose(remote: Path) -> None:
    waiting = ["gene = 'ACTB'"]

    def watch(event: object) -> None:
        if isinstance(event, Said) and "objects (" in event.text and waiting:
            cellbank.install(CELLS, where=waiting.pop())

    cellbank.install(CELLS, where=TJP1, watch=watch)
    assert "where gene = 'ACTB'; where gene = 'TJP1'" == cellbank.ls()[0].want


def test_a_sample_is_the_same_everywhere(install, monkeypatch, tmp_path) -> None:
    install(sample=2, seed=1)
    first = paths()
    assert 2 == len(ids("fovs"))
    monkeypatch.setenv("CELLBANK_HOME", str(tmp_path / "another"))
    install(sample=2, seed=1)
    assert first == paths()


def test_what_was_left_out_is_named_with_the_command_that_brings_it(install) -> None:
    install(where=TJP1)
    cells = cellbank.load(CELLS)
    left = f"fov_{FOVS[2]}"
    advice = f"cellbank install {CELLS}/fovs/{left}$"
    with pytest.raises(LeftOut, match=advice):
        getattr(cells.fovs, left)
    with pytest.raises(LeftOut, match=advice):
        cells.fovs[left]
    with pytest.raises(NotFetched, match=f"{advice[:-1]}/info"):
        cellbank.load(f"{CELLS}/fovs/{left}/info")
    with pytest.raises(LeftOut, match=advice):
        cellbank.tree(f"{CELLS}/fovs/{left}")
    with pytest.raises(EntryNotFound) as caught:
        cells["fovs/nothing"]
    assert not isinstance(caught.value, LeftOut)
    assert not hasattr(cells.fovs, left)
    assert left not in cells.fovs
    install(f"{CELLS}/fovs/{left}")
    assert cellbank.load(f"{CELLS}/fovs/{left}/info/load").bytes()


def test_records_say_what_is_not_here(install) -> None:
    install(where="id = '" + fovs(0)[0] + "'")
    cells = cellbank.load(CELLS)
    well = cellbank.cells.record(cells.wells[0])
    assert fovs(0) == [one.id for one in well.related("fovs")]
    assert fovs(1) == well.missing("fovs")
    line = cellbank.cells.record(cells.lines[0])
    assert fovs(1) == line.missing("fovs")
    frame = cellbank.cells.table(cells.fovs)
    assert (fovs(0), 3) == (list(frame.index), frame.attrs["missing"])
    assert fovs(0) == cellbank.cells.table(cells.fovs, as_="polars")["id"].to_list()


def test_records_without_their_documents_are_not_counted_as_here(install) -> None:
    install(where=TJP1, path=["fovs/*/image", "wells"])
    cells = cellbank.load(CELLS)
    assert [] == cellbank.cells.record(cells.wells[0]).related("fovs")
    assert 0 == len(cellbank.cells.table(cells.fovs))


def test_documents_keep_the_bytes_of_their_publisher(install, published: Lab) -> None:
    install(where=TJP1)
    cells = cellbank.load(CELLS)
    for path in ("README", "SCHEMA", f"fovs/{fovs(0)[0]}/info/load"):
        assert published.read("cell_lines", path) == cells[path].bytes()


def test_documents_of_the_answer_come_and_images_when_they_are_loaded(install) -> None:
    done = install(where=TJP1, metadata_only=True)
    cells = cellbank.load(CELLS)
    assert fovs(0, 1) == ids("fovs")
    image = cells.fovs[0].image.load
    assert not image.fetched
    assert all(cells[path].fetched for path in paths() if path.endswith("info/load"))
    assert done.entries < len(paths())
    assert f"where {TJP1}, documents only" == cellbank.ls()[0].want
    assert image.bytes()
    assert image.fetched
    assert cellbank.verify(CELLS).good
    cellbank.gc()
    assert not image.fetched
    assert cells.fovs[0].info.load.fetched
    install(where=TJP1)
    assert f"where {TJP1}" == cellbank.ls()[0].want
    assert image.fetched


def test_metadata_of_all_and_a_question_show_all(install) -> None:
    install(metadata_only=True)
    install(where=TJP1)
    assert 4 == len(ids("fovs"))
    cells = cellbank.load(CELLS)
    assert fovs(0, 1) == [name for name in ids("fovs") if cells.fovs[name].image.load.fetched]


def test_garbage_is_what_no_question_wants_any_more(install) -> None:
    install(where=TJP1)
    before = {path: cellbank.load(CELLS)[path].bytes() for path in paths()}
    cellbank.gc()
    assert before == {path: cellbank.load(CELLS)[path].bytes() for path in paths()}
    assert cellbank.verify(CELLS).good
    assert 0 == cellbank.gc().removed


def test_all_of_it_ends_the_subset(install, said) -> None:
    install(where=TJP1)
    install()
    assert any("for all of it: --all" in line for line in said)
    assert fovs(0, 1) == ids("fovs")
    install(all_=True)
    assert 4 == len(ids("fovs"))
    assert "all" == cellbank.ls()[0].want
    assert not install(where=TJP1).changed
    assert f"{CELLS} is installed in full already, and stays so" in said


@pytest.mark.parametrize(
    ("ref", "more"),
    [(CELLS, {"where": TJP1}), (CELLS, {"metadata_only": True}), (f"{CELLS}/fovs", {})],
)
def test_all_and_a_part_are_not_asked_for_together(install, ref: str, more) -> None:
    with pytest.raises(BadInput, match="all of the package and a part of it"):
        install(ref, all_=True, **more)


def test_an_empty_answer_is_said(install, said) -> None:
    install(where="passage > 1000")
    assert f"No fovs of {CELLS} fit: passage > 1000" in said
    assert DOCUMENTS == set(paths())


@pytest.mark.parametrize(
    "options",
    [
        {"where": " "},
        {"where": 3},
        {"kind": 3, "where": "passage > 1"},
        {"sample": 0},
        {"sample": "3"},
        {"sample": 2, "seed": 1.5},
        {"seed": 3},
        {"kinds": "fovs"},
        {"path": ["a/../b"]},
        {"related": False},
        {"where": "passage > 1", "all_": True},
    ],
)
def test_what_makes_no_choice_is_refused_before_anything_is_asked(
    options: dict[str, object],
) -> None:
    with pytest.raises(BadInput):
        cellbank.install(CELLS, **options)


def test_a_choice_is_made_of_a_whole_package(install) -> None:
    with pytest.raises(InvalidReference):
        install(f"{CELLS}/fovs", where=TJP1)


def test_it_is_the_same_over_http(remote, monkeypatch, install) -> None:
    with served(remote) as registry:
        monkeypatch.setenv("CELLBANK_REMOTE", registry.url)
        monkeypatch.setenv("CELLBANK_TOKEN", registry.token or "")
        done = install(where=TJP1, kinds=["fovs", "wells"])
        assert registry.url == done.remote
        assert fovs(0, 1) == ids("fovs")
        assert [] == ids("cell_segs")
        assert cellbank.push(CELLS, as_="me/tight").changed
        assert 2 == len(cellbank.load("me/tight", registry.url).fovs)


# --- another revision


@pytest.fixture
def corrected(published: Lab, remote: Path, tmp_path: Path) -> Callable[[], str]:
    """Let the next call correct a number: the third field has the passage 33, too."""
    lab = Lab(tmp_path, tmp_path / "home").only(all="cell_lines")
    shutil.copytree(published.home, lab.home)
    lab.enlarge(3)
    lab.change("wells", 1, passage=33)

    def push() -> str:
        lab.build()
        with lab.at_home():
            return cellbank.push(CELLS, to=str(remote)).revision

    return push


def test_the_same_question_is_asked_of_a_newer_revision(install, corrected) -> None:
    first = install(where="passage = 33").revision
    assert fovs(0, 1) == ids("fovs")
    second = corrected()
    done = install()
    assert second == done.revision != first
    assert fovs(0, 1, 2) == ids("fovs")
    assert "where passage = 33" == cellbank.ls()[0].want
    assert cellbank.verify(CELLS).good
    assert 4 == len(cellbank.load(f"{CELLS}@{first}").fovs)
    assert 0 == len(cellbank.diff(CELLS, f"{CELLS}@{second}").added)


def test_verify_mends_a_subset(install, own_home: Path) -> None:
    install(where=TJP1)
    shutil.rmtree(own_home / "packages")
    assert not cellbank.verify(CELLS).good
    assert cellbank.verify(CELLS, repair=True).good
    assert fovs(0, 1) == ids("fovs")


# --- as a package of its own


def test_a_subset_is_pushed_as_a_package_of_its_own(install, remote, monkeypatch, tmp_path) -> None:
    revision = install(where=TJP1).revision
    before = {path: cellbank.load(CELLS)[path].digest for path in paths()}
    pushed = cellbank.push(CELLS, as_="me/tight", message="for the paper")
    assert "me/tight" == pushed.package
    monkeypatch.setenv("CELLBANK_HOME", str(tmp_path / "another"))
    cellbank.install("me/tight")
    tight = cellbank.load("me/tight")
    assert before == {entry.path: entry.digest for entry in tight._view.reader}
    newest = cellbank.log("me/tight")[0]
    assert "for the paper" == newest.message
    origin = newest.derived_from
    assert (CELLS, revision, f"where {TJP1}") == (origin.package, origin.revision, origin.question)
    assert fovs(0, 1) == list(cellbank.cells.table(tight.fovs).index)
    assert fovs(0, 1) == [
        row[0] for row in cellbank.query("me/tight", "SELECT id FROM fovs").rows()
    ]
    assert "all" == cellbank.ls()[0].want
    assert cellbank.verify("me/tight").good


def test_what_can_be_asked_of_it_is_told_of_its_own_rows(install, remote) -> None:
    def told(ref: str) -> dict[str, tuple]:
        found = cellbank.query(ref, describe=True, kind="wells")
        return {row["name"]: (row["known"], row["examples"]) for row in found}

    whole = told(CELLS)
    assert (0.666667, "33 … 41") == whole["passage"]
    install(where=TJP1)
    assert whole == told(CELLS)
    cellbank.push(CELLS, as_="me/tight")
    mine = told("me/tight")
    assert (1.0, "33") == mine["passage"]
    assert (1.0, "20") == mine["clone"]
    cellbank.remove("me/tight")
    assert mine == told("me/tight")


def test_pushed_again_it_is_the_same_revision(install, remote) -> None:
    install(where=TJP1)
    first = cellbank.push(CELLS, as_="me/tight")
    again = cellbank.push(CELLS, as_="me/tight")
    assert (first.revision, False) == (again.revision, again.changed)
    assert 1 == len(cellbank.log("me/tight"))


def test_images_that_are_not_here_come_before_it_is_pushed(install, monkeypatch, tmp_path) -> None:
    install(where=TJP1, metadata_only=True)
    cellbank.push(CELLS, as_="me/tight")
    monkeypatch.setenv("CELLBANK_HOME", str(tmp_path / "another"))
    install("me/tight")
    assert cellbank.load("me/tight").fovs[0].image.load.bytes()


def test_it_cannot_be_made_of_itself(install) -> None:
    install(where=TJP1)
    with pytest.raises(BadInput, match="of itself"):
        cellbank.push(CELLS, as_=CELLS)


def test_rows_tell_what_is_there_of_an_image(install) -> None:
    install(where=TJP1, path=["fovs/*/info", "wells", f"fovs/{fovs(0)[0]}"])
    cellbank.push(CELLS, as_="me/tight")
    found = cellbank.query("me/tight", "SELECT id, path, size FROM fovs ORDER BY id").rows()
    assert fovs(0, 1) == [row[0] for row in found]
    here = {row[0]: row[1:] for row in found}
    assert (None, None) == here[fovs(1)[0]]
    assert f"fovs/{fovs(0)[0]}/image/load" == here[fovs(0)[0]][0]
