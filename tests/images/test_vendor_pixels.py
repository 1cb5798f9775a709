"""Formats of microscopes' makers: through bioio, which is asked here to read TIFF; a clear word
where no reader knows the format.
"""

import io
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import tifffile

from cellbank import images
from cellbank.images.convert import Conversion, convert
from cellbank.images.vendor_pixels import VendorPixels, open_vendor
from cellbank.model.errors import BadImage
from tests.images.making import COLOUR, STACK, tiff

# bioio asks its readers at every turn what they know of the file.
pytest.importorskip("bioio")
pytestmark = pytest.mark.filterwarnings("default")


def imagej(**metadata: object) -> bytes:
    return tiff(
        imagej=True,
        metadata={"axes": "ZCYX", "unit": "um", "spacing": 0.29} | metadata,
        resolution=(10, 10),
    )


@pytest.fixture
def path(tmp_path: Path) -> str:
    (tmp_path / "a.tif").write_bytes(imagej())
    return str(tmp_path / "a.tif")


def foreign(data: bytes) -> bytes:
    """Make a TIFF one that only its vendor's readers take for one."""
    return b"EP" + data[2:]


def test_pixels_axes_and_sizes_come_from_bioio(path: str) -> None:
    found = images.open(path, reader="bioio")
    assert ("vendor", "ZCYX", (3, 2, 20, 30), "uint16") == (
        found.format,
        found.axes,
        found.shape,
        found.dtype.name,
    )
    assert {"Z": 0.29, "Y": 0.1, "X": 0.1} == found.pixel_size
    np.testing.assert_array_equal(STACK, found.read())
    np.testing.assert_array_equal(
        STACK[2, 1, 3:7, 5:9], found.read(Z=2, C=1, Y=slice(3, 7), X=slice(5, 9))
    )
    np.testing.assert_array_equal(STACK.max(0), found.project())
    np.testing.assert_array_equal(STACK, found.dask().compute(scheduler="synchronous"))


def test_colours_are_samples(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(tiff(COLOUR, photometric="rgb"))
    found = images.open(tmp_path / "a.tif", reader="bioio")
    assert "YXS" == found.axes
    np.testing.assert_array_equal(COLOUR, found.read())


def test_one_plane_is_one_plane(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(tiff(STACK[0, 0], byteorder=">"))
    found = images.open(tmp_path / "a.tif", reader="bioio")
    assert "YX" == found.axes
    np.testing.assert_array_equal(STACK[0, 0], found.read())
    assert found.read().dtype.isnative


def test_names_that_bioio_made_up_are_none(path: str) -> None:
    assert [None, None] == [c.name for c in images.open(path, reader="bioio").channels]
    assert () == open_vendor(path)[0].channels


def test_a_size_of_1_that_bioio_gives_where_none_is_known_is_not_believed(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(tiff(STACK[0, 0]))
    found = images.open(tmp_path / "a.tif", reader="bioio")
    assert found.pixel_size is None
    assert "where none is known" in found.notes[0]


def test_a_stack_that_a_reader_decodes_whole_is_decoded_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import bioio_tifffile

    read = []
    kept = bioio_tifffile.Reader._get_image_data

    def counted(*args: object, **named: object) -> object:
        read.append(1)
        return kept(*args, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(bioio_tifffile.Reader, "_get_image_data", staticmethod(counted))
    (tmp_path / "a.tif").write_bytes(imagej())
    pixels = VendorPixels(str(tmp_path / "a.tif"))
    assert [] == read
    assert 6 == len(list(pixels.planes(range(6), slice(0, 20), slice(0, 30))))
    assert 2 == len(read)


def test_scenes_are_chosen_by_number(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        for part in (STACK[0, 0], STACK[0, 0, :10]):
            writer.write(part, metadata=None)
    first = images.open(tmp_path / "a.tif", reader="bioio")
    second = images.open(tmp_path / "a.tif", reader="bioio", scene=1)
    assert (2, (20, 30), (10, 30)) == (len(first.scenes), first.shape, second.shape)
    by_name = images.open(tmp_path / "a.tif", reader="bioio", scene=first.scenes[1])
    np.testing.assert_array_equal(STACK[0, 0, :10], by_name.read())
    for scene in (2, -1):
        with pytest.raises(BadImage, match=r"no such scene\. It has Image:0, Image:1"):
            VendorPixels(str(tmp_path / "a.tif"), scene)
    with pytest.raises(BadImage, match="2 scenes"):
        open_vendor(str(tmp_path / "a.tif"))


def test_what_is_no_tiff_is_read_and_converted(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(foreign(tiff(STACK[0, 0], metadata=None)))
    np.testing.assert_array_equal(STACK[0, 0], images.open(path).read())
    file = io.BytesIO()
    header = convert(Conversion((str(path),), channels=("DNA",)), file)
    assert ("YX", ("DNA",)) == (header.axes, header.channels)
    np.testing.assert_array_equal(STACK[0, 0], tifffile.imread(io.BytesIO(file.getvalue())))


@pytest.mark.parametrize("name", ["a.czi", "a.txt", "a"])
def test_a_format_without_a_reader_is_told_with_what_to_install(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"ZISRAWFILE and more")
    with pytest.raises(BadImage, match=r"no reader .* knows it\. Install bioio and its reader"):
        images.open(tmp_path / name)


@pytest.mark.parametrize("cut", [8, 100, 700])
def test_damaged_files_are_one_error(tmp_path: Path, cut: int) -> None:
    (tmp_path / "a.tif").write_bytes(foreign(imagej())[:cut])
    with pytest.raises(BadImage):
        images.open(tmp_path / "a.tif").read()


def test_nothing_is_said_beside_errors(path: str, capfd: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        images.open(path, reader="bioio").read(C=0, Z=0)
    assert ("", "") == capfd.readouterr()


def test_nothing_is_said_beside_the_first_error_of_a_process(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_text("no image")
    program = "import sys; from cellbank import images; images.open(sys.argv[1])"
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "a.tif")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback (most recent call last):" == done.stderr.partition("\n")[0]
    assert "BadImage" in done.stderr


def test_without_bioio_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.czi").write_bytes(b"ZISRAWFILE and more")
    monkeypatch.setitem(sys.modules, "bioio", None)
    with pytest.raises(BadImage, match=r"it is no TIFF file\. Install bioio and its reader"):
        images.open(tmp_path / "a.czi")
