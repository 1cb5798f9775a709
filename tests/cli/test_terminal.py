"""Tests at a real terminal: questions, bars, Ctrl-C."""

import codecs
import errno
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time

import pytest

from cellbank.cli.console import Console
from tests.cli.conftest import COMMAND, fill

SECONDS = 20


class Terminal:
    """A command at a pseudo terminal of 100 columns."""

    def __init__(self, env, *arguments):
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
        self.running = subprocess.Popen(
            [COMMAND, *map(str, arguments)],
            env={**env, "TERM": "xterm-256color"},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509
        )
        os.close(theirs)
        # A character's bytes may come apart.
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self.seen = ""

    def until(self, words):
        """Read until these words were written."""
        end = time.monotonic() + SECONDS
        while words not in self.seen:
            assert time.monotonic() < end, self.seen
            if not self._read():
                break
        assert words in self.seen, self.seen

    def type(self, keys):
        os.write(self._ours, keys.encode())

    def end(self):
        """Read what is left; return the exit code and all that was written."""
        while self._read():
            pass
        code = self.running.wait(SECONDS)
        os.close(self._ours)
        return code, self.seen.replace("\r\n", "\n")

    def _read(self):
        ready, _, _ = select.select([self._ours], [], [], SECONDS)
        if not ready:
            return False
        try:
            data = os.read(self._ours, 65536)
        except OSError:  # Linux says so when the other side has closed.
            return False
        self.seen += self._decoder.decode(data)
        return bool(data)


@pytest.fixture
def terminal(clean_env):
    """Start the command at a terminal."""
    started = []

    def start(*arguments, env=None):
        started.append(Terminal({**clean_env, **(env or {})}, *arguments))
        return started[-1]

    yield start
    for one in started:
        if one.running.poll() is None:
            one.running.kill()
            one.running.wait()


@pytest.fixture
def newer(cellbank, pushed, images, tmp_path, monkeypatch):
    """The store `old` has an older revision than the remote; returns its environment."""
    home = tmp_path / "old"
    with monkeypatch.context() as other:
        other.setenv("CELLBANK_HOME", str(home))
        cellbank("install", pushed, "--from", tmp_path / "remote").ok()
    fill(images, {"README.md": "# Nuclei, again\n"})
    cellbank("build", pushed, images).ok()
    cellbank("push", pushed).ok()
    return {"CELLBANK_HOME": str(home)}


def test_yes_replaces_the_older_revision(terminal, process, newer):
    at = terminal("install", "demo/nuclei", env=newer)
    at.until("demo/nuclei already installed.\r\nOverwrite? (y/n) ")
    at.type("y\n")
    code, seen = at.end()
    assert 0 == code
    assert seen.endswith("Downloading 1 objects (16 bytes)...\n")
    assert "again" in process("cat", "demo/nuclei/README.md", env=newer).ok().out


def test_no_leaves_it_and_is_no_failure(terminal, process, newer):
    before = process("inspect", "demo/nuclei", "--json", env=newer).json["revision"]
    at = terminal("install", "demo/nuclei", env=newer)
    at.until("Overwrite? (y/n) ")
    at.type("what?\n")
    at.until("what?\r\nOverwrite? (y/n) ")
    at.type("n\n")
    code, seen = at.end()
    assert 0 == code
    assert seen.endswith("n\nNothing was changed.\n")
    assert before == process("inspect", "demo/nuclei", "--json", env=newer).json["revision"]


def test_the_end_of_input_means_no(terminal, newer):
    at = terminal("install", "demo/nuclei", env=newer)
    at.until("Overwrite? (y/n) ")
    at.type("\x04")
    assert 0 == at.end()[0]


def test_yes_beforehand_asks_nothing(terminal, newer):
    code, seen = terminal("install", "demo/nuclei", "--yes", env=newer).end()
    assert 0 == code
    assert "Overwrite" not in seen


