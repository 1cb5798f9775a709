"""Canonical JSON: one spelling, and refusal of every other."""

import json
import math
import struct
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cellbank.model import canonical
from cellbank.model.errors import NotCanonical
from tests.strategies import floats, json_values, texts

# The examples of RFC 8785, appendix B: the bits of a double, and its spelling.
RFC_8785 = [
    ("0000000000000000", "0"),
    ("8000000000000000", "0"),
    ("0000000000000001", "5e-324"),
    ("8000000000000001", "-5e-324"),
    ("7fefffffffffffff", "1.7976931348623157e+308"),
    ("ffefffffffffffff", "-1.7976931348623157e+308"),
    ("44b52d02c7e14af5", "9.999999999999997e+22"),
    ("44b52d02c7e14af6", "1e+23"),
    ("44b52d02c7e14af7", "1.0000000000000001e+23"),
    ("444b1ae4d6e2ef50", "1e+21"),
    ("3eb0c6f7a0b5ed8c", "9.999999999999997e-7"),
    ("3eb0c6f7a0b5ed8d", "0.000001"),
    ("41b3de4355555553", "333333333.3333332"),
    ("41b3de4355555554", "333333333.33333325"),
    ("41b3de4355555555", "333333333.3333333"),
    ("41b3de4355555556", "333333333.3333334"),
    ("41b3de4355555557", "333333333.33333343"),
    ("becbf647612f3696", "-0.0000033333333333333333"),
    ("43143ff3c1cb0959", "1424953923781206.2"),
]
# Those that RFC 8785 spells as integers beyond ±(2⁵³−1), or not at all.
RFC_8785_REFUSED = [
    "4340000000000000",
    "c340000000000000",
    "4430000000000000",
    "444b1ae4d6e2ef4e",
    "444b1ae4d6e2ef4f",
    "7fffffffffffffff",
    "7ff0000000000000",
    "fff0000000000000",
]


WIDE = Context(prec=1100, Emax=9999, Emin=-9999)


def double(bits: str) -> float:
    return struct.unpack(">d", bytes.fromhex(bits))[0]


@pytest.mark.parametrize(("bits", "spelling"), RFC_8785)
def test_a_double_is_spelled_as_in_rfc_8785(bits: str, spelling: str) -> None:
    assert spelling.encode() == canonical.encode(double(bits))


@pytest.mark.parametrize("bits", RFC_8785_REFUSED)
def test_a_double_that_has_no_safe_spelling_is_refused(bits: str) -> None:
    with pytest.raises(NotCanonical):
        canonical.encode(double(bits))


@given(floats)
def test_a_double_comes_back_bit_for_bit(number: float) -> None:
    assume(number != 0)
    spelling = canonical.encode(number)
    assert struct.pack(">d", number) == struct.pack(">d", float(canonical.decode(spelling)))


@given(floats)
def test_a_double_is_spelled_as_ecmascript_does(number: float) -> None:
    # ECMA-262, Number::toString, steps 5 to 12, written from the digits that Python gives.
    assume(number != 0)
    sign, digits, exponent = "-" if number < 0 else "", *_digits(abs(number))
    k, n = len(digits), exponent
    if k <= n <= 21:
        expected = digits + "0" * (n - k)
    elif 0 < n <= 21:
        expected = f"{digits[:n]}.{digits[n:]}"
    elif -6 < n <= 0:
        expected = f"0.{'0' * -n}{digits}"
    else:
        power = f"e{'+' if n > 1 else '-'}{abs(n - 1)}"
        expected = digits[0] + (f".{digits[1:]}" if k > 1 else "") + power
    assert (sign + expected).encode() == canonical.encode(number)


def _digits(number: float) -> tuple[str, int]:
    """Return the shortest digits s and n such that the number is 0.s × 10ⁿ."""
    exact = Decimal(number)
    exponent = exact.adjusted() + 1
    for length in range(1, 18):
        step = Decimal(1).scaleb(exponent - length)
        around = [exact.quantize(step, way, WIDE) for way in (ROUND_FLOOR, ROUND_CEILING)]
        if good := [near for near in around if float(near) == number]:
            best = min(good, key=lambda near: abs(near - exact))
            digits = "".join(map(str, best.as_tuple().digits))
            return digits.rstrip("0"), best.adjusted() + 1
    raise AssertionError(number)


@given(json_values)
def test_what_is_encoded_comes_back_and_has_one_spelling(value: object) -> None:
    data = canonical.encode(value)
    again = canonical.decode(data)
    assert data == canonical.encode(again)
    assert value == again


@given(json_values)
def test_another_json_reader_reads_the_same(value: object) -> None:
    assert value == json.loads(canonical.encode(value))


@given(json_values)
def test_any_other_spelling_of_a_document_is_refused(value: object) -> None:
    right = canonical.encode(value)
    for other in (
        json.dumps(value, ensure_ascii=False).encode(),
        json.dumps(value, indent=1).encode(),
        right + b"\n",
        b" " + right,
        b"\xef\xbb\xbf" + right,
    ):
        if other != right:
            with pytest.raises(NotCanonical):
                canonical.decode(other)


@given(texts)
def test_only_what_must_be_escaped_is(text: str) -> None:
    inside = canonical.encode(text)[1:-1].decode()
    for character in text:
        if character >= " " and character not in '"\\':
            assert character in inside
    assert all(character >= " " for character in inside)


