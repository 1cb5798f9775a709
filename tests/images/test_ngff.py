"""The metadata of OME-Zarr: axes by name or type, lengths only where a unit is said."""

from typing import Any

import pytest

from cellbank.images import ngff
from cellbank.images.channel import Channel
from cellbank.model.errors import BadImage
from tests.images.zarr_making import axes_of, multiscale


def parsed(axes: Any, *transformations: Any, **more: Any) -> ngff.Multiscale:
    dataset = {"path": "0", "coordinateTransformations": list(transformations)}
    return ngff.parse_multiscale({"axes": axes, "datasets": [dataset], **more}, "a.zarr")


def scale(*values: float) -> dict[str, Any]:
    return {"type": "scale", "scale": list(values)}


def test_axes_have_their_names_and_sizes_are_micrometres() -> None:
    found = ngff.parse_multiscale(multiscale("tczyx", 3), "a.zarr")
    assert ("TCZYX", ("0", "1", "2")) == (found.letters, found.paths)
    assert {"Z": 0.29, "Y": 0.1, "X": 0.1} == found.pixel_size


def test_axes_of_other_names_go_by_their_type() -> None:
    axes = [
        {"name": "frame", "type": "time"},
        {"name": "dye", "type": "channel"},
        {"name": "depth", "type": "space"},
        {"name": "row", "type": "space"},
        {"name": "column", "type": "space"},
    ]
    assert "TCZYX" == parsed(axes).letters
    assert "QYX" == parsed([{"name": "angle"}, *axes[3:]]).letters
    assert "IQYX" == parsed([{"name": "angle"}, {"name": "phase"}, *axes[3:]]).letters
    assert "ZYX" == parsed([{"name": "a", "type": "space"}, {"name": "y"}, {"name": "x"}]).letters


def test_axes_of_0_3_are_names_and_before_that_there_were_none() -> None:
    assert "ZYX" == parsed(["z", "y", "x"]).letters
    old = ngff.parse_multiscale({"datasets": [{"path": "0"}]}, "a.zarr")
    assert ("TCZYX", {}) == (old.letters, old.pixel_size)


@pytest.mark.parametrize(
    ("unit", "times"),
    [("micrometer", 1.0), ("nanometer", 1e-3), ("millimeter", 1e3), ("angstrom", 1e-4), ("µm", 1)],
)
def test_lengths_become_micrometres(unit: str, times: float) -> None:
    found = parsed(axes_of("yx", unit), scale(2, 3)).pixel_size
    assert pytest.approx({"Y": 2 * times, "X": 3 * times}) == found


@pytest.mark.parametrize("unit", [None, "pixel", "", "second", 5, "parsec"])
def test_without_a_unit_of_length_a_scale_is_no_length(unit: Any) -> None:
    axes = [{"name": name, "type": "space", "unit": unit} for name in "yx"]
    assert {} == parsed(axes, scale(1.0, 1.0)).pixel_size


def test_without_a_scale_a_unit_is_no_length() -> None:
    axes = axes_of("yx")
    assert {} == parsed(axes).pixel_size
    assert {} == parsed(axes, {"type": "identity"}).pixel_size
    assert {} == parsed(axes, scale(1, 1, 1)).pixel_size
    assert {} == parsed(axes, {"type": "scale", "path": "scales"}).pixel_size


def test_scales_of_the_level_and_of_the_image_multiply() -> None:
    common = {"coordinateTransformations": [scale(0.5, 0.25)]}
    assert {"Y": 1.0, "X": 0.5} == parsed(axes_of("yx"), scale(2, 2), **common).pixel_size
    assert {"Y": 0.5, "X": 0.25} == parsed(axes_of("yx"), **common).pixel_size


@pytest.mark.parametrize("size", [0, -1, float("nan"), float("inf"), True, "1"])
def test_a_size_that_is_none_is_left_out(size: Any) -> None:
    assert "Y" not in parsed(axes_of("yx"), scale(size, 0.1)).pixel_size


