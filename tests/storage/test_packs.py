"""Packs: what goes in comes out, the limits hold, and no hostile or damaged pack is believed."""

import struct
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from cellbank.model.digest import digest_of
from cellbank.model.errors import BadPack, DigestMismatch
from cellbank.model.reference import Package
from cellbank.storage.layout import package_key
from cellbank.storage.local import LocalBucket
from cellbank.storage.packs import (
    FULL_BYTES,
    MAX_BLOCK_BYTES,
    MAX_OBJECT_BYTES,
    MAX_OBJECTS,
    MAX_PACK_BYTES,
    TRAILER_BYTES,
    PackIndex,
    decode_block,
    read_pack,
    write_packs,
)
from cellbank.storage.packset import PackSet
from tests.strategies import chance_of

MAGIC = b"cellpak1"
PACKAGE = Package("aics", "demo")


def named(objects: Iterable[bytes]) -> dict[str, bytes]:
    return {digest_of(data): data for data in objects}


def forge(
    blocks: Sequence[tuple[bytes, int, int]],
    index: Iterable[tuple[str, int, int, int]],
    *,
    offsets: dict[int, int] | None = None,
    zeros: bytes = bytes(3),
    between: bytes = b"",
    order: bool = True,
    **wrong: object,
) -> bytes:
    """Write a pack from its bare parts, by docs/formats.md and not by our writer."""
    out, table, at = [MAGIC], [], 8
    for number, (coded, plain_length, codec) in enumerate(blocks):
        offset = (offsets or {}).get(number, at)
        table.append(struct.pack("<IIIB", offset, len(coded), plain_length, codec) + zeros)
        out.append(coded)
        at += len(coded)
    rows = [bytes.fromhex(d) + struct.pack("<III", *place) for d, *place in index]
    listed = b"".join(sorted(rows) if order else rows)
    tables = b"".join(table)
    trailer = struct.pack(
        "<III32s8s",
        wrong.get("form", 1),
        wrong.get("table_bytes", len(tables)),
        wrong.get("index_bytes", len(listed)),
        wrong.get("digest", bytes.fromhex(digest_of(tables + listed))),
        wrong.get("magic", MAGIC),
    )
    return b"".join([*out, between, tables, listed, trailer])


def zstd(plain: bytes, **options: object) -> bytes:
    return zstandard.ZstdCompressor(**options).compress(plain)


def read_all(pack: bytes) -> dict[str, bytes]:
    return dict(read_pack(pack, "a pack"))


def refused(pack: bytes) -> str:
    """Return why a pack is refused, as a whole."""
    with pytest.raises((BadPack, DigestMismatch)) as why:
        read_all(pack)
    return str(why.value)


HELLO, WORLD = b"hello\n", b"world\n"
H, W, E = digest_of(HELLO), digest_of(WORLD), digest_of(b"")
BOTH = HELLO + WORLD
TWO = [(H, 0, 0, 6), (W, 0, 6, 6)]


# --- what goes in comes out ---------------------------------------------------------------------

objects = st.lists(
    st.binary(max_size=60)
    | st.builds(lambda b, n: b * n, st.binary(max_size=3), st.integers(0, 999)),
    max_size=12,
    unique=True,
)


@given(objects)
def test_what_goes_in_comes_out_in_the_same_order(found: list[bytes]) -> None:
    wanted = named(found)
    packs = list(write_packs(wanted.items()))
    assert bool(wanted) == len(packs)
    came = [pair for pack in packs for pair in read_pack(pack, "a pack")]
    assert wanted == dict(came)
    assert [len(data) for data in wanted.values() if data] == [len(d) for _, d in came if d]


@given(objects)
def test_every_object_is_found_by_the_index_alone(found: list[bytes]) -> None:
    wanted = named([*found, b"one more"])
    [pack] = write_packs(wanted.items())
    tail = PackIndex.tail_bytes(pack[-TRAILER_BYTES:], "a pack")
    index = PackIndex.parse(pack[-tail:], "a pack")
    assert sorted(wanted) == list(index.digests())
    assert len(wanted) == len(index)
    for digest, data in wanted.items():
        block, start, length = index.find(digest) or (0, 0, 0)
        offset, size, plain_length, codec = index.block(block, "a pack")
        plain = decode_block(pack[offset : offset + size], plain_length, codec, "a pack")
        assert data == plain[start : start + length]
    assert index.find(digest_of(b"not in it")) is None


