"""What a JSON Schema has against a recipe, in words: where, what is wrong, what to write."""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any, Final, NamedTuple

from cellbank.cells.recipe import json_schema
from cellbank.model.names import near

Error = Any
"""jsonschema's `ValidationError`; its types say that all it has may be missing."""
Path = tuple[str | int, ...]


class Misfit(NamedTuple):
    """One thing that the schema does not allow.

    `path` is where it is told, `bad` what must go, or be made up, so that the rest can be read.
    """

    path: Path
    what: str
    advice: str
    bad: Path
    missing: bool = False


_TYPES: Final = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping",
    "null": "nothing",
}


@cache
def _validator() -> Any:
    from jsonschema import Draft202012Validator

    return Draft202012Validator(json_schema())


def misfits(recipe: Any) -> list[Misfit]:
    """Return all that the schema of recipes does not allow in these plain values."""
    found = [m for error in _validator().iter_errors(recipe) for m in _told(error, ())]
    return list(dict.fromkeys(found))


def _told(error: Error, base: Path) -> Iterator[Misfit]:
    path = (*base, *error.relative_path)
    if error.validator == "anyOf":
        yield from _any_of(error, path)
    elif error.validator == "additionalProperties":
        known = list(error.schema.get("properties", ()))
        for name in sorted(set(error.instance) - set(known)):
            advice = _did_you_mean(name, known)
            yield Misfit((*path, name), "there is no such field", advice, (*path, name))
    elif error.validator == "required":
        for name in error.validator_value:
            if name not in error.instance:
                what = f"the field {name} is missing"
                yield Misfit(path, what, f"Add it: {name}: …", (*path, name), missing=True)
    else:
        # A name that is not allowed is told where it stands.
        place = (*path, error.instance) if "propertyNames" in error.schema_path else path
        yield Misfit(place, *_simple(error), place)


def _simple(error: Error) -> tuple[str, str]:
    value, rule = error.instance, error.validator_value
    match error.validator:
        case "type":
            return _not_of_type(value, [rule] if isinstance(rule, str) else rule)
        case "enum":
            return _not_among(value, rule)
        case "const":
            return _not_among(value, [rule])
        case "minLength" | "minProperties" | "minItems":
            return "is empty", "Fill it in."
        case "minimum":
            return f"{value} is less than {rule}", f"Write {rule} or more."
        case "maximum":
            return f"{value} is more than {rule}", f"Write {rule} or less."
        case "pattern":
            what = f"{_shown(value)} does not have the form {rule}"
            capitals = str(value).upper()
            fits = re.search(rule, capitals)
            return what, f"Did you mean {capitals}?" if fits else "Write it in that form."
    return error.message, "See docs/reference/recipe.md."


def _any_of(error: Error, path: Path) -> Iterator[Misfit]:
    """Tell what is wrong by the one form that was meant: that of the value's type."""
    branches: dict[Any, list[Error]] = {}
    for inner in error.context or ():
        branches.setdefault(inner.relative_schema_path[0], []).append(inner)
    for inners in branches.values():
        if not any(e.validator in ("type", "enum") and not e.relative_path for e in inners):
            for inner in inners:
                yield from _told(inner, path)
            return
    tops = [e for inners in branches.values() for e in inners if not e.relative_path]
    choices = [choice for e in tops if e.validator == "enum" for choice in e.validator_value]
    types = [e.validator_value for e in tops if e.validator == "type"]
    if choices and isinstance(error.instance, str):
        yield Misfit(path, *_not_among(error.instance, choices), path)
    else:
        yield Misfit(path, *_not_of_type(error.instance, types or ["string"]), path)


def _not_of_type(value: Any, types: Iterable[str]) -> tuple[str, str]:
    names = [name for name in types if name != "null"]
    wanted = " or ".join(_TYPES.get(name, name) for name in names)
    if isinstance(value, Mapping) and names == ["string"]:
        # What YAML makes of {line} without quotes.
        return f"is a mapping, where {wanted} is expected", 'Put quotes around it: "{…}".'
    return f"is {_shown(value)}, where {wanted} is expected", f"Write {wanted}."


def _not_among(value: Any, choices: Iterable[Any]) -> tuple[str, str]:
    names = [str(choice) for choice in choices if choice != ""]
    close = near(str(value), names)
    instead = "one of them" if len(names) > 1 else names[0]
    advice = f"Did you mean {' or '.join(close)}?" if close else f"Write {instead}."
    among = names[0] if len(names) == 1 else f"one of {', '.join(names)}"
    return f"{_shown(value)} is not {among}", advice


def _did_you_mean(word: str, names: Iterable[str]) -> str:
    names = list(names)
    close = near(word, names)
    if close:
        return f"Did you mean {' or '.join(close)}?"
    return f"What can stand here: {', '.join(names)}." if names else "Remove it."


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "empty"
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def mended(recipe: Any, found: Iterable[Misfit]) -> Any:
    """Return plain values without what is wrong, so that the rest can be looked at.

    What is missing is made up where that can be done: a text, or the format.
    """
    found = list(found)
    made = _pruned(recipe, (), {misfit.bad for misfit in found})
    for misfit in found:
        if misfit.missing:
            place: Any = made
            for part in misfit.path:
                place = place.get(part, {}) if isinstance(place, dict) else None
            if isinstance(place, dict):
                place[misfit.bad[-1]] = 1 if misfit.bad == ("format",) else "?"
    return made


def _pruned(value: Any, path: Path, gone: set[Path]) -> Any:
    if isinstance(value, dict):
        return {
            key: _pruned(child, (*path, key), gone)
            for key, child in value.items()
            if (*path, key) not in gone
        }
    if isinstance(value, list):
        return [
            _pruned(child, (*path, i), gone)
            for i, child in enumerate(value)
            if (*path, i) not in gone
        ]
    return value
