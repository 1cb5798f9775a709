"""From an image to a picture: which channels, which planes, in which colours."""

import math
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cellbank.images import compose, overlays
from cellbank.images import orthogonal as sides
from cellbank.images.channel import Channel
from cellbank.images.colours import channel_colors, is_transmitted
from cellbank.images.image_data import ImageData
from cellbank.images.limits import Limits, auto_limits
from cellbank.images.pixels import UNNAMED
from cellbank.images.selecting import Choice
from cellbank.model.errors import AxisNotFound, BadInput


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


def all_colors(channels: Sequence[Channel], shown: Sequence[Channel]) -> tuple[str, ...]:
    """Return colours: a composite's for what it shows, the others have what is left."""
    given = dict(zip((channel.index for channel in shown), colors_of(shown), strict=True))
    for channel in channels:
        if channel.color and channel.color not in {"#ffffff", *given.values()}:
            given.setdefault(channel.index, channel.color)
    return channel_colors(
        [channel.name or channel.fluor for channel in channels],
        [given.get(channel.index) for channel in channels],
    )


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
        return colour_picture(flat(image, [0], Z, T, level), limits)
    planes = flat(image, [channel.index for channel in channels], Z, T, level)
    return compose.composite(
        list(planes), _chosen(image, channels, colors), _windows(image, channels, limits)
    )


def _in_colours(image: ImageData) -> BadInput:
    return BadInput(f"{image.name} is in colours already", "Leave them: image.composite().")


def colour_picture(samples: NDArray[Any], limits: Any) -> compose.Picture:
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
        listed = isinstance(limits, (list, tuple, np.ndarray)) and not compose.is_pair(limits)
        if listed and len(limits) != len(channels):
            raise BadInput(
                f"{image.name}: {len(limits)} limits for {len(channels)} channels that are shown",
                f"Give one each, or by name: {', '.join(c.title for c in channels[:6])}.",
            )
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
    picture = composite(image, colors, limits, z, t, 0)
    if hasattr(labels, "project"):
        _check_depth(image, labels.sizes.get("Z", 1))
        deep = "Z" in labels.axes
        labels = flat(labels, [0], z if deep else None, t if "T" in labels.axes else 0, 0)[0]
    elif isinstance(labels, (str, os.PathLike)) or hasattr(type(labels), "filename"):
        raise BadInput("labels are an image or an array", "Open them: images.open(labels).")
    labels = np.asarray(labels)
    if labels.ndim == 3:
        _check_depth(image, len(labels))
        if z is not None:
            labels = labels[z if len(labels) > 1 else 0]
    return overlays.overlay(picture, labels, colors=shown, outline=outline, tint=tint)


def _check_depth(image: ImageData, depth: int) -> None:
    ours = math.prod(size for axis, size in image.sizes.items() if axis == "Z" or axis in UNNAMED)
    # Over a plane, labels of any depth are folded as the plane may have been.
    if depth not in {1, ours} and ours > 1:
        raise BadInput(
            f"labels of {depth} planes do not fit {image.name}, which has {ours}",
            "Give labels of the same depth, or of one plane.",
        )


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
    if windows is None or (isinstance(windows, str) and windows == "auto"):
        together = zip(*cuts, strict=True)
        windows = [auto_limits(np.concatenate([p.ravel() for p in three])) for three in together]
    shades = _chosen(image, channels, colors)
    xy, xz, yz = (compose.composite(planes, shades, windows) for planes in cuts)
    found = image.pixel_size or {}
    voxel = [found[axis] for axis in "ZYX"] if set("ZYX") <= set(found) else None
    return sides.isotropic((xy, xz, yz), voxel)
