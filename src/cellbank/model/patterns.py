"""Patterns of paths: `*` and `?` within a part, `**` over parts; no path can hold them."""

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final

from cellbank.model.errors import BadInput

_SPECIAL: Final = re.compile(r"[*?]")


def is_pattern(text: str) -> bool:
    """Whether a text is more than a path; what is special in patterns is refused in paths."""
    return _SPECIAL.search(text) is not None


def check_pattern(text: str) -> str:
    """Return a pattern in its normal form: no slash at its ends; raises `BadInput`."""
    pattern = text.strip("/")
    parts = pattern.split("/")
    if not pattern or any(part in ("", ".", "..") for part in parts):
        advice = "Write it as the tree shows it, such as 'fovs/*/info'."
        raise BadInput(f"{text!r} is no pattern of paths", advice)
    if any("**" in part and part != "**" for part in parts):
        raise BadInput(
            f"{text!r} has ** within a part", "Write ** between slashes: 'fovs/**/load'."
        )
    return pattern


def fitting(patterns: Sequence[str]) -> Callable[[str], bool]:
    """Return what tells whether a path, or a group that it lies in, fits one of the patterns."""
    return _compiled(tuple(patterns))


@lru_cache(64)
def _compiled(patterns: tuple[str, ...]) -> Callable[[str], bool]:
    every = "|".join(map(_expression, patterns))
    match = re.compile(f"(?:{every})(?:/.*)?", re.DOTALL).fullmatch
    return lambda path: match(path) is not None


def _expression(pattern: str) -> str:
    """Return a pattern as a regular expression; `a/**/b` fits `a/b`, too."""
    made = []
    parts = pattern.split("/")
    for at, part in enumerate(parts):
        last = at == len(parts) - 1
        if part == "**":
            made.append(".+" if last else "(?:.+/)?")
        else:
            plain = re.escape(part).replace(r"\*", "[^/]*").replace(r"\?", "[^/]")
            made.append(plain + ("" if last else "/"))
    return "".join(made)


def common_start(pattern: str) -> str:
    """Return the path that all that fits lies in: the parts before the first special one."""
    parts = pattern.split("/")
    plain = next((at for at, part in enumerate(parts) if is_pattern(part)), len(parts))
    return "/".join(parts[:plain])
