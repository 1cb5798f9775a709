"""Composites: within a grey level of the rule written out, whatever numbers the planes have."""

import math
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from cellbank.images.colours import parse_color
from cellbank.images.compose import composite, rgb
from cellbank.images.limits import auto_limits
from cellbank.model.errors import BadInput

KINDS = ["bool", "uint8", "int8", "uint16", "int16", ">u2", "uint32", "int32", "uint64", "int64"]
KINDS += ["float16", "float32", ">f4", "float64"]


def slow(planes: Any, colors: Any, limits: Any) -> Any:
    """The rule, a pixel at a time."""
    planes = [np.asarray(plane) for plane in planes]
    height, width = planes[0].shape
    out = np.zeros((height, width, 3), np.uint8)
    for y in range(height):
        for x in range(width):
            for part in range(3):
                total = 0.0
                for plane, color, (low, high) in zip(planes, colors, limits, strict=True):
                    value = plane[y, x].item()
                    if low == high or math.isnan(value):
                        continue
                    level = (value / 2 - low / 2) / (high / 2 - low / 2)
                    total += color[part] * min(max(level, 0), 1)
                out[y, x, part] = math.floor(255 * min(max(total, 0), 1) + 0.5)
    return out


def assert_near(expected: Any, found: Any) -> None:
    assert np.uint8 == found.dtype
    assert expected.shape == found.shape
    assert np.abs(expected.astype(int) - found.astype(int)).max(initial=0) <= 1


@given(
    st.data(),
    st.lists(st.sampled_from(KINDS), min_size=1, max_size=4),
    array_shapes(min_dims=2, max_dims=2, max_side=5),
)
def test_a_composite_is_the_rule_written_out(data: Any, kinds: list[str], shape: Any) -> None:
    planes = [data.draw(arrays(np.dtype(kind), shape)) for kind in kinds]
    parts = st.tuples(*[st.integers(0, 255)] * 3)
    colors = data.draw(st.lists(parts, min_size=len(planes), max_size=len(planes)))
    limits = [auto_limits(plane) for plane in planes]
    copies = [plane.copy() for plane in planes]
    found = composite(planes, colors)
    assert_near(slow(planes, [parse_color(color) for color in colors], limits), found)
    for plane, copy in zip(planes, copies, strict=True):
        np.testing.assert_array_equal(copy, plane)


@given(
    st.sampled_from(KINDS).flatmap(lambda kind: arrays(np.dtype(kind), (2, 3))),
    st.floats(-1e6, 1e6),
    st.floats(-1e6, 1e6),
)
def test_any_limits_will_do_and_those_the_wrong_way_invert(
    plane: Any, low: float, high: float
) -> None:
    found = composite([plane], ["white"], (low, high))
    if low == high or abs(high - low) > 1e-200:
        assert_near(slow([plane], [(1, 1, 1)], [(low, high)]), found)


def test_colours_add_up_and_stop_at_white() -> None:
    planes = np.full((3, 1, 1), 255, np.uint8)
    found = composite(planes, ["red", "#804000", "blue"], (0, 255))
    assert [255, 64, 255] == found[0, 0].tolist()


def test_levels_are_rounded_not_cut() -> None:
    plane = np.array([[0, 1, 2, 3]], np.uint8)
    assert [0, 85, 170, 255] == composite([plane], ["red"], (0, 3))[0, :, 0].tolist()
    assert [0, 128] == composite([plane[:, :2]], ["red"], (0, 2))[0, :, 0].tolist()


def test_a_uniform_plane_adds_nothing() -> None:
    planes = {"EGFP": np.full((2, 2), 500, np.uint16), "H3342": np.array([[0, 9], [0, 9]])}
    found = composite(planes)
    assert 0 == found[..., 1].max()
    assert [0, 255] == found[0, :, 2].tolist()
    assert 0 == rgb(np.full((2, 2), 500, np.uint16)).max()


def test_nan_adds_nothing_and_infinities_are_black_and_white() -> None:
    plane = np.array([[np.nan, -np.inf, 0, 1, np.inf]], np.float32)
    assert [0, 0, 0, 255, 255] == composite([plane], ["red"])[0, :, 0].tolist()
    assert [0, 0, 0, 255, 255] == rgb(green=plane)[0, :, 1].tolist()
    assert 0 == composite([np.full((4, 4), np.nan)]).max()


def test_a_nan_that_signals_is_no_news() -> None:
    plane = np.array([[0x7F800001, 0, 0x3F800000]], np.uint32).view(np.float32)
    assert [0, 0, 255] == composite([plane], ["red"])[0, :, 0].tolist()


def test_numbers_that_no_float_can_hold_differ() -> None:
    plane = np.array([[2**63, 2**63 + 1, 2**63 + 2]], np.uint64)
    assert [0, 128, 255] == rgb(plane)[0, :, 0].tolist()
    ends = np.array([[-(2**63), 0, 2**63 - 1]])
    assert [0, 128, 255] == rgb(ends)[0, :, 0].tolist()


def test_of_complex_numbers_the_magnitude_is_shown() -> None:
    assert [0, 255] == rgb(np.array([[0, 3 - 4j]]))[0, :, 0].tolist()


def test_planes_in_all_forms_give_the_same() -> None:
    planes = np.random.default_rng(1).integers(0, 4096, (3, 20, 30)).astype(np.uint16)
    expected = composite(planes)
    for same in (list(planes), tuple(planes), planes.astype(">u2"), planes[:, ::-1][:, ::-1]):
        np.testing.assert_array_equal(expected, composite(same))
    named = dict(zip("abc", planes, strict=True))
    np.testing.assert_array_equal(expected, composite(named))
    np.testing.assert_array_equal(composite(planes[:1]), composite(planes[0]))


