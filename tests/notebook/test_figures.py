"""Figures: the walk-through's panels, titled and scaled, drawn without touching anything global."""

import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

import cellbank
from cellbank import cells, images
from cellbank.images.channel import Channel
from cellbank.model.errors import BadImage, BadInput, ChannelNotFound
from cellbank.notebook.figures import bar, plot, written
from tests.images.making import COLOUR, STACK, ome, tiff


def image(data: Any = STACK, axes: str = "ZCYX", **how: Any) -> Any:
    return images.open(io.BytesIO(ome(data, axes, **how)))


def named() -> Any:
    many = np.repeat(STACK, 2, axis=1)
    found = image(many, pixel_size={"Z": 0.29, "Y": 0.5, "X": 0.5})
    names = ["EGFP", "CMDRP", "EGFP_2", "Bright_100X"]
    return found.with_channels(
        [Channel(name, n, use=name != "EGFP_2") for n, name in enumerate(names)]
    )


def titles(figure: Any) -> list[str]:
    return [axes.get_title() for axes in figure.axes]


def shown(figure: Any) -> list[Any]:
    return [np.asarray(axes.images[0].get_array()) for axes in figure.axes]


def bars(figure: Any) -> list[list[str]]:
    return [[text.get_text() for text in axes.texts] for axes in figure.axes]


def test_a_panel_for_each_channel_in_use_titled_with_its_dye() -> None:
    figure = plot(named())
    assert ["EGFP", "CMDRP", "Bright_100X"] == titles(figure)
    many = np.repeat(STACK, 2, axis=1)
    for panel, number in zip(shown(figure), (0, 1, 3), strict=True):
        np.testing.assert_array_equal(many[:, number].max(axis=0), panel)
    assert 1 == len({round(axes.get_position().y0, 6) for axes in figure.axes})
    assert all([] == [*axes.get_xticks(), *axes.get_yticks()] for axes in figure.axes)


def test_colours_go_from_the_smallest_to_the_largest_value_as_in_the_walkthrough() -> None:
    figure = plot(named())
    for axes, panel in zip(figure.axes, shown(figure), strict=True):
        assert (panel.min(), panel.max()) == axes.images[0].get_clim()
        assert "viridis" == axes.images[0].get_cmap().name


def test_channels_planes_and_limits_can_be_chosen() -> None:
    figure = plot(named(), channels=["CMDRP", 2], Z=1, limits=(0, 500), cmap="magma")
    assert ["CMDRP", "EGFP_2"] == titles(figure)
    np.testing.assert_array_equal(STACK[1, 0], shown(figure)[0])
    assert (0, 500) == figure.axes[1].images[0].get_clim()
    assert "magma" == figure.axes[0].images[0].get_cmap().name
    several = plot(named(), channels="EGFP", Z=slice(0, 2), limits={"EGFP": (1, 2)})
    np.testing.assert_array_equal(STACK[:2, 0].max(axis=0), shown(several)[0])
    assert (1, 2) == several.axes[0].images[0].get_clim()
    every = plot(named(), channels=named().channels)
    assert ["EGFP", "CMDRP", "EGFP_2", "Bright_100X"] == titles(every)


def test_limits_can_be_found_for_sparse_channels() -> None:
    plane = (np.arange(90_000).reshape(300, 300) % 2).astype(np.uint16)
    plane[5, 5:15] = 900
    plane[9, 9] = 65535
    assert (0, 65535) == plot(plane).axes[0].images[0].get_clim()
    assert (0, 900) == plot(plane, limits="auto").axes[0].images[0].get_clim()


def test_the_scale_bar_is_as_long_as_it_says() -> None:
    figure = plot(named())
    assert [[], [], ["2 µm"]] == bars(figure)
    ends = figure.axes[-1].lines[0].get_xdata()
    # 30 pixels of 0.5 µm.
    assert 2 == pytest.approx((ends[1] - ends[0]) * 30 * 0.5)


def test_no_voxel_size_no_scale_bar() -> None:
    assert [[], []] == bars(plot(image()))


def test_panels_of_different_scales_have_a_bar_each() -> None:
    figure = plot({"one": image(pixel_size={"X": 1, "Y": 1}), "other": named()})
    assert all(len(texts) == 1 for texts in bars(figure)[::4])
    assert "other EGFP" in titles(figure)


