"""HTML for notebooks: everything is escaped that is not made here, and looks are inline.

A notebook's own style sheets are stronger than a class, and viewers of saved notebooks drop
`<style>`: so every element carries its style, and reads well without.
"""

import unicodedata
from html import escape
from typing import Final

NAME: Final = 80
"""Characters of a name that are shown."""
QUIET: Final = "opacity:.75"
LINE: Final = "1px solid var(--jp-border-color2, rgba(128,128,128,.35))"
CODE: Final = "font-family:var(--jp-code-font-family, monospace)"


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


def element(tag: str, *content: str, **attributes: str | bool) -> Html:
    """Return an element; content that is not `Html` is escaped, and so is every attribute."""
    parts = []
    for name, value in attributes.items():
        if value is True:
            parts.append(f" {name}")
        elif value is not False:
            parts.append(f' {name.rstrip("_").replace("_", "-")}="{escape(str(value))}"')
    start = f"<{tag}{''.join(parts)}>"
    if tag == "img":
        return Html(start)
    inside = "".join(one if isinstance(one, Html) else escape(one) for one in content)
    return Html(f"{start}{inside}</{tag}>")


def joined(parts: "list[Html]", between: str = "") -> Html:
    """Return pieces of HTML one behind the other."""
    return Html(escape(between).join(parts))


def visible(text: str, length: int = NAME) -> str:
    """Return a text in one short line, in which nothing is hidden or turns the direction round."""
    plain = "".join(
        char if unicodedata.category(char) not in {"Cc", "Cf", "Zl", "Zp"} else "�"
        for char in text[: length + 1]
    )
    return plain if len(text) <= length else f"{plain[: length - 1]}…"


def table(rows: "list[tuple[str, str]]", caption: str = "") -> Html:
    """Return a table of two columns: what, and what it is."""
    cell = "text-align:left;padding:2px 16px 2px 0;vertical-align:top;border:0"
    head = f"{cell};font-weight:600;white-space:nowrap"
    lines = [
        element(
            "tr",
            element("th", name, scope="row", style=head),
            element("td", value, style=cell),
            style="background:none",
        )
        for name, value in rows
    ]
    style = "border-collapse:collapse;border:0;margin:0;color:inherit;font:inherit"
    title = f"text-align:left;caption-side:top;padding:0;color:inherit;{QUIET}"
    above = [element("caption", caption, style=title)] if caption else []
    return element("table", *above, *lines, style=style)


def amount(count: int, one: str, many: str = "") -> str:
    """Return a number with its noun."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def sized(count: float) -> str:
    """Return a number of bytes as a person reads it: `1.9 GB`, `24.0 MB`, `512 bytes`."""
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count:.0f} bytes"
