"""Reading: exactly what numpy takes out of what tifffile reads, and nothing more from the disk."""

import io
import itertools
import resource
import struct
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st

from cellbank.images.image import Image
from cellbank.images.opening import open as open_image
from cellbank.model.errors import AxisNotFound, BadInput
from tests.images.attacks import file_of, page
from tests.images.making import FIELD, FORMS, STACK, TIMES, Counting, ome, tiff


def image_of(data: bytes, **how: Any) -> Image:
    return open_image(io.BytesIO(data), **how)


@cache
def whole(form: str) -> np.ndarray[Any, Any]:
    """What tifffile reads, with the samples of a pixel last."""
    with tifffile.TiffFile(io.BytesIO(FORMS[form])) as found:
        series = found.series[0]
        array = series.asarray()
        return np.moveaxis(array, -3, -1) if series.axes.endswith("SYX") else array


def taken(array: np.ndarray[Any, Any], axes: str, choices: dict[str, Any]) -> Any:
    """What numpy takes, axis by axis, from the last to the first."""
    for number, axis in reversed(list(enumerate(axes))):
        if choices.get(axis) is not None:
            choice = choices[axis]
            choice = list(choice) if isinstance(choice, range) else choice
            array = array[(slice(None),) * number + (choice,)]
    return array


@pytest.mark.parametrize("form", FORMS)
def test_all_forms_give_what_tifffile_reads(form: str) -> None:
    image = image_of(FORMS[form])
    found = image.read()
    assert whole(form).dtype.newbyteorder("=") == found.dtype == image.dtype
    assert whole(form).shape == found.shape == image.shape
    np.testing.assert_array_equal(whole(form), found)


@pytest.mark.parametrize("form", FORMS)
def test_what_is_read_is_new_writable_and_native(form: str) -> None:
    image = image_of(FORMS[form])
    first = image.read()
    assert first.flags.writeable
    assert first.flags.c_contiguous
    assert first.dtype.isnative
    first[...] = 0
    np.testing.assert_array_equal(whole(form), image.read())


def choices(size: int) -> st.SearchStrategy[Any]:
    place = st.integers(-size, size - 1)
    return st.one_of(
        st.none(),
        place,
        st.slices(size),
        st.lists(place, max_size=4),
        st.builds(range, st.integers(0, size), st.integers(0, size), st.integers(1, 3)),
    )


@given(data=st.data(), form=st.sampled_from(sorted(FORMS)))
def test_any_part_is_what_numpy_takes(data: st.DataObject, form: str) -> None:
    image = image_of(FORMS[form])
    named = {a: n for a, n in image.sizes.items() if a in "TCZYXS"}
    wanted = {axis: data.draw(choices(size), axis) for axis, size in named.items()}
    np.testing.assert_array_equal(
        taken(whole(form), image.axes, wanted), image.read(**wanted), strict=True
    )


@given(data=st.data())
def test_levels_are_read_as_well(data: st.DataObject) -> None:
    image = image_of(FORMS["OME, pyramid, big-endian"])
    level = data.draw(st.integers(0, 2))
    step = 2**level
    expected = FIELD[:, ::step, ::step]
    assert expected.shape[1:] == image.levels[level]
    sizes = zip("CYX", expected.shape, strict=True)
    wanted = {axis: data.draw(choices(size), axis) for axis, size in sizes}
    found = image.read(level=level, **wanted)
    np.testing.assert_array_equal(taken(expected, "CYX", wanted), found, strict=True)


def test_channels_go_by_name_and_in_the_order_asked() -> None:
    image = image_of(FORMS["ours"])
    np.testing.assert_array_equal(STACK[:, 1], image.read(C="membrane"))
    np.testing.assert_array_equal(STACK[:, [1, 0]], image.read(C=["membrane", "DNA"]))
    np.testing.assert_array_equal(STACK[:, [1, 1]], image.read(C=["membrane", -1]))


def test_numbers_of_numpy_are_numbers() -> None:
    image = image_of(FORMS["ours"])
    np.testing.assert_array_equal(STACK[2, 1], image.read(Z=np.int64(2), C=np.uint8(1)))
    np.testing.assert_array_equal(STACK[[2, 0]], image.read(Z=np.array([2, 0])))


