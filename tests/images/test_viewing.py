"""What the viewer is told of images of all kinds, and that it gets their very pixels."""

import io
import json
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cellbank import images
from cellbank.images import viewing
from cellbank.images.channel import Channel
from cellbank.images.header import Header
from cellbank.images.image import Image
from cellbank.images.pixels import Pixels
from cellbank.images.viewing import Viewed, little_endian, outlined, viewer_source
from cellbank.model.errors import BadInput
from tests.images.making import COLOUR, STACK, ome, tiff


def opened(data: bytes) -> Image:
    return images.open(io.BytesIO(data))


class Numbers(Pixels):
    """An image of an array in memory; counts the planes that are read."""

    def __init__(self, array: NDArray[Any], axes: str) -> None:
        self.array = array
        self.name = "made/here.tif"
        self.header = Header("tiff", axes, array.shape, array.dtype.name)
        self.levels = (array.shape[axes.index("Y") : axes.index("Y") + 2],)
        sizes = dict(zip(axes, array.shape, strict=True))
        self.channels = tuple(Channel(None, n) for n in range(sizes.get("C", 1)))
        self.scenes = ("one",)
        self.read = 0

    def planes(self, numbers: Any, rows: slice, columns: slice, level: int = 0) -> Any:
        leading = self.header.axes.index("Y")
        flat = self.array.reshape(-1, *self.array.shape[leading:])
        for number in numbers:
            self.read += 1
            yield flat[number, rows, columns]


def of(array: NDArray[Any], axes: str) -> Image:
    return Image(Numbers(array, axes))


def request(c: int = 0, z: int | str = 0, t: int = 0) -> dict[str, Any]:
    return {"kind": "image", "c": c, "z": z, "t": t}


def test_sixteen_bits_stay_sixteen_bits_in_every_plane_and_projection() -> None:
    viewed = Viewed(opened(ome(channels=["DNA", "membrane"], pixel_size={"X": 0.1, "Y": 0.1})))
    for c in range(2):
        for z in range(3):
            found = viewed.plane(request(c, z))
            assert np.uint16 == found.dtype
            np.testing.assert_array_equal(STACK[z, c], found)
        np.testing.assert_array_equal(STACK[:, c].max(axis=0), viewed.plane(request(c, "max")))
    assert {"T": 1, "C": 2, "Z": 3, "Y": 20, "X": 30} == viewed.options["sizes"]
    assert {"X": 0.1, "Y": 0.1} == viewed.options["pixelSize"]
    assert ["DNA", "membrane"] == [channel["name"] for channel in viewed.options["channels"]]


def test_options_are_plain_json_whatever_the_pixels_hold() -> None:
    array = np.full((4, 5), np.nan, np.float32)
    array[0, 0] = np.inf
    for image in (of(array, "YX"), of(np.zeros((4, 5), bool), "YX"), opened(tiff(COLOUR))):
        text = json.dumps(Viewed(image).options, allow_nan=False)
        assert json.loads(text)["channels"]


def test_the_axes_may_come_in_any_order() -> None:
    array = np.arange(2 * 3 * 4 * 5 * 6, dtype=np.uint16).reshape(2, 3, 4, 5, 6)
    viewed = Viewed(of(array, "TZCYX"))
    np.testing.assert_array_equal(array[1, 2, 3], viewed.plane(request(3, 2, 1)))
    np.testing.assert_array_equal(array[1, :, 3].max(axis=0), viewed.plane(request(3, "max", 1)))


def test_axes_without_a_name_are_shown_as_z_and_that_is_told() -> None:
    array = np.arange(2 * 3 * 4 * 5, dtype=np.uint8).reshape(2, 3, 4, 5)
    viewed = Viewed(of(array, "QIYX"))
    assert 6 == viewed.options["sizes"]["Z"]
    np.testing.assert_array_equal(array[1, 1], viewed.plane(request(z=4)))
    assert "does not name the axes Q, I" in viewed.options["notes"][0]


