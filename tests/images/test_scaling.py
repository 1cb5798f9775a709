"""Scaling: each pixel the mean of its area, labels never mixed, sizes as asked."""

import tracemalloc
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from cellbank.images.scaling import nearest, shrink, stretch
from cellbank.model.errors import BadInput

KINDS = ["bool", "uint8", "int8", "uint16", "int32", "uint64", "int64", "float32", "float64"]
SHAPES = array_shapes(min_dims=2, max_dims=3, max_side=9)


def means(row: list[int], length: int) -> list[Fraction]:
    """The mean of each of `length` equal parts of a row, exactly."""
    fine = [Fraction(value) for value in row for _ in range(length)]
    step = len(row)
    return [sum(fine[i * step : (i + 1) * step], Fraction()) / step for i in range(length)]


@given(st.lists(st.integers(0, 255), min_size=1, max_size=20), st.integers(1, 20))
def test_a_row_becomes_the_means_of_its_parts(row: list[int], size: int) -> None:
    found = shrink(np.array([row], np.float64), size)[0]
    expected = [float(mean) for mean in means(row, min(size, len(row)))]
    np.testing.assert_allclose(expected, found, atol=1e-9)


@given(
    st.sampled_from(KINDS).flatmap(lambda kind: arrays(np.dtype(kind), SHAPES)),
    st.integers(1, 12),
)
def test_what_is_shrunk_fits_and_stays_between_its_ends(picture: Any, size: int) -> None:
    if picture.dtype.kind == "f":
        picture = np.nan_to_num(picture, nan=1, posinf=2, neginf=3).clip(-1e30, 1e30)
    found = shrink(picture, size)
    assert picture.dtype == found.dtype
    assert max(found.shape[:2]) <= max(size, 1)
    assert picture.shape[2:] == found.shape[2:]
    least, most = float(picture.min()), float(picture.max())
    slack = 1e-6 * max(abs(least), abs(most)) + (1 if picture.dtype.kind in "iu" else 0)
    assert least - slack <= float(found.min()) <= float(found.max()) <= most + slack


@given(st.integers(1, 3000), st.integers(1, 3000), st.integers(1, 300))
def test_the_ratio_of_the_sides_stays(height: int, width: int, size: int) -> None:
    rows, columns = shrink(np.broadcast_to(np.uint8(7), (height, width)), size).shape
    factor = min(1, size / max(height, width))
    assert rows == max(1, round(height * factor))
    assert columns == max(1, round(width * factor))


def test_a_box_has_a_height_and_a_width() -> None:
    picture = np.zeros((100, 200, 3), np.uint8)
    assert (10, 20, 3) == shrink(picture, (10, 1000)).shape
    assert (50, 100, 3) == shrink(picture, (1000, 100)).shape


def test_what_fits_is_not_touched() -> None:
    picture = np.zeros((10, 20), np.uint8)
    assert picture is shrink(picture, 20)


def test_stripes_become_grey_and_no_other_stripes() -> None:
    stripes = np.tile(np.array([0, 255], np.uint8), (400, 200))
    found = shrink(stripes, 83)
    assert 0.09 > found[:, 1:-1].std() / 255
    assert abs(int(found.mean()) - 127) <= 1


def test_a_small_bright_spot_is_not_lost() -> None:
    picture = np.zeros((1000, 1000), np.uint8)
    picture[501:511, 501:511] = 255
    assert shrink(picture, 50).max() > 60


def test_nan_stays_where_it_is() -> None:
    picture = np.ones((8, 8))
    picture[0, 0] = np.nan
    found = shrink(picture, 4)
    assert np.isnan(found[0, 0])
    assert 1 == np.isnan(found).sum()


def test_labels_are_never_mixed() -> None:
    labels = np.array([[1, 1, 900, 900], [5, 5, 7, 7]])
    assert [[1, 900], [5, 7]] == nearest(labels, (2, 2)).tolist()
    assert [[1, 1, 900, 900]] * 2 + [[5, 5, 7, 7]] * 2 == nearest(labels, (4, 4)).tolist()


@given(array_shapes(min_dims=2, max_dims=3, max_side=9), st.integers(1, 20), st.integers(1, 20))
def test_other_sizes_are_as_asked(shape: Any, rows: int, columns: int) -> None:
    picture = np.arange(np.prod(shape)).reshape(shape).astype(np.uint8)
    for change in (nearest, stretch):
        found = change(picture, (rows, columns))
        assert (rows, columns, *shape[2:]) == found.shape
        assert np.uint8 == found.dtype
        assert picture.min() <= found.min() <= found.max() <= picture.max()
    same = picture.shape[:2]
    np.testing.assert_array_equal(picture, nearest(picture, same))
    np.testing.assert_array_equal(picture, stretch(picture, same))


def test_what_is_stretched_lies_between_its_neighbours() -> None:
    assert [[0, 0, 25, 75, 100, 100]] != stretch(np.array([[0, 100]]), (1, 4)).tolist()
    assert [[0, 25, 75, 100]] == stretch(np.array([[0, 100]]), (1, 4)).tolist()


@pytest.mark.parametrize("size", [0, -1, (0, 5)])
def test_no_size_is_told(size: Any) -> None:
    with pytest.raises(BadInput, match="is no size"):
        shrink(np.zeros((3, 3)), size)


@pytest.mark.parametrize("picture", [np.zeros(3), np.zeros((0, 3)), np.zeros((2, 2), complex)])
def test_no_picture_is_told(picture: Any) -> None:
    for change in (nearest, stretch, shrink):
        with pytest.raises(BadInput, match="no picture"):
            change(picture, (2, 2))


def test_memory_stays_small() -> None:
    picture = np.zeros((4000, 4000, 3), np.uint8)
    tracemalloc.start()
    try:
        shrink(picture, 256)
        assert tracemalloc.get_traced_memory()[1] < 25e6
    finally:
        tracemalloc.stop()


def test_a_real_picture_keeps_its_brightness(shared_data: Path) -> None:
    plane = tifffile.imread(shared_data / "images" / "brightfield_well_scan.ome.tiff")
    found = shrink(plane, 100)
    assert (68, 100) == found.shape
    assert abs(plane.mean() - found.mean()) < 1
