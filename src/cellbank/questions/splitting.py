"""Lists as people write them: `gene, avg(passage), clone`."""

from typing import Final

_OPEN: Final = {"(": ")", "[": "]", "{": "}"}


def split(text: str) -> list[str]:
    """Return the parts between commas that stand in no brackets and no quotes.

    Parameters
    ----------
    text
        As somebody wrote it.

    Returns
    -------
    list[str]
        The parts, without spaces around them.

    Examples
    --------
    >>> split("gene, round(cell_viability, 1), 'a, b'")
    ['gene', 'round(cell_viability, 1)', "'a, b'"]
    """
    parts, start, depth, quote = [], 0, 0, ""
    for at, char in enumerate(text):
        if quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        elif char in _OPEN:
            depth += 1
        elif char in _OPEN.values():
            depth -= 1
        elif char == "," and depth <= 0:
            parts.append(text[start:at])
            start = at + 1
    return [part.strip() for part in (*parts, text[start:]) if part.strip()]
