"""Thumbnails: small pictures made of little, however large the image is."""

import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from cellbank.images import compose, overlays
from cellbank.images.image_data import ImageData
from cellbank.images.limits import auto_limits
from cellbank.images.picturing import colors_of, colour_picture, shown_channels
from cellbank.images.scaling import nearest, shrink, stretch
from cellbank.model.errors import BadInput

PLANES: Final = 7
"""So many planes of a stack, evenly spread, make a thumbnail."""
_CHANNELS: Final = 16
"""More of them are no picture."""
_ROWS: Final = 16 << 20
"""Bytes of rows that are read at a time for a thumbnail."""
_ALIGNED: Final = 256
"""Rows are read in multiples of this, which tiles often have."""
_TOGETHER: Final = 1 << 30
"""Bytes of all planes that make a thumbnail."""
_MOST: Final = 1 << 29
"""Bytes of a plane of which a thumbnail is made."""


def thumbnail(image: ImageData, size: Any, *, labels: bool) -> compose.Picture:
    """Return a small picture made of a few planes, or of a smaller version that the file has.

    One channel at a time: what is in memory is a plane or two, however many channels there are.
    """
    if isinstance(size, bool) or not isinstance(size, int | np.integer) or size < 1:
        raise BadInput(f"a thumbnail of {size!r:.60} pixels", "Give a whole number from 1.")
    size = int(size)
    fitting = [n for n, level in enumerate(image.levels) if max(level) >= size]
    level = fitting[-1] if fitting else 0
    plane = _plane_bytes(image, level)
    if plane > _MOST:
        reason = f"a plane has {plane / 1e9:.1f} GB and there is no smaller version"
        advice = "Save it with smaller versions (a pyramid)."
        raise BadInput(f"{image.name}: no thumbnail: {reason}", advice)
    if labels:
        found = _small(image, 0, level, size, PLANES, labels=True)
        height, width = found.shape
        part = min(1.0, size / max(height, width))
        shape = max(1, round(height * part)), max(1, round(width * part))
        return overlays.label_colors(nearest(found, shape))
    channels = shown_channels(image, None)[: min(_CHANNELS, max(1, _TOGETHER // plane))]
    most = min(PLANES, max(1, _TOGETHER // (plane * len(channels))))
    small = [_small(image, channel.index, level, size, most) for channel in channels]
    if "S" in image.axes:
        return shrink(colour_picture(np.moveaxis(small[0], -1, 0), None), size)
    return compose.composite(small, list(colors_of(channels)), (0, 255))


def _plane_bytes(image: ImageData, level: int) -> int:
    shape = image.pixels.sample_shape(*(slice(0, length) for length in image.levels[level]))
    return math.prod(shape) * image.dtype.itemsize


def _small(
    image: ImageData, channel: int, level: int, size: int, most: int, *, labels: bool = False
) -> NDArray[Any]:
    """Return a channel of a few planes: grey, 8 bits and small, unless it is of labels or colours.

    A large plane is read some rows at a time, and made smaller at once.
    """
    height, width = image.levels[level]
    row = _plane_bytes(image, level) // height
    rows = max(_ALIGNED, _ROWS // row // _ALIGNED * _ALIGNED)
    step = 1 if rows >= height else max(1, min(_ALIGNED, max(height, width) // (4 * size)))
    bands = []
    for start in range(0, height, rows):
        band = _few(image, channel, level, most, slice(start, min(start + rows, height)))
        if band.dtype.kind == "c":
            band = np.abs(band)
        if labels or step == 1:
            bands.append(band[::step, ::step])
        else:
            bands.append(stretch(band, (-(-band.shape[0] // step), -(-width // step))))
    found = bands[0] if len(bands) == 1 else np.concatenate(bands)
    if labels or found.ndim == 3:
        return found
    grey = compose.composite([found], ["#ff0000"], [auto_limits(found)])[..., 0]
    return shrink(grey, size)


def _few(image: ImageData, channel: int, level: int, most: int, rows: slice) -> NDArray[Any]:
    """Return rows of a channel: the brightest of a few planes along Z, else one in the middle."""
    header = image.pixels.header
    leading = [axis for axis in header.axes if axis not in "YXS"]
    if not set(leading) - set("TCZ"):
        places = _spread(image.sizes["Z"], most) if "Z" in leading else None
        return image.project(over="Z", level=level, T=0, C=channel, Z=places, Y=rows)
    # Which of them is time, nobody knows; what lies at the ends may be out of focus.
    named, number = {"T": 0, "C": channel}, 0
    for axis in leading:
        length = image.sizes[axis]
        number = number * length + named.get(axis, length // 2)
    columns = slice(0, image.levels[level][1])
    return next(iter(image.pixels.planes([number], rows, columns, level)))


def _spread(count: int, most: int) -> list[int]:
    if count <= most:
        return list(range(count))
    if most == 1:
        return [count // 2]
    return [round(n * (count - 1) / (most - 1)) for n in range(most)]
