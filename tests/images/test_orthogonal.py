"""Three sides of a stack: cut or folded, isotropic, put together."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from cellbank.images.orthogonal import MAX_SIDE, isotropic, joined, projections, slices
from cellbank.model.errors import BadInput

STACK = np.arange(2 * 3 * 4).reshape(2, 3, 4)


def test_a_point_has_three_slices() -> None:
    xy, xz, yz = slices(STACK, (1, 2, 3))
    assert STACK[1].tolist() == xy.tolist()
    assert STACK[:, 2].tolist() == xz.tolist()
    assert STACK[:, :, 3].T.tolist() == yz.tolist()


def test_without_a_point_it_is_the_middle() -> None:
    for ours, theirs in zip(slices(STACK), slices(STACK, (1, 1, 2)), strict=True):
        np.testing.assert_array_equal(theirs, ours)


def test_negative_numbers_count_from_the_end() -> None:
    for ours, theirs in zip(slices(STACK, (-1, -1, -1)), slices(STACK, (1, 2, 3)), strict=True):
        np.testing.assert_array_equal(theirs, ours)


def test_a_stack_can_be_folded() -> None:
    xy, xz, yz = projections(STACK)
    assert STACK.max(0).tolist() == xy.tolist()
    assert STACK.max(1).tolist() == xz.tolist()
    assert STACK.max(2).T.tolist() == yz.tolist()


@pytest.mark.parametrize("cut", [slices, projections])
def test_colours_come_along(cut: Any) -> None:
    stack = np.zeros((5, 6, 7, 3), np.uint8)
    assert [(6, 7, 3), (5, 7, 3), (6, 5, 3)] == [side.shape for side in cut(stack)]


def test_pixels_are_as_wide_as_they_are_high() -> None:
    stack = np.zeros((10, 20, 30), np.uint8)
    xy, xz, yz = isotropic(slices(stack), (0.29, 0.1, 0.1))
    assert [(20, 30), (29, 30), (20, 29)] == [xy.shape, xz.shape, yz.shape]
    xy, xz, yz = isotropic(slices(stack), (0.2, 0.1, 0.2))
    assert [(20, 60), (20, 60), (20, 20)] == [xy.shape, xz.shape, yz.shape]
    assert [(20, 30), (10, 30), (20, 10)] == [s.shape for s in isotropic(slices(stack))]


def test_labels_are_not_mixed() -> None:
    stack = np.zeros((3, 4, 4), np.uint16)
    stack[1] = 900
    _, xz, _ = isotropic(slices(stack), (2, 1, 1), labels=True)
    assert [0, 0, 900, 900, 0, 0] == xz[:, 0].tolist()
    _, xz, _ = isotropic(slices(stack), (2, 1, 1))
    assert [0, 225, 675, 675, 225, 0] == xz[:, 0].tolist()


def test_a_wrong_size_makes_no_huge_picture() -> None:
    sides = isotropic(slices(np.zeros((2, 3, 4), np.uint8)), (1e9, 1e-3, 1e-3))
    assert max(max(side.shape) for side in sides) <= MAX_SIDE


@pytest.mark.parametrize(
    "voxel", [(1, 1), (0, 1, 1), (-1, 1, 1), (1, float("nan"), 1), (1, 1, float("inf"))]
)
def test_sizes_are_three_and_positive(voxel: Any) -> None:
    with pytest.raises(BadInput, match="no sizes of a voxel"):
        isotropic(slices(STACK), voxel)


def test_all_sides_in_one_picture() -> None:
    found = joined(slices(STACK + 1, (0, 0, 0)), gap=1)
    assert [
        [1, 2, 3, 4, 0, 1, 13],
        [5, 6, 7, 8, 0, 5, 17],
        [9, 10, 11, 12, 0, 9, 21],
        [0, 0, 0, 0, 0, 0, 0],
        [1, 2, 3, 4, 0, 0, 0],
        [13, 14, 15, 16, 0, 0, 0],
    ] == found.tolist()


@pytest.mark.parametrize("position", [(2, 0, 0), (0, 0), (0, -4, 0)])
def test_a_point_outside_is_told(position: Any) -> None:
    with pytest.raises(BadInput, match="is not in a stack"):
        slices(STACK, position)


def test_no_stack_is_told() -> None:
    for cut in (slices, projections):
        with pytest.raises(BadInput, match="a stack has the axes"):
            cut(np.zeros((3, 3)))


def test_real_nuclei_from_three_sides(shared_data: Path) -> None:
    stack = tifffile.imread(shared_data / "images" / "allen_nuclei_zyx.tif")
    found = joined(isotropic(projections(stack), (0.29, 0.26, 0.26)))
    assert (256 + 4 + 67, 256 + 4 + 67) == found.shape
    np.testing.assert_array_equal(stack.max(axis=0), found[:256, :256])
