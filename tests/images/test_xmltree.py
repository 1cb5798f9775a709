"""Vendors' XML: what is not well-formed is still read as far as it can be understood."""

import io
from typing import Any

import pytest

from cellbank.images.image import Image
from cellbank.images.opening import open as open_image
from cellbank.images.xmltree import InvalidOme, read_tree
from cellbank.model.errors import BadImage
from tests.images.making import STACK, ome_text, tiff

CHANNELS = '<Channel ID="Channel:0:0" Name="DNA"/><Channel ID="Channel:0:1" Name="EGFP"/>'
SIZE = 'PhysicalSizeX="0.5" PhysicalSizeY="0.25"'
WHOLE = ome_text(SIZE, f"{CHANNELS}<TiffData/>")


def image_of(text: bytes | str) -> Image:
    data = text.encode() if isinstance(text, str) else text
    entry: Any = (270, 2, len(data) + 1, data, True)
    return open_image(io.BytesIO(tiff(metadata=None, extratags=[entry])))


def assert_understood(image: Image) -> None:
    assert "ome-tiff" == image.format
    assert {"Z": 3, "C": 2, "Y": 20, "X": 30} == image.sizes
    assert ["DNA", "EGFP"] == [channel.name for channel in image.channels]
    assert {"X": 0.5, "Y": 0.25} == image.pixel_size


def test_good_xml_has_no_note() -> None:
    image = image_of(WHOLE)
    assert_understood(image)
    assert () == image.notes


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('ID="Image:0"', 'ID="Image:0" Name="Tom & Jerry"'),
        ('<Image ID="Image:0">', '<Image ID="Image:0"><Description>a < b & c</Description>'),
        ("</Pixels>", ""),
        ("</Image>", ""),
        ("</Image></OME>", "</Pixels></OME>"),
        ("</Pixels></Image></OME>", "<Plane TheZ='0'></OME>"),
        ('ID="Image:0"', 'ID="Image:0" ID="Image:0"'),
        ('ID="Image:0"', "ID=Image:0"),
        ("<TiffData/>", "<TiffData/>\x01\x02"),
        ("<TiffData/>", "<TiffData/>&nbsp;"),
        ("<Image", "<broken:Image"),
        ("</OME>", "</OME><OME></OME>"),
        ("<OME", "<!-- -- --><OME"),
        ("<OME", "   <?xml version='1.0'?><OME"),
    ],
)
def test_invalid_xml_still_gives_sizes_and_channels(old: str, new: str) -> None:
    assert old in WHOLE
    image = image_of(WHOLE.replace(old, new, 1))
    assert_understood(image)
    assert ["invalid OME-XML"] == [note.partition(":")[0] for note in image.notes]


@pytest.mark.parametrize("prefix", ["", '<?xml version="1.0" encoding="UTF-8"?>\n'])
@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "cp1252"])
def test_another_encoding_than_it_says(prefix: str, encoding: str) -> None:
    said = f'{SIZE} PhysicalSizeXUnit="µm" PhysicalSizeYUnit="µm"'
    text = prefix + ome_text(said, f"{CHANNELS}<TiffData/>")
    assert_understood(image_of(text.encode(encoding)))


@pytest.mark.parametrize("said", ["UTF-16", "ISO-8859-1", "no-such-encoding"])
def test_an_encoding_that_is_said_and_not_true(said: str) -> None:
    assert_understood(image_of(f'<?xml version="1.0" encoding="{said}"?>{WHOLE}'))


@pytest.mark.parametrize("namespace", ["ome:", "OME:", "spw:"])
def test_namespaces_do_not_matter(namespace: str) -> None:
    text = (
        WHOLE.replace("</", "<\0")
        .replace("<", f"<{namespace}")
        .replace(f"{namespace}\0", f"/{namespace}")
    )
    text = text.replace('xmlns="', f'xmlns:{namespace[:-1]}="')
    assert_understood(image_of(text))


def test_what_is_cut_off_gives_what_stands_before() -> None:
    text = WHOLE.partition("</Pixels>")[0] + "\n<StructuredAnnotations><XMLAnnot"
    image = image_of('<?xml version="1.0"?>' + text)
    assert ["DNA", "EGFP"] == [channel.name for channel in image.channels]
    assert {"X": 0.5, "Y": 0.25} == image.pixel_size


def test_annotations_without_end_are_passed_over() -> None:
    original = "<OriginalMetadata><Key>a</Key><Value>b</Value></OriginalMetadata>"
    value = f"<XMLAnnotation><Value>{original}</Value></XMLAnnotation>"
    notes = f"<StructuredAnnotations>{value * 20_000}</StructuredAnnotations>"
    image = image_of(WHOLE.replace("</OME>", f"{notes}</OME>"))
    assert_understood(image)
    assert () == image.notes


def test_planes_of_a_long_recording_are_passed_over() -> None:
    plane = '<Plane TheZ="0" TheC="0" DeltaT="0.5" ExposureTime="0.1"/>'
    assert_understood(image_of(WHOLE.replace("</Pixels>", f"{plane * 20_000}</Pixels>")))


def test_what_the_schema_does_not_allow_does_not_matter() -> None:
    odd = '<Channel ID="Channel:0:0" Name="DNA" Colour="red" Pinhole="wide"><Lamp/></Channel>'
    text = WHOLE.replace('<Channel ID="Channel:0:0" Name="DNA"/>', odd)
    text = text.replace("<Image ", "<Vendor a='1'><Setting/></Vendor><Image When='now' ")
    image = image_of(text)
    assert_understood(image)
    assert () == image.notes


@pytest.mark.parametrize(
    "text", ["", "<OME>", "<a/><b/>", "no XML at all", "<OME><Image/></OME", "\0"]
)
def test_of_what_has_no_image_nothing_is_understood(text: str) -> None:
    with pytest.raises(InvalidOme):
        read_tree(text.encode() + b"<", "a.tif")


@pytest.mark.parametrize("prefix", ["", "\n", '<?xml version="1.0"?>', "<!-- a -->"])
def test_entities_are_refused_wherever_they_stand(prefix: str) -> None:
    with pytest.raises(BadImage, match="DOCTYPE"):
        read_tree(f'{prefix}<!DOCTYPE OME [<!ENTITY a "a">]>{WHOLE}'.encode(), "a.tif")


def test_deep_elements_do_no_harm() -> None:
    deep = "<a>" * 50_000 + "</a>" * 50_000
    assert_understood(image_of(WHOLE.replace("</OME>", f"{deep}</OME>")))


def test_the_pixels_stay_the_same_whatever_the_text_says() -> None:
    assert (STACK == image_of(WHOLE.replace("</Image>", "")).read()).all()
