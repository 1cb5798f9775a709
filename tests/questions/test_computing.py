"""What questions and conditions may consist of, against all that DuckDB has."""

# ruff: noqa: S608

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

import cellbank
from cellbank.cells.computing import ADVICE, FUNCTIONS, TABLE_FUNCTIONS
from cellbank.model.errors import BadQuestion
from cellbank.questions import reading
from cellbank.questions.reading import ONLY, read_question

TABLES = ["fovs", "wells"]
PLACES = [
    "SELECT {}",
    "SELECT id FROM fovs WHERE {} IS NULL",
    "SELECT id FROM fovs ORDER BY {}",
    "SELECT count(*) FROM fovs GROUP BY {}",
    "SELECT count(*) FROM fovs HAVING {} IS NULL",
    "SELECT id FROM fovs QUALIFY {} IS NULL",
    "SELECT id FROM fovs LIMIT (SELECT {})",
    "SELECT (SELECT {})",
    "WITH x AS (SELECT {} AS y) FROM x",
    "WITH RECURSIVE x AS (SELECT 1 AS y UNION ALL SELECT {} FROM x) FROM x",
    "SELECT id FROM fovs AS f, LATERAL (SELECT {} AS y) AS g",
    "FROM fovs AS f JOIN wells AS w ON {} IS NULL",
    "SELECT list_transform([1], lambda x: {})",
    "SELECT [{} FOR x IN [1]]",
    "SELECT {{'a': {}}}",
    "SELECT CASE WHEN {} IS NULL THEN 1 END",
    "SELECT sum(1) FILTER (WHERE {} IS NULL) FROM fovs",
    "SELECT sum(1) OVER (PARTITION BY {}) FROM fovs",
    "SELECT CAST({} AS VARCHAR)",
    "SELECT COLUMNS(lambda c: {} IS NULL) FROM fovs",
    "SELECT * REPLACE ({} AS id) FROM fovs",
    "VALUES ({})",
    "SUMMARIZE SELECT {}",
    "DESCRIBE SELECT {}",
    "SELECT * FROM range({})",
    "SELECT 1 UNION ALL SELECT {}",
    "SELECT * FROM fovs PIVOT (max({}) FOR kind IN ('a'))",
]


@pytest.fixture(scope="module")
def database() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as found:
        yield found


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """To look up whether there is such a function takes DuckDB a twentieth of a second."""
    monkeypatch.setattr(reading, "why_not", lambda *_: ("it may not call this", []))


def names_of(database: duckdb.DuckDBPyConnection, *kinds: str) -> set[str]:
    asked = "SELECT lower(function_name) FROM duckdb_functions() WHERE function_type IN ?"
    return {name for (name,) in database.execute(asked, [kinds]).fetchall()}


def test_what_is_listed_is_there(database: duckdb.DuckDBPyConnection) -> None:
    there = names_of(database, "scalar", "aggregate", "macro", "window", "table")
    assert set() == (FUNCTIONS | TABLE_FUNCTIONS) - there


@pytest.mark.usefixtures("quick")
def test_no_function_that_is_not_listed_is_called(database: duckdb.DuckDBPyConnection) -> None:
    there = names_of(database, "scalar", "aggregate", "macro", "window", "pragma")
    others = there - FUNCTIONS - TABLE_FUNCTIONS - {"", "is distinct from", "is not distinct from"}
    assert {"current_setting", "write_log", "nextval", "finalize"} < others
    forms = ('"{}"(1)', 'main."{}"(1)', '"{}"(1) OVER ()', '(1)."{}"()')
    for name, form in zip(sorted(others), itertools.cycle(forms)):
        with pytest.raises(BadQuestion, match="may not call") as caught:
            read_question(database, f"SELECT {form.format(name)}", TABLES)
        assert ADVICE == caught.value.advice


@pytest.mark.usefixtures("quick")
def test_behind_from_nothing_is_called_but_what_makes_rows(
    database: duckdb.DuckDBPyConnection,
) -> None:
    there = names_of(database, "table", "table_macro", "pragma", "scalar", "aggregate")
    others = there - TABLE_FUNCTIONS - {""}
    assert {"read_text", "glob", "query", "duckdb_settings", "json_execute_serialized_sql"} < others
    forms = ('"{}"(1)', 'main."{}"()', "fovs, LATERAL \"{}\"('x')")
    for name, form in zip(sorted(others), itertools.cycle(forms)):
        with pytest.raises(BadQuestion, match="may not call"):
            read_question(database, f"SELECT * FROM {form.format(name)}", TABLES)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("place", PLACES)
def test_no_place_hides_a_call(place: str, database: duckdb.DuckDBPyConnection) -> None:
    read_question(database, place.format("abs(1)"), TABLES)
    for call in (
        "current_setting('threads')",
        "'threads'.current_setting()",
        "write_log('x')",
        "(SELECT 1 FROM read_text('x'))",
        "(WITH z AS (FROM glob('*')) FROM z)",
    ):
        with pytest.raises(BadQuestion, match="may not call"):
            read_question(database, place.format(call), TABLES)
    for changes in ("DELETE FROM fovs", "INSERT INTO fovs VALUES (1)", "COPY fovs TO 'x'"):
        with pytest.raises(BadQuestion, match=ONLY):
            read_question(database, place.format(f"(WITH z AS ({changes}) SELECT 1)"), TABLES)


def test_a_function_that_is_not_there_is_told_with_one_that_is(
    database: duckdb.DuckDBPyConnection,
) -> None:
    with pytest.raises(BadQuestion, match="there is no function lengthy") as caught:
        read_question(database, "SELECT lengthy(id) FROM fovs", TABLES)
    assert "Did you mean length" in caught.value.advice


@pytest.mark.parametrize("name", ["duckdb_tables", "sqlite_master", "0 fovs", "secret.csv"])
def test_a_table_of_with_lends_its_name_to_no_other(
    name: str, database: duckdb.DuckDBPyConnection
) -> None:
    for source in (f'main."{name}"', f'memory."{name}"', f'memory.main."{name}"'):
        with pytest.raises(BadQuestion, match="there is no"):
            read_question(database, f'WITH "{name}" AS (SELECT 1) FROM {source}', TABLES)


@pytest.mark.usefixtures("lab")
def test_a_condition_changes_nothing_and_calls_nothing_that_looks_around() -> None:
    cellbank.query("lab/cells", "FROM wells")
    home = Path(os.environ["CELLBANK_HOME"])
    files = {file: file.read_bytes() for file in home.glob("unpacked/*")}
    assert files
    for where in (
        "getenv('HOME') IS NULL",
        "id IN (SELECT getenv('HOME'))",
        "id IN (FROM duckdb_settings())",
        *(f"id IN (WITH x AS (COPY wells TO '{file}') SELECT 1)" for file in files),
    ):
        for asked in ({"where": where}, {"columns": [where]}, {"group_by": [where]}):
            with pytest.raises(BadQuestion):
                cellbank.query("lab/cells", **asked)
    assert files == {file: file.read_bytes() for file in files}
