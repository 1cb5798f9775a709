"""Where labels lie: the box of each, found by one pass over the planes."""

from collections.abc import Iterable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

_TABLE: Final = 1 << 24
"""A table of so many labels × rows is small; of more, labels are numbered anew first."""

Box = tuple[slice, ...]
"""A slice along Z, Y and X."""


def label_boxes(planes: Iterable[NDArray[Any]]) -> dict[int, Box]:
    """Return the smallest box around each label.

    Parameters
    ----------
    planes
        (Y, X) each, from the first to the last; whole numbers, 0 is the background. No plane is
        kept.

    Returns
    -------
    dict[int, Box]
        By label, sorted.

    Examples
    --------
    >>> import numpy as np
    >>> label_boxes([np.array([[0, 7, 7]]), np.array([[0, 0, 7]])])
    {7: (slice(0, 2, None), slice(0, 1, None), slice(1, 3, None))}
    """
    found: dict[int, list[int]] = {}
    for z, plane in enumerate(planes):
        for label, edges in _plane_boxes(plane).items():
            known = found.setdefault(label, [z, z + 1, *edges])
            known[1] = z + 1
            known[2], known[4] = min(known[2], edges[0]), min(known[4], edges[2])
            known[3], known[5] = max(known[3], edges[1]), max(known[5], edges[3])
    return {
        label: (slice(z0, z1), slice(y0, y1), slice(x0, x1))
        for label, (z0, z1, y0, y1, x0, x1) in sorted(found.items())
    }


def _plane_boxes(plane: NDArray[Any]) -> dict[int, tuple[int, int, int, int]]:
    """Return first row, end of rows, first column, end of columns of each label in a plane."""
    height, width = plane.shape
    rows = np.flatnonzero(plane.any(axis=1))
    columns = np.flatnonzero(plane.any(axis=0))
    if not len(rows):
        return {}
    top, left = int(rows[0]), int(columns[0])
    part = plane[top : int(rows[-1]) + 1, left : int(columns[-1]) + 1]
    highest = int(part.max())
    if (part.dtype.kind == "u" or int(part.min()) >= 0) and (highest + 1) * max(
        height, width
    ) <= _TABLE:
        names = range(highest + 1)
        numbers = part.astype(np.intp)
    else:
        labels, numbers = np.unique(part, return_inverse=True)
        names, numbers = labels.tolist(), numbers.reshape(part.shape)
    in_rows = _seen(numbers, np.arange(part.shape[0])[:, np.newaxis], len(names), part.shape[0])
    in_columns = _seen(numbers, np.arange(part.shape[1]), len(names), part.shape[1])
    return {
        names[number]: (
            top + int(in_rows[number].argmax()),
            top + part.shape[0] - int(in_rows[number, ::-1].argmax()),
            left + int(in_columns[number].argmax()),
            left + part.shape[1] - int(in_columns[number, ::-1].argmax()),
        )
        for number in np.flatnonzero(in_rows.any(axis=1)).tolist()
        if names[number] != 0
    }


def _seen(numbers: NDArray[Any], place: NDArray[Any], labels: int, size: int) -> NDArray[np.bool_]:
    """Return a table: which label is in which row, or column."""
    table = np.zeros(labels * size, bool)
    table[numbers * size + place] = True
    return table.reshape(labels, size)
