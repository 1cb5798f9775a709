"""READMEs from strangers: rendered where that is safe and quick, shown as text where not."""

import re
import time

import pytest

from cellbank.catalog.readme import MAX_HTML, RENDERED_UP_TO, Readme, read_readme
from tests.catalog.making import Html

HOSTILE = [
    "<script>alert(1)</script>",
    "<SCRIPT SRC=//evil.example/x.js></SCRIPT>",
    "<img src=x onerror=alert(1)>",
    "<img src=https://evil.example/t.gif srcset='https://evil.example/2.gif 2x'>",
    "![track](https://evil.example/t.gif)",
    "![track](//evil.example/t.gif)",
    "![file](file:///etc/passwd)",
    "![svg](data:image/svg+xml;base64,PHN2Zy8+)",
    "[a](javascript:alert(1))",
    "[a](JaVa&#x09;ScRiPt:alert(1))",
    "[a](vbscript:x)",
    "[a](data:text/html;base64,PHNjcmlwdD4=)",
    "<a href='java\tscript:alert(1)'>a</a>",
    "<a href=' javascript:alert(1)'>a</a>",
    "<a href='data:text/html,x'>a</a>",
    "<a href='//evil.example'>a</a>",
    "<a href=https://a.example target=_blank onclick=alert(1) style=position:fixed>a</a>",
    "<svg><animate onbegin=alert(1) attributeName=x dur=1s>",
    "<svg><a><set attributeName=href to=javascript:alert(1)></a></svg>",
    "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)></style>",
    "<math><annotation-xml encoding='text/html'><script>alert(1)</script></annotation-xml></math>",
    "<form action=https://evil.example><input name=q><button>go</button></form>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "<style>@import url(https://evil.example/x.css); body{display:none}</style>",
    "<div style='position:fixed;inset:0' class=top id=main>over</div>",
    "<meta http-equiv=refresh content='0;url=https://evil.example'>",
    "<base href=https://evil.example/>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'></noscript>",
    "<details ontoggle=alert(1) open><summary>s</summary></details>",
    "<a autofocus onfocus=alert(1) tabindex=1>x</a>",
    "<object data=https://evil.example></object><embed src=x>",
    "<video poster=https://evil.example/p.png src=x></video>",
    "<link rel=stylesheet href=https://evil.example/x.css>",
    "<!--[if IE]><script>alert(1)</script><![endif]-->",
    "</article></main><h1 id=main>mine</h1>",
    "# <img src=x onerror=alert(1)>",
    "`<script>` and **<script>x</script>**",
]
ALLOWED = {"href", "title", "src", "alt", "width", "height", "align", "colspan", "rowspan", "id"}
ALLOWED |= {"start", "open", "rel"}


def rendered(text: str | bytes) -> Readme:
    return read_readme(text.encode() if isinstance(text, str) else text)


def check_safe(html: str) -> None:
    page = Html(html.encode())
    assert [] == page.crooked
    for tag, attributes in page.all:
        assert tag not in ("script", "style", "svg", "math", "form", "iframe", "meta", "base", "h1")
        assert tag not in ("input", "button", "object", "embed", "video", "link", "noscript")
        assert set() == set(attributes) - ALLOWED
        assert re.match(r"(https?://[^/]|mailto:|#readme-|$)", attributes.get("href", ""))
        assert re.match(r"(data:image/png;base64,|$)", attributes.get("src", ""))
        assert attributes.get("id", "readme-").startswith("readme-")
        if attributes.get("href", "#").startswith("http"):
            assert "nofollow noopener" == attributes["rel"]


@pytest.mark.parametrize("text", HOSTILE)
def test_what_acts_or_asks_others_is_taken_out(text: str) -> None:
    for form in (text, f"before\n\n{text}\n\nafter", f"- x {text} y", f"> {text}"):
        check_safe(rendered(form).html)


def test_what_does_no_harm_stays() -> None:
    text = (
        "# T\n\n[a](https://a.example) [b](mailto:a@b.example) [c](#part) H<sub>2</sub>O\n\n"
        "![dot](data:image/png;base64,AAAA)\n\n| l | r |\n|:--|--:|\n| 1 | 2 |\n\n## Part\n\n~~no~~"
    )
    html = rendered(text).html
    check_safe(html)
    for said in ("<sub>2</sub>", '<td align="right">2</td>', "<s>no</s>", 'href="#readme-part"'):
        assert said in html
    assert '<h3 id="readme-part">' in html
    assert 'href="mailto:a@b.example"' in html
    assert "data:image/png" in html


def test_pictures_of_others_become_their_words() -> None:
    assert "[picture: our logo]" in rendered("![our logo](https://a.example/l.png)").html
    assert "[picture: plot]" in rendered("![plot](figures/plot.png)").html


def test_headings_go_below_the_pages_and_skip_no_level() -> None:
    html = rendered("### a\n\n# b\n\n###### c\n\n## d\n\n# b\n").html
    assert [2, 2, 3, 3, 2] == Html(html.encode()).headings()
    assert ["readme-a", "readme-b", "readme-c", "readme-d", "readme-b-1"] == re.findall(
        r'id="([^"]+)"', html
    )


@pytest.mark.parametrize(
    ("text", "title", "licence"),
    [
        ("# *Tight* `junctions` [ZO1](https://a.example)\n", "Tight junctions ZO1", ""),
        ("---\ntitle: x\nlicense: CC0-1.0\n---\n\ntext\n\nSecond\n---\n", "Second", "CC0-1.0"),
        ("no heading\n", "", ""),
        ("#\n\n# b\n", "b", ""),
        ("# a\n\n**Licence:** [MIT](x)\n", "a", "MIT"),
        ("# a\n\n## License\n\nCC BY 4.0\nand more", "a", "CC BY 4.0"),
        ("\ufeff# a", "a", ""),
        ("# " + "x" * 500, "x" * 120, ""),
    ],
)
def test_title_and_licence_are_found(text: str, title: str, licence: str) -> None:
    readme = rendered(text)
    assert (title, licence) == (readme.title, readme.licence)


def test_bytes_that_are_no_text_are_shown_and_said() -> None:
    readme = rendered(b"# na\xefve\x00\n\nx")
    assert "not UTF-8" in readme.note
    assert "na\ufffdve" in readme.html
    assert "not UTF-8" not in rendered("# naïve").note


def test_a_long_one_is_shown_as_text() -> None:
    readme = rendered("# T\n" + "<b>x" * RENDERED_UP_TO)
    assert ("T", "", RENDERED_UP_TO) == (readme.title, readme.html, len(readme.text))


@pytest.mark.parametrize(
    "text",
    [
        "<div>" * 50_000,
        "<b><p>" * 40_000,
        "<b>" * 499,
        "".join(f"<b title={n}><p>" for n in range(249)),
        "> " * 100_000 + "x",
        "- " * 100_000 + "x",
        "[" * 200_000,
        "*a " * 50_000 + "a* " * 20_000,
        "|a" * 1000 + "|\n" + "|-" * 1000 + "|\n" + "|x\n" * 400,
        "x" * RENDERED_UP_TO,
        "\n" * RENDERED_UP_TO,
        "# a\n" * 40_000,
        "[a]: b\n" * 30_000,
        "license:" * 30_000,
        "#" * 100_000 + " a",
        "# licence\n" + "\n" * 200_000,
    ],
    ids=range(16),
)
def test_no_readme_takes_long(text: str) -> None:
    before = time.process_time()
    readme = rendered(text[:RENDERED_UP_TO])
    assert time.process_time() - before < 8
    assert len(readme.html) <= MAX_HTML