def test_a_colour_picture_has_three_channels_as_they_are() -> None:
    viewed = Viewed(opened(tiff(COLOUR, photometric="rgb")))
    channels = viewed.options["channels"]
    assert ["red", "green", "blue"] == [channel["name"] for channel in channels]
    assert ["#ff0000", "#00ff00", "#0000ff"] == [channel["color"] for channel in channels]
    assert {(0.0, 255.0)} == {(channel["low"], channel["high"]) for channel in channels}
    np.testing.assert_array_equal(COLOUR[..., 1], viewed.plane(request(1)))


@pytest.mark.parametrize(
    ("dtype", "shown", "told"),
    [
        ("bool", "uint8", False),
        ("uint8", "uint8", False),
        ("uint16", "uint16", False),
        ("int16", "float32", False),
        ("float16", "float32", False),
        ("int32", "float32", True),
        ("uint64", "float32", True),
        ("float64", "float32", True),
        ("complex64", "float32", True),
    ],
)
def test_other_types_become_floats_and_rounding_is_told(dtype: str, shown: str, told: bool) -> None:
    array = np.arange(20).reshape(4, 5).astype(dtype)
    viewed = Viewed(of(array, "YX"))
    found = viewed.plane(request())
    assert (shown, shown) == (found.dtype.name, viewed.options["dtype"])
    np.testing.assert_array_equal(np.abs(array).astype(shown), found)
    assert told == any("32-bit floats" in note for note in viewed.options["notes"])


