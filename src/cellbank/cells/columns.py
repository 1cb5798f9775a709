"""The rows that a recipe chooses from a table, column by column; what is wrong has its place."""

from typing import Any, Final

from cellbank.cells.problems import Problems
from cellbank.cells.recipe import Record
from cellbank.cells.table_rows import Rows, did_you_mean
from cellbank.cells.values import Missing, Spec, convert, shown


class Columns:
    """The chosen rows of the table of one kind of record."""

    def __init__(self, kind: str, record: Record, table: Rows, problems: Problems) -> None:
        self.kind = kind
        self.table = table
        self.problems = problems
        self._record = record
        self.chosen = self._choose()

    def __len__(self) -> int:
        return len(self.chosen)

    def number(self, at: int) -> int:
        """Return the number by which people know a chosen row."""
        return self.table.number(self.chosen[at])

    def _choose(self) -> list[int]:
        rows = self.table.rows
        chosen = range(len(rows))
        tests = []
        for column, value in self._record.where.items():
            at = self.column(column)
            if at is not None:
                tests.append((at, plain(value)))
        return [i for i in chosen if all(plain(rows[i][at]) == value for at, value in tests)]

    def column(self, name: str, rows: Rows | None = None) -> int | None:
        """Return the index of a column; a problem names what is near where there is none."""
        table = rows or self.table
        if name in table.columns:
            return table.columns[name]
        self.problems.error(
            table.place,
            f"there is no column {name!r}, which the recipe names for {self.kind}",
            did_you_mean(name, table.columns, "Name another in the recipe."),
            column=name,
        )
        return None

    def cells(self, name: str) -> list[Any] | None:
        """Return the cells of a column, or None after saying that there is none."""
        at = self.column(name)
        if at is None:
            return None
        return [self.table.rows[index][at] for index in self.chosen]

    def error(self, at: int, column: str, what: str, advice: str) -> None:
        """Add a problem with a cell of a chosen row."""
        self.problems.error(
            self.table.place,
            what,
            advice,
            row=self.number(at),
            column=column,
        )

    def cell(self, at: int, column: str, cell: Any, spec: Spec) -> Any:
        """Return the value of a cell; what is wrong with it becomes a problem."""
        try:
            value = convert(cell, spec)
        except Missing:
            self._missing(at, column, cell, spec)
            return nothing(spec)
        except ValueError as error:
            self.error(
                at, column, str(error), f"Mend the cell, or the type of {spec.name} in the recipe."
            )
            return nothing(spec)
        if (value is None or value == []) and not spec.nullable:
            self.error(
                at,
                column,
                f"{spec.name} is empty",
                "Fill it in, or say `nullable: true` in the recipe.",
            )
        return value

    def _missing(self, at: int, column: str, cell: Any, spec: Spec) -> None:
        tell = self.problems.warn if spec.nullable else self.problems.error
        tell(
            self.table.place,
            f"{shown(cell)} stands where nothing is known",
            "Leave the cell empty." if spec.nullable else f"Fill in {spec.name}.",
            row=self.number(at),
            column=column,
        )


def nothing(spec: Spec) -> Any:
    """Return what stands where a cell is empty."""
    return [] if spec.is_list else None


_KEY: Final = Spec("", "string")


def text_of(cell: Any) -> str | None:
    """Return a key as text, or None for an empty cell."""
    if cell.__class__ is str:
        return cell.strip() or None
    try:
        value = convert(cell, _KEY)
    except (ValueError, Missing):
        return None
    return str(value) if value is not None else None


def plain(value: Any) -> str:
    """Return a value as it is compared: `true` in YAML and `True` in a table are the same."""
    return str(value).strip().lower() if isinstance(value, bool) else str(text_of(value))
