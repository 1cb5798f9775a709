"""Headers of TIFF files that are not OME-TIFF, as tifffile understands their many dialects."""

import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import tifffile

from cellbank.images.directory import Directories
from cellbank.images.omexml import no_such_scene, to_micrometre
from cellbank.images.source import SharedFile, Window
from cellbank.model.errors import BadImage

# What it has to say about bad files goes into our errors, not to stderr.
logging.getLogger("tifffile").addHandler(logging.NullHandler())

_COUNTED = frozenset({"images", "channels", "slices", "frames"})


class Series(msgspec.Struct, frozen=True):
    """What tifffile makes of an image of a file."""

    format: str
    axes: str
    shape: tuple[int, ...]
    pages: tuple[int | None, ...]
    offset: int | None
    """Where all planes lie in a row, if they do."""
    notes: tuple[str, ...]
    images: int
    channels: tuple[str | None, ...] = ()
    pixel_size: dict[str, float] = {}


def _counts(tiff: tifffile.TiffFile, name: str) -> dict[str, int]:
    """Return how many images, channels, slices and frames ImageJ says that there are."""
    said = tiff.imagej_metadata or {}
    found = {}
    for one in _COUNTED & said.keys():
        try:
            found[one] = int(said[one])
        except (TypeError, ValueError, OverflowError):
            what = f"ImageJ's description says {one}={said[one]}"[:80]
            advice = "Save it again with ImageJ."
            raise BadImage(name, f"{what}, which is no number", advice) from None
    return found


def read_series(
    window: Window, directories: Directories, description: bytes, scene: int = 0
) -> Series:
    """Read what is known of a series that tifffile finds."""
    with alone(window) as tiff:
        # Where planes without a directory of their own are cut off, tifffile takes what is left.
        wanted = _counts(tiff, window.name).get("images", 1)
        count = len(tiff.series)
        if not 0 <= scene < count:
            raise no_such_scene(window.name, scene, count)
        series = tiff.series[scene]
        axes, shape = str(series.axes), tuple(int(n) for n in series.shape)
        kind = "imagej-tiff" if tiff.is_imagej else "tiff"
        pages, offset = _places(window, directories, series)
        details = _imagej(tiff) if tiff.is_imagej else {}
    if not axes.endswith(("YX", "YXS")) or len(axes) != len(shape):
        raise BadImage(window.name, f"its axes {axes} are not understood", "Save it as OME-TIFF.")
    planes = math.prod(shape[: axes.index("Y")])
    if count == 1 and wanted > planes:
        raise BadImage(window.name, f"truncated: it has {planes} of {wanted} images")
    notes: tuple[str, ...] = ()
    if description.startswith(b"<?xml") and b"OME" in description[:2000]:
        notes = ("invalid OME-XML: it does not end",)
    return Series(
        format=kind,
        axes=axes,
        shape=shape,
        pages=pages,
        offset=offset,
        images=count,
        notes=notes,
        **details,
    )


@contextmanager
def alone(window: Window) -> Iterator[Any]:
    """Open a file in tifffile so that it can open no other, whatever this one names.

    `_multifile` keeps it from the files of an OME-TIFF. Micro-Manager's it looks for beside a file
    that has a descriptor, so what it gets has none.
    """
    file = window.file if isinstance(window.file, SharedFile) else SharedFile(window.file)
    file.seek(0)
    opened: Any = file
    with tifffile.TiffFile(opened, _multifile=False) as tiff:
        yield tiff


def _places(
    window: Window, directories: Directories, series: Any
) -> tuple[tuple[int | None, ...], int | None]:
    # A page's own number is not always that of its directory (Micro-Manager).
    numbers = {offset: number for number, offset in enumerate(directories.offsets)}
    pages = tuple(None if page is None else numbers.get(page.offset) for page in series.pages)
    if series.dataoffset is None:
        return pages, None
    if series.dataoffset + series.nbytes > window.size:
        end = series.dataoffset + series.nbytes
        reason = f"truncated: its pixels end at byte {end} of {window.size}"
        raise BadImage(window.name, reason)
    return pages, int(series.dataoffset)


def _imagej(tiff: Any) -> dict[str, Any]:
    """Return channel names and pixel size as ImageJ keeps them."""
    said = tiff.imagej_metadata or {}
    unit = str(said.get("unit", "")).replace("\\u00B5", "µ").strip()
    sizes = {"Z": said.get("spacing")} if said.get("slices", 1) > 1 else {}
    for axis, tag in (("Y", 283), ("X", 282)):
        value = tiff.pages.first.tags.valueof(tag)
        if isinstance(value, tuple) and len(value) == 2 and value[0]:
            sizes[axis] = value[1] / value[0]
    pixel_size = {
        axis: length
        for axis, size in sizes.items()
        if isinstance(size, int | float) and (length := to_micrometre(float(size), unit))
    }
    count = int(said.get("channels", 1))
    labels = said.get("Labels")
    channels: tuple[str, ...] = ()
    if isinstance(labels, list) and len(labels) == count > 1:
        channels = tuple(map(str, labels))
    return {"pixel_size": pixel_size, "channels": channels}
