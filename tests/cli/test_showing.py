"""`show`: figures in files, pictures at the prompt, facts for a script."""

import re
from pathlib import Path

import numpy as np
import pytest

import cellbank as face
from cellbank.images.compose import composite
from tests.cli.test_terminal import Terminal
from tests.cli.test_terminal_pictures import from_blocks, from_iterm, from_kitty, from_sixel
from tests.images.making import COLOUR, STACK, ome, tiff

DYES = ["EGFP", "H3342"]


@pytest.fixture
def cells(tmp_path: Path) -> Path:
    """An image file of two channels."""
    file = tmp_path / "cells.ome.tif"
    file.write_bytes(ome(channels=DYES, pixel_size={"Z": 0.29, "Y": 0.5, "X": 0.5}))
    return file


@pytest.fixture
def package(cells: Path, tmp_path: Path) -> str:
    folder = tmp_path / "lab"
    folder.mkdir()
    (folder / "cells.ome.tif").write_bytes(cells.read_bytes())
    (folder / "README.md").write_text("# Cells\n")
    face.build("demo/cells", folder)
    return "demo/cells"


@pytest.fixture
def terminal(clean_env):
    """Run the command at a terminal of 100 × 30; return its code and what it drew."""

    def run(*arguments, **environment):
        environment = {"COLORTERM": "", "LANG": "C.UTF-8", "TMUX": "", "STY": ""} | environment
        started = Terminal({**clean_env, **environment}, *arguments)
        code, seen = started.end()
        return code, seen

    return run


def opened(file):
    image = pytest.importorskip("PIL.Image")
    with image.open(file) as picture:
        return np.asarray(picture.convert("RGB"))


# --- into a file


def test_the_figure_is_written(cellbank, package):
    done = cellbank("show", f"{package}/cells.ome.tif", "-o", "cells.png").ok()
    assert "ZCYX 3 × 2 × 20 × 30 uint16, 0.5 µm a pixel in cells.png\n" == done.out
    figure = opened("cells.png")
    # Two panels in viridis on white.
    assert figure.shape[1] == 1000
    assert (figure == [68, 1, 84]).all(-1).any()
    assert (figure == 255).all(-1).mean() > 0.02


@pytest.mark.parametrize(
    ("name", "begin"),
    [
        ("a.PNG", b"\x89PNG"),
        ("a.jpg", b"\xff\xd8"),
        ("a.jpeg", b"\xff\xd8"),
        ("a.pdf", b"%PDF"),
        ("a.svg", b"<?xml"),
    ],
)
def test_the_name_says_the_form(cellbank, cells, name, begin):
    cellbank("show", cells, "-o", name).ok()
    assert Path(name).read_bytes().startswith(begin)


def test_channel_plane_size_and_composite_can_be_chosen(cellbank, cells):
    cellbank("show", cells, "-o", "one.png", "-c", "H3342", "-z", "1", "--size", "300").ok()
    assert 300 == opened("one.png").shape[1]
    cellbank("show", cells, "-o", "both.png", "--composite", "--size", "640").ok()
    figure = opened("both.png")
    assert 640 == figure.shape[1]
    assert (figure[..., 2] > figure[..., 0] + 60).any()
    cellbank("show", cells, "-o", "number.png", "-c", "1", "-c", "EGFP").ok()
    assert 1000 == opened("number.png").shape[1]


def test_what_is_there_is_overwritten_only_when_said(cellbank, cells):
    Path("a.png").write_text("mine")
    refused = cellbank("show", cells, "-o", "a.png").failed(8)
    assert "a.png is there already" in refused.err
    assert "mine" == Path("a.png").read_text()
    cellbank("show", cells, "-o", "a.png", "--force").ok()
    assert Path("a.png").read_bytes().startswith(b"\x89PNG")
    assert [] == [p.name for p in Path().iterdir() if p.name.startswith((".", "a.png."))]


