"""Lazy arrays: the same pixels, read when they are needed, by any of dask's schedulers."""

import io
import sys
from pathlib import Path
from typing import Any

import dask
import dask.array as da
import numpy as np
import pytest

from cellbank.images.image import Image
from cellbank.images.opening import open as open_image
from cellbank.model.errors import AxisNotFound, BadImage, BadInput
from tests.images.making import FIELD, FORMS, STACK, Counting, ome, tiff


def image_of(data: bytes, **how: Any) -> Image:
    return open_image(io.BytesIO(data), **how)


@pytest.mark.parametrize("form", FORMS)
def test_dask_gives_what_is_read(form: str) -> None:
    image = image_of(FORMS[form])
    lazy = image.dask()
    assert (image.shape, image.dtype) == (lazy.shape, lazy.dtype)
    found = lazy.compute(scheduler="synchronous")
    np.testing.assert_array_equal(image.read(), found, strict=True)


@pytest.mark.parametrize("form", ["ours", "OME, pyramid", "OME, colour in planes", "tiles"])
def test_any_scheduler_reads_a_path(tmp_path: Path, form: str) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(FORMS[form])
    image = open_image(path)
    for scheduler in ("threads", "processes"):
        with dask.config.set(**{"multiprocessing.context": "spawn"}):
            found = (image.dask() + 1).compute(scheduler=scheduler, num_workers=2)
        np.testing.assert_array_equal(image.read() + 1, found)


def test_threads_read_an_open_file_and_other_processes_cannot() -> None:
    lazy = image_of(FORMS["ours"]).dask()
    np.testing.assert_array_equal(STACK, lazy.compute(scheduler="threads"))
    spawned = dask.config.set(**{"multiprocessing.context": "spawn"})
    with spawned, pytest.raises(BadInput, match="Open the image by its path"):
        lazy.compute(scheduler="processes")


def test_a_plane_is_a_chunk_and_no_other_is_read() -> None:
    file = Counting(ome(STACK, "ZCYX"))
    image = open_image(file)
    lazy = image.dask()
    assert (3, 2, 1, 1) == lazy.numblocks
    lazy[2, 1].compute(scheduler="synchronous")
    file.count = 0
    np.testing.assert_array_equal(STACK[2, 1], lazy[2, 1].compute(scheduler="synchronous"))
    assert STACK[0, 0].nbytes == file.count


def test_a_large_plane_is_several_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cellbank.images.lazily.CHUNK", 110 * 2 * 40)
    lazy = image_of(FORMS["OME, pyramid"]).dask()
    assert ((1, 1), (40, 40, 10), (110,)) == lazy.chunks
    np.testing.assert_array_equal(FIELD, lazy.compute(scheduler="synchronous"))


def test_levels_are_lazy_too() -> None:
    image = image_of(FORMS["OME, pyramid"])
    for level in (0, 1, 2):
        expected = FIELD[:, :: 2**level, :: 2**level]
        np.testing.assert_array_equal(expected, image.dask(level).compute(scheduler="synchronous"))
    with pytest.raises(AxisNotFound):
        image.dask(3)


def test_damage_is_told_when_it_is_read() -> None:
    lazy = image_of(FORMS["ours"][:-1]).dask()
    np.testing.assert_array_equal(STACK[0, 0], lazy[0, 0].compute(scheduler="synchronous"))
    with pytest.raises(BadImage, match="truncated"):
        lazy.compute(scheduler="synchronous")


def test_dask_computes_what_numpy_computes() -> None:
    lazy = image_of(FORMS["ours"]).dask()
    assert isinstance(lazy, da.Array)
    np.testing.assert_array_equal(STACK.max(0), lazy.max(axis=0).compute(scheduler="synchronous"))
    np.testing.assert_array_equal(STACK[1:, ::-1, 3:9], lazy[1:, ::-1, 3:9].compute())


def test_xarray_knows_channels_by_name_and_places_in_micrometre() -> None:
    found = image_of(FORMS["ours"]).xarray()
    assert ("Z", "C", "Y", "X") == found.dims
    assert ["DNA", "membrane"] == found.coords["C"].to_numpy().tolist()
    np.testing.assert_allclose([0, 0.29, 0.58], found.coords["Z"])
    assert "µm" == found.coords["X"].attrs["units"]
    np.testing.assert_array_equal(STACK[:, 1], found.sel(C="membrane").to_numpy())
    np.testing.assert_array_equal(STACK[1], found.sel(Z=0.3, method="nearest").to_numpy())
    assert {"Z": 0.29, "Y": 0.1, "X": 0.1} == found.attrs["pixel_size"]
    assert "image" == found.name


def test_xarray_has_no_places_where_no_size_is_known() -> None:
    found = image_of(FORMS["no metadata"]).xarray()
    assert ("Q", "Y", "X") == found.dims
    assert [] == list(found.coords)
    twice = image_of(FORMS["ours"]).with_channels(["a", "a"]).xarray()
    assert "C" not in twice.coords


@pytest.mark.parametrize(("library", "ask"), [("dask.array", "dask"), ("xarray", "xarray")])
def test_without_the_library_it_is_said_what_to_install(
    monkeypatch: pytest.MonkeyPatch, library: str, ask: str
) -> None:
    image = image_of(tiff(STACK[0, 0]))
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(BadInput, match=r"pip install 'cellbank\["):
        getattr(image, ask)()