def test_a_pack_forged_by_the_format_page_is_a_good_one() -> None:
    assert {H: HELLO, W: WORLD} == read_all(forge([(BOTH, 12, 0)], TWO))
    assert {H: HELLO, W: WORLD} == read_all(forge([(zstd(BOTH), 12, 1)], TWO))
    two_blocks = [(HELLO, 6, 0), (zstd(WORLD), 6, 1)]
    assert {H: HELLO, W: WORLD} == read_all(forge(two_blocks, [(H, 0, 0, 6), (W, 1, 0, 6)]))
    with_empty = [(H, 0, 0, 6), (E, 0, 6, 0), (W, 0, 6, 6)]
    assert {H: HELLO, W: WORLD, E: b""} == read_all(forge([(BOTH, 12, 0)], with_empty))
    assert {E: b""} == read_all(forge([(b"", 0, 0)], [(E, 0, 0, 0)]))


def test_our_writer_writes_those_bytes() -> None:
    [pack] = write_packs([(H, HELLO), (W, WORLD)])
    assert forge([(BOTH, 12, 0)], TWO) == pack
    [pack] = write_packs([(E, b"")])
    assert forge([(b"", 0, 0)], [(E, 0, 0, 0)]) == pack
    text = b"text " * 40
    [pack] = write_packs([(digest_of(text), text)])
    assert forge([(zstd(text, level=1), 200, 1)], [(digest_of(text), 0, 0, 200)]) == pack


def test_a_block_is_compressed_only_if_that_saves_a_tenth() -> None:
    noise = chance_of(1).randbytes(5000)
    [pack] = write_packs([(digest_of(noise), noise)])
    assert noise in pack
    [pack] = write_packs([(digest_of(bytes(5000)), bytes(5000))])
    assert len(pack) < 300


# --- limits -------------------------------------------------------------------------------------


def test_an_object_of_4_mib_is_the_largest_a_pack_takes() -> None:
    largest = bytes(MAX_OBJECT_BYTES)
    [pack] = write_packs([(digest_of(largest), largest)])
    assert {digest_of(largest): largest} == read_all(pack)
    with pytest.raises(BadPack):
        list(write_packs([(H, largest + b"x")]))


def test_packs_keep_their_limits_whatever_comes() -> None:
    chance = chance_of(2)
    noise = chance.randbytes(MAX_OBJECT_BYTES)
    sizes = [MAX_OBJECT_BYTES - 7, MAX_BLOCK_BYTES, MAX_BLOCK_BYTES + 1, 130_000, 0, 1, 70_000]
    found = named(noise[i : i + sizes[i % len(sizes)]] for i in range(7 * 9))
    packs = list(write_packs(found.items()))
    assert found == {digest: data for pack in packs for digest, data in read_pack(pack, "")}
    assert len(packs) > 2
    assert all(len(pack) <= MAX_PACK_BYTES for pack in packs)
    assert all(len(pack) >= FULL_BYTES for pack in packs[:-1])


def test_a_pack_takes_16384_objects() -> None:
    found = named(i.to_bytes(3) for i in range(MAX_OBJECTS + 1))
    first, second = write_packs(found.items())
    assert (MAX_OBJECTS, 1) == (len(read_all(first)), len(read_all(second)))


def test_one_object_too_many_is_refused() -> None:
    found = named(i.to_bytes(3) for i in range(MAX_OBJECTS + 1))
    rows = [(digest, 0, 3 * i, 3) for i, digest in enumerate(found)]
    plain = b"".join(found.values())
    assert "lengths" in refused(forge([(plain, len(plain), 0)], rows))
    assert MAX_OBJECTS == len(read_all(forge([(plain[:-3], len(plain) - 3, 0)], rows[:-1])))


def test_a_pack_over_16_mib_is_refused() -> None:
    noise = chance_of(3).randbytes(MAX_OBJECT_BYTES)
    parts = [noise[i:] for i in range(4)]
    blocks = [(part, len(part), 0) for part in parts]
    rows = [(digest_of(part), i, 0, len(part)) for i, part in enumerate(parts)]
    assert "too large" in refused(forge(blocks, rows))
    assert 3 == len(read_all(forge(blocks[:3], rows[:3])))


