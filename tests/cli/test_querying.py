"""`cellbank query` and `cellbank diff --records`: forms that scripts rely on, codes, formats."""

import csv
import io
import json
import os
from pathlib import Path

import polars as pl
import pytest

from tests.cli.conftest import Run
from tests.questions.making import fov, keep, tables_of

ROWS = [
    fov(1, 1, passage=30, kind="exp", numbers=[1, 2]),
    fov(2, 2, passage=None, kind="a,b\n\x1b[31mred", numbers=[]),
    fov(3, 3, passage=33, kind=None),
]
ALL = "SELECT id, passage, kind, numbers FROM fovs ORDER BY id"


@pytest.fixture(autouse=True)
def _packages(tmp_path: Path, clean_env: dict[str, str]) -> None:
    keep(Path(clean_env["CELLBANK_HOME"]), "lab/cells", tables_of(ROWS))
    newer = [ROWS[0] | {"passage": 31, "numbers": [1]}, *ROWS[1:2], fov(4, 1, passage=3)]
    keep(Path(clean_env["CELLBANK_HOME"]), "lab/newer", tables_of(newer))


def test_an_answer_is_a_table(cellbank: Run) -> None:
    found = cellbank("query", "lab/cells", "SELECT id, passage FROM fovs ORDER BY id").ok()
    assert (
        "id       passage\nfov_001       30\nfov_002        —\nfov_003       33\n(3 rows)\n"
        == found.out
    )
    assert "" == found.err


def test_csv_and_json_can_be_read_again(cellbank: Run) -> None:
    found = cellbank("query", "lab/cells", ALL, "--format", "csv").ok().out
    rows = list(csv.DictReader(io.StringIO(found)))
    assert ["fov_001", "fov_002", "fov_003"] == [row["id"] for row in rows]
    assert ("", ROWS[1]["kind"], "[]") == (rows[1]["passage"], rows[1]["kind"], rows[1]["numbers"])
    for form in (("--format", "json"), ("--json",)):
        found = cellbank("query", "lab/cells", ALL, *form).ok().out
        assert "\x1b" not in found
        assert [ROWS[n]["numbers"] for n in range(3)] == [
            row["numbers"] for row in json.loads(found)
        ]
        assert ROWS[1]["kind"] == json.loads(found)[1]["kind"]
    assert (
        "| id | passage |" in cellbank("query", "lab/cells", ALL, "--format", "markdown").ok().out
    )


def test_the_short_form_needs_no_sql(cellbank: Run) -> None:
    found = cellbank(
        "query", "lab/cells", "--where", "clone = '20'", "--columns", "id, wells.clone"
    ).ok()
    assert "fov_001  20" in found.out
    found = cellbank("query", "lab/cells", "--group-by", "barcode", "--json").ok()
    assert [{"barcode": "0001", "records": 2}, {"barcode": "0002", "records": 1}] == found.json
    found = cellbank(
        "query", "lab/cells", "--kind", "wells", "--where", "passage > 30", "--json"
    ).ok()
    assert ["well_2"] == [row["id"] for row in found.json]
    found = cellbank("query", "lab/cells", "--describe", "--format", "csv").ok().out
    assert "fovs,passage,BIGINT,,0.66" in found


