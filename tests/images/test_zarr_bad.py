"""OME-Zarr that is damaged, or made to harm: one clear error, soon, and in little memory."""

import gzip
import json
import os
import random
import resource
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from zarr import codecs

from cellbank import images
from cellbank.images.zarr_codecs import CannotDecode, undo
from cellbank.images.zarr_files import inside
from cellbank.model.errors import BadImage
from tests.images.zarr_making import VOLUME, describe, image, multiscale

BIG = 1 << 36


def changed(path: Path, **what: Any) -> Path:
    """Change keys of the metadata of the first array."""
    for name in (path / "0/zarr.json", path / "0/.zarray"):
        if name.is_file():
            name.write_text(json.dumps(json.loads(name.read_text()) | what))
    return path


def read(path: Path) -> None:
    images.open(path).read()


def test_a_folder_that_is_no_zarr(tmp_path: Path) -> None:
    with pytest.raises(BadImage, match="a folder and no OME-Zarr") as told:
        images.open(tmp_path)
    assert "Name an image in it." == told.value.advice
    (tmp_path / "zarr.json").write_text('{"zarr_format": 3, "node_type": "group"}')
    with pytest.raises(BadImage, match="no OME-Zarr image"):
        images.open(tmp_path)


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_plain_zarr_has_no_axes(tmp_path: Path, zarr_format: int) -> None:
    zarr.create_array(tmp_path / "array", data=VOLUME, zarr_format=zarr_format)  # type: ignore[arg-type]
    zarr.open_group(tmp_path / "group", mode="w", zarr_format=zarr_format)  # type: ignore[arg-type]
    for name in ("array", "group"):
        with pytest.raises(BadImage, match=r"no OME-Zarr image: .* \(multiscales\)"):
            images.open(tmp_path / name)


def test_version_0_6_is_named(tmp_path: Path) -> None:
    path = describe(tmp_path, {"version": "0.6.dev2", "multiscales": [{}]})
    with pytest.raises(BadImage, match=r"OME-Zarr 0\.6\.dev2, which is not read"):
        images.open(path)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '"a"', "\0", "[" * 100_000, '{"a":' * 100_000, "\xff\xfe", "{} {}"],
    ids=range(10),
)
@pytest.mark.parametrize("place", ["zarr.json", "0/zarr.json"])
def test_json_that_is_none(tmp_path: Path, text: str, place: str) -> None:
    path = image(tmp_path / "a.zarr")
    (path / place).write_text(text, encoding="latin-1")
    with pytest.raises(BadImage):
        images.open(path)


