"""Pictures of images of all kinds: each of these was a bug of somebody's thumbnails."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cellbank.images.compose import composite, rgb
from cellbank.images.image import Image
from cellbank.images.limits import auto_limits
from cellbank.images.opening import open as open_image
from cellbank.images.scaling import shrink
from cellbank.model.errors import AxisNotFound, BadImage, BadInput
from tests.images.making import COLOUR, COLOURS, FORMS, STACK, TIMES, tiff

Array = np.ndarray[Any, Any]
ROOT = Path(__file__).parents[2]
RAMP = np.tile(np.linspace(0, 1, 96), (64, 1))


def image_of(data: bytes, **how: Any) -> Image:
    return open_image(io.BytesIO(data), **how)


def plain(data: Array, **how: Any) -> Image:
    return image_of(tiff(data, metadata=None), **how)


def assert_shows_a_ramp(picture: Array) -> None:
    """It goes from black to white, and all in between is there."""
    assert (64, 96, 3) == picture.shape
    grey = picture.max(axis=2)[32].astype(int)
    assert grey[0] <= 5
    assert grey[-1] >= 250
    assert (np.diff(grey) >= 0).all()
    assert 90 < grey[48] < 165


@pytest.mark.parametrize(
    ("data", "case"),
    [
        ((RAMP * 4095).astype(np.uint16), "12 bits in 16"),
        ((RAMP * 60 + 300).astype(np.uint16), "a low range"),
        ((RAMP * 255).astype(np.uint8), "8 bits"),
        (RAMP.astype(np.float32), "floats to 1"),
        ((RAMP * 1e6 - 5e5).astype(np.float32), "floats on both sides of 0"),
        (RAMP.astype(np.float16), "halves"),
        (RAMP * 1e-9, "doubles, tiny"),
        ((RAMP * 200 - 100).astype(np.int8), "signed 8 bits"),
        ((RAMP * 60000 - 30000).astype(np.int16), "signed 16 bits"),
        ((RAMP * 4e9).astype(np.uint32), "32 bits"),
        ((RAMP * 4e9 - 2e9).astype(np.int32), "signed 32 bits"),
        ((RAMP * 1e18).astype(np.uint64), "64 bits"),
        ((RAMP * 1e18 - 5e17).astype(np.int64), "signed 64 bits"),
        ((RAMP * (3 + 4j)).astype(np.complex64), "complex"),
    ],
)
@pytest.mark.parametrize("order", ["<", ">"])
def test_every_type_of_pixels_is_stretched(data: Array, case: str, order: str) -> None:
    image = image_of(tiff(data, byteorder=order, metadata=None))
    assert_shows_a_ramp(image.thumbnail(96))
    assert_shows_a_ramp(image.composite())
    low, high = image.limits()
    assert low < high, case


def test_truth_values_are_black_and_white() -> None:
    for picture in (plain(RAMP > 0.5).thumbnail(96), plain(RAMP > 0.5).composite()):
        assert {0, 255} == set(np.unique(picture))


@pytest.mark.parametrize("value", [0, 7, 65535])
def test_a_plane_that_is_all_the_same_is_black(value: int) -> None:
    image = plain(np.full((40, 50), value, np.uint16))
    assert 0 == image.thumbnail(50).max()
    assert 0 == image.composite().max()
    assert 0 == image.rgb(red=0, green=0).max()
    assert (value, value) == image.limits()


@pytest.mark.parametrize(("value", "shown"), [(np.nan, 0), (-np.inf, 0), (np.inf, 255)])
def test_a_plane_without_a_number_is_black_or_if_infinite_white(value: float, shown: int) -> None:
    image = plain(np.full((40, 50), value, np.float32))
    for picture in (image.thumbnail(50), image.composite(), image.rgb(blue=0)[..., 2]):
        assert {shown} == set(np.unique(picture))


def test_some_pixels_without_a_number_hide_no_others() -> None:
    data = RAMP.astype(np.float32).copy()
    data[::9, ::9] = np.nan
    picture = plain(data).thumbnail(96)
    assert 0 == picture[0, 0].max()
    assert 250 < picture[1, 95].max()
    small = plain(data).thumbnail(32)
    assert 190 < small[10, 31].max()


def test_a_few_bright_spots_do_not_become_a_window_of_noise() -> None:
    noise = np.random.default_rng(0).integers(98, 101, (300, 300)).astype(np.uint16)
    noise[100:110, 50:60] = 4000
    image = plain(noise)
    assert image.limits()[1] > 3000
    assert image.composite()[200:].max() < 10


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("apart", [False, True])
def test_colours_stay_colours(dtype: Any, apart: bool) -> None:
    red = np.zeros((40, 50, 3), dtype)
    red[:, 25:, 0] = 255 if dtype == np.uint8 else 4095
    data = np.moveaxis(red, -1, 0).copy() if apart else red
    how = {"planarconfig": "separate"} if apart else {}
    image = image_of(tiff(data, photometric="rgb", **how))
    for picture in (image.thumbnail(50), image.composite()):
        assert (40, 50, 3) == picture.shape
        assert (0, 0, 0) == tuple(picture[5, 5])
        assert (255, 0, 0) == tuple(picture[5, 45])


def test_eight_bits_of_colour_are_not_stretched() -> None:
    picture = image_of(FORMS["RGB"]).composite()
    np.testing.assert_array_equal(COLOUR, picture)
    np.testing.assert_array_equal(shrink(COLOUR, 10), image_of(FORMS["RGB"]).thumbnail(10))
    brightest = image_of(FORMS["OME, colour"]).composite()
    np.testing.assert_array_equal(COLOURS.max(0), brightest)
    np.testing.assert_array_equal(COLOURS[2], image_of(FORMS["OME, colour"]).composite(Z=2))


def test_colours_with_transparency_and_two_samples_are_shown() -> None:
    clear = np.dstack([COLOUR, np.full((20, 30), 255, np.uint8)])
    picture = image_of(tiff(clear, photometric="rgb", extrasamples=["unassalpha"])).composite()
    np.testing.assert_array_equal(COLOUR, picture)
    two = image_of(tiff(clear[..., :2].copy(), planarconfig="contig", extrasamples=["unspecified"]))
    assert (20, 30, 3) == two.composite().shape == two.thumbnail(30).shape


def test_an_image_in_colours_has_none_to_give() -> None:
    image = image_of(FORMS["RGB"])
    for ask in (lambda: image.rgb(red=0), lambda: image.composite(["red"])):
        with pytest.raises(BadInput, match="in colours already"):
            ask()
    assert auto_limits(COLOUR) == image.limits()


def test_time_and_depth_are_folded_into_one_picture() -> None:
    for form in ("OME, times", "ImageJ, times and labels"):
        image = image_of(FORMS[form])
        for t in (0, 1):
            expected = composite(list(TIMES[t].max(0)), ["#00ff00", "#ff00ff"])
            np.testing.assert_array_equal(expected, image.composite(["#00ff00", "#ff00ff"], T=t))
        with pytest.raises(AxisNotFound):
            image.composite(T=2)


def test_one_place_or_some_of_z_can_be_shown() -> None:
    image, colors = image_of(FORMS["ours"]), ["red", "blue"]
    for choice, planes in ((1, STACK[1]), ([0, 2], STACK[[0, 2]].max(0)), (slice(1), STACK[0])):
        np.testing.assert_array_equal(
            composite(list(planes), colors), image.composite(colors, Z=choice)
        )
        np.testing.assert_array_equal(
            rgb(planes[1], None, planes[0]), image.rgb("membrane", blue="DNA", Z=choice)
        )
        assert auto_limits(planes[1]) == image.limits("membrane", Z=choice)


def test_limits_and_colours_go_by_the_name_of_a_channel() -> None:
    image = image_of(FORMS["ours"])
    shown = image.composite({"membrane": "#0f0"}, {"membrane": (10, 500)}, Z=0)
    np.testing.assert_array_equal(composite([STACK[0, 1]], ["#0f0"], [(10, 500)]), shown)
    red = image.rgb(red="DNA", limits={"DNA": (5, 50)}, Z=0)
    np.testing.assert_array_equal(rgb(STACK[0, 0], limits=[(5, 50), None, None]), red)


def test_a_single_plane_is_a_stack_of_one() -> None:
    data = STACK[:1, 0]
    one = image_of(tiff(data, ome=True, metadata={"axes": "ZYX"}))
    np.testing.assert_array_equal(composite([data[0]]), one.composite())
    np.testing.assert_array_equal(composite([data[0]]), one.composite(Z=0))
    with pytest.raises(AxisNotFound):
        one.composite(Z=1)


def test_unnamed_axes_show_their_middle_plane_as_a_thumbnail() -> None:
    data = np.stack([RAMP[::-1] * 0, RAMP * 4000, RAMP * 0]).astype(np.uint16)
    assert_shows_a_ramp(plain(data).thumbnail(96))
    assert_shows_a_ramp(plain(data).composite())


def test_a_truncated_image_is_told_with_a_reason() -> None:
    image = image_of(FORMS["ours"][:-500])
    for ask in (image.thumbnail, image.composite, lambda: image.rgb(0, 1)):
        with pytest.raises(BadImage, match="truncated"):
            ask()


def test_data_that_are_given_are_not_changed() -> None:
    image = image_of(FORMS["ours"])
    labels = np.zeros((20, 30), np.uint16)
    labels[4:9, 4:9] = 3
    limits, colors = {"DNA": (0, 9)}, {"DNA": "red"}
    before = labels.copy()
    image.overlay(labels, colors=colors, limits=limits)
    image.rgb("DNA", limits=limits)
    np.testing.assert_array_equal(before, labels)
    assert ({"DNA": (0, 9)}, {"DNA": "red"}) == (limits, colors)
    np.testing.assert_array_equal(STACK, image.read())


def test_labels_are_drawn_from_an_image_or_an_array() -> None:
    labels = np.zeros((3, 20, 30), np.uint16)
    labels[1, 4:12, 4:16] = 3
    image = image_of(FORMS["ours"])
    of_array = image.overlay(labels)
    np.testing.assert_array_equal(of_array, image.overlay(plain(labels, axes="ZYX")))
    np.testing.assert_array_equal(of_array, image.overlay(plain(labels)))
    changed = (of_array != image.composite()).any(axis=2)
    assert changed[4:12, 4:16].any()
    assert not changed[13:].any()
    np.testing.assert_array_equal(image.composite(Z=0), image.overlay(labels, Z=0))


def test_cuts_through_a_stack_are_composites() -> None:
    image = image_of(FORMS["ours"])
    limits, colors = (0, 1999), ["red", "blue"]
    xy, xz, yz = image.orthogonal((1, 7, 9), colors=colors, limits=limits)
    np.testing.assert_array_equal(composite(list(STACK[1]), colors, limits), xy)
    assert xz.shape[1] == 30
    assert yz.shape[0] == 20


def stack() -> Image:
    return plain(np.zeros((6, 8, 9), np.uint16), axes="ZYX")


def test_labels_of_another_depth_are_not_drawn() -> None:
    labels = np.ones((5, 8, 9), np.uint8)
    for given in (labels, plain(labels, axes="ZYX")):
        with pytest.raises(BadInput, match="labels of 5 planes"):
            stack().overlay(given)
    flat = plain(np.zeros((8, 9), np.uint16))
    assert flat.overlay(labels).any()
    np.testing.assert_array_equal(stack().overlay(labels[:1], Z=3), stack().overlay(labels[0], Z=3))


def test_a_plane_that_is_not_there_is_told_before_labels_are_looked_at() -> None:
    with pytest.raises(AxisNotFound, match="99 is not there"):
        stack().overlay(np.ones((6, 8, 9), np.uint8), Z=99)


def test_labels_are_no_path() -> None:
    with pytest.raises(BadInput, match=r"images\.open\(labels\)"):
        stack().overlay("labels.tif")  # type: ignore[arg-type]


def test_limits_that_do_not_fit_are_told_with_the_channels_that_are_shown() -> None:
    image = image_of(FORMS["ours"])
    names = [channel.title for channel in image.channels]
    for limits in ([(0, 1)], [(0, 1)] * 3):
        with pytest.raises(BadInput, match=f"{len(limits)} limits for 2 channels") as told:
            image.composite(limits=limits)
        assert f"Give one each, or by name: {', '.join(names)}." == told.value.advice


def test_limits_can_be_found_for_all_pictures_by_name() -> None:
    image = image_of(FORMS["ours"])
    np.testing.assert_array_equal(image.composite(), image.composite(limits="auto"))
    found = image.rgb(red=0, green=1, limits="auto")
    given = image.rgb(red=0, green=1, limits=[image.limits(0), image.limits(1), None])
    np.testing.assert_array_equal(given, found)
    for one, other in zip(image.orthogonal(), image.orthogonal(limits="auto"), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("limits", ["atuo", 5])
def test_what_is_no_limits_is_told(limits: Any) -> None:
    for draw in (image_of(FORMS["ours"]).composite, lambda **how: rgb(RAMP, **how)):
        with pytest.raises(BadInput, match="are no limits"):
            draw(limits=limits)
