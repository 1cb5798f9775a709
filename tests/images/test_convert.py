"""Conversions: the same pixels, axes that were said, nothing guessed."""

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from cellbank.images.convert import Conversion, convert
from cellbank.images.header import Header, read_header
from cellbank.model.errors import BadImage
from tests.images.making import COLOUR, FORMS, STACK, tiff


def made(conversion: Conversion) -> tuple[Header, Any]:
    file = io.BytesIO()
    header = convert(conversion, file)
    assert read_header(file) == header
    file.seek(0)
    return header, tifffile.imread(file)


def file_of(folder: Path, data: Any, name: str = "a.tif", **how: Any) -> str:
    path = folder / name
    path.write_bytes(data if isinstance(data, bytes) else tiff(data, **how))
    return str(path)


@pytest.mark.parametrize(
    "dtype", ["uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64"]
)
def test_types_and_pixels_stay_as_they_are(tmp_path: Path, dtype: str) -> None:
    data = STACK[:, 0].astype(dtype)
    path = file_of(tmp_path, data, byteorder=">", compression="zlib")
    header, found = made(Conversion((path,), axes="ZYX", channels=("DNA",)))
    assert ("ZYX", dtype, ("DNA",)) == (header.axes, header.dtype, header.channels)
    np.testing.assert_array_equal(data, found)


REFUSED = {"one bit", "halves, big-endian", "64 bits", "OME, scenes"}
"""Types that OME-TIFF does not have, and what is several images."""


@pytest.mark.parametrize("form", [form for form in FORMS if form not in REFUSED])
def test_every_form_keeps_its_pixels(tmp_path: Path, form: str) -> None:
    path = file_of(tmp_path, FORMS[form])
    before = read_header(path)
    named = {"QQYX": "ZCYX", "IYX": "ZYX"}.get(before.axes, "")
    _, found = made(Conversion((path,), axes=named))
    expected = tifffile.imread(path)
    if before.axes.endswith("SYX"):
        expected = np.moveaxis(expected, -3, -1)
    np.testing.assert_array_equal(expected, found)


def test_one_bit_becomes_uint8(tmp_path: Path) -> None:
    header, found = made(Conversion((file_of(tmp_path, FORMS["one bit"]),)))
    assert "uint8" == header.dtype
    np.testing.assert_array_equal(STACK[0, 0] > 900, found)


def test_one_bit_in_samples_that_lie_apart_becomes_uint8(tmp_path: Path) -> None:
    data = STACK[:3, 0] > STACK.mean()
    path = file_of(tmp_path, data, photometric="rgb", planarconfig="separate")
    header, found = made(Conversion((path,)))
    assert ("YXS", "uint8") == (header.axes, header.dtype)
    np.testing.assert_array_equal(np.moveaxis(data, 0, -1), found)


def test_axes_that_a_file_does_not_name_are_never_guessed(tmp_path: Path) -> None:
    path = file_of(tmp_path, STACK[:, 0])
    with pytest.raises(BadImage, match="such as `axes: ZYX`: they are never guessed"):
        made(Conversion((path,)))


@pytest.mark.parametrize("axes", ["ZCYX", "YX", "ZXY", "YZX", "ZZYX", "QYX"])
def test_axes_that_do_not_fit_are_refused(tmp_path: Path, axes: str) -> None:
    with pytest.raises(BadImage):
        made(Conversion((file_of(tmp_path, STACK[:, 0]),), axes=axes))


def test_declared_axes_must_not_contradict_the_file(tmp_path: Path) -> None:
    path = file_of(tmp_path, FORMS["ours"])
    assert "ZCYX" == made(Conversion((path,), axes="TZCYX"))[0].axes
    with pytest.raises(BadImage, match="do not fit"):
        made(Conversion((path,), axes="CZYX"))


def test_samples_need_not_be_declared(tmp_path: Path) -> None:
    data = np.stack([COLOUR, COLOUR])
    path = file_of(tmp_path, data, photometric="rgb")
    header, found = made(Conversion((path,), axes="ZYX"))
    assert "ZYXS" == header.axes
    np.testing.assert_array_equal(data, found)


def test_files_become_channels(tmp_path: Path) -> None:
    paths = tuple(file_of(tmp_path, STACK[:, n], f"{n}.tif") for n in range(2))
    header, found = made(Conversion(paths, ("DNA", "membrane"), "ZYX", {"X": 0.1}))
    assert ("ZCYX", ("DNA", "membrane"), {"X": 0.1}) == (
        header.axes,
        header.channels,
        header.pixel_size,
    )
    np.testing.assert_array_equal(STACK, found)


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (STACK[:, 0, :, 1:], "shape .* has shape"),
        (STACK[:, 0].astype("i4"), "dtype int32, but .* has dtype uint16"),
        (COLOUR, "axes YXS, but .* has axes ZYX"),
    ],
)
def test_channels_that_differ_are_refused(tmp_path: Path, other: Any, reason: str) -> None:
    how = {"photometric": "rgb"} if other is COLOUR else {}
    paths = (file_of(tmp_path, STACK[:, 0]), file_of(tmp_path, other, "b.tif", **how))
    with pytest.raises(BadImage, match=reason):
        made(Conversion(paths, ("a", "b"), "ZYX"))


def test_names_must_be_as_many_as_files(tmp_path: Path) -> None:
    path = file_of(tmp_path, STACK[0, 0])
    with pytest.raises(BadImage, match="3 names for 2 channels"):
        made(Conversion((path, path), ("a", "b", "c")))


def test_a_file_with_several_images_is_refused(tmp_path: Path) -> None:
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        for part in (STACK[0, 0], STACK[0, 0, :10]):
            writer.write(part, metadata=None)
    with pytest.raises(BadImage, match="2 images"):
        made(Conversion((file_of(tmp_path, file.getvalue()),)))


def test_what_fits_no_channel_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadImage, match="no uint64 pixels"):
        made(Conversion((file_of(tmp_path, STACK[0, 0].astype("u8")),)))
    with pytest.raises(BadImage, match="names no file"):
        made(Conversion(()))


def test_conversions_can_be_sent_to_workers(tmp_path: Path) -> None:
    conversion = Conversion((file_of(tmp_path, STACK[0, 0]),), ("a",))
    assert conversion == pickle.loads(pickle.dumps(conversion))  # noqa: S301
    assert convert is pickle.loads(pickle.dumps(convert))  # noqa: S301


def test_a_real_well_becomes_one_image(shared_data: Path) -> None:
    paths = tuple(
        str(path) for path in sorted((shared_data / "images" / "ht29_well_D03").glob("*.tif"))
    )
    header, found = made(Conversion(paths, ("DNA", "pH3", "cells")))
    assert ("CYX", (3, 512, 512), "uint8") == (header.axes, header.shape, header.dtype)
    np.testing.assert_array_equal([tifffile.imread(path) for path in paths], found)


def test_real_nuclei_become_an_image_with_axes(shared_data: Path) -> None:
    path = str(shared_data / "images" / "allen_nuclei_zyx.tif")
    size = {"Z": 0.29, "Y": 0.26, "X": 0.26}
    header, found = made(Conversion((path,), ("H3342",), "ZYX", size))
    assert ("ZYX", size) == (header.axes, header.pixel_size)
    np.testing.assert_array_equal(tifffile.imread(path), found)
