"""The pixels of a TIFF file of any dialect: just the rows, strips and tiles that are asked for."""

import math
import os
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from cellbank.images.channel import Channel
from cellbank.images.directory import UNCOMPRESSED, Directories, Page
from cellbank.images.header import Header, Layout, read_layout
from cellbank.images.ome import Ome, ome_of
from cellbank.images.omexml import looks_like_ome
from cellbank.images.pixels import ALWAYS_ALLOWED, MAX_RATIO, UNNAMED, Pixels, allocated
from cellbank.images.soundness import MAX_SEGMENT, Segments, is_picture, row_bytes
from cellbank.images.source import SharedFile, Source, Window, is_far, opened
from cellbank.images.xmltree import InvalidOme, read_tree
from cellbank.model.errors import BadImage

_MAX_LEVELS: Final = 32
_TOGETHER: Final = 4
"""So many times as much as one plane may have is read at once, in any number of planes."""
Decode = Callable[..., Any]


class TiffPixels(Pixels):
    """One image of a TIFF file.

    `planar` tells that the samples of a pixel lie apart in the file.

    Invariant: a path is opened for each reading and closed again, so that any number of images can
    be open; what other processes and threads read does not matter.
    """

    def __init__(self, source: Source, name: str, scene: int = 0) -> None:
        self.name = name
        self._source = source
        with opened(self._reader(), name) as window:
            self._directories = Directories(window, lazily=is_far(source))
            layout = read_layout(window, self._directories, scene)
            self._description = self._directories.text(self._directories.first, 270)
            self._page = self._directories.page(layout.pages[0] or 0)
            self._levels = tuple(self._smaller())
            self._size = window.size
        self._layout = layout
        self.planar = self._page.planar
        self.side_by_side = isinstance(source, (str, os.PathLike))
        self.header = _each_once(_samples_last(layout.header), name)
        self.levels = tuple((page.height, page.width) for page in (self._page, *self._levels))
        self.scenes = layout.scenes
        self.acquired = layout.acquired
        self.channels = _channels(layout)
        self._stored_as = self.dtype.newbyteorder(">" if self.header.big_endian else "<")
        self._decoders: dict[tuple[object, ...], Decode] = {}
        self._starts: dict[tuple[int, int], int] = {}
        """By level and plane: where its rows lie, if they lie in a row, just as in memory."""

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_decoders": {}}

    @property
    def ome(self) -> Ome | None:
        """What OME-XML says, if there is any."""
        if not looks_like_ome(self._description):
            return None
        try:
            root, _ = read_tree(self._description, self.name)
        except InvalidOme:
            return None
        return ome_of(root, self._description.decode(errors="replace"))

    def _reader(self) -> Source:
        """Return the source with a position of its own."""
        return self._source.reader() if isinstance(self._source, SharedFile) else self._source

    def _smaller(self) -> Iterator[Page]:
        """Return the smaller versions of the first page."""
        for offset in _subdirectories(self._directories, self._page)[:_MAX_LEVELS]:
            page = self._directories.page_at(offset)
            if (page.samples, page.dtype) == (self._page.samples, self._page.dtype):
                yield page

    def planes(
        self, numbers: Sequence[int], rows: slice, columns: slice, level: int = 0
    ) -> Iterator[NDArray[Any]]:
        """Yield planes, or regions of them; compressed strips and tiles are decoded whole."""
        with opened(self._reader(), self.name) as window:
            reading = _Reading(self, window, rows, columns)
            for number in numbers:
                yield reading.plane(number, level)

    def plane(self, number: int, rows: slice, columns: slice, level: int = 0) -> NDArray[Any]:
        """Return one plane, or a region of it."""
        with opened(self._reader(), self.name) as window:
            return _Reading(self, window, rows, columns).plane(number, level)

    def fill(
        self,
        out: NDArray[Any],
        numbers: Sequence[int],
        rows: slice,
        columns: slice,
        level: int = 0,
    ) -> None:
        """Read planes into `out`; stored pixels go straight there."""
        with opened(self._reader(), self.name) as window:
            reading = _Reading(self, window, rows, columns)
            for number, place in zip(numbers, out, strict=True):
                reading.plane(number, level, place)


