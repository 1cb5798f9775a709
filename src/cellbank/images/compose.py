"""Planes of pixels become one picture in colours, by one rule that every viewer here follows.

Each plane is stretched to 0…1 between its limits, times its colour; the planes are added; what is
above 1 is 1; the byte is that times 255, rounded. A plane whose limits are equal adds nothing, nor
does NaN.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cellbank.images.colours import Color, channel_colors, parse_color
from cellbank.images.limits import Limits, auto_limits, extremes, numbers, plain
from cellbank.model.errors import BadInput

Picture = NDArray[np.uint8]
"""(Y, X, 3): red, green and blue."""

_BLOCK: Final = 1 << 17
"""So many pixels are worked on at a time."""

T = TypeVar("T")


def composite(
    planes: Mapping[str, ArrayLike] | Sequence[ArrayLike] | NDArray[Any],
    colors: Mapping[str, Color] | Sequence[Color | None] | str | None = None,
    limits: Mapping[str, Limits] | Sequence[Limits | None] | Limits | str | None = None,
) -> Picture:
    """Put planes into one picture, each in its colour.

    Parameters
    ----------
    planes
        (Y, X) each: a mapping by channel name, a sequence, or one array (C, Y, X) or (Y, X). Any
        numbers; they are not changed. Of complex numbers the magnitude is shown.
    colors
        One a plane, in order or by name. Default: what the dye is known for, else colours that
        most people can tell apart.
    limits
        What is black and what is white: one pair for all planes, one a plane in order, or by name.
        White below black inverts. Default, and `"auto"`: `auto_limits` of each plane.

    Returns
    -------
    Picture
        (Y, X, 3) uint8.

    Raises
    ------
    BadInput
        No plane, shapes that differ, as many colours or limits as there are no planes, names that
        no plane has, or limits that are no numbers.

    Examples
    --------
    >>> import numpy as np
    >>> from cellbank.images import composite
    >>> dna = np.array([[0, 50, 100]])
    >>> membrane = np.array([[7, 7, 7]])
    >>> composite({"DAPI": dna, "CMDRP": membrane}, limits=(0, 100)).tolist()
    [[[18, 0, 18], [18, 0, 145], [18, 0, 255]]]
    """
    names, arrays = _planes(planes)
    given = _one_each(colors, names, len(arrays), "colours", lambda found: isinstance(found, str))
    shown = channel_colors(names or [None] * len(arrays), given)
    windows = _windows(limits, names, len(arrays))
    return _compose(arrays, [parse_color(color) for color in shown], windows, auto_limits)


def rgb(
    red: ArrayLike | None = None,
    green: ArrayLike | None = None,
    blue: ArrayLike | None = None,
    limits: Mapping[str, Limits] | Sequence[Limits | None] | Limits | str | None = None,
) -> Picture:
    """Put up to three planes into one picture: one red, one green, one blue.

    Parameters
    ----------
    red
        (Y, X), any numbers; it is not changed.
    green
        The same.
    blue
        The same.
    limits
        What is black and what is white: one pair for all, three in order, or by `"red"`,
        `"green"`, `"blue"`. Default: a plane's darkest and its brightest pixel; `"auto"`: what
        `auto_limits` finds.

    Returns
    -------
    Picture
        (Y, X, 3) uint8.

    Raises
    ------
    BadInput
        No plane, shapes that differ, or limits that do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from cellbank.images import rgb
    >>> rgb(red=np.array([[0, 4095]]), blue=np.array([[9, 9]])).tolist()
    [[[0, 0, 0], [255, 0, 0]]]
    """
    given = {"red": red, "green": green, "blue": blue}
    windows = _windows(limits, list(given), 3)
    choose = auto_limits if isinstance(limits, str) else extremes
    used = [number for number, plane in enumerate(given.values()) if plane is not None]
    arrays = [_plane(plane) for plane in given.values() if plane is not None]
    if not arrays:
        raise BadInput("no plane to show", "Give at least one of red, green and blue.")
    axes = [tuple(float(place == number) for place in range(3)) for number in used]
    return _compose(arrays, axes, [windows[number] for number in used], choose)


def _planes(planes: Any) -> tuple[list[str] | None, list[NDArray[Any]]]:
    names = None
    if isinstance(planes, Mapping):
        names, planes = [str(name) for name in planes], list(planes.values())
    elif not isinstance(planes, (list, tuple)):
        planes = np.asarray(planes)
        if planes.ndim == 2:
            planes = planes[np.newaxis]
    if not len(planes):
        raise BadInput("no plane to show", "Give at least one.")
    return names, [_plane(plane) for plane in planes]


def _plane(plane: ArrayLike) -> NDArray[Any]:
    found = numbers(plane)
    if found.ndim != 2:
        raise BadInput(
            f"a plane has the axes Y and X, this has the shape {found.shape}",
            "Take one plane, or fold the others: array.max(axis=0).",
        )
    return found


def _windows(limits: Any, names: list[str] | None, count: int) -> list[Any]:
    """Return limits for each plane; None where they are to be found."""
    if isinstance(limits, str) and limits == "auto":
        return [None] * count
    if limits is not None and (isinstance(limits, str) or not hasattr(limits, "__len__")):
        advice = "Give two numbers, black and white, or 'auto'."
        raise BadInput(f"{limits!r:.60} are no limits", advice)
    return _one_each(limits, names, count, "limits", is_pair)


def is_pair(limits: Any) -> bool:
    """Whether limits are two numbers, and so those of all planes."""
    return len(limits) == 2 and all(np.ndim(limit) == 0 and limit is not None for limit in limits)


def _one_each(
    given: Any,
    names: list[str] | None,
    count: int,
    what: str,
    is_one: Callable[[Any], bool],
) -> list[Any]:
    """Return what is given for each plane, None where nothing is."""
    if given is None:
        return [None] * count
    if isinstance(given, Mapping):
        return _by_name(given, names or [], what)
    if is_one(given):
        return [given] * count
    if len(given) != count:
        raise BadInput(f"{len(given)} {what} for {count} planes", "Give one a plane, or None.")
    return list(given)


def _by_name(given: Mapping[str, T], names: list[str], what: str) -> list[T | None]:
    for name in given:
        if name not in names:
            near = get_close_matches(str(name), names, 2)
            advice = f"Did you mean {' or '.join(near)}?" if near else ""
            known = f"There are: {', '.join(names)}." if names else "The planes have no names."
            raise BadInput(f"{what} for {name!r}, which is no plane", advice or known)
    return [given.get(name) for name in names]


def _compose(
    arrays: list[NDArray[Any]],
    colors: Sequence[tuple[float, ...]],
    windows: Sequence[Any],
    choose: Callable[[NDArray[Any]], Limits],
) -> Picture:
    height, width = arrays[0].shape
    for array in arrays:
        if array.shape != (height, width):
            raise BadInput(
                f"planes of the shapes {arrays[0].shape} and {array.shape} do not fit",
                "Give planes of one image and one size.",
            )
    levels = [
        _stretcher(array.dtype, choose(array) if window is None else _limits(window))
        for array, window in zip(arrays, windows, strict=True)
    ]
    out = np.empty((height, width, 3), np.uint8)
    for rows in _row_blocks(height, width):
        total = np.zeros((3, *out[rows].shape[:2]))
        for array, level, color in zip(arrays, levels, colors, strict=True):
            stretched = level(array[rows])
            for part, share in enumerate(color):
                if share:
                    total[part] += stretched if share == 1 else share * stretched
        np.minimum(total, 1, out=total)
        total *= 255
        total += 0.5
        # The cast cuts off, which is to round down here.
        out[rows] = np.moveaxis(total, 0, -1)
    return out


def _row_blocks(height: int, width: int) -> Iterator[slice]:
    step = max(1, _BLOCK // max(width, 1))
    for start in range(0, height, step):
        yield slice(start, min(start + step, height))


def _limits(given: Any) -> Limits:
    try:
        low, high = (limit.item() if isinstance(limit, np.generic) else limit for limit in given)
        finite = math.isfinite(low) and math.isfinite(high)
    except (TypeError, ValueError, OverflowError):
        finite = False
    if not finite:
        advice = "Give two numbers: black and white."
        raise BadInput(f"{given!r:.60} are no limits", advice)
    return low, high


def _stretcher(dtype: np.dtype[Any], limits: Limits) -> Callable[[NDArray[Any]], NDArray[Any]]:
    """Return what makes values of a type 0…1 between the limits."""
    low, high = limits
    if low == high:
        return lambda block: np.zeros(block.shape)
    if dtype.kind in "iu" and dtype.itemsize <= 2:
        return _table(dtype, low, high)
    if dtype.kind in "iu" and isinstance(low, int) and isinstance(high, int) and low < high:
        kind = np.iinfo(dtype)
        if kind.min <= low and high <= kind.max:
            return lambda block: _stretched_exactly(block, low, high)
    return lambda block: _stretched(plain(block), low, high)


def _table(dtype: np.dtype[Any], low: float, high: float) -> Callable[[NDArray[Any]], NDArray[Any]]:
    """Return what looks values of a small type up: each is stretched once."""
    kind = np.iinfo(dtype)
    levels = _stretched(np.arange(kind.min, kind.max + 1, dtype=np.float64), low, high)
    # A negative value counts from the end.
    levels = np.roll(levels, kind.min)
    return lambda block: levels[block]


def _stretched(values: NDArray[Any], low: float, high: float) -> NDArray[np.float64]:
    low, high = float(low), float(high)
    # Infinities are black or white, NaN is black, also one that wants to be signalled.
    with np.errstate(over="ignore", invalid="ignore"):
        values = values.astype(np.float64, copy=False)
        if math.isinf(high - low):
            values, low, high = values / 2, low / 2, high / 2
        values = (values - low) / (high - low)
    return np.fmin(np.fmax(values, 0), 1)


def _stretched_exactly(block: NDArray[Any], low: int, high: int) -> NDArray[np.float64]:
    """Stretch whole numbers that a float may not hold: the difference is taken first."""
    native = block.astype(block.dtype.newbyteorder("="), copy=False).clip(low, high)
    bits = 8 * native.dtype.itemsize
    unsigned = native.view(f"u{native.dtype.itemsize}")
    # A difference of signed numbers may be too large for them, as an unsigned one it is right.
    difference = unsigned - unsigned.dtype.type(low % (1 << bits))
    levels: NDArray[np.float64] = difference.astype(np.float64) / float(high - low)
    return levels
