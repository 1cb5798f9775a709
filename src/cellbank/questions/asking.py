"""A question about sources, and its answer: what the public functions and subsets are made of."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from cellbank.model.progress import Watcher, ignore
from cellbank.questions.answer import Answer
from cellbank.questions.kinds import Kind
from cellbank.questions.process import asker
from cellbank.questions.question import Limits, Question, too_much
from cellbank.questions.sources import Source

CELL_BYTES: Final = 64
"""What a value takes in Python, about."""


def ask(
    sources: Sequence[Source],
    question: Question,
    limits: Limits | None = None,
    watch: Watcher = ignore,
    *,
    several: bool = False,
) -> Answer:
    """Return the answer to a question.

    Parameters
    ----------
    sources
        What is asked about.
    question
        The question.
    limits
        How long it may take, and how much memory.
    watch
        Is told of what is brought from a remote.
    several
        Whether rows say which package they are of.

    Returns
    -------
    Answer
        All rows.

    Raises
    ------
    BadQuestion
        It cannot be asked, may not be asked, or went beyond a limit.
    """
    limits = limits or Limits()
    names, kinds, found = batches(sources, question, limits, watch, several=several, kept=True)
    rows: list[tuple[Any, ...]] = []
    for batch in found:
        rows += batch
        if len(rows) * len(names) * CELL_BYTES > limits.memory:
            raise too_much(question.text, limits.memory)
    return Answer(names, kinds, rows)


def batches(
    sources: Sequence[Source],
    question: Question,
    limits: Limits | None = None,
    watch: Watcher = ignore,
    *,
    several: bool = False,
    kept: bool = False,
) -> tuple[list[str], list[Kind], Iterator[list[tuple[Any, ...]]]]:
    """Return names and kinds of the columns, and rows as they come, many at once; as `ask`."""
    messages = asker.ask(sources, question, limits or Limits(), watch, several=several, kept=kept)
    names, kinds = next(messages)[1]
    return names, kinds, (rows for _, rows in messages)


def value(
    sources: Sequence[Source],
    question: Question,
    limits: Limits | None = None,
    watch: Watcher = ignore,
    *,
    several: bool = False,
    scratch: str = "",
) -> Any:
    """Return what is told of sources in place of rows: a description, changes, a file's rows."""
    messages = asker.ask(
        sources, question, limits or Limits(), watch, several=several, scratch=scratch
    )
    found = [one for _, one in messages]
    return found[0]
