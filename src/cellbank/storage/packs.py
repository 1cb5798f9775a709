"""Packs: one file that holds many small objects; how it is written, and read with distrust.

::

    magic · blocks · block table · index · trailer

Numbers are unsigned and little-endian. A block is one or more objects, one after the other, raw or
as one zstd frame. See docs/formats.md for every byte.
"""

import struct
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from typing import Final

import zstandard

from cellbank.model.digest import digest_of
from cellbank.model.errors import BadPack, DigestMismatch

MAGIC: Final = b"cellpak1"
MAX_PACK_BYTES: Final = 16 << 20
MAX_OBJECTS: Final = 16_384
MAX_BLOCK_BYTES: Final = 512 << 10
MAX_OBJECT_BYTES: Final = 4 << 20
MAX_WINDOW_BYTES: Final = 8 << 20
FULL_BYTES: Final = 11 << 20
"""A pack that has so many bytes takes no further block: the largest would still fit."""
RAW, ZSTD = 0, 1

_BLOCK: Final = struct.Struct("<IIIB3s")  # offset, length, plain length, codec, three zeros
_ZEROS: Final = bytes(3)
_OBJECT: Final = struct.Struct("<32sIII")  # digest, block, offset in the plain block, length
_TRAILER: Final = struct.Struct("<III32s8s")  # format, table bytes, index bytes, digest, magic
TRAILER_BYTES: Final = _TRAILER.size
LEVEL: Final = 1

WINDOW: Final = 192
"""So many objects on each side of the guess are looked at: three standard deviations and more."""
PEEKS: Final = 32
"""After so many look-ups the whole index is read."""

Spot = tuple[int, int, int]
"""Where an object lies in a pack: block, offset in the plain block, length."""


class PackWriter:
    """Fills packs with objects; `add` and `finish` return the packs that got full."""

    def __init__(self) -> None:
        self._compressor = zstandard.ZstdCompressor(level=LEVEL)
        self._start()

    def _start(self) -> None:
        self._out: list[bytes] = [MAGIC]
        self._size = len(MAGIC)
        self._table: list[bytes] = []
        self._index: list[bytes] = []
        self._block: list[bytes] = []
        self._block_size = 0

    def add(self, digest: str, data: bytes) -> list[bytes]:
        """Take one object; return the pack that this filled, if any."""
        if len(data) > MAX_OBJECT_BYTES:
            raise BadPack("a new pack", f"an object of {len(data)} bytes is too large for it")
        if self._block and self._block_size + len(data) > MAX_BLOCK_BYTES:
            self._close_block()
        done = []
        if self._size >= FULL_BYTES or len(self._index) == MAX_OBJECTS:
            done = self.finish()
        place = _OBJECT.pack(bytes.fromhex(digest), len(self._table), self._block_size, len(data))
        self._index.append(place)
        self._block.append(data)
        self._block_size += len(data)
        return done

    def _close_block(self) -> None:
        plain = b"".join(self._block)
        coded = self._compressor.compress(plain)
        codec = ZSTD
        if len(coded) > len(plain) * 9 // 10:
            coded, codec = plain, RAW
        self._table.append(_BLOCK.pack(self._size, len(coded), len(plain), codec, _ZEROS))
        self._out.append(coded)
        self._size += len(coded)
        self._block, self._block_size = [], 0

    def finish(self) -> list[bytes]:
        """Return the last pack, if it has any object, and start anew."""
        if not self._index:
            return []
        if self._block:
            self._close_block()
        table = b"".join(self._table)
        index = b"".join(sorted(self._index))
        digest = bytes.fromhex(digest_of(table + index))
        trailer = _TRAILER.pack(1, len(table), len(index), digest, MAGIC)
        pack = b"".join([*self._out, table, index, trailer])
        self._start()
        return [pack]


def write_packs(objects: Iterable[tuple[str, bytes]]) -> Iterator[bytes]:
    """Yield packs that hold these objects, in this order."""
    writer = PackWriter()
    for digest, data in objects:
        yield from writer.add(digest, data)
    yield from writer.finish()


