"""How pages look: the templates, what they may call, and the static files under names that last."""

import functools
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import jinja2
from markupsafe import Markup, escape

from cellbank.model.digest import digest_of

_HERE: Final = Path(__file__).parent
_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
STATIC: Final = "/-/static/"


def _load_static() -> tuple[dict[str, str], dict[str, tuple[bytes, str]]]:
    """Return the static files: address by name, and content by the last part of the address."""
    addresses, contents = {}, {}
    for file in sorted((_HERE / "static").iterdir()):
        if file.suffix in _TYPES:
            data = file.read_bytes()
            # The digest in the name: such a file never changes and can be kept for ever.
            name = f"{file.stem}-{digest_of(data)[:16]}{file.suffix}"
            addresses[file.name] = STATIC + name
            contents[name] = (data, _TYPES[file.suffix])
    return addresses, contents


_addresses, static_files = _load_static()


def _load_look() -> str:
    sources = [
        file for file in sorted(_HERE.rglob("*")) if file.suffix in (*_TYPES, ".html", ".py")
    ]
    return digest_of(b"".join(file.read_bytes() for file in sources))


LOOK: Final = _load_look()
"""Changes whenever a page of the same facts may look otherwise."""


def size(number: int) -> str:
    """Return a number of bytes as a person reads it."""
    for unit, one in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if number >= one:
            return f"{number / one:.1f} {unit}"
    return "1 byte" if number == 1 else f"{number} bytes"


def count(number: int, one: str, many: str = "") -> str:
    """Return `3 entries`: a number with the word that fits it."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def when(text: str, *, day: bool = False) -> str:
    """Return a time of a log as an element; what is none is shown as it is."""
    try:
        moment = datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        return escape(text[:40])
    shown = f"{moment.day} {moment:%b %Y}" + ("" if day else f", {moment:%H:%M} UTC")
    return Markup('<time datetime="{}">{}</time>').format(moment.isoformat(), shown)


def anchor(text: str) -> str:
    """Return text as a part of an id."""
    return re.sub(r"[^\w-]", "-", text)


@functools.cache
def _environment() -> jinja2.Environment:
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters |= {"size": size, "count": count, "when": when, "safe_html": Markup}
    made.globals |= {"static": _addresses.__getitem__}
    return made


def render(template: str, **facts: Any) -> bytes:
    """Return a page as bytes."""
    # A lone surrogate in somebody's text must not cost the page.
    return _environment().get_template(template).render(facts).encode(errors="replace")
