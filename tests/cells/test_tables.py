"""Tables that are no text: each value with its type, and nothing outside of the folder."""

import datetime
import math
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import openpyxl
import psycopg
import pytest

from cellbank.cells import recipe
from cellbank.cells.problems import Problem, Problems
from cellbank.cells.tables import Rows, read_table
from tests.cells.conftest import PASSWORD


def read(folder: Path, **table: Any) -> tuple[Rows | None, list[Problem]]:
    problems = Problems()
    return read_table(recipe.Table(**table), str(folder), problems), problems.found()


def good(rows: Rows | None) -> Rows:
    assert rows is not None
    return rows


def said(problems: list[Problem]) -> str:
    return " ".join(f"{p.what}. {p.advice}" for p in problems)


# --- where a table may be


def test_a_missing_file_is_answered_with_names_like_it(tmp_path: Path) -> None:
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "wells.csv").write_text("a\n1\n")
    for wrong in ("wells.csv", "tables/welsl.csv", "tables\\wells.csv"):
        rows, problems = read(tmp_path, file=wrong)
        assert rows is None
        assert ["Did you mean tables/wells.csv?"] == [p.advice for p in problems]


@pytest.mark.parametrize("way", ["../outside.csv", "link.csv", "absolute", "."])
def test_nothing_outside_of_the_folder_is_read(tmp_path: Path, way: str) -> None:
    (tmp_path / "outside.csv").write_text("a\n1\n")
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "link.csv").symlink_to("../outside.csv")
    file = str(tmp_path / "outside.csv") if way == "absolute" else way
    rows, problems = read(inside, file=file, format="csv")
    assert (None, ["leads out of the folder of the recipe"]) == (rows, [p.what for p in problems])


def test_a_link_that_stays_in_the_folder_is_followed(tmp_path: Path) -> None:
    (tmp_path / "wells.csv").write_text("a\n1\n")
    (tmp_path / "latest.csv").symlink_to("wells.csv")
    assert [("1",)] == good(read(tmp_path, file="latest.csv")[0]).rows


def test_a_folder_or_a_pipe_is_no_table(tmp_path: Path) -> None:
    (tmp_path / "folder.csv").mkdir()
    os.mkfifo(tmp_path / "pipe.csv")
    for file in ("folder.csv", "pipe.csv"):
        assert ["is not a file"] == [p.what for p in read(tmp_path, file=file)[1]]


@pytest.mark.parametrize(
    ("table", "what"),
    [
        ({}, "either `file` or `postgres`"),
        ({"file": "a.csv", "postgres": "x"}, "either `file` or `postgres`"),
        ({"file": "a.xyz"}, "no format"),
        ({"file": "a.db"}, "either `table` or `query`"),
        ({"file": "a.db", "query": "DELETE FROM a"}, "not a SELECT"),
        ({"postgres": "x", "query": "/* SELECT */ DROP TABLE a"}, "not a SELECT"),
    ],
)
def test_a_recipe_that_says_too_little_or_too_much_is_told(
    tmp_path: Path, table: dict[str, str], what: str
) -> None:
    (tmp_path / "a.xyz").touch()
    rows, problems = read(tmp_path, **table)
    assert rows is None
    assert what in problems[0].what


# --- Parquet


def write_parquet(file: Path, select: str) -> None:
    with duckdb.connect() as database:
        quoted = str(file).replace("'", "''")
        database.execute(f"COPY ({select}) TO '{quoted}' (FORMAT parquet)")


