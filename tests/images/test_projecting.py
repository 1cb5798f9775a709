"""Projections: the numbers and the type that numpy gives for the whole array, in little memory."""

import io
import itertools
import subprocess
import sys
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellbank.images.image import Image
from cellbank.images.opening import open as open_image
from cellbank.model.errors import AxisNotFound, BadInput, ChannelNotFound
from tests.images.making import COLOURS, FORMS, STACK, TIMES, Counting, tiff

Array = np.ndarray[Any, Any]
HOWS = ["max", "min", "mean", "sum"]
NUMBERS = np.random.default_rng(3).integers(0, 1 << 63, (2, 5, 2, 4, 6), np.uint64)
KINDS = ["bool", "u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8"]


def image_of(data: bytes, **how: Any) -> Image:
    return open_image(io.BytesIO(data), **how)


def numbers_of(kind: str) -> Array:
    dtype = np.dtype(kind)
    if dtype.kind == "b":
        return NUMBERS % 3 == 0
    if dtype.kind in "fc":
        found = NUMBERS.astype(np.float64) / 2**63 * 60000 - 20000
        return (found * (1 + 2j) if dtype.kind == "c" else found).astype(dtype)
    return (NUMBERS * 2).view("u8").astype(dtype)


@cache
def stack(kind: str, order: str = "<") -> tuple[Array, Image]:
    """Return the planes of a type, and an image of them."""
    data = numbers_of(kind).reshape(-1, 4, 6)
    return data, image_of(tiff(data, metadata=None, byteorder=order), axes="ZYX")


def by_numpy(array: Array, how: Any, axis: Any) -> Array:
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if isinstance(how, str):
            return np.asarray(getattr(np, how)(array, axis=axis))
        return np.asarray(np.percentile(array, how, axis=axis))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("how", [*HOWS, 0, 12.5, 50, 99.9, 100, np.float32(25), np.int8(75)])
@pytest.mark.parametrize("kind", KINDS)
def test_every_type_of_pixels(kind: str, how: Any, order: str) -> None:
    data, found = stack(kind, order)
    if kind == "bool" and not isinstance(how, str):
        data = data.view(np.uint8)
    expected = by_numpy(data, how if isinstance(how, str) else float(how), 0)
    np.testing.assert_array_equal(expected, found.project(how), strict=True)


@pytest.mark.parametrize("kind", ["c8", "c16"])
@pytest.mark.parametrize("how", HOWS)
def test_complex_numbers(kind: str, how: str) -> None:
    data, found = stack(kind)
    np.testing.assert_array_equal(by_numpy(data, how, 0), found.project(how), strict=True)


def test_complex_numbers_have_no_percentiles() -> None:
    with pytest.raises(BadInput, match="complex"):
        stack("c8")[1].project(50)


@pytest.mark.parametrize("how", [*HOWS, 30])
@pytest.mark.parametrize("kind", ["f2", "f4", "f8"])
def test_nan_and_infinities_are_what_numpy_makes_of_them(kind: str, how: Any) -> None:
    data = numbers_of(kind).reshape(-1, 4, 6).copy()
    data[3, 0, :4] = np.nan, np.inf, -np.inf, np.finfo(kind).max
    data[5, 0, :4] = 0, -np.inf, -np.inf, np.finfo(kind).max
    found = image_of(tiff(data, metadata=None), axes="ZYX").project(how)
    np.testing.assert_array_equal(by_numpy(data, how, 0), found, strict=True)


FOLDS = ["".join(o) for n in (1, 2, 3) for o in itertools.combinations("TZC", n)] + ["ZT", "CZT"]


@pytest.mark.parametrize("over", FOLDS)
@pytest.mark.parametrize("how", [*HOWS, 40])
def test_any_axes_are_folded(how: Any, over: str) -> None:
    axis = tuple("TZCYX".index(a) for a in over)
    expected = by_numpy(TIMES, how, axis)
    for form in ("OME, times", "ImageJ, times and labels"):
        np.testing.assert_array_equal(
            expected, image_of(FORMS[form]).project(how, over), strict=True
        )


def test_z_is_folded_unless_another_is_named() -> None:
    np.testing.assert_array_equal(STACK.max(0), image_of(FORMS["ours"]).project())
    np.testing.assert_array_equal(STACK.max(1), image_of(FORMS["ours"]).project(over="C"))


@pytest.mark.parametrize("how", [*HOWS, 75])
@pytest.mark.parametrize("data", [STACK[:1, 0], STACK[0, 0]])
def test_one_plane_is_its_own_projection(data: Array, how: Any) -> None:
    file = tiff(data, ome=True, metadata={"axes": "ZYX"[-data.ndim :]})
    expected = by_numpy(data.reshape(1, 20, 30), how, 0)
    for over in ("Z", "T", "ZT", "C"):
        found = image_of(file).project(how, over)
        np.testing.assert_array_equal(expected, found, strict=True)


@pytest.mark.parametrize("how", [*HOWS, 75])
def test_samples_of_a_pixel_stay(how: Any) -> None:
    for form in ("OME, colour", "OME, colour in planes", "ImageJ, colour"):
        found = image_of(FORMS[form]).project(how)
        np.testing.assert_array_equal(by_numpy(COLOURS, how, 0), found, strict=True)


