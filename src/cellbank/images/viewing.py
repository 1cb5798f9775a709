"""What the viewer in a browser is told of an image, and the planes that it asks for."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import resources
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from cellbank.images.limits import auto_limits, extremes, plain
from cellbank.images.picturing import all_colors, shown_channels
from cellbank.images.pixels import UNNAMED
from cellbank.images.scaling import nearest
from cellbank.model.errors import BadImage, BadInput

if TYPE_CHECKING:
    from cellbank.images.image import Image

MAX_SIDE: Final = 4096
"""Planes that are higher or wider are sent smaller: every graphics card takes this much."""
CACHE_BYTES: Final = 128 << 20
MOST_CHANNELS: Final = 16
"""As many as the viewer draws at once."""
LABEL_COLORS: Final = ("#ffffff", "#ff9d00", "#00e5b0", "#ff6ec7", "#9fb7ff", "#d7ff3e")
_BAND: Final = 64 << 20
_EXACT: Final = {"uint8", "uint16", "float32", "bool", "int8", "int16", "float16"}
"""Types whose every value a browser gets as it is, or as the same number in 32-bit floats."""
_RGB: Final = (("red", "#ff0000"), ("green", "#00ff00"), ("blue", "#0000ff"))


def viewer_source() -> str:
    """Return the text of the viewer: one ES module that exports `view`."""
    return resources.files("cellbank.images").joinpath("viewer.js").read_text("utf-8")


class Viewed:
    """An image as the viewer sees it: what it must know first, then plane after plane.

    Invariant: a request comes from a browser, so it is believed only after it was checked. Threads
    may share it.

    Parameters
    ----------
    image
        The image. Axes without a name are shown as its Z.
    labels
        Label images by name, as wide and high as the image; as deep, or a single plane.
    title
        What to call it; default: its file's name.
    cache_bytes
        So many bytes of planes, those used last, are kept.

    Examples
    --------
    >>> from cellbank import images
    >>> viewed = Viewed(images.open("E6.ome.tiff"))  # doctest: +SKIP
    >>> viewed.options["sizes"]  # doctest: +SKIP
    {'T': 1, 'C': 7, 'Z': 70, 'Y': 624, 'X': 924}
    >>> viewed.plane({"kind": "image", "c": 2, "z": "max", "t": 0}).shape  # doctest: +SKIP
    (624, 924)
    """

    def __init__(
        self,
        image: "Image",
        labels: "Mapping[str, Image] | None" = None,
        *,
        title: str = "",
        cache_bytes: int = CACHE_BYTES,
    ) -> None:
        self.image = image
        self._title = title or PurePath(image.name).name
        self._stack = _Stack(image)
        self._labels = {name: _Stack(one) for name, one in (labels or {}).items()}
        for name, stack in self._labels.items():
            reason = misfit(image, stack.image)
            if reason:
                raise BadInput(f"{name}: {reason}", "Give label images that fit the image.")
        self._cache = _Recent(cache_bytes)
        self.sizes = {"T": self._stack.times, "C": self._stack.channels, "Z": self._stack.depth}
        self.sizes |= {"Y": image.sizes["Y"], "X": image.sizes["X"]}
        self.options = self._options()

    # --- what it is

    def _options(self) -> dict[str, Any]:
        """Return what the viewer must know; all of it can be JSON."""
        dtype = _shown_dtype(self._stack.dtype)
        scale = {axis: um for axis, um in (self.image.pixel_size or {}).items() if axis in "YXZ"}
        return {
            "title": self._title,
            "sizes": self.sizes,
            "dtype": dtype.name,
            "channels": self._channels(),
            "labels": [
                {"name": name, "color": LABEL_COLORS[number % len(LABEL_COLORS)]}
                for number, name in enumerate(self._labels)
            ],
            "pixelSize": scale or None,
            "notes": list(self._notes()),
        }

    def _notes(self) -> Iterator[str]:
        if self._stack.dtype.name not in _EXACT:
            yield f"Pixels are {self._stack.dtype}; they are shown as 32-bit floats, rounded."
        (height, width), (shown, _) = self.image.levels[0], self._stack.shape
        if shown < height:
            part = height / shown
            yield f"The image is {width} × {height} pixels; it is shown {part:.3g} times smaller."
        folded = [axis for axis in self.image.axes if axis in UNNAMED]
        if folded:
            yield f"The file does not name the axes {', '.join(folded)}; they are shown as Z."

    def _channels(self) -> list[dict[str, Any]]:
        named = list(self._named())
        for channel in [channel for channel in named if channel["on"]][MOST_CHANNELS:]:
            channel["on"] = False
        places = (1, 2, 3) if len(named) <= 8 else (2,)
        for c, channel in enumerate(named):
            depths = {part * (self._stack.depth - 1) // 4 for part in places}
            planes = [self._image_plane(c, z, 0) for z in sorted(depths)]
            sample = np.concatenate([plane.ravel() for plane in planes])
            channel["min"], channel["max"] = map(float, extremes(sample))
            # Samples of a colour picture are shown as they are.
            whole = self._stack.samples > 1 and sample.dtype == np.uint8
            low, high = (0, 255) if whole else auto_limits(sample)
            channel["low"], channel["high"] = float(low), float(high)
        return named

    def _named(self) -> Iterator[dict[str, Any]]:
        channels = self.image.channels
        shown = shown_channels(self.image, None)
        on_first = {channel.index for channel in shown}
        for channel, color in zip(channels, all_colors(channels, shown), strict=True):
            on = channel.index in on_first
            if self._stack.samples == 1:
                yield {"name": channel.title, "color": color, "on": on}
                continue
            for sample in range(self._stack.samples):
                part, shade = _RGB[sample] if self._stack.samples == 3 else ("grey", "#ffffff")
                name = part if len(channels) == 1 else f"{channel.title}, {part}"
                yield {"name": name, "color": shade, "on": on}

    # --- its planes

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the planes."""
        return self._stack.shape

    def plane(self, request: Any) -> NDArray[Any]:
        """Return the plane that the viewer asks for.

        Parameters
        ----------
        request
            `{"kind": "image", "c": 0, "z": 3, "t": 0}` or `{"kind": "labels", "name": "cells", …}`;
            `z` may be `"max"`.

        Returns
        -------
        NDArray[Any]
            (Y, X): uint8, uint16 or float32; of labels uint8, uint16 or uint32. As high and wide as
            the image, unless that is larger than a browser can take.

        Raises
        ------
        BadInput
            The request is none.
        BadImage
            The file is damaged.
        """
        if not isinstance(request, Mapping):
            raise BadInput(f"{type(request).__name__} is no request for a plane")
        t = _index(request, "t", self._stack.times)
        z = request.get("z")
        if z != "max":
            z = _index(request, "z", self._stack.depth)
        kind = request.get("kind")
        if kind == "image":
            return self._image_plane(_index(request, "c", self._stack.channels), z, t)
        name = request.get("name")
        if kind != "labels" or not isinstance(name, str) or name not in self._labels:
            raise BadInput(f"there is nothing to show of {kind!r:.40}, {name!r:.80}")
        return self._label_plane(name, z, t)

    def _image_plane(self, c: int, z: int | str, t: int) -> NDArray[Any]:
        key = ("image", c, z, t)
        return self._cache.get(key, lambda: _shown(self._stack.plane(c, z, t)))

    def _label_plane(self, name: str, z: int | str, t: int) -> NDArray[Any]:
        def read() -> NDArray[Any]:
            found = _as_labels(stack.plane(0, place, time))
            return found if found.shape == shape else nearest(found, shape)

        stack, shape = self._labels[name], self._stack.shape
        place = z if stack.depth > 1 else 0
        time = t if stack.times > 1 else 0
        return self._cache.get(("labels", name, place, time), read)


