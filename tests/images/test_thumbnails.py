"""Thumbnails: small, alike the composite, and made in little memory however large an image is."""

import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from cellbank.images.image import Image
from cellbank.images.opening import open as open_image
from cellbank.images.overlays import label_colors
from cellbank.images.scaling import nearest, shrink
from cellbank.model.errors import BadInput
from tests.images.making import FORMS, ome, tiff

Array = np.ndarray[Any, Any]
ROOT = Path(__file__).parents[2]


def image_of(data: bytes, **how: Any) -> Image:
    return open_image(io.BytesIO(data), **how)


def plain(data: Array) -> Image:
    return image_of(tiff(data, metadata=None))


def test_labels_have_colours_of_their_own_and_no_new_numbers() -> None:
    labels = np.zeros((3, 60, 80), np.uint32)
    labels[1:, 10:30, 10:30] = 70_000
    labels[1:, 35:50, 40:70] = 5
    image = plain(labels)
    assert "QYX" == image.axes
    found = image.thumbnail(40, labels=True)
    np.testing.assert_array_equal(label_colors(nearest(labels[1], (30, 40))), found)
    assert 3 == len(np.unique(found.reshape(-1, 3), axis=0))


def test_a_thumbnail_is_the_composite_made_small() -> None:
    chance = np.random.default_rng(2)
    data = chance.integers(0, 4000, (3, 2, 200, 300)).astype(np.uint16)
    image = image_of(ome(data, channels=["DNA", "EGFP"]))
    expected = shrink(image.composite(), 75).astype(int)
    assert np.abs(expected - image.thumbnail(75)).max() <= 6


@pytest.mark.parametrize("size", [1, 7, 30, 31, 1000])
def test_a_thumbnail_fits_into_its_size(size: int) -> None:
    found = image_of(FORMS["ours"]).thumbnail(size)
    assert np.uint8 == found.dtype
    assert max(found.shape[:2]) == min(size, 30)
    narrow = plain(np.zeros((1, 3000), np.uint8)).thumbnail(size)
    assert (1, min(size, 3000), 3) == narrow.shape


def test_the_thumbnail_of_many_channels_keeps_one_plane_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "many.ome.tif"
    shape = (64, 1024, 1024)
    plane = np.random.default_rng(0).integers(0, 4000, shape[1:]).astype(np.uint16)
    with tifffile.TiffWriter(path, ome=True) as writer:
        planes = (plane for _ in range(shape[0]))
        writer.write(planes, shape=shape, dtype="uint16", metadata={"axes": "CYX"})
    script = (
        "import resource, sys\nfrom cellbank import images\nimage = images.open(sys.argv[1])\n"
        "image.read(C=0)\n"
        "most = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "before = most()\nprint(image.thumbnail().shape, (most() - before) / 1024)\n"
    )
    command = [sys.executable, "-c", script, str(path)]
    said = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout
    assert said.startswith("(256, 256, 3)")
    assert path.stat().st_size > 130_000_000
    assert float(said.split()[-1]) < 40


def test_a_large_plane_is_made_small_as_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    ramp = np.tile(np.linspace(0, 4000, 1200), (1500, 1)).astype(np.uint16)
    labels = np.zeros((1500, 1200), np.uint16)
    labels[300:, 600:] = 9
    expected = plain(ramp).thumbnail(64).astype(int), plain(labels).thumbnail(64, labels=True)
    monkeypatch.setattr("cellbank.images.thumbnails._ROWS", 256 * 2400)
    found = plain(ramp).thumbnail(64), plain(labels).thumbnail(64, labels=True)
    assert expected[0].shape == found[0].shape
    assert np.abs(expected[0] - found[0]).max() <= 4
    np.testing.assert_array_equal(expected[1], found[1])


@pytest.mark.parametrize("size", [0, -5, 1.5, "a", True])
def test_a_thumbnail_has_a_whole_number_of_pixels(size: Any) -> None:
    with pytest.raises(BadInput, match="a thumbnail of"):
        plain(np.ones((4, 5), np.uint8)).thumbnail(size)
