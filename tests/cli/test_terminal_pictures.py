"""Pictures for terminals, decoded again as terminals do it."""

import base64
import io
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from cellbank.cli.terminal_pictures import blocks, iterm2, kitty, legend, palette_of, sixel, text

PICTURES = array_shapes(min_dims=2, max_dims=2, max_side=15).flatmap(
    lambda shape: arrays(np.uint8, (*shape, 3))
)


def cells(height=60, width=90):
    """A dark picture with bright spots in three colours."""
    rng = np.random.default_rng(5)
    out = rng.integers(0, 12, (height, width, 3), dtype=np.uint8)
    y, x = np.mgrid[:height, :width]
    for part in range(3):
        spot = np.exp(-((y - 15 - 15 * part) ** 2 + (x - 20 - 25 * part) ** 2) / 60)
        out[..., part] += (spot * 240).astype(np.uint8)
    return out


def from_png(data):
    image = pytest.importorskip("PIL.Image")
    with image.open(io.BytesIO(data)) as picture:
        return np.asarray(picture.convert("RGB"))


def from_kitty(written):
    pieces = re.findall(r"\x1b_G([^;]*);([A-Za-z0-9+/=]*)\x1b\\", written)
    assert written == "".join(f"\x1b_G{c};{p}\x1b\\" for c, p in pieces) + "\n"
    controls = [dict(pair.split("=") for pair in control.split(",")) for control, _ in pieces]
    assert {"a": "T", "f": "100", "q": "2"} == {k: v for k, v in controls[0].items() if k != "m"}
    assert all(["m"] == list(control) for control in controls[1:])
    assert ["1"] * (len(pieces) - 1) + ["0"] == [control["m"] for control in controls]
    assert all(len(piece) <= 4096 and len(piece) % 4 == 0 for _, piece in pieces)
    return from_png(base64.b64decode("".join(piece for _, piece in pieces)))


def from_iterm(written):
    found = re.fullmatch(r"\x1b\]1337;File=([^:]*):([A-Za-z0-9+/=]*)\x07\n", written)
    told = dict(pair.split("=") for pair in found[1].split(";"))
    data = base64.b64decode(found[2])
    assert ("1", str(len(data))) == (told["inline"], told["size"])
    picture = from_png(data)
    assert [f"{n}px" for n in picture.shape[:2]] == [told["height"], told["width"]]
    return picture


