"""The published walk-through as data: its cells, and what stands printed below each."""

import re

import msgspec

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