@pytest.mark.parametrize("codec", [0, 1])
def test_a_large_block_holds_one_object(codec: int) -> None:
    one, two = bytes(MAX_BLOCK_BYTES), b"\1"
    coded = zstd(one + two) if codec else one + two
    rows = [(digest_of(one), 0, 0, len(one)), (digest_of(two), 0, len(one), 1)]
    assert "too large" in refused(forge([(coded, len(one) + 1, codec)], rows))
    whole = [(digest_of(one + two), 0, 0, len(one) + 1)]
    assert one + two in read_all(forge([(coded, len(one) + 1, codec)], whole)).values()


@pytest.mark.parametrize("codec", [0, 1])
def test_a_block_over_4_mib_is_refused(codec: int) -> None:
    data = bytes(MAX_OBJECT_BYTES + 1)
    coded = zstd(data) if codec else data
    rows = [(digest_of(data), 0, 0, len(data))]
    assert "too large" in refused(forge([(coded, len(data), codec)], rows))


# --- hostile packs --------------------------------------------------------------------------------


def test_blocks_that_do_not_adjoin_are_refused() -> None:
    blocks = [(HELLO, 6, 0), (WORLD, 6, 0)]
    rows = [(H, 0, 0, 6), (W, 1, 0, 6)]
    for offsets in ({1: 13}, {1: 15}, {1: 8}, {0: 9}, {0: 0}, {0: 14, 1: 8}, {1: 2**32 - 1}):
        assert "adjoin" in refused(forge(blocks, rows, offsets=offsets))


def test_bytes_that_belong_to_nothing_are_refused() -> None:
    good = forge([(BOTH, 12, 0)], TWO)
    assert "belong to nothing" in refused(forge([(BOTH, 12, 0)], TWO, between=b"\0"))
    for pack in (
        good + b"\0",
        b"\0" + good,
        good[:8] + b"\0" + good[8:],
        good[:-1] + b"\0" + good[-1:],
    ):
        refused(pack)
    assert "block table" in refused(forge([(BOTH, 12, 0)], TWO, zeros=b"\0\0\1"))
    assert "no object" in refused(forge([(BOTH, 12, 0), (b"", 0, 0)], TWO))
    assert "no object" in refused(forge([(b"", 0, 0)], []))
    assert "belong to no object" in refused(forge([(BOTH + b"x", 13, 0)], TWO))


def test_something_behind_a_frame_is_refused() -> None:
    skippable = b"\x50\x2a\x4d\x18\x04\0\0\0hide"
    empty = zstd(b"")
    for coded in (
        zstd(BOTH) + b"x",
        zstd(BOTH) + empty,
        zstd(BOTH) + skippable,
        skippable + zstd(BOTH),
        empty + zstd(BOTH),
        zstd(HELLO) + zstd(WORLD),
    ):
        refused(forge([(coded, 12, 1)], TWO))
    for coded in (empty, empty + b"hidden", skippable):
        refused(forge([(coded, 0, 1)], [(E, 0, 0, 0)]))


def test_objects_that_do_not_adjoin_are_refused() -> None:
    for rows in (
        [(H, 0, 0, 6), (W, 0, 5, 6)],
        [(H, 0, 0, 6), (W, 0, 7, 6)],
        [(H, 0, 0, 6)],
        [(W, 0, 6, 6)],
        [(H, 0, 0, 6), (W, 0, 6, 5)],
        [(H, 0, 0, 6), (W, 0, 6, 7)],
        [(H, 0, 0, 6), (W, 0, 2**32 - 1, 6)],
        [(H, 0, 0, 6), (W, 0, 6, 2**32 - 1)],
        [*TWO, (E, 0, 13, 0)],
        [*TWO, (E, 0, 3, 0)],
    ):
        refused(forge([(BOTH, 12, 0)], rows))


@pytest.mark.parametrize("block", [1, 2, 2**32 - 1])
def test_an_object_in_no_block_is_refused(block: int) -> None:
    assert "no block" in refused(forge([(BOTH, 12, 0)], [TWO[0], (W, block, 6, 6)]))


def test_an_index_out_of_order_or_with_an_object_twice_is_refused() -> None:
    backwards = sorted(TWO, reverse=True)
    assert "out of order" in refused(forge([(BOTH, 12, 0)], backwards, order=False))
    twice = [(H, 0, 0, 6), (H, 0, 6, 6)]
    assert "out of order" in refused(forge([(HELLO * 2, 12, 0)], twice))


