"""Recipes that are guessed: they hold for the folder that they were guessed from."""

import csv
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import numpy as np
import openpyxl
import pytest
import tifffile

from cellbank.cells import recipe
from cellbank.cells.guess import Guess, guess
from cellbank.cells.guess_columns import (
    Column,
    as_text,
    date_forms,
    plain_name,
    type_of,
    unit_of,
)
from cellbank.cells.guess_kinds import MAX_TABLES
from cellbank.cells.reading import recipe_of
from cellbank.model.errors import BadInput

LINE_ENDS = ["a\nb", "a\x85b", "a\u2028b", "a\x07b", "\U0001f600\u2028b"]
"""What ends a line to YAML, or it does not take at all."""


def write(file: Path, *rows: list[Any]) -> None:
    with file.open("w", newline="") as opened:
        csv.writer(opened).writerows(rows)


def write_image(file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    data = np.zeros((2, 3, 4, 5), np.uint16)
    names = ["DNA", "EGFP", "Bright"]
    tifffile.imwrite(file, data, ome=True, metadata={"axes": "ZCYX", "Channel": {"Name": names}})


def column(*values: Any) -> Column:
    there = [value for value in values if value not in ("", None)]
    return Column("x", len(values), there, {as_text(value) for value in there})


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    """A lab's own tables: other names than ours, and not everything known."""
    write(
        tmp_path / "cell_lines.csv",
        ["CellLine", "gene", "tag_location"],
        ["AICS-10", "SEC61B", "N"],
        ["AICS-23", "TJP1", "N"],
    )
    write(
        tmp_path / "wells.csv",
        ["WellId", "CellLine", "seed_date", "passage", "Drug (µm)"],
        ["W1", "AICS-23", "10/16/2017", 36, 1.5],
        ["W2", "AICS-10", "9/27/2017", "", 2],
        ["W3", "AICS-23", "9/30/2017", 41, 0],
    )
    write(
        tmp_path / "fields.csv",
        ["FOVId", "WellId", "SourceReadPath", "voxel_size_z", "Operator"],
        ["F1", "W1", "a.ome.tif", 0.29, "Ada"],
        ["F2", "W3", "b.ome.tif", 0.29, "Ada"],
        ["F3", "W2", "c.ome.tif", 0.29, "Bo"],
    )
    for name in "abc":
        write_image(tmp_path / "raw" / "2017" / f"{name}.ome.tif")
    with closing(sqlite3.connect(tmp_path / "segs.db")) as made, made:
        made.execute("CREATE TABLE masks (seg TEXT, kind TEXT, FOVId TEXT)")
        for kind in ("cell", "nuclei"):
            for fov in ("F1", "F2", "F3"):
                made.execute("INSERT INTO masks VALUES (?, ?, ?)", (f"{kind}{fov}", kind, fov))
    return tmp_path


def made(found: Guess) -> recipe.Recipe:
    return recipe_of(found.text.encode())


def record(found: Guess, kind: str) -> recipe.Record:
    record = getattr(made(found).records, kind)
    assert isinstance(record, recipe.Record)
    return record


def test_tables_get_their_kinds_by_names_and_values(lab: Path) -> None:
    found = guess(str(lab))
    assert {
        "line": "cell_lines",
        "well": "wells",
        "fov": "fields",
        "cell_seg": "masks",
        "nuclei_seg": "masks",
    } == found.kinds
    assert [] == found.problems
    assert {"file": "segs.db", "table": "masks"} == msgspec.to_builtins(made(found).tables["masks"])


def test_keys_are_unique_and_links_lead_to_keys(lab: Path) -> None:
    found = guess(str(lab))
    assert ["CellLine", "WellId", "FOVId", "seg"] == [
        record(found, kind).key for kind in ("line", "well", "fov", "cell_seg")
    ]
    assert ("CellLine", "WellId", "FOVId") == (
        record(found, "well").line,
        record(found, "fov").well,
        record(found, "nuclei_seg").fov,
    )
    assert "" == record(found, "fov").line
    assert {"kind": "nuclei"} == record(found, "nuclei_seg").where


def test_images_are_found_where_they_lie_and_asked_for_their_axes(lab: Path) -> None:
    found = guess(str(lab))
    assert (
        recipe.Image(
            file="SourceReadPath", folder="raw/2017", axes="ZCYX", voxel_size={"Z": "voxel_size_z"}
        )
        == record(found, "fov").image
    )
    assert "# channels: [DNA, EGFP, Bright]" in found.text


def test_known_attributes_are_active_and_others_are_left_to_people(lab: Path) -> None:
    found = guess(str(lab))
    well = record(found, "well").attributes
    assert recipe.Attribute(type="date", format="%m/%d/%Y", nullable=False) == well["seed_date"]
    assert recipe.Attribute(type="integer") == well["passage"]
    assert ["passage", "seed_date"] == sorted(well)
    assert '# drug: {column: "Drug (µm)", type: number, nullable: false, unit: "µm"' in found.text
    assert "# operator: {column: Operator, type: string" in found.text
    edits = record(found, "line").attributes["edits"]
    assert isinstance(edits, recipe.Attribute)
    assert ["gene", "tag_location"] == list(edits.fields)


def test_what_a_well_knows_its_fields_know_through_it(lab: Path) -> None:
    fov = record(guess(str(lab)), "fov").attributes
    assert recipe.Attribute(through="well", type="integer") == fov["passage"]
    assert recipe.Attribute(through="well", type="date", format="%m/%d/%Y") == fov["seed_date"]


def test_every_line_of_a_guess_says_why(lab: Path) -> None:
    text = guess(str(lab)).text
    assert "key: FOVId  # unique in 3 of 3 rows" in text
    assert "well: WellId  # all 3 are keys of wells" in text


def test_the_same_folder_gives_the_same_recipe(lab: Path) -> None:
    assert guess(str(lab)).text == guess(str(lab)).text


def test_a_folder_without_tables_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no table"):
        guess(str(tmp_path))


def test_one_table_of_everything_becomes_fields_of_view(tmp_path: Path) -> None:
    write(
        tmp_path / "export.csv",
        ["id", "plate", "line", "path"],
        ["1", "P1", "A", "missing/1.tif"],
        ["2", "P1", "A", "missing/2.tif"],
    )
    found = guess(str(tmp_path))
    fov = record(found, "fov")
    assert ("id", None, "fov_{id}") == (fov.key, fov.image, fov.id)
    assert "no file of this folder has a name that stands in path" in found.text


def test_a_table_without_a_key_says_so(tmp_path: Path) -> None:
    write(tmp_path / "fovs.csv", ["a", "b"], ["1", "x"], ["1", "x"])
    found = guess(str(tmp_path))
    assert "a" == record(found, "fov").key
    assert "TODO: no column is filled and unique" in found.text


def test_sheets_of_a_workbook_are_tables(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.worksheets[0].title = "Plates"
    for row in (["plate", "plate_type"], ["P1", "96 well"]):
        book.worksheets[0].append(row)
    page = book.create_sheet("FOVs")
    for row in (["fov", "plate"], ["F1", "P1"]):
        page.append(row)
    book.save(tmp_path / "lab.xlsx")
    found = guess(str(tmp_path))
    assert {"plate": "plates", "fov": "fovs"} == found.kinds
    assert "FOVs" == made(found).tables["fovs"].sheet
    assert "plate" == record(found, "fov").plate


def test_views_of_a_database_are_looked_at_too(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "lims.db")) as made, made:
        made.execute("CREATE TABLE measured (fov TEXT, value REAL)")
        made.execute("INSERT INTO measured VALUES ('F1', 1.5), ('F2', 2.5)")
        made.execute("CREATE VIEW fovs AS SELECT fov FROM measured")
    found = guess(str(tmp_path))
    assert ("fovs", "fov") == (found.kinds["fov"], record(found, "fov").key)


def test_structs_are_taken_from_a_table_that_names_the_record(tmp_path: Path) -> None:
    write(tmp_path / "fovs.csv", ["fov"], ["F1"], ["F2"])
    write(
        tmp_path / "channels.csv",
        ["fov", "dye_name", "use"],
        ["F1", "DNA", "true"],
        ["F1", "EGFP", "true"],
        ["F2", "DNA", "false"],
    )
    channels = record(guess(str(tmp_path)), "fov").attributes["channels"]
    assert isinstance(channels, recipe.Attribute)
    assert ("channels", {"fov": "fov"}, ["dye_name", "use"]) == (
        channels.table,
        channels.on,
        list(channels.fields),
    )


def test_a_table_that_cannot_be_read_is_told_of_and_the_others_are_used(lab: Path) -> None:
    (lab / "broken.parquet").write_bytes(b"no")
    found = guess(str(lab))
    assert ["broken.parquet"] == [problem.file for problem in found.problems]
    assert "fields" == found.kinds["fov"]


@pytest.mark.parametrize(
    "name", ["a: b", "#1", "x #y", "{z}", "- d", "null", "[q]", "'", '"', "µ", *LINE_ENDS]
)
def test_any_name_of_a_column_can_stand_in_a_recipe(tmp_path: Path, name: str) -> None:
    write(tmp_path / "fovs.csv", [name], ["F1"], ["F2"])
    assert name == record(guess(str(tmp_path)), "fov").key


@pytest.mark.parametrize("name", LINE_ENDS)
def test_any_name_can_stand_in_a_comment(tmp_path: Path, name: str) -> None:
    for image in ("1.ome.tif", "2.ome.tif"):
        write_image(tmp_path / image)
    write(tmp_path / "fovs.csv", ["fov", "image", name], ["F1", "1.ome.tif", "2.ome.tif"])
    found = guess(str(tmp_path))
    image = record(found, "fov").image
    assert image is not None
    assert "image" == image.file
    assert "more columns have images" in found.text


def test_images_that_several_rows_share_are_told_of(tmp_path: Path) -> None:
    write_image(tmp_path / "1.ome.tif")
    rows = [[cell, "1.ome.tif"] for cell in ("C1", "C2")]
    write(tmp_path / "manifest.csv", ["CellId", "SourceReadPath"], *rows)
    assert "# TODO: 2 rows name 1 images" in guess(str(tmp_path)).text


def test_fields_of_structs_may_have_any_name(tmp_path: Path) -> None:
    dyes = "[{'a, b: c': 1, 'use': true}]"
    duckdb.sql(
        f"COPY (SELECT 'F1' AS fov, {dyes} AS channels) TO '{tmp_path}/fovs.parquet'"
        " (FORMAT parquet)"
    )
    channels = record(guess(str(tmp_path)), "fov").attributes["channels"]
    assert ["a, b: c", "use"] == list(channels.fields)


def test_tables_beyond_the_last_that_is_looked_at_are_told_of(tmp_path: Path) -> None:
    for number in range(MAX_TABLES):
        write(tmp_path / f"t{number:02}.csv", ["id"], ["1"])
    assert not guess(str(tmp_path)).problems
    write(tmp_path / "wells.csv", ["id"], ["1"])
    assert ["wells.csv"] == [problem.file for problem in guess(str(tmp_path)).problems]


# --- columns


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["1", "2"], "integer"),
        (["1", "2.5"], "number"),
        (["1", ""], "integer"),
        (["007", "8"], "string"),
        (["yes", "no"], "boolean"),
        (["0", "1"], "integer"),
        (["2017-10-16", "2017-01-02"], "date"),
        (["A1", "2"], "string"),
        ([[1, 2], []], "list[integer]"),
        ([["a"]], "list[string]"),
        ([[{"gene": "a"}]], "list[struct]"),
        (["", ""], "string"),
    ],
)
def test_the_narrowest_type_is_found(values: list[Any], expected: str) -> None:
    assert expected == type_of(column(*values))


def test_days_that_could_be_months_have_two_forms() -> None:
    assert ["%m/%d/%Y"] == date_forms(column("10/16/2017", "1/2/2017"))
    assert ["%m/%d/%Y", "%d/%m/%Y"] == date_forms(column("1/2/2017"))


@pytest.mark.parametrize(
    ("name", "unit"),
    [("size_um", "µm"), ("size (µm)", "µm"), ("viability_percent", "%"), ("time_ms", "ms"),
     ("album", ""), ("cells", "")],
)  # fmt: skip
def test_units_are_read_from_names(name: str, unit: str) -> None:
    assert unit == unit_of(name)


@pytest.mark.parametrize(
    ("name", "plain"),
    [("Seed Date", "seed_date"), ("FOVId", "fovid"), ("CellLine", "cell_line"), ("x (µm)", "x")],
)
def test_names_become_those_of_attributes(name: str, plain: str) -> None:
    assert plain == plain_name(name)
