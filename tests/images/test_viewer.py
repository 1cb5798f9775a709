"""The viewer in a real browser: its pictures against numpy, its keys, its failures."""

import base64
import copy
import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image as Pillow
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, expect, sync_playwright

from cellbank.images.limits import auto_limits
from cellbank.images.overlays import outlines
from tests.images.viewer_page import (
    WITH_WEBGL,
    WITHOUT_WEBGL,
    Case,
    chromium,
    needs_chromium,
    pixels,
    served,
)

pytestmark = needs_chromium

random = np.random.default_rng(7)


def blobs(dtype: str, top: float, shape: tuple[int, ...] = (1, 3, 9, 40, 62)) -> NDArray[Any]:
    """Make an image whose corners differ, so that a picture upside down is another one."""
    array = random.random(shape) * top / 4
    array[..., :12, :20] += top / 2
    array *= np.linspace(0.5, 1, shape[2])[:, np.newaxis, np.newaxis]
    return array.astype(dtype)


def cells() -> NDArray[np.uint16]:
    labels = np.zeros((1, 9, 40, 62), np.uint16)
    labels[:, :5, 5:20, 5:30] = 1
    labels[:, :, 10:30, 30:50] = 300
    labels[:, 3:, 35:, 55:] = 65535
    return labels


def floats() -> NDArray[np.float32]:
    array = blobs("float32", 3.5) - 1
    array[0, 0, :, 3, 4] = np.nan
    array[0, 1, :, 3, 5] = np.inf
    return np.asarray(array, np.float32)


BAD = '<img src="https://evil.example/x.png" onerror="alert(1)">\u202e"'


@pytest.fixture(scope="module")
def cases() -> dict[str, Case]:
    made = {
        "bytes": Case(blobs("uint8", 255), {}),
        "12bits": Case(blobs("uint16", 4095), {"cell_segs": cells()}),
        "floats": Case(floats(), {}),
        "many": Case(blobs("uint16", 9000, (1, 20, 2, 8, 10)), {}),
        "movie": Case(blobs("uint16", 9000, (4, 1, 1, 20, 30)), {}),
        "unscaled": Case(blobs("uint8", 255), {}, pixelSize=None),
        "hostile": Case(
            blobs("uint8", 255, (1, 1, 3, 8, 8)), {BAD: cells()[:, :3, :8, :8]}, title=BAD
        ),
        "broken": Case(blobs("uint8", 255), {}),
    }
    for channel in made["floats"].options["channels"]:
        channel |= {"low": -0.5, "high": 2.25, "min": -1, "max": 2.5}
    made["hostile"].options["channels"][0]["name"] = BAD
    made["broken"].broken = {1}
    return made


@pytest.fixture(scope="module")
def address(cases: dict[str, Case]) -> Iterator[str]:
    with served(cases) as url:
        yield url


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as running:
        yield running


@pytest.fixture(scope="module")
def with_webgl(playwright: Playwright) -> Iterator[Browser]:
    with chromium(playwright, *WITH_WEBGL) as running:
        yield running


@pytest.fixture(scope="module", params=["webgl", "cpu"])
def browser(request: pytest.FixtureRequest, playwright: Playwright) -> Iterator[Browser]:
    """Chromium with WebGL, and one that has none."""
    if request.param == "webgl":
        yield request.getfixturevalue("with_webgl")
    else:
        with chromium(playwright, *WITHOUT_WEBGL) as running:
            yield running


class Shown:
    """A page that shows a case; `wrong` is what it did that it should not."""

    def __init__(self, browser: Browser, address: str, case: str, **options: Any) -> None:
        self.context: BrowserContext = browser.new_context(**options)
        self.context.set_default_timeout(20000)
        self.wrong: list[str] = []
        self.context.on("request", lambda r: self._unless(r.url.startswith(address), r.url))
        self.context.on(
            "console", lambda m: self._unless(m.type not in ("error", "warning"), m.text)
        )
        self.context.on("weberror", lambda error: self.wrong.append(str(error.error)))
        self.context.on("dialog", lambda dialog: (self.wrong.append("dialog"), dialog.dismiss()))
        self.page: Page = self.context.new_page()
        self.page.goto(f"{address}/?case={case}")
        self.root = self.page.locator("#view")
        expect(self.root).to_have_attribute("data-ready", "true")
        self.canvas = self.page.locator("canvas")

    def _unless(self, fine: bool, what: str) -> None:
        # Chromium's own remark on reading pixels back, which only tests do.
        if not fine and "ReadPixels" not in what:
            self.wrong.append(what)

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def arrives(self, z: int | str) -> None:
        expect(self.root).to_have_attribute("data-z", str(z))
        expect(self.root).not_to_have_attribute("data-busy", "true")

    def set(self, patch: str) -> None:
        self.page.evaluate(f"() => handle.set({patch})")

    @property
    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = self.page.evaluate("() => handle.state")
        return found


