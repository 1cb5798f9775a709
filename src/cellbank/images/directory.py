"""The directories of a TIFF file: which pages it has and where their bytes lie.

Ours, because we look at many files, at all of their pages, and trust none: every length is
checked before it is used, and nothing is read but the directories. Pixels are tifffile's to decode.
TIFF 6.0 (1992) and BigTIFF.
"""

import struct
import threading
from typing import Any, Final

import msgspec

from cellbank.images.source import Window
from cellbank.model.errors import BadImage

MAX_SIDE: Final = 1 << 20
MAX_PAGES: Final = 1 << 17
MAX_SEGMENTS: Final = 1 << 22
MAX_ENTRIES: Final = 4096
MAX_TEXT: Final = 32 << 20

_CODES: Final = {1: "B", 2: "s", 3: "H", 4: "I", 6: "b", 7: "s", 8: "h", 9: "i", 13: "I"}
_CODES_BIG: Final = _CODES | {16: "Q", 17: "q", 18: "Q"}
_KINDS: Final = {1: "uint", 2: "int", 3: "float", 4: "uint", 5: "complex", 6: "complex"}
_EXACT: Final = {
    "int": {8, 16, 32, 64},
    "float": {16, 32, 64},
    "complex": {64, 128},
}

_TELLING: Final = (256, 257, 258, 259, 277, 278, 284, 322, 323, 339, 32997)
"""Tags that say what a page is like."""

UNCOMPRESSED: Final = 1


class Value(msgspec.Struct, frozen=True, gc=False):
    """Where the values of a tag lie."""

    kind: int
    count: int
    offset: int


class Page(msgspec.Struct, frozen=True, gc=False):
    """One page: its shape and how it is stored."""

    height: int
    width: int
    samples: int
    bits: int
    dtype: str
    planar: bool
    compression: int
    segment: tuple[int, int]
    """Height and width of a tile; of a strip, its width is the page's."""
    tiled: bool
    tags: dict[int, Value]
    at: int
    """Where its directory lies."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape as tifffile gives it: YX, YXS, or SYX where samples lie apart."""
        if self.samples == 1:
            return (self.height, self.width)
        if self.planar:
            return (self.samples, self.height, self.width)
        return (self.height, self.width, self.samples)

    @property
    def axes(self) -> str:
        """The axes of `shape`."""
        return "YX" if self.samples == 1 else "SYX" if self.planar else "YXS"

    @property
    def like(self) -> tuple[object, ...]:
        """What must be the same for all pages of one image."""
        return (self.shape, self.dtype, self.planar)


class _Chain:
    """Where the directories of a file lie, as far as they were followed; each names the next."""

    def __init__(self, offsets: list[int], following: int, left: int) -> None:
        self.offsets = offsets
        self.following = following
        self.left = left
        """Directories do not overlap: together they are no longer than the file."""
        self.lock = threading.Lock()
        self._seen = set(offsets)

    def add(self, length: int, following: int) -> str:
        """Go on by a directory of so many bytes; return what is wrong with the one after it."""
        if len(self.offsets) >= MAX_PAGES:
            return f"it has more than {MAX_PAGES} pages"
        self._seen.add(self.following)
        left = self.left - length
        if following and (following in self._seen or left <= 0):
            return "its directories go in circles"
        self.offsets.append(self.following)
        self.following, self.left = following, left
        return ""


