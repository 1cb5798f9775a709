"""Values: what each type takes from a cell, what it refuses, and what stands for nothing."""

import json
from datetime import date, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellbank.cells.values import Missing, Spec, convert, iso_date, shown

GENE = Spec("gene", "string", nullable=False)
BATCH = Spec("batch", "integer")
EDITS = Spec("edits", "list[struct]", fields=(GENE, BATCH))
DAY = Spec("seeded", "date", format="%Y-%m-%d")
US_DAY = Spec("seeded", "date", format="%m/%d/%Y")


def of(kind: str, **said: Any) -> Spec:
    return Spec("x", kind, **said)


GOOD = [
    ("string", " E6 ", "E6"),
    ("string", "3500001464", "3500001464"),
    ("string", 3500001464.0, "3500001464"),
    ("string", 3500001464, "3500001464"),
    ("string", 0.5, "0.5"),
    ("string", True, "true"),
    ("string", date(2017, 10, 16), "2017-10-16"),
    ("integer", "33", 33),
    ("integer", " +33 ", 33),
    ("integer", "-33.00", -33),
    ("integer", 33.0, 33),
    ("integer", 2**53 - 1, 2**53 - 1),
    ("number", "98.5", 98.5),
    ("number", "1e3", 1000.0),
    ("number", 98, 98.0),
    ("boolean", True, True),
    ("boolean", " Yes ", True),
    ("boolean", 0, False),
    ("boolean", 1.0, True),
    ("boolean", "f", False),
    ("list[string]", "a; b;;c", ["a", "b", "c"]),
    ("list[string]", '["a", "b;c"]', ["a", "b;c"]),
    ("list[integer]", "87262;87263", [87262, 87263]),
    ("list[integer]", "[87262, 87263.0]", [87262, 87263]),
    ("list[integer]", 87262.0, [87262]),
    ("list[integer]", [1, None, 2], [1, 2]),
    ("list[number]", (1, "2.5"), [1.0, 2.5]),
    ("list[string]", "[]", []),
]

BAD = [
    ("string", b"E6", r"b'E6' is not text"),
    ("string", {}, "is not text"),
    ("string", "\ud800", "is not text"),
    ("integer", "33.5", "'33.5' is not an integer"),
    ("integer", "thirty", "is not an integer"),
    ("integer", True, "is not an integer"),
    ("integer", 33.5, "is not an integer"),
    ("integer", 2**53, "too large"),
    ("integer", "9" * 40, "too large"),
    ("number", "98,5", "is not a number"),
    ("number", "1_000", "is not a number"),
    ("number", True, "is not a number"),
    ("number", "inf", "is not a finite number"),
    ("number", float("-inf"), "is not a finite number"),
    ("boolean", "maybe", "neither true nor false"),
    ("boolean", 2, "neither true nor false"),
    ("list[integer]", "1;x", "'x' is not an integer"),
    ("list[integer]", "[1, 2", "is not a list in JSON"),
    ("list[integer]", "[" * 100_000, "is not a list in JSON"),
    ("list[number]", "[NaN]", "is not a finite number"),
    ("list[number]", f"[{10**400}]", "is not a finite number"),
    ("list[string]", '["\\ud800"]', "is not text"),
]


@pytest.mark.parametrize(("kind", "cell", "value"), GOOD)
def test_a_type_takes_what_it_can_be(kind, cell, value):
    found = convert(cell, of(kind))
    assert value == found
    assert type(value) is type(found)


@pytest.mark.parametrize(("kind", "cell", "reason"), BAD)
def test_a_type_refuses_what_it_is_not_and_says_what_it_saw(kind, cell, reason):
    with pytest.raises(ValueError, match=reason):
        convert(cell, of(kind))


@pytest.mark.parametrize("kind", ["string", "integer", "number", "boolean", "date"])
@pytest.mark.parametrize("cell", [None, "", "  ", "\t\n"])
def test_an_empty_cell_is_null(kind, cell):
    assert convert(cell, of(kind)) is None


@pytest.mark.parametrize("cell", [None, "", " ", [], "[]", ";"])
def test_an_empty_cell_is_an_empty_list(cell):
    assert [] == convert(cell, of("list[string]"))


@pytest.mark.parametrize("kind", ["string", "integer", "number", "boolean", "list[string]"])
@pytest.mark.parametrize("cell", ["nan", "NaN", " null ", "None", "#N/A", "n/a", float("nan")])
def test_what_programs_write_for_nothing_is_missing_in_every_type(kind, cell):
    with pytest.raises(Missing):
        convert(cell, of(kind))


