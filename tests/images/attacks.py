"""Files that mean harm: small, and written byte by byte, as no program would write them."""

import struct
import zlib
from collections.abc import Iterator

import imagecodecs
import numpy as np

Entry = tuple[int, int, int, int]
"""A tag, the kind of its values, how many they are, and the only one or where they lie."""

ROOT = '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">'
SIDE = 1 << 14


def page(
    width: int, height: int, *more: Entry, compression: int = 1, samples: int = 1
) -> list[Entry]:
    """Return the entries of a page of 8 bits."""
    said = ((256, width), (257, height), (258, 8), (259, compression), (262, 1), (277, samples))
    return [*((tag, 4, 1, value) for tag, value in said), *more]


def directory(entries: list[Entry], following: int = 0) -> bytes:
    """Return a directory as it lies in a file."""
    packed = b"".join(struct.pack("<HHII", *entry) for entry in sorted(entries))
    return struct.pack("<H", len(entries)) + packed + struct.pack("<I", following)


def file_of(entries: list[Entry], data: bytes = b"") -> bytes:
    """Return a file with one page; where a tag says 0, the data lie."""
    end = 8 + len(directory(entries))
    placed = [
        (*entry[:3], end) if entry[0] in {270, 273} and not entry[3] else entry for entry in entries
    ]
    return struct.pack("<2sHI", b"II", 42, 8) + directory(placed) + data


def chain(count: int, entries: list[Entry], *, text: str = "", circle: bool = False) -> bytes:
    """Return a file with so many pages, all alike; the first has a description."""
    first = [*entries, (270, 2, len(text), 0)] if text else entries
    head = file_of(first, text.encode())
    one, start = directory(entries), len(head)
    head = bytearray(head)
    if count > 1:
        at = 8 + len(directory(first)) - 4
        head[at : at + 4] = struct.pack("<I", start)
    rest = bytearray(one * (count - 1))
    for number in range(count - 2):
        at = (number + 1) * len(one)
        rest[at - 4 : at] = struct.pack("<I", start + at)
    if circle:
        rest[-4:] = struct.pack("<I", 8)
    return bytes(head + rest)


STORED = page(10, 10, (273, 4, 1, 8), (279, 4, 1, 100))


def described(text: str, count: int = 1) -> bytes:
    """Return a file with a description."""
    return chain(count, STORED, text=text)


def ome(inside: str, *, pages: int = 1, **sizes: int | str) -> bytes:
    """Return an OME-TIFF of pages of 10 × 10 pixels."""
    said = {"X": 10, "Y": 10, "Z": 1, "C": 1, "T": 1} | sizes
    text = " ".join(f'Size{axis}="{size}"' for axis, size in said.items())
    pixels = f'<Pixels DimensionOrder="XYZCT" Type="uint8" {text}>{inside}</Pixels>'
    return described(f"{ROOT}<Image>{pixels}</Image></OME>", pages)


def bomb(compression: int, data: bytes, side: int) -> bytes:
    """Return a file of one strip."""
    strip = (273, 4, 1, 0), (278, 4, 1, side), (279, 4, 1, len(data))
    return file_of(page(side, side, *strip, compression=compression), data)


def _packed() -> Iterator[tuple[str, int, bytes]]:
    """Yield 64 MB of zeros, packed in several ways."""
    zeros = bytes(1 << 26)
    yield "deflate", 8, zlib.compress(zeros, 1)
    yield "Zstandard", 50000, imagecodecs.zstd_encode(zeros)
    yield "PackBits", 32773, imagecodecs.packbits_encode(zeros[: 1 << 16]) * 1024


def _tiles(count: int, length: int) -> bytes:
    """Return a file whose tiles all are the same bytes, far more than a tile has."""
    data = zlib.compress(np.random.default_rng(0).bytes(length), 0)
    entries = page(SIDE, SIDE, *((tag, 4, 1, 16) for tag in (322, 323)), compression=8)
    start = 8 + len(directory([*entries, (324, 4, count, 0), (325, 4, count, 0)]))
    entries += [(324, 4, count, start), (325, 4, count, start + 4 * count)]
    places = struct.pack("<I", start + 8 * count) * count + struct.pack("<I", len(data)) * count
    return file_of(entries, places + data)


