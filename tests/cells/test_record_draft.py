"""Records changed by table: what is built is what a recipe with such values would have made."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

import cellbank
import cellbank.cells
from cellbank.model.errors import BadInput, EntryNotFound, NotInstalled, ProblemsFound
from cellbank.model.progress import Said
from cellbank.packages.nodes import DataNode
from cellbank.storage.place import Place
from tests.cells.lab import C2, E6, E7, FOVS, Lab, cells, pixels, write_image

ALL = "aics/cell_lines"
FOV = [f"fov_{fov}" for fov in FOVS]


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    """A lab with a package of everything, built; the test works in its store."""
    lab = Lab(tmp_path).only(all="cell_lines")
    # What fields have they say themselves, so that one table says it all.
    lab.record("fov")["attributes"] = {"image_ids": "ids", "channels": None}
    lab.build()
    with lab.at_home():
        yield lab


def same_as_a_recipe(lab: Lab) -> None:
    """Check that the lab's tables, built, give the revision and tables that are here now."""
    revision, tables = cellbank.load(ALL)._revision, lab.parquet("cell_lines")
    # In another store: where the revision is, its tables stay as they are.
    lab.home = lab.folder.parent / "another store"
    built = lab.build()
    assert {path for path, e in lab.entries("cell_lines").items()}, "it can be read"
    assert [revision] == [one.revision for one in built.packages]
    assert tables == lab.parquet("cell_lines")


# --- the same as from a recipe

CHANGES: dict[str, list[dict[str, Any]]] = {
    "an integer": [{"passage": 50}],
    "a number and a text": [{"cell_viability": 12.5, "clone": "7"}],
    "nothing": [{"cell_viability": None, "clone": None, "passage": None}],
    "a day before all others": [{"seed_date": "1/2/2016"}],
    "a day after all others": [{"seed_date": "12/31/2018"}],
    "no day": [{"seed_date": None}],
    "a list": [{"colony_ids": [9, 8]}],
    "an empty list": [{"colony_ids": []}],
    "a boolean": [{"has_controls": False}],
    "all of them": [{"passage": 1}, {"passage": 2}, {"passage": 3}],
    "all of them nothing": [{"clone": None}, {"clone": None}, {"clone": None}],
}
COLUMNS = {"cell_viability": "viability", "seed_date": "seeded", "colony_ids": "colonies",
           "has_controls": "controls"}  # fmt: skip


@pytest.mark.parametrize("rows", CHANGES.values(), ids=CHANGES)
def test_changed_wells_are_what_a_recipe_makes_of_them(lab, rows):
    draft = cellbank.edit(ALL)
    ids = [E6, E7, C2]
    assert 0 < draft.update(
        "wells", [{"id": one, **row} for one, row in zip(ids, rows, strict=False)]
    )
    draft.build("changed")
    for number, row in enumerate(rows):
        cells_ = {COLUMNS.get(name, name): _cell(value) for name, value in row.items()}
        lab.change("wells", number, **cells_)
    same_as_a_recipe(lab)


def _cell(value: Any) -> Any:
    if isinstance(value, list):
        return ";".join(map(str, value))
    return "" if value is None else value


def test_changed_lists_of_structs_are_what_a_recipe_makes_of_them(lab):
    draft = cellbank.edit(ALL)
    channels = [{"dye_name": name, "use": name != "Bright"} for name in ("EGFP", "DNA", "Bright")]
    draft.update("fovs", [{"id": FOV[1], "channels": channels}])
    draft.update("lines", [{"id": "line_AICS_10", "edits": [{"gene": "LMNB1"}]}])
    draft.build()
    lab.change("fovs", 1, channels=pd.Series([channels]).to_json(orient="records")[1:-1])
    lab.change("lines", 0, gene="LMNB1", protein="")
    lab.image(f"images/{FOVS[1]}.ome.tif", pixels(1), channels=("EGFP", "DNA", "Bright"))
    assert "| DNA | yes | 1 |" in lab.read("cell_lines", "README").decode()
    draft = cellbank.edit(ALL)
    draft.set(f"fovs/{FOV[1]}/image/load", lab.folder / f"images/{FOVS[1]}.ome.tif")
    draft.build()
    same_as_a_recipe(lab)


