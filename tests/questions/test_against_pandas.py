"""Generated questions, answered by cellbank and by pandas on the same records: nulls included."""
# ruff: noqa: S608  the questions are ours

import re
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cellbank
from tests.questions.making import WELLS, fov, keep, tables_of

DAYS = [date(2017, 1, 1), date(2017, 6, 30), date(2018, 2, 28)]
KINDS = ["exp", "pos", "neg", "ex_p", "e%"]
RECORDS = [
    fov(
        n,
        n % 4,
        passage=None if n % 5 == 0 else 30 + n % 7,
        viability=None if n % 7 == 0 else 95.0 + (n * 37 % 50) / 10,
        kind=None if n % 11 == 0 else KINDS[n % 5],
        good=[True, False, None][n % 3],
        seeded=None if n % 4 == 0 else DAYS[n % 3],
        numbers=None if n % 13 == 0 else [n % 3, n % 5][: n % 3],
    )
    for n in range(60)
]
TYPES = {
    "passage": "Int64",
    "viability": "Float64",
    "kind": "string",
    "good": "boolean",
    "clone": "string",
}
CLONES = {well["id"]: well["clone"] for well in WELLS}


def frame() -> pd.DataFrame:
    made = pd.DataFrame(RECORDS)
    made["clone"] = [CLONES.get((wells or [None])[0]) for wells in made["wells"]]
    for name, kind in TYPES.items():
        made[name] = made[name].astype(object).where(made[name].notna(), pd.NA).astype(kind)
    return made


FRAME = frame()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("pandas") / "home"
    keep(made, "lab/many", tables_of(RECORDS))
    return made


@pytest.fixture(autouse=True)
def _at_home(home: Path, own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CELLBANK_HOME", str(home))


# A condition is its text, and what it is for each record: true, false or not known.
Condition = tuple[str, pd.Series]


def literal(value: Any) -> str:
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, date):
        return f"DATE '{value}'"
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return repr(value)