@pytest.mark.parametrize(
    "what",
    [
        {"shape": None},
        {"shape": [3, 5]},
        {"shape": [3, 5, 40, 0]},
        {"shape": [3, 5, 40, -1]},
        {"shape": [3, 5, 40, 2.5]},
        {"shape": [3, 5, 40, True]},
        {"shape": [1] * 5000},
        {"shape": [3, 5, 10**9, 10**9]},
        {"shape": [10**18, 5, 40, 50]},
        {"data_type": "uint17"},
        {"data_type": {"name": "struct"}},
        {"node_type": "group"},
        {"zarr_format": 4},
        {"storage_transformers": [{"name": "a"}]},
        {"codecs": []},
        {"codecs": "bytes"},
        {"codecs": [{"name": "zstd"}]},
        {"codecs": [{"name": "bytes", "configuration": {"endian": "middle"}}]},
        {"codecs": [{"name": "bytes"}, {"name": "jpeg9000"}]},
        {"codecs": [{"name": "transpose", "configuration": {"order": [0, 0, 1, 2]}}, "bytes"]},
        {"codecs": [{"name": "sharding_indexed", "configuration": {"chunk_shape": [1, 1, 5, 5]}}]},
        {"chunk_grid": {"name": "rectangular"}},
        {"chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [0, 1, 1, 1]}}},
        {"chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [1, 1, 10**6, 10**5]}}},
        {"chunk_key_encoding": {"name": "hilbert"}},
        {"chunk_key_encoding": {"name": "default", "configuration": {"separator": ".."}}},
        {"fill_value": "red"},
        {"fill_value": "0xzz"},
        {"fill_value": [1, 2, 3]},
    ],
    ids=lambda what: str(what)[:50],
)
def test_metadata_that_make_no_sense(tmp_path: Path, what: dict[str, Any]) -> None:
    path = changed(image(tmp_path / "a.zarr"), **what)
    with pytest.raises(BadImage):
        images.open(path)


@pytest.mark.parametrize(
    "what",
    [
        {"dtype": [["a", "<u2"]]},
        {"dtype": "<M8[ns]"},
        {"dtype": "|S5"},
        {"dtype": "|O"},
        {"dtype": "nonsense"},
        {"filters": [{"id": "delta", "dtype": "<u2"}]},
        {"compressor": {"id": "jpeg9000"}},
        {"compressor": "zstd"},
        {"dimension_separator": "/../"},
        {"chunks": [1, 1, 10**6, 10**5]},
    ],
    ids=lambda what: str(what)[:50],
)
def test_metadata_of_zarr_2_that_make_no_sense(tmp_path: Path, what: dict[str, Any]) -> None:
    path = changed(image(tmp_path / "a.zarr", zarr_format=2), **what)
    with pytest.raises(BadImage):
        images.open(path)


def test_arrays_that_do_not_fit_the_metadata(tmp_path: Path) -> None:
    path = image(tmp_path / "a.zarr")
    describe(path, {"multiscales": [multiscale("zyx")]})
    with pytest.raises(BadImage, match="has 4 axes, its metadata name 3"):
        images.open(path)
    zarr.create_array(path / "1", data=VOLUME[0].astype("f4"))
    describe(path, {"multiscales": [multiscale("czyx", 2)]})
    with pytest.raises(BadImage, match="float32 pixels, others have uint16"):
        images.open(path)
    describe(path, {"multiscales": [multiscale("czyx", 3)]})
    with pytest.raises(BadImage, match="array 2 is missing"):
        images.open(path)


# --- places --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["../b.zarr/0", "0/../../b", "/etc", "..", ".", "", "a\0b", "a\\..\\b", "x" * 5000]
)
def test_paths_that_lead_out_are_never_followed(tmp_path: Path, path: str) -> None:
    image(tmp_path / "b.zarr")
    folder = image(tmp_path / "a.zarr")
    said = multiscale("czyx")
    said["datasets"][0]["path"] = path
    describe(folder, {"multiscales": [said]})
    with pytest.raises(BadImage):
        images.open(folder)


@pytest.mark.parametrize("path", ["../b.zarr", "A/../../b.zarr", "/"])
def test_wells_and_series_that_lead_out_are_never_followed(tmp_path: Path, path: str) -> None:
    image(tmp_path / "b.zarr")
    plate = describe(tmp_path / "plate.zarr", {"plate": {"wells": [{"path": path}]}})
    with pytest.raises(BadImage, match=r"does not lie in it|as the path"):
        images.open(plate)
    series = describe(tmp_path / "series.zarr", {"bioformats2raw.layout": 3})
    describe(series / "OME", {"series": [path]})
    with pytest.raises(BadImage):
        images.open(series)
    with pytest.raises(BadImage):
        images.open(image(tmp_path / "c.zarr"), scene=path)


@given(st.text(max_size=40) | st.none() | st.integers() | st.lists(st.text(), max_size=2))
def test_no_path_leads_out(path: Any) -> None:
    try:
        found = inside(path, "a.zarr")
    except BadImage:
        return
    place = os.path.normpath(f"/root/{found}")
    assert place.startswith("/root/")


def test_links_that_lead_out_are_never_followed(tmp_path: Path) -> None:
    other = image(tmp_path / "b.zarr")
    path = image(tmp_path / "a.zarr", chunks=(3, 5, 40, 50))
    chunk = path / "0/c/0/0/0/0"
    chunk.unlink()
    chunk.symlink_to(other / "zarr.json")
    with pytest.raises(BadImage, match="a link that leads out"):
        read(path)
    chunk.unlink()
    (path / "0").rename(path / "old")
    (path / "0").symlink_to(other / "0")
    with pytest.raises(BadImage, match="a link that leads out"):
        images.open(path)


def test_links_inside_are_followed_and_so_is_the_folder_itself(tmp_path: Path) -> None:
    path = image(tmp_path / "a.zarr", chunks=(3, 5, 40, 50))
    (path / "0").rename(path / "first")
    (path / "0").symlink_to("first")
    chunk = path / "first/c/0/0/0/0"
    chunk.rename(path / "chunk")
    chunk.symlink_to("../../../../../chunk")
    (tmp_path / "link.zarr").symlink_to(path)
    np.testing.assert_array_equal(VOLUME[0], images.open(tmp_path / "link.zarr").read())


def test_a_link_in_a_circle_and_a_pipe_are_no_chunks(tmp_path: Path) -> None:
    path = image(tmp_path / "a.zarr", chunks=(3, 5, 40, 50))
    chunk = path / "0/c/0/0/0/0"
    chunk.unlink()
    os.mkfifo(chunk)
    with pytest.raises(BadImage, match="is not a file"):
        read(path)
    chunk.unlink()
    chunk.mkdir()
    with pytest.raises(BadImage, match="is not a file"):
        read(path)
    chunk.rmdir()
    chunk.symlink_to(chunk.name)
    with pytest.raises(BadImage):
        read(path)


# --- chunks --------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["blosc", "zstd", "gzip", None])
@pytest.mark.parametrize("cut", [0, 1, 20, -1])
def test_a_truncated_chunk(tmp_path: Path, form: str | None, cut: int) -> None:
    how = {"blosc": codecs.BloscCodec(), "zstd": codecs.ZstdCodec(), "gzip": codecs.GzipCodec()}
    path = image(tmp_path / "a.zarr", chunks=(3, 5, 40, 50), compressors=how.get(form or ""))
    chunk = path / "0/c/0/0/0/0"
    chunk.write_bytes(chunk.read_bytes()[:cut])
    with pytest.raises(BadImage, match="0/c/0/0/0/0"):
        read(path)


def test_a_chunk_that_is_too_long(tmp_path: Path) -> None:
    path = image(tmp_path / "a.zarr", chunks=(3, 5, 40, 50), compressors=None)
    with (path / "0/c/0/0/0/0").open("ab") as file:
        file.write(b"\0")
    with pytest.raises(BadImage, match="decodes to 60001 bytes instead of 60000"):
        read(path)
    os.truncate(path / "0/c/0/0/0/0", BIG)
    with pytest.raises(BadImage, match="more than it can need"):
        read(path)


def test_a_wrong_checksum(tmp_path: Path) -> None:
    checked = codecs.Crc32cCodec()
    path = image(tmp_path / "a.zarr", chunks=(3, 5, 40, 50), compressors=checked)
    chunk = bytearray((path / "0/c/0/0/0/0").read_bytes())
    chunk[1000] ^= 1
    (path / "0/c/0/0/0/0").write_bytes(chunk)
    with pytest.raises(BadImage, match="wrong checksum"):
        read(path)


def _blosc_bomb() -> bytes:
    return struct.pack("<BBBBIII", 2, 1, 0x21, 2, (1 << 31) - 20, 1 << 20, 60) + bytes(44)


BOMBS: dict[str, Callable[[], bytes]] = {
    "gzip": lambda: gzip.compress(bytes(1 << 28), 9),
    "zstd": lambda: zstandard.compress(bytes(1 << 28), 19),
    "blosc": _blosc_bomb,
    "numcodecs.bz2": lambda: __import__("bz2").compress(bytes(1 << 26)),
    "numcodecs.lzma": lambda: __import__("lzma").compress(bytes(1 << 26)),
    "numcodecs.zlib": lambda: __import__("zlib").compress(bytes(1 << 28), 9),
    "numcodecs.lz4": lambda: struct.pack("<I", 0xFFFFFFF0) + bytes(40),
}


@pytest.mark.parametrize("form", BOMBS)
def test_a_small_chunk_cannot_ask_for_memory(tmp_path: Path, form: str) -> None:
    path = image(tmp_path / "a.zarr", chunks=(3, 5, 40, 50), compressors=None)
    changed(path, codecs=[{"name": "bytes"}, {"name": form}])
    bomb = BOMBS[form]()[:60_000]
    (path / "0/c/0/0/0/0").write_bytes(bomb)
    code = f"""
import resource
import cellbank.images as images
from cellbank.model.errors import BadImage
image = images.open({str(path)!r})
import imagecodecs, imagecodecs._imcd
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    image.read()
except BadImage:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(found.stdout) < 30_000


@pytest.mark.parametrize("name", ["blosc", "zstd", "gzip", "zlib", "lz4", "bz2", "lzma"])
def test_damaged_bytes_are_one_error(name: str) -> None:
    """Also where a decoder would read behind the end of its input."""
    data = (np.arange(8192, dtype="u2") * 7 % 1999).tobytes()
    encoded = _encoded(name, data)
    random_, refused = random.Random(7), 0  # noqa: S311
    for _ in range(300):
        damaged = bytearray(encoded)
        for _ in range(random_.randint(1, 4)):
            short = min(len(damaged), 20)
            damaged[random_.randrange(random_.choice([short, len(damaged)]))] ^= 1 << 7
        try:
            assert len(data) == len(undo((name,), bytes(damaged), len(data)))
        except CannotDecode:
            refused += 1
    assert refused > 100


def _encoded(name: str, data: bytes) -> bytes:
    import numcodecs

    encoded: bytes = bytes(numcodecs.get_codec({"id": name}).encode(data))
    return encoded


def test_damaged_shards(tmp_path: Path) -> None:
    path = image(tmp_path / "a.zarr", chunks=(1, 1, 16, 16), shards=(3, 5, 48, 64))
    shard = path / "0/c/0/0/0/0"
    whole = shard.read_bytes()
    for cut in (0, 10, len(whole) // 2):
        shard.write_bytes(whole[cut:] if cut == 10 else whole[:cut])
        with pytest.raises(BadImage):
            read(path)
    no_check = json.loads((path / "0/zarr.json").read_text())["codecs"]
    no_check[0]["configuration"]["index_codecs"] = ["bytes"]
    changed(path, codecs=no_check)
    for entry in ((1 << 62, 100), (10, 1 << 62), (10, 1 << 30), (len(whole), 100)):
        shard.write_bytes(whole[:-4])
        os.truncate(shard, len(whole) - 4 - 3 * 5 * 3 * 4 * 16)
        with shard.open("ab") as file:
            file.write(struct.pack("<QQ", *entry) * (3 * 5 * 3 * 4))
        with pytest.raises(BadImage):
            read(path)


def test_too_many_chunks_for_one_plane(tmp_path: Path) -> None:
    grid = {"name": "regular", "configuration": {"chunk_shape": [1, 1]}}
    path = image(tmp_path / "a.zarr", VOLUME[0, 0, 0, :4, :4], "yx", chunks=(1, 1))
    changed(path, chunk_grid=grid, shape=[1 << 18, 1 << 12])
    found = images.open(path)
    assert (1, 1) == found.read(Y=slice(0, 1), X=slice(0, 1)).shape
    started = time.monotonic()
    with pytest.raises(BadImage, match="chunks is too large"):
        found.read()
    assert time.monotonic() - started < 5


# --- much of it ----------------------------------------------------------------------------------


def test_a_plate_of_too_many_images(tmp_path: Path) -> None:
    path = describe(tmp_path / "plate.zarr", {"plate": {"wells": [{"path": "A/1"}] * 100_001}})
    with pytest.raises(BadImage, match="not understood"):
        images.open(path)
    describe(path, {"plate": {"wells": [{"path": "A/1"}] * 3}})
    describe(path / "A/1", {"well": {"images": [{"path": "0"}] * 50_000}})
    started = time.monotonic()
    with pytest.raises(BadImage, match="more than 100000 images"):
        images.open(path)
    assert time.monotonic() - started < 10


def test_metadata_without_end(tmp_path: Path) -> None:
    path = image(tmp_path / "a.zarr")
    os.truncate(path / "zarr.json", BIG)
    with pytest.raises(BadImage, match="more than it can need"):
        images.open(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < BIG >> 10


@pytest.mark.parametrize("xml", ["<OME", "<!DOCTYPE a><OME/>", "", "\0" * 100, "x" * (17 << 20)])
def test_bad_ome_xml_spoils_nothing(tmp_path: Path, xml: str) -> None:
    path = image(tmp_path / "a.zarr")
    (path / "OME").mkdir()
    (path / "OME/METADATA.ome.xml").write_text(xml)
    found = images.open(path)
    assert found.notes
    np.testing.assert_array_equal(VOLUME[0], found.read())
