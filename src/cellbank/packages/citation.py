"""How to cite a package: by its revision, which stays true for ever, and what it says of itself."""

import re
from collections.abc import Iterable
from typing import Final

import msgspec

from cellbank.model.log import Record, State
from cellbank.model.manifest import Entry
from cellbank.model.reference import Package
from cellbank.packages.facts import Event

MAX_TEXT: Final = 2_000
MAX_AUTHORS: Final = 1_000


class Citation(msgspec.Struct, frozen=True):
    """How to cite a revision, in three forms."""

    text: str
    bibtex: str
    cff: str

    def __str__(self) -> str:
        return f"{self.text}\n\n{self.bibtex}\n\n{self.cff}"


def credit(events: Iterable[Event | Record], revision: str) -> tuple[str, str]:
    """Return who brought a revision and when, by its log: the first who named it."""
    author, date = "", ""
    # The newest come first.
    for event in events:
        if event.revision == revision:
            author, date = event.author, event.time
    return author, date


def _quoted(text: str) -> str:
    """Return text as YAML has it in double quotes, which is JSON."""
    return msgspec.json.encode(text).decode()


class Said(msgspec.Struct, frozen=True):
    """What a package says of itself, for its citation; all of it may be empty."""

    title: str = ""
    authors: tuple[str, ...] = ()
    cite: str = ""
    license: str = ""


NOTHING_SAID: Final = Said()


def said_of(entry: Entry | None) -> Said:
    """Return what a package says of itself in the metadata of its README's entry.

    It is a publisher's text: what is not of the right type, or far too long, counts as not said.
    """
    try:
        said = msgspec.convert((entry.meta or {}) if entry else {}, Said)
    except msgspec.ValidationError:
        return Said()
    long = max(map(len, (said.title, said.cite, said.license, *said.authors)))
    return Said() if long > MAX_TEXT or len(said.authors) > MAX_AUTHORS else said


def _unbraced(text: str) -> str:
    return re.sub("[{}]", "", text)


def _line(text: str) -> str:
    return " ".join(text.split())


def cite(
    package: Package,
    revision: str,
    state: State,
    *,
    author: str,
    date: str,
    where: str,
    said: Said = NOTHING_SAID,
) -> Citation:
    """Return the citation of a revision; it names the revision, so it stays true for ever.

    Who brought it (`author`) stands in it only if the package does not name its authors.
    """
    version = next((v for v, r in sorted(state.versions.items()) if r == revision), "")
    year = date[:4] or "n.d."
    authors = [_line(name) for name in said.authors if name.strip()] or [author or package.owner]
    title = _line(said.title)
    named = f"{package}, version {version}" if version else str(package)
    reference = f"{package}@{revision}"
    titled = f"{title.rstrip('.')}. {named}" if title else named
    text = f"{', '.join(authors)} ({year}). {titled} [data package]. Revision {revision}. {where}"
    text = text.rstrip(". ") + "." + (f" {_line(said.cite)}" if said.cite.strip() else "")
    key = f"{package.owner}_{package.name}_{revision[:8]}"
    fields = {
        "title": f"{{{_unbraced(title) or package}}}",
        "author": " and ".join(f"{{{_unbraced(name)}}}" for name in authors),
        "year": year if date else "",
        "version": version,
        "note": f"data package, cellbank revision {revision}",
        "howpublished": where,
    }
    body = "".join(f"  {name} = {{{value}}},\n" for name, value in fields.items() if value)
    cff = [
        "cff-version: 1.2.0",
        f'message: "To get exactly these data: cellbank install {reference}"',
        "type: dataset",
        f"title: {_quoted(title or str(package))}",
        "authors:",
        *(f"  - name: {_quoted(name)}" for name in authors),
        f'version: "{version or revision[:12]}"',
        "identifiers:",
        "  - type: other",
        f'    value: "{reference}"',
        '    description: "cellbank revision"',
    ]
    if date:
        cff.append(f'date-released: "{date[:10]}"')
    return Citation(text, f"@misc{{{key},\n{body}}}", "\n".join(cff))
