"""Where the words of a command go: data to stdout, the rest to stderr, JSON for scripts."""

import contextlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from cellbank.cli.text import ascii_json, safe, safe_json
from cellbank.model.errors import DiskError

if TYPE_CHECKING:
    from cellbank.model.progress import Watcher


class Console:
    """What one run of the command writes and asks.

    Invariant: with `json`, stdout gets one JSON document and nothing else; with `quiet`, only the
    data of a reading command and errors are written.
    """

    def __init__(self, *, quiet: bool = False, json: bool = False) -> None:
        self.quiet = quiet
        self.json = json

    # --- saying

    def show(self, value: Any, lines: str | Iterable[str]) -> None:
        """Write the data that a reading command was asked for."""
        if self.json:
            self._document(value)
        else:
            self._lines(lines)

    def done(self, value: Any, lines: str | Iterable[str]) -> None:
        """Write what a command did."""
        if self.json:
            self._document(value)
        elif not self.quiet:
            self._lines(lines)

    def say(self, line: str) -> None:
        """Write a line that belongs to the command's own words, while it is at work."""
        if not self.quiet:
            emit(f"{safe(line)}\n", to_stdout=not self.json)

    def note(self, line: str) -> None:
        """Write a line beside the data."""
        if not self.quiet:
            emit(f"{safe(line)}\n", to_stdout=False)

    def complain(self, line: str) -> None:
        """Write a line about something wrong, also when quiet."""
        emit(f"{safe(line)}\n", to_stdout=False)

    def _document(self, value: Any) -> None:
        import msgspec

        text = msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
        text = safe_json(text) + "\n"
        try:
            text.encode(sys.stdout.encoding or "utf-8")
        except UnicodeEncodeError:
            text = ascii_json(text)
        emit(text)

    def _lines(self, lines: str | Iterable[str]) -> None:
        every = [lines] if isinstance(lines, str) else lines
        emit("".join(f"{safe(line)}\n" for line in every))

    # --- asking

    def ask(self, question: str) -> bool:
        """Ask a question that ends in `(y/n)` until it is answered; no answer means no."""
        while True:
            answer = ""
            emit(f"{safe(question)} ", to_stdout=False)
            # A terminal that hung up may end its input, or break it.
            with contextlib.suppress(OSError):
                answer = sys.stdin.readline()
            if not answer:
                emit("\n", to_stdout=False)
                return False
            if answer.strip().lower() in ("y", "yes"):
                return True
            if answer.strip().lower() in ("n", "no"):
                return False

    @contextlib.contextmanager
    def answering(self) -> "Iterator[None]":
        """Let the person at the terminal say, meanwhile, whether what is not here may come."""
        from cellbank.packages.policy import answered_by

        with answered_by(self.ask if at_terminal() else None):
            yield

    # --- watching

    @contextlib.contextmanager
    def watching(self, *, beside: bool = False) -> "Iterator[Watcher]":
        """Give what shows the progress of a job: a bar at a terminal, elsewhere few lines.

        With `beside` they never go to stdout, where the data of a reading command go.
        """
        from cellbank.cli.progress import Shown

        shown = Shown(self.note if beside else self.say, bars=bars_here(), silent=self.quiet)
        try:
            yield shown
        finally:
            shown.close()


def at_terminal() -> bool:
    """Whether somebody is there who can be asked."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()


def bars_here() -> bool:
    """Whether stderr is a terminal on which a line can be written over."""
    return sys.stderr.isatty() and os.environ.get("TERM", "") not in ("", "dumb")


def emit(text: str, *, to_stdout: bool = True) -> None:
    """Write text and flush it; raises `DiskError` where stdout cannot be written to."""
    if to_stdout:
        _to_stdout(lambda: sys.stdout.write(text))
        return
    # A stderr that nobody reads must not stop a job.
    with contextlib.suppress(OSError):
        sys.stderr.write(text)
        sys.stderr.flush()


def emit_bytes(data: bytes | memoryview) -> None:
    """Write raw bytes to stdout; raises `DiskError` where it cannot be written to."""
    _to_stdout(lambda: sys.stdout.buffer.write(data))


def _to_stdout(write: Callable[[], int]) -> None:
    try:
        write()
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        reason = (error.strerror or "cannot be written to").lower()
        raise DiskError("standard output", reason) from None