@pytest.mark.parametrize(
    ("width", "length", "text"),
    [
        (100, 20, "20 µm"),
        (67, 20, "20 µm"),
        (66, 10, "10 µm"),
        (4, 1, "1 µm"),
        (3, 0.5, "500 nm"),
        (0.004, 0.001, "1 nm"),
        (1e-5, 2e-6, "0.002 nm"),
        (4000, 1000, "1 mm"),
        (1e8, 2e7, "20000 mm"),
    ],
)
def test_scale_bars_are_round_numbers(width: float, length: float, text: str) -> None:
    assert (pytest.approx(length), text) == bar(width)


def test_pixels_that_are_no_squares_are_drawn_as_they_are() -> None:
    figure = plot(STACK[0, 0], pixel_size={"Y": 1.0, "X": 0.5})
    assert 2.0 == figure.axes[0].get_aspect()
    box = figure.axes[0].get_position()
    width, height = figure.get_size_inches()
    assert 20 * 2 / 30 == pytest.approx(box.height * height / (box.width * width))


def test_large_planes_are_shrunk_before_they_are_drawn() -> None:
    plane = np.zeros((3000, 2000), np.uint16)
    plane[1500:] = 1000
    (panel,) = shown(plot(plane))
    assert 1500 >= max(panel.shape) > 500
    assert panel.shape[0] / panel.shape[1] == pytest.approx(1.5, abs=0.01)
    assert (0, 1000) == (panel.min(), panel.max())


def test_many_channels_stand_in_even_rows() -> None:
    figure = plot([STACK[0, 0]] * 16, titles=False)
    rows = [round(axes.get_position().y0, 3) for axes in figure.axes]
    assert [6, 6, 4] == [rows.count(row) for row in sorted(set(rows), reverse=True)]
    figure = plot([STACK[0, 0]] * 3, columns=1, titles=False)
    assert 3 == len({axes.get_position().y0 for axes in figure.axes})


def test_hundreds_of_channels_do_not_make_a_wall() -> None:
    figure = plot(image(np.zeros((60, 4, 5), np.uint8), "CYX"))
    assert 42 == len(figure.axes)
    assert "(the first 42 of 60 channels)" == figure.get_suptitle()
    assert 2 == len(plot(image(np.zeros((60, 4, 5), np.uint8), "CYX"), channels=[3, 59]).axes)


def test_pictures_are_shown_in_their_colours() -> None:
    picture = images.composite(STACK[0])
    (panel,) = shown(plot(picture, pixel_size=0.1))
    np.testing.assert_array_equal(picture, panel)
    (panel,) = shown(plot(images.open(io.BytesIO(tiff(COLOUR, photometric="rgb")))))
    np.testing.assert_array_equal(COLOUR, panel)


@pytest.mark.parametrize(
    "kind", ["bool", "int8", "uint64", "int64", "float16", "longdouble", "complex64", ">f4"]
)
def test_any_numbers_can_be_drawn(kind: str) -> None:
    plane = (np.arange(600).reshape(20, 30) % 2 * 100).astype(kind)
    with np.errstate(all="raise"):
        assert written(plot(plane), "png").startswith(b"\x89PNG")


def test_nan_and_constant_planes_can_be_drawn() -> None:
    planes = [np.full((5, 5), np.nan), np.full((5, 5), 7), np.array([[np.inf, 1], [np.nan, 0]])]
    assert written(plot(planes), "png").startswith(b"\x89PNG")


@pytest.mark.parametrize("name", ["$\\frac{$", "a\nb\x00\x1b[31m", "核", "x" * 500, "_^{}%&"])
def test_any_name_is_a_title(name: str) -> None:
    found = image().with_channels([name, None])
    figure = plot(found, title=name)
    assert written(figure, "png").startswith(b"\x89PNG")
    assert titles(figure)[0].isprintable()
    assert len(titles(figure)[0]) < 60


