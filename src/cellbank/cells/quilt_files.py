"""A folder of quilt3distribute as a plain package: what its table says of each file, as `meta`."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from cellbank.cells.quilt_columns import type_of
from cellbank.cells.quilt_table import ASSOCIATES, Quilt
from cellbank.cells.values import Spec, convert
from cellbank.model.canonical import check_meta
from cellbank.model.errors import NotCanonical

_PLAIN: Final = ("integer", "number", "boolean")


def metas_of(quilt: Quilt) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Return path → what the rows say that name the file, and files of which all is too much.

    A column that says one thing of a file gives that; one that says several, a list of them.
    """
    types = {
        column: type_of(row[column] for row in quilt.rows)
        for column in quilt.columns
        if column not in quilt.files
    }
    rows: dict[str, list[Mapping[str, Any]]] = {}
    for row in quilt.rows:
        for column in quilt.files:
            if row[column]:
                rows.setdefault(row[column], []).append(row)
    metas, cut = {}, []
    for path, mine in rows.items():
        said = {column: _told(mine, column, kind) for column, kind in types.items()}
        meta = {column: value for column, value in said.items() if value not in (None, [])}
        others = {column: _together(row[column] for row in mine) for column in quilt.files}
        meta[ASSOCIATES] = {column: value for column, value in others.items() if value}
        metas[path] = _fitting(meta)
        if metas[path] != meta:
            cut.append(path)
    return metas, cut


def _told(rows: Iterable[Mapping[str, Any]], column: str, kind: str) -> Any:
    values = [row[column] for row in rows if row[column] is not None]
    if kind in _PLAIN:
        values = [convert(value, Spec("", kind)) for value in values]
    else:
        values = [str(value) for value in values]
    return _together(values)


def _together(values: Iterable[Any]) -> Any:
    """Return the one value that all are, or the list of those that there are."""
    found = list(dict.fromkeys(value for value in values if value is not None))
    return found[0] if len(found) == 1 else found


def _fitting(meta: dict[str, Any]) -> dict[str, Any]:
    """Return metadata without their longest lists, if they would be too large for an entry."""
    left = dict(meta)
    while left:
        try:
            check_meta(left, "metadata")
        except NotCanonical:
            del left[max(left, key=lambda name: len(str(left[name])))]
        else:
            break
    return left
