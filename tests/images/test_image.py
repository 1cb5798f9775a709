"""Images: what they say of themselves, true and never guessed; names, sizes, channels."""

import doctest
import inspect
import io
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from cellbank.images import image as module
from cellbank.images.channel import Channel
from cellbank.images.image import Image
from cellbank.images.opening import open as open_image
from cellbank.model.errors import AxisNotFound, BadInput, ChannelNotFound
from tests.images.making import FORMS, STACK, TIMES, described, ome, ome_text, scenes, tiff


def image_of(data: bytes, **how: Any) -> Image:
    return open_image(io.BytesIO(data), **how)


def of_text(pixels: str = "", inside: str = "<TiffData/>", **how: Any) -> Image:
    return image_of(described(ome_text(pixels, inside, **how)))


def test_it_says_what_it_is() -> None:
    image = image_of(FORMS["ours"])
    assert ("ome-tiff", "ZCYX", (3, 2, 20, 30)) == (image.format, image.axes, image.shape)
    assert {"Z": 3, "C": 2, "Y": 20, "X": 30} == image.sizes
    assert np.dtype(np.uint16) == image.dtype
    assert {"Z": 0.29, "Y": 0.1, "X": 0.1} == image.pixel_size
    assert ["DNA", "membrane"] == [channel.name for channel in image.channels]
    assert [0, 1] == [channel.index for channel in image.channels]
    assert (((20, 30),), (), None) == (image.levels, image.notes, image.acquisition_date)


def test_its_text_is_one_short_line() -> None:
    assert "<Image ZCYX 3 × 2 × 20 × 30 uint16, DNA, membrane>" == repr(image_of(FORMS["ours"]))
    assert "<Image YX 20 × 30 uint16>" == repr(image_of(FORMS["one page"]))
    many = ome(np.zeros((40, 4, 4), np.uint8), "CYX", channels=[f"c{n}" for n in range(40)])
    assert repr(image_of(many)).endswith("c0, c1, c2, c3, c4, c5, c6, c7 …>")


def test_its_text_cannot_move_the_cursor() -> None:
    image = image_of(FORMS["one page"]).with_channels(["a\x1b[2J\nb\u202ec"])
    assert "<Image YX 20 × 30 uint16, a\\x1b[2J\\nb\\u202ec>" == repr(image)


def test_what_is_absent_is_none_and_never_one() -> None:
    for form in ("no metadata", "one page", "ImageJ", "OME by tifffile", "RGB"):
        image = image_of(FORMS[form])
        assert image.pixel_size is None
        assert image.level_pixel_size(0) is None
        assert image.acquisition_date is None
        assert {None} == {c.name for c in image.channels} | {c.color for c in image.channels}


def test_at_least_one_channel_is_there_and_as_many_as_c_is_long() -> None:
    for form in FORMS:
        image = image_of(FORMS[form])
        assert len(image.channels) == image.sizes.get("C", 1)


def test_what_it_gives_can_be_changed_without_changing_it() -> None:
    image = image_of(FORMS["ours"])
    image.sizes["Z"] = 99
    pixel_size = image.pixel_size
    assert pixel_size is not None
    pixel_size["Z"] = 99
    assert ({"Z": 3, "C": 2, "Y": 20, "X": 30}, 0.29) == (image.sizes, image.pixel_size["Z"])


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ('Color="-1"', "#ffffff"),
        ('Color="4294967295"', "#ffffff"),
        ('Color="-16776961"', "#ff0000"),
        ('Color="16711935"', "#00ff00"),
        ('Color="65535"', "#0000ff"),
        ('Color="0"', "#000000"),
        ('Color="-2147483648"', "#800000"),
        ('Color="4294967296"', None),
        ('Color="-2147483649"', None),
        ('Color="red"', None),
        ('Color=""', None),
        (f'Color="{"9" * 5000}"', None),
        ("", None),
    ],
)
def test_colours_are_signed_numbers_with_red_first(said: str, expected: str | None) -> None:
    channels = f'<Channel ID="Channel:0" {said}/><Channel ID="Channel:1"/>'
    assert expected == of_text(inside=f"{channels}<TiffData/>").channels[0].color


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ('EmissionWavelength="520"', (520.0, None)),
        ('EmissionWavelength="520.5" ExcitationWavelength="488"', (520.5, 488.0)),
        ('EmissionWavelength="0.52" EmissionWavelengthUnit="&#181;m"', (520.0, None)),
        ('EmissionWavelength="5200" EmissionWavelengthUnit="&#197;"', (520.0, None)),
        ('EmissionWavelength="520" EmissionWavelengthUnit="parsec"', (None, None)),
        ('EmissionWavelength="0" ExcitationWavelength="-3"', (None, None)),
        ('EmissionWavelength="INF" ExcitationWavelength="nan"', (None, None)),
        ('EmissionWavelength="green"', (None, None)),
    ],
)
def test_wavelengths_are_in_nanometres(said: str, expected: tuple[float | None, ...]) -> None:
    channels = f'<Channel ID="Channel:0" {said}/><Channel ID="Channel:1"/>'
    found = of_text(inside=f"{channels}<TiffData/>").channels[0]
    assert expected == (found.wavelength, found.excitation)


