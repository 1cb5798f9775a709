"""What is wrong with a lab's tables and images: each with its place and what to do."""

from collections.abc import Iterable
from typing import Final, Literal

import msgspec

Severity = Literal["error", "warning"]

MAX_KEPT: Final = 10_000
"""More than these are counted, not kept: a wrong column has one in every row."""


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that is wrong.

    `file` is a table or an image, as the recipe names it; `row` is counted as a spreadsheet does,
    so that the first row below the names of a CSV file is 2 (in Parquet and databases it is 1).
    """

    severity: Severity
    file: str
    what: str
    advice: str
    row: int | None = None
    column: str = ""
    record: str = ""


class Problems:
    """All problems found so far.

    Invariant: nobody stops at the first one; who decides looks at `errors` at the end of a step.
    """

    def __init__(self) -> None:
        self._kept: list[Problem] = []
        self.errors = 0
        self.warnings = 0

    def error(
        self,
        file: str,
        what: str,
        advice: str,
        *,
        row: int | None = None,
        column: str = "",
        record: str = "",
    ) -> None:
        """Add what must be mended before anything is built."""
        self._add(Problem("error", file, what, advice, row, column, record))

    def warn(
        self,
        file: str,
        what: str,
        advice: str,
        *,
        row: int | None = None,
        column: str = "",
        record: str = "",
    ) -> None:
        """Add what can be built nevertheless, and should be looked at."""
        self._add(Problem("warning", file, what, advice, row, column, record))

    def _add(self, problem: Problem) -> None:
        if problem.severity == "error":
            self.errors += 1
        else:
            self.warnings += 1
        if len(self._kept) < MAX_KEPT:
            self._kept.append(problem)

    def extend(self, problems: Iterable[Problem]) -> None:
        """Add problems that were found elsewhere."""
        for problem in problems:
            self._add(problem)

    def found(self) -> list[Problem]:
        """Return the problems, by file, row and column."""
        return sorted(self._kept, key=lambda p: (p.file, p.row or 0, p.column, p.what))
