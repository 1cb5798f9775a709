"""Recipes: read, or refused with every problem, its line and its path."""

import json
from pathlib import Path

import pytest

from cellbank.cells import recipe
from cellbank.cells.reading import read_recipe, recipe_of
from cellbank.model.errors import BadInput, NotFound, ProblemsFound

GOOD = """\
format: 1
title: Junctions
tables:
  wells: {file: wells.csv}
  fovs: {file: fovs.parquet}
  plates: {file: plates.csv}
  edits: {file: edits.csv}
records:
  plate: {table: plates, key: plate_barcode, attributes: {plate_barcode: }}
  well:
    table: wells
    key: well
    id: plate_{plate}_well_{well_name}
    plate: plate
    attributes: &culture
      passage:
      clone: {type: string, column: clone_name}
      seed_date: {format: "%m/%d/%Y"}
      plate_barcode: {through: plate}
  fov:
    table: fovs
    key: fov
    well: {column: well, separator: ";"}
    image: {file: path, axes: ZCYX, channels: channels}
    attributes:
      <<: *culture
      channels: {fields: {dye_name: , use: {value: true}}}
      edits: {table: edits, on: {well: well}, fields: {gene: }}
      seed_date: {through: well}
packages:
  all: cell_lines
  sample: {fovs: 3}
"""


def problems(text: str) -> list[tuple[int | None, str, str]]:
    """Return (line, path, what and advice) of each problem."""
    with pytest.raises(ProblemsFound) as caught:
        recipe_of(text.encode())
    assert {"cellbank.yaml"} == {p["file"] for p in caught.value.problems}
    return [
        (p.get("row"), p.get("column", ""), f"{p['what']}. {p['advice']}")
        for p in caught.value.problems
    ]


def changed(*pairs: tuple[str, str]) -> str:
    text = GOOD
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new, 1)
    return text


def test_a_good_recipe_becomes_typed_values() -> None:
    made = recipe_of(GOOD.encode())
    assert "Junctions" == made.title
    well = made.records.well
    assert well is not None
    assert ["passage", "clone", "seed_date", "plate_barcode"] == list(well.attributes)
    assert recipe.Attribute(through="well") == made.records.fov.attributes["seed_date"]
    assert recipe.Attribute(format="%m/%d/%Y") == well.attributes["seed_date"]
    assert made.records.fov.image is not None
    assert "ZCYX" == made.records.fov.image.axes


def test_a_recipe_is_read_from_its_file(tmp_path: Path) -> None:
    (tmp_path / "cellbank.yaml").write_text(GOOD)
    assert recipe_of(GOOD.encode()) == read_recipe(tmp_path / "cellbank.yaml")


def test_a_recipe_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="cellbank init"):
        read_recipe(tmp_path / "cellbank.yaml")


def test_a_folder_is_no_recipe(tmp_path: Path) -> None:
    with pytest.raises(BadInput):
        read_recipe(tmp_path)


def test_the_published_schema_is_that_of_the_recipe() -> None:
    published = Path(recipe.__file__).parent / "cellbank.schema.json"
    expected = json.dumps(recipe.json_schema(), indent=2, ensure_ascii=False)
    assert f"{expected}\n" == published.read_text(), (
        "Write it anew: cellbank init --schema > src/cellbank/cells/cellbank.schema.json"
    )


def test_every_field_of_the_schema_is_described() -> None:
    missing = [
        f"{name}.{field}"
        for name, part in recipe.json_schema()["$defs"].items()
        for field, said in part["properties"].items()
        if not said.get("description")
    ]
    assert [] == missing