def test_axes_without_a_name_are_folded_by_their_letter_and_never_as_z() -> None:
    found = image_of(FORMS["no metadata"])
    np.testing.assert_array_equal(STACK.reshape(-1, 20, 30).max(0), found.project(over="Q"))
    with pytest.raises(AxisNotFound, match='axes="ZYX"'):
        found.project()


places = st.one_of(st.none(), st.integers(0, 1), st.slices(2), st.lists(st.integers(0, 1)))


@given(
    how=st.sampled_from([*HOWS, 33]),
    over=st.sampled_from(FOLDS),
    t=places,
    c=places,
    z=st.one_of(places, st.slices(3)),
    y=st.one_of(st.integers(0, 19), st.slices(20), st.lists(st.integers(-20, 19))),
    x=st.one_of(st.none(), st.slices(30)),
)
def test_a_part_is_folded_as_numpy_folds_that_part(how: Any, over: str, **choices: Any) -> None:
    expected = TIMES.astype(np.float32) / 7
    named = {axis.upper(): choice for axis, choice in choices.items()}
    kept = []
    for number, axis in reversed(list(enumerate("TZCYX"))):
        choice = named[axis]
        if choice is not None:
            # Dropped axes stay until all is folded.
            one = [choice] if isinstance(choice, int) else choice
            expected = expected[(slice(None),) * number + (one,)]
        kept.append(not isinstance(choice, int))
    kept.reverse()
    source = image_of(tiff(TIMES.astype(np.float32) / 7, ome=True, metadata={"axes": "TZCYX"}))
    if not expected.size:
        with pytest.raises(BadInput, match="nothing of it is selected"):
            source.project(how, over, **named)
        return
    folded = by_numpy(np.ascontiguousarray(expected), how, tuple("TZCYX".index(a) for a in over))
    left = [k for axis, k in zip("TZCYX", kept, strict=True) if axis not in over]
    drop = tuple(n for n, k in enumerate(left) if not k)
    found = source.project(how, over, **named)
    if how in {"mean", "sum"} and folded.shape[-2:] == (1, 1):
        # numpy adds up a single pixel in pairs.
        np.testing.assert_allclose(folded.squeeze(drop), found, rtol=1e-6)
    else:
        np.testing.assert_array_equal(folded.squeeze(drop), found, strict=True)


@pytest.mark.parametrize("how", ["median", "MAX", "", -1, 100.1, float("nan"), True, None, [50]])
def test_what_is_no_projection_is_refused(how: Any) -> None:
    with pytest.raises(BadInput, match="there is no projection"):
        image_of(FORMS["ours"]).project(how)


@pytest.mark.parametrize("over", ["", "Y", "ZX", "z", "W", "S", "Z,T"])
def test_what_cannot_be_folded_is_refused(over: str) -> None:
    with pytest.raises(AxisNotFound, match="it cannot be folded"):
        image_of(FORMS["ours"]).project("max", over)


def test_a_channel_that_is_not_there_is_refused() -> None:
    with pytest.raises(ChannelNotFound, match="Did you mean membrane"):
        image_of(FORMS["ours"]).project(C="membranes")


# --- how much is read, and how much is kept


def test_each_plane_is_read_once_and_no_other() -> None:
    file = Counting(tiff(STACK, ome=True, metadata={"axes": "ZCYX"}))
    found = open_image(file)
    found.read()
    for how in (*HOWS, 50):
        file.count = 0
        found.project(how, C=1, Z=slice(0, 2))
        assert 2 * STACK[0, 0].nbytes == file.count


MEASURED = """
import resource, sys
from cellbank import images
image = images.open(sys.argv[1])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
how = sys.argv[2]
found = image.project(float(how) if how.isdigit() else how)
print(found.shape, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, before)
"""


def peak(path: Path, how: str) -> tuple[float, float]:
    """The most memory that a fresh process has, and what it had before it projected; in MB."""
    script = [sys.executable, "-c", MEASURED, str(path), how]
    said = subprocess.run(script, check=True, capture_output=True, text=True).stdout.split()
    return int(said[-2]) / 1024, int(said[-1]) / 1024


def written(path: Path, depth: int) -> Path:
    from cellbank.images.ometiff import write_ome_tiff

    plane = np.random.default_rng(0).integers(0, 4096, (624, 924), np.uint16)
    shape = (depth, 7, 624, 924)
    planes = (plane + np.uint16(n) for n in range(depth * 7))
    with path.open("wb") as file:
        write_ome_tiff(file, planes, axes="ZCYX", shape=shape, dtype="uint16")
    return path


@pytest.mark.parametrize("how", ["max", "mean"])
def test_a_projection_keeps_little_more_than_its_result(tmp_path: Path, how: str) -> None:
    path = written(tmp_path / "field.ome.tif", 12)
    result = 7 * 624 * 924 * (2 if how == "max" else 8) / 2**20
    most, before = peak(path, how)
    assert path.stat().st_size / 2**20 > 90
    assert most - before < result + 12


@pytest.mark.slow
@pytest.mark.parametrize("how", ["max", "min", "sum", "mean", "50"])
def test_a_field_of_565_mb_takes_at_most_150(tmp_path: Path, how: str) -> None:
    path = written(tmp_path / "field.ome.tif", 70)
    assert path.stat().st_size > 565_000_000
    assert peak(path, how)[0] <= 150
