"""Asking: a question is sent to the process that answers, and its answer comes back."""

import atexit
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from cellbank import config as _config
from cellbank.model.errors import BadQuestion
from cellbank.model.extras import lacking
from cellbank.model.progress import Watcher, ignore
from cellbank.questions.pipe import read_message, write_message
from cellbank.questions.question import Limits, Question, bad, too_much

if TYPE_CHECKING:
    from cellbank.questions.sources import Source

READ_BYTES: Final = 1 << 20
_MAIN: Final = "from cellbank.questions.worker import main; main()"


class Asker:
    """The process that answers, as it is seen from here.

    Invariant: one question at a time. After a question that was not answered to its end, for
    whatever reason, the process is ended, and the next question has a new one.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0

    def start(self) -> None:
        """Let the process get ready; what else there is to do can be done meanwhile."""
        if self._owner != os.getpid():
            # After a fork the process is our parent's, and so is the lock.
            self._process, self._owner, self._lock = None, os.getpid(), threading.Lock()
        if self._process is None or self._process.poll() is not None:
            self._end()
            place = str(Path(__file__).resolve().parents[2])
            path = os.pathsep.join(filter(None, [place, os.environ.get("PYTHONPATH", "")]))
            self._process = subprocess.Popen(  # noqa: S603  our own, in this Python
                [sys.executable, "-P", "-c", _MAIN],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                bufsize=0,
                stderr=None if os.environ.get("CELLBANK_DEBUG") else subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": path},
            )

    def ask(
        self,
        sources: "Sequence[Source]",
        question: Question,
        limits: Limits,
        watch: Watcher = ignore,
        *,
        several: bool = False,
        scratch: str = "",
        kept: bool = True,
    ) -> Iterator[tuple[str, Any]]:
        """Yield what comes back, message after message: `head`, then `rows`; or one `value`.

        What is `kept` by who asks may be no more than the memory of the question.

        Raises `BadQuestion`: It cannot be asked, may not be asked, or went beyond a limit. Raises
        what reading the tables raises.
        """
        question.check()
        with self._lock:
            self.start()
            whole = False
            try:
                self._send((tuple(sources), question, limits.memory, scratch, several, _settings()))
                for kind, *rest in self._messages(question, limits, kept=kept):
                    if kind == "said":
                        watch(rest[0])
                    elif kind in ("done", "error", "failed"):
                        whole = True
                        _raise_if_wrong(kind, rest, question)
                        return
                    elif kind != "asking":
                        yield kind, rest[0]
            finally:
                if not whole:
                    self._end()

    def close(self) -> None:
        """End the process."""
        if self._owner == os.getpid():
            self._end()

    def _send(self, message: Any) -> None:
        assert self._process is not None  # noqa: S101  start() was called
        assert self._process.stdin is not None  # noqa: S101  it is a pipe
        # What it has to say, or that it is gone, is seen when the answer is read.
        with suppress(BrokenPipeError):
            write_message(self._process.stdin, message)  # type: ignore[arg-type]

    def _messages(
        self, question: Question, limits: Limits, *, kept: bool
    ) -> Iterator[tuple[Any, ...]]:
        """Yield messages; the time spent on the answer counts, not how slowly it is taken."""
        process = self._process
        assert process is not None  # noqa: S101  start() was called
        assert process.stdout is not None  # noqa: S101  it is a pipe
        waiting = _Waiting(process.stdout.fileno(), limits.memory if kept else None)
        while True:
            try:
                message = read_message(waiting)
            except TimeoutError:
                raise _too_long(question, limits) from None
            except MemoryError:
                raise too_much(question.text, limits.memory) from None
            except EOFError:
                raise _gone(question) from None
            if message[0] == "asking":
                waiting.begin(limits.seconds)
            yield message

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        for stream in (process.stdin, process.stdout):
            with suppress(OSError):
                assert stream is not None  # noqa: S101  both are pipes
                stream.close()
        process.wait()


class _Waiting:
    """The pipe that answers come through, with a limit to how long they may take.

    What counts is the time that is waited for them, and that of this thread on what came: where
    somebody takes it slowly, nothing is at work. `room` are the bytes that may still come; None
    takes all.
    """

    def __init__(self, descriptor: int, room: int | None) -> None:
        self._descriptor = descriptor
        self._room = room
        self._left: float | None = None
        self._worked = 0.0

    def begin(self, seconds: float) -> None:
        """Let the time run; before, it is waited as long as it takes."""
        self._left = seconds
        self._worked = time.thread_time()

    def read(self, length: int) -> bytes:
        """Return so many bytes, fewer at the end; raises `TimeoutError`, `MemoryError`."""
        if self._room is not None:
            self._room -= length
            if self._room < 0:
                raise MemoryError
        parts: list[bytes] = []
        while length:
            self._wait()
            part = os.read(self._descriptor, min(length, READ_BYTES))
            if not part:
                break
            parts.append(part)
            length -= len(part)
        return b"".join(parts)

    def _wait(self) -> None:
        if self._left is None:
            return
        began, worked = time.monotonic(), time.thread_time()
        self._left = max(self._left - max(worked - self._worked, 0.0), 0.0)
        ready, _, _ = select.select([self._descriptor], [], [], self._left)
        self._left = max(self._left - (time.monotonic() - began), 0.0)
        self._worked = time.thread_time()
        if not (ready and self._left):
            raise TimeoutError


def _settings() -> bytes:
    """Return the configuration of now: that of the process that answers may be older."""
    return msgspec.json.encode(_config.read())


def _raise_if_wrong(kind: str, rest: Sequence[Any], question: Question) -> None:
    if kind == "error":
        raise rest[0]
    if kind == "failed":
        if "No module named 'duckdb'" in rest[0]:
            missing = ModuleNotFoundError(rest[0], name="duckdb")
            raise lacking(missing) or missing
        raise bad(question.text, f"it could not be answered: {rest[0]}")


def _too_long(question: Question, limits: Limits) -> BadQuestion:
    advice = "Ask for less, or allow more: --timeout 300 (timeout=300 in Python)."
    return bad(question.text, f"it takes more than {limits.seconds:g} seconds", advice=advice)


def _gone(question: Question) -> BadQuestion:
    advice = "Ask for less, or allow more memory: --memory 4GB (memory='4GB' in Python)."
    return bad(
        question.text,
        "the process that was answering came to an end, probably for lack of memory",
        advice=advice,
    )


asker: Final = Asker()
"""The one of this process: it keeps what it opened for the next question."""
atexit.register(asker.close)