def test_ctrl_c_at_the_question_stops(terminal, newer):
    at = terminal("install", "demo/nuclei", env=newer)
    at.until("Overwrite? (y/n) ")
    at.type("\x03")
    code, seen = at.end()
    assert 130 == code
    assert "cellbank: stopped\n" in seen
    assert "Traceback" not in seen


def test_a_package_from_elsewhere_is_replaced_after_a_question(
    terminal, cellbank, pushed, tmp_path, monkeypatch
):
    other = tmp_path / "other-remote"
    fill(tmp_path / "theirs", {"a.txt": "theirs"})
    with monkeypatch.context() as them:
        them.setenv("CELLBANK_HOME", str(tmp_path / "them"))
        cellbank("build", pushed, "theirs").ok()
        cellbank("push", pushed, "--to", other).ok()
    env = {"CELLBANK_REMOTE": str(other)}
    at = terminal("install", pushed, env=env)
    at.until(f"Replace it from {other}? (y/n)")
    at.type("n\n")
    assert 8 == at.end()[0]
    at = terminal("install", pushed, env=env)
    at.until("? (y/n)")
    at.type("y\n")
    at.until("Overwrite? (y/n)")
    at.type("y\n")
    assert 0 == at.end()[0]
    assert "theirs" == cellbank("cat", f"{pushed}/a.txt").ok().out


def test_rm_asks(terminal, cellbank, built):
    at = terminal("rm", built)
    at.until("Remove demo/nuclei from this store? (y/n) ")
    at.type("n\n")
    assert 0 == at.end()[0]
    assert 1 == len(cellbank("ls", "--json").json)
    at = terminal("rm", built)
    at.until("(y/n) ")
    at.type("y\n")
    code, seen = at.end()
    assert 0 == code
    assert "freed" in seen


def test_the_token_is_not_shown_while_it_is_typed(terminal):
    at = terminal("login", "http://127.0.0.1:9")
    at.until("Token for http://127.0.0.1:9: ")
    at.type("cbk_secret\n")
    code, seen = at.end()
    assert 6 == code
    assert "cbk_secret" not in seen


def test_a_long_job_shows_a_bar_with_bytes_rate_and_time_left(terminal, tmp_path):
    with (fill(tmp_path / "much", {"large.bin": ""}) / "large.bin").open("wb") as file:
        file.truncate(1_500_000_000)
    at = terminal("build", "demo/much", tmp_path / "much")
    at.until("B/s")
    at.type("\x03")
    start = time.monotonic()
    code, seen = at.end()
    assert 130 == code
    assert 2 > time.monotonic() - start
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", seen)
    assert re.search(r"Building .* +\d+% .*/1\.5 GB .*B/s .* left", plain)
    assert "cellbank: stopped\n" in seen
    # A bar hides the cursor; it must be there again.
    assert seen.rfind("\x1b[?25h") > seen.rfind("\x1b[?25l")


def test_no_bar_where_the_terminal_cannot_write_over(terminal, images):
    code, seen = terminal("build", "demo/nuclei", images, env={"TERM": "dumb"}).end()
    assert 0 == code
    assert "\x1b" not in seen


def test_nothing_is_coloured(terminal, built):
    for command in (["ls"], ["tree", built], ["log", built], ["inspect", built]):
        code, seen = terminal(*command).end()
        assert (0, False) == (code, "\x1b" in seen)


def test_a_terminal_that_breaks_while_it_is_asked_says_no(monkeypatch):
    class Gone:
        def readline(self) -> str:
            raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(sys, "stdin", Gone())
    assert not Console().ask("Overwrite? (y/n)")


def test_a_reader_of_the_terminal_that_hangs_up_ends_the_command(terminal, newer):
    at = terminal("install", "demo/nuclei", env=newer)
    at.until("Overwrite? (y/n) ")
    os.close(at._ours)
    assert at.running.wait(SECONDS) in (0, 130, -signal.SIGHUP)