class _Reading:
    """One reading of a region of some planes, through one open file."""

    def __init__(self, pixels: TiffPixels, window: Window, rows: slice, columns: slice) -> None:
        self._pixels = pixels
        self._window = window
        self._rows, self._columns = rows, columns
        self._shape = pixels.sample_shape(rows, columns)
        self._samples = self._shape[2] if len(self._shape) == 3 else 0
        self._given = 0
        self._counted: set[int] = set()
        self._stored_as = pixels._stored_as

    @cached_property
    def _directories(self) -> Directories:
        return self._pixels._directories.over(self._window)

    @cached_property
    def _segments(self) -> Segments:
        return Segments(self._window, self._directories)

    def plane(self, number: int, level: int, out: NDArray[Any] | None = None) -> NDArray[Any]:
        """Return the region of a plane, in `out` if that is given."""
        start = self._pixels._starts.get((level, number))
        if start is None:
            layout = self._pixels._layout
            if layout.offset is not None:
                return self._in_a_row(layout.offset, number, out)
            page, where = self._page(number, level)
            if not _is_stored(self._directories, page):
                return self._decoded(page, where, out)
            start = self._remember(page, where, (level, number))
            if start is None:
                return self._stored(page, where, out)
        made = self._made(out)
        self._rows_into(made, start, self._width(level))
        return self._native(made, out)

    def _width(self, level: int) -> int:
        """Return the bytes of a row of interleaved pixels."""
        width = self._pixels.levels[level][1]
        return width * max(self._samples, 1) * self._pixels.dtype.itemsize

    def _remember(self, page: Page, where: str, key: tuple[int, int]) -> int | None:
        """Return and note where the rows of a stored page lie, if they do so without gaps."""
        offsets, counts = self._segments.places(page, where)
        whole = page.height * self._width(key[0])
        ends = (offset + count for offset, count in zip(offsets, counts, strict=True))
        adjoin = all(end == start for end, start in zip(ends, offsets[1:], strict=False))
        if page.planar or not adjoin or sum(counts) != whole:
            return None
        if offsets[0] + whole > self._window.size:
            return None
        self._pixels._starts[key] = offsets[0]
        return offsets[0]

    def _page(self, number: int, level: int) -> tuple[Page, str]:
        pages, first = self._pixels._layout.pages, self._pixels._page
        index = pages[number] if number < len(pages) else None
        if index is None or not self._directories.has(index):
            raise BadImage(self._window.name, f"plane {number} of {len(pages)} is missing")
        page = self._directories.page(index)
        if page.like != first.like:
            raise BadImage(
                self._window.name,
                f"page {index} is {page.shape} {page.dtype}, others {first.shape} {first.dtype}",
            )
        if not level:
            return page, f"page {index}"
        smaller = _subdirectories(self._directories, page)
        if len(smaller) < level:
            raise BadImage(self._window.name, f"page {index} has no level {level}")
        found, wanted = self._directories.page_at(smaller[level - 1]), self._pixels._levels
        if found.like != wanted[level - 1].like:
            raise BadImage(self._window.name, f"page {index}, level {level}, is unlike the first")
        return found, f"page {index}, level {level}"

    # --- stored pixels

    def _in_a_row(self, offset: int, number: int, out: NDArray[Any] | None) -> NDArray[Any]:
        """Read a plane of those that lie one behind the other, without directories."""
        page = self._pixels._page
        plane = page.height * page.width * max(self._samples, 1) * self._pixels.dtype.itemsize
        made = self._made(out)
        if page.planar:
            each = plane // page.samples
            for sample in range(page.samples):
                part = np.empty(self._shape[:2], made.dtype)
                width = self._width(0) // page.samples
                self._rows_into(part, offset + number * plane + sample * each, width)
                made[..., sample] = part
        else:
            self._rows_into(made, offset + number * plane, self._width(0))
        return self._native(made, out)

    def _stored(self, page: Page, where: str, out: NDArray[Any] | None) -> NDArray[Any]:
        """Read a page whose pixels lie in the file just as they are in memory."""
        self._limit(page, where)
        made = self._made(out)
        places = list(zip(*self._segments.places(page, where), strict=True))
        down = math.ceil(page.height / page.segment[0])
        for sample in range(page.samples if page.planar else 1):
            part = np.empty(self._shape[:2], made.dtype) if page.planar else made
            for strip in _overlapping(self._rows, page.segment[0]):
                number = sample * down + strip
                self._segments.check_one(page, where, number, places[number])
                top = strip * page.segment[0]
                rows = slice(
                    max(self._rows.start, top), min(self._rows.stop, top + page.segment[0])
                )
                into = part[rows.start - self._rows.start : rows.stop - self._rows.start]
                width = page.width * made.dtype.itemsize * (1 if page.planar else page.samples)
                self._rows_into(into, places[number][0], width, top, rows)
            if page.planar:
                made[..., sample] = part
        return self._native(made, out)

    def _rows_into(
        self,
        into: NDArray[Any],
        offset: int,
        width: int,
        top: int = 0,
        rows: slice | None = None,
    ) -> None:
        """Read rows of so many bytes; the first of them, row `top`, begins at `offset`."""
        rows = self._rows if rows is None else rows
        length = into.nbytes // into.shape[0]
        start = offset + (rows.start - top) * width
        if length == width and into.flags.c_contiguous:
            self._window.into(_bytes(into), start)
            return
        start += self._columns.start * (length // into.shape[1])
        for number in range(into.shape[0]):
            line = np.empty(into.shape[1:], into.dtype)
            self._window.into(_bytes(line), start + number * width)
            into[number] = line

    def _made(self, out: NDArray[Any] | None) -> NDArray[Any]:
        """Return where stored pixels are read into: `out` itself if it may be."""
        stored = self._stored_as
        if out is not None and out.flags.c_contiguous and stored.isnative:
            return out
        return allocated(self._shape, stored, self._window.name)

    def _native(self, made: NDArray[Any], out: NDArray[Any] | None) -> NDArray[Any]:
        if out is None:
            return made if made.dtype.isnative else made.astype(self._pixels.dtype)
        if made is not out:
            out[...] = made
        return out

    # --- compressed pixels

    def _decoded(self, page: Page, where: str, out: NDArray[Any] | None) -> NDArray[Any]:
        """Decode the strips and tiles of a page that the region touches."""
        self._limit(page, where)
        made = self._zeroed(page.dtype) if out is None else out
        decode, tables = self._decoder(page)
        height, width = page.segment
        across, down = math.ceil(page.width / width), math.ceil(page.height / height)
        places = list(zip(*self._segments.places(page, where), strict=True))
        for sample in range(page.samples if page.planar else 1):
            for y in _overlapping(self._rows, height):
                for x in _overlapping(self._columns, width):
                    number = (sample * down + y) * across + x
                    place = places[number]
                    self._segments.check_one(page, where, number, place, decode=is_picture(page))
                    if place[1]:
                        data = self._window.at(*place)
                        tile = decode(data, number, jpegtables=tables)[0]
                    else:
                        tile = np.zeros((1, height, width, max(self._samples, 1)), page.dtype)
                    self._paste(made, tile, (y * height, x * width), sample if page.planar else -1)
        return made

    def _zeroed(self, dtype: str) -> NDArray[Any]:
        return allocated(self._shape, dtype, self._window.name, zeroed=True)

    def _paste(
        self, made: NDArray[Any], tile: NDArray[Any], corner: tuple[int, int], sample: int
    ) -> None:
        """Put what a strip or tile, (1, rows, columns, samples), shares with the region there."""
        target = made if sample < 0 else made[..., sample]
        found = tile[0] if self._samples and sample < 0 else tile[0, ..., 0]
        top, left = max(corner[0], self._rows.start), max(corner[1], self._columns.start)
        bottom = min(corner[0] + found.shape[0], self._rows.stop)
        right = min(corner[1] + found.shape[1], self._columns.stop)
        target[
            top - self._rows.start : bottom - self._rows.start,
            left - self._columns.start : right - self._columns.start,
        ] = found[top - corner[0] : bottom - corner[0], left - corner[1] : right - corner[1]]

    def _limit(self, page: Page, where: str) -> None:
        """Refuse a page that declares far more than a file of this size can hold."""
        length = math.prod(self._shape) * np.dtype(page.dtype).itemsize
        most = max(ALWAYS_ALLOWED, MAX_RATIO * self._window.size)
        if page.compression == UNCOMPRESSED and not page.tiled:
            most = 8 * self._window.size
        # A page counts once, however often it is asked for.
        self._given += 0 if page.at in self._counted else length
        self._counted.add(page.at)
        if length > most or self._given > _TOGETHER * most:
            reason = f"{where} declares {length} bytes of pixels in a file of {self._window.size}"
            raise BadImage(self._window.name, reason)
        if page.segment[0] * row_bytes(page) > MAX_SEGMENT:
            raise BadImage(self._window.name, f"{where} has strips or tiles that are too large")

    def _decoder(self, page: Page) -> tuple[Decode, bytes | None]:
        """Return what decodes the segments of pages like this one."""
        number = self._directories.number
        tags = (258, 262, 266, 284, 317, 339, 530)
        said = tuple(number(page.tags, tag, -1) for tag in tags)
        key = (page.like, page.compression, page.segment, page.tiled, said)
        tables = self._directories.text(page, 347) or None if page.compression == 7 else None
        known = self._pixels._decoders
        if key not in known:
            known[key] = _tifffile_decoder(self._window, page)
        return known[key], tables


def _bytes(array: NDArray[Any]) -> memoryview:
    return array.reshape(-1).view(np.uint8).data


def _tifffile_decoder(window: Window, page: Page) -> Decode:
    import tifffile

    from cellbank.images.series import alone

    with alone(window) as tiff:
        tiff.filehandle.seek(page.at)
        decode: Decode = tifffile.TiffPage(tiff, 0).decode
    return decode


def _overlapping(wanted: slice, length: int) -> range:
    """Return the numbers of the segments of a length that a region touches."""
    return range(wanted.start // length, math.ceil(wanted.stop / length))


def _subdirectories(directories: Directories, page: Page) -> tuple[int, ...]:
    value = page.tags.get(330)
    return directories.numbers(value, 64) if value is not None and value.count else ()


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


def _samples_last(header: Header) -> Header:
    """Return a header whose samples stand behind Y and X, as planes have them."""
    if not header.axes.endswith("SYX"):
        return header
    samples, height, width = header.shape[-3:]
    return msgspec.structs.replace(
        header,
        axes=header.axes.replace("SYX", "YXS"),
        shape=(*header.shape[:-3], height, width, samples),
        planes=math.prod(header.shape[:-3]),
    )


def _each_once(header: Header, name: str) -> Header:
    """Return a header in which axes without a name differ."""
    last = header.axes.index("Y")
    free = iter(UNNAMED)
    leading = [a if a in "TCZ" else next(free, "") for a in reversed(header.axes[:last])]
    if len(set(leading)) < len(leading):
        raise BadImage(name, f"its axes {header.axes} are not understood", "Save it as OME-TIFF.")
    axes = "".join(reversed(leading)) + header.axes[last:]
    return msgspec.structs.replace(header, axes=axes)


def _channels(layout: Layout) -> tuple[Channel, ...]:
    header = layout.header
    count = header.sizes.get("C", 1)
    known = dict(enumerate(layout.channels[:count]))
    names = dict(enumerate(header.channels[:count]))
    return tuple(known.get(number) or Channel(names.get(number), number) for number in range(count))
