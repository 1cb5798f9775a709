"""Pictures as what terminals draw: kitty's protocol, iTerm2's, sixel, half blocks, plain text.

Pure functions from a picture (Y, X, 3) uint8 to text. The libraries for it either ask for more than
they save (Pillow, Rich, LGPL) or have not been kept. Formats:
https://sw.kovidgoyal.net/kitty/graphics-protocol/, https://iterm2.com/documentation-images.html,
https://vt100.net/docs/vt3xx-gp/chapter14.html
"""

from base64 import standard_b64encode
from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from cellbank.images.compose import Picture

_KITTY_CHUNK: Final = 4096
_COLORS: Final = 255
"""Of a sixel picture; terminals have 256 registers, and one is left alone."""
_RAMP: Final = np.array(list(" .:-=+*#%@"))
"""From no ink to much."""


def kitty(picture: Picture) -> str:
    """Return a picture for kitty, Ghostty, Konsole and WezTerm: a PNG in pieces."""
    text = standard_b64encode(_png(picture)).decode("ascii")
    pieces = [text[at : at + _KITTY_CHUNK] for at in range(0, len(text), _KITTY_CHUNK)]
    parts = []
    for number, piece in enumerate(pieces):
        # q=2: the terminal does not answer, else the answer would be typed at the prompt.
        first = "a=T,f=100,q=2," if number == 0 else ""
        parts.append(f"\x1b_G{first}m={int(number < len(pieces) - 1)};{piece}\x1b\\")
    return "".join(parts) + "\n"


def iterm2(picture: Picture) -> str:
    """Return a picture for iTerm2, WezTerm and mintty: a PNG as an inline file."""
    data = _png(picture)
    height, width = picture.shape[:2]
    told = f"inline=1;size={len(data)};width={width}px;height={height}px;preserveAspectRatio=1"
    return f"\x1b]1337;File={told}:{standard_b64encode(data).decode('ascii')}\x07\n"


def _png(picture: Picture) -> bytes:
    import imagecodecs

    return bytes(imagecodecs.png_encode(np.ascontiguousarray(picture)))


# --- sixel


def sixel(picture: Picture) -> str:
    """Return a picture as sixels: bands of six rows, each colour of a band painted in turn."""
    palette, places = palette_of(picture)
    height, width = places.shape
    percent = (palette.astype(int) * 100 + 127) // 255
    colors = [f"#{n};2;{r};{g};{b}" for n, (r, g, b) in enumerate(percent.tolist())]
    bands = "-".join(_band(places[row : row + 6]) for row in range(0, height, 6))
    return f'\x1bP0;1;0q"1;1;{width};{height}{"".join(colors)}{bands}\x1b\\\n'


def _band(rows: NDArray[np.uint8]) -> str:
    weights = (1 << np.arange(len(rows), dtype=np.uint8))[:, np.newaxis]
    lines = []
    for color in np.unique(rows).tolist():
        dots = ((rows == color) * weights).sum(axis=0, dtype=np.uint8)
        lines.append(f"#{color}{_run_lengths(dots)}")
    return "$".join(lines)


def _run_lengths(dots: NDArray[np.uint8]) -> str:
    starts = np.flatnonzero(np.diff(dots, prepend=dots[0] + 1))
    lengths = np.diff(starts, append=len(dots)).tolist()
    runs = list(zip(dots[starts].tolist(), lengths, strict=True))
    if runs[-1][0] == 0:
        runs.pop()
    return "".join(
        f"!{length}{chr(63 + dot)}" if length > 3 else chr(63 + dot) * length
        for dot, length in runs
    )


def palette_of(picture: Picture, most: int = _COLORS) -> tuple[Picture, NDArray[np.uint8]]:
    """Return few colours that fit a picture, (n, 3), and which of them each pixel has, (Y, X).

    By median cut: the group of colours that spreads over most pixels is cut in two until there
    are enough groups; each becomes its mean. Colours are told apart to 6 bits.
    """
    bits = (picture >> 2).astype(np.uint32)
    codes = bits[..., 0] << 12 | bits[..., 1] << 6 | bits[..., 2]
    counts = np.bincount(codes.ravel(), minlength=1 << 18)
    used = np.flatnonzero(counts)
    points = np.stack([used >> 12, used >> 6 & 63, used & 63], axis=1)
    sums = [np.bincount(codes.ravel(), picture[..., part].ravel(), 1 << 18) for part in range(3)]
    groups = _cut(points, counts[used], most)
    palette = np.empty((len(groups), 3), np.uint8)
    table = np.zeros(1 << 18, np.uint8)
    for number, group in enumerate(groups):
        members = used[group]
        palette[number] = [round(part[members].sum() / counts[members].sum()) for part in sums]
        table[members] = number
    return palette, table[codes]


