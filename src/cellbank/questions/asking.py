"""A question about sources, and its answer: what the public functions and subsets are made of."""

from collections.abc import Sequence
from typing import Any

from cellbank.model.progress import Watcher, ignore
from cellbank.questions.answer import Answer
from cellbank.questions.process import asker
from cellbank.questions.question import Limits, Question
from cellbank.questions.sources import Source


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
    messages = asker.ask(sources, question, limits or Limits(), watch, several=several)
    names, kinds = next(messages)[1]
    rows: list[tuple[Any, ...]] = []
    for _, batch in messages:
        rows += batch
    return Answer(names, kinds, rows)


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
