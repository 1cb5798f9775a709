"""What is asked, and within which limits."""

import math
import re
from collections.abc import Sequence
from numbers import Real
from typing import Any, Final

import msgspec

from cellbank.model.errors import BadInput, BadQuestion

SECONDS: Final = 30.0
LONGEST: Final = 250_000
"""So many characters may a question have: before it is asked it is parsed, which nothing stops."""
MEMORY: Final = "1GB"
_SIZE: Final = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)(i?)B?\s*", re.IGNORECASE)
DESCRIBE: Final = "What can be asked: cellbank query REF --describe (describe=True in Python)."
"""The advice where there is no better one."""
_LEAST: Final = 64_000_000
"""DuckDB itself needs some."""
_MOST: Final = 10**15
"""No machine has more, and DuckDB cannot count much more."""


class Question(msgspec.Struct, frozen=True):
    """One question: SQL, or a condition and what to show of the records that fit.

    Attributes
    ----------
    sql
        One SELECT, WITH, DESCRIBE or SUMMARIZE; empty for the short form.
    where
        A condition; empty for all records.
    columns
        What to show, each an expression; none shows the columns of the kind.
    group_by
        What to group by, each an expression.
    kind
        The group of records asked about, such as `fovs`; or `entries`.
    describe
        Whether to tell what can be asked, in place of asking.
    changes
        Whether to tell what differs between two sources, in place of asking.
    steady
        Whether a condition is refused that may give something else another day.
    file
        Whether the answer is wanted as a Parquet file.
    """

    sql: str = ""
    where: str = ""
    columns: tuple[str, ...] = ()
    group_by: tuple[str, ...] = ()
    kind: str = ""
    describe: bool = False
    changes: bool = False
    steady: bool = False
    file: bool = False

    @property
    def text(self) -> str:
        """What messages show of it."""
        return self.sql or self.where or ", ".join((*self.columns, *self.group_by))

    def check(self) -> None:
        """Raise `BadQuestion` where it is longer than anybody writes."""
        parts = (self.sql, self.where, *self.columns, *self.group_by)
        length = sum(map(len, parts))
        if length > LONGEST:
            reason = f"it is {length:,} characters long, and {LONGEST:,} are the most"
            advice = "Ask for less at once, or say in fewer words which records are meant."
            raise bad(f"{self.text[:60]}…", reason, advice=advice)


class Limits(msgspec.Struct, frozen=True):
    """How long an answer may take, in seconds, and how much memory, in bytes."""

    seconds: float = SECONDS
    memory: int = 1_000_000_000

    @classmethod
    def of(cls, timeout: float, memory: str | float) -> "Limits":
        """Return the limits that someone gave; raises `BadInput`."""
        if not isinstance(timeout, Real) or not 0 < timeout < 1e6:
            advice = "Give one above 0 and below a million."
            raise BadInput(f"{timeout!r:.60} is no number of seconds", advice)
        return cls(float(timeout), bytes_of(memory))


def bytes_of(memory: str | float) -> int:
    """Return an amount of memory in bytes, from text such as `1GB` or `512MiB`.

    Raises `BadInput`: It is none, too little to ask anything, or more than there can be.
    """
    found = _SIZE.fullmatch(memory) if isinstance(memory, str) else None
    given: object = memory
    amount: Any = given if isinstance(given, Real) else math.nan
    if found:
        step = 1024 if found[3] else 1000
        amount = float(found[1])
        amount *= step ** ("KMGT".index(found[2].upper()) + 1 if found[2] else 0)
    if not 0 <= amount <= _MOST:
        raise BadInput(f"{memory!r:.60} is no amount of memory", "Say it as 512MB or 2GB.")
    if amount < _LEAST:
        raise BadInput(
            f"{int(amount):,} bytes of memory are too few to ask anything", "Allow 64MB or more."
        )
    return int(amount)


def megabytes(memory: int) -> str:
    """Return an amount of memory as people say it: `1 GB`."""
    return f"{memory / 1e9:g} GB" if memory >= 1e9 else f"{memory / 1e6:g} MB"


def bad(
    question: str,
    reason: str,
    place: tuple[int, int] = (-1, -1),
    near: Sequence[str] = (),
    advice: str = "",
) -> BadQuestion:
    """Return the error of a question that cannot be asked; `place` is in characters."""
    return BadQuestion(question, reason, *place, [*near], advice or ("" if near else DESCRIBE))


def too_much(question: str, memory: int) -> BadQuestion:
    """Return what is said of a question that needs more memory than it may use."""
    advice = "Ask for fewer rows or columns, or allow more: --memory 4GB (memory='4GB' in Python)."
    return bad(question, f"it needs more than {megabytes(memory)} of memory", advice=advice)
