"""A README as safe HTML: Markdown rendered, then cleaned of whatever acts, or asks a third party.

Raw HTML in it is kept as far as it is harmless. Headings go below the page's own, and their ids
and the links to them get a prefix, so that they cannot be taken for ids of the page.
"""

import re
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Final

import msgspec
import nh3
from markdown_it import MarkdownIt
from markdown_it.token import Token
from mdit_py_plugins.front_matter import front_matter_plugin

RENDERED_UP_TO: Final = 128 << 10
"""Longer ones are shown as plain text: rendering takes time, and nobody reads so much here."""
MAX_TAGS: Final = 500
"""With more raw HTML than this it is shown as text: cleaning deep nests takes very long."""
MAX_HTML: Final = 2 << 20
PREFIX: Final = "readme-"
MAX_TITLE: Final = 120

_TAGS: Final = re.findall(
    r"\w+",
    "a abbr b blockquote br caption cite code col colgroup dd del details dfn div dl dt "
    "em figcaption figure h1 h2 h3 h4 h5 h6 hr i img ins kbd li mark ol p pre q s samp "
    "small span strong sub summary sup table tbody td tfoot th thead tr tt u ul var",
)
_ATTRIBUTES: Final = {
    "a": {"href", "title"},
    "abbr": {"title"},
    "details": {"open"},
    "img": {"src", "alt", "title", "width", "height"},
    "ol": {"start"},
    "td": {"align", "colspan", "rowspan"},
    "th": {"align", "colspan", "rowspan"},
    **{f"h{level}": {"id"} for level in range(1, 7)},
}
_AWAY: Final = re.compile(r"https?://[^/\s]|mailto:", re.IGNORECASE)
_PICTURE: Final = re.compile(r"data:image/(?:png|gif|jpeg|webp);base64,[A-Za-z0-9+/=]+")
_TAG: Final = re.compile(r"<[A-Za-z/!]")
_LICENCE: Final = re.compile(
    r"^[ \t]{0,3}(?:[-*+][ \t]+)?[*_]{0,2}licen[cs]e[*_]{0,2}[ \t]*:[*_]{0,2}[ \t]*(\S[^\n]{0,200})"
    r"|^#{1,6}[ \t]+licen[cs]e\b[^\n]*\n+(\S[^\n]{0,200})",
    re.IGNORECASE | re.MULTILINE,
)


class Readme(msgspec.Struct, frozen=True):
    """A README as a page shows it: as HTML that is safe, or where that cannot be, as text."""

    title: str = ""
    licence: str = ""
    html: str = ""
    text: str = ""
    note: str = ""


def read_readme(data: bytes) -> Readme:
    """Return a README; whatever its bytes are, something can be shown."""
    text = data.decode(errors="replace").removeprefix("\ufeff")
    note = "Some bytes of this README are not UTF-8." if "\ufffd" in text else ""
    title, licence = title_of(text), licence_of(text)
    if len(data) > RENDERED_UP_TO:
        note = "This README is too long to be rendered; its beginning stands here as plain text."
        return Readme(title, licence, "", text[:RENDERED_UP_TO], note)
    html = rendered(text)
    if html is None:
        return Readme(title, licence, "", text, "This README is shown as plain text.")
    return Readme(title, licence, html, "", note)


def title_of(text: str) -> str:
    """Return the first heading of a README as plain text, or nothing."""
    tokens = _markdown(html=False).parse(text.removeprefix("\ufeff")[:16_384])
    for at, token in enumerate(tokens):
        if token.type == "heading_open" and (said := _plain(tokens[at + 1])):
            return said[:MAX_TITLE]
    return ""


def licence_of(text: str) -> str:
    """Return the licence that a README tells of, in a line or under a heading, or nothing."""
    found = _LICENCE.search(text)
    if found is None:
        return ""
    inline = _markdown(html=False).parseInline((found[1] or found[2]).strip())
    return _plain(inline[0])[:MAX_TITLE] if inline else ""