class Directories:
    """The directories of one file, in order; looked at as they are asked for.

    Parameters
    ----------
    window
        The file.
    lazily
        Follow them only as far as they are asked for: each may lie behind a plane, and come from
        afar.
    """

    def __init__(self, window: Window, *, lazily: bool = False) -> None:
        self._window = window
        self.name = window.name
        head = window.at(0, min(8, window.size))
        order = {b"II": "<", b"MM": ">"}.get(head[:2])
        if order is None or len(head) < 8:
            raise self._bad("this is no TIFF file")
        self.order: str = order
        version = struct.unpack(f"{order}H", head[2:4])[0]
        if version not in {42, 43} or (
            version == 43 and head[4:8] != struct.pack(f"{order}HH", 8, 0)
        ):
            raise self._bad("this is no TIFF file")
        self.big = version == 43
        self._prepare()
        first = self._next.unpack(window.at(8 if self.big else 4, self._next.size))[0]
        self._chain = _Chain([], first, window.size)
        if not (self.has(0) if lazily else len(self)):
            raise self._bad("it has no pages")
        self.first = self.page(0)

    def _prepare(self) -> None:
        order = self.order
        self._count = struct.Struct(f"{order}{'Q' if self.big else 'H'}")
        self._next = struct.Struct(f"{order}{'Q' if self.big else 'I'}")
        self._entry = struct.Struct(f"{order}{'HHQ8s' if self.big else 'HHI4s'}")
        self._codes = _CODES_BIG if self.big else _CODES
        self._sizes = {kind: struct.calcsize(code) for kind, code in self._codes.items()}
        self._telling = {struct.pack(f"{order}H", tag) for tag in _TELLING}

    def __getstate__(self) -> dict[str, Any]:
        return {key: getattr(self, key) for key in ("name", "order", "big", "offsets", "first")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Become what was sent from another process; to be read `over` a window of this one."""
        self._chain = _Chain(state.pop("offsets"), 0, 0)
        self.__dict__.update(state)
        self._prepare()

    def __len__(self) -> int:
        return len(self.offsets)

    @property
    def offsets(self) -> list[int]:
        """Where all of them lie."""
        self._follow(MAX_PAGES)
        return self._chain.offsets

    @property
    def most(self) -> int:
        """How many there can be: as many as there are once all were followed."""
        return MAX_PAGES if self._chain.following else len(self._chain.offsets)

    def has(self, index: int) -> bool:
        """Tell whether there is a directory with a number."""
        self._follow(index)
        return index < len(self._chain.offsets)

    def over(self, window: Window) -> "Directories":
        """Return the same directories, read through another window."""
        other = object.__new__(Directories)
        other.__dict__.update(self.__dict__, _window=window)
        return other

    def _bad(self, reason: str) -> BadImage:
        return BadImage(self.name, reason)

    def _follow(self, index: int) -> None:
        """Follow the directories up to a number, or to the last."""
        chain = self._chain
        with chain.lock:
            while chain.following and len(chain.offsets) <= index:
                offset = chain.following
                length = self._entries(offset) * self._entry.size + self._count.size
                after = self._next.unpack(self._window.at(offset + length, self._next.size))[0]
                if wrong := chain.add(length, after):
                    raise self._bad(wrong)

    def _entries(self, offset: int) -> int:
        count: int = self._count.unpack(self._window.at(offset, self._count.size))[0]
        if not 0 < count <= MAX_ENTRIES:
            raise self._bad(f"a directory with {count} entries")
        return count

    def _tags(self, offset: int) -> dict[int, Value]:
        start = offset + self._count.size
        count = self._entries(offset)
        size, inline = self._entry.size, self._next.size
        raw = self._window.at(start, count * size)
        tags = {}
        where = start - inline
        for tag, kind, length, value in self._entry.iter_unpack(raw):
            where += size
            if kind in self._sizes:
                fits = length * self._sizes[kind] <= inline
                tags[tag] = Value(kind, length, where if fits else self._next.unpack(value)[0])
        return tags

    def numbers(self, value: Value, limit: int = 1 << 28) -> tuple[int, ...]:
        """Return the whole numbers of a tag."""
        if value.count > limit:
            raise self._bad(f"a tag with {value.count} values")
        form = f"{self.order}{value.count}{self._codes[value.kind]}"
        length = value.count * self._sizes[value.kind]
        found = struct.unpack(form, self._window.at(value.offset, length))
        if value.kind in {2, 7}:
            raise self._bad("text where a number should be")
        return found

    def number(self, tags: dict[int, Value], tag: int, default: int) -> int:
        """Return the first value of a tag."""
        value = tags.get(tag)
        if value is None or not value.count:
            return default
        return self.numbers(value, 1 << 16)[0]

    def text(self, page: Page, tag: int) -> bytes:
        """Return the text of a tag, without what follows its end."""
        value = page.tags.get(tag)
        if value is None or value.kind not in {1, 2, 7}:
            return b""
        if value.count > MAX_TEXT:
            raise self._bad(f"a text of {value.count} bytes")
        return self._window.at(value.offset, value.count).rstrip(b"\0")

    def alike(self) -> bool:
        """Tell whether all pages have the same shape and type."""
        known: set[bytes] = set()
        for offset in self.offsets:
            said = self._said(offset)
            if said not in known:
                if self.page_at(offset).like != self.first.like:
                    return False
                known.add(said)
        return True

    def _said(self, offset: int) -> bytes:
        """Return the entries of a directory that say what its page is like, as they are."""
        raw = self._window.at(offset + self._count.size, self._entries(offset) * self._entry.size)
        size = self._entry.size
        entries = (raw[at : at + size] for at in range(0, len(raw), size))
        return b"".join(entry for entry in entries if entry[:2] in self._telling)

    def page(self, index: int) -> Page:
        """Return a page of the main chain."""
        self._follow(index)
        return self.page_at(self._chain.offsets[index])

    def page_at(self, offset: int) -> Page:
        """Return the page whose directory lies at `offset`."""
        tags = self._tags(offset)
        width, height = self.number(tags, 256, 0), self.number(tags, 257, 0)
        if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE):
            raise self._bad(f"a page of {height} × {width} pixels")
        if self.number(tags, 32997, 1) > 1:
            raise self._bad("pages with a depth are not read")
        samples, bits = self.number(tags, 277, 1), self.number(tags, 258, 1)
        if not 0 < samples <= MAX_ENTRIES:
            raise self._bad(f"a page with {samples} samples a pixel")
        tiled = 322 in tags
        if tiled:
            segment = self.number(tags, 323, 0), self.number(tags, 322, 0)
        else:
            segment = min(self.number(tags, 278, height), height), width
        if not (0 < segment[0] <= 2 * MAX_SIDE and 0 < segment[1] <= 2 * MAX_SIDE):
            raise self._bad(f"strips or tiles of {segment[0]} × {segment[1]} pixels")
        return Page(
            height=height,
            width=width,
            samples=samples,
            bits=bits,
            dtype=self._dtype(bits, self.number(tags, 339, 1)),
            planar=samples > 1 and self.number(tags, 284, 1) == 2,
            compression=self.number(tags, 259, UNCOMPRESSED),
            segment=segment,
            tiled=tiled,
            tags=tags,
            at=offset,
        )

    def _dtype(self, bits: int, sample_format: int) -> str:
        kind = _KINDS.get(sample_format, "uint")
        if kind == "uint" and bits == 1:
            return "bool"
        if kind == "uint" and bits <= 64:
            return f"uint{next(n for n in (8, 16, 32, 64) if bits <= n)}"
        if bits not in _EXACT.get(kind, ()):
            raise self._bad(f"pixels of {bits} bits ({kind})")
        return f"{kind}{bits}"