def test_parquet_values_keep_their_types(tmp_path: Path) -> None:
    write_parquet(
        tmp_path / "t.parquet",
        """SELECT 7 AS n, 'x' AS "a b", 1.50::DECIMAL(9, 2) AS d, 3::DECIMAL(9, 0) AS e,
        DATE '2017-10-16' AS day, [1, 2] AS list, {'gene': 'TJP1', 'id': 2} AS edit,
        TIMESTAMPTZ '2020-01-01 12:00:00+00' AS t, 'nan'::DOUBLE AS nan, NULL::INT AS nothing,
        true AS yes""",
    )
    rows, problems = read(tmp_path, file="t.parquet")
    assert [] == problems
    assert (1, None) == (good(rows).first, good(rows).numbers)
    got = {name: good(rows).rows[0][i] for name, i in good(rows).columns.items()}
    assert math.isnan(got.pop("nan"))
    assert {
        "n": 7,
        "a b": "x",
        "d": 1.5,
        "e": 3,
        "day": datetime.date(2017, 10, 16),
        "list": [1, 2],
        "edit": {"gene": "TJP1", "id": 2},
        "t": datetime.datetime(2020, 1, 1, 12, tzinfo=datetime.UTC),
        "nothing": None,
        "yes": True,
    } == got
    assert [int, float] == [type(got["e"]), type(got["d"])]


def test_parquet_rows_keep_their_order_and_are_counted_from_1(tmp_path: Path) -> None:
    write_parquet(tmp_path / "t.parquet", "SELECT range AS n FROM range(300000)")
    rows = good(read(tmp_path, file="t.parquet")[0])
    assert [(i,) for i in range(300_000)] == rows.rows
    assert 300_000 == rows.number(299_999)


def test_what_is_not_parquet_is_said_to_be_none(tmp_path: Path) -> None:
    (tmp_path / "t.parquet").write_bytes(b"PAR1 nothing of the kind")
    rows, problems = read(tmp_path, file="t.parquet")
    assert rows is None
    assert "Parquet" in said(problems)
    assert "\n" not in problems[0].what


def test_a_path_that_duckdb_would_take_for_a_pattern_is_refused(tmp_path: Path) -> None:
    write_parquet(tmp_path / "a.parquet", "SELECT 1 AS a")
    (tmp_path / "a.parquet").rename(tmp_path / "[ab].parquet")
    assert "Rename" in said(read(tmp_path, file="[ab].parquet")[1])


def test_a_folder_named_like_a_partition_adds_no_column(tmp_path: Path) -> None:
    (tmp_path / "year=2017").mkdir()
    write_parquet(tmp_path / "year=2017" / "it's.parquet", "SELECT 1 AS a")
    assert {"a": 0} == good(read(tmp_path, file="year=2017/it's.parquet")[0]).columns


# --- Excel


def write_book(file: Path, **sheets: list[list[Any]]) -> None:
    book = openpyxl.Workbook()
    book.remove(book.worksheets[0])
    for name, rows in sheets.items():
        page = book.create_sheet(name)
        for row in rows:
            page.append(row)
    book.save(file)


def test_a_sheet_gives_numbers_text_and_days(tmp_path: Path) -> None:
    day = datetime.datetime(2017, 10, 16)  # noqa: DTZ001
    rows = [["id", "n", "when"], ["A", 1.5, day], [None, None, None], ["B", 2, None]]
    write_book(tmp_path / "t.xlsx", first=rows, second=[["x"], [1]])
    found, problems = read(tmp_path, file="t.xlsx")
    assert [] == problems
    assert [("A", 1.5, day.date()), ("B", 2, None)] == good(found).rows
    assert [2, 4] == [good(found).number(i) for i in (0, 1)]
    assert [(1,)] == good(read(tmp_path, file="t.xlsx", sheet="second")[0]).rows


def test_a_missing_sheet_is_answered_with_names_like_it(tmp_path: Path) -> None:
    write_book(tmp_path / "t.xlsx", wells=[["x"], [1]])
    rows, problems = read(tmp_path, file="t.xlsx", sheet="wels")
    assert rows is None
    assert "Did you mean wells?" in said(problems)


def test_an_error_in_a_cell_is_named_with_its_place(tmp_path: Path) -> None:
    write_book(tmp_path / "t.xlsx", a=[["id", "n"], ["A", 1], ["B", "#N/A"]])
    rows, problems = read(tmp_path, file="t.xlsx")
    assert [("has the error #N/A", 3, "n")] == [(p.what, p.row, p.column) for p in problems]
    assert ("B", None) == good(rows).rows[1]


def test_a_formula_without_its_value_is_named_with_its_place(tmp_path: Path) -> None:
    write_book(tmp_path / "t.xlsx", a=[["id", "n"], ["A", "=1+1"]])
    _, problems = read(tmp_path, file="t.xlsx")
    assert [(2, "n")] == [(p.row, p.column) for p in problems]
    assert "formula" in said(problems)