def _cut(points: NDArray[Any], counts: NDArray[Any], most: int) -> list[NDArray[np.intp]]:
    groups = [np.arange(len(points))]
    spread = [_spread(points, counts, groups[0])]
    while len(groups) < most and max(spread) > 0:
        number = spread.index(max(spread))
        group = groups[number]
        axis = int(np.ptp(points[group], axis=0).argmax())
        group = group[np.argsort(points[group, axis], kind="stable")]
        sums = np.cumsum(counts[group])
        middle = min(max(int(np.searchsorted(sums, sums[-1] / 2)), 1), len(group) - 1)
        halves = [group[:middle], group[middle:]]
        groups[number : number + 1] = halves
        spread[number : number + 1] = [_spread(points, counts, half) for half in halves]
    return groups


def _spread(points: NDArray[Any], counts: NDArray[Any], group: NDArray[np.intp]) -> float:
    # The root: a large dark background must not take the colours of a few bright cells.
    return float(np.ptp(points[group], axis=0).max() * counts[group].sum() ** 0.5)


# --- characters


def blocks(picture: Picture, *, true_color: bool = True) -> list[str]:
    """Return lines of half blocks: each character shows two pixels, one above the other.

    Parameters
    ----------
    picture
        (Y, X, 3); X characters wide and half of Y high.
    true_color
        24 bits; else the 256 colours that most terminals have.

    Returns
    -------
    list[str]
        Lines with escape sequences, each ending in the terminal's own colours.
    """
    code = _true if true_color else _of_256
    rows = np.concatenate([picture, np.zeros((len(picture) % 2, *picture.shape[1:]), np.uint8)])
    return [_blocks(upper, lower, code) for upper, lower in zip(rows[::2], rows[1::2], strict=True)]


def _blocks(upper: Picture, lower: Picture, code: Callable[[Picture], list[str]]) -> str:
    line, before = [], ("", "")
    for now in zip(code(upper), code(lower), strict=True):
        changed = [f"{k}8;{c}" for k, c, b in zip("34", now, before, strict=True) if c != b]
        line.append((f"\x1b[{';'.join(changed)}m" if changed else "") + "▀")
        before = now
    return "".join(line) + "\x1b[0m"


def _true(row: Picture) -> list[str]:
    return [f"2;{r};{g};{b}" for r, g, b in row.tolist()]


def _of_256(row: Picture) -> list[str]:
    """Return the nearest of the 6 × 6 × 6 colours and the 24 greys."""
    steps = np.array([0, 95, 135, 175, 215, 255])
    wanted = row.astype(int)
    digits = np.abs(wanted[..., np.newaxis] - steps).argmin(axis=-1)
    grey = ((wanted.mean(axis=1) - 8) / 10).round().clip(0, 23).astype(int)
    off_cube = np.square(steps[digits] - wanted).sum(axis=1)
    off_grey = np.square((8 + 10 * grey)[:, np.newaxis] - wanted).sum(axis=1)
    cube = 16 + digits @ [36, 6, 1]
    return [f"5;{n}" for n in np.where(off_grey < off_cube, 232 + grey, cube).tolist()]


def text(picture: Picture) -> list[str]:
    """Return lines of plain characters, more ink where it is brighter; two rows of pixels each."""
    rows = np.concatenate([picture, picture[len(picture) - len(picture) % 2 :]])
    grey = rows @ np.array([0.299, 0.587, 0.114])
    grey = (grey[::2] + grey[1::2]) / 2
    # Eyes see few steps in the dark, and characters none: lift it.
    levels = (grey / 255) ** 0.7 * (len(_RAMP) - 1)
    return ["".join(line).rstrip() for line in _RAMP[levels.round().astype(int)]]


def legend(names: list[tuple[str, str]], *, color: int = 24) -> Iterator[str]:
    """Yield names of channels, each behind a block of its colour where there are colours.

    Parameters
    ----------
    names
        Name, and colour as `#rrggbb`.
    color
        24 bits, 8 (256 colours), or 0 for none.

    Yields
    ------
    str
        A part of a line.
    """
    for name, shade in names:
        row = np.frombuffer(bytes.fromhex(shade[1:]), np.uint8).reshape(1, 3)
        if not color:
            yield name
        else:
            code = (_true if color == 24 else _of_256)(row)[0]
            yield f"\x1b[38;{code}m■\x1b[0m {name}"