@pytest.mark.parametrize("size", ["1e308", "1e-320", "1e400", "-1", "0", "nan", "INF", "", "1,5"])
@pytest.mark.parametrize("unit", ["m", "pm"])
def test_a_size_that_cannot_be_is_none(size: str, unit: str) -> None:
    image = of_text(f'PhysicalSizeX="{size}" PhysicalSizeXUnit="{unit}"')
    assert image.pixel_size is None or 0 < image.pixel_size["X"] < float("inf")


# --- channels


def test_a_channel_goes_by_name_dye_or_number() -> None:
    inside = '<Channel Name="Bright" Fluor="TL Brightfield"/><Channel Fluor="EGFP"/><TiffData/>'
    image = of_text(inside=inside)
    assert 0 == image.channel("Bright").index == image.channel("TL Brightfield").index
    assert 1 == image.channel("EGFP").index == image.channel(1).index == image.channel(-1).index
    assert ("Bright", "EGFP") == tuple(channel.title for channel in image.channels)
    np.testing.assert_array_equal(STACK[:, 0], image.read(C="TL Brightfield"))


@pytest.mark.parametrize(
    ("asked", "advice"),
    [
        ("membranes", "Did you mean membrane?"),
        ("MEMBRANE", "Did you mean membrane?"),
        ("dna", "Did you mean DNA?"),
        ("lysosomes", "It has DNA, membrane."),
        (2, "It has channels 0 to 1."),
        (-3, "It has channels 0 to 1."),
    ],
)
def test_a_channel_that_is_not_there_comes_with_near_names(asked: str | int, advice: str) -> None:
    image = image_of(FORMS["ours"])
    for ask in (image.channel, lambda asked: image.read(C=asked), image.rgb):
        with pytest.raises(ChannelNotFound) as raised:
            ask(asked)
        assert advice == raised.value.advice
        assert isinstance(raised.value, KeyError)


def test_a_name_that_several_channels_have_is_asked_back() -> None:
    image = image_of(FORMS["ours"]).with_channels(["a", "a"])
    with pytest.raises(BadInput, match="Say which: 0 or 1"):
        image.channel("a")


def test_channels_get_names_and_more_and_the_pixels_stay() -> None:
    image = image_of(FORMS["ours"])
    named = image.with_channels(["H3342", None])
    assert ["H3342", "membrane"] == [channel.name for channel in named.channels]
    np.testing.assert_array_equal(STACK[:, 0], named.read(C="H3342"))
    assert "DNA" == image.channels[0].name
    unused = named.with_channels(
        [Channel("blank", 7, use=False), Channel(None, 0, color="#00ff00")]
    )
    assert [0, 1] == [channel.index for channel in unused.channels]
    assert ("blank", False, "membrane", "#00ff00") == (
        unused.channels[0].name,
        unused.channels[0].use,
        unused.channels[1].name,
        unused.channels[1].color,
    )
    assert (unused.channels[1],) == unused.used


def test_if_no_channel_is_in_use_all_are_shown() -> None:
    none = image_of(FORMS["ours"]).with_channels([Channel("a", 0, use=False)] * 2)
    assert none.channels == none.used


@pytest.mark.parametrize("names", [[], ["a"], ["a", "b", "c"], "ab"])
def test_channels_are_named_each_once(names: Any) -> None:
    with pytest.raises(BadInput, match="it has 2"):
        image_of(FORMS["ours"]).with_channels(names)


# --- axes that are named when it is opened


def test_axes_are_unnamed_until_they_are_named() -> None:
    data = tiff(STACK[:, 0], metadata=None)
    assert "QYX" == image_of(data).axes
    named = image_of(data, axes="ZYX")
    assert {"Z": 3, "Y": 20, "X": 30} == named.sizes
    np.testing.assert_array_equal(STACK[:, 0].max(0), named.project())
    channels = image_of(data, axes="CYX")
    assert 3 == len(channels.channels)
    np.testing.assert_array_equal(STACK[1, 0], channels.read(C=1))


def test_axes_of_length_one_may_be_named_too() -> None:
    assert (
        "ZYX" == image_of(tiff(STACK[:, 0], ome=True, metadata={"axes": "ZYX"}), axes="TCZYX").axes
    )
    with pytest.raises(AxisNotFound, match="it has 3 axes"):
        image_of(tiff(STACK[:, 0], metadata=None), axes="TCZYX")


def test_wrong_names_can_be_corrected() -> None:
    swapped = image_of(FORMS["OME by tifffile"], axes="CZYX")
    assert {"C": 3, "Z": 2, "Y": 20, "X": 30} == swapped.sizes
    assert 3 == len(swapped.channels)
    np.testing.assert_array_equal(STACK[1].max(0), swapped.project(C=1))


def test_one_time_point_is_left_out_and_may_be_asked_for() -> None:
    image = image_of(FORMS["OME, one time"])
    assert "ZCYX" == image.axes
    np.testing.assert_array_equal(TIMES[0], image.read(T=0))
    np.testing.assert_array_equal(TIMES[:1], image.read(axes="TZCYX"))


