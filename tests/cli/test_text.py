"""Tests of text for people."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellbank.cli.text import ascii_json, columns, safe, safe_json, some, when, without_secrets


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain – ünïcode 日本", "plain – ünïcode 日本"),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("a\nb\tc\r", r"a\x0ab\x09c\x0d"),
        ("\x9b31m", r"\x9b31m"),
        ("\u202egpj", r"\u202egpj"),
    ],
)
def test_what_a_terminal_would_obey_is_spelled_out(text, shown):
    assert shown == safe(text)


@given(st.text())
def test_safe_text_is_one_line_and_stays_as_it_is(text):
    once = safe(text)
    assert 1 >= len(once.splitlines())
    assert once == safe(once)


@given(st.text())
def test_safe_json_means_the_same(text):
    assert text == json.loads(safe_json(json.dumps(text, ensure_ascii=False)))


@given(st.text())
def test_ascii_json_means_the_same(text):
    spelled = ascii_json(json.dumps(text, ensure_ascii=False))
    assert spelled.isascii()
    assert text == json.loads(spelled)


def test_secrets_are_covered():
    text = "GET https://me:pw@host/x with cbk_1 failed"
    assert "GET https://***@host/x with *** failed" == without_secrets(text, {"cbk_1"})


def test_columns_are_aligned():
    assert ["a    1", "bbb  22"] == columns([("a", "1"), ("bbb", "22")])
    assert [" 1  a", "22  b"] == columns([("1", "a"), ("22", "b")], right=(0,))
    assert [] == columns([])


def test_numbers_and_times_are_read_easily():
    assert "1 entry" == some(1, "entry", "entries")
    assert "2,433 entries" == some(2433, "entry", "entries")
    assert "2025-11-22 13:30" == when("2025-11-22T13:30:59Z")
