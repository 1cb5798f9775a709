"""The planes of a TIFF file, one after the other, each in memory once."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cellbank.images.source import Source, name_of, shared
from cellbank.images.tiff_pixels import TiffPixels


def read_planes(source: Source) -> Iterator[NDArray[Any]]:
    """Read an image plane by plane, in the order of its header's axes.

    Parameters
    ----------
    source
        A path, or a seekable binary file whose position is moved.

    Yields
    ------
    NDArray[Any]
        A plane: YX, or YXS where the header's axes end so; in this machine's byte order.

    Raises
    ------
    BadImage
        The file is damaged, or a plane is too large to be read whole.
    """
    pixels = TiffPixels(shared(source), name_of(source))
    height, width = pixels.levels[0]
    planes = range(pixels.header.planes)
    for plane in pixels.planes(planes, slice(0, height), slice(0, width)):
        if pixels.planar:
            yield from map(np.ascontiguousarray, np.moveaxis(plane, -1, 0))
        else:
            yield plane
