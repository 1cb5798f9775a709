"""From an image to a picture: which channels, which planes, in which colours."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from cellbank.images import compose, overlays
from cellbank.images import orthogonal as sides
from cellbank.images.channel import Channel
from cellbank.images.colours import channel_colors, is_transmitted
from cellbank.images.image_data import ImageData
from cellbank.images.limits import Limits, auto_limits
from cellbank.images.pixels import UNNAMED
from cellbank.images.scaling import nearest, shrink, stretch
from cellbank.images.selecting import Choice
from cellbank.model.errors import AxisNotFound, BadInput

PLANES: Final = 7
"""So many planes of a stack, evenly spread, make a thumbnail."""
_CHANNELS: Final = 16
"""More of them are no picture."""
_ROWS: Final = 64 << 20
"""Bytes of rows that are read at a time for a thumbnail."""
_ALIGNED: Final = 256
"""Rows are read in multiples of this, which tiles often have."""
_TOGETHER: Final = 1 << 30
"""Bytes of all planes that make a thumbnail."""
_MOST: Final = 1 << 29
"""Bytes of a plane of which a thumbnail is made."""


def flat(image: ImageData, channels: Sequence[int], Z: Choice, T: int, level: int) -> NDArray[Any]:
    """Return channels as planes, (C, Y, X): the brightest of what is chosen along Z.

    Of an image in colours the samples of its first channel are the planes. Axes without a name are
    folded, too.
    """
    if "S" in image.axes:
        return np.moveaxis(_folded(image, 0, Z, T, level), -1, 0)
    if "C" in image.axes:
        return _folded(image, list(channels), Z, T, level)
    if list(channels) != [0]:
        raise BadInput(f"{image.name} has one channel, not {len(channels)}", "Ask for that one.")
    return _folded(image, 0, Z, T, level)[np.newaxis]


def _folded(image: ImageData, channel: Choice, Z: Choice, T: int, level: int) -> NDArray[Any]:
    if isinstance(T, bool) or not isinstance(T, int | np.integer):
        raise AxisNotFound(image.name, "T", f"{T!r:.60} is no time", "A picture shows one.")
    unnamed = "".join(sorted(set(image.axes) & set(UNNAMED)))
    if "Z" in image.axes and isinstance(Z, int | np.integer) and not unnamed:
        found: NDArray[Any] = image.read(level=level, T=T, C=channel, Z=Z)
        return found
    over = unnamed + ("Z" if "Z" in image.axes or not unnamed else "")
    return image.project(over=over, level=level, T=T, C=channel, Z=Z)


def shown_channels(image: ImageData, colors: Any) -> list[Channel]:
    """Return the channels that a composite shows."""
    if isinstance(colors, Mapping):
        return [image.channel(wanted) for wanted in colors]
    used = list(image.used)
    lit = [channel for channel in used if not _shows_light(channel)]
    return lit if colors is None and lit else used


def _shows_light(channel: Channel) -> bool:
    return is_transmitted(channel.name or channel.fluor)


def colors_of(channels: Sequence[Channel]) -> tuple[str, ...]:
    """Return a colour for each channel: the file's, unless it gives one to several of them."""
    said = [channel.color for channel in channels]
    if len(said) == 1 and said[0] in {None, "#ffffff"} and _shows_light(channels[0]):
        return ("#ffffff",)  # grey only beside others
    telling = len(said) == 1 or len(set(said) - {None}) == len(said) - said.count(None)
    # White is what files say of channels whose colour nobody chose.
    given = [color if telling and color != "#ffffff" else None for color in said]
    return channel_colors([channel.name or channel.fluor for channel in channels], given)


def composite(
    image: ImageData,
    colors: Any,
    limits: Any,
    Z: Choice,
    T: int,
    level: int,
) -> compose.Picture:
    """Return the channels in use, or those that colours are given for, as one picture."""
    channels = shown_channels(image, colors)
    if "S" in image.axes:
        if colors is not None:
            raise _in_colours(image)
        return _colour_picture(flat(image, [0], Z, T, level), limits)
    planes = flat(image, [channel.index for channel in channels], Z, T, level)
    return compose.composite(
        list(planes), _chosen(image, channels, colors), _windows(image, channels, limits)
    )


def _in_colours(image: ImageData) -> BadInput:
    return BadInput(f"{image.name} is in colours already", "Leave them: image.composite().")


def _colour_picture(samples: NDArray[Any], limits: Any) -> compose.Picture:
    """Return a picture that is in colours already: its samples (S, Y, X), 8 bits as they are."""
    planes = list(samples[:3]) if len(samples) > 2 else [samples[0]] * 3
    if limits is None and samples.dtype == np.uint8:
        return np.stack(planes, axis=-1)
    red, green, blue = planes
    return compose.rgb(red, green, blue, limits=limits)


