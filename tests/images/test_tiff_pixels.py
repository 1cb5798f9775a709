"""Pixels of TIFF files: many readers at once, levels, scenes, what a page may not be."""

import io
import pickle
import struct
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from cellbank.images.image import Image
from cellbank.images.opening import open as open_image
from cellbank.model.errors import BadImage, BadInput
from tests.images.making import FIELD, FORMS, STACK, TIMES, pyramid, scenes, tiff, unlike

MANY = ["ours", "OME, pyramid", "LZW, predictor", "ImageJ, one directory", "JPEG", "tiles"]


def image_of(data: bytes, **how: Any) -> Image:
    return open_image(io.BytesIO(data), **how)


def sums(image: Image, times: int = 20) -> list[int]:
    """Read planes again and again, whole and in part."""
    found = []
    for number in range(times):
        rows = slice(number % 7, None)
        found.append(int(image.read(Y=rows).sum(dtype=np.uint64)))
        found.append(int(image.project(over="C").sum(dtype=np.uint64)))
    return found


@pytest.mark.parametrize("form", MANY)
@pytest.mark.parametrize("by_path", [True, False])
def test_one_image_is_read_from_eight_threads(tmp_path: Path, form: str, by_path: bool) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(FORMS[form])
    expected = sums(open_image(path))
    with path.open("rb") as file:
        image = open_image(path if by_path else file)
        start = threading.Barrier(8)
        with ThreadPoolExecutor(8) as pool:
            jobs = [pool.submit(lambda: (start.wait(), sums(image))[1]) for _ in range(8)]
        assert [expected] * 8 == [job.result() for job in jobs]


@pytest.mark.parametrize("form", MANY)
def test_an_image_is_pickled_with_what_was_found_of_it(tmp_path: Path, form: str) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(FORMS[form])
    image = open_image(path)
    for _ in range(2):
        again = pickle.loads(pickle.dumps(image))  # noqa: S301
        assert (repr(image), image.levels, image.channels) == (
            repr(again),
            again.levels,
            again.channels,
        )
        np.testing.assert_array_equal(image.read(), again.read())


