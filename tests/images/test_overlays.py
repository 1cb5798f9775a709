"""Overlays: outlines inside of labels, tints, colours that depend on the number alone."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy import ndimage

from cellbank.images.overlays import label_colors, outlines, overlay
from cellbank.model.errors import BadInput

PLANES = st.sampled_from(["uint8", "int16", "uint32", "int64", "uint64", ">u2"]).flatmap(
    lambda kind: arrays(
        np.dtype(kind), array_shapes(min_dims=2, max_dims=2, max_side=8), elements=st.integers(0, 3)
    )
)
CROSS = ndimage.generate_binary_structure(2, 1)


@given(PLANES)
def test_outlines_are_what_erosion_takes_away(labels: Any) -> None:
    expected = np.zeros(labels.shape, bool)
    for label in set(labels.ravel().tolist()) - {0}:
        mask = labels == label
        # The border of the picture is no outline.
        expected |= mask & ~ndimage.binary_erosion(mask, CROSS, border_value=1)
    np.testing.assert_array_equal(expected, outlines(labels))


def test_masks_have_outlines_too() -> None:
    mask = np.array([[0, 1, 1, 1, 0]], bool)
    assert [False, True, False, True, False] == outlines(mask)[0].tolist()


def test_a_plane_without_pixels_has_no_outlines() -> None:
    assert (0, 4) == outlines(np.zeros((0, 4), int)).shape


@given(st.lists(st.integers(1, 2**64 - 1), min_size=1, max_size=50))
def test_a_labels_colour_depends_on_its_number_alone(numbers: list[int]) -> None:
    together = label_colors(np.array(numbers, np.uint64))
    alone = [label_colors(np.array([number], np.uint64))[0] for number in numbers]
    np.testing.assert_array_equal(alone, together)
    assert together.max(axis=-1).min() == 255


def test_the_type_of_the_numbers_does_not_matter() -> None:
    numbers = np.arange(120)
    for kind in ("uint8", "int8", "uint16", ">i4", "uint64"):
        np.testing.assert_array_equal(label_colors(numbers), label_colors(numbers.astype(kind)))


def test_the_background_is_black_and_no_label_is() -> None:
    found = label_colors([[0, 1], [2, 0]])
    assert (2, 2, 3) == found.shape
    assert [True, False, False, True] == (found == 0).all(-1).ravel().tolist()


def test_labels_that_follow_each_other_look_different() -> None:
    found = label_colors(np.arange(1, 3_000_001)).astype(int)
    for step in (1, 2, 3):
        assert np.abs(found[step:] - found[:-step]).max(axis=1).min() > 60
    assert len(np.unique(found[:200], axis=0)) == 200
    assert len(np.unique(found @ [65536, 256, 1])) > 50_000


def test_a_cell_is_outlined_and_tinted() -> None:
    grey = np.full((1, 4), 100, np.uint8)
    found = overlay(grey, np.array([[5, 5, 0, 0]]), colors="white", tint=0.2)
    assert [131, 255, 100, 100] == found[0, :, 0].tolist()
    assert [[100] * 4] == grey.tolist()


def test_without_outline_and_without_tint() -> None:
    grey = np.full((1, 4), 100, np.uint8)
    labels = np.array([[5, 5, 0, 0]])
    plain = overlay(grey, labels, outline=False, tint=0)
    assert np.repeat(grey[..., None], 3, -1).tolist() == plain.tolist()
    full = overlay(grey, labels, colors="white", outline=False, tint=1)
    assert [255, 255, 100, 100] == full[0, :, 0].tolist()


def test_colours_by_number_and_for_the_rest_their_own() -> None:
    picture = np.zeros((1, 3, 3), np.uint8)
    found = overlay(picture, np.array([[7, 7, 900]]), colors={900: "red"}, tint=1)
    assert [255, 0, 0] == found[0, 2].tolist()
    assert label_colors(7).tolist() == found[0, 0].tolist()


def test_a_stack_of_labels_is_folded() -> None:
    labels = np.array([[[1, 0, 0]], [[0, 2, 0]]])
    picture = np.zeros((1, 3), np.uint8)
    np.testing.assert_array_equal(overlay(picture, np.array([[1, 2, 0]])), overlay(picture, labels))


def test_grey_of_other_types_is_stretched() -> None:
    plane = np.array([[0, 2000, 4000]], np.uint16)
    assert [0, 128, 255] == overlay(plane, np.zeros((1, 3), int))[0, :, 0].tolist()


@pytest.mark.parametrize(
    ("picture", "labels", "how", "message"),
    [
        (np.zeros((2, 2), np.uint8), np.zeros((2, 3), int), {}, "do not fit a picture"),
        (np.zeros((2, 2), np.uint8), np.zeros((2, 2)), {}, "labels are whole numbers"),
        (np.zeros((2, 2), np.uint8), np.zeros((1, 1, 2, 2), int), {}, "labels are whole numbers"),
        (np.zeros((2, 2, 3)), np.zeros((2, 2), int), {}, "no picture"),
        (np.zeros((2, 2, 4), np.uint8), np.zeros((2, 2), int), {}, "no picture"),
        (np.zeros((2, 2), np.uint8), np.zeros((2, 2), int), {"tint": 2}, "a tint of 2"),
        (np.zeros((2, 2), np.uint8), np.zeros((2, 2), int), {"colors": "bleu"}, "Did you mean"),
    ],
)
def test_what_does_not_fit_is_told(picture: Any, labels: Any, how: Any, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        overlay(picture, labels, **how)


def test_outlines_are_drawn_in_planes() -> None:
    with pytest.raises(BadInput, match="outlines are drawn in a plane"):
        outlines(np.zeros((2, 2, 2), int))


def test_real_nuclei_are_outlined(shared_data: Path) -> None:
    folder = shared_data / "images"
    stack = tifffile.imread(folder / "allen_nuclei_zyx.tif")
    labels = tifffile.imread(folder / "allen_nuclei_labels_zyx.tif")
    found = overlay(stack[30], labels[30])
    edges = outlines(labels[30])
    expected = label_colors(labels[30])[edges]
    np.testing.assert_array_equal(expected, found[edges])
    outside = labels[30] == 0
    assert (found[outside][:, 0] == found[outside][:, 2]).all()
