"""A SCHEMA as tables: one a kind of record, one line an attribute. All of it is untrusted text."""

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

MAX_BYTES: Final = 4 << 20
MAX_KINDS: Final = 50
MAX_ATTRIBUTES: Final = 2_000
MAX_FIELDS: Final = 100
MAX_TEXT: Final = 600
MAX_VALUE: Final = 160

_TYPE: Final = re.compile(r"<(?:type|class) '([\w.]+)'>")
_KIND: Final = re.compile(r"unique_(.+)_info")


class Attribute(msgspec.Struct, frozen=True):
    """One attribute, as it is shown; what the SCHEMA does not say is empty."""

    name: str
    anchor: str
    description: str = ""
    types: str = ""
    example: str = ""
    origin: str = ""
    unit: str = ""
    nullable: str = ""
    coverage: float | None = None
    distinct: str = ""
    span: str = ""
    fields: tuple["Attribute", ...] = ()


class Kind(msgspec.Struct, frozen=True):
    """One kind of record with its attributes."""

    key: str
    title: str
    anchor: str
    attributes: tuple[Attribute, ...]


class Schema(msgspec.Struct, frozen=True):
    """A SCHEMA; `problem` says why it cannot be shown, or what of it is not."""

    kinds: tuple[Kind, ...] = ()
    licence: str = ""
    problem: str = ""


def read_schema(data: bytes) -> Schema:
    """Return a SCHEMA; one that makes no sense has a problem and no kinds."""
    try:
        document = msgspec.json.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return Schema(problem="This SCHEMA is not JSON, so it cannot be shown as tables.")
    if not isinstance(document, dict):
        return Schema(problem="This SCHEMA is not a JSON object, so it cannot be shown as tables.")
    licence = document.get("licence") or document.get("license")
    kinds, left, used = [], MAX_ATTRIBUTES, set[str]()
    found = {key: value for key, value in document.items() if isinstance(value, dict)}
    for key, value in list(found.items())[:MAX_KINDS]:
        kinds.append(_kind(key, dict(list(value.items())[:left]), used))
        left -= len(kinds[-1].attributes)
    problem = ""
    if len(found) > MAX_KINDS or sum(map(len, found.values())) > MAX_ATTRIBUTES:
        problem = f"This SCHEMA is long: {MAX_ATTRIBUTES:,} attributes at most are shown."
    elif not kinds:
        problem = "This SCHEMA describes no kind of record."
    return Schema(tuple(kinds), _text(licence) if isinstance(licence, str) else "", problem)


def _kind(key: str, attributes: Mapping[str, Any], used: set[str]) -> Kind:
    named = _KIND.fullmatch(key)
    short = named[1] if named else key
    rows = tuple(
        _attribute(name, said, _anchor(f"{short[:60]}.{name}", used))
        for name, said in attributes.items()
    )
    title = "FOV" if short == "fov" else _cut(short, MAX_VALUE).replace("_", " ")
    return Kind(_cut(key, MAX_VALUE), title, _anchor(f"kind.{short}", used), rows)


def _attribute(name: str, said: Any, anchor: str) -> Attribute:
    name = _cut(name, MAX_VALUE)
    if not isinstance(said, dict):
        return Attribute(name, anchor, example=_value(said))
    nullable = said.get("nullable")
    return Attribute(
        name,
        anchor,
        _text(said.get("description")),
        _text(said.get("type")) or _types(said.get("value_types")),
        _value(said["example_value"]) if "example_value" in said else "",
        _text(said.get("origin")),
        _text(said.get("unit")),
        "may be null" if nullable is True else "never null" if nullable is False else "",
        _coverage(said.get("coverage")),
        _distinct(said.get("values")) or _distinct(said.get("distinct")),
        _span(said.get("minimum"), said.get("maximum")),
        _fields(said.get("fields")),
    )


def _fields(said: Any) -> tuple[Attribute, ...]:
    """Return the fields of each struct of a list; those of these are not looked at."""
    if not isinstance(said, dict):
        return ()
    return tuple(
        _attribute(name, {**field, "fields": None} if isinstance(field, dict) else field, "")
        for name, field in list(said.items())[:MAX_FIELDS]
    )


def _anchor(text: str, used: set[str]) -> str:
    """Return an id for an address; no two are alike, and the dot sets it off from the page's."""
    base = re.sub(r"[^A-Za-z0-9_.-]+", "-", text)[:120]
    anchor, n = base, 1
    while anchor in used:
        anchor, n = f"{base}-{n}", n + 1
    used.add(anchor)
    return anchor


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def _text(value: Any) -> str:
    if value is None:
        return ""
    return _cut(value, MAX_TEXT) if isinstance(value, str) else _value(value)


def _value(value: Any) -> str:
    """Return an example as JSON, so that a text differs from a number."""
    try:
        return _cut(msgspec.json.encode(value).decode(errors="replace"), MAX_VALUE)
    except (RecursionError, ValueError, OverflowError):
        return "…"


def _types(value: Any) -> str:
    return _cut(_type(value, 0), MAX_VALUE)


def _type(value: Any, depth: int) -> str:
    if isinstance(value, str):
        return _TYPE.sub(r"\1", value[:MAX_TEXT])
    if depth > 3:
        return "…"
    if isinstance(value, list):
        inner = ", ".join(_type(v, depth + 1) for v in value[:12])
        return inner if depth == 0 else f"[{inner}]"
    if isinstance(value, dict):
        pairs = list(value.items())[:12]
        return "{" + ", ".join(f"{k[:40]}: {_type(v, depth + 1)}" for k, v in pairs) + "}"
    return "" if value is None else _value(value)


def _coverage(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        return None
    return round(100 * value, 1)


def _distinct(value: Any) -> str:
    if isinstance(value, bool):
        return ""
    if isinstance(value, int):
        return f"{value:,} distinct" if 0 <= value < 1 << 53 else ""
    if isinstance(value, list):
        return _cut(", ".join(_value(v) for v in value[:40]), 2 * MAX_VALUE)
    return ""


def _span(low: Any, high: Any) -> str:
    if low is None and high is None:
        return ""
    return (
        f"{_value(low) if low is not None else '…'} – {_value(high) if high is not None else '…'}"
    )
