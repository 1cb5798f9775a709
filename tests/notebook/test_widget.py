"""The widget: its traits, its answers, and its two halves together in a browser."""

import base64
import io
import json
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image as Pillow
from playwright.sync_api import Page, expect, sync_playwright

import cellbank
from cellbank import images
from cellbank.model.errors import BadImage, BadInput
from cellbank.notebook import show
from cellbank.notebook.widget import Viewer
from tests.images.making import STACK, ome
from tests.images.viewer_page import WITH_WEBGL, Answer, chromium, needs_chromium, serving
from tests.images.viewer_page import page as page_of

KERNEL = threading.Lock()
WIDGET = "application/vnd.jupyter.widget-view+json"
LABELS = (np.arange(20 * 30).reshape(20, 30) // 77).astype(np.uint16)
SCRIPT = """
import widget from "/widget.js";
class Model {
  constructor(state) { this.state = state; this.heard = {}; this.saved = []; }
  get(name) { return this.state[name]; }
  set(name, value) {
    const same = JSON.stringify(this.state[name]) === JSON.stringify(value);
    this.state[name] = value;
    if (!same) for (const act of this.heard[`change:${name}`] ?? []) act();
  }
  save_changes() { this.saved.push(structuredClone(this.state)); }
  on(name, act) { (this.heard[name] ??= []).push(act); }
  off(name, act) { this.heard[name] = this.heard[name].filter((one) => one !== act); }
  async send(content, { iopub }) {
    if (window.restarted) {
      // Another kernel: it does not know what it is asked, and is idle again.
      for (const state of ["busy", "idle"]) iopub.status({ content: { execution_state: state } });
      return;
    }
    const answer = await fetch("/kernel", { method: "POST", body: JSON.stringify(content) });
    const bytes = await answer.arrayBuffer();
    const head = new DataView(bytes).getUint32(0, true);
    const told = JSON.parse(new TextDecoder().decode(new Uint8Array(bytes, 4, head)));
    // As it comes over a socket: a view that begins anywhere in a larger message.
    const buffers = bytes.byteLength > 4 + head ? [new DataView(bytes, 4 + head)] : [];
    for (const act of this.heard["msg:custom"] ?? []) act(told, buffers);
  }
}
window.model = new Model(await (await fetch("/state")).json());
const el = document.getElementById("view");
const still = document.createElement("img");
still.dataset.cellbankStill = window.model.get("options").still;
still.alt = "still";
el.before(still);
window.end = widget.render({ model: window.model, el });
"""


@pytest.fixture
def viewer() -> Viewer:
    image = images.open(io.BytesIO(ome(channels=["DNA", "membrane"])))
    labels = images.open(io.BytesIO(ome(LABELS, "YX")))
    made: Viewer = show(image, labels={"cells": labels}, channels="membrane", z=1)
    return made


def test_z_has_two_names_and_one_meaning() -> None:
    image = images.open(io.BytesIO(ome(channels=["DNA", "membrane"])))
    for place in (0, 1):
        assert place == show(image, Z=place).z == image.show(z=place).z
    with pytest.raises(BadInput, match="Z and z are the same"):
        show(image, Z=1, z=0)


def sent(viewer: Viewer, content: Any) -> tuple[Any, list[bytes]]:
    """Return what the kernel answers to a message of the browser."""
    answers: list[Any] = []
    # A kernel answers one message after the other.
    with KERNEL:
        viewer.send = lambda told, buffers=(): answers.append((told, list(buffers)))
        viewer._handle_custom_msg(content, [])
    (answer,) = answers
    return answer  # type: ignore[no-any-return]


def test_the_kernel_answers_with_exact_planes(viewer: Viewer) -> None:
    request = {"kind": "image", "c": 1, "z": 2, "t": 0}
    told, (buffer,) = sent(viewer, {"id": "a-1", "request": request})
    assert {"id": "a-1", "dtype": "uint16", "width": 30, "height": 20} == told
    np.testing.assert_array_equal(STACK[2, 1], np.frombuffer(buffer, "<u2").reshape(20, 30))


def test_what_the_kernel_cannot_give_it_explains(viewer: Viewer) -> None:
    told, buffers = sent(viewer, {"id": 7, "request": {"kind": "image", "c": 9, "z": 0, "t": 0}})
    assert ({"id": 7, "error": "c is 9, not a number from 0 to 1"}, []) == (told, buffers)


def test_the_state_is_kept_true_to_the_image(viewer: Viewer) -> None:
    assert (1, [False, True]) == (viewer.z, [channel["on"] for channel in viewer.channels])
    viewer.z = 500
    assert 2 == viewer.z
    viewer.channels = [{"color": "red", "low": 3}, {"on": False}]
    assert ("#ff0000", 3.0) == (viewer.channels[0]["color"], viewer.channels[0]["low"])
    assert [False, False] == [channel["on"] for channel in viewer.channels]
    for bad in ([], [{}], [{"color": "no colour"}, {}], [{"low": float("nan")}, {}]):
        with pytest.raises(BadInput):
            viewer.channels = bad
    with pytest.raises(BadInput, match="no labels nuclei"):
        viewer.outlines = ["nuclei"]


@pytest.mark.parametrize(
    "channel", [1, {"low": None}, {"low": "x"}, {"high": 10**400}, {"low": float("nan")}, "x"]
)
def test_what_is_no_state_is_told_and_changes_nothing(viewer: Viewer, channel: Any) -> None:
    before = viewer.channels
    with pytest.raises(BadInput):
        viewer.channels = [channel] * 2
    with pytest.raises(BadInput):
        viewer.set_state({"z": 2, "channels": [channel] * 2})
    assert (before, 1) == (viewer.channels, viewer.z)
    assert viewer.picture().shape == (20, 30, 3)


def test_a_browser_does_not_say_what_the_image_is(viewer: Viewer) -> None:
    viewer.set_state({"options": {}, "z": 2})
    assert 2 == len(viewer.options["channels"])
    assert 2 == viewer.z


def test_a_saved_notebook_keeps_a_still_picture_beside_the_widget(
    viewer: Viewer, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[dict[str, Any]] = []
    monkeypatch.setattr("IPython.display.display", lambda data, **_: shown.append(data))
    viewer.channels = [{"on": True, "color": "cyan", "low": 0, "high": 1000}, {"on": False}]
    viewer.outlines = ["cells"]
    viewer._ipython_display_()
    beside, widget = shown
    assert {WIDGET, "text/plain"} == widget.keys()
    assert "<Viewer of <Image ZCYX 3 × 2 × 20 × 30 uint16, DNA, membrane>>" == widget["text/plain"]
    assert f' data-cellbank-still="{viewer.options["still"]}"' in beside["text/html"]
    coded = base64.b64decode(beside["text/html"].partition("base64,")[2].partition('"')[0])
    assert (30, 20) == Pillow.open(io.BytesIO(coded)).size
    still = np.asarray(Pillow.open(io.BytesIO(base64.b64decode(beside["image/png"]))))
    expected = np.floor(255 * np.clip(STACK[1, 0] / 1000, 0, 1) + 0.5)
    edges = images.outlines(LABELS)
    assert edges.any()
    assert np.abs(still[..., 1][~edges] - expected[~edges]).max() <= 1
    assert (255, 255, 255) == tuple(still[edges][0])
    # Who asks for one bundle has both in it.
    assert {WIDGET, "text/plain", "image/png"} == viewer._repr_mimebundle_()[0].keys()


def test_a_damaged_image_leaves_no_still_picture(
    viewer: Viewer, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[dict[str, Any]] = []
    monkeypatch.setattr("IPython.display.display", lambda data, **_: shown.append(data))
    monkeypatch.setattr(viewer, "picture", lambda: images.open(io.BytesIO(b"no")))
    viewer._ipython_display_()
    assert [{WIDGET, "text/plain"}] == [data.keys() for data in shown]


def test_what_cannot_be_shown_is_said_at_once() -> None:
    with pytest.raises(BadImage):
        show(io.BytesIO(ome()[:3000]))
    with pytest.raises(BadInput, match="no renderer 'gpu'"):
        show(io.BytesIO(ome()), renderer="gpu")
    with pytest.raises(BadInput, match="these labels are 2 deep"):
        show(io.BytesIO(ome()), labels={"x": io.BytesIO(ome(STACK[:2, 0], "ZYX"))})


def test_a_record_brings_its_segmentations_and_the_names_of_its_dyes(tmp_path: Path) -> None:
    field = {"cell_segs": ["c"], "nuclei_segs": ["n"]}
    field["channels"] = [{"dye_name": dye, "use": True} for dye in ("H3342", "EGFP")]  # type: ignore[misc]
    files = {"fovs/f": (ome(), field)}
    files["cell_segs/c"] = (ome(np.stack([LABELS] * 3), "ZYX"), {"fovs": ["f"]})
    files["nuclei_segs/n"] = (ome(LABELS[:5], "YX"), {"fovs": ["f"]})
    for name, (image, info) in files.items():
        for part, data in (("image", image), ("info", json.dumps(info).encode())):
            (tmp_path / name / part).mkdir(parents=True)
            (tmp_path / name / part / "load").write_bytes(data)
    cellbank.build("lab/cells", tmp_path)
    viewer = cellbank.cells.record(cellbank.load("lab/cells/fovs/f")).show(outlines="cell")
    assert ["H3342", "EGFP"] == [channel["name"] for channel in viewer.channels]
    assert (["cell"], "f") == (viewer.outlines, viewer.options["title"])
    for node in ("fovs/f/image", "fovs/f/image/load"):
        assert "f" == show(cellbank.load(f"lab/cells/{node}")).options["title"]
    (note,) = viewer.options["notes"]
    assert note.startswith("nuclei: these labels are 5 × 30 pixels")
    assert (255, 255, 255) == tuple(viewer.picture()[images.outlines(LABELS)][0])


@pytest.fixture
def shown(viewer: Viewer) -> Iterator[Page]:
    """The widget on a page, with a kernel behind it."""

    def answer(path: str, _: dict[str, str], body: bytes) -> Answer:
        if path == "/widget.js":
            return "text/javascript", viewer._esm.encode(), ""
        if path == "/state":
            names = ("options", "z", "t", "projection", "channels", "outlines")
            state = {name: getattr(viewer, name) for name in names}
            return "application/json", json.dumps(state).encode(), ""
        if path != "/kernel":
            return page_of(path, SCRIPT)
        told, buffers = sent(viewer, json.loads(body))
        head = json.dumps(told).encode()
        # A body that is not aligned to the pixels.
        head += b" " * (1 - len(head) % 2)
        return (
            "application/octet-stream",
            struct.pack("<I", len(head)) + head + b"".join(buffers),
            "",
        )

    with (
        serving(answer) as url,
        sync_playwright() as playwright,
        chromium(playwright, *WITH_WEBGL) as browser,
    ):
        page = browser.new_page()
        wrong: list[str] = []
        page.on("console", lambda m: m.type in ("error", "warning") and wrong.append(m.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto(url)
        yield page
        assert [] == [text for text in wrong if "ReadPixels" not in text]


def canvas(page: Page) -> NDArray[np.uint8]:
    url = page.locator("canvas").evaluate("canvas => canvas.toDataURL()")
    return np.asarray(Pillow.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))))[..., :3]


@needs_chromium
def test_browser_and_kernel_show_the_same_and_follow_each_other(
    viewer: Viewer, shown: Page
) -> None:
    root = shown.locator(".cellbank-viewer")
    expect(root).to_have_attribute("data-ready", "true")
    assert np.abs(canvas(shown).astype(int) - viewer.picture()).max() <= 1
    shown.locator("canvas").focus()
    shown.keyboard.press("ArrowUp")
    expect(root).to_have_attribute("data-z", "2")
    shown.get_by_label("DNA", exact=True).check()
    shown.get_by_label("Outlines of cells").check()
    expect(root).not_to_have_attribute("data-busy", "true")
    saved = shown.evaluate("() => model.saved.at(-1)")
    for name in ("z", "t", "projection", "channels", "outlines"):
        setattr(viewer, name, saved[name])
    assert (2, ["cells"], True) == (viewer.z, viewer.outlines, viewer.channels[0]["on"])
    assert np.abs(canvas(shown).astype(int) - viewer.picture()).max() <= 1
    # And the other way round.
    count = shown.evaluate("() => model.saved.length")
    shown.evaluate("() => { model.set('z', 0); model.set('projection', 'max'); }")
    expect(root).to_have_attribute("data-z", "max")
    viewer.projection = "max"
    assert np.abs(canvas(shown).astype(int) - viewer.picture()).max() <= 1
    assert count == shown.evaluate("() => model.saved.length")
    shown.evaluate("() => end()")
    expect(shown.locator("canvas")).to_have_count(0)
    assert [0] == shown.evaluate("() => [Object.values(model.heard).flat().length]")


@needs_chromium
def test_the_still_picture_is_seen_where_the_widget_is_not(shown: Page) -> None:
    still, root = shown.get_by_alt_text("still"), shown.locator(".cellbank-viewer")
    expect(root).to_have_attribute("data-ready", "true")
    expect(root).to_be_visible()
    expect(still).to_be_hidden()
    shown.evaluate("() => end()")
    expect(still).to_be_visible()
    # In a page made of a saved notebook, where no kernel is.
    shown.evaluate(
        """async () => {
            const { default: widget } = await import("/widget.js");
            const el = document.getElementById("view");
            el.replaceChildren();
            el.className = "jupyter-widgets-disconnected";
            widget.render({ model, el });
        }"""
    )
    expect(still).to_be_visible()
    expect(root).to_have_count(0)


@needs_chromium
@pytest.mark.parametrize("known", [True, False])
def test_a_kernel_that_was_restarted_is_told(known: bool, shown: Page) -> None:
    expect(shown.locator(".cellbank-viewer")).to_have_attribute("data-ready", "true")
    if known:
        shown.evaluate(
            "() => document.getElementById('view').className = 'jupyter-widgets-disconnected'"
        )
    else:
        shown.evaluate("() => window.restarted = true")
    shown.evaluate("() => model.set('projection', 'max')")
    expect(shown.get_by_role("alert")).to_have_text(
        "membrane, all Z: the kernel does not have this image any more: run the cell again"
    )


@needs_chromium
def test_an_error_of_the_kernel_is_shown_as_text(viewer: Viewer, shown: Page) -> None:
    expect(shown.locator(".cellbank-viewer")).to_have_attribute("data-ready", "true")
    viewer._viewed.plane = lambda _: 1 / 0  # type: ignore[method-assign]
    shown.evaluate("() => model.set('projection', 'max')")
    expect(shown.get_by_role("alert")).to_have_text(
        "membrane, all Z: ZeroDivisionError: division by zero"
    )


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"projection": "min"}, "no projection 'min'"),
        ({"labels": STACK[:, 0]}, "without a name"),
        ({"labels": {"cells": STACK[:, 0]}}, "not arrays"),
    ],
)
def test_what_the_viewer_cannot_take_is_told(how: dict[str, Any], message: str) -> None:
    image = images.open(io.BytesIO(ome()))
    with pytest.raises(BadInput, match=message):
        show(image, **how)
