"""Colours of channels: by name, by what a dye is known for, and such that people tell apart."""

import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Final

from cellbank.model.errors import BadInput

Color = str | Sequence[float]
"""`"#0af"`, `"#00aaff"`, a name, or red, green and blue: floats to 1, or whole numbers to 255."""

NAMES: Final[Mapping[str, str]] = {
    "red": "#ff0000",
    "green": "#00ff00",
    "blue": "#0000ff",
    "cyan": "#00ffff",
    "magenta": "#ff00ff",
    "yellow": "#ffff00",
    "white": "#ffffff",
    "black": "#000000",
    "gray": "#808080",
    "grey": "#808080",
    "silver": "#c0c0c0",
    "orange": "#ff8000",
    "pink": "#ff80c0",
    "purple": "#8000ff",
    "violet": "#c080ff",
    "lime": "#80ff00",
    "teal": "#008080",
    "navy": "#000080",
    "azure": "#0080ff",
    "brown": "#a05020",
}

SAFE_COLORS: Final = (
    "#00ffff",
    "#ff00ff",
    "#ffff00",
    "#0080ff",
    "#ff8000",
    "#40ff80",
    "#ff4080",
    "#c0c0c0",
)
"""Cyan, magenta, yellow and more: no two of the first three look alike to the colour-blind."""

# What the name of a channel says, and the colour that it has in most papers.
_KNOWN: Final = (
    (r"h333?42|hoechst|dapi|draq\d|dna|nucle(us|i|ar)|bfp", "#0000ff"),
    (r"m?(e|meg|ac|zs|sf)?gfp|fitc|(alexa|af) ?(fluor ?)?488|m?neongreen|m?clover", "#00ff00"),
    (r"cmdrp|cell ?mask|membrane|(alexa|af) ?(fluor ?)?6[34]\d|cy5", "#ff00ff"),
    (
        r"m?cherry|(m?tag)?rfp|tdtomato|m?scarlet|texas ?red|tritc|(alexa|af) ?(fluor ?)?5\d\d|cy3",
        "#ff8000",
    ),
    (r"m?citrine|m?venus|e?yfp", "#ffff00"),
    (r"e?cfp|m?turquoise|m?cerulean", "#00ffff"),
    (r"bright ?(field)?|bf|tl|transmitted|trans|phase|dic", "#808080"),
)
_DYES: Final = [(re.compile(rf"\b({words})(?![a-z])"), color) for words, color in _KNOWN]
_TRANSMITTED: Final = "#808080"


def parse_color(color: Color) -> tuple[float, float, float]:
    """Return a colour as red, green and blue from 0 to 1.

    Parameters
    ----------
    color
        `"#rgb"`, `"#rrggbb"`, a name, or three numbers: whole ones from 0 to 255 if any is above
        1, else from 0 to 1.

    Returns
    -------
    tuple[float, float, float]
        Red, green and blue.

    Raises
    ------
    BadInput
        It is no colour; names that are near are told.

    Examples
    --------
    >>> from cellbank.images.colours import parse_color
    >>> parse_color("#ff0"), parse_color("orange"), parse_color((0, 128, 255))
    ((1.0, 1.0, 0.0), (1.0, 0.5019607843137255, 0.0), (0.0, 0.5019607843137255, 1.0))
    """
    if isinstance(color, str):
        return _parse_text(color)
    parts = _three_numbers(color)
    if parts is None:
        raise _no_color(color)
    whole = all(part == int(part) for part in parts)
    largest = max(parts)
    if whole and 1 < largest <= 255:
        parts = [part / 255 for part in parts]
    elif largest > 1:
        raise _no_color(color)
    red, green, blue = parts
    return red, green, blue