VALUES: dict[str, st.SearchStrategy[Any]] = {
    "passage": st.integers(28, 38),
    "viability": st.integers(945, 1005).map(lambda tenths: tenths / 10),
    "kind": st.sampled_from([*KINDS, "none", "it's"]),
    "clone": st.sampled_from(["20", "7", "8"]),
}
OPERATORS = {
    "=": lambda a, b: a == b,
    "<>": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


@st.composite
def compared(draw: st.DrawFn) -> Condition:
    name = draw(st.sampled_from([*VALUES]))
    operator = draw(st.sampled_from([*OPERATORS]))
    value = draw(VALUES[name])
    return f"{name} {operator} {literal(value)}", OPERATORS[operator](FRAME[name], value).astype(
        "boolean"
    )


@st.composite
def two_columns(draw: st.DrawFn) -> Condition:
    operator = draw(st.sampled_from([*OPERATORS]))
    truth = OPERATORS[operator](FRAME["viability"], FRAME["passage"] + 65)
    return f"viability {operator} passage + 65", truth.astype("boolean")


@st.composite
def among(draw: st.DrawFn) -> Condition:
    name = draw(st.sampled_from([*VALUES]))
    values = draw(st.lists(VALUES[name], min_size=1, max_size=4))
    truth = FRAME[name].isin(values).astype("boolean").mask(FRAME[name].isna())
    negated = draw(st.booleans())
    said = f"{name} {'NOT ' * negated}IN ({', '.join(map(literal, values))})"
    return said, ~truth if negated else truth


@st.composite
def known(draw: st.DrawFn) -> Condition:
    name = draw(st.sampled_from([*VALUES, "good", "seeded"]))
    negated = draw(st.booleans())
    truth = FRAME[name].isna().astype("boolean")
    return f"{name} IS {'NOT ' * negated}NULL", ~truth if negated else truth


@st.composite
def like(draw: st.DrawFn) -> Condition:
    name = draw(st.sampled_from(["kind", "clone"]))
    pattern = draw(st.text("expns%_20", max_size=4))
    regex = "".join(".*" if c == "%" else "." if c == "_" else re.escape(c) for c in pattern)
    return f"{name} LIKE {literal(pattern)}", FRAME[name].str.fullmatch(regex).astype("boolean")


@st.composite
def in_list(draw: st.DrawFn) -> Condition:
    value = draw(st.integers(0, 5))
    truth = [None if one is None else value in one for one in FRAME["numbers"]]
    return f"list_contains(numbers, {value})", pd.Series(truth, dtype="boolean")


@st.composite
def counted(draw: st.DrawFn) -> Condition:
    value = draw(st.integers(0, 3))
    truth = [None if one is None else len(one) >= value for one in FRAME["numbers"]]
    return f"len(numbers) >= {value}", pd.Series(truth, dtype="boolean")


@st.composite
def day(draw: st.DrawFn) -> Condition:
    value = draw(st.sampled_from([*DAYS, date(2017, 3, 1)]))
    truth = pd.Series([None if d is None else d > value for d in FRAME["seeded"]], dtype="boolean")
    return f"seeded > {literal(value)}", truth


TRUTH = st.just(("good", FRAME["good"]))
SIMPLE = st.one_of(
    compared(), two_columns(), among(), known(), like(), in_list(), counted(), day(), TRUTH
)


def combined(inner: st.SearchStrategy[Condition]) -> st.SearchStrategy[Condition]:
    return st.one_of(
        st.tuples(inner, inner).map(
            lambda two: (f"({two[0][0]}) AND ({two[1][0]})", two[0][1] & two[1][1])
        ),
        st.tuples(inner, inner).map(
            lambda two: (f"({two[0][0]}) OR ({two[1][0]})", two[0][1] | two[1][1])
        ),
        inner.map(lambda one: (f"NOT ({one[0]})", ~one[1])),
    )


CONDITIONS = st.recursive(SIMPLE, combined, max_leaves=6)
QUALIFIED = "SELECT fovs.id, fovs.passage, viability, fovs.kind, good, seeded, numbers, clone "
JOINED = f"({QUALIFIED} FROM fovs LEFT JOIN wells ON wells.id = fovs.wells[1]) AS t"


def chosen(truth: pd.Series) -> pd.DataFrame:
    return FRAME[truth.fillna(value=False)]


@settings(max_examples=250)
@given(CONDITIONS)
def test_a_condition_selects_the_records_that_pandas_selects(condition: Condition) -> None:
    where, truth = condition
    expected = sorted(chosen(truth)["id"])
    answer = cellbank.query("lab/many", where=where, columns="id")
    assert expected == [row[0] for row in answer.rows()]
    asked = cellbank.query("lab/many", f"SELECT id FROM {JOINED} WHERE {where} ORDER BY id")
    assert expected == [row[0] for row in asked.rows()]


@settings(max_examples=100)
@given(CONDITIONS, st.sampled_from(["kind", "passage", "clone", "good"]))
def test_groups_count_and_add_up_as_in_pandas(condition: Condition, by: str) -> None:
    where, truth = condition
    groups = chosen(truth).groupby(by, dropna=False)
    expected = {
        _plain(key): (
            len(part),
            int(part["viability"].count()),
            _sum(part["passage"]),
            _least(part),
        )
        for key, part in groups
    }
    shown = f"{by}, count(*), count(viability), sum(fovs.passage), min(viability)"
    answer = cellbank.query("lab/many", where=where, group_by=by, columns=shown)
    assert expected == {row[0]: row[1:] for row in answer.rows()}
    count = cellbank.query("lab/many", where=where, group_by=by)
    assert {key: row[0] for key, row in expected.items()} == dict(count.rows())


def _plain(value: Any) -> Any:
    if pd.isna(value):
        return None
    return value.item() if hasattr(value, "item") else value


def _sum(values: pd.Series) -> int | None:
    return int(values.sum()) if values.count() else None


def _least(part: pd.DataFrame) -> float | None:
    return float(part["viability"].min()) if part["viability"].count() else None


@settings(max_examples=60)
@given(CONDITIONS, st.sampled_from(["viability", "seeded", "id"]), st.integers(0, 10))
def test_order_and_limit_are_those_of_pandas(condition: Condition, by: str, most: int) -> None:
    where, truth = condition
    part = chosen(truth)
    part = part[part[by].notna()].sort_values([by, "id"], ascending=[False, True], kind="stable")
    sql = (
        f"SELECT id FROM {JOINED} WHERE ({where}) AND {by} IS NOT NULL "
        f"ORDER BY {by} DESC, id LIMIT {most}"
    )
    assert [*part["id"].head(most)] == [row[0] for row in cellbank.query("lab/many", sql).rows()]


def test_data_frames_have_what_the_records_have() -> None:
    names = ["id", "passage", "viability", "kind", "good", "numbers"]
    answer = cellbank.query("lab/many", f"SELECT {', '.join(names)} FROM fovs ORDER BY id")
    found = answer.df()
    assert ["string", "Int64", "float64", "string", "boolean", "object"] == [
        str(kind) for kind in found.dtypes
    ]
    for name in names[:-1]:
        expected = [_plain(value) for value in FRAME[name]]
        assert expected == [_plain(value) for value in found[name]]
        assert expected == answer.pl()[name].to_list()
    assert [*FRAME["numbers"]] == [*found["numbers"]] == answer.pl()["numbers"].to_list()
    assert "List(Int64)" == str(answer.pl().schema["numbers"])
