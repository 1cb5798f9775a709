"""Label images compared: which cells have nuclei, and whether these lie inside their cells."""

from collections import Counter
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from cellbank.images.header import Header, read_header
from cellbank.images.planes import read_planes
from cellbank.images.source import Source, name_of
from cellbank.model.errors import BadImage

MAX_LABELS: Final = 1 << 20
_COUNTED: Final = 1 << 16


class LabelFacts(msgspec.Struct, frozen=True):
    """What was found in label images of the same cells. 0 is the background and no label."""

    cells: tuple[int, ...]
    """Labels of the cells, sorted."""
    nuclei: tuple[int, ...]
    without_nucleus: tuple[int, ...]
    """Labels of cells that no nucleus has."""
    without_cell: tuple[int, ...]
    """Labels of nuclei that no cell has."""
    outside: dict[int, int]
    """For each nucleus, how many of its voxels do not lie in its own cell."""
    voxels: dict[int, int] = {}
    """For each nucleus, how many voxels it has."""
    structure_values: tuple[int, ...] = ()
    """The first values of the structure but 0, three at most: one where it is binary."""


def compare_labels(cell: Source, nuclei: Source, structure: Source | None = None) -> LabelFacts:
    """Compare label images of the same field of view, plane by plane.

    Parameters
    ----------
    cell
        Label image of the cells.
    nuclei
        Label image of the same shape; the nucleus of a cell has the cell's label.
    structure
        A mask of the same shape.

    Returns
    -------
    LabelFacts
        Whose labels are where.

    Raises
    ------
    BadImage
        One is damaged, is not of whole numbers, or has another shape.
    """
    first = _header(cell)
    for other in (nuclei, structure):
        if other is not None:
            _same_shape(cell, first, other, _header(other))
    cells: set[int] = set()
    found: Counter[int] = Counter()
    outside: Counter[int] = Counter()
    for cell_plane, nucleus_plane in zip(read_planes(cell), read_planes(nuclei), strict=True):
        cells |= _count(cell_plane, cell).keys()
        found.update(_count(nucleus_plane, nuclei))
        if max(len(cells), len(found)) > MAX_LABELS:
            raise BadImage(name_of(cell), f"more than {MAX_LABELS} labels: this is no label image")
        strays = nucleus_plane[nucleus_plane != cell_plane]
        outside.update(_count(strays, nuclei))
    return LabelFacts(
        cells=tuple(sorted(cells)),
        nuclei=tuple(sorted(found)),
        without_nucleus=tuple(sorted(cells - found.keys())),
        without_cell=tuple(sorted(found.keys() - cells)),
        outside={label: outside[label] for label in sorted(found)},
        voxels={label: found[label] for label in sorted(found)},
        structure_values=() if structure is None else _values(structure),
    )


def _header(source: Source) -> Header:
    header = read_header(source)
    if np.dtype(header.dtype).kind not in "biu":
        raise BadImage(
            name_of(source),
            f"labels are whole numbers, these are {header.dtype}",
            "Save it as uint16 or uint32.",
        )
    return header


def _same_shape(cell: Source, first: Header, other: Source, header: Header) -> None:
    # An axis of length 1 is left out by some.
    ours, theirs = ((*(n for n in h.shape[:-2] if n > 1), *h.shape[-2:]) for h in (first, header))
    if ours != theirs:
        raise BadImage(
            name_of(other),
            f"it is {header.axes} {header.shape}, {name_of(cell)} is {first.axes} {first.shape}",
        )


def _count(plane: NDArray[Any], source: Source) -> Counter[int]:
    """Return how many pixels each label has. Counting is faster than sorting if they are small."""
    flat = plane.ravel()
    if flat.size and flat.dtype.kind != "b" and flat.min() >= 0 and flat.max() < _COUNTED:
        counts = np.bincount(flat.astype(np.intp, copy=False))
        labels = np.flatnonzero(counts)
        counts = counts[labels]
    else:
        labels, counts = np.unique(flat, return_counts=True)
    if len(labels) > MAX_LABELS:
        reason = f"more than {MAX_LABELS} labels: this is no label image"
        raise BadImage(name_of(source), reason)
    found = Counter(dict(zip(map(int, labels.tolist()), counts.tolist(), strict=True)))
    del found[0]
    return found


def _values(structure: Source) -> tuple[int, ...]:
    found: set[int] = set()
    for plane in read_planes(structure):
        found |= set(sorted(_count(plane, structure).keys() - found)[: 3 - len(found)])
        if len(found) == 3:
            break
    return tuple(sorted(found))
