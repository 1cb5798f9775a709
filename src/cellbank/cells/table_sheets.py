"""Tables in workbooks (.xlsx), through openpyxl: what the cells show, not the formulas."""

import warnings
from datetime import datetime, time
from typing import Any, Final

from cellbank.cells.problems import Problems
from cellbank.cells.table_rows import (
    Rows,
    columns_of,
    did_you_mean,
    numbered,
    warn_empty,
    warn_nameless,
)

_ERRORS: Final = frozenset(
    ["#NULL!", "#DIV/0!", "#VALUE!", "#REF!", "#NAME?", "#NUM!", "#N/A", "#GETTING_DATA", "#SPILL!"]
)
_MIDNIGHT: Final = time()

Grid = list[tuple[Any, ...]]


def read_sheet(path: str, place: str, sheet: str, problems: Problems) -> Rows | None:
    """Return the rows of a sheet, by default the first, or None after an error."""
    with warnings.catch_warnings():
        # Styles and validations that openpyxl does not know are nothing to us.
        warnings.simplefilter("ignore")
        try:
            grid = _grid(path, sheet, values=True)
            formulas = _unknown_formulas(path, sheet, grid)
        except KeyError as error:
            names = list(error.args[0]) if isinstance(error.args[0], tuple) else []
            problems.error(
                place,
                f"has no sheet {sheet!r}",
                did_you_mean(sheet, names, "Look at its sheets."),
            )
            return None
        except ModuleNotFoundError:
            raise
        except Exception as error:  # noqa: BLE001  any of a dozen: of zip, of XML, of openpyxl
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            problems.error(
                place,
                f"cannot be read as a workbook: {reason}",
                "Save it as .xlsx, not as .xls and without a password.",
            )
            return None
    return _rows(grid, formulas, place, problems)


def _grid(path: str, sheet: str, *, values: bool) -> Grid:
    """Return all cells; a sheet that is not there is a KeyError with the names of all."""
    import openpyxl

    with open(path, "rb") as file:  # noqa: PTH123  openpyxl goes by the name's end, not by content
        book = openpyxl.load_workbook(file, read_only=True, data_only=values)
        try:
            names = tuple(page.title for page in book.worksheets)
            if not names or (sheet and sheet not in names):
                raise KeyError(names)
            page = book[sheet or names[0]]
            # What some programs write here is wrong, and rows would be missing.
            page.reset_dimensions()
            return list(page.iter_rows(values_only=True))
        finally:
            book.close()


def _unknown_formulas(path: str, sheet: str, grid: Grid) -> list[tuple[int, int]]:
    """Return the places of formulas that no program has worked out: they would look empty."""
    if not any(None in row for row in grid):
        return []
    return [
        (y, x)
        for y, row in enumerate(_grid(path, sheet, values=False))
        for x, cell in enumerate(row)
        if isinstance(cell, str)
        and cell.startswith("=")
        and (y >= len(grid) or x >= len(grid[y]) or grid[y][x] is None)
    ]


def _rows(
    grid: Grid, formulas: list[tuple[int, int]], place: str, problems: Problems
) -> Rows | None:
    top = next((y for y, row in enumerate(grid) if any(_is_there(v) for v in row)), None)
    if top is None:
        problems.error(place, "is empty", "It needs at least a row with the names of its columns.")
        return None
    names = ["" if value is None else str(value).strip() for value in grid[top]]
    found: Grid = []
    numbers: list[int] = []
    width = max((len(row) for row in grid), default=0)
    names += [""] * (width - len(names))
    for y, row in enumerate(grid[top + 1 :], top + 1):
        if any(_is_there(value) for value in row):
            full = (*row, *[None] * (width - len(row)))
            found.append(
                tuple(_value(v, y + 1, names[x], place, problems) for x, v in enumerate(full))
            )
            numbers.append(y + 1)
    for y, x in formulas:
        problems.error(
            place,
            "has a formula whose value is not in the file",
            "Open the workbook in a spreadsheet program and save it.",
            row=y + 1,
            column=names[x] if x < width else "",
        )
    if not found:
        warn_empty(place, problems)
    warn_nameless(place, names, found, top + 1, problems)
    made = numbered(place, columns_of(place, names, top + 1, problems), found, numbers)
    if not numbers:
        made.first = top + 2
    return made


def _is_there(value: Any) -> bool:
    return value is not None and value != ""


def _value(value: Any, row: int, column: str, place: str, problems: Problems) -> Any:
    if isinstance(value, datetime):
        return value.date() if value.time() == _MIDNIGHT else value
    if isinstance(value, str) and value in _ERRORS:
        problems.error(place, f"has the error {value}", "Mend the formula.", row=row, column=column)
        return None
    return value


def sheet_names(path: str) -> list[str]:
    """Return the names of the sheets of a workbook, none if it cannot be read."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            _grid(path, "\0", values=True)
        except KeyError as error:
            return list(error.args[0])
        except Exception:  # noqa: BLE001  whoever reads it tells what is wrong
            return []
    return []