def _chosen(image: ImageData, channels: Sequence[Channel], colors: Any) -> list[Any]:
    if colors is None:
        return list(colors_of(channels))
    given = list(colors.values()) if isinstance(colors, Mapping) else list(colors)
    if len(given) != len(channels):
        raise BadInput(
            f"{image.name}: {len(given)} colours for {len(channels)} channels in use",
            f"Give one each, or by name: {', '.join(c.title for c in channels[:6])}.",
        )
    defaults = colors_of(channels)
    return [
        color if color is not None else default
        for color, default in zip(given, defaults, strict=True)
    ]


def _windows(image: ImageData, channels: Sequence[Channel], limits: Any) -> Any:
    """Return limits in the order of the channels that are shown."""
    if not isinstance(limits, Mapping):
        return limits
    given = {image.channel(wanted).index: pair for wanted, pair in limits.items()}
    return [given.get(channel.index) for channel in channels]


def rgb(
    image: ImageData,
    wanted: Sequence[str | int | None],
    limits: Any,
    Z: Choice,
    T: int,
    level: int,
) -> compose.Picture:
    """Return up to three channels as red, green and blue."""
    if all(one is None for one in wanted):
        raise BadInput("no channel is given", "Give at least one of red, green and blue.")
    if "S" in image.axes:
        raise _in_colours(image)
    channels = [None if one is None else image.channel(one) for one in wanted]
    numbers = sorted({channel.index for channel in channels if channel is not None})
    found = dict(zip(numbers, flat(image, numbers, Z, T, level), strict=True))
    if isinstance(limits, Mapping) and not set(limits) <= {"red", "green", "blue"}:
        given = {image.channel(name).index: pair for name, pair in limits.items()}
        limits = [None if channel is None else given.get(channel.index) for channel in channels]
    planes = [None if channel is None else found[channel.index] for channel in channels]
    red, green, blue = planes
    return compose.rgb(red, green, blue, limits=limits)


def limits(image: ImageData, channel: str | int, Z: Choice, T: int, level: int) -> Limits:
    """Return what of a channel should be black and what white."""
    found = flat(image, [image.channel(channel).index], Z, T, level)
    return auto_limits(found if "S" in image.axes else found[0])


def overlay(
    image: ImageData,
    labels: Any,
    colors: Any,
    limits: Any,
    place: tuple[int | None, int],
    *,
    outline: bool,
    tint: float,
    shown: Any,
) -> compose.Picture:
    """Return a composite with labels drawn over it."""
    z, t = place
    if hasattr(labels, "project"):
        labels = flat(labels, [0], z, t if "T" in labels.axes else 0, 0)[0]
    labels = np.asarray(labels)
    if labels.ndim == 3 and z is not None:
        labels = labels[z]
    picture = composite(image, colors, limits, z, t, 0)
    return overlays.overlay(picture, labels, colors=shown, outline=outline, tint=tint)


def orthogonal(image: ImageData, position: Any, colors: Any, limits: Any, T: int) -> sides.Sides:
    """Return cuts through a point as pictures with square pixels."""
    if "Z" not in image.axes:
        raise BadInput(f"{image.name} has no Z", "Only a stack has other sides.")
    if "S" in image.axes:
        raise _in_colours(image)
    middle = [image.sizes[axis] // 2 for axis in "ZYX"]
    place = middle if position is None else list(position)
    if len(place) != 3:
        raise BadInput(f"{position!r:.60} is no point", "Give its place along Z, Y and X.")
    z, y, x = place
    named: dict[str, Any] = {"T": T} if "T" in image.axes else {}
    channels = shown_channels(image, colors)
    cuts: list[list[NDArray[Any]]] = [[], [], []]
    for channel in channels:
        one = named | ({"C": channel.index} if "C" in image.axes else {})
        cuts[0].append(image.read(Z=z, **one))
        cuts[1].append(image.read(Y=y, **one))
        cuts[2].append(image.read(X=x, **one).swapaxes(0, 1))
    windows = _windows(image, channels, limits)
    if windows is None:
        together = zip(*cuts, strict=True)
        windows = [auto_limits(np.concatenate([p.ravel() for p in three])) for three in together]
    shades = _chosen(image, channels, colors)
    xy, xz, yz = (compose.composite(planes, shades, windows) for planes in cuts)
    found = image.pixel_size or {}
    voxel = [found[axis] for axis in "ZYX"] if set("ZYX") <= set(found) else None
    return sides.isotropic((xy, xz, yz), voxel)


def thumbnail(image: ImageData, size: int, *, labels: bool) -> compose.Picture:
    """Return a small picture made of a few planes, or of a smaller version that the file has.

    One channel at a time: what is in memory is a plane or two, however many channels there are.
    """
    if size < 1:
        raise BadInput(f"a thumbnail of {size} pixels", "Give at least 1.")
    fitting = [n for n, level in enumerate(image.levels) if max(level) >= size]
    level = fitting[-1] if fitting else 0
    plane = _plane_bytes(image, level)
    if plane > _MOST:
        raise BadInput(
            f"{image.name}: no thumbnail: its planes have {plane} bytes and no smaller version",
            "Save it with smaller versions (a pyramid).",
        )
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
        return shrink(_colour_picture(np.moveaxis(small[0], -1, 0), None), size)
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