def test_objects_that_are_not_what_their_digest_says_are_refused() -> None:
    with pytest.raises(DigestMismatch):
        read_all(forge([(BOTH, 12, 0)], [(W, 0, 0, 6), (H, 0, 6, 6)]))
    with pytest.raises(DigestMismatch):
        read_all(forge([(HELLO, 6, 0)], [(E, 0, 0, 6)]))


def test_a_block_that_lies_about_its_length_is_refused() -> None:
    for coded, codec in ((BOTH, 0), (zstd(BOTH), 1)):
        for length in (0, 11, 13, 2**32 - 1):
            refused(forge([(coded, length, codec)], TWO))


@pytest.mark.parametrize("codec", [2, 3, 128, 255])
def test_a_codec_that_is_not_known_is_refused(codec: int) -> None:
    assert "codec" in refused(forge([(BOTH, 12, codec)], TWO))


def _frame(claimed: int, block: bytes) -> bytes:
    """Return a zstd frame, single segment, that claims a content size of four bytes' width."""
    return b"\x28\xb5\x2f\xfd" + bytes([0b10_1_00000]) + struct.pack("<I", claimed) + block


def _repeats(byte: bytes, count: int, *, last: bool) -> bytes:
    """Return a zstd block that repeats one byte: four bytes of it for up to 128 KiB."""
    return (int(last) | 1 << 1 | count << 3).to_bytes(3, "little") + byte


def test_a_block_that_swells_is_refused_before_it_is_decoded() -> None:
    bomb = zstd(bytes(1 << 30))
    for claimed in (1 << 30, MAX_OBJECT_BYTES, 12, 0):
        refused(forge([(bomb, claimed, 1)], [(H, 0, 0, claimed)]))


def test_a_frame_that_holds_more_or_less_than_it_claims_is_refused() -> None:
    assert b"a" * 300 == decode_block(_frame(300, _repeats(b"a", 300, last=True)), 300, 1, "")
    for claimed, held in ((300, 301), (300, 131_072), (300, 299), (300, 0)):
        frame = _frame(claimed, _repeats(b"a", held, last=True))
        with pytest.raises(BadPack):
            decode_block(frame, 300, 1, "")
    many = b"".join(_repeats(b"a", 131_072, last=False) for _ in range(2000))
    with pytest.raises(BadPack):
        decode_block(_frame(300, many), 300, 1, "")


def test_a_frame_that_does_not_tell_its_size_or_wants_a_large_window_is_refused() -> None:
    for plain in (BOTH, bytes(100_000)):
        coded = zstd(plain, write_content_size=False)
        with pytest.raises(BadPack):
            decode_block(coded, len(plain), 1, "")
    # A window of 2 GiB, and a content size of 300 + 256.
    wide = b"\x28\xb5\x2f\xfd" + bytes([0b01_0_00000, 21 << 3]) + struct.pack("<H", 300)
    with pytest.raises(BadPack):
        decode_block(wide + _repeats(b"a", 556, last=True), 556, 1, "")
    narrow = wide[:5] + bytes([8 << 3]) + wide[6:]
    assert b"a" * 556 == decode_block(narrow + _repeats(b"a", 556, last=True), 556, 1, "")


def test_a_trailer_that_is_none_is_refused() -> None:
    good = forge([(BOTH, 12, 0)], TWO)
    for wrong in (
        {"form": 0},
        {"form": 2},
        {"magic": b"cellpak2"},
        {"digest": bytes(32)},
        {"table_bytes": 0},
        {"table_bytes": 15},
        {"table_bytes": 32},
        {"table_bytes": 2**32 - 16},
        {"index_bytes": 0},
        {"index_bytes": 87},
        {"index_bytes": 132},
        {"index_bytes": 44 * (MAX_OBJECTS + 1)},
        {"table_bytes": 16 + 44 * 4, "index_bytes": 0},
    ):
        pack = forge([(BOTH, 12, 0)], TWO, **wrong)
        assert len(pack) == len(good)
        refused(pack)