@pytest.mark.parametrize(
    ("spec", "cell", "value"),
    [
        (DAY, "2017-10-16", "2017-10-16"),
        (US_DAY, "10/16/2017", "10/16/2017"),
        (US_DAY, "9/2/2017", "9/2/2017"),
        (US_DAY, date(2017, 9, 2), "09/02/2017"),
        (DAY, datetime(2017, 10, 16, 9, 30), "2017-10-16"),  # noqa: DTZ001  as a workbook has it
        (DAY, " 2017-10-16 ", "2017-10-16"),
    ],
)
def test_a_date_stays_as_it_is_written(spec, cell, value):
    assert value == convert(cell, spec)


@pytest.mark.parametrize(
    ("spec", "cell"),
    [
        (DAY, "10/16/2017"),
        (US_DAY, "2017-10-16"),
        (US_DAY, "16/10/2017"),
        (DAY, "2017-02-29"),
        (DAY, 43024.0),
        (DAY, date(201, 1, 1)),
    ],
)
def test_a_date_of_another_form_is_refused(spec, cell):
    with pytest.raises(ValueError, match="is not a date in the form"):
        convert(cell, spec)


@given(st.dates())
def test_every_date_that_is_taken_can_be_read_again(day):
    try:
        text = convert(day, US_DAY)
    except ValueError:
        assert day.year < 1000
    else:
        assert day.isoformat() == iso_date(text, US_DAY.format)


def test_structs_have_their_fields_in_the_order_of_the_recipe():
    found = convert('[{"batch": "1", "gene": "TJP1"}, {"gene": "LMNB1"}]', EDITS)
    assert [{"gene": "TJP1", "batch": 1}, {"gene": "LMNB1", "batch": None}] == found
    assert [["gene", "batch"]] * 2 == [list(one) for one in found]


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("TJP1", "'TJP1' is not a list of structs"),
        ('["TJP1"]', "'TJP1' is not a struct"),
        ('[{"gene": "TJP1", "clone": 3}]', "the field clone is not declared"),
        ('[{"gene": ""}]', "gene is empty"),
        ('[{"gene": "nan"}]', "gene is empty"),
        ('[{"gene": "TJP1", "batch": "x"}]', "batch: 'x' is not an integer"),
        ({"gene": "TJP1"}, "is not a list of structs"),
    ],
)
def test_a_struct_that_does_not_fit_says_which_field(cell, reason):
    with pytest.raises(ValueError, match=reason):
        convert(cell, EDITS)


@pytest.mark.parametrize(
    ("spec", "cell", "reason"),
    [
        (of("number", minimum=0, maximum=100), 100.5, "100.5 is more than 100"),
        (of("integer", minimum=0), "-1", "-1 is less than 0"),
        (of("list[integer]", minimum=0), "3;-1", "-1 is less than 0"),
        (of("string", one_of=("exp", "control")), "expt", "'expt' is not one of exp, control"),
    ],
)
def test_a_value_outside_of_what_is_allowed_is_refused(spec, cell, reason):
    with pytest.raises(ValueError, match=reason):
        convert(cell, spec)


def test_the_ends_of_a_range_are_in_it():
    spec = of("number", minimum=0, maximum=100)
    assert [0.0, 100.0] == [convert("0", spec), convert(100, spec)]


def test_a_long_cell_is_shown_short_and_on_one_line():
    text = shown("x\n" * 1000)
    assert 60 >= len(text)
    assert "\n" not in text


_plain = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["[1,", "[{}]", "nan", "1e999", "0x1", "١٢", "[1e999]", '{"gene": 1}'])
    | st.dates()
    | st.datetimes()
    | st.binary(max_size=4)
)
_cells = st.recursive(
    _plain,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=5,
)
_specs = st.sampled_from(
    [
        *(of(kind) for kind in ("string", "integer", "number", "boolean")),
        *(of(f"list[{kind}]") for kind in ("string", "integer", "number")),
        of("integer", minimum=-5, maximum=5),
        of("list[string]", one_of=("a", "b")),
        DAY,
        US_DAY,
        EDITS,
    ]
)


def _fits(value: Any, spec: Spec) -> bool:
    kinds = {"string": str, "integer": int, "number": float, "boolean": bool, "date": str}
    if spec.fields:
        return all(
            [f.name for f in spec.fields] == list(one)
            and all(one[f.name] is None or _fits(one[f.name], f) for f in spec.fields)
            for one in value
        )
    if spec.is_list:
        return all(type(one) is kinds[spec.type[5:-1]] for one in value)
    return value is None or type(value) is kinds[spec.type]


@given(_cells, _specs)
def test_any_cell_becomes_a_value_of_its_type_or_a_reason(cell, spec):
    try:
        value = convert(cell, spec)
    except (ValueError, Missing):
        return
    assert _fits(value, spec)
    # It can be written and read again: no NaN, no lone surrogate.
    assert value == msgspec.json.decode(msgspec.json.encode(value))
    assert value == json.loads(json.dumps(value, allow_nan=False))
