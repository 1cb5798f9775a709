"""Packages whose metadata tables are none, or lie: told in our words, and nothing is kept of it."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest

import cellbank
from cellbank.model.errors import Damaged
from tests.questions.making import fov, keep, parquet, tables_of

TABLES = {
    "no Parquet": b"PAR1" + bytes(500) + b"PAR1",
    "nothing": b"",
    "a footer of 2 GB": b"PAR1" + bytes(100) + (2**31 - 1).to_bytes(4, "little") + b"PAR1",
    "a digest that is a number": parquet(pl.DataFrame({"id": ["a"], "path": [1], "digest": [2]})),
}
QUESTIONS: dict[str, dict[str, Any]] = {
    "SQL": {"sql": "SELECT * FROM fovs"},
    "a condition": {"where": "passage > 3"},
    "a description": {"describe": True},
}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CELLBANK_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.mark.parametrize("asked", QUESTIONS.values(), ids=[*QUESTIONS])
@pytest.mark.parametrize("table", TABLES.values(), ids=[*TABLES])
def test_a_table_that_cannot_be_read_is_the_package_s_fault(
    home: Path, table: bytes, asked: dict[str, Any]
) -> None:
    keep(home, "lab/odd", {**tables_of([fov(1, 1)]), "fovs": table})
    with pytest.raises(Damaged, match="the table fovs of lab/odd cannot be read") as caught:
        cellbank.query("lab/odd", **asked)
    assert str(home) not in caught.value.message
    assert "\n" not in caught.value.message
    assert [(3,)] == cellbank.query("lab/odd", "SELECT count(*) FROM wells").rows()


def test_relations_that_are_no_lists_are_told(home: Path) -> None:
    odd = parquet(pl.DataFrame({"id": ["a"], "wells": [5], "lines": [1.5], "plates": ["p"]}))
    keep(home, "lab/odd", {**tables_of([fov(1, 1)]), "fovs": odd})
    with pytest.raises(Damaged, match="the table fovs of lab/odd, beside what it belongs to"):
        cellbank.query("lab/odd", "SELECT count(*) FROM fovs_full")


def test_names_of_columns_are_names_and_nothing_else(home: Path) -> None:
    names = ["id", "select", 'a"b', "x'); DROP VIEW fovs; --", "", "\n", "*", "__edit", "ID"]
    odd = parquet(pl.DataFrame({name: ["a"] for name in names}))
    keep(home, "lab/odd", {**tables_of([fov(1, 1)]), "fovs": odd})
    assert [("a",) * len(names)] == cellbank.query("lab/odd", "SELECT * FROM fovs").rows()
    assert [("a",)] == cellbank.query("lab/odd", 'SELECT "select" FROM fovs').rows()
    assert cellbank.query("lab/odd", describe=True)