def test_a_pack_cut_short_anywhere_is_refused() -> None:
    good = forge(
        [(HELLO, 6, 0), (zstd(b"w" * 99), 99, 1)], [(H, 0, 0, 6), (digest_of(b"w" * 99), 1, 0, 99)]
    )
    assert 2 == len(read_all(good))
    for end in range(len(good)):
        refused(good[:end])
        refused(good[len(good) - end :])


@given(st.binary(max_size=200))
def test_no_bytes_make_the_reader_stumble(data: bytes) -> None:
    refused(data)
    refused(MAGIC + data + MAGIC)
    with pytest.raises(BadPack):
        PackIndex.parse(data, "a pack")


# --- damage ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sample() -> tuple[bytes, dict[str, bytes]]:
    """Return a pack with a raw block and a compressed one, and what it holds."""
    found = named([b"", b"h\xff\x01i", b"text " * 30, b"more text " * 9])
    first = list(found)[:2]
    rest = b"".join(list(found.values())[2:])
    one, two = list(found)[2:]
    rows = [(first[0], 0, 0, 0), (first[1], 0, 0, 4), (one, 1, 0, 150), (two, 1, 150, 90)]
    pack = forge([(found[first[1]], 4, 0), (zstd(rest, level=1), 240, 1)], rows)
    assert found == read_all(pack)
    return pack, found


def flipped(data: bytes, bit: int) -> bytes:
    copy = bytearray(data)
    copy[bit // 8] ^= 1 << bit % 8
    return bytes(copy)


def test_a_pack_with_any_bit_flipped_never_gives_wrong_bytes(
    sample: tuple[bytes, dict[str, bytes]],
) -> None:
    pack, found = sample
    silent = 0
    for bit in range(len(pack) * 8):
        damaged = flipped(pack, bit)
        assert digest_of(damaged) != digest_of(pack)
        try:
            # A frame of zstd has bits without a meaning.
            assert found == read_all(damaged)
        except (BadPack, DigestMismatch):
            continue
        silent += 1
    assert silent <= 8


def test_single_objects_of_a_pack_with_any_bit_flipped_are_right_or_refused(
    sample: tuple[bytes, dict[str, bytes]], tmp_path: Path
) -> None:
    pack, found = sample
    bucket = LocalBucket(str(tmp_path))
    key = package_key(PACKAGE, "packs", digest_of(pack))
    file = tmp_path / key
    file.parent.mkdir(parents=True)
    refusals = 0
    for bit in range(len(pack) * 8):
        file.write_bytes(flipped(pack, bit))
        packs = PackSet(bucket, PACKAGE)
        for digest, data in found.items():
            missing: list[str] = []
            try:
                came = list(packs.read_many([digest], missing))
            except (BadPack, DigestMismatch):
                refusals += 1
                continue
            assert ([digest] == missing and not came) or [(digest, data)] == came
            refusals += len(missing)
    assert refusals > len(pack) * 8


def test_hostile_places_in_an_index_never_give_wrong_bytes(tmp_path: Path) -> None:
    bucket = LocalBucket(str(tmp_path))
    hostile = [
        forge([(BOTH, 12, 0)], [(H, 0, 1, 6), (W, 0, 6, 6)]),
        forge([(BOTH, 12, 0)], [(H, 9, 0, 6), (W, 0, 6, 6)]),
        forge([(BOTH, 12, 0)], [(H, 0, 0, 2**32 - 1), (W, 0, 6, 6)]),
        forge([(BOTH, 12, 0)], TWO, offsets={0: 0}),
        forge([(BOTH, 12, 0)], TWO, offsets={0: 2**32 - 1}),
        forge([(BOTH, 2**32 - 1, 0)], TWO),
        forge([(zstd(bytes(1 << 24)), 1 << 24, 1)], TWO),
        forge([(BOTH, 12, 7)], TWO),
    ]
    long_block = bytearray(forge([(BOTH, 12, 0)], TWO))
    long_block[24:28] = b"\xff\xff\xff\xff"
    table = bytes(long_block[20 : 20 + 16 + 88])
    long_block[-40:-8] = bytes.fromhex(digest_of(table))
    for pack in [*hostile, bytes(long_block)]:
        file = tmp_path / package_key(PACKAGE, "packs", digest_of(pack))
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(pack)
        with pytest.raises((BadPack, DigestMismatch)):
            list(PackSet(bucket, PACKAGE).read_many([H], []))
        file.unlink()
