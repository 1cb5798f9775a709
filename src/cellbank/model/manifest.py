"""Manifests: the complete list of a package's entries, cut into pages by content; its header."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any, Final
from zlib import crc32

import msgspec

from cellbank.model import canonical
from cellbank.model.digest import PIECES_ABOVE, digest_of, is_digest
from cellbank.model.errors import DigestMismatch, NotCanonical
from cellbank.model.names import path_problem

MIN_PAGE_ENTRIES: Final = 64
MAX_PAGE_ENTRIES: Final = 4096
MAX_PAGE_BYTES: Final = 4 << 20
MAX_ENTRIES: Final = 10_000_000
CUT_MODULUS: Final = 512
KINDS: Final = ("files", "cell_lines")


class Entry(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    forbid_unknown_fields=True,
    gc=False,
):
    """One path of a package.

    `filename` is None where it is the last part of the path, `meta` None where it is empty,
    `pieces` set exactly when `size` is over 8 MiB.
    """

    # In the order of their names, which is the order of canonical JSON.
    digest: str
    filename: str | None = None
    meta: dict[str, Any] | None = None
    path: str
    pieces: str | None = None
    size: int

    @property
    def name(self) -> str:
        """The file name to export under."""
        return self.filename or self.path.rpartition("/")[2]

    @property
    def is_document(self) -> bool:
        """Whether it rests in a pack of documents when it is small."""
        return is_document(self.name)


_DOCUMENTS: Final = ("json", "md", "txt", "csv", "tsv", "yaml", "xml", "html")


def is_document(filename: str) -> bool:
    """Whether a file of this name counts as a document, by its extension."""
    return filename.rpartition(".")[2].lower() in _DOCUMENTS


def make_entry(
    path: str,
    digest: str,
    size: int,
    *,
    pieces: str | None = None,
    filename: str | None = None,
    meta: dict[str, Any] | None = None,
) -> Entry:
    """Return an entry in its normal form: defaults left out."""
    if filename == path.rpartition("/")[2]:
        filename = None
    return Entry(
        digest=digest,
        filename=filename or None,
        meta=meta or None,
        path=path,
        pieces=pieces,
        size=size,
    )


class PageInfo(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """What the header says of one page: its size, number of entries, digest and first path."""

    bytes: int
    count: int
    digest: str
    first: str


class Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The list of pages; the digest of its canonical bytes is the revision."""

    bytes: int
    entries: int
    format: int
    kind: str
    pages: tuple[PageInfo, ...]


ReadPages = Callable[[Sequence[str]], Iterable[bytes]]
"""Gives pages by their digests, in the same order."""
_PATH: Final = b'"path":"'
_encoder = msgspec.json.Encoder(order="sorted")
_entry_decoder = msgspec.json.Decoder(Entry)
_header_decoder = msgspec.json.Decoder(Header)


def _encodable(entry: Entry) -> Entry:
    """Return the entry with its metadata spelled by `canonical` (msgspec spells floats its way)."""
    data = canonical.check_meta(entry.meta, f"the metadata of {entry.path}")
    return Entry(
        digest=entry.digest,
        filename=entry.filename,
        meta=msgspec.Raw(data),  # type: ignore[arg-type]
        path=entry.path,
        pieces=entry.pieces,
        size=entry.size,
    )


def encode_entries(entries: Sequence[Entry]) -> bytes:
    """Return the entries as lines of canonical JSON."""
    ready = [entry if entry.meta is None else _encodable(entry) for entry in entries]
    try:
        return _encoder.encode_lines(ready)
    except UnicodeEncodeError:
        raise NotCanonical("an entry", "text holds a lone surrogate") from None


