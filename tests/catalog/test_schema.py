"""SCHEMAs from strangers: tables of text that is cut and counted, whatever stands in it."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellbank.catalog.schema import MAX_ATTRIBUTES, Schema, read_schema
from cellbank.storage.http_remote import HttpRemote
from cellbank.storage.store import Store
from tests.catalog.making import SCHEMA, Browser
from tests.storage.making import push_files

TEXT = st.text(max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=12,
)
FIELDS = st.sampled_from(
    [
        "description",
        "example_value",
        "origin",
        "value_types",
        "unit",
        "nullable",
        "coverage",
        "distinct",
        "minimum",
        "maximum",
        "type",
    ]
)


def read(document: Any) -> Schema:
    return read_schema(json.dumps(document).encode())


def test_attributes_are_told_as_they_are_written() -> None:
    fov, line = read(SCHEMA).kinds
    assert ("FOV", "unique_fov_info", "kind.fov") == (fov.title, fov.key, fov.anchor)
    assert ("line", ()) == (line.title, line.attributes)
    first, second = fov.attributes
    assert ("fov.cell_viability", "number", "98.5") == (first.anchor, first.types, first.example)
    assert (97.5, "12 distinct", "96.7 – 100.0") == (first.coverage, first.distinct, first.span)
    assert (None, "", "", '"ZSD1"') == (
        second.coverage,
        second.distinct,
        second.span,
        second.example,
    )


def test_the_fields_of_a_struct_are_told_one_by_one_and_no_deeper() -> None:
    gene = {"description": "its symbol", "type": "string", "fields": {"deep": {}}}
    said = {"type": "list[struct]", "fields": {"gene": gene, "odd": 7}}
    (line,) = read({"unique_line_info": {"edits": said}}).kinds
    (edits,) = line.attributes
    assert "list[struct]" == edits.types
    assert [("gene", "string", "its symbol"), ("odd", "", "")] == [
        (field.name, field.types, field.description) for field in edits.fields
    ]
    assert ((), ()) == tuple(field.fields for field in edits.fields)


def test_values_that_are_listed_are_shown_rather_than_counted() -> None:
    said = {"distinct": 2, "values": ["ZSD1", "ZSD2"]}
    found = read({"unique_x_info": {"a": said, "b": {"distinct": ["x"]}}}).kinds[0]
    assert ['"ZSD1", "ZSD2"', '"x"'] == [a.distinct for a in found.attributes]


def test_nested_types_read_like_types() -> None:
    types = [["<type 'dict'>"], {"name": "<class 'str'>", "use": "<type 'bool'>"}, None]
    found = read({"unique_x_info": {"channels": {"value_types": types}}}).kinds[0].attributes[0]
    assert "[dict], {name: str, use: bool}, " == found.types


@pytest.mark.parametrize(
    "data", [b"", b"\xff", b"[]", b"3", b"{", b'{"a":NaN}', b"[" * 100_000, b'{"a":' * 100_000]
)
def test_what_is_no_schema_says_so(data: bytes) -> None:
    found = read_schema(data)
    assert ((), True) == (found.kinds, "cannot be shown" in found.problem)


def test_a_huge_one_is_cut() -> None:
    found = read({f"unique_{n}_info": {f"a{m}": {} for m in range(900)} for n in range(60)})
    assert MAX_ATTRIBUTES == sum(len(kind.attributes) for kind in found.kinds)
    assert "at most" in found.problem
    long = read({"unique_x_info": {"a" * 9999: {"description": "d" * 9999}}}).kinds[0].attributes[0]
    assert (160, 600) == (len(long.name), len(long.description))


def test_numbers_beyond_reason_are_passed_over() -> None:
    odd = {"coverage": 10**400, "distinct": 10**400, "minimum": 10**400, "example_value": 10**400}
    for name, value in odd.items():
        text = json.dumps({"unique_x_info": {"a": {name: "@"}}}).replace('"@"', f"1{'0' * 400}")
        assert str(value) == f"1{'0' * 400}"
        read_schema(text.encode())


@given(
    st.dictionaries(TEXT, st.dictionaries(TEXT, st.dictionaries(FIELDS, JSON), max_size=4) | JSON)
)
def test_any_json_gives_a_schema_with_distinct_anchors(document: dict[str, Any]) -> None:
    found = read_schema(msgspec.json.encode(json.loads(json.dumps(document))))
    anchors = [a.anchor for kind in found.kinds for a in kind.attributes]
    anchors += [kind.anchor for kind in found.kinds]
    assert len(set(anchors)) == len(anchors)
    assert all("." in anchor and anchor.isascii() for anchor in anchors)


def test_a_hostile_one_is_text_on_the_page(
    browser: Browser, store: Store, remote: HttpRemote
) -> None:
    bad = '"><script>alert(1)</script>{{ 7*7 }}'
    said = {"description": bad, "example_value": bad, "origin": bad, "value_types": [bad]}
    hostile = {f"unique_{bad}_info": {bad: {**said, "unit": bad, "distinct": [bad], "type": bad}}}
    push_files(store, remote, {"SCHEMA": json.dumps(hostile).encode()})
    page = browser.page("/aics/demo/schema")
    assert [""] == page.each("script")
    assert [] == page.crooked
    assert "{{ 7*7 }}" in page.text("tbody")
    assert "<script>alert(1)</script>" in page.text("tbody")
