"""Digests, and the digests of pieces."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellbank.model.digest import PIECE_BYTES, PieceHasher, digest_of, is_digest


def pieces_of(data: bytes) -> bytes:
    cuts = range(0, len(data), PIECE_BYTES)
    return b"".join(bytes.fromhex(digest_of(data[i : i + PIECE_BYTES])) for i in cuts)


def test_the_digest_of_nothing_is_that_of_blake3() -> None:
    assert "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262" == digest_of(b"")


@pytest.mark.parametrize("size", [0, 1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 3 << 20])
@pytest.mark.parametrize("step", [1 << 16, (1 << 20) - 1, 1 << 20, 5 << 20])
def test_pieces_do_not_depend_on_how_the_stream_was_cut(size: int, step: int) -> None:
    data = bytes(range(251)) * (size // 251 + 1)
    data = data[:size]
    hasher = PieceHasher()
    for start in range(0, size, step):
        hasher.update(memoryview(data)[start : start + step])
    assert (size, digest_of(data)) == (hasher.size, hasher.digest())
    assert pieces_of(data) == hasher.piece_list()


@given(st.text("0123456789abcdefABCDEFg\n", min_size=63, max_size=66))
def test_a_digest_is_64_lower_case_hex_digits(text: str) -> None:
    good = len(text) == 64 and not set(text) - set("0123456789abcdef")
    assert good == bool(is_digest(text))
    assert is_digest(digest_of(text.encode()))
    assert not is_digest(digest_of(text.encode()) + "\n")
