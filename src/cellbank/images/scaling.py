"""Pictures made smaller, so that nothing is lost between the pixels, or stretched."""

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cellbank.model.errors import BadInput

_ROWS: Final = 64


def shrink(picture: ArrayLike, size: int | tuple[int, int]) -> NDArray[Any]:
    """Make a picture fit into a box; each pixel is the mean of the area that it stands for.

    Parameters
    ----------
    picture
        (Y, X) or (Y, X, S), any real numbers.
    size
        The longest side, or the largest height and width, in pixels.

    Returns
    -------
    NDArray[Any]
        The same axes and type, the same ratio of sides; whole numbers are rounded. A picture that
        fits is returned as it is.

    Raises
    ------
    BadInput
        The picture has other axes, no pixels, or the size is not positive.

    Examples
    --------
    >>> import numpy as np
    >>> from cellbank.images.scaling import shrink
    >>> shrink(np.array([[0, 100, 7, 9], [100, 0, 8, 8]]), 2).tolist()
    [[50, 8]]
    """
    array = _picture(picture)
    height, width = array.shape[:2]
    rows, columns = (size, size) if isinstance(size, (int, np.integer)) else size
    _positive((rows, columns))
    factor = min(rows / height, columns / width)
    if factor >= 1:
        return array
    return _averaged(array, max(1, round(height * factor)), max(1, round(width * factor)))


def nearest(labels: ArrayLike, shape: tuple[int, int]) -> NDArray[Any]:
    """Bring a picture to another size; each pixel is one of the old ones, as labels need it.

    Parameters
    ----------
    labels
        (Y, X) or (Y, X, S).
    shape
        The new height and width.

    Returns
    -------
    NDArray[Any]
        The same type.

    Raises
    ------
    BadInput
        The picture has other axes, no pixels, or the shape is not positive.
    """
    array = _picture(labels)
    _positive(shape)
    rows, columns = (
        ((np.arange(new) + 0.5) * old / new).astype(np.intp)
        for new, old in zip(shape, array.shape[:2], strict=True)
    )
    chosen: NDArray[Any] = array[rows[:, np.newaxis], columns]
    return chosen


def stretch(picture: ArrayLike, shape: tuple[int, int]) -> NDArray[Any]:
    """Bring a picture to another size, whatever that does to the ratio of its sides.

    Parameters
    ----------
    picture
        (Y, X) or (Y, X, S), any real numbers.
    shape
        The new height and width.

    Returns
    -------
    NDArray[Any]
        The same type: means of areas along an axis that gets shorter, in between the neighbours
        along one that gets longer.

    Raises
    ------
    BadInput
        The picture has other axes, no pixels, or the shape is not positive.
    """
    array = _picture(picture)
    _positive(shape)
    smaller = [min(new, old) for new, old in zip(shape, array.shape[:2], strict=True)]
    array = _averaged(array, *smaller)
    for axis in (0, 1):
        if shape[axis] > array.shape[axis]:
            array = _between(array, axis, shape[axis])
    return array


def _picture(picture: ArrayLike) -> NDArray[Any]:
    array = np.asarray(picture)
    if array.ndim not in (2, 3) or not array.size or array.dtype.kind not in "biuf":
        raise BadInput(
            f"no picture: {array.dtype} of the shape {array.shape}",
            "Give an array (Y, X) or (Y, X, 3) of numbers.",
        )
    return array


def _positive(shape: tuple[int, int]) -> None:
    if min(shape) < 1:
        raise BadInput(f"{shape[0]} × {shape[1]} is no size", "Give at least one pixel.")


def _averaged(array: NDArray[Any], rows: int, columns: int) -> NDArray[Any]:
    if (rows, columns) == array.shape[:2]:
        return array
    out = np.empty((rows, columns, *array.shape[2:]), array.dtype)
    areas, across = list(_areas(array.shape[0], rows)), list(_areas(array.shape[1], columns))
    # Some rows of the new picture at a time: the old one is never in memory as floats.
    for start in range(0, rows, _ROWS):
        band = areas[start : start + _ROWS]
        lines = np.stack([np.tensordot(weights, array[part], 1) for part, weights in band])
        lines = lines.reshape(*lines.shape[:2], -1)
        means = np.stack([weights @ lines[:, part] for part, weights in across], axis=1)
        means = means.reshape(len(band), *out.shape[1:])
        out[start : start + _ROWS] = _as_type(means, array.dtype)
    return out


def _areas(old: int, new: int) -> Iterator[tuple[slice, NDArray[np.float64]]]:
    """Yield for each new pixel the old ones that it covers, and the weight of each."""
    for number in range(new):
        # In whole numbers: no old pixel comes in with a weight of nothing.
        start, stop = number * old, (number + 1) * old
        first, last = start // new, -(-stop // new)
        edges = np.clip(np.arange(first, last + 1) * new, start, stop)
        yield slice(first, last), np.diff(edges) / old


def _between(array: NDArray[Any], axis: int, length: int) -> NDArray[Any]:
    old = array.shape[axis]
    places = np.clip((np.arange(length) + 0.5) * old / length - 0.5, 0, old - 1)
    before = places.astype(np.intp)
    after = np.minimum(before + 1, old - 1)
    share = (places - before).reshape([-1 if axis == a else 1 for a in range(array.ndim)])
    near, far = array.take(before, axis), array.take(after, axis)
    return _as_type(near * (1 - share) + far * share, array.dtype)


def _as_type(values: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    if dtype.kind == "f":
        return values.astype(dtype)
    if dtype.kind == "b":
        return values >= 0.5
    low, high = (float(limit) for limit in (np.iinfo(dtype).min, np.iinfo(dtype).max))
    # The largest 64-bit number is no float; the next one would be too large.
    high = high if dtype.itemsize < 8 else np.nextafter(high, 0)
    return np.floor(values + 0.5).clip(low, high).astype(dtype)