def rendered(text: str) -> str | None:
    """Return the HTML of a README, or None where it cannot be rendered in decent time."""
    markdown = _markdown(html=len(_TAG.findall(text)) <= MAX_TAGS)
    try:
        tokens = markdown.parse(text)
        _lower_headings(tokens)
        for token in _all(tokens):
            _tame(token)
        html = markdown.renderer.render(tokens, markdown.options, {})
    except RecursionError:
        return None
    if len(html) > MAX_HTML:
        return None
    clean = nh3.clean(
        html,
        tags=set(_TAGS),
        attributes={tag: set(names) for tag, names in _ATTRIBUTES.items()},
        attribute_filter=_attribute,
        url_schemes={"http", "https", "mailto", "data"},
        link_rel="nofollow noopener",
    )
    return clean if len(clean) <= MAX_HTML else None


@cache
def _markdown(*, html: bool) -> MarkdownIt:
    made = MarkdownIt("commonmark", {"html": html}).enable(["table", "strikethrough"])
    return made.use(front_matter_plugin)


def _all(tokens: Iterable[Token]) -> Iterable[Token]:
    for token in tokens:
        yield token
        yield from token.children or ()


def _plain(inline: Token) -> str:
    said = [t.content or " " * t.type.endswith("break") for t in inline.children or ()]
    return " ".join("".join(said).split())


def _lower_headings(tokens: Sequence[Token]) -> None:
    """Begin at level 2 and skip no level; give each heading an id."""
    opening = [(at, t) for at, t in enumerate(tokens) if t.type == "heading_open"]
    highest = min((int(token.tag[1]) for _, token in opening), default=1)
    before, used = 1, dict[str, int]()
    for at, token in opening:
        level = min(int(token.tag[1]) - highest + 2, before + 1, 6)
        # A heading is three tokens: it opens, its text, it closes.
        token.tag = tokens[at + 2].tag = f"h{level}"
        before = level
        slug = unique = _slug(_plain(tokens[at + 1]))
        while unique in used:
            # Counted, so that a thousand headings that are alike do not take a million steps.
            used[slug] += 1
            unique = f"{slug}-{used[slug]}"
        used[unique] = 0
        token.attrSet("id", PREFIX + unique)


def _slug(text: str) -> str:
    return re.sub(r"[^\w\- ]", "", text.lower()).strip().replace(" ", "-")[:80] or "section"


def _tame(token: Token) -> None:
    """Change what markdown-it writes and the page's policy, or its outline, would not bear."""
    style = str(token.attrs.pop("style", ""))
    if style.startswith("text-align:"):
        token.attrSet("align", style.removeprefix("text-align:"))
    if token.type == "image" and not _PICTURE.fullmatch(str(token.attrGet("src") or "")):
        # We serve no pictures yet, and those of others would tell them who reads this.
        token.type, token.content = "text", f"[picture: {token.content}]"
    if token.type in ("html_block", "html_inline"):
        token.content = re.sub(r"(?i)<(/?)h1\b", r"<\1h2", token.content)


def _attribute(tag: str, name: str, value: str) -> str | None:
    """Return the value that an attribute of the README may have, or None to drop it."""
    match tag, name:
        case "a", "href":
            if value.startswith("#"):
                return f"#{PREFIX}{value[1:].removeprefix(PREFIX)}"
            # What is relative would lead to pages that are not there.
            return value if _AWAY.match(value) else None
        case "img", "src":
            return value if _PICTURE.fullmatch(value) else None
        case _, "id":
            return value if value.startswith(PREFIX) else None
        case _, "align":
            return value if value in ("left", "right", "center") else None
        case _, "width" | "height" | "colspan" | "rowspan" | "start":
            return value if re.fullmatch(r"[0-9]{1,4}", value) else None
        case _:
            return value
