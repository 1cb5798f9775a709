"""What nodes, images and records show of themselves: small, quick, escaped, readable."""

import io
import json
import re
import shutil
import subprocess
import sys
import time
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, sync_playwright

import cellbank
from cellbank import images
from cellbank.notebook import markup, mimebundle, pictures, tree
from cellbank.packages.nodes import DataNode
from tests.images.making import COLOUR, STACK, ome, tiff
from tests.images.viewer_page import chromium, needs_chromium

BAD = """<script>alert(1)</script><img src=x onerror='alert(2)'>"&amp;\u202e\x07"""
VOID = {"img"}


class Checked(HTMLParser):
    """HTML of which every element was closed, in order."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.feed(html)
        self.close()
        assert [] == self.open

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert tag == self.open.pop()

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]


def shown(thing: Any) -> Checked:
    """Return the HTML of a thing, after what holds for all."""
    bundle = mimebundle(thing)
    assert repr(thing) == bundle["text/plain"]
    assert len(bundle["text/html"].encode()) < 200_000
    found = Checked(bundle["text/html"])
    assert len(found.all("img")) <= 24
    for one in found.all("img"):
        assert one["alt"]
        assert one["src"].startswith("data:image/webp;base64,")
    assert {
        "div",
        "span",
        "strong",
        "ul",
        "li",
        "details",
        "summary",
        "img",
        "table",
        "caption",
    } | {
        "tr",
        "th",
        "td",
        "thead",
        "tbody",
    } >= {name for name, _ in found.elements}
    assert not [name for _, attributes in found.elements for name in attributes if name[:2] == "on"]
    return found


def built(folder: Path, files: dict[str, bytes]) -> Any:
    for name, data in files.items():
        path = folder / "files" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    cellbank.build("lab/cells", folder / "files")
    return cellbank.load("lab/cells")


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The images of which thumbnails were made."""
    names: list[str] = []
    make = pictures.thumbnail

    def counting(image: Any, size: int, *, labels: bool = False) -> Any:
        names.append(image.name)
        return make(image, size, labels=labels)

    monkeypatch.setattr(pictures, "thumbnail", counting)
    return names


def test_a_package_shows_groups_counts_sizes_and_pictures(
    tmp_path: Path, decoded: list[str]
) -> None:
    files = {f"fovs/fov_{n}/image/load.ome.tif": ome(STACK + n) for n in range(3)}
    files |= {f"fovs/fov_{n}/info/load": b"{}" for n in range(3)}
    found = shown(built(tmp_path, files | {"README.md": b"# Cells\n"}))
    for words in ("lab/cells", "7 entries", "fovs/", "README.md", "8 bytes", "image/load.ome.tif"):
        assert words in found.text
    assert len(found.all("details")) == 1 + 3
    assert ["fovs/fov_0/image/load.ome.tif"] == decoded
    assert ["thumbnail of fovs/fov_0/image/load.ome.tif"] == [i["alt"] for i in found.all("img")]


def test_a_group_of_three_hundred_records_makes_few_pictures_and_each_once(
    tmp_path: Path, decoded: list[str]
) -> None:
    package = built(tmp_path, {f"fovs/{n:03}/image.tif": tiff(STACK[0] + n) for n in range(300)})
    begun = time.monotonic()
    first = mimebundle(package.fovs)
    assert time.monotonic() - begun < 5
    assert 12 == len(decoded)
    assert "… 288 more" in Checked(first["text/html"]).text
    assert first == mimebundle(package.fovs)
    # And by another process, as it were: nothing is remembered but on the disk.
    assert first == mimebundle(cellbank.load("lab/cells").fovs)
    assert 12 == len(decoded)