class PackIndex:
    """Which objects a pack has, and where.

    It is read from the end of the pack. Whoever reads single objects by it trusts nothing but the
    digest of the object.
    """

    def __init__(self, table: bytes, index: bytes) -> None:
        self._table = table
        self._index = index
        self._count = len(index) // _OBJECT.size

    @staticmethod
    def tail_bytes(trailer: bytes, where: str) -> int:
        """Return how many bytes table, index and trailer have together.

        Raises `BadPack`: The trailer is not one.
        """
        if len(trailer) != TRAILER_BYTES:
            raise BadPack(where, "it is cut short")
        form, table, index, _, magic = _TRAILER.unpack(trailer)
        if magic != MAGIC or form != 1:
            raise BadPack(where, "it has no trailer of format 1")
        if table % _BLOCK.size or index % _OBJECT.size or index > MAX_OBJECTS * _OBJECT.size:
            raise BadPack(where, "its lengths do not fit")
        total: int = table + index + TRAILER_BYTES
        if total > MAX_PACK_BYTES:
            raise BadPack(where, "its lengths do not fit")
        return total

    @classmethod
    def parse(cls, tail: bytes, where: str) -> "PackIndex":
        """Return the index whose table, index and trailer `tail` holds, else raise `BadPack`."""
        if len(tail) != cls.tail_bytes(tail[-TRAILER_BYTES:], where):
            raise BadPack(where, "it is cut short")
        _, table, index, digest, _ = _TRAILER.unpack(tail[-TRAILER_BYTES:])
        if digest_of(tail[: table + index]) != digest.hex():
            raise BadPack(where, "its index is damaged")
        return cls(tail[:table], tail[table : table + index])

    def __len__(self) -> int:
        return self._count

    def ends(self) -> tuple[str, str]:
        """Return the first and the last digest."""
        return self._digest_at(0).hex(), self._digest_at(self._count - 1).hex()

    def digests(self) -> Iterator[str]:
        """Yield the digests of all objects, sorted."""
        for digest, _, _, _ in _OBJECT.iter_unpack(self._index):
            yield digest.hex()

    def items(self) -> Iterator[tuple[str, Spot]]:
        """Yield every object's digest and where it lies."""
        for digest, block, offset, length in _OBJECT.iter_unpack(self._index):
            yield digest.hex(), (block, offset, length)

    def find(self, digest: str) -> Spot | None:
        """Return (block, offset, length) of an object, or None."""
        wanted = bytes.fromhex(digest)
        at = bisect_left(range(self._count), wanted, key=self._digest_at)
        if at == self._count or self._digest_at(at) != wanted:
            return None
        _, block, offset, length = _OBJECT.unpack_from(self._index, at * _OBJECT.size)
        return block, offset, length

    def _digest_at(self, number: int) -> bytes:
        start = number * _OBJECT.size
        return self._index[start : start + 32]

    def block(self, number: int, where: str) -> tuple[int, int, int, int]:
        """Return (offset, length, plain length, codec) of a block, else raise `BadPack`."""
        if number >= len(self._table) // _BLOCK.size:
            raise BadPack(where, "an object lies in no block")
        offset, length, plain_length, codec, zeros = _BLOCK.unpack_from(
            self._table, number * _BLOCK.size
        )
        if length > MAX_PACK_BYTES or zeros != _ZEROS:
            raise BadPack(where, "its block table is not one")
        return offset, length, plain_length, codec

    def blocks(self) -> int:
        """Return the number of blocks."""
        return len(self._table) // _BLOCK.size


class LazyPackIndex:
    """The index of a pack that is quick to read from: looked into where the object must be.

    Digests are evenly spread, so a window around the guess nearly always has the object. Whoever
    asks often, or for everything, gets the whole index, checked.
    """

    def __init__(self, read: Callable[[int, int], bytes], trailer: bytes, where: str) -> None:
        self._read = read
        self._where = where
        self._tail = PackIndex.tail_bytes(trailer, where)
        _, self._table_bytes, index_bytes, _, _ = _TRAILER.unpack(trailer)
        self._count: int = index_bytes // _OBJECT.size
        self._peeks = 0
        self._whole: PackIndex | None = None

    def __len__(self) -> int:
        return self._count

    def whole(self) -> PackIndex:
        """Return the whole index, checked; raises `BadPack`."""
        if self._whole is None:
            self._whole = PackIndex.parse(self._read(-self._tail, self._tail), self._where)
        return self._whole

    def find(self, digest: str) -> Spot | None:
        """Return where an object lies, or None."""
        self._peeks += 1
        if self._whole is not None or self._peeks > PEEKS or self._count <= 2 * WINDOW:
            return self.whole().find(digest)
        guess = int(digest[:16], 16) * self._count >> 64
        start = min(max(guess - WINDOW, 0), self._count - 2 * WINDOW)
        at = -self._tail + self._table_bytes + start * _OBJECT.size
        window = PackIndex(b"", self._read(at, 2 * WINDOW * _OBJECT.size))
        first, last = window.ends()
        if not (start == 0 or first <= digest) or not (
            start + 2 * WINDOW == self._count or digest <= last
        ):
            return self.whole().find(digest)
        return window.find(digest)

    def block(self, number: int, where: str) -> tuple[int, int, int, int]:
        """Return (offset, length, plain length, codec) of a block, else raise `BadPack`."""
        if self._whole is not None:
            return self._whole.block(number, where)
        if number >= self._table_bytes // _BLOCK.size:
            raise BadPack(where, "an object lies in no block")
        record = self._read(-self._tail + number * _BLOCK.size, _BLOCK.size)
        if len(record) != _BLOCK.size:
            raise BadPack(where, "it is cut short")
        return PackIndex(record, b"").block(0, where)