def cut_pages(entries: Sequence[Entry]) -> Iterator[tuple[int, int, bytes]]:
    """Cut sorted entries into pages; yield (start, stop, bytes) of each.

    A page ends after an entry whose ``crc32(path) mod 512`` is 0 if it has 64 entries or more, at
    4,096 entries, or before the entry that would take it over 4 MiB.
    """
    try:
        marks = [i + 1 for i, e in enumerate(entries) if not crc32(e.path.encode()) % CUT_MODULUS]
    except UnicodeEncodeError:
        raise NotCanonical("an entry", "its path holds a lone surrogate") from None
    marks.append(len(entries))
    start, at = 0, 0
    while start < len(entries):
        while at < len(marks) - 1 and marks[at] - start < MIN_PAGE_ENTRIES:
            at += 1
        stop = min(marks[at], start + MAX_PAGE_ENTRIES)
        data = encode_entries(entries[start:stop])
        if len(data) > MAX_PAGE_BYTES:
            data = _shortened(data)
            stop = start + data.count(b"\n")
        yield start, stop, data
        start = stop


def _shortened(data: bytes) -> bytes:
    """Return the whole lines that a page can hold; raises `NotCanonical` if not even one can."""
    end = data.rfind(b"\n", 0, MAX_PAGE_BYTES) + 1
    if not end:
        raise NotCanonical(
            "an entry", f"it takes more than {MAX_PAGE_BYTES} bytes: no page holds it"
        )
    return data[:end]


class Manifest(msgspec.Struct, frozen=True):
    """A manifest ready to be kept: the header, its bytes and the bytes of every page by digest."""

    header: Header
    data: bytes
    pages: dict[str, bytes]

    @property
    def revision(self) -> str:
        """The digest of the header."""
        return digest_of(self.data)

    @classmethod
    def of(cls, entries: Iterable[Entry], kind: str = "files") -> "Manifest":
        """Return the manifest of these entries, in whatever order they come.

        Raises `NotCanonical`: Two entries have one path, there are more than 10,000,000, they have
        more than 2⁵³−1 bytes, or one breaks its form.
        """
        ordered = sorted(entries, key=_path_of)
        if len(ordered) > MAX_ENTRIES:
            raise NotCanonical("the manifest", f"more than {MAX_ENTRIES} entries")
        for before, after in pairwise(ordered):
            if before.path == after.path:
                raise NotCanonical("the manifest", f"two entries at {before.path}")
        infos, pages = [], {}
        for start, stop, data in cut_pages(ordered):
            digest = digest_of(data)
            pages[digest] = data
            infos.append(PageInfo(len(data), stop - start, digest, ordered[start].path))
        total = sum([entry.size for entry in ordered])
        if total > canonical.MAX_INTEGER:
            raise NotCanonical("the manifest", "its entries are too large together")
        header = Header(total, len(ordered), 1, kind, tuple(infos))
        return cls(header, encode_header(header), pages)


def _path_of(entry: Entry) -> str:
    return entry.path


def encode_header(header: Header) -> bytes:
    """Return the canonical bytes of a header."""
    return _encoder.encode(header)


def decode_header(data: bytes) -> Header:
    """Return the header that these bytes spell.

    Raises `NotCanonical`: Not a header of format 1, or not spelled in the one allowed way.
    """
    try:
        header = _header_decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise NotCanonical("a header", str(error)) from None
    if header.format != 1:
        raise NotCanonical("a header", f"format {header.format} is not known here")
    if header.kind not in KINDS:
        raise NotCanonical("a header", f"kind {header.kind!r} is not known here")
    if encode_header(header) != data:
        raise NotCanonical("a header", "spelled differently")
    firsts = [page.first for page in header.pages]
    if any(a >= b for a, b in pairwise(firsts)):
        raise NotCanonical("a header", "pages out of order")
    for page in header.pages:
        if not (is_digest(page.digest) and 1 <= page.count <= MAX_PAGE_ENTRIES and page.bytes > 0):
            raise NotCanonical("a header", f"the page at {page.first!r} cannot be one")
    if sum(page.count for page in header.pages) != header.entries:
        raise NotCanonical("a header", "its counts do not add up")
    if header.entries > MAX_ENTRIES or not 0 <= header.bytes <= canonical.MAX_INTEGER:
        raise NotCanonical("a header", "its totals are out of range")
    return header


