"""Who watches a job where the caller named no watcher: the face hands down what makes one."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cellbank.model.progress import Watcher

_makers: "list[Callable[[], Watcher]]" = []


def hand_down(make: "Callable[[], Watcher]") -> None:
    """Set what makes a watcher; the face does so when it is imported."""
    _makers[:] = [make]


@contextmanager
def watched_by(watch: "Watcher") -> "Iterator[None]":
    """Let a watcher hear of all that goes on meanwhile; for a program that does one thing."""
    before = list(_makers)
    _makers[:] = [lambda: watch]
    try:
        yield
    finally:
        _makers[:] = before


def default_watcher() -> "Watcher":
    """Return a watcher for a job; one that ignores everything where none was handed down."""
    from cellbank.model.progress import ignore

    return _makers[0]() if _makers else ignore