def from_sixel(written):
    """A terminal's sixel reader: palette in per cent, bands of six, run lengths."""
    found = re.fullmatch(r'\x1bP0;1;0q"1;1;(\d+);(\d+)(.*)\x1b\\\n', written, re.DOTALL)
    width, height = int(found[1]), int(found[2])
    out = np.full((-(-height // 6) * 6, width), -1)
    palette, x, y, color = {}, 0, 0, 0
    tokens = re.finditer(r"#(\d+)(?:;2;(\d+);(\d+);(\d+))?|!(\d+)([?-~])|([?-~])|([$-])", found[3])
    end = 0
    for token in tokens:
        assert end == token.start()
        end = token.end()
        number, red, green, blue, times, run, one, move = token.groups()
        if red is not None:
            palette[int(number)] = (int(red), int(green), int(blue))
        elif number is not None:
            color = int(number)
        elif move is not None:
            x, y = 0, y + 6 * (move == "-")
        else:
            dots, count = ord(run or one) - 63, int(times or 1)
            for bit in range(6):
                if dots >> bit & 1:
                    out[y + bit, x : x + count] = color
            x += count
            assert x <= width
    assert end == len(found[3])
    assert (out[height:] == -1).all()
    shades = np.array([palette[n] for n in range(len(palette))]) * 255 / 100
    assert out[:height].min() >= 0
    return shades[out[:height]]


def from_blocks(lines):
    """A terminal's colours: what is above, and what is below."""
    rows = []
    for line in lines:
        assert line.endswith("\x1b[0m")
        upper, lower, ink = [], [], {"3": None, "4": None}
        for codes, character in re.findall(r"\x1b\[([\d;]*)m|(▀)", line):
            if character:
                upper.append(ink["3"])
                lower.append(ink["4"])
            for layer, rgb, number in re.findall(r"([34])8;(?:2;(\d+;\d+;\d+)|5;(\d+))", codes):
                ink[layer] = [int(n) for n in rgb.split(";")] if rgb else of_256(int(number))
        rows += [upper, lower]
    return np.array(rows)


def of_256(number):
    if number >= 232:
        return [8 + 10 * (number - 232)] * 3
    steps = [0, 95, 135, 175, 215, 255]
    return [steps[(number - 16) // unit % 6] for unit in (36, 6, 1)]


@given(PICTURES)
def test_kitty_and_iterm_get_every_pixel(picture):
    np.testing.assert_array_equal(picture, from_kitty(kitty(picture)))
    np.testing.assert_array_equal(picture, from_iterm(iterm2(picture)))


def test_a_large_picture_goes_to_kitty_in_pieces():
    picture = np.random.default_rng(0).integers(0, 255, (200, 200, 3), dtype=np.uint8)
    assert kitty(picture).count("\x1b_G") > 20
    np.testing.assert_array_equal(picture, from_kitty(kitty(picture)))


@given(PICTURES)
def test_few_colours_reach_a_sixel_terminal_nearly_as_they_are(picture):
    found = from_sixel(sixel(picture))
    # 6 bits of a colour, then per cent.
    assert np.abs(found - picture).max() <= 4 + 1.3


def test_many_colours_become_255_that_are_near():
    picture = cells()
    found = from_sixel(sixel(picture))
    assert np.abs(found - picture).mean() < 3
    assert np.abs(found - picture).max() < 40


@given(PICTURES, st.integers(2, 255))
def test_a_palette_has_no_more_colours_than_asked_for(picture, most):
    palette, places = palette_of(picture, most)
    assert len(palette) <= most
    assert picture.shape[:2] == places.shape
    assert places.max() < len(palette)


def test_a_palette_is_exact_where_colours_are_few():
    picture = cells()[:, :, :1].repeat(3, axis=2) // 64 * 64
    palette, places = palette_of(picture)
    np.testing.assert_array_equal(picture, palette[places])


@given(PICTURES)
def test_half_blocks_show_two_rows_each(picture):
    lines = blocks(picture)
    assert (len(picture) + 1) // 2 == len(lines)
    np.testing.assert_array_equal(picture, from_blocks(lines)[: len(picture)])


@given(PICTURES)
def test_256_colours_are_the_nearest_there_are(picture):
    found = from_blocks(blocks(picture, true_color=False))[: len(picture)]
    every = np.array([of_256(number) for number in range(16, 256)])
    off = np.square(every - picture.astype(int)[..., np.newaxis, :]).sum(-1).min(-1)
    np.testing.assert_array_equal(off, np.square(found - picture.astype(int)).sum(-1))


def test_a_colour_is_said_once_for_a_run():
    line = blocks(np.full((2, 50, 3), 7, np.uint8))[0]
    assert "\x1b[38;2;7;7;7;48;2;7;7;7m" + "▀" * 50 + "\x1b[0m" == line


def test_plain_text_has_more_ink_where_it_is_brighter():
    picture = np.zeros((4, 3, 3), np.uint8)
    picture[:2, 1] = 255
    picture[2:, 2] = 128
    assert [" @", "  *"] == text(picture)


@given(PICTURES)
def test_plain_text_is_plain(picture):
    lines = text(picture)
    assert (len(picture) + 1) // 2 == len(lines)
    assert all(line.isascii() and line.isprintable() for line in lines)
    assert all(len(line) <= picture.shape[1] for line in lines)


def test_a_legend_names_the_channels_in_their_colours():
    names = [("DNA", "#0000ff"), ("EGFP", "#00ff00")]
    assert ["DNA", "EGFP"] == list(legend(names, color=0))
    assert "\x1b[38;2;0;0;255m■\x1b[0m DNA" == next(iter(legend(names)))
    assert "\x1b[38;5;21m■\x1b[0m DNA" == next(iter(legend(names, color=8)))
