"""Opening: paths, files, entries of a package; what is opened has read only its header."""

import io
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest

import cellbank
from cellbank.images.image import Image
from cellbank.images.opening import open as open_image
from cellbank.model.errors import BadImage, BadInput
from tests.images.attacks import STORED, chain
from tests.images.making import FORMS, STACK, Counting, ome, ome_text


def test_a_path_a_text_and_a_file_are_the_same_image(tmp_path: Path) -> None:
    path = tmp_path / "a.ome.tif"
    path.write_bytes(FORMS["ours"])
    with path.open("rb") as file, path.open("rb", buffering=0) as raw:
        for source in (path, str(path), file, raw, io.BytesIO(FORMS["ours"])):
            image = open_image(source)
            assert "<Image ZCYX 3 × 2 × 20 × 30 uint16, DNA, membrane>" == repr(image)
            np.testing.assert_array_equal(STACK, image.read())
        assert (str(path), str(path)) == (open_image(path).name, open_image(file).name)


def test_an_image_is_opened_already() -> None:
    image = open_image(io.BytesIO(FORMS["ours"]))
    assert image is open_image(image)


def test_a_file_without_readinto_is_read_too() -> None:
    class Plain:
        """Has what a binary file must have, and nothing else."""

        def __init__(self) -> None:
            self.seek, self.read = (file := io.BytesIO(FORMS["ours"])).seek, file.read

    np.testing.assert_array_equal(STACK, open_image(Plain()).read())


