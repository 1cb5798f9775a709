"""Formats of microscopes' makers: through bioio where it is, a clear word where it is not."""

import importlib.util
import io
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tifffile

from cellbank.images.convert import Conversion, convert
from cellbank.images.vendor_pixels import open_vendor
from cellbank.model.errors import BadImage
from tests.images.making import FORMS, STACK


class Lazy:
    """What bioio gives as dask arrays."""

    def __init__(self, data: Any) -> None:
        self._data = data

    def compute(self) -> Any:
        return self._data


class Image:
    """As much of bioio's `BioImage` as is used; TCZYX."""

    scenes = ("Image:0",)
    dims = SimpleNamespace(order="TCZYX")
    shape = (1, 2, 3, 20, 30)
    dtype = np.dtype("uint16")
    channel_names = ("DNA", "membrane")
    physical_pixel_sizes = SimpleNamespace(Z=0.29, Y=0.1, X=None)

    def __init__(self, path: str) -> None:
        if "damaged" in path:
            raise ValueError("no plugin\nfor this")

    def get_image_dask_data(self, order: str, *, Z: int, C: int) -> Lazy:  # noqa: N803
        assert "YX" == order
        return Lazy(STACK[Z, C].astype(">u2"))


@pytest.fixture
def bioio(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("bioio")
    module.BioImage = Image  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "bioio", module)


@pytest.fixture
def path(tmp_path: Path) -> str:
    (tmp_path / "a.czi").write_bytes(b"ZISRAWFILE and more")
    return str(tmp_path / "a.czi")


@pytest.mark.usefixtures("bioio")
def test_pixels_names_and_sizes_come_from_bioio(path: str) -> None:
    file = io.BytesIO()
    header = convert(Conversion((path,)), file)
    assert ("ZCYX", ("DNA", "membrane")) == (header.axes, header.channels)
    assert {"Z": 0.29, "Y": 0.1} == header.pixel_size
    np.testing.assert_array_equal(STACK, tifffile.imread(io.BytesIO(file.getvalue())))


@pytest.mark.usefixtures("bioio")
def test_what_bioio_cannot_read_is_a_bad_image(tmp_path: Path) -> None:
    (tmp_path / "damaged.czi").write_bytes(b"ZISRAWFILE")
    with pytest.raises(BadImage, match=r"no plugin\. Install bioio and its reader"):
        convert(Conversion((str(tmp_path / "damaged.czi"),)), io.BytesIO())


@pytest.mark.usefixtures("bioio")
def test_several_scenes_are_refused(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "scenes", ("a", "b"))
    with pytest.raises(BadImage, match="2 scenes"):
        convert(Conversion((path,)), io.BytesIO())


def test_without_bioio_the_error_says_what_to_install(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "bioio", None)
    with pytest.raises(BadImage, match=r"it is no TIFF file\. Install bioio and its reader"):
        convert(Conversion((path,)), io.BytesIO())


@pytest.mark.skipif(
    importlib.util.find_spec("bioio") is None,
    reason="SKIPPED: bioio is not here: pip install bioio bioio-tifffile bioio-ome-tiff",
)
@pytest.mark.filterwarnings("default")
def test_the_real_bioio_gives_the_same_pixels(tmp_path: Path) -> None:
    path = tmp_path / "a.ome.tiff"
    path.write_bytes(FORMS["ours"])
    header, planes = open_vendor(str(path))
    assert ("ZCYX", ("DNA", "membrane")) == (header.axes, header.channels)
    assert {"Z": 0.29, "Y": 0.1, "X": 0.1} == header.pixel_size
    np.testing.assert_array_equal(STACK.reshape(-1, 20, 30), list(planes()))
