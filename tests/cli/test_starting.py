"""Tests of `init`."""

import json
from pathlib import Path

import pytest

from cellbank.cells.reading import read_recipe
from cellbank.cells.recipe import json_schema


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    folder = tmp_path / "lab"
    folder.mkdir()
    (folder / "lines.csv").write_text("line,gene\nAICS-23,TJP1\n")
    (folder / "fovs.csv").write_text("fov,line\nF1,AICS-23\n")
    return folder


def test_init_writes_a_recipe_that_holds_and_says_what_it_found(cellbank, lab):
    result = cellbank("init", lab).ok()
    assert "line in lines, fov in fovs" in result.out
    assert "cellbank build OWNER" in result.out
    assert "" == result.err
    assert "line" == read_recipe(lab / "cellbank.yaml").records.fov.line


def test_init_keeps_a_recipe_that_is_there(cellbank, lab):
    (lab / "cellbank.yaml").write_text("mine")
    assert "--force" in cellbank("init", lab).failed(8).err
    assert "mine" == (lab / "cellbank.yaml").read_text()
    cellbank("init", lab, "--force").ok()
    assert "mine" != (lab / "cellbank.yaml").read_text()


def test_init_to_stdout_writes_nothing(cellbank, lab):
    (lab / "broken.xlsx").write_text("no workbook")
    result = cellbank("init", lab, "--stdout").ok()
    assert "format: 1\n" in result.out
    assert "broken.xlsx" in result.err
    assert ["broken.xlsx", "fovs.csv", "lines.csv"] == sorted(f.name for f in lab.iterdir())


def test_init_as_json_has_what_was_found(cellbank, lab):
    found = cellbank("init", lab, "--json").ok().json
    assert {"line": "lines", "fov": "fovs"} == found["tables"]
    assert str(lab / "cellbank.yaml") == found["recipe"]


def test_init_prints_the_schema_of_recipes(cellbank):
    assert json_schema() == json.loads(cellbank("init", "--schema").ok().out)


def test_init_says_what_is_wrong_with_the_folder(cellbank, tmp_path):
    cellbank("init", tmp_path / "nowhere").failed(4)
    (tmp_path / "empty").mkdir()
    assert "no table" in cellbank("init", tmp_path / "empty").failed(2).err