def _parse_text(color: str) -> tuple[float, float, float]:
    text = color.strip().lower()
    text = NAMES.get(text, text)
    digits = text.removeprefix("#")
    if text == digits or not re.fullmatch(r"[0-9a-f]{3}|[0-9a-f]{6}", digits):
        near = get_close_matches(text, NAMES, 2)
        raise _no_color(color, f"Did you mean {' or '.join(near)}?" if near else "")
    if len(digits) == 3:
        digits = "".join(2 * digit for digit in digits)
    red, green, blue = bytes.fromhex(digits)
    return red / 255, green / 255, blue / 255


def _three_numbers(color: Any) -> list[float] | None:
    try:
        parts = [float(part) for part in color]
    except (TypeError, ValueError, OverflowError):
        return None
    return parts if len(parts) == 3 and all(0 <= part < float("inf") for part in parts) else None


def _no_color(color: object, advice: str = "") -> BadInput:
    names = ", ".join(name for name in NAMES if name not in ("gray", "grey"))
    advice = advice or f"Write #rrggbb, three numbers to 1 or to 255, or one of: {names}, grey."
    return BadInput(f"{color!r:.60} is no colour", advice)


def hex_color(color: Color) -> str:
    """Return a colour as `"#rrggbb"`; raises as `parse_color` does."""
    return "#" + "".join(f"{int(part * 255 + 0.5):02x}" for part in parse_color(color))


def default_colors(count: int) -> tuple[str, ...]:
    """Return so many colours as `"#rrggbb"`, for channels of which nothing is known.

    One is white, two are green and magenta, more begin with cyan, magenta and yellow.
    """
    if count <= 2:
        return (("#ffffff",), ("#00ff00", "#ff00ff"))[count == 2][:count]
    return tuple(_safe(number) for number in range(count))


def _safe(number: int) -> str:
    if number < len(SAFE_COLORS):
        return SAFE_COLORS[number]
    # Golden angle: each hue is far from those before it.
    from colorsys import hsv_to_rgb

    return hex_color(hsv_to_rgb(number * 0.6180339887 % 1, 0.7, 1.0))


def dye_color(name: str | None) -> str | None:
    """Return the colour that a dye, a tag or a role is known for, or None.

    Parameters
    ----------
    name
        The channel's name; `EGFP_2` counts as `EGFP`.

    Returns
    -------
    str | None
        `#rrggbb`: DNA dyes are blue (Hoechst, H3342, DAPI), GFP and its like green, far-red dyes
        and membranes magenta (CMDRP, CellMask), red ones orange, transmitted light grey.

    Examples
    --------
    >>> from cellbank.images.colours import dye_color
    >>> dye_color("H3342"), dye_color("EGFP"), dye_color("CMDRP"), dye_color("Bright_100X")
    ('#0000ff', '#00ff00', '#ff00ff', '#808080')
    """
    words = re.sub(r"[\s_\-./]+", " ", name or "").strip().lower()
    for pattern, color in _DYES:
        if pattern.search(words):
            return color
    return None


def is_transmitted(name: str | None) -> bool:
    """Whether a channel's name says that it shows transmitted light: bright field, phase, DIC."""
    return dye_color(name) == _TRANSMITTED


def channel_colors(
    names: Sequence[str | None], given: Sequence[Color | None] | None = None
) -> tuple[str, ...]:
    """Return a colour for each channel.

    Parameters
    ----------
    names
        The channels' names, where there are any.
    given
        Colours that the user or the file gives; they are kept. None stands for none.

    Returns
    -------
    tuple[str, ...]
        `"#rrggbb"` each: the one given, else that of the dye unless another channel has it, else
        one of the defaults that no other has.
    """
    known = list(given or [None] * len(names))
    found = [None if color is None else hex_color(color) for color in known]
    for number, name in enumerate(names):
        color = dye_color(name)
        if found[number] is None and color and (color not in found or color == _TRANSMITTED):
            found[number] = color
    missing = found.count(None)
    if missing == len(found):
        return default_colors(missing)
    taken = set(found)
    free = (color for color in map(_safe, range(2 * len(found) + 8)) if color not in taken)
    return tuple(color or next(free) for color in found)