@pytest.fixture
def shown(browser: Browser, address: str, request: pytest.FixtureRequest) -> Iterator[Any]:
    made: list[Shown] = []

    def show(case: str, **options: Any) -> Shown:
        made.append(Shown(browser, address, case, **options))
        return made[-1]

    yield show
    for page in made:
        page.context.close()
        assert [] == page.wrong


def off_by(expected: NDArray[np.uint8], found: NDArray[np.uint8]) -> int:
    assert expected.shape == found.shape
    return int(np.abs(expected.astype(int) - found).max())


def allowed(page: Shown) -> int:
    return {"webgl": 1, "cpu": 2}[page.root.get_attribute("data-renderer") or ""]


@pytest.mark.parametrize("case", ["bytes", "12bits", "floats"])
def test_pictures_are_those_of_numpy_wherever_the_keys_lead(
    case: str, cases: dict[str, Case], browser: Browser, shown: Any
) -> None:
    page = shown(case)
    most = allowed(page)
    assert off_by(cases[case].picture(4), pixels(page.page)) <= most
    page.canvas.focus()
    for key, z in (("ArrowRight", 5), ("Home", 0), ("PageUp", 5), ("PageDown", 0), ("End", 8)):
        page.press(key)
        page.arrives(z)
        assert off_by(cases[case].picture(z), pixels(page.page)) <= most
    page.press("m")
    page.arrives("max")
    assert off_by(cases[case].picture("max"), pixels(page.page)) <= most
    page.press("ArrowDown")
    page.arrives(7)


def test_the_canvas_itself_stands_upright(cases: dict[str, Case], shown: Any) -> None:
    page = shown("12bits")
    url = page.page.evaluate(
        "() => document.getElementById('view').shadowRoot.querySelector('canvas').toDataURL()"
    )
    picture = np.asarray(Pillow.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))))
    assert off_by(cases["12bits"].picture(4), picture[..., :3]) <= allowed(page)


def changed(case: Case, *patches: dict[str, Any]) -> Case:
    other = copy.copy(case)
    other.options = copy.deepcopy(case.options)
    for channel, patch in zip(other.options["channels"], patches, strict=False):
        channel.update(patch)
    return other


def test_channels_colours_and_limits_change_the_picture_as_in_numpy(
    cases: dict[str, Case], shown: Any
) -> None:
    page, case = shown("12bits"), cases["12bits"]
    asked = page.page.evaluate("() => asked.length")
    page.set("{channels: [{on: false}, {color: '#336699'}, {low: 500, high: 600}]}")
    expected = changed(case, {"on": False}, {"color": "#336699"}, {"low": 500, "high": 600})
    assert off_by(expected.picture(4), pixels(page.page)) <= allowed(page)
    page.set("{channels: [{on: true, low: 700, high: 700}]}")
    expected = changed(expected, {"on": True, "low": 700, "high": 700})
    assert off_by(expected.picture(4), pixels(page.page)) <= allowed(page)
    page.set("{channels: [{low: 3000, high: 100}]}")
    expected = changed(expected, {"low": 3000, "high": 100})
    assert off_by(expected.picture(4), pixels(page.page)) <= allowed(page)
    page.set("{channels: [{on: false}, {on: false}, {on: false}]}")
    assert 0 == pixels(page.page).max()
    assert [] == page.page.evaluate("() => changes")
    # What is shown was there: nothing but the slice's neighbours is asked for meanwhile.
    assert {3, 5} >= {r["z"] for r in page.page.evaluate(f"() => asked.slice({asked})")}


def test_the_controls_are_named_by_channel_and_tell_what_a_person_did(
    cases: dict[str, Case], shown: Any
) -> None:
    page, case = shown("12bits"), cases["12bits"]
    page.page.get_by_label("dye 0", exact=True).uncheck()
    page.page.get_by_label("dye 1: colour").fill("#336699")
    page.page.get_by_label("dye 2: black point").last.fill("500")
    page.page.get_by_label("dye 2: white point").last.fill("600")
    page.page.keyboard.press("Enter")
    expected = changed(case, {"on": False}, {"color": "#336699"}, {"low": 500, "high": 600})
    assert off_by(expected.picture(4), pixels(page.page)) <= allowed(page)
    page.page.get_by_label("dye 2: white point").first.focus()
    page.press("ArrowRight")
    # A limit that is drawn past the other takes it along.
    page.page.get_by_label("dye 2: black point").last.fill("700")
    page.page.keyboard.press("Enter")
    assert (700, 700) == tuple(page.state["channels"][2][end] for end in ("low", "high"))
    last = page.page.evaluate("() => changes.at(-1)")
    assert last == page.state
    assert 4 == page.state["z"]
    page.page.get_by_label("Z slice").focus()
    page.press("ArrowRight")
    page.arrives(5)
    page.page.get_by_label("max over Z").check()
    page.arrives("max")
    expect(page.page.get_by_role("status")).to_have_text("max over Z")


