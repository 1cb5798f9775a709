"""What somebody gives to a public function, held against what the function says it takes."""

import inspect
import os
from collections.abc import Callable, Iterator
from functools import cache, wraps
from types import NoneType, UnionType
from typing import Any, Final, get_args, get_origin

from cellbank.model.errors import BadInput

_PLACES: Final = ("from_", "to")
"""Remotes; a folder may be given as a path, too."""
_WORDS: Final = {
    str: "text",
    int: "whole number",
    float: "number",
    os.PathLike: "path",
    Callable: "function",
}


@cache
def checked(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function as the face has it: what it cannot take is told in one line of ours.

    Raises `BadInput`, when it is called: An argument is of a type that the function does not name.
    """
    signature = inspect.signature(function)
    wanted = {name: one.annotation for name, one in signature.parameters.items()}
    wanted |= {name: wanted[name] | os.PathLike for name in _PLACES if name in wanted}

    @wraps(function)
    def check(*args: Any, **named: Any) -> Any:
        try:
            given = signature.bind(*args, **named).arguments
        except TypeError:
            # Python's own words name what is missing, or too much.
            return function(*args, **named)
        for name, value in given.items():
            if not _fits(value, wanted[name]):
                said = " ".join(f"{value!r:.60}".split())
                what = " or ".join(dict.fromkeys(_named(wanted[name])))
                advice = f"See: help(cellbank.{function.__name__})"
                raise BadInput(f"{name} is {said}, which is no {what}", advice)
        return function(*args, **named)

    # Whoever pickles it finds it where everybody does.
    check.__module__, check.__qualname__ = "cellbank", function.__name__
    return check


def _fits(value: Any, wanted: Any) -> bool:
    """Whether a value is of a type that an annotation names; what cannot be told fits."""
    kind, inside = get_origin(wanted) or wanted, get_args(wanted)
    if kind is UnionType:
        return any(_fits(value, one) for one in inside)
    if kind in (int, float):
        # Those of numpy, too.
        return hasattr(value, "__index__" if kind is int else "__float__")
    if kind is Callable:
        return callable(value)
    if kind in (Any, bool) or not isinstance(kind, type):
        return True
    items = value if inside and isinstance(value, list | tuple) else ()
    return isinstance(value, kind) and all(_fits(item, inside[0]) for item in items)


def _named(wanted: Any) -> Iterator[str]:
    """Yield what people call the types that an annotation names."""
    kind, inside = get_origin(wanted) or wanted, get_args(wanted)
    if kind is UnionType:
        for one in inside:
            yield from _named(one)
    elif kind in _WORDS:
        yield _WORDS[kind]
    elif inside:
        yield f"list of {' or '.join(_named(inside[0]))}s"
    elif kind is not NoneType:
        yield str(kind.__name__)
