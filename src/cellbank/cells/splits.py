"""Splits for training and testing: decided by the hash of an id, so that they stay."""

from collections.abc import Mapping
from typing import Final

from blake3 import blake3

from cellbank.model.errors import BadInput
from cellbank.model.names import near

FRACTIONS: Final[Mapping[str, float]] = {"train": 0.8, "val": 0.1, "test": 0.1}
_CLOSE: Final = 1e-9


def place_of(name: str, seed: int = 0) -> float:
    """Return where an id lies between 0 and 1: evenly spread, and the same for ever."""
    found = blake3(f"{seed}:{name}".encode()).digest(8)
    # 53 bits are exact in a float, and never 1.
    return (int.from_bytes(found, "big") >> 11) / (1 << 53)


def split_of(name: str, fractions: Mapping[str, float] = FRACTIONS, seed: int = 0) -> str | None:
    """Return the split that an id falls in, whatever else there is; None behind the last one."""
    place, end = place_of(name, seed), 0.0
    for split, fraction in fractions.items():
        end += fraction
        if place < end or (end >= 1 - _CLOSE):
            return split
    return None


def check_splits(split: str | None, fractions: Mapping[str, float]) -> None:
    """Check that fractions can be, and that a split is one of them; raises `BadInput`."""
    sound = all(not isinstance(part, bool) and 0 <= part <= 1 for part in fractions.values())
    if not sound or not fractions or sum(fractions.values()) > 1 + _CLOSE:
        advice = 'Give shares that are 1 together, or less: {"train": 0.8, "test": 0.2}.'
        raise BadInput(f"{dict(fractions)!r:.80} are no shares of a whole", advice)
    if split is not None and split not in fractions:
        close = near(split, fractions)
        advice = f"Did you mean {close[0]}?" if close else f"There are: {', '.join(fractions)}."
        raise BadInput(f"there is no split {split!r:.60}", advice)
