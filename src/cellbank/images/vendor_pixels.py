"""Formats of microscopes' makers (CZI, ND2, LIF and more), read through bioio if it is there."""

import importlib
import logging
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import cache
from importlib.metadata import entry_points
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from cellbank.images.channel import Channel
from cellbank.images.header import Header, planes_of
from cellbank.images.pixels import Pixels
from cellbank.images.source import translated
from cellbank.model.errors import BadImage

BUFFER: Final = 64 << 20
"""Bytes of planes that are asked for together: readers decode whole stacks for one of them."""
_ADVICE: Final = (
    "Install bioio and its reader for this format (https://bioio-devs.github.io/bioio), "
    "or save it as OME-TIFF."
)
_MADE_UP: Final = re.compile(r"Channel:\d+(:\d+)?")
"""What bioio calls channels that have no names."""


def open_vendor(path: str) -> tuple[Header, Callable[[], Iterator[NDArray[Any]]]]:
    """Return the header of an image that is no TIFF, and what reads its planes in that order."""
    pixels = VendorPixels(path)
    if len(pixels.scenes) > 1:
        raise BadImage(
            path, f"it holds {len(pixels.scenes)} scenes", "Save each as a file of its own."
        )
    header = pixels.header
    rows, columns = (slice(0, n) for n in pixels.levels[0])
    return header, lambda: pixels.planes(range(header.planes), rows, columns)


class VendorPixels(Pixels):
    """An image that bioio reads.

    Parameters
    ----------
    path
        Of the file; its ending tells bioio which reader to take.
    scene
        The number or the name of one of its images.
    name
        For messages, where the path says nothing to a person.
    """

    def __init__(self, path: str, scene: int | str = 0, *, name: str = "") -> None:
        self.name = name or path
        with translated(self.name), _silently():
            self._image = image = _open(path, self.name)
            self.scenes = tuple(map(str, image.scenes))
            image.set_scene(self._number(scene))
            sizes = self._sizes(image)
            last = "YXS" if "S" in sizes else "YX"
            axes = "".join(axis for axis in "TZC" if sizes.get(axis, 1) > 1) + last
            shape = tuple(sizes[axis] for axis in axes)
            names = _names(image, sizes.get("C", 1))
            pixel_size, notes = _pixel_size(image)
            with suppress(Exception):  # not every reader knows it
                said = image.standard_metadata.imaging_datetime
                self.acquired = said if isinstance(said, datetime) else None
            self._data = image.get_image_dask_data(axes)
        self.levels = ((sizes["Y"], sizes["X"]),)
        self.channels = tuple(Channel(called, n) for n, called in enumerate(names))
        self.header = Header(
            format="vendor",
            axes=axes,
            shape=shape,
            dtype=np.dtype(image.dtype).name,
            channels=names if any(names) else (),
            pixel_size=pixel_size,
            planes=planes_of(axes, shape),
            images=len(self.scenes),
            notes=notes,
        )

    def planes(
        self, numbers: Sequence[int], rows: slice, columns: slice, level: int = 0
    ) -> Iterator[NDArray[Any]]:
        """Yield planes; those of one stack are asked for together."""
        if level:
            raise BadImage(self.name, f"it has no level {level}")
        import dask.array as da

        length = int(np.prod(self.sample_shape(rows, columns))) * self.dtype.itemsize
        step = max(1, BUFFER // max(1, length))
        leading = self._data.shape[: self.header.axes.index("Y")]
        for start in range(0, len(numbers), step):
            with translated(self.name), _silently():
                wanted = [
                    self._data[(*np.unravel_index(number, leading), rows, columns)]
                    if leading
                    else self._data[rows, columns]
                    for number in numbers[start : start + step]
                ]
                stack = da.stack(wanted)  # type: ignore[no-untyped-call]
                found = stack.compute(scheduler="synchronous")
            for plane in found:
                yield np.ascontiguousarray(plane, self.dtype)

    def _number(self, scene: int | str) -> int:
        if isinstance(scene, str):
            return self.scenes.index(scene) if scene in self.scenes else self._number(-1)
        if not 0 <= scene < len(self.scenes):
            listed = ", ".join(self.scenes[:10])
            raise BadImage(self.name, "it has no such scene", f"It has {listed}.")
        return scene

    def _sizes(self, image: Any) -> dict[str, int]:
        sizes = dict(zip(image.dims.order, (int(n) for n in image.shape), strict=True))
        others = "".join(a for a, n in sizes.items() if n > 1 and a not in "TCZYXS")
        if others:
            raise BadImage(
                self.name,
                f"its axes {image.dims.order} are not understood ({others})",
                "Save it as OME-TIFF.",
            )
        return sizes


def _open(path: str, name: str) -> Any:
    try:
        read = importlib.import_module("bioio").BioImage
    except ImportError:
        raise BadImage(name, "it is no TIFF file", _ADVICE) from None
    try:
        return read(path)
    except OSError:
        raise
    except Exception as error:  # noqa: BLE001  every reader has errors of its own
        told = str(error).strip().partition("\n")[0][:200]
        if type(error).__name__ == "UnsupportedFileFormatError":
            told = "no reader that is installed knows it"
        raise BadImage(name, f"it cannot be read: {told}", _ADVICE) from None


def _names(image: Any, count: int) -> tuple[str | None, ...]:
    said = [str(name) for name in image.channel_names or ()]
    names = [None if _MADE_UP.fullmatch(name) else name for name in said]
    return tuple((names + [None] * count)[:count])


def _pixel_size(image: Any) -> tuple[dict[str, float], tuple[str, ...]]:
    """Return µm by axis, and a note where what bioio says is not believed."""
    found = image.physical_pixel_sizes
    said = {axis: getattr(found, axis) for axis in "ZYX"}
    sizes = {axis: float(size) for axis, size in said.items() if size and np.isfinite(size)}
    if sizes.get("X") == sizes.get("Y") == 1.0:
        return {}, ("bioio gives a pixel size of 1.0, as it does where none is known",)
    return {axis: size for axis, size in sizes.items() if size > 0}, ()


@contextmanager
def _silently() -> Iterator[None]:
    """Keep what readers have to say about odd files from the user's terminal."""
    _quieten()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@cache
def _quieten() -> None:
    """Give bioio and its readers, imported or not, a place to log to that is not stderr."""
    readers = {found.module.partition(".")[0] for found in entry_points(group="bioio.readers")}
    for name in {"bioio", "bioio_base"} | readers:
        logging.getLogger(name).addHandler(logging.NullHandler())