def test_control_characters_have_one_escape_each() -> None:
    short = {8: b"\\b", 9: b"\\t", 10: b"\\n", 12: b"\\f", 13: b"\\r"}
    for code in range(32):
        expected = short.get(code, b"\\u%04x" % code)
        assert b'"' + expected + b'"' == canonical.encode(chr(code))
    assert b'"\x7f/\xe2\x80\xa8"' == canonical.encode("\x7f/\u2028")


def test_keys_are_sorted_by_their_utf8_bytes() -> None:
    # UTF-16, by which RFC 8785 sorts, would put U+1F600 before U+FF5E.
    value = {"\U0001f600": 1, "\uff5e": 2, "é": 3, "z": 4, "": 5, "Z": 6}
    keys = list(canonical.decode(canonical.encode(value)))
    assert sorted(value, key=str.encode) == keys
    assert ["", "Z", "z", "é", "\uff5e", "\U0001f600"] == keys


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b'{"a":1,"a":1}',
        b'{"a":1,"a":2}',
        b'{"b":1,"a":2}',
        b'{"a": 1}',
        b"[1, 2]",
        b"[1,]",
        b'"\\/"',
        b'"\\u0041"',
        b'"\\u001F"',
        b'"\\u000a"',
        b'"\\u00e9"',
        b'"\\ud83d\\ude00"',
        b'"\\ud800"',
        b'"\xed\xa0\x80"',
        b'"\xff"',
        b'"\x01"',
        b"NaN",
        b"Infinity",
        b"-Infinity",
        b"1e400",
        b"-1e400",
        b"1.0",
        b"1e5",
        b"1E+21",
        b"1e21",
        b"10e+20",
        b"0.10",
        b"01",
        b"+1",
        b".5",
        b"-0",
        b"-0.0",
        b"0e0",
        b"9007199254740992",
        b"-9007199254740992",
        b"9007199254740993.0",
        b"100000000000000000000",
        b"123456789012345678901234567890",
        b"1" * 5000,
        b"true ",
        b"nul",
        b"1 2",
        b"'a'",
        b"// c\n1",
        b"[" * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 100_000,
    ],
    ids=lambda data: repr(data[:24]),
)
def test_what_differs_from_the_one_spelling_is_refused(data: bytes) -> None:
    with pytest.raises(NotCanonical):
        canonical.decode(data)


@pytest.mark.parametrize(
    "value",
    [
        math.nan,
        math.inf,
        -math.inf,
        2**53,
        -(2**53),
        10**400,
        2.0**53,
        "\ud800",
        "a\udc80",
        {"\ud800": 1},
        {1: 2},
        {None: 1},
        {b"a": 1},
        b"bytes",
        {1, 2},
        object(),
        1j,
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_json_cannot_say_safely_is_not_written(value: object) -> None:
    with pytest.raises(NotCanonical):
        canonical.encode({"inside": [value]})
    with pytest.raises(NotCanonical):
        canonical.encode(value)


def nested(levels: int) -> list[object]:
    value: list[object] = []
    for _ in range(levels - 1):
        value = [value]
    return value


def test_the_deepest_document_is_read_and_a_deeper_one_refused() -> None:
    deepest = nested(canonical.MAX_DEPTH + 1)
    assert deepest == canonical.decode(canonical.encode(deepest))
    with pytest.raises(NotCanonical):
        canonical.encode(nested(canonical.MAX_DEPTH + 2))
    with pytest.raises(NotCanonical):
        canonical.decode(b"[" * 66 + b"]" * 66)


def test_metadata_has_at_most_32_levels_itself_the_first() -> None:
    assert canonical.check_meta({"a": nested(31)}, "x")
    with pytest.raises(NotCanonical):
        canonical.check_meta({"a": nested(32)}, "x")
    assert canonical.check_meta({"a": [*nested(30), {"b": 1}]}, "x")


def test_metadata_has_at_most_64_kib_of_canonical_bytes() -> None:
    room = canonical.MAX_META_BYTES - len(b'{"a":""}')
    assert canonical.MAX_META_BYTES == len(canonical.check_meta({"a": "x" * room}, "x"))
    with pytest.raises(NotCanonical):
        canonical.check_meta({"a": "x" * (room + 1)}, "x")
    with pytest.raises(NotCanonical):
        canonical.check_meta({"a": "é" * (room // 2 + 1)}, "x")


@pytest.mark.parametrize("meta", [None, [], "text", 1])
def test_metadata_is_a_mapping(meta: object) -> None:
    with pytest.raises(NotCanonical):
        canonical.check_meta(meta, "x")


@given(st.binary(max_size=12))
def test_bytes_are_read_only_if_they_are_what_would_be_written(data: bytes) -> None:
    try:
        value = canonical.decode(data)
    except NotCanonical:
        return
    assert data == canonical.encode(value)


def test_tuples_and_kinds_of_numbers_are_written_as_what_they_are() -> None:
    class Whole(int):
        pass

    class Broken(float):
        pass

    assert b"[1,2.5,3,true]" == canonical.encode((Whole(1), Broken(2.5), 3.0, True))
    assert b"[[],{}]" == canonical.encode([(), {}])


def test_an_integer_of_thousands_of_digits_is_refused_like_any_other() -> None:
    with pytest.raises(NotCanonical):
        canonical.encode(10**5000)
