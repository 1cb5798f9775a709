"""Writing OME-TIFF, plane by plane: the same input gives the same bytes, in every year.

The file: head, all directories, the OME-XML, then the pixels of all planes in a row (TIFF 6.0,
BigTIFF where 4 GiB do not suffice, little-endian). Ours, because other writers put dates, their
version or a random number into it, and would have to be pinned for ever.
"""

import itertools
import math
import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, BinaryIO, Final, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from cellbank.images.channel import Channel
from cellbank.images.omewriting import OME_TYPES, ome_xml
from cellbank.images.source import name_of
from cellbank.model.errors import BadImage

_CLASSIC: Final = (1 << 32) - (1 << 26)
"""Pixels up to here leave room for directories, where they are not many."""
_STRIP: Final = 1 << 18
"""Bytes of a compressed strip, about."""
_FORMATS: Final = {"u": 1, "i": 2, "f": 3, "c": 6}
_SHORT, _LONG, _LONG8 = 3, 4, 16
_STRUCTS: Final = {_SHORT: "H", _LONG: "I", _LONG8: "Q", 2: "B"}


class Plan(msgspec.Struct, frozen=True):
    """What is known of a file before its pixels are seen."""

    plane_shape: tuple[int, ...]
    dtype: np.dtype[Any]
    planes: int
    compressed: bool
    big: bool
    xml: bytes

    @property
    def samples(self) -> int:
        """Samples a pixel: 3 for RGB."""
        return self.plane_shape[2] if len(self.plane_shape) == 3 else 1

    @property
    def rows(self) -> int:
        """Rows of a strip."""
        height, width = self.plane_shape[:2]
        row = width * self.samples * self.dtype.itemsize
        return min(height, max(1, _STRIP // row)) if self.compressed else height

    @property
    def strips(self) -> int:
        """Strips of a plane."""
        return math.ceil(self.plane_shape[0] / self.rows)


def write_ome_tiff(  # noqa: PLR0913  what OME-TIFF says of an image, by name
    file: BinaryIO,
    planes: Iterable[NDArray[Any]],
    *,
    axes: str,
    shape: Sequence[int],
    dtype: str,
    channels: Sequence[str | None] = (),
    pixel_size: Mapping[str, float] | None = None,
    compression: Literal["zlib"] | None = None,
    channel_notes: Mapping[str, str] | None = None,
    comment: str = "",
    details: Sequence[Channel] = (),
    acquired: datetime | None = None,
) -> None:
    """Write an OME-TIFF from its beginning to its end; one plane is in memory at a time.

    Parameters
    ----------
    file
        Seekable and open for writing.
    planes
        In the order of `axes`: YX, or YXS where the axes end so.
    axes
        `T`, `C` and `Z` in any order, then `YX` or `YXS`.
    shape
        How long each axis is.
    dtype
        numpy's name of it.
    channels
        Names in the order of C.
    pixel_size
        µm by axis (X, Y, Z).
    compression
        None, so that planes can be read straight from the disk, or `zlib`.
    channel_notes
        Text by the name of a channel.
    comment
        Becomes the image's description.
    details
        Colours, dyes and wavelengths of the channels, in the order of C.
    acquired
        When the image was taken.

    Raises
    ------
    BadImage
        OME-TIFF cannot hold this, or the planes are not what was announced.
    """
    name = name_of(file)
    sizes = dict(pixel_size or {})
    _check(name, axes, shape, dtype, channels, sizes)
    xml = ome_xml(
        axes,
        shape,
        dtype,
        channels=channels,
        pixel_size=sizes,
        channel_notes=channel_notes or {},
        comment=comment,
        details=details,
        acquired=acquired,
    )
    leading = len(axes.partition("Y")[0])
    pixels = np.dtype(dtype).newbyteorder("<")
    plan = Plan(
        plane_shape=tuple(shape[leading:]),
        dtype=pixels,
        planes=math.prod(shape[:leading]),
        compressed=compression == "zlib",
        big=False,
        xml=xml,
    )
    plan = msgspec.structs.replace(plan, big=_needs_big(plan))
    start = _start_of_pixels(plan)
    file.seek(start)
    places: list[tuple[int, int]] = []
    for strip in _strips(plan, planes, name):
        places.append((start, len(strip)))
        file.write(strip)
        start += len(strip)
    file.seek(0)
    file.writelines(_front(plan, places))
    file.seek(start)
    file.truncate()


def _check(
    name: str,
    axes: str,
    shape: Sequence[int],
    dtype: str,
    channels: Sequence[str | None],
    pixel_size: Mapping[str, float],
) -> None:
    leading, middle, last = axes.partition("YX")
    if (
        not middle
        or last not in {"", "S"}
        or set(leading) - set("TCZ")
        or len(set(axes)) < len(axes)
    ):
        raise BadImage(name, f"OME-TIFF has no axes {axes}", "They are T, C, Z, then YX or YXS.")
    if len(shape) != len(axes) or min(shape) < 1:
        raise BadImage(name, f"the shape {tuple(shape)} does not fit the axes {axes}")
    if dtype not in OME_TYPES:
        raise BadImage(name, f"OME-TIFF has no {dtype} pixels", "Labels: save them as uint32.")
    count = dict(zip(axes, shape, strict=True)).get("C", 1)
    if channels and len(channels) != count:
        what = f"{len(channels)} names for {count} channels: its axes are taken for {axes}"
        raise BadImage(name, what, "Name each channel once, and the axes as they lie.")
    for axis, size in pixel_size.items():
        if axis not in {"X", "Y", "Z"} or not (math.isfinite(size) and size > 0):
            raise BadImage(name, f"a pixel size of {size} µm in {axis}")


def _strips(plan: Plan, planes: Iterable[NDArray[Any]], name: str) -> Iterator[memoryview | bytes]:
    count = 0
    for plane in itertools.islice(planes, plan.planes + 1):
        count += 1
        if plane.shape != plan.plane_shape or plane.dtype.newbyteorder("<") != plan.dtype:
            reason = f"plane {count - 1} is {plane.shape} {plane.dtype}"
            raise BadImage(name, f"{reason}, not {plan.plane_shape} {plan.dtype.name}")
        stored = np.ascontiguousarray(plane, plan.dtype)
        for first in range(0, plan.plane_shape[0], plan.rows):
            strip = stored[first : first + plan.rows].data.cast("B")
            yield zlib.compress(strip, 6) if plan.compressed else strip
    if count != plan.planes:
        raise BadImage(name, f"{'more' if count > plan.planes else 'fewer'} planes than announced")


# --- the front: head and directories ------------------------------------------------------------


def _front(plan: Plan, places: Sequence[tuple[int, int]]) -> Iterator[bytes]:
    """Return the front piece by piece; its length is known before the places are."""
    at = 16 if plan.big else 8
    yield (
        struct.pack("<2sHHHQ", b"II", 43, 8, 0, at)
        if plan.big
        else struct.pack("<2sHI", b"II", 42, at)
    )
    text = at + _length(plan, first=True) + (plan.planes - 1) * _length(plan, first=False)
    for number in range(plan.planes):
        length = _length(plan, first=number == 0)
        own = places[number * plan.strips : (number + 1) * plan.strips]
        following = at + length if number + 1 < plan.planes else 0
        yield _directory(plan, at, own, text if number == 0 else None, following)
        at += length
    yield plan.xml + b"\0"
    yield bytes(-(text + len(plan.xml) + 1) % 16)


def _start_of_pixels(plan: Plan) -> int:
    end = 16 if plan.big else 8
    end += _length(plan, first=True) + (plan.planes - 1) * _length(plan, first=False)
    end += len(plan.xml) + 1
    return end + -end % 16


def _needs_big(plan: Plan) -> bool:
    """Whether offsets could become too large for TIFF (four bytes)."""
    pixels = math.prod(plan.plane_shape) * plan.dtype.itemsize * plan.planes
    # zlib makes what does not compress a little longer.
    more = pixels // 1024 + 16 * plan.strips * plan.planes if plan.compressed else 0
    return pixels > _CLASSIC or _start_of_pixels(plan) + pixels + more >= 1 << 32


def _length(plan: Plan, *, first: bool) -> int:
    return len(_directory(plan, 0, [(0, 0)] * plan.strips, 0 if first else None, 0))


def _entries(
    plan: Plan, places: Sequence[tuple[int, int]]
) -> Iterator[tuple[int, int, Sequence[int]]]:
    """Return tag, type and values, sorted by tag."""
    samples, where = plan.samples, _LONG8 if plan.big else _LONG
    colours = 3 if samples in {3, 4} else 1
    yield 256, _LONG, [plan.plane_shape[1]]
    yield 257, _LONG, [plan.plane_shape[0]]
    yield 258, _SHORT, [plan.dtype.itemsize * 8] * samples
    yield 259, _SHORT, [8 if plan.compressed else 1]
    yield 262, _SHORT, [2 if colours == 3 else 1]
    yield 273, where, [offset for offset, _ in places]
    yield 277, _SHORT, [samples]
    yield 278, _LONG, [plan.rows]
    yield 279, where, [count for _, count in places]
    yield 284, _SHORT, [1]
    if samples > colours:
        yield 338, _SHORT, [0] * (samples - colours)
    yield 339, _SHORT, [_FORMATS[plan.dtype.kind]] * samples


def _directory(
    plan: Plan, at: int, places: Sequence[tuple[int, int]], text: int | None, following: int
) -> bytes:
    """Return a directory that lies at `at`; values that do not fit into it lie behind it."""
    offset, entry = ("<Q", "<HHQ8s") if plan.big else ("<I", "<HHI4s")
    inline = struct.calcsize(offset)
    entries = [(tag, kind, len(v), _packed(kind, v)) for tag, kind, v in _entries(plan, places)]
    if text is not None:
        entries.append((270, 2, len(plan.xml) + 1, struct.pack(offset, text)))
        entries.sort()
    head = struct.pack("<Q" if plan.big else "<H", len(entries))
    end = at + len(head) + len(entries) * struct.calcsize(entry) + inline
    body, behind = [], b""
    for tag, kind, count, packed in entries:
        value = packed
        if len(packed) > inline:
            value = struct.pack(offset, end + len(behind))
            behind += packed + bytes(-len(packed) % 8)
        body.append(struct.pack(entry, tag, kind, count, value))
    behind += bytes(-(end - at + len(behind)) % 8)
    return head + b"".join(body) + struct.pack(offset, following) + behind


def _packed(kind: int, values: Sequence[int]) -> bytes:
    return struct.pack(f"<{len(values)}{_STRUCTS[kind]}", *values)
