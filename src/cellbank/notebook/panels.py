"""What a figure shows: the planes of images, records and arrays, each with title and scale."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from cellbank import images
from cellbank.images.channel import Channel
from cellbank.images.limits import auto_limits, extremes, plain
from cellbank.images.picturing import flat
from cellbank.images.scaling import nearest, shrink
from cellbank.model.errors import BadInput
from cellbank.packages.nodes import DataNode, GroupNode

if TYPE_CHECKING:
    from cellbank.images.image import Image

MOST: Final = 42
"""Of more channels than this, the first are shown unless some are asked for."""
_SIDE: Final = 1024
"""A smaller version of an image will do if it is so high or wide."""


class Wanted(msgspec.Struct, frozen=True):
    """What of a thing is to be shown, as `plot` takes it."""

    channels: Any = None
    Z: Any = None
    T: int = 0
    limits: Any = None
    segmentations: bool = False
    pixel_size: Any = None


class Panel(msgspec.Struct):
    """A plane (Y, X) or a picture (Y, X, 3), and how to show it."""

    plane: NDArray[Any]
    title: str = ""
    pixel: float | None = None
    """µm along X."""
    aspect: float = 1.0
    """How much higher a pixel is than wide."""
    limits: tuple[float, float] = (0.0, 1.0)
    labels: bool = False

    @property
    def width(self) -> float:
        """In pixels."""
        return float(self.plane.shape[1])

    @property
    def height(self) -> float:
        """In pixels of a square form."""
        return float(self.plane.shape[0] * self.aspect)

    def shrunk(self, size: int) -> NDArray[Any]:
        """Return it so small that it fits, with another ratio of sides if pixels are no squares."""
        height, width = self.plane.shape[:2]
        if max(height, width) <= size:
            return self.plane
        if self.labels:
            part = size / max(height, width)
            shape = max(1, round(height * part)), max(1, round(width * part))
            return nearest(self.plane, shape)
        return shrink(self.plane, size)


def panels_of(thing: Any, wanted: Wanted) -> tuple[list[list[Panel]], str]:
    """Return rows of panels for a thing, and the title of the whole.

    Parameters
    ----------
    thing
        As `plot` takes it.
    wanted
        What of it.

    Returns
    -------
    tuple[list[list[Panel]], str]
        At least one row, each of at least one panel.

    Raises
    ------
    BadInput
        It cannot be drawn.
    """
    found = pictured(thing)
    title = str(found.id) if _is_record(found) else ""
    rows = list(_rows(found, wanted))
    panels = [panel for row in rows for panel in row]
    if not panels:
        raise BadInput("there is nothing to draw", "Name a channel, or give an image.")
    _set_limits(panels, wanted.limits)
    if _is_image(found) or _is_record(found):
        count = len((found if _is_image(found) else found.image).used)
        if wanted.channels is None and count > MOST:
            title = f"{title} (the first {MOST} of {count} channels)".strip()
    return [row for row in rows if row], title


def pictured(thing: Any) -> Any:
    """Return the image or the record that a node is; other things as they are."""
    if not isinstance(thing, (DataNode, GroupNode)):
        return thing
    _, _, *part = thing._path.split("/") if thing._path.count("/") else ["", ""]
    if part not in ([], ["image"], ["image", "load"]):
        return images.open(thing)
    try:
        from cellbank import cells

        record = cells.record(thing)
    except BadInput:
        return images.open(thing)
    return record.image if part else record


def _is_image(thing: Any) -> bool:
    return hasattr(thing, "used") and hasattr(thing, "pixel_size")


def _is_record(thing: Any) -> bool:
    return hasattr(thing, "segmentation_images")


def _rows(thing: Any, wanted: Wanted) -> Iterator[list[Panel]]:
    if _is_record(thing):
        yield from _of_record(thing, wanted)
    elif isinstance(thing, Mapping):
        panels = [list(_of(one, wanted, str(name))) for name, one in thing.items()]
        yield [panel for several in panels for panel in several]
    elif isinstance(thing, (list, tuple)):
        yield [panel for one in thing for panel in _of(one, wanted, "")]
    else:
        yield list(_of(thing, wanted, ""))


def _of_record(record: Any, wanted: Wanted) -> Iterator[list[Panel]]:
    labels = record.kind.endswith("_seg")
    if record.has_image:
        chosen = wanted.channels
        if chosen is not None:
            chosen = [record.channel(_key(one)) for one in _several(chosen)]
        yield list(_of_image(record.image, wanted, chosen, "", labels=labels))
    elif not wanted.segmentations:
        raise BadInput(
            f"{record.id} has no image", "Go on to its fields: record.related('fovs')[0]"
        )
    if wanted.segmentations:
        found = record.segmentation_images()
        yield [
            panel
            for name, image in found.items()
            for panel in _of_image(image, wanted, None, name, labels=True)
        ]


def _of(thing: Any, wanted: Wanted, title: str) -> Iterator[Panel]:
    """Yield the panels of one image or array."""
    found = pictured(thing)
    if _is_record(found):
        found = found.image
    if _is_image(found):
        yield from _of_image(found, wanted, wanted.channels, title)
        return
    array = np.asarray(found)
    in_colours = array.ndim == 3 and array.shape[2] == 3 and array.dtype == np.uint8
    grey = array.ndim == 2 and array.dtype.kind in "biufc"
    if not array.size or not (in_colours or grey):
        known = array.dtype.kind in "biufc"
        shape = f": {array.dtype} of the shape {array.shape}" if known else ""
        raise BadInput(
            f"{type(found).__name__} cannot be drawn{shape}",
            "Give an image, a record, a plane (Y, X) or a picture (Y, X, 3) of bytes.",
        )
    yield _panel(array, title, wanted.pixel_size)


def _of_image(
    image: "Image", wanted: Wanted, chosen: Any, title: str, *, labels: bool = False
) -> Iterator[Panel]:
    level = _level(image)
    size = image.level_pixel_size(level) or wanted.pixel_size
    if "S" in image.axes:
        yield _panel(image.composite(Z=wanted.Z, T=wanted.T, level=level), title, size)
        return
    if chosen is None:
        channels: Sequence[Channel] = image.used[:MOST]
    else:
        channels = [image.channel(_key(one)) for one in _several(chosen)]
    alone = len(image.channels) == 1
    for channel in channels:
        named = channel.title if channel.name or channel.fluor or not alone else ""
        text = title if alone and title else f"{title} {named}".strip()
        plane = flat(image, [channel.index], wanted.Z, wanted.T, level)[0]
        yield _panel(plane, text, size, labels=labels)


def _several(chosen: Any) -> list[Any]:
    return [chosen] if isinstance(chosen, (str, int, Channel)) else list(chosen)


def _key(channel: Any) -> Any:
    """Return a name or a number; of a channel its number."""
    return channel.index if isinstance(channel, Channel) else channel


def _level(image: "Image") -> int:
    """Return the smallest version that is as large as a panel can show."""
    fitting = [n for n, level in enumerate(image.levels) if max(level) >= _SIDE]
    return fitting[-1] if fitting else 0


def _panel(plane: NDArray[Any], title: str, size: Any, *, labels: bool = False) -> Panel:
    sizes = dict(size) if isinstance(size, Mapping) else {"Y": size, "X": size}
    across, down = sizes.get("X"), sizes.get("Y")
    good = [step for step in (across, down) if step is not None and 0 < step < float("inf")]
    aspect = down / across if across and down and len(good) == 2 else 1.0
    return Panel(
        plain(plane),
        title,
        float(across) if across and across in good else None,
        # A pixel that is a thousand times as high as wide is a mistake in the file.
        float(aspect) if 0.01 <= aspect <= 100 else 1.0,
        labels=labels,
    )


def _set_limits(panels: list[Panel], limits: Any) -> None:
    """Set what is the darkest and the brightest of each panel that has no colours of its own."""
    grey = [panel for panel in panels if panel.plane.ndim == 2]
    if limits is None or limits == "auto":
        choose = extremes if limits is None else auto_limits
        for panel in grey:
            panel.limits = extremes(panel.plane) if panel.labels else choose(panel.plane)
        return
    if isinstance(limits, str) or not hasattr(limits, "__len__"):
        advice = "Give two numbers, one pair a panel, or 'auto'."
        raise BadInput(f"{limits!r:.60} are no limits", advice)
    if isinstance(limits, Mapping):
        unknown = [name for name in limits if name not in {panel.title for panel in grey}]
        if unknown:
            there = ", ".join(panel.title for panel in grey)
            raise BadInput(f"limits for {unknown[0]!r}, which is not drawn", f"There are: {there}.")
        given: list[Any] = [limits.get(panel.title) for panel in grey]
    else:
        given = list(limits)
        if len(given) == 2 and all(np.ndim(limit) == 0 and limit is not None for limit in given):
            given = [limits] * len(grey)
    if len(given) != len(grey):
        raise BadInput(f"{len(given)} limits for {len(grey)} panels", "Give one each, or a pair.")
    for panel, pair in zip(grey, given, strict=True):
        low, high = extremes(panel.plane) if pair is None else pair
        if not low <= high:
            raise BadInput(f"limits of {low} and {high}", "Give the darker one first.")
        panel.limits = (low, high)
