"""What the Python functions show in a notebook or at a terminal: a few plain lines."""

import sys
import time

from cellbank.model.progress import Progress, Said, Watcher, ignore

EVERY_SECONDS = 0.2


def megabytes(count: float) -> str:
    """Return a number of bytes as a person reads it: `1.9 GB`, `24.0 MB`, `512 bytes`."""
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count:.0f} bytes"


def seconds(count: float) -> str:
    """Return a number of seconds as a person reads it: `1:05`."""
    whole = int(count + 0.5)
    hours, rest = divmod(whole, 3600)
    minutes, left = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02}"


class LineBar:
    """A progress bar in one line that is written over: share, bytes, rate and time left."""

    def __init__(self) -> None:
        self._job = ""
        self._start = 0.0
        self._shown = 0.0

    def __call__(self, event: Progress | Said) -> None:
        """Show an event."""
        if isinstance(event, Said):
            self._end()
            print(event.text, file=sys.stderr, flush=True)  # noqa: T201
            return
        now = time.monotonic()
        if event.job != self._job:
            self._end()
            self._job, self._start, self._shown = event.job, now, now
        if event.done >= event.total:
            if self._shown > self._start:
                self._line(event, now)
            self._end()
        elif now - self._shown >= EVERY_SECONDS:
            self._shown = now
            self._line(event, now)

    def _line(self, event: Progress, now: float) -> None:
        spent = max(now - self._start, 1e-6)
        rate = event.done / spent
        left = seconds((event.total - event.done) / rate) if rate else "?"
        share = 100 * event.done // max(event.total, 1)
        text = (
            f"\r{event.job} {share:3d}% {megabytes(event.done)} of {megabytes(event.total)}, "
            f"{megabytes(rate)}/s, {left} left "
        )
        print(text, end="", file=sys.stderr, flush=True)  # noqa: T201

    def _end(self) -> None:
        if self._job and self._shown > self._start:
            print(file=sys.stderr)  # noqa: T201
        self._job = ""


def for_here() -> Watcher:
    """Return what shows progress here: in a notebook or at a terminal a bar, elsewhere nothing."""
    ipython = sys.modules.get("IPython")
    if ipython is not None and ipython.get_ipython() is not None:
        return LineBar()
    if hasattr(sys, "ps1") or (sys.stdout.isatty() and sys.stderr.isatty()):
        return LineBar()
    return ignore