@pytest.mark.parametrize(
    ("output", "code", "message"),
    [
        ("a.gif", 2, "a.gif ends in none of .png, .jpg"),
        ("a", 2, "ends in none of"),
        ("-", 2, "ends in none of"),
        ("nowhere/a.png", 4, "there is no folder nowhere"),
        ("folder.png", 2, "folder.png is a folder"),
    ],
)
def test_a_bad_name_for_the_file_is_told_first(cellbank, output, code, message):
    Path("folder.png").mkdir()
    # Before anything is read: the image is not there.
    assert message in cellbank("show", "no/such", "-o", output).failed(code).err


# --- what is shown


def test_facts_are_printed_where_there_is_no_terminal(cellbank, package):
    done = cellbank("show", f"{package}/cells.ome.tif").ok()
    assert "\x1b" not in done.out
    rows = [line.split() for line in done.out.splitlines()]
    assert ["sizes", "Z", "3,", "C", "2,", "Y", "20,", "X", "30"] in rows
    assert ["channels", "0", "EGFP"] in rows
    assert "name a file" in done.err


def test_json_has_all_that_is_known(cellbank, cells):
    found = cellbank("show", cells, "--json").ok().json
    assert ("ZCYX", "uint16") == (found["axes"], found["dtype"])
    assert {"Z": 3, "C": 2, "Y": 20, "X": 30} == found["sizes"]
    assert DYES == [channel["name"] for channel in found["channels"]]
    assert {"Z": 0.29, "Y": 0.5, "X": 0.5} == found["pixel_size"]
    written = cellbank("show", cells, "--json", "-o", "a.png").ok().json
    assert {**found, "file": "a.png", "bytes": Path("a.png").stat().st_size} == written


def test_a_record_is_shown_by_the_names_of_its_dyes(cellbank, family):
    face.install("aics/aics_23", from_=str(family.registry))
    fov = "aics/aics_23/fovs/fov_00dde0c979ef45949337220524ccfec5"
    for ref in (fov, f"{fov}/image", f"{fov}/image/load"):
        found = cellbank("show", ref, "--json").ok().json
        used = [c["name"] for c in found["channels"] if c["use"]]
        assert ["CMDRP", "EGFP", "H3342", "Bright_100X"] == used
    for ref in (f"{fov}/info", "aics/aics_23", "aics/aics_23/fovs"):
        assert "is a group, and no image or record" in cellbank("show", ref).failed(2).err
    line = cellbank("show", "aics/aics_23/lines/line_AICS_23").failed(4)
    assert "line_AICS_23 has no image" in line.err


@pytest.mark.parametrize(
    ("ref", "code", "message"),
    [
        ("cels.ome.tif", 4, "there is no file cels.ome.tif"),
        ("./cels.ome.tif", 4, "there is no file"),
        ("no/package", 4, "no/package is not installed"),
        ("demo/cells/README.md", 2, "README.md: it is no TIFF file"),
        ("demo/cells", 2, "is a group, and no image or record"),
        ("demo/cells/cels.ome.tif", 4, "Did you mean cells.ome.tif"),
    ],
)
def test_what_is_no_image_is_told(cellbank, package, ref, code, message):
    assert message in cellbank("show", ref).failed(code).err


def test_what_the_image_does_not_have_is_told(cellbank, cells):
    assert "Did you mean EGFP" in cellbank("show", cells, "-c", "EGPF").failed(4).err
    assert "It has 0 to 2" in cellbank("show", cells, "-z", "7", "-o", "a.png").failed(4).err
    assert "It has" in cellbank("show", cells, "-c", "9").failed(4).err
    assert [] == list(Path().glob("*.png"))


# --- at the terminal


def test_half_blocks_show_the_composite(terminal, cells):
    code, seen = terminal("show", cells, TERM="xterm-256color", COLORTERM="truecolor")
    assert 0 == code, seen
    lines = [line for line in seen.split("\n") if "▀" in line]
    lines[0] = lines[0].removeprefix("\x1b[c")
    expected = composite(dict(zip(DYES, STACK.max(axis=0), strict=True)))
    np.testing.assert_array_equal(expected, from_blocks(lines))
    assert "\x1b[38;2;0;255;0m■\x1b[0m EGFP" in seen
    assert "ZCYX 3 × 2 × 20 × 30 uint16" in seen


