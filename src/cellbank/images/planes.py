"""The planes of an image, one after the other, each in memory once."""

import math
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from cellbank.images.directory import UNCOMPRESSED, Directories, Page
from cellbank.images.header import Layout, read_layout
from cellbank.images.soundness import Segments, check_layout, is_picture
from cellbank.images.source import Source, Window, opened
from cellbank.model.errors import BadImage

MAX_PLANE: Final = 1 << 31
"""Bytes of a page that is read whole."""


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
    with opened(source) as window:
        directories = Directories(window)
        layout = read_layout(window, directories)
        if layout.offset is not None:
            yield from _stored_in_a_row(window, layout)
            return
        check_layout(directories, layout)
        yield from _paged(window, directories, layout)


def _stored_in_a_row(window: Window, layout: Layout) -> Iterator[NDArray[Any]]:
    header = layout.header
    dtype = np.dtype(header.dtype).newbyteorder(">" if header.big_endian else "<")
    length = math.prod(header.plane_shape) * dtype.itemsize
    _limit(window, length)
    for number in range(header.planes):
        data = window.at((layout.offset or 0) + number * length, length)
        plane = np.frombuffer(data, dtype).reshape(header.plane_shape)
        yield plane.astype(dtype.newbyteorder("="), copy=False)


def _paged(window: Window, directories: Directories, layout: Layout) -> Iterator[NDArray[Any]]:
    segments = Segments(window, directories)
    shape = (-1, *layout.header.plane_shape)
    decoder = None
    try:
        for index in layout.pages:
            page = directories.page(index or 0)
            _limit(window, math.prod(page.shape) * np.dtype(page.dtype).itemsize)
            # Others are decoded into memory of the right size and no more.
            segments.check(page, f"page {index}", decode=is_picture(page))
            if _is_stored(directories, page):
                yield from _stored(window, directories, page, segments).reshape(shape)
                continue
            decoder = decoder or _open(window)
            array = decoder.pages[index].asarray(maxworkers=1)
            yield from array.astype(page.dtype, copy=False).reshape(shape)
    finally:
        if decoder is not None:
            decoder.close()


def _open(window: Window) -> Any:
    import tifffile

    import cellbank.images.series  # noqa: F401  it keeps tifffile silent

    window.file.seek(0)
    return tifffile.TiffFile(window.file, _multifile=False)


def _limit(window: Window, length: int) -> None:
    if length > MAX_PLANE:
        raise BadImage(window.name, f"a plane of {length} bytes is too large to be read whole")


def _is_stored(directories: Directories, page: Page) -> bool:
    """Tell whether a page's pixels lie in the file just as they are in memory."""
    return (
        page.compression == UNCOMPRESSED
        and not page.tiled
        and page.bits == 8 * np.dtype(page.dtype).itemsize
        and page.dtype != "bool"
        and directories.number(page.tags, 266, 1) == 1
        and directories.number(page.tags, 317, 1) == 1
    )


def _stored(
    window: Window, directories: Directories, page: Page, segments: Segments
) -> NDArray[Any]:
    dtype = np.dtype(page.dtype).newbyteorder(">" if directories.order == ">" else "<")
    whole = np.empty(page.shape, dtype)
    into, at = whole.data.cast("B"), 0
    row = page.width * (1 if page.planar else page.samples) * dtype.itemsize
    per_sample = page.height * row
    for offset, count in zip(*segments.places(page, "the page"), strict=True):
        # A strip is no longer than what is left of its sample's rows.
        length = min(count, page.segment[0] * row, per_sample - at % per_sample)
        into[at : at + length] = window.at(offset, length)
        at += length
    return whole.astype(dtype.newbyteorder("="), copy=False)