def decode_block(coded: bytes, plain_length: int, codec: int, where: str) -> bytes:
    """Return the plain bytes of a block.

    Raises `BadPack`: It claims more than a block may have, or does not decode to what it claims.
    """
    if plain_length > MAX_OBJECT_BYTES:
        raise BadPack(where, "a block is too large")
    if codec == RAW:
        plain = coded
    elif codec == ZSTD:
        if not plain_length:
            # An empty frame could carry anything behind it unseen.
            raise BadPack(where, "a block without bytes is not raw")
        try:
            frame = zstandard.get_frame_parameters(coded)
            if frame.content_size != plain_length:
                raise BadPack(where, "a block has another length than it claims")
            if frame.window_size > MAX_WINDOW_BYTES or frame.dict_id:
                raise BadPack(where, "a block asks for too large a window, or for a dictionary")
            plain = zstandard.ZstdDecompressor().decompress(
                coded, max_output_size=plain_length, allow_extra_data=False
            )
        except zstandard.ZstdError as error:
            raise BadPack(where, f"a block does not decode ({error})") from None
    else:
        raise BadPack(where, f"codec {codec} is not known here")
    if len(plain) != plain_length:
        raise BadPack(where, "a block has another length than it claims")
    return plain


def cut(plain: bytes, place: Spot, digest: str, where: str) -> bytes:
    """Return one object of a plain block, its digest checked."""
    _, offset, length = place
    data = plain[offset : offset + length]
    found = digest_of(data)
    if len(data) != length or found != digest:
        raise DigestMismatch(where, digest, found)
    return data


def read_pack(pack: bytes, where: str) -> Iterator[tuple[str, bytes]]:
    """Check a whole pack and yield its objects, block by block, every digest checked.

    Raises `BadPack`: It breaks the format in any way: sizes, order, gaps, slack. Raises
    `DigestMismatch`: An object is not what its digest says.
    """
    if len(pack) > MAX_PACK_BYTES or pack[: len(MAGIC)] != MAGIC:
        raise BadPack(where, "it is too large, or does not begin as one")
    tail = PackIndex.tail_bytes(pack[-TRAILER_BYTES:], where)
    if tail + len(MAGIC) > len(pack):
        raise BadPack(where, "its lengths do not fit")
    index = PackIndex.parse(pack[-tail:], where)
    places = _places_by_block(index, where)
    at = len(MAGIC)
    for number in range(index.blocks()):
        offset, length, plain_length, codec = index.block(number, where)
        if offset != at:
            raise BadPack(where, "its blocks do not adjoin")
        at += length
        if at > len(pack) - tail:
            raise BadPack(where, "a block reaches over its end")
        inside = places.get(number, [])
        if not inside:
            raise BadPack(where, "a block holds no object")
        if plain_length > MAX_BLOCK_BYTES and len(inside) != 1:
            raise BadPack(where, "a block is too large")
        plain = decode_block(pack[offset:at], plain_length, codec, where)
        yield from _objects_of_block(plain, inside, where)
    if at != len(pack) - tail:
        raise BadPack(where, "it has bytes that belong to nothing")


def _places_by_block(index: PackIndex, where: str) -> dict[int, list[tuple[int, int, str]]]:
    places: dict[int, list[tuple[int, int, str]]] = {}
    before = b""
    for digest, block, offset, length in _OBJECT.iter_unpack(index._index):
        if digest <= before:
            raise BadPack(where, "its index is out of order")
        before = digest
        if block >= index.blocks():
            raise BadPack(where, "an object lies in no block")
        places.setdefault(block, []).append((offset, length, digest.hex()))
    return places


def _objects_of_block(
    plain: bytes, inside: list[tuple[int, int, str]], where: str
) -> Iterator[tuple[str, bytes]]:
    at = 0
    for offset, length, digest in sorted(inside):
        if offset != at:
            raise BadPack(where, "the objects of a block do not adjoin")
        at += length
        yield digest, cut(plain, (0, offset, length), digest, where)
    if at != len(plain):
        raise BadPack(where, "a block has bytes that belong to no object")