@pytest.mark.parametrize("name", ["a.csv", "a.json", "a.parquet", "a.md", "a.txt"])
def test_an_answer_can_be_a_file(cellbank: Run, tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    found = cellbank("query", "lab/cells", ALL, "-o", str(file)).ok()
    assert f"3 rows in {file}\n" == found.out
    if name.endswith(".parquet"):
        assert [(row["id"], row["numbers"]) for row in ROWS] == (
            pl.read_parquet(file).select("id", "numbers").rows()
        )
    else:
        assert "fov_003" in file.read_text()
    before = file.read_bytes()
    cellbank("query", "lab/cells", "SELECT 1", "-o", str(file)).failed(8)
    assert before == file.read_bytes()
    cellbank("query", "lab/cells", "SELECT 1", "-o", str(file), "--force").ok()
    assert before != file.read_bytes()
    assert sorted(["home", name]) == sorted(one.name for one in tmp_path.iterdir())


def test_parquet_goes_into_a_pipe(cellbank: Run, tmp_path: Path) -> None:
    # A semicolon and a comment are no part of the question.
    found = cellbank("query", "lab/cells", f"{ALL}; -- all", "--format", "parquet").ok()
    data = found.out.encode(errors="surrogateescape")
    assert [row["id"] for row in ROWS] == pl.read_parquet(data)["id"].to_list()
    assert "" == found.err
    wrong = "SELECT idd\nFROM fovs"
    failed = cellbank("query", "lab/cells", wrong, "--format", "parquet").failed(2)
    assert "there is no column idd\n  SELECT idd\n         ^^^\n" in failed.err
    assert "" == failed.out


def test_parquet_is_not_for_a_terminal(cellbank: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    said = cellbank("query", "lab/cells", ALL, "--format", "parquet").failed(2).err
    assert "--format parquet is not for a terminal" in said


def test_a_file_is_whole_or_not_there(cellbank: Run, tmp_path: Path) -> None:
    for name in ("a.csv", "a.parquet"):
        sql = "SELECT CASE WHEN i > 90000 THEN error('no') ELSE i END FROM range(100000) t(i)"
        cellbank("query", "lab/cells", sql, "-o", str(tmp_path / name)).failed(2)
    assert ["home"] == [one.name for one in tmp_path.iterdir()]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["DROP VIEW fovs"], "a question is one SELECT, WITH, DESCRIBE or SUMMARIZE"),
        (["SELECT 1; SELECT 2"], "a question is one SELECT, WITH, DESCRIBE or SUMMARIZE"),
        (["SELECT * FROM read_csv('/etc/passwd')"], "a question may not call read_csv"),
        (
            ["SELECT idd FROM fovs"],
            "there is no column idd\n  SELECT idd FROM fovs\n         ^^^\n  Did",
        ),
        (
            ["--where", "pasage = 3"],
            "there is no pasage\n  pasage = 3\n  ^^^^^^\n  Did you mean passage",
        ),
        (["--where", "true", "--kind", "cells"], "there are no cells in lab/cells\n"),
        (
            ["SELECT count(*) FROM range(1000000000000)", "--timeout", "0.3"],
            "takes more than 0.3 seconds",
        ),
        (
            ["SELECT repeat('x', 4000000000)", "--memory", "100MB"],
            "needs more than 100 MB of memory",
        ),
        (["SELECT 1", "--memory", "much"], "'much' is no amount of memory"),
        (["SELECT 1", "--memory", "1000000000000TB"], "'1000000000000TB' is no amount of memory"),
        (["SELECT 1", "--where", "true"], "SQL says all"),
        (["--describe", "--where", "true"], "--describe tells all that can be asked"),
        ([], "ask something"),
    ],
)
def test_what_cannot_be_asked_is_a_failure_of_code_2(cellbank: Run, arguments, said):
    assert said in cellbank("query", "lab/cells", *arguments).failed(2).err


def test_a_package_that_is_not_there_is_code_4(cellbank: Run) -> None:
    cellbank("query", "lab/cell", "SELECT 1").failed(4)
    cellbank("query", "lab/cells@abcdef", "SELECT 1").failed(4)


def test_records_are_compared_by_attribute(cellbank: Run) -> None:
    found = cellbank("diff", "--records", "lab/cells", "lab/newer").ok()
    assert (
        "+ fovs/fov_004\n"
        "- fovs/fov_003\n"
        "~ fovs/fov_001  passage: 30 → 31\n"
        "~ fovs/fov_001  numbers: [1,2] → [1]\n"
    ) == found.out
    assert "1 record added, 1 removed, 1 changed\n" == found.err
    document = cellbank("diff", "--records", "--json", "lab/cells", "lab/newer").ok().json
    assert {"fovs": ["fov_004"]} == document["added"]
    assert {"attribute": "passage", "old": 30, "new": 31} == document["changed"][0]["changes"][0]
    same = cellbank("diff", "--records", "lab/cells", "lab/cells").ok()
    assert ("", "the records of lab/cells and lab/cells do not differ\n") == (same.out, same.err)
    cellbank("diff", "--kind", "fovs", "lab/cells", "lab/newer").failed(2)


def test_one_row_is_one_and_a_dash_is_stdout(cellbank: Run, tmp_path: Path) -> None:
    file = tmp_path / "one.csv"
    assert f"1 row in {file}\n" == cellbank("query", "lab/cells", "SELECT 1", "-o", file).ok().out
    found = cellbank("query", "lab/cells", "SELECT 1 AS a", "--format", "csv", "-o", "-").ok()
    assert "a\n1\n" == found.out
    assert ["home", "one.csv"] == sorted(one.name for one in tmp_path.iterdir())


def test_what_is_no_plain_file_is_not_replaced(cellbank: Run, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    said = cellbank("query", "lab/cells", "SELECT 1", "-o", pipe, "--force").failed(2).err
    assert "is no plain file" in said
    assert pipe.is_fifo()
