"""Packages that have pages, and a reader of HTML, for the tests of the catalog."""

import json
from html.parser import HTMLParser

from tests.registry.asking import Asker, Reply

README = """# Tight junctions

Images of *cells*.

| group | records |
|:--|--:|
| `fovs` | 40 |

## Licence

[CC BY 4.0](https://creativecommons.org/licenses/by/4.0/)
"""
SCHEMA = {
    "unique_fov_info": {
        "cell_viability": {
            "description": "share of living cells",
            "example_value": 98.5,
            "origin": "meta/cell_viability",
            "value_types": ["<type 'float'>"],
            "unit": "%",
            "nullable": True,
            "coverage": 0.975,
            "distinct": 12,
            "minimum": 96.7,
            "maximum": 100.0,
            "type": "number",
        },
        "instrument": {
            "description": "microscope",
            "example_value": "ZSD1",
            "origin": "meta/instrument",
            "value_types": ["<type 'str'>"],
        },
    },
    "unique_line_info": {},
}
CELLS: dict[str, bytes] = {
    "README": README.encode(),
    "SCHEMA": json.dumps(SCHEMA).encode(),
    "lines/line_AICS_23/info/load": b'{"line":"AICS-23"}',
    **{f"fovs/fov_{n:02}/info/load": b'{"n":%d}' % n for n in range(40)},
    **{f"fovs/fov_{n:02}/image/load": b"image %d" % n for n in range(40)},
}

VOID = {"br", "hr", "img", "input", "link", "meta", "wbr", "col"}


class Html(HTMLParser):
    """A page: its elements with their attributes and text, and whether each was closed in order."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.all: list[tuple[str, dict[str, str]]] = []
        self.texts: list[list[str]] = []
        self.crooked: list[str] = []
        self._open: list[int] = []
        self.feed(page.decode())
        self.close()
        self.crooked += [self.all[at][0] for at in self._open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.all.append((tag, {name: value or "" for name, value in attrs}))
        self.texts.append([])
        if tag not in VOID:
            self._open.append(len(self.all) - 1)

    def handle_endtag(self, tag: str) -> None:
        if tag in VOID:
            return
        if self._open and self.all[self._open[-1]][0] == tag:
            self._open.pop()
        else:
            self.crooked.append(tag)

    def handle_data(self, data: str) -> None:
        for at in self._open:
            self.texts[at].append(data)

    def text(self, tag: str = "body", **attributes: str) -> str:
        """The text of the first such element, its white space folded."""
        return self.each(tag, **attributes)[0]

    def each(self, tag: str, **attributes: str) -> list[str]:
        wanted = {name.replace("_", "-").strip("-"): text for name, text in attributes.items()}
        return [
            " ".join("".join(self.texts[at]).split())
            for at, (kind, has) in enumerate(self.all)
            if kind == tag and wanted.items() <= has.items()
        ]

    def values(self, name: str) -> list[str]:
        """All values of an attribute, such as `href`."""
        return [attributes[name] for _, attributes in self.all if name in attributes]

    def headings(self) -> list[int]:
        return [int(tag[1]) for tag, _ in self.all if tag in ("h1", "h2", "h3", "h4", "h5", "h6")]


class Browser:
    """Asks for pages as a browser does, without one."""

    def __init__(self, url: str, token: str | None = None) -> None:
        self._ask = Asker(url, token)

    def get(self, path: str, method: str = "GET", **headers: str) -> Reply:
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        return self._ask(method, path, headers={"Accept": "text/html,*/*;q=0.8", **named})

    def page(self, path: str, status: int = 200) -> Html:
        reply = self.get(path)
        assert status == reply.status, reply.body
        assert "text/html; charset=utf-8" == reply.headers["content-type"]
        return Html(reply.body)