def test_an_empty_sheet_is_an_error_and_a_header_alone_a_warning(tmp_path: Path) -> None:
    write_book(tmp_path / "t.xlsx", a=[], b=[["x"]])
    assert ["error"] == [p.severity for p in read(tmp_path, file="t.xlsx", sheet="a")[1]]
    rows, problems = read(tmp_path, file="t.xlsx", sheet="b")
    assert (["warning"], 2) == ([p.severity for p in problems], good(rows).first)


def test_values_without_a_name_above_them_are_warned_of(tmp_path: Path) -> None:
    write_book(tmp_path / "t.xlsx", a=[["x"], [1, 2]])
    rows, problems = read(tmp_path, file="t.xlsx")
    assert (["warning"], {"x": 0}) == ([p.severity for p in problems], good(rows).columns)


def test_what_is_not_a_workbook_is_said_to_be_none(tmp_path: Path) -> None:
    (tmp_path / "t.xlsx").write_bytes(b"\xd0\xcf\x11\xe0 an old one")
    rows, problems = read(tmp_path, file="t.xlsx")
    assert rows is None
    assert ".xlsx" in said(problems)


# --- SQLite


@pytest.fixture
def database(tmp_path: Path) -> Path:
    with closing(sqlite3.connect(tmp_path / "all.sqlite")) as made, made:
        made.execute("CREATE TABLE segmentations (id TEXT, n INTEGER, x REAL, b BLOB)")
        made.execute("INSERT INTO segmentations VALUES ('A', 1, 1.5, x'01'), ('B', NULL, 2, NULL)")
        made.execute("CREATE VIEW few AS SELECT id FROM segmentations WHERE n = 1")
    return tmp_path


def test_a_table_a_view_and_a_query_are_read(database: Path) -> None:
    rows, problems = read(database, file="all.sqlite", table="segmentations")
    assert [] == problems
    assert (
        Rows(
            "all.sqlite:segmentations",
            {"id": 0, "n": 1, "x": 2, "b": 3},
            [("A", 1, 1.5, b"\x01"), ("B", None, 2.0, None)],
            1,
        )
        == rows
    )
    assert [("A",)] == good(read(database, file="all.sqlite", table="few")[0]).rows
    query = "WITH a AS (SELECT max(n) AS most FROM segmentations) SELECT * FROM a;"
    found = good(read(database, file="all.sqlite", query=query)[0])
    assert ({"most": 0}, [(1,)]) == (found.columns, found.rows)


def test_a_missing_table_is_answered_with_names_like_it(database: Path) -> None:
    rows, problems = read(database, file="all.sqlite", table="segmentation")
    assert rows is None
    assert "Did you mean segmentations?" in said(problems)


@pytest.mark.parametrize(
    "query",
    [
        "SELECT 1; DELETE FROM segmentations",
        "WITH a AS (SELECT 1) DELETE FROM segmentations",
        "SELECT * FROM nowhere",
        "SELECT load_extension('x')",
    ],
)
def test_a_query_that_does_more_than_ask_is_refused(database: Path, query: str) -> None:
    before = (database / "all.sqlite").read_bytes()
    rows, problems = read(database, file="all.sqlite", query=query)
    assert (None, 1) == (rows, len(problems))
    assert before == (database / "all.sqlite").read_bytes()


def test_nothing_is_left_beside_a_database_with_a_write_ahead_log(database: Path) -> None:
    with closing(sqlite3.connect(database / "all.sqlite")) as changed:
        changed.execute("PRAGMA journal_mode = WAL")
    assert 2 == len(good(read(database, file="all.sqlite", table="segmentations")[0]).rows)
    assert [database / "all.sqlite"] == list(database.iterdir())


def test_what_a_writer_has_not_yet_moved_out_of_its_log_is_read(database: Path) -> None:
    with closing(sqlite3.connect(database / "all.sqlite")) as writer:
        writer.execute("PRAGMA journal_mode = WAL")
        with writer:
            writer.execute("INSERT INTO segmentations VALUES ('C', 3, 3, NULL)")
        assert 3 == len(good(read(database, file="all.sqlite", table="segmentations")[0]).rows)