def misfit(image: "Image", labels: "Image") -> str:
    """Return why labels cannot lie over an image; nothing if they can."""
    ours, theirs = _Stack(image), _Stack(labels)
    height, width = (labels.sizes[axis] for axis in "YX")
    if (height, width) != (image.sizes["Y"], image.sizes["X"]):
        return f"these labels are {height} × {width} pixels, the image is not"
    if theirs.depth not in {1, ours.depth} or theirs.times not in {1, ours.times}:
        return f"these labels are {theirs.depth} deep, the image is {ours.depth}"
    return "these labels have several channels" if theirs.channels != 1 else ""


class _Stack:
    """The planes of an image by channel, Z and T, in a size that can be sent."""

    def __init__(self, image: "Image") -> None:
        self.image = image
        header = image.pixels.header
        self.leading = header.axes[: header.axes.index("Y")]
        sizes = header.sizes
        self.samples = min(sizes.get("S", 1), 3) if sizes.get("S", 1) > 2 else 1
        self.times = sizes.get("T", 1)
        self.channels = sizes.get("C", 1) * self.samples
        self.deep = [axis for axis in self.leading if axis not in "TC"]
        self.depths = tuple(sizes[axis] for axis in self.deep)
        self.depth = int(np.prod(self.depths, dtype=int))
        levels = image.levels
        fitting = (n for n, level in enumerate(levels) if max(level) <= MAX_SIDE)
        self.level = next(fitting, len(levels) - 1)
        self.full = levels[self.level]
        self.step = -(-max(self.full) // MAX_SIDE)
        height, width = (-(-side // self.step) for side in self.full)
        self.shape = (height, width)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the pixels."""
        return self.image.dtype

    def plane(self, c: int, z: int | str, t: int) -> NDArray[Any]:
        """Return one plane, or the largest value of each pixel over all Z."""
        channel, sample = divmod(c, self.samples)
        if z == "max":
            numbers = [self._number(channel, n, t) for n in range(self.depth)]
        else:
            numbers = [self._number(channel, int(z), t)]
        height, width = self.full
        if self.step == 1:
            return self._folded(numbers, slice(0, height), sample)
        # In bands: the whole plane may not fit into memory.
        row = max(1, width * self.dtype.itemsize * self.samples)
        band = max(1, _BAND // row // self.step) * self.step
        starts = range(0, height, band)
        return np.concatenate(
            [self._folded(numbers, slice(n, min(n + band, height)), sample) for n in starts]
        )

    def _folded(self, numbers: list[int], rows: slice, sample: int) -> NDArray[Any]:
        found: NDArray[Any] | None = None
        columns = slice(0, self.full[1])
        for plane in self.image.pixels.planes(numbers, rows, columns, self.level):
            part = plane[..., sample] if plane.ndim == 3 else plane
            part = part[:: self.step, :: self.step]
            if found is None:
                # A copy: the next plane may come in the same memory. Of complex numbers the
                # magnitude is shown.
                found = np.array(plain(part))
            else:
                np.maximum(found, plain(part), out=found)
        if found is None:
            raise BadImage(self.image.name, "has no planes")
        return found

    def _number(self, channel: int, z: int, t: int) -> int:
        """Return the number of a plane in the file's order."""
        place = {"C": channel, "T": t}
        if self.deep:
            place |= dict(zip(self.deep, map(int, np.unravel_index(z, self.depths)), strict=True))
        number = 0
        for axis in self.leading:
            number = number * self.image.sizes[axis] + place[axis]
        return number


class _Recent:
    """Planes used last, within a number of bytes."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held: OrderedDict[Any, NDArray[Any]] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def get(self, key: Any, make: Callable[[], NDArray[Any]]) -> NDArray[Any]:
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
                return self._held[key]
        made = make()
        made.flags.writeable = False
        with self._lock:
            if key not in self._held:
                self._held[key] = made
                self._bytes += made.nbytes
            while self._bytes > self._limit:
                _, old = self._held.popitem(last=False)
                self._bytes -= old.nbytes
        return made


def _index(request: Mapping[str, Any], name: str, size: int) -> int:
    found = request.get(name)
    if isinstance(found, bool) or not isinstance(found, int) or not 0 <= found < size:
        raise BadInput(f"{name} is {found!r:.40}, not a number from 0 to {size - 1}")
    return found


def _shown_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    if dtype.kind == "b":
        return np.dtype(np.uint8)
    return dtype if dtype.name in {"uint8", "uint16"} else np.dtype(np.float32)


def _shown(plane: NDArray[Any]) -> NDArray[Any]:
    """Return a plane in a type that a browser has."""
    # What is too large for 32 bits becomes infinite, which is shown as white.
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(plane, _shown_dtype(plane.dtype))


def _as_labels(plane: NDArray[Any]) -> NDArray[Any]:
    """Return labels in at most 32 bits; different ones stay different, and 0 stays 0."""
    if plane.dtype.kind in {"b", "u"} and plane.dtype.itemsize <= 4:
        return np.ascontiguousarray(plane, np.uint8 if plane.dtype.kind == "b" else plane.dtype)
    if plane.dtype.kind == "i" and plane.dtype.itemsize <= 4:
        return np.ascontiguousarray(plane).view(f"u{plane.dtype.itemsize}")
    found, places = np.unique(plane, return_inverse=True)
    numbers = np.arange(1, len(found) + 1, dtype=np.uint32)
    numbers[found == 0] = 0
    return numbers[places].reshape(plane.shape)


def little_endian(plane: NDArray[Any]) -> bytes:
    """Return the bytes of a plane as the viewer's `decode` takes them."""
    return plane.astype(plane.dtype.newbyteorder("<"), copy=False).tobytes()


def outlined(labels: Iterable[str], wished: "bool | str | Iterable[str]") -> list[str]:
    """Return which labels are outlined: all, none, or those that are named."""
    names = list(labels)
    if isinstance(wished, bool):
        return names if wished else []
    asked = [wished] if isinstance(wished, str) else list(wished)
    unknown = [name for name in asked if name not in names]
    if unknown:
        there = f"There are: {', '.join(names)}." if names else "There are no labels."
        raise BadInput(f"there are no labels {', '.join(unknown)}", there)
    return asked