def test_a_removed_field_is_what_a_recipe_makes_without_it(lab):
    draft = cellbank.edit(ALL)
    draft.remove(f"fovs/{FOV[2]}")
    for group, prefix in (
        ("cell_segs", "cell"),
        ("nuclei_segs", "nuc"),
        ("structure_segs", "struct"),
    ):
        draft.remove(f"{group}/{prefix}_{FOVS[2]}")
    draft.build("a bad field")
    del lab.tables["fovs"][2]
    lab.tables["segmentations"] = [r for r in lab.tables["segmentations"] if r["fov"] != FOVS[2]]
    same_as_a_recipe(lab)


def test_what_goes_back_to_what_it_was_is_the_same_revision(lab):
    first = cellbank.load(ALL)._revision
    for passage in (99, 33):
        draft = cellbank.edit(ALL)
        draft.update("wells", [{"id": E6, "passage": passage}])
        draft.build(str(passage))
    assert first == cellbank.load(ALL)._revision
    draft = cellbank.edit(ALL)
    assert 1 == draft.update("wells", [{"id": E6, "passage": 99}])
    assert 1 == draft.update("wells", [{"id": E6, "passage": 33}])
    assert not draft.build().changed


def test_a_package_of_one_line_keeps_the_examples_of_its_family(tmp_path):
    lab = Lab(tmp_path)
    lab.build()
    with lab.at_home():
        before = lab.document("aics_23", "SCHEMA")["unique_well_info"]
        draft = cellbank.edit("aics/aics_23")
        draft.update("wells", [{"id": E6, "clone": "999", "passage": 34}])
        draft.build()
        after = lab.document("aics_23", "SCHEMA")["unique_well_info"]
    assert ("105", ["999"]) == (after["clone"]["example_value"], after["clone"]["values"])
    assert before["clone"]["value_types"] == after["clone"]["value_types"]
    assert (34, 34) == (after["passage"]["minimum"], after["passage"]["maximum"])


# --- forms of tables


@pytest.mark.parametrize("as_", ["pandas", "polars"])
def test_a_table_of_the_package_can_be_changed_and_given_back(lab, as_):
    frame = cellbank.cells.table(cellbank.load(ALL), "fovs", as_=as_)
    draft = cellbank.edit(ALL)
    assert 0 == draft.update("fovs", frame)
    if as_ == "pandas":
        frame.loc[FOV[0], "passage"] = 7
    else:
        frame = frame.with_columns(
            passage=pl.when(pl.col("id") == FOV[0]).then(7).otherwise(pl.col("passage"))
        )
    assert 1 == draft.update("fovs", frame)
    draft.build()
    assert 7 == lab.info("cell_lines", f"fovs/{FOV[0]}")["passage"]
    assert 7 == cellbank.cells.table(cellbank.load(ALL), "fovs").passage[FOV[0]]


def test_a_time_of_day_is_not_cut_off(lab):
    draft = cellbank.edit(ALL)
    for noon in (datetime(2018, 3, 4, 12, 30), pd.Timestamp("2018-03-04 00:00:01")):  # noqa: DTZ001
        with pytest.raises(ProblemsFound) as found:
            draft.update("wells", [{"id": E6, "seed_date": noon}])
        [problem] = found.value.problems
        assert "has a time of day" in problem["what"]
    assert 1 == draft.update("wells", [{"id": E6, "seed_date": datetime(2018, 3, 4)}])  # noqa: DTZ001


def test_days_of_a_data_frame_are_written_in_the_form_of_the_package(lab):
    draft = cellbank.edit(ALL)
    frame = pd.DataFrame(
        {"id": [E6, E7], "seed_date": pd.to_datetime(["2017-10-16", "2018-03-04"])}
    )
    assert 1 == draft.update("well", frame)
    assert 1 == draft.update("well", [{"id": C2, "seed_date": "2018-03-05"}])
    draft.build()
    assert "03/05/2018" == lab.info("cell_lines", f"wells/{C2}")["seed_date"]
    assert "10/16/2017" == lab.info("cell_lines", f"wells/{E6}")["seed_date"]
    assert "03/04/2018" == lab.info("cell_lines", f"wells/{E7}")["seed_date"]