def test_a_file_that_gives_little_at_a_time_is_read_too() -> None:
    class Slow(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            return super().read(min(size or 0, 100) if size != -1 else -1)

        def readinto(self, buffer: Any) -> int:
            return super().readinto(memoryview(buffer)[:100])

    np.testing.assert_array_equal(STACK, open_image(Slow(FORMS["ours"])).read())


@pytest.mark.parametrize("form", FORMS)
def test_a_scene_a_name_or_a_number_opens_the_first(form: str) -> None:
    first = open_image(io.BytesIO(FORMS[form]))
    again = open_image(io.BytesIO(FORMS[form]), scene=first.scenes[0])
    assert (repr(first), first.scenes) == (repr(again), again.scenes)


@pytest.mark.parametrize("reader", ["tifffile", "", 3])
def test_there_is_one_other_reader(reader: Any) -> None:
    with pytest.raises(BadInput, match="there is no reader"):
        open_image(io.BytesIO(FORMS["ours"]), reader=reader)


def test_another_format_than_tiff_must_have_a_path() -> None:
    with pytest.raises(BadImage, match=r"it is no TIFF file\. Open other formats by their path"):
        open_image(io.BytesIO(b"GIF89a and what follows"))


def test_an_entry_of_a_package_is_opened_by_what_it_holds(tmp_path: Path) -> None:
    folder = tmp_path / "cells"
    folder.mkdir()
    (folder / "field.ome.tif").write_bytes(FORMS["ours"])
    (folder / "notes.txt").write_text("no image")
    cellbank.build("demo/cells", folder)
    package = cellbank.load("demo/cells")
    image = open_image(package["field.ome.tif"])
    assert "field.ome.tif" == image.name
    np.testing.assert_array_equal(STACK[:, 1], image.read(C="membrane"))
    with pytest.raises(BadImage, match="notes"):
        open_image(package["notes.txt"])


def test_a_group_of_nothing_but_one_entry_is_opened_as_that(tmp_path: Path) -> None:
    (tmp_path / "cells/fovs/a/image").mkdir(parents=True)
    (tmp_path / "cells/fovs/a/image/load").write_bytes(FORMS["ours"])
    (tmp_path / "cells/fovs/a/info").write_text("{}")
    cellbank.build("demo/cells", tmp_path / "cells")
    package = cellbank.load("demo/cells")
    image = open_image(package.fovs.a.image)
    assert "fovs/a/image/load" == image.name
    np.testing.assert_array_equal(STACK, image.read())
    for other in (package.fovs.a, package.fovs, package):
        with pytest.raises(BadImage, match="Name an image in it"):
            open_image(other)


def test_an_entry_without_a_path_is_read_through_the_file_it_opens() -> None:
    class Entry:
        filename = "a.tif"

        def open(self) -> BinaryIO:
            return io.BytesIO(FORMS["ours"])

    image = open_image(Entry())
    assert "a.tif" == image.name
    np.testing.assert_array_equal(STACK, image.read())


@pytest.mark.parametrize("pages", [1, 100])
def test_opening_reads_the_directories_once(pages: int) -> None:
    data = np.zeros((pages, 100, 100), np.uint16)
    file = Counting(ome(data, "ZYX"))
    image = open_image(file)
    assert isinstance(image, Image)
    assert file.count < 16384 + 8192 * pages
    before = file.count
    # All of this is known, and nothing is read for it.
    for _ in (image.sizes, image.channels, image.pixel_size, image.levels, image.ome, repr(image)):
        assert before == file.count


class Far(Counting):
    """A file of which each part costs a request."""

    far = True


def test_from_afar_directories_are_followed_no_farther_than_needed() -> None:
    data = np.random.default_rng(0).integers(0, 60000, (20, 100, 100), np.uint16)
    whole = ome(data, "ZYX", compression="zlib")
    file = Far(whole)
    image = open_image(file)
    assert {"Z": 20, "Y": 100, "X": 100} == image.sizes
    assert file.count < 3 * 8192
    np.testing.assert_array_equal(data[1], image.read(Z=1))
    assert file.count < 10 * 8192 < len(whole)
    np.testing.assert_array_equal(data, image.read())
    np.testing.assert_array_equal(data.max(0), image.project())


def test_from_afar_what_is_wrong_farther_on_is_told_when_it_is_read() -> None:
    data = np.random.default_rng(0).integers(0, 60000, (20, 100, 100), np.uint16)
    whole = ome(data, "ZYX", compression="zlib")
    cut = open_image(Far(whole[: len(whole) // 2]))
    np.testing.assert_array_equal(data[3], cut.read(Z=3))
    with pytest.raises(BadImage, match="truncated"):
        cut.read(Z=19)
    sizes = 'SizeX="10" SizeY="10" SizeZ="5" SizeC="1" SizeT="1"'
    pixels = ome_text(inside="<TiffData/>", sizes=sizes)
    circle = open_image(Far(chain(3, STORED, text=pixels, circle=True)))
    assert (10, 10) == circle.read(Z=1).shape
    for _ in range(3):
        with pytest.raises(BadImage, match="in circles"):
            circle.read(Z=2)
    few = open_image(Far(chain(3, STORED, text=pixels)))
    with pytest.raises(BadImage, match="plane 3 of 5 is missing"):
        few.read(Z=3)


@pytest.mark.parametrize("scene", [1.5, True, None])
def test_a_scene_is_a_number_or_a_name(scene: Any) -> None:
    with pytest.raises(BadInput, match="is no scene"):
        open_image(io.BytesIO(FORMS["ours"]), scene=scene)


def test_a_scene_that_is_not_there_is_told_with_those_that_are() -> None:
    file = io.BytesIO(FORMS["ours"])
    there = open_image(file).scenes
    with pytest.raises(BadImage, match="no scene 'qqq'") as told:
        open_image(file, scene="qqq")
    assert f"It has {there[0]}." == told.value.advice


def test_a_file_of_text_is_told_how_to_be_opened(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(FORMS["ours"])
    with (tmp_path / "a.tif").open(encoding="latin-1") as file, pytest.raises(BadInput, match="rb"):
        open_image(file)


def test_of_a_record_its_image_is_to_be_taken() -> None:
    class Record:
        has_image = True

    with pytest.raises(BadInput, match=r"record\.image"):
        open_image(Record())