@pytest.mark.parametrize("order", ["".join(o) for o in itertools.permutations("ZCYX")][::3])
def test_the_order_of_axes_can_be_chosen(order: str) -> None:
    expected = STACK.transpose(["ZCYX".index(axis) for axis in order])
    np.testing.assert_array_equal(expected, image_of(FORMS["ours"]).read(axes=order), strict=True)


def test_an_axis_that_is_not_there_has_the_length_one() -> None:
    image = image_of(FORMS["ours"])
    assert (1, 2, 3, 20, 30) == image.read(axes="TCZYX").shape
    assert (20, 1, 30, 1) == image.read(Z=0, C=0, axes="YCXT").shape
    np.testing.assert_array_equal(STACK[1, 0].T, image.read(axes="XY", Z=1, C=0))


def test_an_axis_cannot_be_lost_by_its_order() -> None:
    with pytest.raises(AxisNotFound, match="Choose one place of Z"):
        image_of(FORMS["ours"]).read(axes="CYX")
    for order in ("YX", "ZZCYX", "ZCYXW", "zcyx", ""):
        with pytest.raises(AxisNotFound, match="cannot become"):
            image_of(FORMS["ours"]).read(axes=order)


def test_axes_without_a_name_can_be_ordered_by_their_letters() -> None:
    image = image_of(tiff(TIMES, metadata=None, truncate=False))
    assert "QYX" == image.axes
    np.testing.assert_array_equal(
        TIMES.reshape(-1, 20, 30).transpose(1, 2, 0), image.read(axes="YXQ")
    )
    stacks = image_of(tiff(TIMES))
    assert "JIQYX" == stacks.axes
    np.testing.assert_array_equal(TIMES, stacks.read(axes="JIQYX"))


def test_the_only_place_of_an_absent_axis_may_be_asked_for() -> None:
    image = image_of(FORMS["one page"])
    for place in (0, -1, slice(None), [0], np.array([0]), range(1), slice(0, 1)):
        np.testing.assert_array_equal(STACK[0, 0], image.read(T=place, C=place, Z=place))


@pytest.mark.parametrize(
    "choice", [1, -2, slice(1, 2), [], [1], [0, 0], np.array([0, 1]), range(2), "a", 0.0, False]
)
def test_no_other_place_of_an_absent_axis(choice: Any) -> None:
    with pytest.raises(AxisNotFound):
        image_of(FORMS["one page"]).read(T=choice)


@pytest.mark.parametrize(
    "choice",
    [
        *(3, -4, [0, 3], "0", "ab", b"\1", 1.5, True, [True], [0.0], {0}),
        *(np.array(1), np.array([[1]]), np.array([True, False, True])),
        *(slice("a", "b"), slice(None, None, 0), slice(0.5, 2)),
    ],
)
def test_what_is_no_place_is_refused(choice: Any) -> None:
    with pytest.raises(AxisNotFound):
        image_of(FORMS["ours"]).read(Z=choice)


def test_axes_without_a_name_are_never_guessed() -> None:
    image = image_of(FORMS["no metadata"])
    with pytest.raises(AxisNotFound, match=r'open\(path, axes="ZYX"\)'):
        image.read(Z=1)
    for choice in ({"Z": 0}, {"C": 1}, {"C": [0]}, {"T": slice(None)}):
        with pytest.raises(AxisNotFound):
            image.read(**choice)
    assert (6, 20, 30) == image.read(C=0, T=0).shape


@pytest.mark.parametrize("level", [1, -1, "0", 0.5, None, True])
def test_a_level_that_is_not_there_is_refused(level: Any) -> None:
    with pytest.raises(AxisNotFound, match="level"):
        image_of(FORMS["ours"]).read(level=level)


# --- what is read of the disk


LARGE = (np.arange(6 * 256 * 300).reshape(6, 256, 300) % 65521).astype(np.uint16)
PLANE = LARGE[0].nbytes
DIRECTORIES = 6 * 8192 + 16384
"""What finding out where everything lies may cost: a look at each directory."""