def test_auto_limits_are_those_of_python(cases: dict[str, Case], shown: Any) -> None:
    page = shown("12bits")
    page.page.get_by_role("button", name="dye 1: Auto limits, from this picture").click()
    plane = cases["12bits"].array[0, 1, 4]
    channel = page.state["channels"][1]
    assert auto_limits(plane) == pytest.approx((channel["low"], channel["high"]), rel=0.01)
    sparse = np.zeros(10_000, np.uint16)
    sparse[:40] = np.arange(40) * 10 + 4000
    for values in (sparse, np.full(50, 7, np.uint16), np.arange(5000, dtype=np.uint16)):
        found = page.page.evaluate(
            "values => autoLimits({ data: Uint16Array.from(values) })", values.tolist()
        )
        assert list(auto_limits(values)) == pytest.approx(found, abs=2)


def test_outlines_are_the_edges_of_labels(cases: dict[str, Case], shown: Any) -> None:
    page, case = shown("12bits"), cases["12bits"]
    page.page.get_by_label("Outlines of cell_segs").check()
    page.arrives(4)
    for z, key in ((4, ""), (5, "ArrowUp"), ("max", "m")):
        if key:
            page.canvas.focus()
            page.press(key)
            page.arrives(z)
        expected = case.picture(z)
        edges = outlines(case.plane({"kind": "labels", "name": "cell_segs", "z": z, "t": 0}))
        assert edges.any()
        expected[edges] = (255, 128, 0)
        assert off_by(expected, pixels(page.page)) <= allowed(page)
    page.set("{outlines: []}")
    page.arrives("max")
    assert off_by(case.picture("max"), pixels(page.page)) <= allowed(page)


def test_the_newest_wish_is_what_is_shown_however_late_the_others_come(
    cases: dict[str, Case], shown: Any
) -> None:
    page, case = shown("12bits"), cases["12bits"]
    page.page.evaluate(
        """() => {
          const plain = window.planes;
          window.drawn = [];
          window.held = [];
          handle.on("drawn", ({ z }) => drawn.push(z));
          window.planes = async (request) => {
            if (request.z === 0) await new Promise((done) => held.push(done));
            return plain(request);
          };
          handle.set({ z: 0 });
          handle.set({ z: 7 });
          handle.set({ z: 8, channels: [{ low: 10, high: 3000 }] });
        }"""
    )
    page.page.wait_for_timeout(50)
    page.page.evaluate("() => held.forEach((done) => done())")
    page.arrives(8)
    expected = changed(case, {"low": 10, "high": 3000})
    assert off_by(expected.picture(8), pixels(page.page)) <= allowed(page)
    assert [0, 8] == page.page.evaluate("() => drawn")


def test_no_more_than_sixteen_channels_are_drawn_and_it_says_so(
    cases: dict[str, Case], shown: Any
) -> None:
    page, case = shown("many"), cases["many"]
    first = changed(case, *[{"on": c < 16} for c in range(20)])
    assert off_by(first.picture(1), pixels(page.page)) <= allowed(page)
    expect(page.page.locator(".notice")).to_have_text(
        "20 channels are on; the first 16 of them are drawn."
    )
    page.canvas.focus()
    page.press(*"123456789")
    page.arrives(1)
    expect(page.page.locator(".notice")).to_be_hidden()
    rest = changed(case, *[{"on": c > 8} for c in range(20)])
    assert off_by(rest.picture(1), pixels(page.page)) <= allowed(page)


def test_time_has_a_slider_and_an_axis_of_one_has_none(cases: dict[str, Case], shown: Any) -> None:
    page, case = shown("movie"), cases["movie"]
    expect(page.page.get_by_label("Z slice")).to_have_count(0)
    page.page.get_by_label("Time point").focus()
    page.press("End")
    expect(page.page.get_by_role("status")).to_have_text("T 3 of 4")
    page.canvas.focus()
    page.press(",")
    expect(page.page.get_by_role("status")).to_have_text("T 2 of 4")
    page.arrives(0)
    assert off_by(case.picture(0, t=2), pixels(page.page)) <= allowed(page)


