"""Text for people: made harmless, sizes rounded, columns aligned."""

import re
from collections.abc import Iterable, Sequence
from typing import Final

SHORT: Final = 12
"""So many digits of a revision are shown to people; JSON has all 64."""

# What could move the cursor, change colours or reorder a line at a terminal: control characters,
# line and paragraph separators, and marks of writing direction.
_HARMFUL: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]"
)
_LOGIN_IN_URL: Final = re.compile(r"://[^/\s@]*@")


def _escaped(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def safe(text: str) -> str:
    """Return text as one line that no terminal takes for anything else."""
    return _HARMFUL.sub(_escaped, text)


def safe_json(text: str) -> str:
    r"""Return JSON that means the same and that no terminal obeys: `\u009b` for its character."""
    return _HARMFUL.sub(
        lambda found: found[0] if found[0] == "\n" else f"\\u{ord(found[0]):04x}", text
    )


def ascii_json(text: str) -> str:
    r"""Return JSON that means the same in ASCII, for a stream that takes nothing else."""

    def spelled(found: re.Match[str]) -> str:
        units = found[0].encode("utf-16-be").hex()
        return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))

    return re.sub("[^\x00-\x7f]", spelled, text)


def without_secrets(text: str, secrets: Iterable[str]) -> str:
    """Return text without these secrets and without the user and password of any URL."""
    for secret in secrets:
        text = text.replace(secret, "***")
    return _LOGIN_IN_URL.sub("://***@", text)


def size(count: float) -> str:
    """Return a number of bytes as a person reads it: `1.9 GB`, `24.0 MB`, `512 bytes`."""
    from cellbank.display import megabytes

    return megabytes(count)


def some(count: int, one: str, many: str = "") -> str:
    """Return a number with its noun: `1 entry`, `2,433 entries`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def short(revision: str) -> str:
    """Return the first digits of a revision."""
    return revision[:SHORT]


def when(time: str) -> str:
    """Return a time of the log as a person reads it: `2025-11-22 13:30`, in UTC."""
    return time[:16].replace("T", " ")


def columns(rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> list[str]:
    """Return rows as lines of aligned columns; those in `right` stand to the right."""
    if not rows:
        return []
    clean = [[safe(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*clean, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if i in right else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in clean
    ]
