"""Questions in SQL: what they can name, and what they are refused."""
# ruff: noqa: S608  the questions are ours

import importlib.util
import os
from pathlib import Path

import pandas
import pytest

import cellbank
from cellbank.model.errors import BadInput, BadQuestion, PackageNotFound
from cellbank.questions.reading import ALONE, CONDITION, ONLY

pytestmark = pytest.mark.usefixtures("lab")


def rows(sql: str, ref: str = "lab/cells", **how) -> list[tuple]:
    return cellbank.query(ref, sql, **how).rows()


def test_tables_are_joined_by_their_lists() -> None:
    sql = "SELECT fovs.id, clone FROM fovs JOIN wells ON list_contains(fovs.wells, wells.id)"
    sql += " ORDER BY 1"
    assert [("fov_001", "20"), ("fov_002", "20"), ("fov_003", None)] == rows(sql)[:3]


def test_full_tables_have_the_joins_ready() -> None:
    sql = "SELECT id, passage, barcode, clone, line, gene, well.passage, plate.id FROM fovs_full"
    found = rows(f"{sql} ORDER BY id, gene")
    assert ("fov_001", 30, "0001", "20", "AICS-1", "TJP1", 30, "plate_1") == found[0]
    # Its line was edited twice, so it is there twice.
    assert ["ACTB", "LMNB1"] == [row[5] for row in found if row[0] == "fov_003"]
    # It belongs to nothing that is here.
    assert ("fov_006", 35, None, None, None, None, None, None) == found[-1]
    assert [("cell_1", 98.5, "20")] == rows(
        "SELECT id, viability, clone FROM cell_segs_full WHERE gene = 'TJP1'"
    )


def test_url_stands_beside_path_and_digest() -> None:
    columns = cellbank.query("lab/cells", "SELECT * FROM fovs").columns
    at = columns.index("path")
    assert ["path", "url", "digest", "size"] == columns[at : at + 4]
    home = os.environ["CELLBANK_HOME"]
    digest = f"{1:064x}"
    (url,) = rows("SELECT url FROM fovs WHERE id = 'fov_001'")[0]
    assert f"file://{home}/objects/00/{digest}" == url


def test_entries_have_what_the_manifest_says(made: Path) -> None:
    found = rows("SELECT path, size, type, filename, meta FROM entries ORDER BY path", "lab/files")
    assert [
        ("a/one.tif", 3, "tif", "one.tif", '{"stain":"DAPI","z":3}'),
        ("a/two.TIF", 4, "tif", "two.TIF", "{}"),
        ("b/c.tar.gz", 200_000, "gz", "c.tar.gz", "{}"),
        ("notes", 0, "none", "notes", "{}"),
    ] == found
    assert [("a/one.tif",)] == rows(
        "SELECT path FROM entries WHERE meta->>'stain' = 'DAPI'", "lab/files"
    )
    node = cellbank.load("lab/files/b/c.tar.gz")
    assert [(node.digest, f"file://{node()}")] == rows(
        "SELECT digest, url FROM entries WHERE size > 100", "lab/files"
    )
    # What is small lies in a pack, and has no address of its own.
    assert [(None,)] == rows("SELECT url FROM entries WHERE path = 'notes'", "lab/files")


def test_types_of_entries_are_those_that_inspect_counts() -> None:
    found = dict(rows("SELECT type, count(*) FROM entries GROUP BY 1", "lab/files"))
    assert cellbank.inspect("lab/files").types == found


def test_several_packages_are_one_table_with_their_names() -> None:
    found = rows("SELECT package, count(*) FROM fovs GROUP BY 1 ORDER BY 1", "lab/*")
    assert [("lab/cells", 6), ("lab/more", 1)] == found
    # Joins keep to one package.
    sql = "SELECT package, id, gene FROM fovs_full WHERE gene = 'LMNB1' ORDER BY ALL"
    assert [
        ("lab/cells", "fov_003", "LMNB1"),
        ("lab/cells", "fov_004", "LMNB1"),
        ("lab/more", "fov_007", "LMNB1"),
    ] == rows(sql, "lab/*")
    answer = cellbank.query("lab/*", where="gene = 'TJP1' or passage = 50", columns="id")
    assert [
        ("lab/cells", "fov_001"),
        ("lab/cells", "fov_002"),
        ("lab/more", "fov_007"),
    ] == answer.rows()
    with pytest.raises(PackageNotFound, match="nobody"):
        rows("SELECT 1", "nobody/*")


