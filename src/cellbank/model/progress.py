"""Progress: what a long job tells whoever is watching, as plain values."""

from collections.abc import Callable

import msgspec


class Progress(msgspec.Struct, frozen=True):
    """One step of a job: so many of so many bytes (or entries) are done."""

    job: str
    done: int
    total: int


class Said(msgspec.Struct, frozen=True):
    """A line that the user should read."""

    text: str


Watcher = Callable[[Progress | Said], None]


def ignore(_event: Progress | Said) -> None:
    """Watch nothing."""
