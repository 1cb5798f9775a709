"""A stack seen from three sides, with pixels as wide as they are high."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cellbank.images.scaling import nearest, stretch
from cellbank.model.errors import BadInput

MAX_SIDE: Final = 4096
"""A side that would be longer makes all pixels larger."""
GAP: Final = 4

Sides = tuple[NDArray[Any], NDArray[Any], NDArray[Any]]
"""XY from above; XZ from the front, Z downwards; YZ from the side, Z to the right."""


def slices(stack: ArrayLike, position: Sequence[int] | None = None) -> Sides:
    """Cut a stack through one point, along each of its axes.

    Parameters
    ----------
    stack
        (Z, Y, X), or (Z, Y, X, S) such as a composite for each Z.
    position
        Z, Y and X of the point; negative numbers count from the end. Default: the middle.

    Returns
    -------
    Sides
        (Y, X), (Z, X) and (Y, Z) of the same type; views, not copies.

    Raises
    ------
    BadInput
        The stack has other axes, or the point lies outside.
    """
    array = _stack(stack)
    at = [length // 2 for length in array.shape[:3]] if position is None else list(position)
    fits = len(at) == 3 and all(-n <= place < n for place, n in zip(at, array.shape, strict=False))
    if not fits:
        raise BadInput(
            f"position {tuple(at)} is not in a stack of {array.shape[:3]}", "Give Z, Y and X."
        )
    z, y, x = at
    return array[z], array[:, y], array[:, :, x].swapaxes(0, 1)


def projections(stack: ArrayLike) -> Sides:
    """Fold a stack to its largest values, along each of its axes.

    Parameters
    ----------
    stack
        (Z, Y, X) or (Z, Y, X, S).

    Returns
    -------
    Sides
        (Y, X), (Z, X) and (Y, Z) of the same type.

    Raises
    ------
    BadInput
        The stack has other axes.
    """
    array = _stack(stack)
    return array.max(axis=0), array.max(axis=1), array.max(axis=2).swapaxes(0, 1)


def isotropic(sides: Sides, voxel: Sequence[float] | None = None, *, labels: bool = False) -> Sides:
    """Stretch the three sides so that a pixel is as wide as it is high, the same in all.

    Parameters
    ----------
    sides
        As `slices` returns them.
    voxel
        Sizes along Z, Y and X in the same unit; only their ratio counts. None: a cube.
    labels
        Take the nearest pixel instead of what lies in between.

    Returns
    -------
    Sides
        The finer of Y and X keeps its pixels, unless a side would have more than `MAX_SIDE`.

    Raises
    ------
    BadInput
        The sizes are not three positive numbers.
    """
    steps = [1.0, 1.0, 1.0] if voxel is None else [float(step) for step in voxel]
    if len(steps) != 3 or not all(0 < step < float("inf") for step in steps):
        raise BadInput(f"{voxel!r:.60} are no sizes of a voxel", "Give those of Z, Y and X.")
    counts = (sides[1].shape[0], *sides[0].shape[:2])
    lengths = [count * step for count, step in zip(counts, steps, strict=True)]
    pixel = max(min(steps[1:]), *(length / MAX_SIDE for length in lengths))
    z, y, x = (max(1, round(length / pixel)) for length in lengths)
    change = nearest if labels else stretch
    xy, xz, yz = sides
    return change(xy, (y, x)), change(xz, (z, x)), change(yz, (y, z))


def joined(sides: Sides, *, gap: int = GAP, fill: int = 0) -> NDArray[Any]:
    """Put the three sides into one picture: XZ below XY, YZ to its right.

    Parameters
    ----------
    sides
        As `isotropic` returns them: edges that touch have the same length.
    gap
        So many pixels are between them.
    fill
        The value of the gaps and of the corner.

    Returns
    -------
    NDArray[Any]
        (Y, X) or (Y, X, S) of the same type.
    """
    xy, xz, yz = sides
    shape = (xy.shape[0] + gap + xz.shape[0], xy.shape[1] + gap + yz.shape[1], *xy.shape[2:])
    out = np.full(shape, fill, xy.dtype)
    out[: xy.shape[0], : xy.shape[1]] = xy
    out[xy.shape[0] + gap :, : xz.shape[1]] = xz
    out[: yz.shape[0], xy.shape[1] + gap :] = yz
    return out


def _stack(stack: ArrayLike) -> NDArray[Any]:
    array = np.asarray(stack)
    if array.ndim not in (3, 4) or not array.size:
        raise BadInput(
            f"a stack has the axes Z, Y and X, this has the shape {array.shape}",
            "Take one channel and one time.",
        )
    return array
