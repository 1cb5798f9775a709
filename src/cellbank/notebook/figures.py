"""Figures: a panel for each channel in use, folded along Z, titled with its dye, with a scale bar.

Nothing global is touched: no backend is chosen, no setting changed, nothing shown or left open.
"""

import io
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np

from cellbank.images.compose import Picture
from cellbank.model.errors import BadInput
from cellbank.notebook.panels import Panel, Wanted, panels_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH: Final = 15.0
"""Inches of a full row, as in the walk-through; a panel has `PANEL` of them at most."""
PANEL: Final = 5.0
IN_A_ROW: Final = 7
_GAP: Final = 0.2
_TITLE: Final = 0.3
_TALLEST: Final = 4.0
"""A panel is at most so many times as high as it is wide, and the other way round."""


def plot(  # noqa: PLR0913
    thing: Any,
    *,
    channels: Any = None,
    Z: Any = None,
    T: int = 0,
    limits: Any = None,
    cmap: str = "viridis",
    segmentations: bool = False,
    columns: int | None = None,
    titles: bool | Sequence[str] = True,
    title: str | None = None,
    pixel_size: float | Mapping[str, float] | None = None,
    figsize: tuple[float, float] | None = None,
) -> "Figure":
    """Draw a row of panels: each channel in use, folded along Z to its brightest pixels.

    Parameters
    ----------
    thing
        An image, a record or a node of one; a picture (Y, X, 3) or a plane (Y, X); or several of
        them, a mapping by title or a list.
    channels
        Names or numbers; default: those in use, at most 42.
    Z
        One plane, or several to fold; default: all.
    T
        The time point.
    limits
        What is the darkest colour and what the brightest: one pair for all, one a panel, or by
        channel. Default: the smallest and the largest value of each panel, as the walk-through has
        it. `"auto"`: as `auto_limits` finds them, where a few bright pixels hide the rest.
    cmap
        A colour map of matplotlib, for panels that are not in colours already.
    segmentations
        Of a record, draw its segmentations in a row of their own.
    columns
        So many panels in a row; default: all, up to seven.
    titles
        Titles of the panels; False for none. Default: dyes, or names of channels.
    title
        Of the whole; default: the id of a record. `""` for none.
    pixel_size
        µm a pixel, as a number or by axis, where the thing does not say it: of arrays.
    figsize
        Inches. Default: fits the panels.

    Returns
    -------
    Figure
        A figure of matplotlib that is not registered with pyplot: a notebook shows it, and
        `figure.savefig(path)` writes it.

    Raises
    ------
    BadInput
        This cannot be drawn, or options do not fit.
    ChannelNotFound
        There is no such channel; near names are told.

    Examples
    --------
    >>> import numpy as np
    >>> from cellbank.notebook.figures import plot
    >>> plot({"DNA": np.eye(20), "membrane": np.ones((20, 20))}, pixel_size=0.1)
    <Figure of 2 panels: DNA, membrane>
    """
    wanted = Wanted(channels, Z, T, limits, segmentations, pixel_size)
    rows, named = panels_of(thing, wanted)
    _retitle([panel for row in rows for panel in row], titles)
    lines = [line for row in rows for line in _broken(row, columns)]
    return _drawn(lines, named if title is None else title, cmap, figsize)


def _retitle(panels: list[Panel], titles: bool | Sequence[str]) -> None:
    if titles is True:
        return
    given = [""] * len(panels) if titles is False else list(titles)
    if len(given) != len(panels):
        raise BadInput(f"{len(given)} titles for {len(panels)} panels", "Give one each, or False.")
    for panel, text in zip(panels, given, strict=True):
        panel.title = text


