"""Black and white: two percentiles, exactly, of any numbers; wide enough for sparse channels."""

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from cellbank.images.limits import auto_limits, extremes
from cellbank.model.errors import BadInput

WHOLE = [f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)]
FLOATS = ["float16", "float32", "float64", "longdouble"]
ORDERED = st.sampled_from(["bool", *WHOLE, ">i2", ">u4", ">f4", *FLOATS])
EVERY = st.one_of(ORDERED, st.sampled_from(["complex64", "complex128"]))


def random(*shape: int) -> Any:
    return np.random.default_rng(7).gamma(2.0, 100.0, shape)


@given(
    ORDERED.flatmap(lambda kind: arrays(np.dtype(kind), array_shapes(max_dims=3, max_side=12))),
    st.integers(0, 100),
    st.integers(0, 100),
)
def test_percentiles_are_those_of_the_sorted_values(array: Any, one: int, other: int) -> None:
    low, high = sorted((one, other))
    values = array.astype(np.float64) if array.dtype == np.longdouble else array
    values = values[np.isfinite(values)] if values.dtype.kind == "f" else values.ravel()
    if not len(values) or array.dtype == bool:
        assert (0, 1) == auto_limits(array, low=low, high=high)
        return
    values = np.sort(values)
    black, white = auto_limits(array, low=low, high=high)
    expected = [values[round(p / 100 * (len(values) - 1))].item() for p in (low, high)]
    # Signal beyond the window moves white up, and nothing moves down.
    assert black == expected[0] or expected[0] == expected[1]
    assert white == expected[1] or white > expected[0] + 4 * (expected[1] - expected[0])
    assert {black, white} <= set(values.tolist())


@given(EVERY.flatmap(lambda kind: arrays(np.dtype(kind), array_shapes(min_side=0, max_side=9))))
def test_limits_are_finite_numbers_in_order_whatever_comes(array: Any) -> None:
    before = array.copy()
    for found in (auto_limits(array), extremes(array)):
        assert all(np.isfinite(limit) for limit in found)
        assert found[0] <= found[1]
        kind = float if array.dtype.kind in "fc" else int
        assert [kind, kind] == [type(limit) for limit in found]
    np.testing.assert_array_equal(before, array)


def test_twelve_bits_in_sixteen_fill_the_window() -> None:
    plane = np.arange(4096, dtype=np.uint16).reshape(64, 64)
    assert (41, 4091) == auto_limits(plane)


def test_a_sparse_channel_has_its_window_over_the_signal() -> None:
    plane = (np.arange(600 * 900).reshape(600, 900) % 2).astype(np.uint16)
    plane[300:306, 400:410] = np.arange(500, 560).reshape(6, 10)
    assert (0, 1) == tuple(np.percentile(plane, [1, 99.9]))
    assert (0, 556) == auto_limits(plane)


def test_a_faulty_pixel_is_no_signal() -> None:
    plane = random(600, 900).astype(np.uint16)
    expected = auto_limits(plane)
    plane[17, 4] = 65535
    assert expected == auto_limits(plane)
    assert expected[1] < 1200


def test_one_pixel_is_the_signal_where_all_else_is_the_same() -> None:
    plane = np.full((50, 50), 100, np.uint16)
    plane[3, 3] = 160
    assert (100, 160) == auto_limits(plane)
    plane[3, 3] = 40
    assert (40, 100) == auto_limits(plane)


@pytest.mark.parametrize("value", [0, 7, -3, 2**62, 0.5, -1e300])
def test_a_constant_plane_has_one_limit_twice(value: float) -> None:
    assert (value, value) == auto_limits(np.full((9, 9), value))
    assert (value, value) == extremes(np.full((9, 9), value))


def test_nan_and_infinities_do_not_count() -> None:
    plane = np.array([np.nan, 1, 2, 3, np.inf, -np.inf], np.float32)
    assert (1.0, 3.0) == auto_limits(plane)
    assert (1.0, 3.0) == extremes(plane)
    assert (0.0, 1.0) == auto_limits(np.full((3, 3), np.nan))
    assert (0.0, 1.0) == extremes(np.full((3, 3), np.inf))


@pytest.mark.parametrize("kind", ["bool", "uint8", "float32", "complex64"])
def test_where_there_is_nothing_black_is_0_and_white_1(kind: str) -> None:
    assert (0, 1) == auto_limits(np.zeros((0, 5), kind))
    assert (0, 1) == extremes(np.zeros((0, 5), kind))


def test_truth_values_have_the_limits_0_and_1() -> None:
    assert (0, 1) == auto_limits(np.zeros((3, 3), bool))
    assert (0, 1) == extremes(np.array([True, False]))


def test_numbers_that_no_float_can_hold_are_exact() -> None:
    assert (2**64 - 3, 2**64 - 1) == auto_limits(np.array([2**64 - 1, 2**64 - 3], np.uint64))
    assert (-(2**63), 2**63 - 1) == auto_limits(np.array([2**63 - 1, -(2**63)]))
    assert (2**53 + 1, 2**53 + 3) == extremes(np.array([2**53 + 3, 2**53 + 1]))


def test_of_complex_numbers_the_magnitude_counts() -> None:
    assert (0.0, 5.0) == auto_limits(np.array([3 + 4j, 0, np.nan], np.complex64))
    assert (1.0, 5.0) == extremes(np.array([-3 - 4j, 1j]))


@pytest.mark.parametrize("thing", [["a"], [None], np.zeros(3, "M8[s]"), np.zeros(2, "i2,i2")])
def test_what_is_no_number_has_no_limits(thing: Any) -> None:
    with pytest.raises(BadInput, match="no type of pixels"):
        auto_limits(thing)
    with pytest.raises(BadInput, match="no type of pixels"):
        extremes(thing)


@pytest.mark.parametrize(("low", "high"), [(-1, 50), (60, 50), (0, 101), (float("nan"), 50)])
def test_percentiles_are_from_0_to_100(low: float, high: float) -> None:
    with pytest.raises(BadInput, match="are no percentiles"):
        auto_limits([1, 2], low=low, high=high)


@pytest.mark.parametrize("kind", ["uint16", "float32", "uint64", "complex64"])
def test_memory_does_not_grow_with_the_array(kind: str) -> None:
    array = random(8, 1000, 1000).astype(kind)[:, ::-1].transpose(2, 0, 1)
    tracemalloc.start()
    try:
        auto_limits(array)
        extremes(array)
        assert tracemalloc.get_traced_memory()[1] < 20e6 + array.nbytes / 10
    finally:
        tracemalloc.stop()


def test_real_channels_get_a_window_one_can_see_something_in(shared_data: Path) -> None:
    channels = sorted((shared_data / "images").rglob("*.tif*"))
    for path in [path for path in channels if "seg" not in path.name]:
        array = tifffile.imread(path)
        low, high = auto_limits(array)
        levels = np.clip((array - float(low)) / (high - low), 0, 1)
        assert (path.name, True) == (path.name, 0.02 < levels.mean() < 0.7)
        assert (path.name, True) == (path.name, (levels == 1).mean() < 0.02)
