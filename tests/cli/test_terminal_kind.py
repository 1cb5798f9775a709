"""What a terminal can draw is told by its environment, else by asking it."""

import contextlib
import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios

import pytest

from cellbank.cli.terminal_kind import colors_of, kind_of


def never():
    raise AssertionError("it should not have been asked")


@pytest.mark.parametrize(
    ("kind", "environment"),
    [
        ("kitty", {"TERM": "xterm-kitty"}),
        ("kitty", {"TERM": "xterm-256color", "KITTY_WINDOW_ID": "1"}),
        ("kitty", {"TERM": "xterm-ghostty"}),
        ("kitty", {"TERM": "xterm-256color", "TERM_PROGRAM": "ghostty"}),
        (
            "iterm2",
            {"TERM": "xterm-256color", "TERM_PROGRAM": "iTerm.app"},
        ),  # codespell:ignore iterm
        ("iterm2", {"TERM": "xterm-256color", "TERM_PROGRAM": "WezTerm"}),
        ("iterm2", {"TERM": "xterm-256color", "LC_TERMINAL": "iTerm2"}),
        ("sixel", {"TERM": "foot"}),
        ("sixel", {"TERM": "mlterm-256color"}),
        ("ascii", {"TERM": "dumb"}),
        ("ascii", {}),
        ("ascii", {"TERM": "xterm-kitty", "NO_COLOR": "1"}),
        ("ascii", {"TERM": "linux"}),
    ],
)
def test_known_terminals_are_not_asked(kind, environment):
    assert kind == kind_of(environment, "utf-8", never)


def test_others_are_asked():
    environment = {"TERM": "xterm-256color"}
    assert "sixel" == kind_of(environment, "utf-8", lambda: True)
    assert "blocks" == kind_of(environment, "UTF-8", lambda: False)
    assert "ascii" == kind_of(environment, "iso8859-1", lambda: False)


@pytest.mark.parametrize("inside", [{"TMUX": "x"}, {"STY": "x"}, {"TERM_PROGRAM": "tmux"}])
def test_inside_of_tmux_the_terminal_around_does_not_count(inside):
    environment = {"TERM": "tmux-256color", "KITTY_WINDOW_ID": "1", **inside}
    assert "blocks" == kind_of(environment, "utf-8", lambda: False)
    assert "sixel" == kind_of(environment, "utf-8", lambda: True)


@pytest.mark.parametrize(
    ("bits", "environment"),
    [
        (24, {"TERM": "xterm-256color", "COLORTERM": "truecolor"}),
        (24, {"TERM": "xterm", "COLORTERM": "24bit"}),
        (24, {"TERM": "xterm-kitty"}),
        (24, {"TERM": "xterm-direct"}),
        (8, {"TERM": "xterm-256color"}),
        (8, {"TERM": "screen"}),
        (0, {"TERM": "dumb", "COLORTERM": "truecolor"}),
        (0, {"TERM": "xterm-256color", "NO_COLOR": "1"}),
        (0, {}),
    ],
)
def test_how_many_colours(bits, environment):
    assert bits == colors_of(environment)


def asked(answer, *, ahead=b"", pixels=(0, 0)):
    """Ask a terminal that answers so; return what came of it, and what is left to read."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, *pixels))
    code = (
        "import sys, select, os, termios\n"
        "from cellbank.cli.terminal_kind import asks_for_sixel, size_of\n"
        "sys.stdin.readline()\n"
        "before = termios.tcgetattr(0)\n"
        "found = asks_for_sixel()\n"
        "assert before == termios.tcgetattr(0)\n"
        "left = os.read(0, 100) if select.select([0], [], [], 0)[0] else b''\n"
        "print(found, left, size_of(), file=sys.stderr)\n"
    )
    env = {name: text for name, text in os.environ.items() if name not in ("COLUMNS", "LINES")}
    running = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=theirs,
        stdout=theirs,
        stderr=subprocess.PIPE,
        text=True,
        env=env,
    )
    os.close(theirs)
    os.write(ours, b"\n" + ahead)
    seen = b""
    while running.poll() is None and not seen.endswith(b"\x1b[c"):
        if select.select([ours], [], [], 0.1)[0]:
            # Linux fails where the other side has closed.
            with contextlib.suppress(OSError):
                seen += os.read(ours, 100)
    if seen.endswith(b"\x1b[c"):
        os.write(ours, answer)
    _, err = running.communicate(timeout=20)
    os.close(ours)
    return err.strip()


def test_a_terminal_that_draws_sixels_says_so():
    assert asked(b"\x1b[?62;4;22c").startswith("True b''")
    assert asked(b"\x1b[?4c").startswith("True b''")


def test_another_does_not():
    assert asked(b"\x1b[?1;2c").startswith("False b''")
    assert asked(b"\x1b[?64;14;40c").startswith("False b''")


def test_one_that_does_not_answer_is_not_waited_for():
    assert asked(b"").startswith("False b''")


def test_what_is_typed_ahead_stays():
    assert asked(b"\x1b[?4c", ahead=b"ls\n").startswith("False b'ls\\n'")


def test_the_size_of_a_terminal_in_pixels_is_known_or_guessed():
    assert asked(b"").endswith("(100, 30, 800, 480)")
    assert asked(b"", pixels=(1234, 777)).endswith("(100, 30, 1234, 777)")