def test_only_given_rows_and_columns_change(lab):
    before = lab.infos("cell_lines")
    draft = cellbank.edit(ALL)
    draft.update("wells", [{"id": E6, "clone": "21"}, {"id": E7, "passage": 1}])
    draft.build()
    expected = {**before, f"wells/{E6}": {**before[f"wells/{E6}"], "clone": "21"}}
    expected[f"wells/{E7}"] = {**before[f"wells/{E7}"], "passage": 1}
    assert expected == lab.infos("cell_lines")


# --- what is read


def test_untouched_records_are_not_read(lab, monkeypatch):
    entries = {e.digest: path for path, e in lab.entries("cell_lines").items()}
    read: set[str] = set()
    whole = Place.read_many
    monkeypatch.setattr(Place, "read_many", lambda *what: (read.update(what[2]), whole(*what))[1])
    monkeypatch.setattr(DataNode, "__call__", lambda node: pytest.fail(f"{node} is read"))
    draft = cellbank.edit(ALL)
    draft.update("wells", [{"id": E6, "passage": 34, "has_controls": None}])
    built = draft.build()
    there = {entries[digest] for digest in read if digest in entries}
    assert {"README", "SCHEMA", f"wells/{E6}/info/load"} == there
    assert 0 == built.read_files


def test_metadata_are_enough_to_change_records(lab, tmp_path, monkeypatch):
    lab.enlarge(0)
    lab.build()
    remote = str(tmp_path / "remote")
    cellbank.push(ALL, to=remote)
    monkeypatch.setenv("CELLBANK_HOME", str(tmp_path / "guest"))
    cellbank.install(ALL, from_=remote, metadata_only=True)
    draft = cellbank.edit(ALL)
    draft.update("fovs", [{"id": FOV[0], "passage": 5}])
    draft.build("passage")
    assert not cellbank.load(f"{ALL}/fovs/{FOV[0]}/image/load").fetched
    assert 5 == cellbank.cells.record(cellbank.load(f"{ALL}/fovs/{FOV[0]}")).info.passage
    assert cellbank.verify(ALL).good
    cellbank.push(ALL)
    monkeypatch.setenv("CELLBANK_HOME", str(tmp_path / "third"))
    cellbank.install(ALL, from_=remote)
    assert 5 == cellbank.cells.table(cellbank.load(ALL), "fovs").passage[FOV[0]]


def test_a_package_whose_tables_are_lost_can_be_changed(lab, monkeypatch):
    tables = lab.parquet("cell_lines")
    monkeypatch.setattr(type(lab.store()), "tables", lambda *what: {})
    draft = cellbank.edit(ALL)
    draft.update("wells", [{"id": E6, "seed_date": "1/2/2016"}])
    draft.build()
    monkeypatch.undo()
    lab.change("wells", 0, seeded="1/2/2016")
    with lab.at_home():
        made = cellbank.load(ALL)._revision
        rebuilt = lab.build()
        assert made == rebuilt.packages[0].revision
        assert tables["fovs"] == lab.parquet("cell_lines")["fovs"]


# --- what is refused


def test_all_that_is_wrong_is_told_at_once_and_nothing_changes(lab):
    draft = cellbank.edit(ALL)
    rows = [
        {"id": E6, "passage": "many", "clone": "9"},
        {"id": E7, "seed_date": "16.10.2017"},
        {"id": "plate_3500001464_well_E8", "clone": "1"},
        {"id": E6, "clone": "1"},
        {"id": C2, "colony_ids": "x", "cell_viabilty": 3, "fovs": ["fov_1"]},
        {"id": ""},
    ]
    with pytest.raises(ProblemsFound) as caught:
        draft.update("wells", rows)
    found = [(p.get("row"), p.get("column", "")) for p in caught.value.problems]
    assert [
        (None, "cell_viabilty"),
        (1, "passage"),
        (2, "seed_date"),
        (3, "id"),
        (4, "id"),
        (5, "colony_ids"),
        (5, "fovs"),
        (6, ""),
    ] == sorted(found, key=lambda place: (place[0] or 0, place[1]))
    advice = " ".join(problem["advice"] for problem in caught.value.problems)
    assert "cell_viability" in advice
    assert E6 in advice
    assert not draft.build().changed


