"""What the terminal can draw: told by its environment, else by asking it."""

import os
import shutil
import struct
import sys
from collections.abc import Callable, Mapping
from typing import Final, Literal

Kind = Literal["kitty", "iterm2", "sixel", "blocks", "ascii"]

_INLINE_FILES: Final = ("iTerm.app", "WezTerm", "mintty")  # codespell:ignore iterm
_SECONDS: Final = 0.3
"""A terminal that has not answered by then will not."""
_CELL: Final = (8, 16)
"""Pixels of a character, where the terminal does not say."""


def kind_of(environment: Mapping[str, str], encoding: str, asks: Callable[[], bool]) -> Kind:
    """Return how to draw at a terminal.

    Parameters
    ----------
    environment
        Its variables.
    encoding
        That of its output.
    asks
        Asks the terminal whether it draws sixels.

    Returns
    -------
    Kind
        The best that is known to work.
    """
    terminal = environment.get("TERM", "")
    if terminal in ("", "dumb") or environment.get("NO_COLOR"):
        return "ascii"
    program = environment.get("TERM_PROGRAM", "")
    inside = environment.get("TMUX") or environment.get("STY") or program == "tmux"
    # Inside of tmux or screen the variables tell of the terminal around, which does not see it.
    known = None if inside else _known(environment, terminal, program)
    if known is not None:
        return known
    if terminal not in ("linux", "screen", "vt100", "vt220") and asks():
        return "sixel"
    if "utf" not in encoding.lower() or terminal in ("linux", "vt100", "vt220"):
        return "ascii"
    return "blocks"


def _known(environment: Mapping[str, str], terminal: str, program: str) -> Kind | None:
    names = f"{terminal} {program}".lower()
    if environment.get("KITTY_WINDOW_ID") or "kitty" in names or "ghostty" in names:
        return "kitty"
    if program in _INLINE_FILES or environment.get("LC_TERMINAL") == "iTerm2":
        return "iterm2"
    return "sixel" if terminal.startswith(("foot", "mlterm", "yaft")) else None


def colors_of(environment: Mapping[str, str]) -> int:
    """Return how many bits of colour a terminal has: 24, 8 (256 colours), or 0."""
    terminal = environment.get("TERM", "")
    if environment.get("NO_COLOR") or terminal in ("", "dumb"):
        return 0
    if environment.get("COLORTERM", "").lower() in ("truecolor", "24bit"):
        return 24
    return 24 if terminal.endswith(("-direct", "-kitty", "-ghostty")) else 8


def size_of() -> tuple[int, int, int, int]:
    """Return columns and lines of the terminal, then its width and height in pixels."""
    columns, lines = shutil.get_terminal_size((80, 24))
    width, height = 0, 0
    try:
        import fcntl
        import termios

        found = fcntl.ioctl(sys.stdout.fileno(), termios.TIOCGWINSZ, bytes(8))
        _, _, width, height = struct.unpack("HHHH", found)
    except (ImportError, OSError, ValueError):
        pass
    return columns, lines, width or columns * _CELL[0], height or lines * _CELL[1]


def asks_for_sixel() -> bool:
    """Ask the terminal what it is (primary device attributes); whether 4, sixel, is among them."""
    try:
        import select
        import termios
        import tty

        ours, theirs = sys.stdin.fileno(), sys.stdout.fileno()
        if not (os.isatty(ours) and os.isatty(theirs)) or select.select([ours], [], [], 0)[0]:
            # What is typed ahead must not be taken for an answer.
            return False
        before = termios.tcgetattr(ours)
    except (ImportError, OSError, ValueError):
        return False
    try:
        tty.setcbreak(ours, termios.TCSANOW)
        os.write(theirs, b"\x1b[c")
        answer = b""
        while not answer.endswith(b"c") and select.select([ours], [], [], _SECONDS)[0]:
            answer += os.read(ours, 1)
    except OSError:
        return False
    finally:
        termios.tcsetattr(ours, termios.TCSANOW, before)
    return answer.startswith(b"\x1b[?") and b"4" in answer[3:-1].split(b";")
