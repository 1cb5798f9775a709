"""Whether the pixels of an image file are all there and can be decoded."""

import math
from typing import Any, Final

import msgspec

from cellbank.images.directory import MAX_SEGMENTS, UNCOMPRESSED, Directories, Page
from cellbank.images.header import Header, Layout, read_layout
from cellbank.images.source import Source, Window, opened
from cellbank.model.errors import BadImage

MAX_SEGMENT: Final = 1 << 29
"""Bytes of a compressed strip or tile when decoded."""

_TO_BYTES: Final = {
    5: "lzw_decode",
    8: "deflate_decode",
    32773: "packbits_decode",
    32946: "deflate_decode",
    34925: "lzma_decode",
    34926: "zstd_decode",
    50000: "zstd_decode",
}
_TO_PIXELS: Final = {
    7: "jpeg_decode",
    22610: "jpegxr_decode",
    33003: "jpeg2k_decode",
    33004: "jpeg2k_decode",
    33005: "jpeg2k_decode",
    34712: "jpeg2k_decode",
    34927: "webp_decode",
    34933: "png_decode",
    34934: "jpegxr_decode",
    50001: "webp_decode",
    50002: "jpegxl_decode",
    52546: "jpegxl_decode",
}
"""The encoded bytes say themselves how large they become."""


def check_data(source: Source) -> Header:
    """Check that all pixels of an image are there, and that compressed ones decode.

    Stored pixels are not read: that their bytes lie inside the file is enough. Compressed ones are
    decoded one strip or tile at a time.

    Parameters
    ----------
    source
        A path, or a seekable binary file whose position is moved.

    Returns
    -------
    Header
        What the image says of itself.

    Raises
    ------
    BadImage
        Something is missing, damaged, or larger than the page says.
    """
    with opened(source) as window:
        directories = Directories(window)
        layout = read_layout(window, directories)
        check_layout(directories, layout)
        segments = Segments(window, directories)
        for index in range(len(directories)):
            page = directories.page(index)
            segments.check(page, f"page {index}")
            for number, offset in enumerate(_smaller(directories, page)):
                segments.check(directories.page_at(offset), f"page {index}, level {number + 1}")
    return layout.header


def check_layout(directories: Directories, layout: Layout) -> None:
    """Check that every plane of the image has a page, and that these are alike."""
    if layout.offset is not None:
        return
    first = directories.page(layout.pages[0] or 0)
    for number, index in enumerate(layout.pages):
        if index is None or index >= len(directories):
            raise BadImage(directories.name, f"plane {number} of {len(layout.pages)} is missing")
        page = directories.page(index)
        if page.like != first.like:
            raise BadImage(
                directories.name,
                f"page {index} is {page.shape} {page.dtype}, others {first.shape} {first.dtype}",
            )


def _smaller(directories: Directories, page: Page) -> tuple[int, ...]:
    """Return where the smaller versions of a page lie (SubIFDs)."""
    value = page.tags.get(330)
    return directories.numbers(value, 64) if value is not None and value.count else ()


