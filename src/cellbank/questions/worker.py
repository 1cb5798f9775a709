"""The process that answers: it reads questions from its input and writes answers to its output.

It is a process of its own so that nothing a question does can harm who asks: the system itself
holds it to its memory, and whoever waits too long ends it. Both sides are ours; nobody else writes
to either end.
"""

import os
import resource
import signal
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, Final

import msgspec

from cellbank.cells.computing import TOO_DEEP
from cellbank.cells.duck import duckdb_library
from cellbank.config import Config
from cellbank.model.errors import CellbankError
from cellbank.questions.pipe import read_message, write_message
from cellbank.questions.question import Question, bad
from cellbank.questions.sources import Opened, Source

ENGINES: Final = 4
"""So many sets of sources stay open, for more questions about them."""
PARENT_SECONDS: Final = 0.5
ROOM: Final = 512 << 20
"""Beside the memory of the question: what threads set aside and never use."""


def main() -> None:
    """Answer until there is no more to ask."""
    # Whoever asks is stopped by Ctrl-C, and ends us.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    questions = sys.stdin.buffer
    # What any library writes to its output goes elsewhere: it would be taken for an answer.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    desk = Desk(answers)
    # What libraries say at the end of a process is nobody's business here.
    with suppress(EOFError, BrokenPipeError):
        while True:
            desk.answer(*read_message(questions))
    desk.close()
    os._exit(0)


def _end_with(parent: int) -> None:
    """End when the one who asks is gone, however it went: nobody else would end a question."""
    while os.getppid() == parent:
        time.sleep(PARENT_SECONDS)
    os._exit(1)


class Desk:
    """Answers questions one after the other; what it opened for one it keeps for the next."""

    def __init__(self, answers: BinaryIO) -> None:
        self._answers = answers
        self._engines: OrderedDict[tuple[Any, ...], Any] = OrderedDict()
        # The slowest of it is needed in any case: it is read while the other side looks up
        # what is asked about.
        # A library that is not there is told when something is asked.
        with suppress(ModuleNotFoundError):
            duckdb_library()
            import cellbank.questions.engine  # noqa: F401

    def close(self) -> None:
        """Close what is open."""
        while self._engines:
            self._engines.popitem()[1].close()

    def answer(
        self,
        sources: Sequence[Source],
        question: Question,
        memory: int,
        scratch: str,
        several: bool,
        settings: bytes,
    ) -> None:
        """Answer one question; an error is an answer too."""
        engine = None
        try:
            engine = self._engine(tuple(sources), memory, scratch, several, settings)
            for one in engine.sources:
                one.watch = lambda value: self._say("said", value)
            for message in _answers(engine, question, lambda: self._say("asking")):
                self._say(*message)
            self._say("done")
        except (BrokenPipeError, EOFError):
            raise
        except Exception as error:  # noqa: BLE001  it is told where the question was asked
            known: Exception | None = engine.cause() if engine is not None else None
            if isinstance(error, RecursionError):
                known = bad(question.text, TOO_DEEP)
            if known is not None or isinstance(error, CellbankError):
                self._say("error", known or error)
            else:
                self._say("failed", f"{type(error).__name__}: {error}")

    def _say(self, *message: Any) -> None:
        write_message(self._answers, message)

    def _engine(
        self,
        sources: tuple[Source, ...],
        memory: int,
        scratch: str,
        several: bool,
        settings: bytes,
    ) -> Any:
        from cellbank.questions.engine import Engine

        key = (sources, memory, scratch, several, settings)
        if key in self._engines:
            self._engines[key].put_back()
        else:
            while len(self._engines) >= ENGINES:
                self._engines.popitem(last=False)[1].close()
            config = msgspec.json.decode(settings, type=Config)
            opened = [Opened(source, config) for source in sources]
            self._engines[key] = Engine(opened, memory, scratch, several=several)
        self._engines.move_to_end(key)
        return self._engines[key]


def _answers(engine: Any, question: Question, asking: Any) -> Iterator[tuple[Any, ...]]:
    """Yield what the answer to a question consists of."""
    from cellbank.questions.condition import short_sql

    if question.describe:
        from cellbank.questions.describe import described

        asking()
        yield "value", described(engine, question.kind)
        return
    if question.changes:
        from cellbank.questions.changes import changed

        asking()
        yield "value", changed(engine, question.kind)
        return
    if question.sql:
        sql, place = engine.resolve(question.sql), None
    else:
        short = short_sql(engine, question)
        sql, place = short.sql, short.place
    asking()
    with _held_to(engine.memory):
        if question.file:
            yield "value", engine.write(sql, question.text, place)
            return
        kind = "head"
        for batch in engine.rows(sql, question.text, place):
            yield kind, batch
            kind = "rows"


class _held_to:  # noqa: N801  reads as what it is: `with _held_to(memory)`
    """Let this process have so much more memory than it has now; more is refused to it."""

    def __init__(self, memory: int) -> None:
        self._memory = memory
        self._before = resource.getrlimit(resource.RLIMIT_AS)

    def __enter__(self) -> None:
        with suppress(OSError, ValueError):
            pages = int(Path("/proc/self/statm").read_text().split()[0])
            now = pages * resource.getpagesize()
            limit = now + self._memory + ROOM
            resource.setrlimit(resource.RLIMIT_AS, (limit, self._before[1]))

    def __exit__(self, *_: object) -> None:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_AS, self._before)
