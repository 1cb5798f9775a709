"""Without the libraries of an extra: one sentence that says what to install."""

import sys
from pathlib import Path

import pytest

import cellbank
from cellbank.cells import recipe
from cellbank.cells.problems import Problems
from cellbank.cells.reading import recipe_of
from cellbank.cells.tables import read_table
from cellbank.model.errors import BadInput
from tests.cells.lab import Lab


@pytest.mark.parametrize(
    ("module", "table", "extra"),
    [
        ("duckdb", recipe.Table(file="t.parquet"), "cellbank[cells]"),
        ("openpyxl", recipe.Table(file="t.xlsx"), "cellbank[cells]"),
        ("psycopg", recipe.Table(postgres="postgresql://h/d", table="t"), "cellbank[postgres]"),
    ],
)
def test_a_table_says_what_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, table: recipe.Table, extra: str
) -> None:
    (tmp_path / (table.file or "none")).touch()
    monkeypatch.setitem(sys.modules, module, None)
    problems = Problems()
    assert read_table(table, str(tmp_path), problems) is None
    assert [f"needs {module}, which is not installed"] == [p.what for p in problems.found()]
    assert extra in problems.found()[0].advice


@pytest.mark.parametrize("module", ["ruamel.yaml", "jsonschema"])
def test_a_recipe_says_what_it_needs(monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    from cellbank.cells import schema_problems

    schema_problems._validator.cache_clear()
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(BadInput, match="cellbank\\[cells\\]"):
        recipe_of(b"format: 1\n")


@pytest.mark.parametrize("module", ["duckdb", "jinja2"])
def test_a_draft_of_records_says_what_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    lab = Lab(tmp_path).only(all="cell_lines")
    lab.build()
    with lab.at_home():
        monkeypatch.setitem(sys.modules, module, None)
        with pytest.raises(BadInput, match=f"{module}.*\\n?.*cellbank\\[cells\\]"):
            cellbank.edit("aics/cell_lines")