def _broken(row: list[Panel], columns: int | None) -> list[list[Panel]]:
    """Return a row as lines, as even as can be unless it is said how many stand in one."""
    count = columns
    if count is None:
        lines = -(-len(row) // IN_A_ROW)
        count = -(-len(row) // lines)
    elif count < 1:
        raise BadInput(f"{count} panels in a row", "Give at least 1.")
    return [row[start : start + count] for start in range(0, len(row), count)]


# --- drawing


class _Line(msgspec.Struct):
    """A line of panels, in inches from the top of the figure."""

    panels: list[Panel]
    top: float
    width: float
    height: float


def _drawn(
    rows: list[list[Panel]], title: str, cmap: str, figsize: tuple[float, float] | None
) -> "Figure":
    _check_drawing(cmap)
    if figsize is not None:
        _check_size(figsize)
    columns = max(map(len, rows))
    width = min(WIDTH, columns * PANEL)
    lines, height = [], 0.45 if title else 0.05
    for row in rows:
        each = width / max(len(row), columns)
        shape = max(panel.height / panel.width for panel in row)
        tall = (each - _GAP) * min(max(shape, 1 / _TALLEST), _TALLEST)
        height += _TITLE if any(panel.title for panel in row) else 0.0
        lines.append(_Line(row, height, each, tall))
        height += tall + _GAP / 2
    figure: Figure = _figure_class()(figsize=figsize or (width, height))
    for line in lines:
        for number, panel in enumerate(line.panels):
            left, wide = number * line.width + _GAP / 2, line.width - _GAP
            bottom = height - line.top - line.height
            box = (left / width, bottom / height, wide / width, line.height / height)
            # Sharp at 200 dots an inch; more would be lost in drawing.
            _draw(figure.add_axes(box), panel, cmap, wide, round(200 * max(wide, line.height)))
    shown = [panel for line in lines for panel in line.panels]
    scales = [(panel.pixel or 0) * panel.width for panel in shown]
    alike = max(scales) <= 1.02 * min(scales)
    for panel, axes in zip(shown, figure.axes, strict=True):
        if panel is shown[-1] or not alike:
            _scale_bar(axes, panel)
    if title:
        text = _fitted(title, width, 14)
        figure.suptitle(text, y=1 - 0.08 / height, va="top", fontsize=14, parse_math=False)
    return figure


def _draw(axes: Any, panel: Panel, cmap: str, inches: float, size: int) -> None:
    axes.imshow(
        panel.shrunk(size),
        cmap=cmap,
        vmin=float(panel.limits[0]),
        vmax=float(panel.limits[1]),
        aspect=panel.aspect,
        interpolation="nearest" if panel.labels else None,
    )
    axes.set(xticks=[], yticks=[])
    if panel.title:
        axes.set_title(_fitted(panel.title, inches, 12), fontsize=12, parse_math=False)


def _fitted(text: str, inches: float, points: int) -> str:
    """Return text on one line, cut where it would run into what stands beside it."""
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    room = max(3, int(inches * 72 / (0.6 * points)))
    return text if len(text) <= room else text[: room - 1] + "…"


def _scale_bar(axes: Any, panel: Panel) -> None:
    """Draw how long some round number of micrometres is, at the lower right."""
    from matplotlib.patheffects import withStroke

    if panel.pixel is None:
        return
    whole = panel.width * panel.pixel
    length, text = bar(whole)
    axes.plot(
        [0.95 - length / whole, 0.95],
        [0.07, 0.07],
        color="white",
        linewidth=2.5,
        path_effects=[withStroke(linewidth=4, foreground="black")],
        solid_capstyle="butt",
        transform=axes.transAxes,
    )
    axes.annotate(
        text,
        (0.95 - length / whole / 2, 0.07),
        xycoords="axes fraction",
        xytext=(0, 3),
        textcoords="offset points",
        ha="center",
        color="white",
        path_effects=[withStroke(linewidth=2, foreground="black")],
    )


def bar(width: float) -> tuple[float, str]:
    """Return the length of a scale bar for a picture so wide, in µm, and what to write there."""
    from math import floor, log10

    power = floor(log10(0.3 * width))
    digit = next(digit for digit in (5, 2, 1) if digit * 10.0**power <= 0.3 * width)
    for unit, one in (("mm", 3), ("µm", 0), ("nm", -3)):
        if power >= one or unit == "nm":
            return digit * 10.0**power, f"{digit * 10.0 ** (power - one):.10g} {unit}"
    raise AssertionError


def _check_drawing(cmap: Any) -> None:
    from difflib import get_close_matches

    try:
        from matplotlib import colormaps
    except ModuleNotFoundError:
        advice = "Install it: pip install 'cellbank[notebook]'"
        raise BadInput("figures need matplotlib, which is not installed", advice) from None

    if not isinstance(cmap, str) or cmap not in colormaps:
        near = get_close_matches(str(cmap), list(colormaps), 2)
        advice = f"Did you mean {' or '.join(near)}?" if near else "Try viridis, magma or gray."
        raise BadInput(f"there is no colour map {cmap!r:.60}", advice)


def _check_size(figsize: Any) -> None:
    inches = figsize if isinstance(figsize, (tuple, list)) and len(figsize) == 2 else ()
    if not inches or not all(isinstance(n, (int, float)) and 0 < n < float("inf") for n in inches):
        raise BadInput(f"{figsize!r:.60} is no size", "Give width and height in inches: (15, 4).")


@cache
def _figure_class() -> Any:
    """Return the class of our figures; matplotlib is imported when the first one is drawn."""
    from matplotlib.figure import Figure

    class PanelFigure(Figure):
        """A figure that a notebook shows though pyplot does not know it."""

        def _repr_png_(self) -> bytes:
            return written(self, "png")

        def __repr__(self) -> str:
            names = [axes.get_title() for axes in self.axes]
            shown = ", ".join(name for name in names if name)
            count = f"{len(names)} panel{'s' if len(names) != 1 else ''}"
            return f"<Figure of {count}: {shown}>" if shown else f"<Figure of {count}>"

    return PanelFigure


def written(figure: "Figure", form: str, dpi: float | None = None) -> bytes:
    """Return a figure as the bytes of a file: `png`, `jpg`, `svg`, `pdf`."""
    file = io.BytesIO()
    with _any_letters():
        figure.savefig(file, format=form, dpi=dpi or "figure")
    return file.getvalue()


def rendered(figure: "Figure", width: int, height: int | None = None) -> Picture:
    """Return a figure as a picture (Y, X, 3), so wide, or less where it would be higher."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    across, down = figure.get_size_inches()
    figure.set_dpi(min(width / across, height / down if height else width))
    canvas: Any = FigureCanvasAgg(figure)
    with _any_letters():
        canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


@contextmanager
def _any_letters() -> Iterator[None]:
    with warnings.catch_warnings():
        # A dye with letters that the font lacks is drawn with boxes; that is no news to anybody.
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        yield
