"""Headers: axes as they are said, never guessed; vendors' OME-XML; speed is not a test."""

import io
from pathlib import Path

import numpy as np
import pytest
import tifffile

from cellbank.images.header import Header, read_header
from cellbank.model.errors import BadImage
from tests.images.making import COLOUR, FORMS, STACK, described, ome, ome_text, tiff


def header_of(data: bytes) -> Header:
    return read_header(io.BytesIO(data))


@pytest.mark.parametrize("form", FORMS)
def test_axes_shape_and_type_are_those_that_tifffile_finds(form: str) -> None:
    with tifffile.TiffFile(io.BytesIO(FORMS[form])) as found:
        series = found.series[0]
        expected = (series.axes, series.shape, series.dtype.name)
    header = header_of(FORMS[form])
    assert expected == (header.axes, header.shape, header.dtype)


@pytest.mark.parametrize("order", ["XYCZT", "XYZCT", "XYTCZ", "XYZTC"])
@pytest.mark.parametrize("sizes", [(3, 2, 1), (1, 6, 1), (1, 1, 6), (3, 1, 2), (6, 1, 1)])
def test_ome_xml_is_understood_as_tifffile_does(order: str, sizes: tuple[int, ...]) -> None:
    said = dict(zip("ZCT", sizes, strict=True))
    text = 'SizeX="30" SizeY="20" ' + " ".join(f'Size{a}="{n}"' for a, n in said.items())
    data = described(ome_text(f'DimensionOrder="{order}"', "<TiffData/>", sizes=text))
    with tifffile.TiffFile(io.BytesIO(data)) as found:
        expected = (found.series[0].axes, found.series[0].shape)
    header = header_of(data)
    assert expected == (header.axes, header.shape)


def test_ours_says_all() -> None:
    header = header_of(FORMS["ours"])
    assert {"Z": 3, "C": 2, "Y": 20, "X": 30} == header.sizes
    assert ("DNA", "membrane") == header.channels
    assert {"Z": 0.29, "Y": 0.1, "X": 0.1} == header.pixel_size
    assert ("ome-tiff", 6, False, False, 1, ()) == (
        header.format,
        header.planes,
        header.compressed,
        header.big_endian,
        header.images,
        header.notes,
    )


def test_a_path_is_read_as_well_as_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(FORMS["ours"])
    assert header_of(FORMS["ours"]) == read_header(path) == read_header(str(path))


def test_a_plain_stack_has_axes_without_names() -> None:
    assert "IYX" == header_of(tiff(STACK[0], metadata=None)).axes
    assert "QYX" == header_of(tiff(STACK[0])).axes


def test_a_plain_tiff_has_no_pixel_size_even_if_it_has_a_resolution() -> None:
    data = tiff(STACK[0, 0], resolution=(300, 300), resolutionunit="inch", metadata=None)
    assert {} == header_of(data).pixel_size


def test_imagej_says_sizes_in_its_unit() -> None:
    data = tiff(
        imagej=True, resolution=(4, 2), metadata={"axes": "ZCYX", "unit": "um", "spacing": 1.5}
    )
    assert {"Z": 1.5, "Y": 0.5, "X": 0.25} == header_of(data).pixel_size
    assert "imagej-tiff" == header_of(data).format


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ('PhysicalSizeX="0.5"', {"X": 0.5}),
        ('PhysicalSizeX="108.5" PhysicalSizeXUnit="nm"', {"X": 0.1085}),
        ('PhysicalSizeX="0.002" PhysicalSizeXUnit="mm"', {"X": 2.0}),
        ('PhysicalSizeX="2" PhysicalSizeXUnit="&#956;m"', {"X": 2.0}),
        ('PhysicalSizeX="2" PhysicalSizeXUnit="pixel"', {}),
        ('PhysicalSizeX="0"', {}),
        ('PhysicalSizeX="NaN"', {}),
        ('PhysicalSizeX="wide"', {}),
        ("", {}),
    ],
)
def test_pixel_sizes_are_in_micrometre_or_absent(said: str, expected: dict[str, float]) -> None:
    assert expected == header_of(described(ome_text(said, "<TiffData/>"))).pixel_size


def test_a_size_that_is_no_length_is_noted() -> None:
    text = ome_text('PhysicalSizeX="2" PhysicalSizeXUnit="pixel"', "<TiffData/>")
    assert ("PhysicalSizeX is 2 pixel, which is no length",) == header_of(described(text)).notes


def test_channels_without_names_are_none_and_unsaid_channels_are_empty() -> None:
    inside = '<Channel ID="Channel:0:0" Name="a"/><Channel ID="Channel:0:1"/><TiffData/>'
    assert ("a", None) == header_of(described(ome_text(inside=inside))).channels
    assert () == header_of(described(ome_text(inside="<TiffData/>"))).channels