class Segments:
    """The strips or tiles of a file's pages.

    Invariant: no segment is decoded twice, and together they are not longer than the file, so
    that checking takes time in proportion to it.
    """

    def __init__(self, window: Window, directories: Directories) -> None:
        self._window = window
        self._directories = directories
        self._decoded: set[tuple[int, int, int]] = set()
        self._left = window.size

    def check(self, page: Page, where: str, *, decode: bool = True) -> None:
        """Check the segments of one page."""
        places = zip(*self.places(page, where), strict=True)
        for number, place in enumerate(places):
            self.check_one(page, where, number, place, decode=decode)

    def check_one(
        self, page: Page, where: str, number: int, place: tuple[int, int], *, decode: bool = True
    ) -> None:
        """Check the segment with a number, at an offset and of a length in the file."""
        offset, count = place
        if page.tiled and not offset and not count:
            return  # a tile without bytes is all zeros
        part = f"{where}, {'tile' if page.tiled else 'strip'} {number}"
        if offset + count > self._window.size:
            raise self._bad(part, "is truncated: it ends behind the end of the file")
        rows = _rows(page, number)
        if page.compression != UNCOMPRESSED:
            if count > 2 * page.segment[0] * row_bytes(page) + (1 << 16):
                raise self._bad(part, "is longer than it can be")
            if decode:
                self._decode(page, part, place, rows)
        elif count < rows * row_bytes(page):
            raise self._bad(part, f"has {count} bytes and needs {rows * row_bytes(page)}")

    def places(self, page: Page, where: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return offsets and lengths of a page's segments."""
        height, width = page.segment
        wanted = math.ceil(page.width / width) * math.ceil(page.height / height)
        wanted *= page.samples if page.planar else 1
        offsets_at = page.tags.get(324 if page.tiled else 273)
        counts_at = page.tags.get(325 if page.tiled else 279)
        if offsets_at is None or counts_at is None:
            raise self._bad(where, "does not say where its pixels lie")
        if wanted > MAX_SEGMENTS:
            raise self._bad(where, f"has {wanted} strips or tiles, too many to be read")
        if offsets_at.count < wanted or counts_at.count < wanted:
            found = min(offsets_at.count, counts_at.count)
            raise self._bad(where, f"has {found} strips or tiles and needs {wanted}")
        numbers = self._directories.numbers
        offsets, counts = (
            numbers(msgspec.structs.replace(said, count=wanted)) for said in (offsets_at, counts_at)
        )
        if min(offsets) < 0 or min(counts) < 0:
            raise self._bad(where, "has strips or tiles at negative places")
        return offsets, counts

    def _bad(self, where: str, reason: str) -> BadImage:
        return BadImage(self._window.name, f"{where} {reason}")

    def _decode(self, page: Page, part: str, place: tuple[int, int], rows: int) -> None:
        need, most = rows * row_bytes(page), page.segment[0] * row_bytes(page)
        if most > MAX_SEGMENT:
            raise self._bad(part, f"of {most} bytes is too large")
        key = (*place, need)
        if key in self._decoded:
            return
        self._decoded.add(key)
        self._left -= place[1]
        if self._left < 0:
            raise self._bad(part, "overlaps others")
        data = self._window.at(*place)
        try:
            found = self._length(page, data, rows, most)
        except (MemoryError, BadImage):
            raise
        except Exception as error:  # noqa: BLE001  codecs raise whatever they like
            told = str(error).partition("\n")[0][:200]
            raise self._bad(part, f"does not decode: {told}") from None
        if not need <= found <= most:
            raise self._bad(part, f"decodes to {found} bytes instead of {need}")

    def _length(self, page: Page, data: bytes, rows: int, most: int) -> int:
        """Decode a segment; never into more memory than it may need."""
        import imagecodecs

        if page.compression in _TO_BYTES:
            if self._directories.number(page.tags, 266, 1) == 2:
                data = bytes(imagecodecs.bitorder_decode(data))
            decode = getattr(imagecodecs, _TO_BYTES[page.compression])
            return len(decode(data, out=most + 1))
        if page.compression not in _TO_PIXELS:
            raise BadImage(
                self._window.name,
                f"compression {page.compression} is not read",
                "Save it without compression, or with Deflate.",
            )
        decode = getattr(imagecodecs, _TO_PIXELS[page.compression])
        options: dict[str, Any] = {}
        if page.compression == 7:
            options["tables"] = self._directories.text(page, 347) or None
        try:
            return int(decode(data, out=_room(page, rows), **options).nbytes)
        except ValueError:
            # The last strip may be as high as the others.
            return int(decode(data, out=_room(page, page.segment[0]), **options).nbytes)


def _rows(page: Page, number: int) -> int:
    """Return how many rows a segment has: the last strip may be shorter, a tile never is."""
    height, width = page.segment
    down = math.ceil(page.height / height)
    across = math.ceil(page.width / width)
    if page.tiled or (number // across) % down < down - 1:
        return height
    return page.height - (down - 1) * height


def row_bytes(page: Page) -> int:
    """Return how many bytes a row of a page's strip or tile has when it is decoded."""
    samples = 1 if page.planar else page.samples
    bits = page.bits
    if is_picture(page):
        # Their decoders give whole bytes: the 12 bits of a JPEG come as 16.
        bits = next(n for n in (8, 16, 32, 64, 128) if bits <= n)
    return (page.segment[1] * samples * bits + 7) // 8


def _room(page: Page, rows: int) -> Any:
    """Return an array into which a decoded segment fits, and nothing else."""
    import numpy as np

    samples = () if page.planar or page.samples == 1 else (page.samples,)
    return np.empty((rows, page.segment[1], *samples), page.dtype)


def is_picture(page: Page) -> bool:
    """Tell whether a page is compressed as pictures that say their own size (JPEG and the like)."""
    return page.compression != UNCOMPRESSED and page.compression not in _TO_BYTES
