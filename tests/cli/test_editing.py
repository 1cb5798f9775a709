"""Tests of `edit`."""

import csv
import json

import pytest

from cellbank import load
from tests.cells.lab import E6, E7, Lab
from tests.cli.conftest import revision_of


def table(path, *rows):
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.fixture
def lab(tmp_path) -> Lab:
    lab = Lab(tmp_path, tmp_path / "home").only(all="cell_lines")
    lab.build()
    return lab


def test_edit_changes_records_by_a_table_named_by_its_file(cellbank, lab, tmp_path):
    wells = table(tmp_path / "wells.csv", {"id": E6, "passage": 77, "clone": ""})
    result = cellbank("edit", "aics/cell_lines", "--set", wells, "-m", "mended").ok()
    revision = revision_of(cellbank, "aics/cell_lines")
    assert f"aics/cell_lines@{revision[:12]}: " in result.out
    assert "changed: 1 of wells" in result.out
    assert "fovs have passage too" in result.err
    info = json.loads(cellbank("cat", f"aics/cell_lines/wells/{E6}/info/load").ok().out)
    assert (77, None) == (info["passage"], info["clone"])
    assert "mended" in cellbank("log", "aics/cell_lines").ok().out


def test_edit_takes_several_tables_and_the_names_of_them(cellbank, lab, tmp_path):
    one = table(tmp_path / "one.csv", {"id": E6, "passage": 77})
    two = table(tmp_path / "two.csv", {"path": "README", "lang": "en"})
    result = cellbank(
        "edit", "aics/cell_lines", "--set", f"well={one}", "--set", f"entries={two}", "--json"
    ).ok()
    assert {"well": 1, "entries": 1} == result.json["tables"]
    assert result.json["built"]["changed"]


def test_edit_says_when_nothing_changes(cellbank, lab, tmp_path):
    wells = table(tmp_path / "wells.csv", {"id": E6, "passage": 33})
    assert "(unchanged)" in cellbank("edit", "aics/cell_lines", "--set", wells).ok().out


def test_edit_tells_all_that_is_wrong_of_all_tables_and_builds_nothing(cellbank, lab, tmp_path):
    wells = table(
        tmp_path / "wells.csv", {"id": E6, "passage": "many"}, {"id": "no", "passage": ""}
    )
    lines = table(tmp_path / "lines.csv", {"id": "line_AICS_10", "lines": 3})
    other = table(tmp_path / "other.csv", {"id": "x"})
    arguments = [part for path in (wells, lines, other) for part in ("--set", path)]
    before = revision_of(cellbank, "aics/cell_lines")
    failed = cellbank("edit", "aics/cell_lines", *arguments)
    assert (2, "") == (failed.code, failed.out)
    for said in ("wells.csv", "lines.csv", "other.csv", "--set TABLE=", "Did you mean line"):
        assert said in failed.err
    found = cellbank("edit", "aics/cell_lines", *arguments, "--json")
    assert 2 == found.code
    assert [2, 3, None, None] == [problem.get("row") for problem in found.json["problems"]]
    assert before == revision_of(cellbank, "aics/cell_lines")


@pytest.mark.parametrize("name", ["nowhere.csv", "folder", "wells.odd", "wells.csv", "wells.db"])
def test_edit_refuses_what_is_no_table(cellbank, lab, tmp_path, name):
    (tmp_path / "folder").mkdir()
    (tmp_path / "wells.odd").write_text("id\n")
    (tmp_path / "wells.db").write_text("")
    (tmp_path / "wells.csv").write_text("")
    failed = cellbank("edit", "aics/cell_lines", "--set", f"wells={tmp_path / name}")
    assert 2 == failed.code
    assert name in failed.err
    assert "recipe" not in failed.err


def test_edit_says_how_to_name_a_table_whose_file_has_another_name(cellbank, lab, tmp_path):
    file = tmp_path / "my wells.csv"
    table(file, {"id": E6, "passage": 40})
    failed = cellbank("edit", "aics/cell_lines", "--set", file)
    assert f"Name it: --set 'TABLE={file}'" in failed.err
    cellbank("edit", "aics/cell_lines", "--set", f"wells={file}").ok()


def test_edit_needs_a_table(cellbank, lab):
    assert "--set" in cellbank("edit", "aics/cell_lines").failed(2).err


def test_edit_gives_entries_of_plain_packages_metadata(cellbank, images, tmp_path):
    cellbank("build", "demo/nuclei", images).ok()
    node = load("demo/nuclei")._data_keys()[0]
    stains = table(tmp_path / "entries.csv", {"path": node, "stain": "DAPI"})
    cellbank("edit", "demo/nuclei", "--set", stains).ok()
    assert {"stain": "DAPI"} == load(f"demo/nuclei/{node}").meta


def test_edit_of_what_is_not_here_says_what_to_do(cellbank, tmp_path):
    wells = table(tmp_path / "wells.csv", {"id": E7})
    assert "install" in cellbank("edit", "aics/none", "--set", wells).failed(4).err


@pytest.mark.parametrize("form", ["csv", "parquet"])
@pytest.mark.parametrize("kind", ["fovs", "wells", "lines", "cell_segs"])
def test_an_answer_of_query_can_be_given_back_and_changes_nothing(
    cellbank, lab, tmp_path, kind, form
):
    file = tmp_path / f"{kind}.{form}"
    answer = cellbank(
        "query", "aics/cell_lines", "--kind", kind, "--format", form, "--output", file
    )
    if not file.exists():
        file.write_text(answer.ok().out)
    assert "(unchanged)" in cellbank("edit", "aics/cell_lines", "--set", file).ok().out


def test_edit_tells_of_a_table_without_paths_that_alone(cellbank, images, tmp_path):
    cellbank("build", "demo/nuclei", images).ok()
    stains = table(tmp_path / "stains.csv", {"stain": "DAPI"})
    failed = cellbank("edit", "demo/nuclei", "--set", f"entries={stains}")
    assert (2, "") == (failed.code, failed.out)
    assert "has no column path" in failed.err
    assert "demo/nuclei: 1 error\n" in failed.err


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_an_answer_about_entries_is_given_back_with_a_column_more(cellbank, images, tmp_path, form):
    cellbank("build", "demo/nuclei", images).ok()
    node = load("demo/nuclei")._data_keys()[0]
    stains = table(tmp_path / "stains.csv", {"path": node, "stain": "DAPI", "size": "large"})
    cellbank("edit", "demo/nuclei", "--set", f"entries={stains}").ok()
    assert {"stain": "DAPI", "size": "large"} == load(f"demo/nuclei/{node}").meta
    file = tmp_path / f"entries.{form}"
    ask = ("query", "demo/nuclei")
    cellbank(*ask, "--kind", "entries", "--columns", "*", "-o", file).ok()
    assert "(unchanged)" in cellbank("edit", "demo/nuclei", "--set", file).ok().out
    more = "SELECT *, 'E6' AS well FROM entries"
    cellbank(*ask, more, "-o", file, "--force").ok()
    cellbank("edit", "demo/nuclei", "--set", file).ok()
    assert {"stain": "DAPI", "size": "large", "well": "E6"} == load(f"demo/nuclei/{node}").meta
    other = 'SELECT path, digest, \'{"stain": "H3342"}\' AS meta FROM entries'
    cellbank(*ask, other, "-o", file, "--force").ok()
    assert "meta cannot be set" in cellbank("edit", "demo/nuclei", "--set", file).err