def test_an_image_is_read_in_other_processes(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(FORMS["OME, pyramid"])
    image = open_image(path)
    image.read()
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        assert [sums(image, 2)] * 2 == list(pool.map(sums, [image, image], [2, 2]))


def test_an_open_file_is_not_sent_to_another_process() -> None:
    with pytest.raises(BadInput, match="Open the image by its path"):
        pickle.dumps(image_of(FORMS["ours"]))


def test_a_file_is_not_closed_and_may_be_used_by_others() -> None:
    file = io.BytesIO(FORMS["ours"])
    image = open_image(file)
    file.seek(5)
    np.testing.assert_array_equal(STACK, image.read())
    assert not file.closed
    np.testing.assert_array_equal(STACK, open_image(file).read())


def test_a_path_is_open_only_while_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(FORMS["ours"])
    images = [open_image(path) for _ in range(30)]
    for image in images:
        image.read(Z=0)
    assert [] == [p for p in Path("/proc/self/fd").iterdir() if p.exists() and p.samefile(path)]


# --- levels


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("how", [{}, {"compression": "zlib"}, {"tile": None, "rowsperstrip": 7}])
def test_smaller_versions_are_levels(how: dict[str, Any], order: str) -> None:
    image = image_of(pyramid(byteorder=order, **how))
    assert ((90, 110), (45, 55), (23, 28)) == image.levels
    for level, step in enumerate((1, 2, 4)):
        found = image.read(level=level)
        np.testing.assert_array_equal(FIELD[:, ::step, ::step], found, strict=True)
        np.testing.assert_array_equal(found.max(0), image.project(over="C", level=level))


def test_the_pixel_size_of_a_level_is_larger() -> None:
    file = io.BytesIO()
    with tifffile.TiffWriter(file, ome=True) as writer:
        metadata = {"axes": "YX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.25}
        writer.write(FIELD[0], subifds=1, metadata=metadata, photometric="minisblack")
        writer.write(FIELD[0, ::2, ::2], subfiletype=1, metadata=None, photometric="minisblack")
    image = image_of(file.getvalue())
    assert {"Y": 0.25, "X": 0.5} == image.level_pixel_size(0)
    assert {"Y": 0.5, "X": 1.0} == image.level_pixel_size(1)
    assert image_of(pyramid()).level_pixel_size(1) is None


def test_a_thumbnail_looks_at_the_smallest_version_that_is_large_enough() -> None:
    large = np.zeros((90, 110), np.uint16)
    small = np.tile(np.arange(55, dtype=np.uint16) * 100, (45, 1))
    file = io.BytesIO()
    with tifffile.TiffWriter(file, ome=True) as writer:
        writer.write(large, subifds=1, photometric="minisblack", metadata={"axes": "YX"})
        writer.write(small, subfiletype=1, photometric="minisblack", metadata=None)
    image = image_of(file.getvalue())
    assert image.thumbnail(50)[..., 0].max() == 255
    assert image.thumbnail(60)[..., 0].max() == 0


# --- scenes


def test_several_images_of_a_file_are_opened_by_number_and_by_name() -> None:
    data = scenes(STACK, TIMES[0, :, 0], STACK[0, 0, :5, :6])
    names = ("part 0", "part 1", "part 2")
    parts = [(0, STACK), (1, TIMES[0, :, 0]), (2, STACK[0, 0, :5, :6])]
    for number, expected in parts:
        for scene in (number, names[number]):
            image = image_of(data, scene=scene)
            assert names == image.scenes
            np.testing.assert_array_equal(expected, image.read(), strict=True)


def test_pages_that_are_unlike_are_images_of_their_own() -> None:
    parts = (STACK[0, 0], STACK[0, 0, :7], STACK[0, 0].astype(np.float32))
    data = unlike(*parts)
    assert ("image 0", "image 1", "image 2") == image_of(data).scenes
    for number, expected in enumerate(parts):
        np.testing.assert_array_equal(expected, image_of(data, scene=number).read(), strict=True)


@pytest.mark.parametrize("scene", [2, -1, "part 9", "prat 1"])
def test_a_scene_that_is_not_there_is_told(scene: int | str) -> None:
    with pytest.raises(BadImage, match="no scene"):
        image_of(FORMS["OME, scenes"], scene=scene)


def test_a_scene_with_a_near_name_is_suggested() -> None:
    with pytest.raises(BadImage, match="Did you mean part 1"):
        image_of(scenes(STACK, STACK), scene="prat 1")


# --- odd files


def test_a_missing_plane_is_told_and_the_others_are_read() -> None:
    whole = tiff(ome=True, metadata={"axes": "ZCYX"})
    with tifffile.TiffFile(io.BytesIO(whole)) as found:
        pages = list(found.pages)
        at = pages[3].offset
        count = struct.unpack_from("<H", whole, at)[0]
    cut = bytearray(whole)
    struct.pack_into("<I", cut, at + 2 + 12 * count, 0)
    image = image_of(bytes(cut))
    assert ("2 of 6 planes are missing",) == image.notes
    np.testing.assert_array_equal(STACK[:2], image.read(Z=slice(0, 2)))
    with pytest.raises(BadImage, match="plane 4 of 6 is missing"):
        image.read()


def test_a_tile_without_bytes_is_black() -> None:
    data = np.zeros((64, 64), np.uint16)
    data[40:, 40:] = 7
    tiles = (data[y : y + 16, x : x + 16] for y in range(0, 64, 16) for x in range(0, 64, 16))
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        some = (tile if tile.any() or not n else None for n, tile in enumerate(tiles))
        writer.write(some, shape=(64, 64), dtype="uint16", tile=(16, 16), compression="zlib")
    with tifffile.TiffFile(io.BytesIO(file.getvalue())) as found:
        assert 0 in found.pages.first.databytecounts
    np.testing.assert_array_equal(data, image_of(file.getvalue()).read())


@pytest.mark.parametrize("bits", [1, 2, 4, 6, 10, 12, 14])
def test_packed_bits_are_unpacked(bits: int) -> None:
    data = (np.arange(40 * 33).reshape(40, 33) % (1 << bits)).astype(
        np.uint16 if bits > 8 else np.uint8
    )
    width = (33 * bits + 7) // 8
    packed = np.zeros((40, width * 8), np.uint8)
    shifts = np.arange(bits - 1, -1, -1)
    packed[:, : 33 * bits] = (data[..., None] >> shifts & 1).reshape(40, -1)
    stored = np.packbits(packed, axis=1).tobytes()
    entries = [(256, 33), (257, 40), (258, bits), (259, 1), (262, 1), (277, 1), (278, 40)]
    entries += [(273, 8 + 2 + 9 * 12 + 4), (279, len(stored))]
    packed_entries = b"".join(
        struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(entries)
    )
    head = struct.pack("<2sHIH", b"II", 42, 8, len(entries)) + packed_entries + bytes(4)
    found = image_of(head + stored).read()
    np.testing.assert_array_equal(tifffile.imread(io.BytesIO(head + stored)), found)
    np.testing.assert_array_equal(data, found)


def test_a_huge_page_with_empty_tiles_gives_its_regions(tmp_path: Path) -> None:
    path = tmp_path / "huge.tif"
    side, count = 30_000, 118
    seen = np.full((256, 256), 9, np.uint8)

    def tiles() -> Any:
        for number in range(count * count):
            yield seen if number in {0, 59 * count + 59} else None

    tifffile.imwrite(
        path, tiles(), shape=(side, side), dtype="uint8", tile=(256, 256), compression="zlib"
    )
    image = open_image(path)
    found = image.read(Y=slice(59 * 256 - 10, 59 * 256 + 10), X=slice(59 * 256 - 10, 59 * 256 + 10))
    assert 9 * 100 == found.sum(dtype=int)
    with pytest.raises(BadInput, match=r"no thumbnail.*no smaller version"):
        image.thumbnail()