# --- real files


def test_a_real_well_scan_has_its_names_sizes_and_date(shared_data: Path) -> None:
    image = open_image(shared_data / "images" / "brightfield_well_scan.ome.tiff")
    assert ("YX", (325, 475), "uint16") == (image.axes, image.shape, image.dtype.name)
    assert {"Y": 1.0833, "X": 1.0833} == {
        a: round(n, 4) for a, n in (image.pixel_size or {}).items()
    }
    assert ("Bright", "TL Brightfield") == (image.channels[0].name, image.channels[0].fluor)
    assert image.channel("Bright") == image.channel("TL Brightfield")
    assert date(2019, 6, 27) == (image.acquisition_date or datetime.now(UTC)).date()
    assert image.ome is not None
    objective = image.ome.objective()
    assert objective is not None
    assert ("Plan-Apochromat 20x/0.8 M27", 20.0, 0.8) == (
        objective.model,
        objective.magnification,
        objective.aperture,
    )
    assert ("Inverted", "HDCamC11440-22C") == (
        image.ome.instruments[0].type,
        image.ome.instruments[0].detectors[0].model,
    )
    assert image.ome.xml.startswith("<?xml")
    assert image.composite().max() == 255


def test_real_nuclei_have_no_name_for_their_first_axis(shared_data: Path) -> None:
    path = shared_data / "images" / "allen_nuclei_zyx.tif"
    image = open_image(path)
    assert ("QYX", (60, 256, 256), None) == (image.axes, image.shape, image.pixel_size)
    with pytest.raises(AxisNotFound, match='axes="ZYX"'):
        image.project()
    named = open_image(path, axes="ZYX")
    np.testing.assert_array_equal(image.read().max(0), named.project())
    labels = open_image(shared_data / "images" / "allen_nuclei_labels_zyx.tif", axes="ZYX")
    assert ("uint32", 20) == (labels.dtype.name, len(np.unique(labels.read())) - 1)
    assert named.overlay(labels).shape == (256, 256, 3)


def test_a_real_well_is_three_files_of_one_channel(shared_data: Path) -> None:
    paths = sorted((shared_data / "images" / "ht29_well_D03").glob("*.tif"))
    images = [open_image(path) for path in paths]
    assert [("YX", (512, 512), "uint8", None)] * 3 == [
        (image.axes, image.shape, image.dtype.name, image.pixel_size) for image in images
    ]
    assert all(image.thumbnail().max() == 255 for image in images)


# --- its docstrings


def test_every_public_method_is_described_and_says_what_it_raises_or_returns() -> None:
    shown = {
        name: inspect.getdoc(member) or ""
        for name, member in inspect.getmembers(Image)
        if not name.startswith("_")
    }
    assert len(shown) > 25
    assert [] == [name for name, text in shown.items() if len(text.split()) < 4]


def test_the_example_of_an_image_runs() -> None:
    found = doctest.DocTestFinder().find(Image, "Image", module, globs=vars(module))
    examples = [e for test in found for e in test.examples if doctest.SKIP not in e.options]
    assert len(examples) >= 3


def test_scenes_are_told() -> None:
    image = image_of(scenes(STACK, TIMES[0]))
    assert ("part 0", "part 1") == image.scenes
    assert 2 == len(image.ome.images if image.ome else ())


@pytest.mark.parametrize("wanted", [None, True, 1.0])
def test_a_channel_is_asked_for_by_name_or_number(wanted: Any) -> None:
    with pytest.raises(BadInput, match="is no channel"):
        image_of(FORMS["ours"]).channel(wanted)


def test_axes_that_the_file_does_not_name_are_read_by_their_letters(tmp_path: Path) -> None:
    stack = np.arange(5 * 6 * 7, dtype=np.uint16).reshape(5, 6, 7)
    tifffile.imwrite(tmp_path / "q.tif", stack)
    image = open_image(tmp_path / "q.tif")
    assert np.array_equal(stack[2], image.read(Q=2))
    assert np.array_equal(stack[1:3].max(axis=0), image.project(over="Q", Q=slice(1, 3)))
    for wrong in ({"N": 1}, {"depth": 1}, {"Q": 9}):
        with pytest.raises(AxisNotFound, match=next(iter(wrong))):
            image.read(**wrong)
        with pytest.raises(AxisNotFound):
            image.project(over="Q", **wrong)


def test_what_is_no_axis_cannot_be_folded() -> None:
    with pytest.raises(BadInput, match="is no axis"):
        image_of(FORMS["ours"]).project("max", None)  # type: ignore[arg-type]


def test_an_image_is_an_array_for_those_who_take_one() -> None:
    image = open_image(io.BytesIO(FORMS["ours"]))
    assert np.array_equal(STACK, np.asarray(image))
    assert np.float32 == np.asarray(image, np.float32).dtype
    with pytest.raises(ValueError, match="read from its file"):
        np.asarray(image, copy=False)
