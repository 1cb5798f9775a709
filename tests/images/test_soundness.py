"""Soundness: what is whole passes, what is cut or changed is a `BadImage`, in bounded memory."""

import io
import os
import struct
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellbank.images.header import read_header
from cellbank.images.labels import compare_labels
from cellbank.images.planes import read_planes
from cellbank.images.soundness import check_data
from cellbank.model.errors import BadImage
from tests.images.making import FORMS, STACK, ome, tiff


def check(data: bytes) -> None:
    check_data(io.BytesIO(data))


@pytest.mark.parametrize("form", FORMS)
def test_whole_files_pass(form: str) -> None:
    check(FORMS[form])


@pytest.mark.parametrize("form", [f for f in FORMS if not f.startswith("OME")])
def test_a_file_that_lost_its_last_third_does_not(form: str) -> None:
    data = FORMS[form]
    with pytest.raises(BadImage):
        check(data[: len(data) * 2 // 3])


def test_one_lost_byte_of_stored_pixels_is_found() -> None:
    with pytest.raises(BadImage, match="page 5, strip 0 is truncated"):
        check(FORMS["ours"][:-1])


def test_a_flipped_byte_of_compressed_pixels_is_found() -> None:
    data = bytearray(FORMS["ours, compressed"])
    data[-20] ^= 0xFF
    with pytest.raises(BadImage, match="does not decode"):
        check(bytes(data))


@pytest.mark.parametrize("compression", ["zlib", "lzw", "zstd", "lzma", "packbits"])
def test_a_strip_that_becomes_larger_than_its_page_is_refused(compression: str) -> None:
    data = bytearray(tiff(np.zeros((400, 30), np.uint16), compression=compression, metadata=None))
    start = int.from_bytes(data[4:8], "little")
    for at in range(start + 2, start + 2 + 12 * data[start], 12):
        if struct.unpack_from("<H", data, at)[0] in {257, 278}:
            struct.pack_into("<HI", data, at + 2, 4, 1)
            struct.pack_into("<I", data, at + 8, 10)
    with pytest.raises(BadImage, match=r"does not decode|decodes to|longer than it can be"):
        check(bytes(data))


def test_a_bomb_costs_no_memory() -> None:
    bomb = zlib.compress(bytes(1 << 26))
    data = bytearray(tiff(np.zeros((8, 8), np.uint8), compression="zlib", metadata=None))
    start = int.from_bytes(data[4:8], "little")
    for at in range(start + 2, start + 2 + 12 * data[start], 12):
        tag = struct.unpack_from("<H", data, at)[0]
        if tag in {273, 279}:
            struct.pack_into("<HII", data, at + 2, 4, 1, len(data) if tag == 273 else len(bomb))
    for read in (check_data, lambda file: list(read_planes(file))):
        with pytest.raises(BadImage):
            read(io.BytesIO(bytes(data) + bomb))


@pytest.mark.parametrize(
    "how", [{"compression": "jpeg"}, {"compression": "jpeg2000", "bitspersample": 12}]
)
def test_pictures_of_twelve_bits_pass(how: dict[str, Any]) -> None:
    data = tiff(np.arange(4096, dtype=np.uint16).reshape(64, 64), metadata=None, **how)
    check(data)
    assert "uint16" == next(read_planes(io.BytesIO(data))).dtype


def test_a_compression_that_is_not_read_says_what_to_do() -> None:
    data = tiff(np.zeros((30, 30), np.uint16), compression="lerc", metadata=None)
    with pytest.raises(BadImage) as raised:
        check(data)
    assert "the image: compression 34887 is not read" in str(raised.value)
    assert "Deflate" in str(raised.value)


def test_what_is_not_a_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.tif")
    for path in (tmp_path / "pipe.tif", tmp_path):
        with pytest.raises(BadImage, match="not a file"):
            check_data(path)


def test_pages_that_differ_are_found() -> None:
    data = bytearray(FORMS["ours"])
    second = struct.unpack_from("<I", data, 8 + 2 + 12 * struct.unpack_from("<H", data, 8)[0])[0]
    struct.pack_into("<I", data, second + 2 + 8, 29)
    with pytest.raises(BadImage, match="page 1 is"):
        check(bytes(data))


def test_an_endless_page_is_refused() -> None:
    data = bytearray(ome(STACK[0, 0], "YX"))
    struct.pack_into("<I", data, 8 + 2 + 8, 1 << 30)
    with pytest.raises(BadImage, match="a page of"):
        check(bytes(data))


damage = st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 255)), max_size=6)


@given(form=st.sampled_from(sorted(FORMS)), keep=st.floats(0, 1), where=damage, cut=st.booleans())
def test_damage_leads_to_bad_images_or_to_none(
    form: str, keep: float, where: list[tuple[int, int]], cut: bool
) -> None:
    data = bytearray(FORMS[form])
    if cut:
        data = data[: int(keep * len(data))]
    for at, value in where:
        if data:
            data[at % len(data)] = value
    for read in (
        read_header,
        check_data,
        lambda file: [None for _ in read_planes(file)],
        lambda file: compare_labels(file, file),
    ):
        with suppress(BadImage):
            read(io.BytesIO(bytes(data)))


def test_real_images_are_sound(shared_data: Path) -> None:
    for path in sorted((shared_data / "images").rglob("*.tif*")):
        check_data(path)