def test_what_may_not_be_empty_stays_full(lab):
    draft = cellbank.edit(ALL)
    with pytest.raises(ProblemsFound, match="1 error"):
        draft.update("lines", [{"id": "line_AICS_10", "line": None}])
    with pytest.raises(ProblemsFound, match="1 error"):
        draft.update("lines", [{"id": "line_AICS_10", "edits": [{"fluorescent_protein": "x"}]}])
    with pytest.raises(ProblemsFound) as caught:
        draft.update("lines", [{"id": "line_AICS_10", "edits": [{"gene": "A", "genes": "B"}]}])
    assert "genes" in caught.value.problems[0]["what"]


def test_a_table_of_another_name_is_refused(lab):
    with pytest.raises(BadInput, match="fovs"):
        cellbank.edit(ALL).update("fov_s", [])
    with pytest.raises(NotInstalled):
        cellbank.edit("aics/cell_line")


@pytest.mark.parametrize(
    "change",
    [
        lambda draft: draft.set(f"wells/{E6}/info/load", b"{}"),
        lambda draft: draft.set("wells/new/info/load", b"{}"),
        lambda draft: draft.set("wells/new", b"{}"),
        lambda draft: draft.set("SCHEMA", b"{}"),
        lambda draft: draft.remove("SCHEMA"),
        lambda draft: draft.remove(f"wells/{E6}/info"),
        lambda draft: draft.rename(f"wells/{E6}", "wells/other"),
        lambda draft: draft.rename(f"fovs/{FOV[0]}/image", "images"),
        lambda draft: draft.rename("README", f"wells/{E6}/README"),
    ],
)
def test_what_would_contradict_the_records_is_refused(lab, change):
    draft = cellbank.edit(ALL)
    with pytest.raises(BadInput):
        change(draft)
    assert not draft.build().changed


def test_a_segmentation_without_its_field_is_told(lab):
    draft = cellbank.edit(ALL)
    draft.remove(f"fovs/{FOV[0]}")
    with pytest.raises(ProblemsFound) as caught:
        draft.build()
    named = {problem["record"] for problem in caught.value.problems}
    assert {f"cell_{FOVS[0]}", f"nuc_{FOVS[0]}", f"struct_{FOVS[0]}"} == named
    with pytest.raises(EntryNotFound):
        draft.remove(f"fovs/{FOV[0]}")


def test_an_image_that_cannot_be_read_or_has_other_channels_is_told(lab, tmp_path):
    write_image(tmp_path / "two.ome.tif", pixels(0)[:, :2], channels=("A", "B"))
    draft = cellbank.edit(ALL)
    draft.set(f"fovs/{FOV[0]}/image/load", tmp_path / "two.ome.tif")
    draft.set(f"fovs/{FOV[1]}/image/load", b"no image")
    with pytest.raises(ProblemsFound) as caught:
        draft.build()
    assert [f"fovs/{FOV[0]}/image/load", f"fovs/{FOV[1]}/image/load"] == [
        problem["file"] for problem in caught.value.problems
    ]
    draft.update("fovs", [{"id": FOV[0], "channels": [{"dye_name": "A"}, {"dye_name": "B"}]}])
    draft.set(f"fovs/{FOV[1]}/image/load", cellbank.load(f"{ALL}/fovs/{FOV[0]}/image/load"))
    draft.build()
    assert ("A", "B") == tuple(
        channel.name
        for channel in cellbank.cells.record(cellbank.load(f"{ALL}/fovs/{FOV[0]}")).image.channels
    )


def test_what_is_taken_from_a_package_is_looked_at_and_so_are_channels_without_an_image(lab):
    package = cellbank.load(ALL)
    draft = cellbank.edit(ALL)
    draft.set(f"fovs/{FOV[0]}/image/load", package["README"])
    draft.set(f"fovs/{FOV[1]}/image/load", package[f"cell_segs/cell_{FOVS[1]}/image/load"])
    draft.update("fovs", [{"id": FOV[2], "channels": [{"dye_name": "A"}]}])
    with pytest.raises(ProblemsFound) as caught:
        draft.build()
    assert [f"fovs/{fov}/image/load" for fov in FOV[:3]] == [
        problem["file"] for problem in caught.value.problems
    ]


# --- images