def test_keys_stop_at_the_viewer_but_for_the_pages_own(shown: Any) -> None:
    page = shown("12bits")
    page.canvas.focus()
    page.press("ArrowDown", "a", "d", "Escape", "Control+s", "Shift+Enter")
    page.page.get_by_label("Z slice").focus()
    page.press("ArrowDown", "x")
    assert {"Control", "s", "Enter", "Shift"} >= set(page.page.evaluate("() => heard"))
    assert {"s", "Enter"} <= set(page.page.evaluate("() => heard"))
    assert 2 == page.state["z"]


def test_a_channel_that_cannot_be_read_is_told_beside_the_others(
    cases: dict[str, Case], shown: Any
) -> None:
    page, case = shown("broken"), cases["broken"]
    alert = page.page.get_by_role("alert")
    expect(alert).to_contain_text("dye 1, Z 4: pixels of type the file is <b>damaged</b>")
    others = changed(case, {}, {"on": False})
    assert off_by(others.picture(4), pixels(page.page)) <= allowed(page)
    asked = page.page.evaluate("() => asked.filter((one) => one.c === 1 && one.z === 4).length")
    page.set("{channels: [{low: 1}]}")
    pixels(page.page)
    assert asked == page.page.evaluate(
        "() => asked.filter((one) => one.c === 1 && one.z === 4).length"
    )
    page.page.get_by_label("dye 1", exact=True).uncheck()
    page.set("{z: 3}")
    page.arrives(3)
    expect(alert).to_be_hidden()


def test_names_are_text_and_never_markup(shown: Any) -> None:
    page = shown("hostile")
    # It turns nothing round either.
    seen = BAD.replace("\u202e", "\ufffd")
    expect(page.page.get_by_label(seen, exact=True).first).to_be_visible()
    expect(page.page.get_by_label(f"Outlines of {seen}")).to_be_visible()
    assert BAD == page.page.evaluate("() => handle.state.channels[0].name")
    expect(page.page.locator("#view img, #view script")).to_have_count(0)


def test_zoom_and_pan_move_the_picture_and_leave_its_pixels(
    cases: dict[str, Case], shown: Any
) -> None:
    page = shown("12bits")
    bar = page.page.locator(".bar")
    expect(bar).to_have_text("1 µm")
    fitted = page.canvas.bounding_box()
    page.page.mouse.wheel(0, -300)
    assert fitted == page.canvas.bounding_box()
    page.canvas.focus()
    page.press("+", "+")
    larger = page.canvas.bounding_box()
    assert larger["width"] == pytest.approx(fitted["width"] * 2.25, rel=0.01)
    middle = (fitted["x"] + fitted["width"] / 2, fitted["y"] + fitted["height"] / 2)
    page.page.mouse.move(*middle)
    page.page.mouse.down()
    page.page.mouse.move(middle[0] + 30, middle[1] + 20, steps=3)
    page.page.mouse.up()
    moved = page.canvas.bounding_box()
    assert (30, 20) == pytest.approx((moved["x"] - larger["x"], moved["y"] - larger["y"]), abs=1)
    page.page.mouse.wheel(0, -300)
    expect(page.canvas).not_to_have_css("width", f"{moved['width']}px")
    expect(page.page.locator(".probe")).to_contain_text("dye 2")
    page.press("0")
    assert fitted == page.canvas.bounding_box()
    assert off_by(cases["12bits"].picture(4), pixels(page.page)) <= allowed(page)


def test_without_a_pixel_size_there_is_no_scale_bar(shown: Any) -> None:
    page = shown("unscaled")
    expect(page.page.locator(".bar")).to_be_hidden()


def test_both_ways_of_drawing_were_tried(browser: Browser, shown: Any, request: Any) -> None:
    wished = request.node.callspec.params["browser"]
    page = shown("bytes")
    assert wished == page.root.get_attribute("data-renderer")


def test_a_lost_context_goes_on_without_it(
    cases: dict[str, Case], with_webgl: Browser, address: str
) -> None:
    page = Shown(with_webgl, address, "floats")
    page.canvas.focus()
    page.page.evaluate(
        "() => document.getElementById('view').shadowRoot.querySelector('canvas')"
        ".getContext('webgl2').getExtension('WEBGL_lose_context').loseContext()"
    )
    expect(page.root).to_have_attribute("data-renderer", "cpu")
    assert off_by(cases["floats"].picture(4), pixels(page.page)) <= 2
    page.press("ArrowLeft")
    page.arrives(3)
    assert off_by(cases["floats"].picture(3), pixels(page.page)) <= 2
    page.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1200, 390])
def test_it_fits_wide_and_narrow_pages(shown: Any, scheme: str, width: int) -> None:
    page = shown("12bits", color_scheme=scheme, viewport={"width": width, "height": 900})
    assert page.page.evaluate("() => document.documentElement.scrollWidth") <= width
    page.page.evaluate("() => handle.destroy()")
    expect(page.page.locator("#view canvas")).to_have_count(0)