def test_a_wrong_number_of_channels_is_noted() -> None:
    inside = '<Channel ID="Channel:0:0" Name="a"/><TiffData/>'
    header = header_of(described(ome_text(inside=inside)))
    assert ("a", None) == header.channels
    assert ("1 channels are described, the image has 2",) == header.notes


def test_invalid_ome_xml_is_noted_and_the_pages_speak() -> None:
    header = header_of(described("<OME><Image></OME>"))
    assert ("tiff", "IYX", (6, 20, 30)) == (header.format, header.axes, header.shape)
    assert header.notes[0].startswith("invalid OME-XML: mismatched tag")


def test_ome_xml_that_contradicts_the_pages_is_invalid() -> None:
    sizes = 'SizeX="99" SizeY="20" SizeZ="3" SizeC="2" SizeT="1"'
    header = header_of(described(ome_text(sizes=sizes, inside="<TiffData/>")))
    assert ("tiff", "IYX") == (header.format, header.axes)
    assert "invalid OME-XML" in header.notes[0]


def test_missing_planes_are_noted() -> None:
    sizes = 'SizeX="30" SizeY="20" SizeZ="4" SizeC="2" SizeT="1"'
    header = header_of(described(ome_text(sizes=sizes, inside="<TiffData/>")))
    assert (4, 2, 20, 30) == header.shape
    assert ("2 of 8 planes are missing",) == header.notes


def test_entities_are_refused() -> None:
    bomb = '<!DOCTYPE OME [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]>'
    with pytest.raises(BadImage, match="DOCTYPE"):
        header_of(described(bomb + ome_text(inside="<TiffData/>")))


@pytest.mark.parametrize(
    "text",
    [
        ome_text(
            root='UUID="urn:uuid:1"',
            inside='<TiffData IFD="0"><UUID FileName="b.tif">urn:uuid:2</UUID></TiffData>',
        ),
        '<OME><BinaryOnly MetadataFile="a.companion.ome" UUID="urn:uuid:1"/></OME>',
    ],
)
def test_an_image_in_several_files_is_refused(text: str) -> None:
    with pytest.raises(BadImage, match="multi-file OME-TIFF"):
        header_of(described(text))


def test_a_renamed_file_still_knows_itself() -> None:
    inside = '<TiffData PlaneCount="6"><UUID FileName="old.tif">urn:uuid:1</UUID></TiffData>'
    header = header_of(described(ome_text(root='UUID="urn:uuid:1"', inside=inside)))
    assert (3, 2, 20, 30) == header.shape


def test_colour_has_its_own_axis() -> None:
    assert "YXS" == header_of(ome(COLOUR, "YXS")).axes
    assert "SYX" == header_of(FORMS["RGB in planes"]).axes


def test_several_images_in_a_file_are_counted() -> None:
    file = io.BytesIO()
    with tifffile.TiffWriter(file, ome=True) as writer:
        for part in (STACK, STACK[:, :, :10, :10]):
            writer.write(part, photometric="minisblack", metadata={"axes": "ZCYX"})
    header = header_of(file.getvalue())
    assert (2, (3, 2, 20, 30)) == (header.images, header.shape)


@pytest.mark.parametrize("data", [b"", b"II", b"GIF89a and more", b"II*\0\xff\xff\xff\xff"])
def test_what_is_no_tiff_is_a_bad_image(data: bytes) -> None:
    with pytest.raises(BadImage):
        header_of(data)


def test_directories_in_circles_end() -> None:
    data = bytearray(tiff(STACK[0, 0], metadata=None))
    start = int.from_bytes(data[4:8], "little")
    end = start + 2 + 12 * int.from_bytes(data[start : start + 2], "little")
    data[end : end + 4] = data[4:8]
    with pytest.raises(BadImage, match="circles"):
        header_of(bytes(data))


def test_a_file_that_is_not_there_is_no_bad_image(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_header(tmp_path / "none.tif")


def test_real_nuclei(shared_data: Path) -> None:
    header = read_header(shared_data / "images" / "allen_nuclei_zyx.tif")
    assert ("QYX", (60, 256, 256), "uint16") == (header.axes, header.shape, header.dtype)


def test_a_real_well_scan(shared_data: Path) -> None:
    header = read_header(shared_data / "images" / "brightfield_well_scan.ome.tiff")
    assert ("YX", (325, 475), ("Bright",)) == (header.axes, header.shape, header.channels)
    assert {"Y": 1.0833, "X": 1.0833} == {a: round(n, 4) for a, n in header.pixel_size.items()}
    assert header.dtype == np.dtype("uint16").name
