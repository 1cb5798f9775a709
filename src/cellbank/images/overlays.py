"""Segmentations drawn over a picture: each label in a colour of its own, outlined and tinted."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cellbank.images.colours import Color, parse_color
from cellbank.images.compose import Picture, composite
from cellbank.model.errors import BadInput

_BLOCK: Final = 1 << 17
_GOLDEN: Final = 0x9E3779B97F4A7C15
"""2^64 divided by the golden ratio: multiples of it spread evenly."""


def outlines(labels: ArrayLike) -> NDArray[np.bool_]:
    """Return where the outlines of labels are.

    Parameters
    ----------
    labels
        (Y, X), whole numbers; 0 is the background.

    Returns
    -------
    NDArray[np.bool_]
        (Y, X), true for the pixels of a label that have a pixel of another label, or of the
        background, above, below, left or right of them.

    Raises
    ------
    BadInput
        These are no labels, or they have other axes.

    Examples
    --------
    >>> import numpy as np
    >>> from cellbank.images import outlines
    >>> outlines(np.array([[3, 3, 3, 0, 0]])).astype(int).tolist()
    [[0, 0, 1, 0, 0]]
    """
    array = _labels(labels)
    if array.ndim != 2:
        raise BadInput(
            f"outlines are drawn in a plane, these labels have the shape {array.shape}",
            "Take one plane: labels[z].",
        )
    edges = np.zeros(array.shape, bool)
    for plane, found in ((array, edges), (array.T, edges.T)):
        differ = plane[1:] != plane[:-1]
        found[1:] |= differ
        found[:-1] |= differ
    edges &= array != 0
    return edges


def label_colors(labels: ArrayLike) -> Picture:
    """Return a bright colour for each label; it depends on nothing but the number.

    Parameters
    ----------
    labels
        Any shape, whole numbers.

    Returns
    -------
    Picture
        The same shape with an axis of red, green and blue, uint8. 0 is black. The hues of numbers
        that follow each other are far apart.

    Raises
    ------
    BadInput
        These are no labels.
    """
    array = _labels(labels)
    # Negative ones count as large: this wraps and never overflows.
    numbers = array.astype(np.int64 if array.dtype.kind == "i" else np.uint64).view(np.uint64)
    spread = numbers * np.uint64(_GOLDEN)
    hue = (spread >> np.uint64(40)).astype(np.float32) / np.float32(1 << 24) * 6
    # Other digits decide how pale it is, so that labels of near hues differ still.
    pale = (spread >> np.uint64(20) & np.uint64(0xFF)).astype(np.float32) / 255 * np.float32(0.45)
    out = np.empty((*array.shape, 3), np.uint8)
    for part, turn in enumerate((0, 4, 2)):
        full = np.clip(np.abs((hue + turn) % 6 - 3) - 1, 0, 1)
        out[..., part] = 255 * (full + (1 - full) * pale) + np.float32(0.5)
    out[array == 0] = 0
    return out


def overlay(
    picture: ArrayLike,
    labels: ArrayLike,
    *,
    colors: Mapping[int, Color] | Color | None = None,
    outline: bool = True,
    tint: float = 0.25,
) -> Picture:
    """Draw labels over a picture.

    Parameters
    ----------
    picture
        (Y, X, 3) uint8, or grey (Y, X); a grey one that is not uint8 is stretched first, as
        `composite` does it.
    labels
        (Y, X), whole numbers; 0 is the background. Of (Z, Y, X) the highest number along Z is
        drawn, as the walk-through does: where cells lie above each other, one hides the other.
        To be exact, draw plane by plane.
    colors
        One for all labels, or one for each number; numbers without one, and all by default, have
        the colour of `label_colors`.
    outline
        Draw the outlines.
    tint
        How much of its colour a label's inside takes: 0 is nothing, 1 hides the picture.

    Returns
    -------
    Picture
        (Y, X, 3) uint8; what was given is not changed.

    Raises
    ------
    BadInput
        Sizes that differ, no labels, no picture, or a tint that is not from 0 to 1.

    Examples
    --------
    >>> import numpy as np
    >>> from cellbank.images import overlay
    >>> grey = np.full((1, 4), 100, np.uint8)
    >>> overlay(grey, np.array([[5, 5, 0, 0]]), colors="red", tint=0.5).tolist()
    [[[178, 50, 50], [255, 0, 0], [100, 100, 100], [100, 100, 100]]]
    """
    array = _labels(labels)
    if array.ndim == 3:
        array = array.max(axis=0)
    out = _picture(picture)
    if array.shape != out.shape[:2]:
        raise BadInput(
            f"labels of the shape {array.shape} do not fit a picture of {out.shape[:2]}",
            "Give labels of the same height and width.",
        )
    if not 0 <= tint <= 1:
        raise BadInput(f"a tint of {tint:g}", "Give a number from 0 to 1.")
    edges = outlines(array) if outline else np.zeros(array.shape, bool)
    color_of = _chooser(colors)
    step = max(1, _BLOCK // max(array.shape[1], 1))
    for start in range(0, len(array), step):
        rows = slice(start, start + step)
        _draw(out[rows], array[rows], edges[rows], color_of, tint)
    return out


def _draw(
    out: Picture,
    labels: NDArray[Any],
    edges: NDArray[np.bool_],
    color_of: Callable[[NDArray[Any]], Picture],
    tint: float,
) -> None:
    inside = labels != 0
    colors = color_of(labels[inside]).astype(np.float64)
    share = np.where(edges[inside], 1.0, tint)[:, np.newaxis]
    out[inside] = out[inside] * (1 - share) + colors * share + 0.5


def _chooser(colors: Any) -> Callable[[NDArray[Any]], Picture]:
    """Return what gives a colour to each of many labels."""
    if colors is None:
        return label_colors
    if not isinstance(colors, Mapping):
        one = _bytes(colors)
        return lambda labels: np.broadcast_to(one, (*labels.shape, 3))
    table = {int(label): _bytes(color) for label, color in colors.items()}

    def chosen(labels: NDArray[Any]) -> Picture:
        found = label_colors(labels)
        present, which = np.unique(labels, return_inverse=True)
        for number, label in enumerate(present.tolist()):
            if label in table:
                found[which == number] = table[label]
        return found

    return chosen


def _bytes(color: Color) -> NDArray[np.uint8]:
    return np.array([int(part * 255 + 0.5) for part in parse_color(color)], np.uint8)


def _labels(labels: ArrayLike) -> NDArray[Any]:
    array = np.asarray(labels)
    if array.dtype.kind not in "biu" or array.ndim > 3:
        raise BadInput(
            f"labels are whole numbers in a plane, these are {array.dtype} {array.shape}",
            "Give an array (Y, X) such as uint16.",
        )
    return array.view(np.uint8) if array.dtype.kind == "b" else array


def _picture(picture: ArrayLike) -> Picture:
    """Return a picture of our own, in colours."""
    array = np.asarray(picture)
    if array.ndim == 2:
        grey = array if array.dtype == np.uint8 else composite([array], ["white"])[..., 0]
        return np.repeat(grey[..., np.newaxis], 3, axis=2)
    if array.ndim != 3 or array.shape[2] != 3 or array.dtype != np.uint8:
        raise BadInput(
            f"no picture: {array.dtype} of the shape {array.shape}",
            "Make one of planes: composite(planes).",
        )
    return array.copy()
