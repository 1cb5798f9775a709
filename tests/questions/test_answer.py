"""Answers: as values, as data frames, and as text in every format."""

import csv
import io
import json
import pickle
import re
from datetime import date, datetime
from decimal import Decimal

import polars as pl
import pyarrow as pa
import pytest

import cellbank
from cellbank.api import Answer
from cellbank.model.errors import BadInput
from cellbank.questions import formats

pytestmark = pytest.mark.usefixtures("lab")

ALL_SORTS = """
SELECT 'a,"b"\nc|d' AS text, NULL AS nothing, 3 AS whole, 2.5::DOUBLE AS number, true AS truth,
       DATE '2017-10-16' AS day, TIMESTAMP '2017-10-16 12:30:00' AS moment,
       1.10::DECIMAL(4, 2) AS exact, [1, NULL, 3] AS list,
       {'gene': 'TJP1', 'n': NULL} AS struct, [{'a': [date '2018-01-02']}] AS deep,
       170141183460469231731687303715884105727::HUGEINT AS huge, 'NaN'::DOUBLE AS nan
UNION ALL SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
"""


@pytest.fixture
def answer() -> Answer:
    return cellbank.query("lab/cells", ALL_SORTS)


def text_of(form: str, answer: Answer) -> str:
    if form == "csv":
        return "".join(formats.csv_lines(answer.columns, [answer.rows()]))
    if form == "json":
        return "".join(formats.json_lines(answer.columns, [answer.rows()]))
    return "".join(formats.markdown_lines(answer.columns, answer.kinds, [answer.rows()]))


def test_values_are_pythons_own(answer: Answer) -> None:
    row = answer[0]
    assert (3, 2.5, True, date(2017, 10, 16)) == tuple(
        row[n] for n in ("whole", "number", "truth", "day")
    )
    assert (datetime(2017, 10, 16, 12, 30), Decimal("1.10")) == (row["moment"], row["exact"])  # noqa: DTZ001
    assert ([1, None, 3], {"gene": "TJP1", "n": None}) == (row["list"], row["struct"])
    assert {None} == {*answer.rows()[1]}
    assert 2 == len(answer) == len(list(answer))
    assert ["VARCHAR", "INTEGER", "DOUBLE"] == [answer.types[at] for at in (0, 2, 3)]


def test_it_is_a_value(answer: Answer) -> None:
    again = pickle.loads(pickle.dumps(answer))  # noqa: S301  our own
    assert answer.columns == again.columns
    assert repr(answer.rows()) == repr(again.rows())
    assert cellbank.query("lab/cells", "SELECT 1") == cellbank.query("lab/cells", "SELECT 1")
    assert cellbank.query("lab/cells", "SELECT 1") != cellbank.query("lab/cells", "SELECT 2")


def test_csv_comes_back_as_it_was(answer: Answer) -> None:
    first, second = csv.DictReader(io.StringIO(text_of("csv", answer)))
    assert 'a,"b"\nc|d' == first["text"]
    assert ("", "3", "2.5", "true") == tuple(
        first[n] for n in ("nothing", "whole", "number", "truth")
    )
    assert ("2017-10-16", "2017-10-16 12:30:00", "1.10") == (
        first["day"],
        first["moment"],
        first["exact"],
    )
    assert [1, None, 3] == json.loads(first["list"])
    assert {"gene": "TJP1", "n": None} == json.loads(first["struct"])
    assert [{"a": ["2018-01-02"]}] == json.loads(first["deep"])
    assert {""} == {*second.values()}


def test_json_is_one_array_of_objects(answer: Answer) -> None:
    first, second = json.loads(text_of("json", answer))
    assert {"gene": "TJP1", "n": None} == first["struct"]
    assert ("2017-10-16", [1, None, 3], 2**127 - 1) == (first["day"], first["list"], first["huge"])
    assert "nan" == first["nan"]
    assert answer.columns == list(second)
    assert {None} == {*second.values()}
    assert [] == json.loads(text_of("json", cellbank.query("lab/cells", "SELECT 1 WHERE false")))
    twice = cellbank.query("lab/cells", "SELECT 1 AS a, 2 AS a")
    assert [{"a": 1, "a_1": 2}] == json.loads(text_of("json", twice))


def test_markdown_has_a_row_a_line(answer: Answer) -> None:
    lines = text_of("markdown", answer).splitlines()
    assert 4 == len(lines)
    assert 'a,"b" c\\|d' in lines[2]
    # But for the bars that were escaped, each row has as many.
    assert {len(answer.columns) + 1} == {len(re.findall(r"(?<!\\)\|", line)) for line in lines}


def test_a_table_is_aligned_and_says_how_many_rows_it_has() -> None:
    answer = cellbank.query("lab/cells", "SELECT id, passage, kind FROM fovs ORDER BY id LIMIT 4")
    assert (
        (
            "id       passage  kind\n"
            "fov_001       30  exp\n"
            "fov_002       31  exp\n"
            "fov_003       41  pos_control\n"
            "fov_004        —  exp\n"
            "(4 rows)"
        )
        == str(answer)
        == repr(answer)
    )


