"""The published walk-through as data: its cells, and what stands printed below each."""

import re
from pathlib import Path

import msgspec
import pytest

PAGE = Path(__file__).resolve().parents[2] / "shared" / "walkthrough.md"
_FENCE = re.compile(r"^```python\n(.*?)^```\n", re.MULTILINE | re.DOTALL)
_PRINTED = re.compile(r"^    .*\n", re.MULTILINE)


class Cell(msgspec.Struct, frozen=True):
    """One cell: its code, what it printed, and how many figures it drew."""

    code: str
    printed: str
    figures: int


def cells_of(page: str) -> list[Cell]:
    """Return the cells of the page in their order."""
    _, *parts = _FENCE.split(page)
    return [
        Cell(code, _printed(below), below.count("![png]"))
        for code, below in zip(parts[::2], parts[1::2], strict=True)
    ]


def _printed(below: str) -> str:
    return "".join(line[4:] for line in _PRINTED.findall(below))


def with_cellbank(code: str) -> str:
    """Return a cell with `quilt` replaced by `cellbank`, and nothing else changed."""
    return re.sub(r"\bquilt\b", "cellbank", code)


CELLS = cells_of(PAGE.read_text()) if PAGE.is_file() else []
NEEDS_THE_PAGE = pytest.mark.skipif(not CELLS, reason="the page ../shared/walkthrough.md is absent")
