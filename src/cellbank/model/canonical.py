"""Canonical JSON: the one spelling of a document, so that equal content has equal bytes."""

import math
from typing import Any, Final

import msgspec

from cellbank.model.errors import NotCanonical

MAX_INTEGER: Final = 2**53 - 1
MAX_DEPTH: Final = 64
MAX_META_BYTES: Final = 64 << 10
MAX_META_DEPTH: Final = 32

_ESCAPES = str.maketrans(
    {i: f"\\u{i:04x}" for i in range(32)}
    | {8: "\\b", 9: "\\t", 10: "\\n", 12: "\\f", 13: "\\r", 34: '\\"', 92: "\\\\"}
)


def encode(value: Any, what: str = "document") -> bytes:
    """Return `value` (None, bool, int, float, str, list, dict) in its one spelling.

    Raises `NotCanonical`: NaN, infinities, integers beyond ±(2⁵³−1), lone surrogates, keys that
    are not text, other types, or more than 64 levels.
    """
    out: list[str] = []
    _write(value, out, what, 0)
    try:
        return "".join(out).encode()
    except UnicodeEncodeError:
        raise NotCanonical(what, "text holds a lone surrogate") from None


def _write(value: Any, out: list[str], what: str, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise NotCanonical(what, f"nested deeper than {MAX_DEPTH} levels")
    if value is None:
        out.append("null")
    elif value is True:
        out.append("true")
    elif value is False:
        out.append("false")
    elif isinstance(value, str):
        out.append(_text(value))
    elif isinstance(value, int):
        out.append(_integer(int(value), what))
    elif isinstance(value, float):
        out.append(_number(float(value), what))
    elif isinstance(value, dict):
        _write_object(value, out, what, depth)
    elif isinstance(value, (list, tuple)):
        for i, item in enumerate(value):
            out.append("," if i else "[")
            _write(item, out, what, depth + 1)
        out.append("]" if value else "[]")
    else:
        raise NotCanonical(what, f"{type(value).__name__} is not a JSON type")


def _write_object(value: dict[Any, Any], out: list[str], what: str, depth: int) -> None:
    for key in value:
        if not isinstance(key, str):
            raise NotCanonical(what, f"the key {key!r} is not text")
    # The order of code points is the order of UTF-8 bytes.
    for i, key in enumerate(sorted(value)):
        out.append("," if i else "{")
        out.append(_text(key))
        out.append(":")
        _write(value[key], out, what, depth + 1)
    out.append("}" if value else "{}")


def _text(value: str) -> str:
    return f'"{value.translate(_ESCAPES)}"'


def _integer(value: int, what: str) -> str:
    if not -MAX_INTEGER <= value <= MAX_INTEGER:
        # Not shown: Python spells no integer of thousands of digits.
        raise NotCanonical(what, "an integer is beyond ±(2⁵³−1)")
    return str(value)


def _number(value: float, what: str) -> str:
    """Spell a double as RFC 8785 does (ECMAScript's Number.prototype.toString)."""
    if not math.isfinite(value):
        raise NotCanonical(what, f"{value} is not a JSON number")
    if value.is_integer() and abs(value) < 1e21:
        return _integer(int(value), what)
    mantissa, _, exponent = repr(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    fraction = "" if fraction == "0" else fraction
    point = len(whole) + int(exponent or 0)
    digits = (whole + fraction).lstrip("0")
    point -= len(whole + fraction) - len(digits)
    digits = digits.rstrip("0")
    sign = "-" if value < 0 else ""
    if 0 < point <= 21:
        return f"{sign}{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    power = point - 1
    tail = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{tail}e{'+' if power > 0 else '-'}{abs(power)}"


def decode(data: bytes, what: str = "document") -> Any:
    """Return the value that `data` spells.

    Raises `NotCanonical`: `data` is not JSON, or not spelled in the one allowed way.
    """
    try:
        value = msgspec.json.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise NotCanonical(what, f"not JSON ({str(error) or type(error).__name__})") from None
    if encode(value, what) != data:
        raise NotCanonical(what, "spelled differently")
    return value


def check_meta(meta: Any, what: str) -> bytes:
    """Return the canonical bytes of an entry's metadata, after checking its limits.

    Raises `NotCanonical`: It is no mapping, larger than 64 KiB, or deeper than 32 levels.
    """
    if not isinstance(meta, dict):
        raise NotCanonical(what, "metadata must be a mapping")
    if _depth(meta, 0) > MAX_META_DEPTH:
        raise NotCanonical(what, f"metadata is deeper than {MAX_META_DEPTH} levels")
    data = encode(meta, what)
    if len(data) > MAX_META_BYTES:
        raise NotCanonical(what, f"metadata is larger than {MAX_META_BYTES} bytes")
    return data


def _depth(value: Any, above: int) -> int:
    if above > MAX_META_DEPTH or not isinstance(value, (dict, list, tuple)):
        return above
    inner = value.values() if isinstance(value, dict) else value
    return max((_depth(item, above + 1) for item in inner), default=above + 1)