def test_a_revision_can_be_asked() -> None:
    revision = cellbank.load("lab/cells")._revision
    assert [(6,)] == rows("SELECT count(*) FROM fovs", f"lab/cells@{revision[:12]}")


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1",
        "select 1;",
        "WITH a AS (SELECT 1 AS x) SELECT x FROM a",
        "WITH RECURSIVE t AS (SELECT 1 x UNION ALL SELECT x + 1 FROM t WHERE x < 3) FROM t",
        "FROM fovs SELECT id",
        "VALUES (1)",
        "(SELECT 1) UNION ALL (SELECT 2)",
        "SELECT * FROM range(3)",
        "SELECT unnest([1, 2])",
        "SELECT * FROM (SELECT 1) AS fovs2",
        "SELECT * FROM fovs AS f, LATERAL (SELECT unnest(f.numbers))",
        "DESCRIBE fovs",
        "DESCRIBE SELECT 1",
        "SUMMARIZE fovs",
        "SELECT * FROM (SUMMARIZE wells)",
        "SELECT * FROM Fovs",
        "SELECT * FROM main.fovs",
        "-- of all\nSELECT count(*) FROM fovs",
    ],
)
def test_what_only_reads_is_a_question(sql: str) -> None:
    rows(sql)


ADVICE = "It may name tables and call functions that compute; files and settings are out of reach."
OUTSIDE = "secret.csv"