def test_pictures_stop_when_the_time_is_over_and_go_on_the_next_time(
    tmp_path: Path, decoded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    package = built(tmp_path, {f"fovs/{n}/image.tif": tiff(STACK[0] + n) for n in range(5)})
    images.open(package.fovs[0][0]).thumbnail(8)
    monkeypatch.setattr(pictures, "SECONDS", -1)
    found = shown(package.fovs)
    assert ([], []) == (decoded, found.all("img"))
    assert "5 more pictures: ask for them one by one" in found.text
    monkeypatch.setattr(pictures, "SECONDS", 60)
    assert 5 == len(shown(package.fovs).all("img"))
    monkeypatch.setattr(pictures, "SECONDS", -1)
    assert 5 == len(shown(package.fovs).all("img"))
    assert 5 == len(decoded)


def test_no_more_than_the_allowed_number_of_pictures_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = built(tmp_path, {f"fovs/{n}/image.tif": tiff(STACK[0] + n) for n in range(5)})
    monkeypatch.setattr(pictures, "MOST", 3)
    found = shown(package.fovs)
    assert 3 == len(found.all("img"))
    assert "2 more pictures" in found.text


def test_what_is_damaged_large_or_no_image_leaves_a_place_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {"cut.tif": ome(np.tile(STACK, (1, 1, 10, 10)))[:200_000], "not.tif": b"II*\0 no image"}
    package = built(tmp_path, files | {"rgb.tif": tiff(COLOUR, photometric="rgb")})
    found = shown(package)
    assert 1 == len(found.all("img"))
    said = [span["aria-label"] for span in found.all("span") if span.get("role") == "img"]
    assert 2 == len(said)
    assert all(text.startswith("damaged: ") and len(text) > 20 for text in said)
    monkeypatch.setattr(pictures, "MAX_READ", 10)
    monkeypatch.setattr(pictures, "SIZE", 63)
    assert "large" in shown(package).text
    assert "It is large: image.plot()" in shown(images.open(package["rgb.tif"])).text


def test_images_that_are_far_away_are_not_fetched_to_be_looked_at(
    tmp_path: Path, decoded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    built(tmp_path, {f"fovs/{n}/image.tif": tiff(STACK[0] + n, rowsperstrip=1) for n in range(2)})
    cellbank.push("lab/cells", f"{tmp_path}/remote")
    monkeypatch.setenv("CELLBANK_HOME", f"{tmp_path}/other")
    cellbank.install("lab/cells", f"{tmp_path}/remote", metadata_only=True)
    package = cellbank.load("lab/cells")
    found = shown(package.fovs)
    assert ([], []) == (decoded, found.all("img"))
    said = [span["aria-label"] for span in found.all("span") if span.get("role") == "img"]
    assert ["not here: It is fetched when it is loaded."] * 2 == said
    shown(package.fovs[0][0])
    assert not package.fovs[0][0].fetched
    package.fovs[0][0]()
    assert 1 == len(shown(package.fovs).all("img"))


def test_an_image_in_a_folder_has_its_picture_where_its_files_are_here(
    tmp_path: Path, decoded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    image = images.open(io.BytesIO(ome()))
    folder = tmp_path / "files"
    for name in ("a.ome.zarr", "deep/b.zarr", "fovs/1/image"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        image.save(tmp_path / "made.zarr", overwrite=True)
        shutil.move(tmp_path / "made.zarr", folder / name)
    built(tmp_path, {"fovs/1/info/load": b"{}"})
    cellbank.push("lab/cells", f"{tmp_path}/remote")
    package = cellbank.load("lab/cells")
    paths = ["a.ome.zarr", "deep/b.zarr", "fovs/1/image"]
    assert [f"thumbnail of {path}" for path in paths] == [
        one["alt"] for one in shown(package).all("img")
    ]
    # Its parts are no images.
    for thing in (package["a.ome.zarr"], cellbank.cells.record(package.fovs[0])):
        assert 1 == len(shown(thing).all("img"))
    assert [] == shown(package["a.ome.zarr/0"]).all("img")
    # Two of them are the same bytes.
    assert 4 == len(decoded)
    monkeypatch.setattr(pictures, "MAX_FILES", 2)
    assert 3 == shown(package).text.count("large")
    monkeypatch.setenv("CELLBANK_HOME", f"{tmp_path}/other")
    cellbank.install("lab/cells", f"{tmp_path}/remote", metadata_only=True)
    monkeypatch.setattr(pictures, "MAX_FILES", 20)
    far = cellbank.load("lab/cells")
    for thing, count in ((far, 3), (far["a.ome.zarr"], 1)):
        found = shown(thing)
        assert [] == found.all("img")
        said = [span["aria-label"] for span in found.all("span") if span.get("role") == "img"]
        assert ["not here: It is fetched when it is loaded."] * count == said
    found = shown(images.open(far["a.ome.zarr"]))
    assert "It is not on this disk" in found.text
    assert [] == found.all("img")


def test_a_picture_shows_the_channels_that_are_in_use(tmp_path: Path, decoded: list[str]) -> None:
    told = [{"dye_name": "H3342", "use": True}, {"dye_name": "EGFP", "use": False}]
    files = {
        "fovs/1/image/load": ome(),
        "fovs/1/info/load": json.dumps({"channels": told}).encode(),
    }
    one = shown(cellbank.cells.record(built(tmp_path, files).fovs[0])).all("img")
    told[1]["use"] = True
    files["fovs/1/info/load"] = json.dumps({"channels": told}).encode()
    other = shown(cellbank.cells.record(built(tmp_path, files).fovs[0])).all("img")
    assert one[0]["src"] != other[0]["src"]
    assert 2 == len(decoded)


def test_labels_have_colours_of_their_own(tmp_path: Path) -> None:
    labels = np.zeros((20, 30), np.uint16)
    labels[2:10, 2:10], labels[12:18, 15:28] = 1, 2
    package = built(tmp_path, {f"{g}/1/image.tif": tiff(labels) for g in ("cell_segs", "fovs")})
    sources = [shown(package[group]).all("img")[0]["src"] for group in ("cell_segs", "fovs")]
    assert sources[0] != sources[1]


def test_data_show_their_metadata_and_a_long_name_is_cut(tmp_path: Path) -> None:
    name = "it's & " + "long" * 40 + ".tif"
    found = shown(built(tmp_path, {name: tiff(STACK[0])})[name])
    assert "it's & long" in found.text
    assert name in {one["alt"].removeprefix("thumbnail of ") for one in found.all("img")} | {name}
    assert 1 == len(found.all("img"))
    for words in ("file name", "size", "digest"):
        assert words in found.text


def test_a_record_shows_what_is_known_escaped_and_what_belongs_to_it(tmp_path: Path) -> None:
    info = {
        "fov_id": 3,
        BAD: BAD,
        "channels": [{"dye_name": BAD, "use": True}],
        "cell_segs": ["a", "b"],
        "long": "x" * 100_000,
    } | {f"field {n}": n for n in range(30)}
    files = {"fovs/1/info/load": json.dumps(info).encode(), "fovs/1/image/load": ome()}
    package = built(tmp_path, files)
    found = shown(cellbank.cells.record(package.fovs[0]))
    assert 1 == len(found.all("img"))
    assert "cell_segs: 2" in found.text
    assert "more" in found.text
    assert "<script>alert(1)</script>" in found.text
    html = mimebundle(cellbank.cells.record(package.fovs[0]))["text/html"]
    assert "<script" not in html
    assert "\u202e" not in html
    assert "\x07" not in html


def test_an_image_shows_its_facts_and_one_picture() -> None:
    data = ome(channels=[BAD, "EGFP"], pixel_size={"Z": 0.29, "Y": 0.108, "X": 0.108})
    found = shown(images.open(io.BytesIO(data)))
    for words in ("Z 3, C 2, Y 20, X 30", "uint16", "EGFP", "Z 0.29 µm"):
        assert words in found.text
    assert 1 == len(found.all("img"))
    assert "not known" in shown(images.open(io.BytesIO(tiff()))).text


def test_an_answer_is_a_table_with_its_ends_and_its_length(tmp_path: Path) -> None:
    built(tmp_path, {f"{number:03}.txt": b"x" for number in range(100)})
    found = shown(cellbank.query("lab/cells", "SELECT path, 1.5 AS n, NULL AS x FROM entries"))
    assert 1 + 21 == len(found.all("tr"))
    assert found.text.startswith("pathnx000.txt1.5—001.txt")
    assert "009.txt" in found.text
    assert "010.txt" not in found.text
    assert "090.txt" in found.text
    assert found.text.endswith("100 rows")
    assert ["VARCHAR", "DECIMAL(2,1)"] == [head["title"] for head in found.all("th")][:2]
    (around,) = (one for one in found.all("div") if "tabindex" in one)
    assert "overflow-x:auto" in around["style"]
    one = shown(cellbank.query("lab/cells", "SELECT path FROM entries WHERE path = '007.txt'"))
    assert one.text.endswith("1 row")


def test_an_answer_is_escaped_and_a_wide_one_says_what_it_leaves_out(tmp_path: Path) -> None:
    built(tmp_path, {"a": b"x"})
    text, quoted = BAD.replace("'", "''"), BAD.replace('"', '""')
    found = shown(cellbank.query("lab/cells", f"SELECT '{text}' AS a, 2 AS \"{quoted}\""))
    assert 2 == found.text.count("<script>")
    assert "\u202e" not in found.text
    many = ", ".join(f"{number} AS n{number}" for number in range(1000))
    wide = shown(cellbank.query("lab/cells", f"SELECT {many}"))
    assert 40 == len(wide.all("th"))
    assert "1 row, 40 of 1000 columns" in wide.text


def test_a_deep_and_wide_package_stays_small(tmp_path: Path) -> None:
    long = "n" * 60
    files = {
        f"{long}{a:02}/{long}{b:02}/{long}{c:02}/{long}{d}": b"x"
        for a in range(12)
        for b in range(13)
        for c in range(13)
        for d in range(2)
    }
    assert "… " in shown(built(tmp_path, files)).text


def test_counting_stops_when_the_time_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = built(tmp_path, {f"a/{n}": b"x" for n in range(50)})
    monkeypatch.setattr(tree, "SECONDS", -1)
    monkeypatch.setattr(tree, "_LOOK", 20)
    found = shown(package)
    assert "50 entries" in found.text
    assert "at least 19 entries" in found.text
    assert "… more" in found.text


def test_what_is_not_there_shows_its_text_and_no_error(tmp_path: Path) -> None:
    package = built(tmp_path, {"a": b"x"})
    gone = DataNode(package._view, "b")
    assert {"text/plain": "<DataNode>"} == mimebundle(gone)


def test_without_the_libraries_of_pictures_there_is_text(tmp_path: Path) -> None:
    built(tmp_path, {"a.tif": tiff(STACK[0])})
    code = (
        "import sys\n"
        "for name in ('numpy', 'anywidget', 'matplotlib', 'tifffile'): sys.modules[name] = None\n"
        "import cellbank\n"
        "package = cellbank.load('lab/cells')\n"
        "print(sorted(package._repr_mimebundle_()))\n"
        "for name in ('show', 'plot'):\n"
        "    from cellbank.model.shown import shower\n"
        "    try: shower(name)\n"
        "    except cellbank.CellbankError as error: print(type(error).__name__, error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert "['text/plain']" == lines[0]
    for line in lines[1:]:
        assert re.fullmatch(r"BadInput .*not installed.*pip install 'cellbank\[notebook\]'", line)
    assert 3 == len(lines)


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 bytes"), (999, "999 bytes"), (1500, "1.5 kB"), (2_100_000, "2.1 MB")]
)
def test_sizes_are_those_of_people(count: int, text: str) -> None:
    assert text == markup.sized(count)


JUPYTER = {
    "light": "--jp-ui-font-color1: #000; --jp-layout-color0: #fff; --jp-border-color2: #e0e0e0",
    "dark": "--jp-ui-font-color1: #fff; --jp-layout-color0: #111; --jp-border-color2: #616161",
}
SHEET = """
body { background: var(--jp-layout-color0); color: var(--jp-ui-font-color1) }
.jp-RenderedHTMLCommon ul { list-style: disc; padding-left: 2em; margin: 1em }
.jp-RenderedHTMLCommon table { border: 1px solid; margin: auto }
.jp-RenderedHTMLCommon td { text-align: right }
"""


def luminance(page: Page, selector: str, name: str) -> float:
    found = page.locator(selector).first.evaluate(
        "(element, name) => getComputedStyle(element)[name]", name
    )
    return float(np.mean([int(part) for part in re.findall(r"\d+", found)[:3]]))


@needs_chromium
def test_it_is_readable_under_the_sheets_of_jupyter_in_both_themes(tmp_path: Path) -> None:
    files = {f"fovs/{n}/image.tif": tiff(STACK[0]) for n in range(3)} | {"fovs/0/info": b"{}"}
    html = mimebundle(built(tmp_path, files).fovs)["text/html"]
    with sync_playwright() as playwright, chromium(playwright) as browser:
        page = browser.new_page(viewport={"width": 390, "height": 800})
        for theme, variables in JUPYTER.items():
            page.set_content(
                f"<style>body {{ {variables} }} {SHEET}</style>"
                f"<div class='jp-RenderedHTMLCommon'>{html}</div>"
            )
            assert "none" == page.locator("ul").first.evaluate(
                "e => getComputedStyle(e).listStyle.split(' ').at(-1)"
            )
            assert (luminance(page, "summary", "color") > 128) == (theme == "dark")
            assert page.evaluate("() => document.documentElement.scrollWidth") <= 390
            page.locator("summary").first.click()
            assert page.locator("img").first.evaluate("image => image.naturalWidth") > 0