def test_what_is_not_a_database_is_said_to_be_none(tmp_path: Path) -> None:
    (tmp_path / "a.db").write_text("id,n\n1,2\n")
    rows, problems = read(tmp_path, file="a.db", table="a")
    assert rows is None
    assert "not an SQLite database" in said(problems)


def test_two_columns_of_one_name_in_a_query_are_an_error(database: Path) -> None:
    _, problems = read(database, file="all.sqlite", query="SELECT id, n AS id FROM segmentations")
    assert [("error", "id")] == [(p.severity, p.column) for p in problems]


# --- PostgreSQL


@pytest.fixture
def server(postgres: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("PGTEST_PASSWORD", PASSWORD)
    password = "p%40ss%2Fw%3Ard"  # noqa: S105
    with psycopg.connect(postgres.replace("${PGTEST_PASSWORD}", password)) as made:
        made.execute("DROP TABLE IF EXISTS fovs")
        made.execute("CREATE TABLE fovs (id text, n numeric, day date, ids int[], doc jsonb)")
        made.execute("INSERT INTO fovs VALUES ('A', 1.5, '2017-10-16', '{1,2}', '{\"a\": 1}')")
    return postgres


def test_a_table_of_postgresql_is_read_with_its_types(tmp_path: Path, server: str) -> None:
    rows, problems = read(tmp_path, postgres=server, table="fovs")
    assert [] == problems
    assert (
        Rows(
            "postgres:fovs",
            {"id": 0, "n": 1, "day": 2, "ids": 3, "doc": 4},
            [("A", 1.5, datetime.date(2017, 10, 16), [1, 2], {"a": 1})],
            1,
        )
        == rows
    )
    assert [("A",)] == good(read(tmp_path, postgres=server, query="SELECT id FROM fovs;")[0]).rows
    assert 1 == len(good(read(tmp_path, postgres=server, table="public.fovs")[0]).rows)


def test_a_missing_table_of_postgresql_is_answered_with_names_like_it(
    tmp_path: Path, server: str
) -> None:
    rows, problems = read(tmp_path, postgres=server, table="fov")
    assert rows is None
    assert "Did you mean fovs?" in said(problems)


@pytest.mark.parametrize(
    "query",
    [
        "SELECT 1; COMMIT; BEGIN READ WRITE; DELETE FROM fovs; COMMIT",
        "WITH gone AS (DELETE FROM fovs RETURNING *) SELECT * FROM gone",
        "SELECT * INTO copies FROM fovs",
        "SELECT '100%' FROM nowhere",
    ],
)
def test_a_query_that_would_change_postgresql_is_refused(
    tmp_path: Path, server: str, query: str
) -> None:
    rows, problems = read(tmp_path, postgres=server, query=query)
    assert (None, 1) == (rows, len(problems))
    assert 1 == len(good(read(tmp_path, postgres=server, table="fovs")[0]).rows)


def test_a_password_is_in_no_message(
    tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGTEST_PASSWORD", "sesame")
    for address in (server, "host=127.0.0.1 ${PGTEST_PASSWORD}", "postgresql://a:sesame@[oops/b"):
        rows, problems = read(tmp_path, postgres=address, table="fovs")
        assert rows is None
        assert "sesame" not in said(problems)
        assert ["postgres:fovs"] == [p.file for p in problems]


def test_the_whole_address_may_come_from_the_environment(
    tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = server.replace("${PGTEST_PASSWORD}", "p%40ss%2Fw%3Ard")
    monkeypatch.setenv("LAB_DATABASE", whole.replace("postgresql://", "postgresql+psycopg://"))
    assert 1 == len(good(read(tmp_path, postgres="${LAB_DATABASE}", table="fovs")[0]).rows)


def test_a_variable_that_is_not_set_is_named(tmp_path: Path) -> None:
    rows, problems = read(tmp_path, postgres="postgresql://${NO_SUCH_NAME}@h/d", table="t")
    assert rows is None
    assert "NO_SUCH_NAME" in said(problems)