def test_an_image_can_be_replaced_or_go_and_the_tables_follow(lab, tmp_path):
    write_image(tmp_path / "new.ome.tif", cells() * 3)
    draft = cellbank.edit(ALL)
    draft.set(f"cell_segs/cell_{FOVS[0]}/image/load", tmp_path / "new.ome.tif")
    draft.remove(f"nuclei_segs/nuc_{FOVS[0]}/image")
    draft.set(f"fovs/{FOV[0]}/notes/load", b"blurred at the top", filename="notes.txt")
    draft.build()
    record = cellbank.cells.record(cellbank.load(f"{ALL}/cell_segs/cell_{FOVS[0]}"))
    assert np.array_equal(cells() * 3, record.image.read())
    segs = cellbank.cells.table(cellbank.load(ALL), "cell_segs")
    assert record.node["image/load"].digest == segs.digest[f"cell_{FOVS[0]}"]
    nuclei = cellbank.cells.table(cellbank.load(ALL), "nuclei_segs")
    assert [True, False, False, False] == nuclei.path.isna().tolist()
    assert cellbank.verify(ALL).good


# --- what is said


@pytest.mark.parametrize("row", [{"id": "another", "image_ids": [3]}, {"id": FOV[0], "blebs": 3}])
def test_what_is_new_is_told_to_come_by_a_recipe(lab, row):
    with pytest.raises(ProblemsFound) as caught:
        cellbank.edit(ALL).update("fovs", [row])
    (problem,) = caught.value.problems
    assert "by a recipe" in problem["advice"]


def test_an_attribute_that_comes_from_the_same_place_elsewhere_is_told(tmp_path):
    lab = Lab(tmp_path).only(all="cell_lines")
    lab.build()
    said: list[str] = []
    with lab.at_home():
        draft = cellbank.edit(ALL, watch=lambda event: said.append(getattr(event, "text", "")))
        draft.update("wells", [{"id": E6, "passage": 1}])
    assert [True] == ["fovs have passage too" in text for text in said]
    assert isinstance(Said(said[0]), Said)


def test_a_draft_says_how_much_it_changes(lab):
    draft = cellbank.edit(ALL)
    draft.update("wells", [{"id": E6, "passage": 1}])
    assert "<Draft of aics/cell_lines: 0 entries, 1 record changed>" == repr(draft)


def test_large_tables_have_their_pieces_listed_again(lab, monkeypatch):
    monkeypatch.setattr("cellbank.cells.pieces_table.LISTED_ABOVE", 100)
    lab.change("wells", 1, passage=42)
    lab.build()
    assert "pieces" in lab.parquet("cell_lines")
    draft = cellbank.edit(ALL)
    draft.update("wells", [{"id": E6, "passage": 50}])
    draft.build("changed")
    lab.change("wells", 0, passage=50)
    same_as_a_recipe(lab)


def test_a_subset_stays_a_subset_and_what_it_left_out_is_told(lab, tmp_path, monkeypatch):
    remote = str(tmp_path / "remote")
    cellbank.push(ALL, to=remote)
    whole = {path: entry.digest for path, entry in lab.entries("cell_lines").items()}
    monkeypatch.setenv("CELLBANK_HOME", str(tmp_path / "guest"))
    cellbank.install(ALL, from_=remote, where="wells.clone = '20'")
    draft = cellbank.edit(ALL)
    assert 1 == draft.update("fovs", [{"id": FOV[0], "passage": 5}])
    draft.build("passage")
    package = cellbank.load(ALL)
    assert FOV[:2] == package.fovs._keys()
    assert 5 == cellbank.cells.record(package.fovs[0]).info.passage
    assert cellbank.verify(ALL).good
    left_out = cellbank.edit(ALL)
    left_out.update("fovs", [{"id": FOV[2], "passage": 5}])
    with pytest.raises(ProblemsFound) as caught:
        left_out.build()
    assert "not in this store" in caught.value.problems[0]["what"]
    cellbank.push(ALL)
    monkeypatch.setenv("CELLBANK_HOME", str(tmp_path / "third"))
    cellbank.install(ALL, from_=remote)
    reader = cellbank.load(ALL)._view.reader
    changed = {e.path for e in reader if whole[e.path] != e.digest}
    assert {"SCHEMA", f"fovs/{FOV[0]}/info/load"} == changed