@pytest.mark.parametrize(
    ("old", "new", "line", "path", "words"),
    [
        ("table: wells\n", "tables: wells\n", 11, "records.well.tables", "Did you mean table?"),
        ("    key: well\n", "", 10, "records.well", "the field key is missing"),
        ("sample: {fovs: 3}", "sample: {fovs: 0}", 32, "packages.sample.fovs", "less than 1"),
        ("sample: {fovs: 3}", "sample: {fovs: three}", 32, "packages.sample.fovs", "whole number"),
        ("title: Junctions", "title: ", 2, "title", "is empty, where text is expected"),
        ("title: Junctions", "title: ''", 2, "title", "is empty"),
        ("format: 1", "format: 2", 1, "format", "2 is not 1. Write 1."),
        ("axes: ZCYX", "axes: zcyx", 24, "records.fov.image.axes", "mean ZCYX?"),
        ("axes: ZCYX", "axes: Z-Y", 24, "records.fov.image.axes", "in that form"),
        ("all: cell_lines", "all: {cells}", 31, "packages.all", "Put quotes around it"),
        ("channels: channels}", "channels: channel}", 24, "records.fov.image.channels", "Did you"),
        (
            "type: string",
            "type: strings",
            17,
            "records.well.attributes.clone.type",
            "Did you mean string",
        ),
        ("type: string", "type: x", 17, "records.well.attributes.clone.type", "Write one of them."),
        ("type: string", "nullable: yes", 17, "records.well.attributes.clone.nullable", "true or"),
        ("passage:\n", "passage: 5\n", 16, "records.well.attributes.passage", "5"),
        ("file: wells.csv", "fil: wells.csv", 4, "tables.wells.fil", "Did you mean file?"),
        ("table: fovs", "table: fov", 21, "records.fov.table", "Did you mean fovs?"),
        ("table: edits,", "table: edit,", 28, "records.fov.attributes.edits.table", "edits?"),
        ("on: {well: well}, ", "", 28, "records.fov.attributes.edits", "Add `on`"),
        ("{through: well}", "{through: line}", 29, "records.fov.attributes.seed_date.through", ""),
        ("seed_date: {through", "nothing: {through", 29, "records.fov.attributes.nothing.through",
         "no attribute nothing"),
        ("    plate: plate\n", "    plate: plate\n    line: l\n", 15, "records.well.line",
         "no records of the kind line"),
        ("    plate: plate\n", "    plate: plate\n    fov: f\n", 15, "records.well.fov",
         "does not belong"),
        ("id: plate_{plate}_well_{well_name}", "id: well", 13, "records.well.id", "same id"),
        ("id: plate_{plate}_well_{well_name}", "id: w_{plate", 13, "records.well.id", "brace"),
        ("type: string", "type: string, fields: {a: }", 17, "records.well.attributes.clone.fields",
         "has no fields"),
        ("passage:\n", "own: {type: 'list[struct]'}\n", 16, "records.well.attributes.own",
         "has no fields"),
        ("type: string", "type: string, minimum: 3", 17, "records.well.attributes.clone.minimum",
         "string has no minimum"),
        ("type: string", "value: 3", 17, "records.well.attributes.clone", "column and value"),
        ("%m/%d/%Y", "MM/DD/YYYY", 18, "records.well.attributes.seed_date.format", "strptime"),
        ("%m/%d/%Y", "%d %d", 18, "records.well.attributes.seed_date.format", "no form"),
        ("%m/%d/%Y", "%d", 18, "records.well.attributes.seed_date.format", "no form"),
        ("%m/%d/%Y", "%Y-%m-%d%", 18, "records.well.attributes.seed_date.format", "no form"),
        ("passage:\n", "'':\n", 16, "records.well.attributes.", "is no name"),
        ("passage:\n", '"a\\0b":\n', 16, "records.well.attributes.a\0b", "is no name"),
        ("{gene: }", "{' ': }", 28, "records.fov.attributes.edits.fields. ", "is no name"),
        ("type: string", "format: '%d'", 17, "records.well.attributes.clone.format", "no format"),
        ("all: cell_lines", "all: class", 31, "packages.all", "keyword"),
        ("all: cell_lines", "all: random_sample", 32, "packages.sample.name", "already"),
        ("all: cell_lines", "per_line: {name: 'x_{l}'}", 31, "packages.per_line", "records.line"),
        ("key: plate_barcode,", "key: plate_barcode, image: {file: f},", 9,
         "records.plate.image", "has no image"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_line_and_path(
    old: str, new: str, line: int, path: str, words: str
) -> None:
    found = problems(changed((old, new)))
    told = [(row, column, said) for row, column, said in found if words in said]
    assert (line, path) in [(row, column) for row, column, _ in told], found


def test_all_problems_are_told_at_once() -> None:
    text = changed(
        ("title: Junctions\n", ""),
        ("format: 1\n", ""),
        ("    key: well\n", ""),
        ("file: wells.csv", "file: 5"),
        ("table: fovs", "table: fov"),
        ("all: cell_lines", "all: Cell-Lines"),
    )
    assert ["", "", "tables.wells.file", "records.well", "records.fov.table", "packages.all"] == [
        column for _, column, _ in problems(text)
    ]


def test_a_table_that_is_wrong_in_itself_is_still_a_table() -> None:
    assert ["tables.wells.file"] == [
        column for _, column, _ in problems(changed(("file: wells.csv", "file: 5")))
    ]


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("", 1, "no fields"),
        ("- a\n", 1, "no fields"),
        ("format: 1\nformat: 1\n", 2, "twice"),
        ("a: [\n", 2, "not YAML"),
        ("a: 1\n---\nb: 1\n", 2, "not YAML"),
        ("a: 1\n1: 2\n", 2, "not text"),
        ("a: 1\nb: !!python/object x\n", 2, "tag"),
        ("a: &a [*a]\n", None, "nested deeper"),
        ("[" * 5000, None, "nested deeper"),
        ("x" * (4 * 1024 * 1024 + 1), None, "larger than 4 MB"),
        (
            "a: &a [1,1,1,1,1,1,1,1,1,1]\n"
            + "".join(
                f"{y}: &{y} [{','.join([f'*{x}'] * 10)}]\n"
                for x, y in zip("abcdef", "bcdefg", strict=True)
            ),
            None,
            "more than",
        ),
    ],
    ids=lambda value: str(value)[:20],
)
def test_what_is_no_recipe_at_all_is_refused(text: str, line: int | None, words: str) -> None:
    assert [line] == [row for row, _, said in problems(text) if words in said]


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(ProblemsFound) as caught:
        recipe_of(b"title: a\nauthors: [J\xfcrgen]\n")
    assert [2] == [p["row"] for p in caught.value.problems]


def test_a_day_stays_the_text_that_it_is() -> None:
    made = recipe_of(changed(("type: string, column: clone_name", "value: 2017-10-16")).encode())
    well = made.records.well
    assert well is not None
    assert recipe.Attribute(value="2017-10-16") == well.attributes["clone"]