def _endless_text() -> Iterator[tuple[str, str]]:
    """Yield descriptions of 15 MB that are well-formed, or nearly so."""
    length = 15 << 20

    def filled(begin: str, part: str) -> str:
        return f"{begin}{part * (length // len(part))}</OME>"

    yield "elements", filled(ROOT, "<Image/>")
    yield "deep elements", filled(ROOT, "<a>")
    names = " ".join(f"a{n}=''" for n in range(length // 12))
    yield "attributes", f"{ROOT}<Image {names}/></OME>"
    broken = f'{ROOT}<Image ID="x & y"><Pixels>'
    yield "open quotes", filled(broken, '<Channel Name="')
    yield "open tags", filled(broken, "<Channel ")
    yield "broken elements", filled(broken, '<TiffData IFD="0"/>')
    yield "broken attributes", filled(f"{broken}<a ", 'b="" ')
    yield "long names", filled(broken, f"<a {'b' * 100000} ")
    yield "spaces", filled(broken, f"<a{' ' * 100000}")
    yield "16 MB of spaces", f"{ROOT}{' ' * (16 << 20)}</OME>"
    yield "30 MB", f"{ROOT}{'<Image><Pixels/></Image>' * (30 << 16)}</OME>"


def attacks() -> Iterator[tuple[str, bytes]]:
    """Yield names and files."""
    whole = ((273, 4, 1, 8), (278, 4, 1, 100000), (279, 4, 1, 100))
    yield "declares 10 GB in a strip", file_of(page(100000, 100000, *whole))
    yield "declares 10 GB, deflate", file_of(page(100000, 100000, *whole, compression=8))
    tiled = ((322, 4, 1, 256), (323, 4, 1, 256), (324, 4, 1, 8), (325, 4, 1, 100))
    yield "declares 10 GB in tiles", file_of(page(100000, 100000, *tiled))
    empty = ((322, 4, 1, 32768), (323, 4, 1, 32768), (324, 4, 1, 0), (325, 4, 1, 0))
    yield "one empty tile of 1 GB", file_of(page(30000, 30000, *empty, compression=8))
    single = ((322, 4, 1, 1), (323, 4, 1, 1), (324, 4, 1, 8), (325, 4, 1, 100))
    yield "tiles of one pixel", file_of(page(1 << 20, 1 << 20, *single))
    for side in (0, 1 << 31):
        tile = ((322, 4, 1, side), (323, 4, 1, side), (324, 4, 1, 8), (325, 4, 1, 100))
        yield f"tiles of {side} pixels", file_of(page(100, 100, *tile))
    yield "strips of no rows", file_of(page(10, 10, (278, 4, 1, 0), *STORED[6:]))
    yield "65535 samples", file_of(page(10, 10, *STORED[6:], samples=65535))
    yield "2^31 strips", file_of(page(10, 10, (273, 4, 1 << 31, 8), (279, 4, 1 << 31, 8)))
    yield "a text of 2 GB", file_of([*STORED, (270, 2, 1 << 31, 8)])
    for name, compression, data in _packed():
        yield f"{name}: more than the page", bomb(compression, data, 64)
        yield f"{name}: 64 MB", bomb(compression, data, SIDE // 2)
    yield "Zstandard: 256 MB", bomb(50000, imagecodecs.zstd_encode(bytes(1 << 28)), SIDE)
    yield "Zstandard: 1 GB", bomb(50000, imagecodecs.zstd_encode(bytes(1 << 30)), 1 << 15)
    yield "all tiles are the same 32 MB", _tiles((SIDE // 16) ** 2, 1 << 25)
    yield "130,000 pages", chain(130_000, STORED)
    yield "200,000 pages", chain(200_000, STORED)
    yield "pages in a circle", chain(3, STORED, circle=True)
    yield "100,000 pages in a circle", chain(100_000, STORED, circle=True)
    yield "10,000 pages of ImageJ", described("ImageJ=1\nimages=10000\nslices=10000\n", 10_000)
    large = ((322, 4, 1, 16000), (323, 4, 1, 16000), (324, 4, 1, 0), (325, 4, 1, 0))
    yield "2,000 empty pages of 256 MB", chain(2000, page(16000, 16000, *large, compression=8))
    for name, text in _endless_text():
        yield f"long XML: {name}", described(text)
    entity = "".join(f'<!ENTITY a{n + 1} "{f"&a{n};" * 10}">' for n in range(12))
    bomb_of_text = f'<!DOCTYPE OME [<!ENTITY a0 "ha">{entity}]>'
    yield (
        "entities",
        described(f'<?xml version="1.0"?>{bomb_of_text}{ROOT}<Image Name="&a12;"/></OME>'),
    )
    yield "130,000 planes", ome("<TiffData/>", pages=130_000, Z=130_000)
    yield "planes placed again", ome("<TiffData/>" * 80_000, pages=130_000, Z=130_000)
    yield "16 million planes", ome("<TiffData/>", Z=1 << 24)
    yield "10^11 planes", ome("<TiffData/>", Z=10**11)
    yield "10^5000 planes", ome("<TiffData/>", Z="9" * 5000)
    yield "a million channels", ome("<TiffData/>", C=1_000_000)
    yield "pages beyond the end", ome('<TiffData IFD="99999999999"/>', Z=3)
    yield "ImageJ, absurd", described("ImageJ=1\nimages=99999999999\nslices=99999999999\n")
    yield "shaped, absurd", described('{"shape": [99999999999, 99999999999]}')


SLOW = (
    "long XML",
    "130,000",
    "2,000 empty",
    "all tiles",
    "planes placed again",
    "Zstandard: 256 MB",
    "Zstandard: 1 GB",
)
"""Attacks that take a second or more, each."""
