"""From an image to a picture: which channels, which planes, in which colours."""

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
from cellbank.images.scaling import nearest, shrink
from cellbank.images.selecting import Choice
from cellbank.model.errors import BadInput

PLANES: Final = 7
"""So many planes of a stack, evenly spread, make a thumbnail."""
_ROWS: Final = 64 << 20
"""Of planes larger than this, in bytes, a thumbnail reads only some rows."""


def flat(image: ImageData, channels: Sequence[int], Z: Choice, T: int, level: int) -> NDArray[Any]:
    """Return channels as planes, (C, Y, X): the brightest of what is chosen along Z.

    Of an RGB image the samples are the channels. Axes without a name are folded, too.
    """
    named: dict[str, Any] = {"T": T} if "T" in image.axes else {}
    if "C" in image.axes:
        named["C"] = list(channels)
    elif list(channels) != [0]:
        raise BadInput(f"{image.name} has one channel, not {len(channels)}", "Ask for that one.")
    if "S" in image.axes:
        return np.moveaxis(_folded(image, named, Z, level), -1, 0)
    found = _folded(image, named, Z, level)
    return found if "C" in image.axes else found[np.newaxis]


def _folded(image: ImageData, named: dict[str, Any], Z: Choice, level: int) -> NDArray[Any]:
    unnamed = "".join(sorted(set(image.axes) & set(UNNAMED)))
    if "Z" not in image.axes:
        if Z is not None:
            named["Z"] = Z
        if not unnamed:
            found = image.read(level=level, **named)
            return found[..., :3] if "S" in image.axes else found
        return image.project(over=unnamed, level=level, **named)
    if isinstance(Z, int | np.integer):
        return image.read(level=level, Z=Z, **named)
    return image.project(over="Z", level=level, Z=Z, **named)


def shown_channels(image: ImageData, colors: Any) -> list[Channel]:
    """Return the channels that a composite shows."""
    if isinstance(colors, Mapping):
        return [image.channel(wanted) for wanted in colors]
    used = list(image.used)
    lit = [channel for channel in used if not is_transmitted(channel.name or channel.fluor)]
    return lit if colors is None and lit else used


def colors_of(channels: Sequence[Channel]) -> tuple[str, ...]:
    """Return a colour for each channel: the file's, unless it gives one to several of them."""
    said = [channel.color for channel in channels]
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
    if "S" in image.axes and colors is None:
        return _colour_picture(flat(image, [0], Z, T, level), limits)
    planes = flat(image, [channel.index for channel in channels], Z, T, level)
    return compose.composite(
        list(planes), _chosen(image, channels, colors), _windows(image, channels, limits)
    )


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
    return auto_limits(flat(image, [image.channel(channel).index], Z, T, level)[0])


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
    depth, height, width = (image.sizes[axis] for axis in "ZYX")
    z, y, x = (depth // 2, height // 2, width // 2) if position is None else position
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
    """Return a small picture made of a few planes, or of a smaller version that the file has."""
    if size < 1:
        raise BadInput(f"a thumbnail of {size} pixels", "Give at least 1.")
    fitting = [n for n, level in enumerate(image.levels) if max(level) >= size]
    level = fitting[-1] if fitting else 0
    if labels:
        found = _few(image, [0], level, PLANES)[0]
        height, width = found.shape
        part = min(1.0, size / max(height, width))
        shape = max(1, round(height * part)), max(1, round(width * part))
        return overlays.label_colors(nearest(found, shape))
    channels = shown_channels(image, None)
    planes = _few(image, [channel.index for channel in channels], level, PLANES)
    if "S" in image.axes:
        return shrink(_colour_picture(planes, None), size)
    windows = [auto_limits(plane) for plane in planes]
    picture = compose.composite(list(planes), list(colors_of(channels)), windows)
    return shrink(picture, size)


def _few(image: ImageData, channels: list[int], level: int, most: int) -> NDArray[Any]:
    """Return channels as planes, (C, Y, X): the brightest of a few planes along Z."""
    folded = [axis for axis in image.axes if axis == "Z" or axis in UNNAMED]
    if "Z" in folded:
        places = _spread(image.sizes["Z"], most)
        return flat(image, channels, places, 0, level)
    if folded:
        return _middle(image, level)
    return flat(image, channels, None, 0, level)


def _middle(image: ImageData, level: int) -> NDArray[Any]:
    """Return the plane in the middle of axes that have no name."""
    height, width = image.levels[level]
    number = image.pixels.header.planes // 2
    plane = next(iter(image.pixels.planes([number], slice(0, height), slice(0, width), level)))
    return np.moveaxis(plane, -1, 0) if "S" in image.axes else plane[np.newaxis]


def _spread(count: int, most: int) -> list[int]:
    if count <= most:
        return list(range(count))
    return [round(n * (count - 1) / (most - 1)) for n in range(most)]
