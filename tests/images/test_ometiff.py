"""OME-TIFF as we write it: others read it, and the same input gives the same bytes."""

import hashlib
import io
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st

from cellbank.images import ometiff
from cellbank.images.header import read_header
from cellbank.images.ometiff import write_ome_tiff
from cellbank.images.soundness import check_data
from cellbank.model.errors import BadImage
from tests.images.making import STACK, ome

AXES = ["YX", "ZYX", "CYX", "ZCYX", "CZYX", "TCZYX", "ZTCYX", "YXS", "CYXS"]
TYPES = ["uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64", "complex64"]


def pixels(axes: str, dtype: str) -> Any:
    sizes = {"T": 2, "C": 2, "Z": 3, "Y": 5, "X": 7, "S": 3}
    shape = [sizes[axis] for axis in axes]
    return (np.arange(np.prod(shape)).reshape(shape) % 120).astype(dtype)


def description(data: bytes) -> str:
    with tifffile.TiffFile(io.BytesIO(data)) as found:
        return str(found.ome_metadata)


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("axes", AXES)
def test_tifffile_reads_the_same_pixels_and_axes(axes: str, dtype: str, compression: Any) -> None:
    expected = pixels(axes, dtype)
    data = ome(expected, axes, compression=compression)
    with tifffile.TiffFile(io.BytesIO(data)) as found:
        assert found.is_ome
        assert (axes, expected.dtype) == (found.series[0].axes, found.series[0].dtype)
        np.testing.assert_array_equal(expected, found.asarray())
        stored_in_a_row = found.series[0].dataoffset is not None
        assert stored_in_a_row is (compression is None)
    check_data(io.BytesIO(data))


def test_the_bytes_are_always_the_same() -> None:
    """A change here changes the digests of all packages whose images were converted."""
    data = ome(channels=["DNA", "µ"], pixel_size={"X": 0.1, "Z": 0.29}, comment="seen")
    assert (8848, "18be743260e903a1") == (len(data), hashlib.sha256(data).hexdigest()[:16])


def test_big_files_are_bigtiff(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ometiff, "_CLASSIC", 100)
    for compression in (None, "zlib"):
        data = ome(compression=compression)  # type: ignore[arg-type]
        assert b"II+\0" == data[:4]
        np.testing.assert_array_equal(STACK, tifffile.imread(io.BytesIO(data)))
        check_data(io.BytesIO(data))


@pytest.mark.parametrize(
    ("side", "planes", "compressed", "big"),
    [
        (8192, 63, False, False),
        (8192, 64, False, True),
        # Here the pixels would fit, and so many directories do not.
        (16, 8_000_000, False, False),
        (16, 12_000_000, False, True),
        (64, 1_030_000, True, True),
    ],
)
def test_offsets_fit_before_a_pixel_is_seen(
    side: int, planes: int, compressed: bool, big: bool
) -> None:
    plan = ometiff.Plan(
        plane_shape=(side, side),
        dtype=np.dtype("u1"),
        planes=planes,
        compressed=compressed,
        big=False,
        xml=b"<OME/>",
    )
    assert big == ometiff._needs_big(plan)
    assert big or ometiff._start_of_pixels(plan) + side * side * planes < 1 << 32


def test_big_endian_planes_are_written_as_they_are() -> None:
    np.testing.assert_array_equal(STACK, tifffile.imread(io.BytesIO(ome(STACK.astype(">u2")))))


def test_what_stood_in_the_file_before_is_gone() -> None:
    file = io.BytesIO(bytes(1 << 16))
    planes = STACK.reshape(-1, 20, 30)
    write_ome_tiff(file, planes, axes="ZCYX", shape=STACK.shape, dtype="uint16")
    assert ome() == file.getvalue()


names = st.text(min_size=1).filter(lambda text: text.strip())


@given(names=st.tuples(names, names), note=st.text(), comment=st.text())
def test_any_text_gives_xml_that_parses(names: tuple[str, str], note: str, comment: str) -> None:
    data = ome(channels=names, channel_notes={names[0]: note}, comment=comment)
    ElementTree.fromstring(description(data))  # noqa: S314
    header = read_header(io.BytesIO(data))
    assert ("ome-tiff", "ZCYX", ()) == (header.format, header.axes, header.notes)
    if all(name.isprintable() for name in names):
        assert names == header.channels


def test_notes_and_comment_stand_where_ome_wants_them() -> None:
    text = description(
        ome(channels=["a", "b"], channel_notes={"b": "synthetic <b>"}, comment="x & y")
    )
    root = ElementTree.fromstring(text)  # noqa: S314
    space = "{http://www.openmicroscopy.org/Schemas/OME/2016-06}"
    assert "x & y" == root.findtext(f"{space}Image/{space}Description")
    note = root.find(f"{space}StructuredAnnotations/{space}CommentAnnotation")
    assert note is not None
    assert "synthetic <b>" == note.findtext(f"{space}Value")
    second = root.findall(f".//{space}Channel")[1]
    assert note.attrib["ID"] == second.find(f"{space}AnnotationRef").attrib["ID"]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("axes", "shape", "how"),
    [
        ("QYX", (6, 20, 30), {}),
        ("XY", (20, 30), {}),
        ("ZZYX", (3, 2, 20, 30), {}),
        ("ZYX", (20, 30), {}),
        ("ZYX", (0, 20, 30), {}),
        ("ZYX", (6, 20, 30), {"dtype": "uint64"}),
        ("ZYX", (6, 20, 30), {"dtype": "uint8"}),
        ("ZYX", (5, 20, 30), {}),
        ("ZYX", (7, 20, 30), {}),
        ("ZYX", (6, 20, 31), {}),
        ("ZYX", (6, 20, 30), {"channels": ["a", "b"]}),
        ("ZYX", (6, 20, 30), {"pixel_size": {"X": 0.0}}),
        ("ZYX", (6, 20, 30), {"pixel_size": {"T": 1.0}}),
    ],
)
def test_what_cannot_be_written_is_a_bad_image(axes: str, shape: Any, how: dict[str, Any]) -> None:
    planes = iter(STACK.reshape(-1, 20, 30))
    with pytest.raises(BadImage):
        write_ome_tiff(io.BytesIO(), planes, axes=axes, shape=shape, **{"dtype": "uint16"} | how)
