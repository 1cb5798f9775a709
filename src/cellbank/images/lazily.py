"""Images as lazy arrays: dask reads planes when they are needed, xarray knows their names."""

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from cellbank.images.image_data import ImageData
from cellbank.images.pixels import Pixels
from cellbank.model.errors import BadInput

if TYPE_CHECKING:
    import dask.array as da
    import xarray as xr


CHUNK: Final = 32 << 20
"""Bytes of a chunk: one plane, or of a larger one so many rows."""


def dask_array(pixels: Pixels, level: int = 0) -> "da.Array":
    """Return an image as a dask array with the axes of its header: a plane a chunk."""
    try:
        import dask.array as da
    except ImportError:
        raise missing("dask", "dask[array]", "images") from None

    header = pixels.header
    leading = header.axes.index("Y")
    height, width = pixels.levels[level]
    shape = (*header.shape[:leading], height, width, *header.shape[leading + 2 :])
    row = width * (shape[-1] if header.axes.endswith("S") else 1) * pixels.dtype.itemsize
    rows = max(1, min(height, CHUNK // max(row, 1)))
    whole = [-1] * (len(shape) - leading - 1)
    array: Any = da
    chunks = array.core.normalize_chunks((*[1] * leading, rows, *whole), shape, dtype=pixels.dtype)
    found: da.Array = array.map_blocks(
        _block,
        pixels,
        level,
        dtype=pixels.dtype,
        chunks=chunks,
        meta=np.empty((0,) * len(shape), pixels.dtype),
    )
    return found


def _block(pixels: Pixels, level: int, block_info: Any = None) -> NDArray[Any]:
    """Read the chunk that dask asks for."""
    spans = block_info[None]["array-location"]
    leading = pixels.header.axes.index("Y")
    number = 0
    for (place, _), size in zip(spans[:leading], pixels.header.shape, strict=False):
        number = number * size + place
    rows, columns = (slice(*span) for span in spans[leading : leading + 2])
    plane = pixels.plane(number, rows, columns, level)
    return plane[(None,) * leading]


def data_array(image: ImageData, level: int = 0) -> "xr.DataArray":
    """Return an image as an xarray: channels by name, X, Y and Z in µm where that is known."""
    try:
        import xarray as xr
    except ImportError:
        raise missing("xarray", "xarray", "xarray") from None

    array = dask_array(image.pixels, level)
    axes = image.axes
    sizes = dict(zip(axes, array.shape, strict=True))
    coords: dict[str, Any] = {}
    if "C" in sizes:
        names = [channel.title for channel in image.channels]
        if len(set(names)) == len(names):
            coords["C"] = names
    scale = image.level_pixel_size(level) or {}
    for axis, size in scale.items():
        if axis in sizes:
            coords[axis] = (axis, np.arange(sizes[axis]) * size, {"units": "µm"})
    attributes = {"pixel_size": image.pixel_size, "name": image.name}
    return xr.DataArray(array, dims=list(axes), coords=coords, attrs=attributes, name="image")


def missing(library: str, package: str, extra: str) -> BadInput:
    """Return the error of a library that is needed and not installed."""
    return BadInput(
        f"this needs {library}, which is not installed",
        f"Install it: pip install 'cellbank[{extra}]' (or {package}).",
    )
