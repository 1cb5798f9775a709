"""Planes: the pixels that tifffile reads, in the order of the axes, whatever the form."""

import io
from pathlib import Path

import numpy as np
import pytest
import tifffile

from cellbank.images.header import read_header
from cellbank.images.planes import read_planes
from cellbank.model.errors import BadImage
from tests.images.making import FORMS, STACK, described, ome_text


@pytest.mark.parametrize("form", FORMS)
def test_all_forms_give_the_pixels_that_tifffile_reads(form: str) -> None:
    file = io.BytesIO(FORMS[form])
    header = read_header(file)
    planes = list(read_planes(file))
    assert header.planes == len(planes)
    expected = tifffile.imread(io.BytesIO(FORMS[form]))
    found = np.stack(planes).reshape(header.shape)
    assert expected.dtype == found.dtype
    np.testing.assert_array_equal(expected, found)


def test_pages_come_in_the_order_that_ome_xml_says() -> None:
    inside = "".join(
        f'<TiffData IFD="{5 - n}" FirstZ="{n // 2}" FirstC="{n % 2}" PlaneCount="1"/>'
        for n in range(6)
    )
    planes = list(read_planes(io.BytesIO(described(ome_text(inside=inside)))))
    np.testing.assert_array_equal(STACK.reshape(-1, 20, 30)[::-1], planes)


def test_a_missing_plane_is_told() -> None:
    inside = '<TiffData IFD="0" PlaneCount="5"/>'
    with pytest.raises(BadImage, match="plane 5 of 6 is missing"):
        list(read_planes(io.BytesIO(described(ome_text(inside=inside)))))


def test_what_the_reader_of_planes_raises_stays_what_it_is() -> None:
    def stumble() -> None:
        for _ in read_planes(io.BytesIO(FORMS["ours"])):
            raise KeyError("mine")

    with pytest.raises(KeyError):
        stumble()


def test_real_images_give_the_same_pixels(shared_data: Path) -> None:
    for path in sorted((shared_data / "images" / "ht29_well_D03").glob("*.tif")):
        np.testing.assert_array_equal(tifffile.imread(path), next(read_planes(path)))
    path = shared_data / "images" / "allen_nuclei_zyx.tif"
    np.testing.assert_array_equal(tifffile.imread(path), np.stack(list(read_planes(path))))