@pytest.mark.parametrize(
    "axes",
    [
        [],
        ["x"],
        ["z", "y"],
        ["y", "y", "x"],
        ["y", "x", "X"],
        [{"type": "space"}, "x"],
        "zyx",
        [{"name": 1}, {"name": "x"}],
        ["a"] * 9,
    ],
)
def test_axes_that_make_no_sense_are_refused(axes: Any) -> None:
    with pytest.raises(BadImage):
        parsed(axes)


@pytest.mark.parametrize(
    "said",
    [
        None,
        "image",
        {},
        {"axes": ["y", "x"]},
        {"axes": ["y", "x"], "datasets": []},
        {"axes": ["y", "x"], "datasets": [0]},
        {"axes": ["y", "x"], "datasets": [{"path": 0}]},
        {"axes": ["y", "x"], "datasets": {"path": "0"}},
    ],
)
def test_what_describes_no_image_is_refused(said: Any) -> None:
    with pytest.raises(BadImage):
        ngff.parse_multiscale(said, "a.zarr")


def test_thousands_of_levels_are_refused() -> None:
    with pytest.raises(BadImage, match="5000 levels"):
        ngff.parse_multiscale(multiscale("yx", 1) | {"datasets": [{"path": "0"}] * 5000}, "a.zarr")


def test_channels_are_described_by_omero() -> None:
    said = {
        "label": "EGFP",
        "color": "00FF00",
        "window": {"start": 90, "end": 400, "min": 0, "max": 65535},
        "active": False,
        "emissionWave": 509,
    }
    found, note = ngff.channels_of({"omero": {"channels": [said]}}, 1)
    channel = Channel("EGFP", 0, color="#00ff00", wavelength=509.0, window=(90.0, 400.0))
    assert ((channel,), "") == (found, note)
    # What a viewer hid is still data.
    assert found[0].use is None


@pytest.mark.parametrize(
    "said",
    [
        {"color": "green"},
        {"color": 255},
        {"label": None},
        {"label": ["a"]},
        {"window": {"start": 5}},
        {"window": {"start": 5, "end": 5}},
        {"window": {"start": "a", "end": 5}},
        {"window": 3},
        {"emissionWave": -1},
        "channel",
        None,
    ],
)
def test_what_omero_says_wrong_is_not_said(said: Any) -> None:
    assert ngff.channels_of({"omero": {"channels": [said]}}, 1)[0] == (Channel(None, 0),)


@pytest.mark.parametrize("omero", [None, [], {"channels": {}}, {}])
def test_without_omero_channels_have_no_names(omero: Any) -> None:
    found, note = ngff.channels_of({"omero": omero}, 2)
    assert ((Channel(None, 0), Channel(None, 1)), "") == (found, note)


def test_a_wrong_number_of_channels_is_noted() -> None:
    found, note = ngff.channels_of({"omero": {"channels": [{"label": "a"}] * 3}}, 2)
    assert (["a", "a"], "3 channels are described, the image has 2") == (
        [channel.name for channel in found],
        note,
    )
    assert 3 == len(ngff.channels_of({"omero": {"channels": [{"label": "a"}]}}, 3)[0])


@pytest.mark.parametrize("version", ["0.1", "0.4", "0.5", "0.5.2", "0.5-dev1", None])
def test_versions_to_0_5_are_read(version: Any) -> None:
    ngff.check_version({"version": version, "multiscales": [{"version": version}]}, "a.zarr")


@pytest.mark.parametrize("version", ["0.6", "0.6.dev2", "0.6-dev", "1.0", "x", 5])
@pytest.mark.parametrize("place", ["", "plate", "well"])
def test_newer_versions_are_named(version: Any, place: str) -> None:
    said = {place: {"version": version}} if place else {"version": version}
    with pytest.raises(BadImage, match=rf"OME-Zarr {version}, which is not read"):
        ngff.check_version(said, "a.zarr")