@pytest.mark.parametrize("form", [ome(LARGE, "ZYX"), tiff(LARGE), tiff(LARGE, byteorder=">")])
def test_opening_reads_no_pixels(form: bytes) -> None:
    file = Counting(form)
    open_image(file)
    assert DIRECTORIES > file.count


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({"Z": 3}, PLANE),
        ({"Z": [1, 4]}, 2 * PLANE),
        ({"Z": 0, "Y": slice(10, 20)}, 10 * 600),
        ({"Z": 0, "Y": slice(10, 20), "X": slice(5, 9)}, 10 * 8),
        ({"Z": slice(2, 5), "Y": 7, "X": slice(50, 150)}, 3 * 200),
        ({"X": 299}, 6 * 256 * 2),
        ({"Z": slice(0, 0)}, 0),
        ({"Z": 2, "Y": []}, 0),
    ],
)
@pytest.mark.parametrize("order", ["<", ">"])
def test_of_stored_pixels_just_those_are_read_that_are_asked_for(
    choice: dict[str, Any], expected: int, order: str
) -> None:
    file = Counting(tiff(LARGE, ome=True, byteorder=order, metadata={"axes": "ZYX"}))
    image = open_image(file)
    image.read(**choice)
    file.count = 0
    np.testing.assert_array_equal(taken(LARGE, "ZYX", choice), image.read(**choice))
    assert expected == file.count


def test_the_first_reading_of_a_plane_looks_at_its_directory_beside() -> None:
    file = Counting(ome(LARGE, "ZYX"))
    image = open_image(file)
    file.count = 0
    image.read(Z=5)
    assert PLANE <= file.count <= PLANE + 16384


def test_of_tiles_just_those_are_read_that_the_region_touches() -> None:
    noise = np.random.default_rng(1).integers(0, 65535, (256, 300)).astype(np.uint16)
    file = Counting(tiff(noise, compression="zlib", tile=(64, 64)))
    image = open_image(file)
    file.count = 0
    np.testing.assert_array_equal(
        noise[70:120, 70:140], image.read(Y=slice(70, 120), X=slice(70, 140))
    )
    tile = 64 * 64 * 2
    assert 2 * tile * 0.9 < file.count < 2 * tile * 1.1 + 4 * 8192


def test_of_a_path_no_more_is_read_either(tmp_path: Path) -> None:
    path = tmp_path / "a.ome.tif"
    path.write_bytes(ome(LARGE, "ZYX"))

    def read_so_far() -> int:
        lines = Path("/proc/self/io").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("rchar")).split()[1])

    read_so_far()
    itself = -read_so_far() + read_so_far()
    before = read_so_far()
    image = open_image(path)
    opened = read_so_far()
    image.read(Z=5)
    plane = read_so_far()
    image.read(Z=5, Y=slice(0, 2))
    rows = read_so_far()
    assert opened - before - itself < DIRECTORIES
    assert PLANE <= plane - opened - itself < PLANE + 16384
    assert 1200 <= rows - plane - itself < 1200 + 64


@pytest.fixture
def little_memory() -> Iterator[None]:
    """Allow 1 GB more than there is in use."""
    in_use = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (in_use + (1 << 30), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.mark.usefixtures("little_memory")
@pytest.mark.parametrize("choice", [{"X": [0] * (1 << 15), "C": 0}, {"X": [0], "C": [0] * 65536}])
def test_what_does_not_fit_in_memory_says_so(choice: dict[str, Any]) -> None:
    image = image_of(FORMS["OME, times"])
    with pytest.raises(BadInput, match=r"do not fit in memory.*image\.dask"):
        image.read(Z=0, T=0, Y=[0] * (1 << 15), **choice)


@pytest.mark.usefixtures("little_memory")
def test_a_plane_that_does_not_fit_in_memory_says_so() -> None:
    side, tile = 40960, 256
    count = (side // tile) ** 2
    tiles = [(324, 4, count, 0), (325, 4, count, 0), (322, 4, 1, tile), (323, 4, 1, tile)]
    data = bytearray(file_of(page(side, side, *tiles, compression=8)))
    data += bytes(-len(data) % 4)
    # Tiles without bytes are all zeros.
    for tag in (324, 325):
        at = data.index(struct.pack("<HHI", tag, 4, count)) + 8
        data[at : at + 4] = struct.pack("<I", len(data))
    image = image_of(bytes(data + bytes(4 * count + (1 << 17))))
    with pytest.raises(BadInput, match=r"1\.7 GB do not fit in memory.*image\.dask"):
        image.read()
    assert 0 == image.read(Y=slice(0, 300), X=slice(40000, 40100)).max()
