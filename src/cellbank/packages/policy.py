"""What happens where bytes are wanted that are not here: fetched, asked about, or refused."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import msgspec

from cellbank.config import POLICIES
from cellbank.model.errors import BadInput
from cellbank.model.manifest import Entry
from cellbank.model.reference import Package

Ask = Callable[[str], bool]
"""Answers a question that ends in `(y/n)`."""

_askers: Final[list[Ask]] = []


class Policy(msgspec.Struct, frozen=True):
    """`what` is `fetch`, `ask` or `refuse`; `ask` answers, where `what` says so."""

    what: str = "fetch"
    ask: Ask | None = None

    def refusal(self, package: Package, entries: Sequence[Entry], address: str) -> str:
        """Return why these may not come from the remote at `address`; nothing where they may."""
        if self.what == "fetch" or not entries:
            return ""
        if self.what == "refuse":
            return "nothing is fetched by itself here"
        ask = self.ask or next(iter(_askers), None)
        if ask is None:
            return "nobody is there to be asked whether it may be fetched"
        return "" if ask(_question(package, entries, address)) else "it was not to be fetched"


def _question(package: Package, entries: Sequence[Entry], address: str) -> str:
    size = sum(entry.size for entry in entries)
    what = entries[0].path if len(entries) == 1 else f"{len(entries):,} objects"
    return f"Fetch {what} of {package} ({size:,} bytes) from {address}? (y/n)"


def policy_of(what: str | None, ask: Ask | None, otherwise: str) -> Policy:
    """Return the policy that a call names, else the one that is set; raises `BadInput`."""
    if what is not None and what not in POLICIES:
        raise BadInput(f"{what!r:.60} is no policy", f"Say one of: {', '.join(POLICIES)}.")
    return Policy(what or ("ask" if ask is not None else otherwise), ask)


@contextmanager
def answered_by(ask: Ask | None) -> Iterator[None]:
    """Let a person answer meanwhile wherever no other was named; for a program at a terminal."""
    before = list(_askers)
    _askers[:] = [ask] if ask is not None else []
    try:
        yield
    finally:
        _askers[:] = before
