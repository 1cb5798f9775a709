"""Reading a selection of an image into one array: no more planes, rows and columns than asked."""

import itertools
import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from cellbank.images.pixels import UNNAMED, Pixels, allocated, too_large
from cellbank.images.selecting import Axis, Selection
from cellbank.model.errors import AxisNotFound

_ALL: Final = slice(None)


def read_selection(pixels: Pixels, selection: Selection, level: int = 0) -> NDArray[Any]:
    """Return what is selected, in the order of the file's axes, without those that are dropped."""
    axes = selection.all
    shape = [len(axis.places) for axis in axes]
    kept = [len(axis.places) for axis in axes if axis.kept]
    if 0 in shape:
        return np.empty(kept, pixels.dtype)
    numbers = plane_numbers(pixels, selection.leading)
    rows, inner_rows = region(selection.y)
    columns, inner_columns = region(selection.x)
    inner = (inner_rows, inner_columns)
    whole = inner_rows == inner_columns == _ALL and (
        selection.samples is None or selection.samples_whole(pixels.header.shape)
    )
    if len(numbers) == 1 and whole:
        found = pixels.plane(numbers[0], rows, columns, level)
    elif len(numbers) == 1 or not whole:
        planes = pixels.planes(numbers, rows, columns, level)
        found = _gathered(planes, shape, len(selection.leading), pixels, selection, inner)
    else:
        shape_read = (len(numbers), *pixels.sample_shape(rows, columns))
        found = allocated(shape_read, pixels.dtype, pixels.name)
        pixels.fill(found, numbers, rows, columns, level)
    return found.reshape(kept)


def _gathered(
    planes: Any,
    shape: list[int],
    leading: int,
    pixels: Pixels,
    selection: Selection,
    inner: tuple[Any, Any],
) -> NDArray[Any]:
    """Put planes together of which only some rows, columns or samples are wanted."""
    samples = None if selection.samples is None else list(selection.samples.places)
    first = _wanted(next(planes), inner, samples, pixels)
    count = math.prod(shape[:leading])
    if count == 1:
        return np.ascontiguousarray(first)
    found = allocated((count, *first.shape), pixels.dtype, pixels.name)
    found[0] = first
    for number, plane in enumerate(planes, 1):
        found[number] = _wanted(plane, inner, samples, pixels)
    return found


def _wanted(
    plane: NDArray[Any], inner: tuple[Any, Any], samples: list[int] | None, pixels: Pixels
) -> NDArray[Any]:
    try:
        found: NDArray[Any] = plane[inner[0]][:, inner[1]]
    except MemoryError:
        raise too_large(pixels.name, len(inner[0]) * len(inner[1]) * plane.itemsize) from None
    return found if samples is None else found[..., samples]


def plane_numbers(pixels: Pixels, leading: tuple[Axis, ...]) -> list[int]:
    """Return the numbers of planes, in the order of the leading axes."""
    sizes = pixels.header.shape[: len(leading)]
    number = 0
    for axis, size in zip(leading, sizes, strict=True):
        if len(axis.places) != 1:
            break
        number = number * size + axis.places[0]
    else:
        return [number]
    steps = [math.prod(sizes[n + 1 :]) for n in range(len(sizes))]
    return [
        sum(place * step for place, step in zip(places, steps, strict=True))
        for places in itertools.product(*(axis.places for axis in leading))
    ]


def region(axis: Axis) -> tuple[slice, slice | list[int]]:
    """Return the smallest run that has all places, and where in it they are."""
    places = axis.places
    if isinstance(places, range) and places.step == 1:
        return slice(places.start, places.stop), slice(None)
    first, last = min(places), max(places)
    run = slice(first, last + 1)
    if list(places) == list(range(first, last + 1)):
        return run, slice(None)
    return run, [place - first for place in places]


def arranged(array: NDArray[Any], axes: str, wanted: str, where: str) -> NDArray[Any]:
    """Return an array with its axes in another order; an axis that it lacks gets the length 1."""
    lacking = [axis for axis in axes if axis not in wanted]
    if lacking or len(set(wanted)) < len(wanted) or set(wanted) - set(f"TCZYXS{UNNAMED}"):
        reason = f"the axes {axes} cannot become {wanted!r}"
        advice = f"Choose one place of {lacking[0]}, or name it." if lacking else ""
        raise AxisNotFound(where, lacking[0] if lacking else wanted, reason, advice)
    ordered = array.transpose([axes.index(axis) for axis in wanted if axis in axes])
    return ordered[tuple(slice(None) if axis in axes else None for axis in wanted)]