def test_a_long_table_shows_its_ends_and_a_wide_one_fits() -> None:
    answer = cellbank.query("lab/cells", "SELECT i FROM range(1000) t(i) ORDER BY i")
    lines = str(answer).splitlines()
    assert ["i", "  0", "…", "990", "999", "(1,000 rows)"] == [
        lines[0].strip(), lines[1], lines[11], lines[12], lines[-2], lines[-1],
    ]  # fmt: skip
    wide = cellbank.query("lab/cells", "SELECT * FROM fovs")
    for width in (20, 40, 79, 200):
        lines = formats.table(wide, width=width)
        assert max(map(len, lines[:-1])) <= width
    assert len(max(formats.table(wide), key=len)) > 200
    assert "of 14 columns)" in formats.table(wide, width=40)[-1]


def test_a_table_is_one_line_a_row() -> None:
    answer = cellbank.query("lab/cells", "SELECT kind FROM fovs WHERE id = 'fov_006'")
    assert 3 == len(str(answer).splitlines())


def test_frames_have_the_types_of_the_answer(answer: Answer) -> None:
    found = answer.pl()
    assert [pl.Date, pl.Datetime("us"), pl.List(pl.Int32)] == [
        found.schema[name] for name in ("day", "moment", "list")
    ]
    assert found.schema["struct"] == pl.Struct({"gene": pl.String, "n": pl.Null})
    assert answer.rows()[1] == found.row(1)
    frame = answer.df()
    assert "datetime64[s]" == str(frame["day"].dtype)
    assert [[1, None, 3], None] == [*frame["list"]]
    empty = cellbank.query("lab/cells", "SELECT * FROM fovs WHERE false")
    assert (0, 14) == empty.df().shape == empty.pl().shape
    assert pl.List(pl.String) == empty.pl().schema["wells"]


def test_an_arrow_table_has_the_types_and_values_of_the_answer(answer: Answer) -> None:
    plain = cellbank.query("lab/cells", "SELECT * FROM fovs ORDER BY id")
    found = plain.arrow()
    assert plain.rows() == [tuple(row.values()) for row in found.to_pylist()]
    assert pa.list_(pa.string()) == found.schema.field("wells").type
    found = answer.arrow()
    kinds = {"day": pa.date32(), "moment": pa.timestamp("us"), "list": pa.list_(pa.int32())}
    assert kinds == {name: found.schema.field(name).type for name in kinds}
    assert answer[1] == found.to_pylist()[1]
    assert answer[0]["huge"] == found.to_pylist()[0]["huge"]
    assert answer[0]["deep"] == found.to_pylist()[0]["deep"]
    none = cellbank.query("lab/cells", "SELECT * FROM fovs WHERE false")
    assert (0, 14) == none.arrow().shape
    assert plain.arrow().schema == none.arrow().schema


def test_sums_of_whole_numbers_are_whole_numbers_in_every_frame() -> None:
    answer = cellbank.query("lab/cells", "SELECT sum(passage) AS n FROM fovs")
    assert ["HUGEINT"] == answer.types
    number = answer[0]["n"]
    assert number > 100
    assert ("Int64", number) == (str(answer.df()["n"].dtype), answer.df()["n"][0])
    assert (pl.Int64, number) == (answer.pl()["n"].dtype, answer.pl()["n"][0])
    assert (pa.int64(), number) == (answer.arrow()["n"].type, answer.arrow()["n"][0].as_py())
    huge = 2**127 - 1
    for value, found in ((f"{huge}", huge), (f"[{huge}]", f"[{huge}]")):
        sql = f"SELECT {value}::HUGEINT{'[]' * value.startswith('[')} AS n"
        assert [found] == cellbank.query("lab/cells", sql).arrow()["n"].to_pylist()


def test_names_that_are_there_twice_stay_in_pandas_and_are_numbered_in_polars() -> None:
    answer = cellbank.query("lab/cells", "SELECT 1 AS a, 2 AS a")
    assert ["a", "a"] == [*answer.df().columns]
    assert ["a", "a_1"] == answer.pl().columns


@pytest.mark.parametrize(
    ("sql", "text"),
    [
        ("DATE '0044-03-15 (BC)'", "0044-03-15 (BC)"),
        ("DATE '20000-01-01'", "20000-01-01"),
        ("TIMESTAMP '20000-01-01 12:00:00'", "20000-01-01 12:00:00"),
    ],
)
def test_what_a_frame_has_no_value_for_is_text_in_it(sql: str, text: str) -> None:
    answer = cellbank.query("lab/cells", f"SELECT {sql} AS v UNION ALL SELECT NULL")
    assert [text, None] == answer.pl()["v"].to_list()
    assert text == answer.df().v[0]


@pytest.mark.parametrize(
    "sql",
    [
        "DATE '20000-01-01'",
        "MAP{1: 2}",
        "[uuid()]",
    ],
)
def test_what_arrow_has_no_value_for_is_text_in_it(sql: str) -> None:
    answer = cellbank.query("lab/cells", f"SELECT {sql} AS v UNION ALL SELECT NULL")
    assert [formats.plain(answer[0]["v"]), None] == answer.arrow()["v"].to_pylist()


def test_a_library_that_is_missing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    answer = cellbank.query("lab/cells", "SELECT 1")
    for name, ask in (("pandas", answer.df), ("polars", answer.pl), ("pyarrow", answer.arrow)):
        monkeypatch.setitem(sys.modules, name, None)
        with pytest.raises(
            BadInput, match=f"{name} is not installed. Install it: pip install {name}"
        ):
            ask()