def decode_page(data: bytes) -> list[Entry]:
    """Return the entries of a page whose digest is already known to be right."""
    try:
        return _entry_decoder.decode_lines(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise NotCanonical("a page", str(error)) from None


def check_entry(entry: Entry) -> None:
    """Check what a page's spelling does not show.

    Raises `NotCanonical`: A field has a value that no writer may give it.
    """
    what = f"the entry {entry.path!r}"
    if not is_digest(entry.digest):
        raise NotCanonical(what, "its digest is not 64 hex digits")
    if not 0 <= entry.size <= canonical.MAX_INTEGER:
        raise NotCanonical(what, "its size is out of range")
    if (entry.pieces is not None) != (entry.size > PIECES_ABOVE):
        raise NotCanonical(what, "pieces belong to entries over 8 MiB, and to those alone")
    if entry.pieces is not None and not is_digest(entry.pieces):
        raise NotCanonical(what, "its list of pieces is not a digest")
    if entry.filename is not None and entry.filename in ("", entry.path.rpartition("/")[2]):
        raise NotCanonical(what, "its file name is the default and must be left out")
    if entry.meta is not None and not entry.meta:
        raise NotCanonical(what, "empty metadata must be left out")
    if why := path_problem(entry.path):
        raise NotCanonical(what, f"the path has {why}")


def check_manifest(header_data: bytes, read: Callable[[str], bytes]) -> Manifest:
    """Read a whole manifest as one who receives it must: decode, encode again, compare.

    Parameters
    ----------
    header_data
        The bytes of the header.
    read
        Gives the bytes of a page by its digest.

    Returns
    -------
    Manifest
        The header and all pages, made again from the entries.

    Raises
    ------
    NotCanonical
        Anything differs from what a right writer would have written.
    DigestMismatch
        `read` gave other bytes than a page's digest names.
    """
    header = decode_header(header_data)
    entries: list[Entry] = []
    for page in header.pages:
        data = read(page.digest)
        if (found := digest_of(data)) != page.digest:
            raise DigestMismatch(f"the page at {page.first!r}", page.digest, found)
        entries += decode_page(data)
    for entry in entries:
        check_entry(entry)
    _check_sizes(entries)
    again = Manifest.of(entries, header.kind)
    if again.data != header_data:
        raise NotCanonical("the manifest", "its entries belong in other pages")
    return again


def _check_sizes(entries: Iterable[Entry]) -> None:
    """Check that entries with the same bytes have the same size and the same pieces."""
    seen: dict[str, Entry] = {}
    for entry in entries:
        other = seen.setdefault(entry.digest, entry)
        if (other.size, other.pieces) != (entry.size, entry.pieces):
            what = f"the entries {other.path!r} and {entry.path!r}"
            raise NotCanonical(what, "they have the same bytes, but not the same size")


def _lines_under(data: bytes, prefix: bytes, start: int) -> tuple[bytes, int]:
    """Return the lines of a page, from a place in it on, whose paths begin with `prefix`.

    Returns the place behind them, too. Lines are in order, so that few are looked at.
    """
    stop = len(data)
    while start < stop:
        middle = (start + stop) // 2
        first = data.rfind(b"\n", start, middle) + 1 or start
        after = data.find(b"\n", middle) + 1 or len(data)
        if _path_in(data, first, after) < prefix:
            start = after
        else:
            stop = first
    while stop < len(data):
        after = data.find(b"\n", stop) + 1 or len(data)
        if not _path_in(data, stop, after).startswith(prefix):
            break
        stop = after
    return data[start:stop], stop


def _path_in(data: bytes, first: int, after: int) -> bytes:
    """Return the path in a line: behind it stand a digest and a number, and in it no quote."""
    at = data.rfind(_PATH, first, after) + len(_PATH)
    return data[at : data.find(b'"', at)]


class ManifestReader:
    """A manifest that reads only the pages it needs.

    Parameters
    ----------
    header
        The header.
    read
        Gives the bytes of a page by its digest; the caller has checked the digest.
    """

    def __init__(self, header: Header, read: Callable[[str], bytes]) -> None:
        self.header = header
        self._read = read
        self._firsts = [page.first for page in header.pages]
        self._kept: tuple[str, list[Entry]] = ("", [])

    def page(self, number: int) -> list[Entry]:
        """Return the entries of one page."""
        digest = self.header.pages[number].digest
        kept = self._kept
        if kept[0] != digest:
            # Other threads may put their page in its place meanwhile.
            kept = self._kept = (digest, decode_page(self._read(digest)))
        return kept[1]

    def read_page(self, digest: str) -> bytes:
        """Return the bytes of one page."""
        return self._read(digest)

    def __len__(self) -> int:
        return self.header.entries

    def __iter__(self) -> Iterator[Entry]:
        for info in self.header.pages:
            yield from decode_page(self._read(info.digest))

    def find(self, path: str) -> Entry | None:
        """Return the entry at `path`, or None."""
        number = bisect_right(self._firsts, path) - 1
        if number < 0:
            return None
        return next((entry for entry in self.page(number) if entry.path == path), None)

    def _pages_of(self, prefix: str) -> range:
        start = max(bisect_right(self._firsts, prefix) - 1, 0)
        # "0" is the character after "/": the first path that is past the group.
        stop = bisect_left(self._firsts, prefix[:-1] + "0") if prefix else len(self._firsts)
        return range(start, stop)

    def under(self, group: str) -> Iterator[Entry]:
        """Yield the entries below `group` ("" for all), in order."""
        if not group:
            yield from self
            return
        prefix = f"{group}/"
        for number in self._pages_of(prefix):
            for entry in self.page(number):
                if entry.path.startswith(prefix):
                    yield entry

    def under_each(self, groups: Iterable[str], read: ReadPages | None = None) -> Iterator[Entry]:
        """Yield the entries below these groups, in order; no group lies in another.

        Of a page with few of them, only their lines are decoded. `read` gives pages by their
        digests, in order; it may read some ahead.
        """
        wanted: dict[int, list[bytes]] = {}
        for prefix in sorted(f"{group}/" for group in groups):
            for number in self._pages_of(prefix):
                wanted.setdefault(number, []).append(prefix.encode())
        digests = [self.header.pages[number].digest for number in wanted]
        pages = map(self._read, digests) if read is None else read(digests)
        for starts, data in zip(wanted.values(), pages, strict=True):
            place = 0
            for start in starts:
                lines, place = _lines_under(data, start, place)
                yield from decode_page(lines)

    def has_group(self, group: str) -> bool:
        """Whether any entry lies below `group`."""
        return next(self.under(group), None) is not None

    def children(self, group: str) -> tuple[list[str], list[str]]:
        """Return the names of the groups and of the entries right below `group`, in order.

        A page that lies wholly inside one child is not read.
        """
        prefix = f"{group}/" if group else ""
        cut = len(prefix)
        groups: dict[str, None] = {}
        entries: list[str] = []
        for number in self._pages_of(prefix):
            inside = self._one_child(number, prefix)
            if inside is not None:
                groups[inside] = None
                continue
            for entry in self.page(number):
                if entry.path.startswith(prefix):
                    name, slash, _ = entry.path[cut:].partition("/")
                    if slash:
                        groups[name] = None
                    else:
                        entries.append(name)
        return list(groups), entries

    def _one_child(self, number: int, prefix: str) -> str | None:
        """Return the one child of `prefix` that all of a page lies in, or None."""
        if number + 1 >= len(self._firsts):
            return None
        first, after = self._firsts[number], self._firsts[number + 1]
        if not (first.startswith(prefix) and after.startswith(prefix)):
            return None
        name, slash, _ = first[len(prefix) :].partition("/")
        if slash and after.startswith(f"{prefix}{name}/"):
            return name
        return None