def test_titles_can_be_others_or_none() -> None:
    assert ["", ""] == titles(plot(image(), titles=False))
    assert ["a", "b"] == titles(plot(image(), titles=["a", "b"]))
    assert ["channel 0", "channel 1"] == titles(plot(image()))
    assert [""] == titles(plot(image(STACK[:, 0], "ZYX")))
    with pytest.raises(BadInput, match="1 titles for 2 panels"):
        plot(image(), titles=["a"])


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"cmap": "virids"}, "Did you mean viridis"),
        ({"columns": 0}, "0 panels in a row"),
        ({"channels": []}, "nothing to draw"),
        ({"limits": [(0, 1)]}, "1 limits for 3 panels"),
        ({"limits": {"EGPF": (0, 1)}}, "There are: EGFP"),
        ({"limits": (5, 1)}, "limits of 5 and 1"),
        ({"limits": "atuo"}, "'atuo' are no limits"),
        ({"limits": 5}, "5 are no limits"),
        ({"figsize": 5}, "5 is no size"),
        ({"figsize": (0, 0)}, "is no size"),
        ({"cmap": ["gray", "hot"]}, "there is no colour map"),
    ],
)
def test_what_does_not_fit_is_told(how: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        plot(named(), **how)


def test_a_missing_channel_is_told_with_near_names() -> None:
    with pytest.raises(ChannelNotFound, match="EGFP"):
        plot(named(), channels="EGPF")


@pytest.mark.parametrize("thing", [5, "x", None, np.zeros((2, 2, 4)), np.zeros((0, 3)), [[]]])
def test_what_cannot_be_drawn_is_told(thing: Any) -> None:
    with pytest.raises(BadInput, match="cannot be drawn"):
        plot(thing)


def test_nothing_global_is_touched() -> None:
    code = (
        "import sys, matplotlib, numpy as np\n"
        "from cellbank.notebook.figures import plot\n"
        "before = matplotlib.rcParams.copy()\n"
        "figure = plot(np.eye(5))\n"
        "figure._repr_png_()\n"
        "assert before == matplotlib.rcParams.copy()\n"
        "print('matplotlib.pyplot' in sys.modules, repr(figure))\n"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "False <Figure of 1 panel>\n" == found.stdout


def test_matplotlib_is_imported_when_the_first_figure_is_drawn() -> None:
    code = "import sys, cellbank.notebook.figures; print('matplotlib' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "False\n" == found.stdout


@pytest.mark.parametrize(
    ("form", "begin"), [("png", b"\x89PNG"), ("pdf", b"%PDF"), ("svg", b"<?xml")]
)
def test_figures_are_written_in_many_forms(form: str, begin: bytes) -> None:
    assert written(plot(STACK[0, 0]), form).startswith(begin)


def test_the_walkthroughs_figure_comes_out(shared_data: Path) -> None:
    """Drawn from the panels that were read back from it, the figure looks like the published."""
    pillow = pytest.importorskip("PIL.Image")
    names = ["CMDRP", "EGFP", "H3342", "Bright_100X"]
    folder = shared_data / "images" / "fov_00dde0c9_panels"
    planes = {name: tifffile.imread(folder / f"{name}_maxproj_panel.tif") for name in names}
    limits = [(0, 255)] * 4
    picture = io.BytesIO(written(plot(planes, limits=limits), "png", dpi=72))
    ours = np.asarray(pillow.open(picture).convert("RGB"))
    theirs = np.asarray(
        pillow.open(shared_data / "figures" / "walkthrough_39_0.png").convert("RGB")
    )
    # Four panels, each in its column: where it is bright there, it is bright here.
    for number in range(4):
        one, other = (_panel(figure, number) for figure in (ours, theirs))
        assert np.corrcoef(one, other)[0, 1] > 0.9


def _panel(figure: Any, number: int) -> Any:
    """The panel of a number, cut out at what is dark, in 40 × 60 pixels of brightness."""
    width = figure.shape[1] // 4
    part = figure[:, number * width : (number + 1) * width].astype(float).mean(axis=2)
    rows = np.flatnonzero((part < 235).mean(axis=1) > 0.8)
    columns = np.flatnonzero((part < 235).mean(axis=0) > 0.5)
    inside = part[rows[0] + 2 : rows[-1] - 1, columns[0] + 2 : columns[-1] - 1]
    from cellbank.images.scaling import stretch

    return stretch(inside, (40, 60)).ravel()


def test_a_record_is_drawn_under_its_id_with_its_segmentations_if_asked_for(family: Any) -> None:
    cellbank.install("aics/aics_23", from_=str(family.registry))
    node = cellbank.load("aics/aics_23/fovs/fov_00dde0c979ef45949337220524ccfec5")
    used = ["CMDRP", "EGFP", "H3342", "Bright_100X"]
    record = cells.record(node)
    for thing in (record, node):
        figure = plot(thing)
        assert record.id == figure.get_suptitle()
        assert used == titles(figure)
    assert used == titles(plot(node.image.load))
    figure = plot(record, channels=["dna", "EGFP"], segmentations=True)
    assert ["H3342", "EGFP", "cell", "nuclei", "structure"] == titles(figure)
    masks = record.segmentations()
    np.testing.assert_array_equal(masks["cell"].max(axis=0), shown(figure)[2])
    assert "" == plot(record, title="").get_suptitle()
    line = cells.record(cellbank.load("aics/aics_23/lines/line_AICS_23"))
    with pytest.raises(BadInput, match="line_AICS_23 has no image"):
        plot(line)
    with pytest.raises(BadImage):
        plot(cellbank.load("aics/aics_23/README"))