def test_colours_and_limits_by_name() -> None:
    planes = {"EGFP": np.array([[0, 100]]), "x": np.array([[100, 0]])}
    found = composite(planes, {"x": "red"}, {"EGFP": (0, 200)})
    assert [[255, 0, 0], [0, 128, 0]] == found[0].tolist()


def test_none_in_a_list_leaves_the_choice() -> None:
    planes = {"EGFP": np.array([[0, 100]]), "x": np.array([[100, 0]])}
    found = composite(planes, [None, "red"], [(0, 200), None])
    assert [[255, 0, 0], [0, 128, 0]] == found[0].tolist()


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"colors": ["red"]}, "1 colours for 2 planes"),
        ({"colors": "red"}, "nothing"),
        ({"colors": {"EGPF": "red"}}, "colours for 'EGPF'.* Did you mean EGFP"),
        ({"colors": {"zzz": "red"}}, "There are: EGFP, DAPI"),
        ({"colors": ["red", "rde"]}, "Did you mean red"),
        ({"limits": [(0, 1)] * 3}, "3 limits for 2 planes"),
        ({"limits": {"DAPY": (0, 1)}}, "limits for 'DAPY'.* Did you mean DAPI"),
        ({"limits": (0, float("nan"))}, "are no limits"),
        ({"limits": (0, float("inf"))}, "are no limits"),
        ({"limits": [("a", "b"), None]}, "are no limits"),
        ({"limits": [(1, 2, 3), None]}, "are no limits"),
    ],
)
def test_what_does_not_fit_is_told(how: dict[str, Any], message: str) -> None:
    planes = {"EGFP": np.zeros((2, 2)), "DAPI": np.zeros((2, 2))}
    if message == "nothing":
        # One colour is that of all.
        assert (2, 2, 3) == composite(planes, **how).shape
        return
    with pytest.raises(BadInput, match=message):
        composite(planes, **how)


def test_planes_that_do_not_fit_are_told() -> None:
    with pytest.raises(BadInput, match="do not fit"):
        composite([np.zeros((2, 2)), np.zeros((2, 3))])
    with pytest.raises(BadInput, match=r"shape \(2, 2, 3\)"):
        composite([np.zeros((2, 2, 3))])
    with pytest.raises(BadInput, match="no type of pixels"):
        composite([np.array([["a"]])])
    for nothing in ([], {}, np.zeros((0, 2, 2))):
        with pytest.raises(BadInput, match="no plane"):
            composite(nothing)
    with pytest.raises(BadInput, match="no plane"):
        rgb()
    with pytest.raises(BadInput, match="The planes have no names"):
        composite([np.zeros((2, 2))], {"EGFP": "red"})


def test_rgb_by_name_and_with_gaps() -> None:
    plane = np.array([[0, 50, 100]])
    found = rgb(red=plane, blue=plane, limits={"blue": (0, 50)})
    assert [[0, 0, 0], [128, 0, 255], [255, 0, 255]] == found[0].tolist()
    np.testing.assert_array_equal(found, rgb(plane, None, plane, [None, None, (0, 50)]))
    same = rgb(plane, plane, plane, (0, 100))
    assert [0, 128, 255] == same[0, :, 0].tolist() == same[0, :, 2].tolist()


def test_a_picture_without_pixels_is_one() -> None:
    assert (0, 5, 3) == composite(np.zeros((2, 0, 5))).shape
    assert (5, 0, 3) == rgb(np.zeros((5, 0))).shape


def test_memory_is_little_more_than_the_picture() -> None:
    planes = np.random.default_rng(2).integers(0, 4096, (8, 1000, 1000)).astype(np.uint16)
    for array in (planes, planes.astype(np.int64), planes.astype(np.float32)):
        tracemalloc.start()
        try:
            composite(array)
            assert tracemalloc.get_traced_memory()[1] < 45e6
        finally:
            tracemalloc.stop()


def test_the_wells_three_channels(shared_data: Path) -> None:
    files = sorted((shared_data / "images" / "ht29_well_D03").glob("*.tif"))
    planes = [tifffile.imread(file)[200:240, 200:240] for file in files]
    limits = [(int(plane.min()), int(plane.max())) for plane in planes]
    axes = [(1, 0, 0), (0, 1, 0), (0, 0, 1)]
    assert_near(slow(planes, axes, limits), rgb(*planes))
    colors = ["blue", "yellow", "magenta"]
    limits = [auto_limits(plane) for plane in planes]
    assert_near(slow(planes, list(map(parse_color, colors)), limits), composite(planes, colors))


def test_the_walkthroughs_picture(shared_data: Path) -> None:
    def normalize_im(img: Any) -> Any:
        img = img - np.min(img)
        return (img / (np.max(img)) * 255).astype(int)

    folder = shared_data / "images" / "fov_00dde0c9_panels"
    named = ("EGFP", "CMDRP", "H3342")
    planes = [tifffile.imread(folder / f"{name}_maxproj_panel.tif")[:, :248] for name in named]
    expected = np.stack([normalize_im(plane) for plane in planes], -1).astype(np.uint8)
    assert_near(expected, rgb(*planes))


def test_real_nuclei_in_the_middle_of_their_stack(shared_data: Path) -> None:
    stack = tifffile.imread(shared_data / "images" / "allen_nuclei_zyx.tif")
    plane = stack.max(axis=0)[100:140, 100:140]
    limits = auto_limits(plane)
    assert_near(slow([plane], [(0, 0, 1)], [limits]), composite({"H3342": plane}))
