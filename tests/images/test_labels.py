"""Labels: who has a nucleus, and whose nucleus strays out of its cell."""

import io
from pathlib import Path

import numpy as np
import pytest

from cellbank.images.labels import compare_labels
from cellbank.model.errors import BadImage
from tests.images.making import ome, tiff


def image(*planes: list[list[int]], dtype: str = "uint16") -> io.BytesIO:
    return io.BytesIO(ome(np.array(planes, dtype), "ZYX"))


def test_labels_are_compared() -> None:
    cells = image([[1, 1, 0], [2, 2, 0]], [[1, 1, 0], [5, 5, 5]])
    nuclei = image([[1, 0, 1], [0, 2, 0]], [[2, 1, 0], [0, 0, 9]])
    facts = compare_labels(cells, nuclei)
    assert (1, 2, 5) == facts.cells
    assert (1, 2, 9) == facts.nuclei
    assert (5,) == facts.without_nucleus
    assert (9,) == facts.without_cell
    assert {1: 1, 2: 1, 9: 1} == facts.outside
    assert () == facts.structure_values


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint32", "int32"])
def test_any_whole_numbers_will_do(dtype: str) -> None:
    cells = image([[1, 1, 100]], dtype=dtype)
    nuclei = io.BytesIO(tiff(np.array([[[0, 1, 100]]], ">i8"), metadata={"axes": "ZYX"}))
    with pytest.raises(BadImage, match="it is YX"):
        compare_labels(cells, image([[1, 1, 1, 1]]))
    assert {1: 0, 100: 0} == compare_labels(cells, nuclei).outside


def test_large_and_negative_labels_are_labels() -> None:
    cells = image([[-1, 70_000, 70_001]], dtype="int32")
    assert (-1, 70_000, 70_001) == compare_labels(cells, cells).cells


def test_a_mask_has_one_value_and_others_show_three() -> None:
    cells = image([[1, 2, 3, 4, 5]])
    mask = image([[0, 255, 255, 0, 0]], dtype="uint8")
    assert (255,) == compare_labels(cells, cells, mask).structure_values
    assert (1, 2, 3) == compare_labels(cells, cells, cells).structure_values
    bits = io.BytesIO(tiff(np.array([[True, False, True, True, False]])))
    assert (1,) == compare_labels(cells, cells, bits).structure_values


def test_floats_are_no_labels() -> None:
    cells = image([[1, 2]])
    with pytest.raises(BadImage, match="labels are whole numbers, these are float32"):
        compare_labels(cells, image([[1, 2]], dtype="float32"))


def test_other_shapes_are_refused() -> None:
    with pytest.raises(BadImage, match=r"\(2, 2\)"):
        compare_labels(image([[1, 2]]), image([[1, 2], [1, 2]]))


def test_noise_is_no_label_image() -> None:
    noise = np.arange(1 << 21, dtype=np.uint32).reshape(1, 1 << 11, 1 << 10)
    file = io.BytesIO(ome(noise, "ZYX"))
    with pytest.raises(BadImage, match="this is no label image"):
        compare_labels(file, file)


def test_real_labels(shared_data: Path) -> None:
    path = shared_data / "images" / "allen_nuclei_labels_zyx.tif"
    facts = compare_labels(path, path)
    assert tuple(range(1, 21)) == facts.cells
    assert {0} == set(facts.outside.values())
