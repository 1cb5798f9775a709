"""Progress of long jobs: a bar with bytes, rate and time left, or a plain line now and then."""

import sys
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from cellbank.cli.text import size
from cellbank.model.progress import Progress, Said

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

SHORT_SECONDS: Final = 0.3
"""A job that is done sooner shows no bar."""
LINE_SECONDS: Final = 5.0
"""Where no bar can be shown, a line is written this often."""
REDRAW_SECONDS: Final = 0.05
OTHER_COLUMNS: Final = 62
"""What stands beside the bar in its line."""

_WORDS: Final = {
    "build": "Building",
    "download": "Downloading",
    "upload": "Uploading",
    "verify": "Verifying",
    "export": "Exporting",
    "images": "Taking images",
    "sample": "Making images",
}


class Shown:
    """Shows the events of jobs, one job after the other.

    Invariant: nothing but `say` writes to stdout. Events come from any thread, one at a time for
    each job.
    """

    def __init__(self, say: Callable[[str], None], *, bars: bool, silent: bool) -> None:
        self._say = say
        self._bars = bars
        self._silent = silent
        self._lock = threading.Lock()
        self._job = ("", 0)
        self._start = 0.0
        self._next = 0.0
        self._bar: Bar | None = None

    def __call__(self, event: Progress | Said) -> None:
        """Show an event."""
        if self._silent:
            return
        now = time.monotonic()
        if isinstance(event, Progress) and self._is_early(event, now):
            return
        with self._lock:
            if isinstance(event, Said):
                self._end()
                self._say(event.text)
            else:
                self._progress(event, now)

    def close(self) -> None:
        """Take the bar away."""
        with self._lock:
            self._end()

    def _is_early(self, event: Progress, now: float) -> bool:
        ended = event.done >= event.total and self._bar is not None
        return (event.job, event.total) == self._job and now < self._next and not ended

    def _progress(self, event: Progress, now: float) -> None:
        # The same job with another total is the next package's.
        if (event.job, event.total) != self._job:
            self._end()
            self._job, self._start = (event.job, event.total), now
            self._next = now + (SHORT_SECONDS if self._bars else LINE_SECONDS)
        elif self._bars:
            self._next = now + REDRAW_SECONDS
            self._draw(event, now)
        elif event.done < event.total:
            self._next = now + LINE_SECONDS
            sys.stderr.write(f"{line(event, now - self._start)}\n")
            sys.stderr.flush()

    def _draw(self, event: Progress, now: float) -> None:
        if self._bar is None:
            if event.done >= event.total:
                return
            self._bar = _new_bar()
            self._bar.add_task(_word(event.job), total=event.total)
            # The job began before its bar.
            self._bar.tasks[0].start_time = self._bar.get_time() - (now - self._start)
            self._bar.start()
        self._bar.update(self._bar.task_ids[0], completed=event.done, total=event.total)

    def _end(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
        self._job = ("", 0)


def line(event: Progress, spent: float) -> str:
    """Return progress as one plain line."""
    from cellbank.display import seconds

    share = 100 * event.done // max(event.total, 1)
    rate = event.done / max(spent, 1e-6)
    left = f", {seconds((event.total - event.done) / rate)} left" if rate > 0 else ""
    return (
        f"{_word(event.job)}: {share}%, {size(event.done)} of {size(event.total)}, "
        f"{size(rate)}/s{left}"
    )


def _word(job: str) -> str:
    return _WORDS.get(job, job)


def _new_bar() -> "Bar":
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=_bar_width()),
        TextColumn("{task.percentage:>3.0f}%", markup=False),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(compact=True),
        TextColumn("left", markup=False),
        console=Console(stderr=True),
    )


def _bar_width() -> int:
    """Return how wide a bar may be: a full line would wrap where a terminal echoes `^C`."""
    import shutil

    return max(10, min(40, shutil.get_terminal_size().columns - OTHER_COLUMNS))
