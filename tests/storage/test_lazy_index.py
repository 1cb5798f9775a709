"""Looking into a large pack finds what the whole index has, and reads little."""

import pytest

from cellbank.model.digest import digest_of
from cellbank.model.errors import BadPack
from cellbank.storage.packs import TRAILER_BYTES, LazyPackIndex, PackIndex, write_packs

COUNT = 12_000


@pytest.fixture(scope="module")
def pack() -> bytes:
    data = [b"%d" % number for number in range(COUNT)]
    [made] = write_packs((digest_of(item), item) for item in data)
    return made


class Reader:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.bytes_read = 0

    def __call__(self, start: int, length: int) -> bytes:
        start = max(len(self.data) + start, 0) if start < 0 else start
        found = self.data[start : start + length]
        self.bytes_read += len(found)
        return found


def lazy(data: bytes) -> tuple[LazyPackIndex, Reader]:
    read = Reader(data)
    return LazyPackIndex(read, data[-TRAILER_BYTES:], "pack"), read


def test_it_finds_what_the_whole_index_finds(pack):
    tail = PackIndex.tail_bytes(pack[-TRAILER_BYTES:], "pack")
    whole = PackIndex.parse(pack[-tail:], "pack")
    wanted = sorted(whole.digests())
    absent = [digest_of(b"absent %d" % number) for number in range(200)]
    for digest in [*wanted[:20], *wanted[-20:], *wanted[::300], *absent, "00" * 32, "ff" * 32]:
        index, _ = lazy(pack)
        expected = whole.find(digest)
        found = index.find(digest)
        assert expected == found
        if found is not None:
            assert whole.block(found[0], "pack") == index.block(found[0], "pack")


def test_one_look_up_reads_a_small_part_and_many_read_the_index_once(pack):
    index, read = lazy(pack)
    digest = digest_of(b"77")
    assert index.find(digest) is not None
    assert read.bytes_read < 20_000
    for number in range(2000):
        assert index.find(digest_of(b"%d" % number)) is not None
    assert read.bytes_read < 3 * COUNT * 44


def test_a_damaged_index_is_never_taken_for_good(pack):
    spoiled = bytearray(pack)
    spoiled[-TRAILER_BYTES - 10] ^= 1
    index, _ = lazy(bytes(spoiled))
    with pytest.raises(BadPack):
        index.whole()
    cut, _ = lazy(pack)
    cut._read = Reader(pack[-100:])
    with pytest.raises(BadPack):
        cut.whole()
