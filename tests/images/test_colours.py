"""Colours: read in every way they are written, chosen where nobody says."""

from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellbank.images.colours import (
    NAMES,
    channel_colors,
    default_colors,
    dye_color,
    hex_color,
    is_transmitted,
    parse_color,
)
from cellbank.model.errors import BadInput


@pytest.mark.parametrize(
    "color", ["#f80", "#ff8800", "#FF8800", " #ff8800 ", (255, 136, 0), (1.0, 136 / 255, 0)]
)
def test_one_colour_in_many_forms(color: Any) -> None:
    assert (1.0, 136 / 255, 0.0) == parse_color(color)


def test_ones_and_zeros_are_parts_of_one() -> None:
    assert (1.0, 0.0, 0.0) == parse_color((1, 0, 0)) == parse_color("red")


def test_grey_has_two_spellings() -> None:
    assert parse_color("gray") == parse_color("Grey")


@given(st.tuples(*[st.integers(0, 255)] * 3))
def test_what_is_written_is_read_again(parts: tuple[int, int, int]) -> None:
    text = "#{:02x}{:02x}{:02x}".format(*parts)
    assert text == hex_color(text)


@pytest.mark.parametrize(
    "thing",
    [
        *("", "#", "#12", "#1234", "#12345g", "#١٢٣", "ff8000", "nocolour"),
        *((1, 2), (1, 1, 1, 1), (0.5, 0.5, 1.5), (-1, 0, 0), (256, 0, 0)),
        *((float("nan"), 0, 0), ("a", "b", "c"), None, 7),
    ],
)
def test_what_is_no_colour_is_told(thing: Any) -> None:
    with pytest.raises(BadInput, match="is no colour"):
        parse_color(thing)


def test_a_name_that_is_nearly_right_is_told() -> None:
    with pytest.raises(BadInput, match="Did you mean magenta"):
        parse_color("magneta")


@pytest.mark.parametrize(
    ("name", "color"),
    [
        ("H3342", "blue"),
        ("Hoechst 33342", "blue"),
        ("DAPI", "blue"),
        ("EGFP", "green"),
        ("mEGFP", "green"),
        ("EGFP_2", "green"),
        ("Alexa Fluor 488", "green"),
        ("CMDRP", "magenta"),
        ("CellMask_DeepRed", "magenta"),
        ("mCherry", "orange"),
        ("mTagRFP-T", "orange"),
        ("Bright_100X", "grey"),
        ("TL Brightfield", "grey"),
        ("TL_100x", "grey"),
    ],
)
def test_dyes_have_the_colours_they_are_known_for(name: str, color: str) -> None:
    assert NAMES[color] == dye_color(name)


@pytest.mark.parametrize("name", [None, "", "Channel:0", "C1", "actin", "title", "dnase", "rbfpx"])
def test_other_names_say_nothing(name: str | None) -> None:
    assert dye_color(name) is None


def test_transmitted_light_is_known() -> None:
    names = ["Bright_100X", "EGFP", None, "DIC"]
    assert [True, False, False, True] == [is_transmitted(name) for name in names]


def test_few_channels_are_told_apart_by_most_people() -> None:
    assert () == default_colors(0)
    assert ("#ffffff",) == default_colors(1)
    assert ("#00ff00", "#ff00ff") == default_colors(2)
    assert ("#00ffff", "#ff00ff", "#ffff00") == default_colors(3)


@given(st.integers(3, 60))
def test_as_many_colours_as_there_are_channels_all_different(count: int) -> None:
    found = default_colors(count)
    assert count == len(set(found))
    assert default_colors(count - 1) == found[: count - 1] or count == 3
    parts = [parse_color(color) for color in found]
    assert all(max(one) > 0.7 for one in parts)
    assert all(one != other for one, other in combinations(parts, 2))


def test_the_walkthroughs_channels() -> None:
    names = ["CMDRP", "EGFP", "H3342", "Bright_100X"]
    assert ("#ff00ff", "#00ff00", "#0000ff", "#808080") == channel_colors(names)


def test_colours_that_are_given_are_kept_and_taken_by_no_other() -> None:
    found = channel_colors(["EGFP", "H3342", None, None], ["red", None, "cyan", None])
    assert ("#ff0000", "#0000ff", "#00ffff", "#ff00ff") == found
    found = channel_colors(["H3342", "EGFP"], [None, "blue"])
    assert "#0000ff" == found[1] != found[0]


def test_two_channels_of_one_dye_differ() -> None:
    first, second = channel_colors(["EGFP", "EGFP_2"])
    assert "#00ff00" == first != second


def test_channels_without_names_have_the_defaults() -> None:
    assert default_colors(3) == channel_colors([None, "Channel:1", ""])


@given(st.lists(st.sampled_from(["EGFP", "H3342", None, "x", "cyan"]), max_size=40))
def test_channels_never_run_out_of_colours(names: list[str | None]) -> None:
    found = channel_colors(names)
    assert len(names) == len(set(found))