@pytest.mark.parametrize(
    "sql",
    [
        "",
        ";",
        "SELECT 1; SELECT 2",
        "SELECT 1; DROP VIEW fovs",
        "DROP VIEW fovs",
        "CREATE TABLE x AS SELECT 1",
        "INSERT INTO fovs VALUES (1)",
        "UPDATE fovs SET id = ''",
        "DELETE FROM fovs",
        "COPY fovs TO 'out.csv'",
        "COPY (SELECT 1) TO 'out.csv'",
        "EXPORT DATABASE 'out'",
        "IMPORT DATABASE 'out'",
        "ATTACH 'out.db'",
        "USE memory",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET memory_limit = '100GB'",
        "RESET memory_limit",
        "PRAGMA threads = 64",
        "CALL pragma_version()",
        "CHECKPOINT",
        "VACUUM",
        "EXPLAIN SELECT 1",
        "PREPARE x AS SELECT 1",
        "BEGIN",
        "SHOW TABLES",
        "SELECT ?",
        f"SELECT * FROM '{OUTSIDE}'",
        f'SELECT * FROM "{OUTSIDE}"',
        f"SELECT * FROM read_csv('{OUTSIDE}')",
        f"SELECT * FROM read_text('{OUTSIDE}')",
        f"SELECT * FROM read_blob('{OUTSIDE}')",
        "SELECT * FROM read_parquet('x.parquet')",
        "SELECT * FROM parquet_metadata('x.parquet')",
        "SELECT * FROM read_json('x.json')",
        "SELECT * FROM sniff_csv('x.csv')",
        "SELECT * FROM glob('*')",
        "SELECT * FROM 'https://example.org/x.parquet'",
        "SELECT * FROM duckdb_settings()",
        "SELECT * FROM duckdb_secrets()",
        "SELECT * FROM information_schema.tables",
        "SELECT * FROM query('SELECT 1')",
        "SELECT * FROM query_table('fovs')",
        "SELECT * FROM json_execute_serialized_sql('{}')",
        "SELECT getenv('HOME')",
        "SELECT current_setting('memory_limit')",
        "SELECT getvariable('x')",
        "SELECT nextval('x')",
        "SELECT write_log('x')",
        "SELECT sleep_ms(1)",
        "SELECT (SELECT count(*) FROM read_text('x'))",
        "SELECT id FROM fovs WHERE id IN (SELECT content FROM read_text('x'))",
        "WITH a AS (SELECT * FROM glob('*')) SELECT * FROM a",
        f"WITH \"{OUTSIDE}\" AS (SELECT 1) SELECT * FROM (SELECT * FROM '{OUTSIDE}')",
        "SELECT * FROM frame",
        'SELECT * FROM "0 fovs"',
        # A table of WITH is known where it can be seen, and nowhere else.
        "SELECT * FROM (WITH sqlite_master AS (SELECT 1) SELECT 1), sqlite_master",
        "WITH a AS (FROM sqlite_master), sqlite_master AS (SELECT 1) SELECT * FROM a",
        "WITH sqlite_master AS (SELECT * FROM sqlite_master) SELECT * FROM sqlite_master",
        "WITH duc\u212adb_tables AS (SELECT 1) SELECT * FROM duckdb_tables",
        "SELECT pg_sleep(1)",
        "SELECT json_serialize_plan('SELECT 1')",
    ],
)
def test_everything_else_is_refused(
    sql: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(OUTSIDE).write_text("a,b\n1,2\n")
    before = sorted(tmp_path.iterdir())
    # A variable of Python is no table, whatever it is called.
    frame = pandas.DataFrame({"a": [1]})
    assert 1 == len(frame)
    if sql.startswith('WITH "'):
        # A name of its own may look like a file; the file is not what it means.
        assert [(1,)] == rows(sql)
    else:
        with pytest.raises((BadQuestion, BadInput)) as caught:
            rows(sql)
        assert 2 == caught.value.exit_code
    assert before == sorted(tmp_path.iterdir())
    assert [(6,)] == rows("SELECT count(*) FROM fovs")


@pytest.mark.parametrize(
    "part",
    [
        "INSERT INTO \"0 entries as read\" VALUES ('a', 'b', 1, 'c', 'd', '{}') RETURNING *",
        # The name in quotes is known there only if somebody says that it is a table of WITH.
        'SELECT 1), "0 entries as read" AS (DELETE FROM "0 entries as read" RETURNING *',
        'UPDATE "0 entries as read" SET size = 0 RETURNING *',
        "COPY (SELECT 1) TO '{file}' (FORMAT csv, USE_TMP_FILE false)",
    ],
)
def test_with_changes_nothing(part: str) -> None:
    before = rows("SELECT * FROM entries ORDER BY path")
    # A table that is small is read from a file of the store, which the database can reach.
    rows("SELECT * FROM wells")
    files = {file: file.read_bytes() for file in Path(os.environ["CELLBANK_HOME"]).glob("un*/*")}
    assert files
    for file in files:
        with pytest.raises(BadQuestion, match=ONLY) as caught:
            rows(f"WITH x AS ({part.replace('{file}', str(file))}) SELECT 1")
        assert ALONE == caught.value.advice
    assert files == {file: file.read_bytes() for file in files}
    assert before == rows("SELECT * FROM entries ORDER BY path")


def test_several_statements_are_told_what_a_question_is() -> None:
    with pytest.raises(BadQuestion, match=ONLY) as caught:
        rows("SELECT 1; SELECT 2")
    assert ALONE == caught.value.advice


@pytest.mark.parametrize(
    ("sql", "message", "advice"),
    [
        (
            "CHOOSE 1",
            'syntax error at or near "CHOOSE"\n  CHOOSE 1\n  ^^^^^^',
            CONDITION,
        ),
        (
            "SELECT id\nFROM fov",
            "there is no table fov\n  FROM fov\n       ^^^",
            "Did you mean fovs?",
        ),
        (
            "SELECT id,\n  viabilty FROM fovs",
            "there is no column viabilty\n    viabilty FROM fovs\n    ^^^^^^^^",
            "Did you mean viability?",
        ),
        (
            "SELECT read_csv FROM read_csv('a')",
            "a question may not call read_csv\n  SELECT read_csv FROM read_csv('a')\n"
            "                       ^^^^^^^^^^^^^",
            ADVICE,
        ),
    ],
)
def test_an_error_shows_the_place_and_near_names(sql: str, message: str, advice: str) -> None:
    with pytest.raises(BadQuestion) as caught:
        rows(sql)
    assert (message, advice) == (caught.value.message, caught.value.advice)


def test_sql_and_the_short_form_are_not_asked_together() -> None:
    with pytest.raises(BadInput, match="Ask one of them"):
        cellbank.query("lab/cells", "SELECT 1", where="true")


def test_what_is_no_text_is_told() -> None:
    with pytest.raises(BadInput, match="where is 3, which is no text"):
        cellbank.query("lab/cells", where=3)


def test_a_time_with_a_zone_is_an_answer_or_says_what_it_needs() -> None:
    sql = "SELECT TIMESTAMPTZ '2020-01-01 12:00+00' AS seen"
    if importlib.util.find_spec("pytz"):
        assert 2020 == rows(sql)[0][0].year
    else:
        with pytest.raises(BadQuestion, match="needs pytz") as caught:
            rows(sql)
        assert "AS TIMESTAMP" in caught.value.advice
    assert 2020 == rows(f"SELECT CAST(seen AS TIMESTAMP) FROM ({sql})")[0][0].year


def test_a_description_takes_no_condition() -> None:
    with pytest.raises(BadInput, match="a description is of all"):
        cellbank.query("lab/cells", describe=True, where="passage > 30")


def test_what_can_be_asked_is_described() -> None:
    answer = cellbank.query("lab/cells", describe=True, kind="wells")
    assert ["table", "name", "type", "unit", "known", "examples", "description"] == answer.columns
    by_name = {row["name"]: row for row in answer}
    assert ("BIGINT", "30") == (by_name["passage"]["type"], by_name["passage"]["examples"])
    assert by_name["passage"]["known"] == pytest.approx(2 / 3)
    everything = cellbank.query("lab/cells", describe=True)
    assert {"lines", "plates", "wells", "fovs", "cell_segs", "entries"} == {
        r["table"] for r in everything
    }