def test_a_large_picture_fits_the_terminal(terminal, tmp_path):
    file = tmp_path / "large.tif"
    file.write_bytes(tiff(np.zeros((900, 400), np.uint8), metadata=None))
    code, seen = terminal("show", file, "--as", "blocks")
    assert 0 == code
    picture = from_blocks([line for line in seen.split("\n") if "▀" in line])
    assert (54, 24) == picture.shape[:2]


def test_without_colours_it_is_plain_text(terminal, cells):
    code, seen = terminal("show", cells, NO_COLOR="1")
    assert 0 == code
    assert "\x1b" not in seen
    assert 10 <= sum(bool(re.search(r"[.:=+*#%@-]{10}", line)) for line in seen.split("\n"))


@pytest.mark.parametrize(
    ("kind", "begin", "read"),
    [
        ("kitty", "\x1b_G", from_kitty),
        ("iterm2", "\x1b]", from_iterm),
        ("sixel", "\x1bP", from_sixel),
    ],
)
def test_terminals_that_draw_get_the_figure(terminal, cells, kind, begin, read):
    code, seen = terminal("show", cells, "--as", kind, "--size", "400")
    assert 0 == code
    end = {"kitty": "\x1b\\\n", "iterm2": "\x07\n", "sixel": "\x1b\\\n"}[kind]
    found = read(seen[seen.index(begin) : seen.rindex(end) + len(end)])
    assert 400 == found.shape[1]
    # White around, viridis inside.
    assert np.abs(found[0, 0] - 255).max() <= 2
    assert (np.abs(found - [68, 1, 84]).max(axis=-1) <= 6).any()


def test_the_terminal_is_asked_what_it_is(terminal, cells):
    code, seen = terminal("show", cells)
    assert 0 == code
    assert "\x1b[c" in seen


def test_escape_codes_never_get_into_a_pipe(cellbank, cells):
    for kind in ("kitty", "iterm2", "sixel", "blocks"):
        assert "draws at a terminal" in cellbank("show", cells, "--as", kind).failed(2).err
    done = cellbank("show", cells, "--as", "ascii", "--size", "20").ok()
    assert done.out.isascii()
    assert max(len(line) for line in done.out.splitlines()) <= 20


def test_a_picture_in_colours_is_shown_as_it_is(terminal, tmp_path):
    file = tmp_path / "rgb.tif"
    file.write_bytes(tiff(COLOUR, photometric="rgb"))
    code, seen = terminal("show", file, "--as", "blocks", COLORTERM="truecolor")
    assert 0 == code
    lines = [line for line in seen.split("\n") if "▀" in line]
    np.testing.assert_array_equal(COLOUR, from_blocks(lines))


def test_hostile_names_reach_no_terminal(terminal, tmp_path):
    file = tmp_path / "names.ome.tif"
    file.write_bytes(ome(channels=["a\x9b31mb", "c"]))
    for kind in ("blocks", "ascii"):
        code, seen = terminal("show", file, "--as", kind)
        assert 0 == code
        assert "\x9b" not in seen
        assert r"a\x9b31mb" in seen


def test_a_plane_that_is_not_there_is_told_where_nothing_is_drawn(cellbank, cells):
    said = cellbank("show", cells, "-z", "99").failed(4).err
    assert "Z: 99 is not there" in said


def test_axes_without_a_name_are_named(cellbank, tmp_path):
    file = tmp_path / "stack.tif"
    file.write_bytes(tiff(STACK[:, 0]))
    found = cellbank("show", file, "--axes", "ZYX", "--json").ok().json
    assert {"Z": 3, "Y": 20, "X": 30} == found["sizes"]
    cellbank("show", file, "--axes", "CYYX").failed(4)