def test_large_planes_come_smaller_and_that_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(viewing, "MAX_SIDE", 8)
    monkeypatch.setattr(viewing, "_BAND", 64)
    array = np.arange(20 * 30, dtype=np.uint16).reshape(20, 30)
    labels = (np.arange(20 * 30).reshape(20, 30) // 40).astype(np.uint8)
    viewed = Viewed(of(array, "YX"), {"cells": of(labels, "YX")})
    np.testing.assert_array_equal(array[::4, ::4], viewed.plane(request()))
    asked = {"kind": "labels", "name": "cells", "z": 0, "t": 0}
    np.testing.assert_array_equal(labels[::4, ::4], viewed.plane(asked))
    assert {"Y": 20, "X": 30}.items() <= viewed.options["sizes"].items()
    assert ["The image is 30 × 20 pixels; it is shown 4 times smaller."] == viewed.options["notes"]


def test_a_projection_is_read_once_and_kept_within_the_limit() -> None:
    array = np.zeros((9, 100, 100), np.uint8)
    viewed = Viewed(of(array, "ZYX"), cache_bytes=25_000)
    before = viewed.image.pixels.read
    viewed.plane(request(z="max"))
    viewed.plane(request(z="max"))
    assert before + 9 == viewed.image.pixels.read
    viewed.plane(request(z=7))
    viewed.plane(request(z=8))
    viewed.plane(request(z="max"))
    assert before + 9 + 2 + 9 == viewed.image.pixels.read


@pytest.mark.parametrize(
    "bad",
    [
        None,
        [],
        {},
        request(c=2),
        request(c=-1),
        request(c=True),
        request(z=3),
        request(z="min"),
        request(z=0.5),
        request(t=1),
        {"kind": "image", "c": "0", "z": 0, "t": 0},
        {"kind": "labels", "name": "../x", "z": 0, "t": 0},
        {"kind": "labels", "name": ["cells"], "z": 0, "t": 0},
        {"kind": "file", "name": "cells", "z": 0, "t": 0},
    ],
)
def test_what_is_no_request_is_refused(bad: Any) -> None:
    viewed = Viewed(opened(ome()), {"cells": of(np.zeros((20, 30), np.uint8), "YX")})
    with pytest.raises(BadInput):
        viewed.plane(bad)


@pytest.mark.parametrize(
    "labels",
    [
        np.array([[0, 1, 2]], np.uint8),
        np.array([[0, 70_000, 2]], np.uint32),
        np.array([[0, -1, 2]], np.int16),
        np.array([[0, 2**32 + 5, 5]], np.uint64),
        np.array([[0, -(2**40), 2**40]], np.int64),
        np.array([[0, 1.5, 2]], np.float32),
        np.array([[False, True, True]]),
    ],
)
def test_labels_that_differ_go_on_differing_in_32_bits(labels: NDArray[Any]) -> None:
    viewed = Viewed(of(np.zeros((1, 3), np.uint8), "YX"), {"cells": of(labels, "YX")})
    found = viewed.plane({"kind": "labels", "name": "cells", "z": 0, "t": 0})
    assert found.dtype.name in {"uint8", "uint16", "uint32"}
    assert [0, *(labels[0, 1:] == labels[0, :-1])] == [
        found[0, 0],
        *(found[0, 1:] == found[0, :-1]),
    ]


def test_flat_labels_lie_over_every_slice_and_others_must_fit() -> None:
    image = of(np.zeros((3, 4, 5), np.uint8), "ZYX")
    flat = of(np.arange(20, dtype=np.uint8).reshape(4, 5), "YX")
    found = Viewed(image, {"cells": flat}).plane(
        {"kind": "labels", "name": "cells", "z": 2, "t": 0}
    )
    np.testing.assert_array_equal(np.arange(20).reshape(4, 5), found)
    for shape, axes in (((2, 4, 5), "ZYX"), ((5, 4), "YX"), ((2, 4, 5), "CYX")):
        with pytest.raises(BadInput, match="cells: these labels"):
            Viewed(image, {"cells": of(np.zeros(shape, np.uint8), axes)})


def test_more_channels_than_can_be_drawn_begin_with_the_first() -> None:
    viewed = Viewed(of(np.zeros((20, 4, 5), np.uint8), "CYX"))
    assert [True] * 16 + [False] * 4 == [channel["on"] for channel in viewed.options["channels"]]


def test_bytes_are_little_endian() -> None:
    assert b"\x01\x02" == little_endian(np.array([[0x0201]], ">u2"))


def test_outlines_are_asked_for_by_name() -> None:
    assert ["a", "b"] == outlined(["a", "b"], True)
    assert [] == outlined(["a", "b"], False)
    assert ["b"] == outlined(["a", "b"], "b")
    with pytest.raises(BadInput, match="no labels c"):
        outlined(["a", "b"], ["a", "c"])


def test_the_viewer_is_one_module_that_asks_nobody_else() -> None:
    text = viewer_source()
    assert "export function view(" in text
    assert "://" not in text.replace("http://www.w3.org/2000/svg", "")
    for forbidden in ("import ", "eval(", "new Function", "innerHTML", '"style"'):
        assert forbidden not in text


def test_channels_have_the_colours_of_the_composite_whatever_stands_beside_them() -> None:
    names = ["CMDRP_2", "CMDRP", "EGFP_2", "EGFP", "H3342_2", "H3342", "Bright_100X"]
    used = [not name.endswith("_2") for name in names]
    told = [
        Channel(name, n, use=use) for n, (name, use) in enumerate(zip(names, used, strict=True))
    ]
    image = of(np.zeros((7, 4, 5), np.uint8), "CYX").with_channels(told)
    colors = {one["name"]: one["color"] for one in Viewed(image).options["channels"]}
    expected = {"CMDRP": "#ff00ff", "EGFP": "#00ff00", "H3342": "#0000ff", "Bright_100X": "#808080"}
    assert expected == {name: colors[name] for name in expected}
    assert len(names) == len(set(colors.values()))


def test_a_channel_that_is_off_keeps_the_colour_of_the_file_unless_another_has_it() -> None:
    told = [
        Channel("EGFP", 0, color="#ff0000"),
        Channel("x", 1, color="#123456", use=False),
        Channel("y", 2, color="#ff0000", use=False),
    ]
    image = of(np.zeros((3, 4, 5), np.uint8), "CYX").with_channels(told)
    first, second, third = (one["color"] for one in Viewed(image).options["channels"])
    assert ("#ff0000", "#123456") == (first, second)
    assert third not in {first, second}
