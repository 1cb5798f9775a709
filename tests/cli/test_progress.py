"""Tests of what is shown while a job runs."""

import pytest

from cellbank.cli import progress
from cellbank.cli.progress import Shown, line
from cellbank.model.progress import Progress, Said


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test moves: `clock[0]` is the time."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_a_line_has_share_bytes_rate_and_time_left():
    assert "Downloading: 50%, 1.0 GB of 2.0 GB, 100.0 MB/s, 0:10 left" == line(
        Progress("download", 10**9, 2 * 10**9), 10
    )


def test_a_short_job_writes_nothing(capsys, clock):
    shown = Shown(print, bars=False, silent=False)
    for done in range(11):
        clock[0] += 0.1
        shown(Progress("build", done, 10))
    shown.close()
    assert ("", "") == capsys.readouterr()


def test_a_long_job_writes_a_line_now_and_then(capsys, clock):
    shown = Shown(print, bars=False, silent=False)
    for done in range(101):
        clock[0] += 0.2
        shown(Progress("build", done * 10**6, 100 * 10**6))
    shown.close()
    lines = capsys.readouterr().err.splitlines()
    assert 3 == len(lines)
    assert lines[0].startswith("Building: 2")


def test_silence_covers_lines_too(capsys, clock):
    shown = Shown(print, bars=True, silent=True)
    shown(Said("word"))
    for done in range(101):
        clock[0] += 1
        shown(Progress("build", done, 100))
    assert ("", "") == capsys.readouterr()


def test_what_is_said_goes_where_it_shall(clock):
    said = []
    Shown(said.append, bars=False, silent=False)(Said("word"))
    assert ["word"] == said


def test_the_next_package_begins_anew(capsys, clock):
    shown = Shown(print, bars=False, silent=False)
    for total in (100, 200, 300):
        clock[0] += 4
        shown(Progress("verify", 0, total))
        shown(Progress("verify", total, total))
    assert ("", "") == capsys.readouterr()
