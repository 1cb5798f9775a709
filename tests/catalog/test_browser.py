"""The pages in a real browser: light, dark, narrow, without JavaScript, and asking nobody else."""

import json
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import BrowserContext, Page, expect, sync_playwright

from cellbank.catalog.readme import read_readme
from cellbank.storage.http_remote import HttpRemote
from cellbank.storage.store import Store
from tests.catalog.making import CELLS
from tests.catalog.test_readme import HOSTILE
from tests.storage.making import Package, Served, push_files, served

CHROMIUM = shutil.which("chromium")
ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--headless",
]
PATHS = ["/", "/aics/demo", "/aics/demo/schema", "/lab/hostile", "/lab/hostile/schema"]
SIZES = [(1280, 800), (390, 800)]

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="NO CHROMIUM: THE PAGES WERE NOT TRIED IN A BROWSER"
)

BAD = '"><img src=https://evil.example/x.png onerror=alert(1)><script>alert(2)</script>'
LONG = "a" * 300
WIDE = f"# {LONG}\n\n{LONG}\n\n|{'wide|' * 40}\n|{'-|' * 40}\n\n```\n{LONG}\n```\n"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A registry with a package of cells, and one whose author means harm."""
    folder = tmp_path_factory.mktemp("pages")
    hostile = {
        "README.md": "\n\n".join([WIDE, *HOSTILE]).encode(),
        "SCHEMA": json.dumps(
            {BAD: {BAD: {"description": BAD, "example_value": LONG, "value_types": [BAD, LONG]}}}
        ).encode(),
        f"{'b' * 200}/{'c' * 200}/[{'d' * 100}": b"x",
    }
    with served(folder / "place") as running:
        store = Store.at(str(folder / "store"))
        remote = HttpRemote(running.url, running.token or "", timeout=10)
        push_files(store, remote, CELLS)
        push_files(store, remote, hostile, package=Package("lab", "hostile"))
        remote.close()
        yield running


@pytest.fixture(scope="module")
def chromium() -> Iterator[Chromium]:
    """The browser."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGS)
        yield browser
        browser.close()


class Watch:
    """What a browser did that it should not."""

    def __init__(self, context: BrowserContext, url: str) -> None:
        self.wrong: list[str] = []
        context.on("request", lambda r: self._unless(r.url.startswith((url, "data:")), r.url))
        context.on("console", lambda m: self._unless(m.type not in ("error", "warning"), m.text))
        context.on("dialog", lambda dialog: (self.wrong.append("a dialog"), dialog.dismiss()))
        context.on("weberror", lambda error: self.wrong.append(str(error.error)))

    def _unless(self, fine: bool, what: str) -> None:
        if not fine:
            self.wrong.append(what)


def opened(chromium: Chromium, place: Served, **options: Any) -> tuple[Page, Watch]:
    context = chromium.new_context(base_url=place.url, **options)
    context.set_default_timeout(5000)
    return context.new_page(), Watch(context, place.url)


def colours(page: Page, selector: str) -> tuple[str, str]:
    found = page.locator(selector).first.evaluate(
        "e => { let b = e; while (b && getComputedStyle(b).backgroundColor === 'rgba(0, 0, 0, 0)')"
        " b = b.parentElement;"
        " return [getComputedStyle(e).color, getComputedStyle(b).backgroundColor]; }"
    )
    return found[0], found[1]


def luminance(colour: str) -> float:
    parts = [int(p) / 255 for p in colour[colour.index("(") + 1 : -1].split(",")[:3]]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    dark, light = sorted(map(luminance, (one, other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize(
    ("scheme", "script"), [("light", True), ("dark", False)], ids=["light", "dark-no-script"]
)
def test_pages_fit_and_ask_nobody_else(
    chromium: Chromium, place: Served, scheme: Any, *, script: bool
) -> None:
    page, watch = opened(chromium, place, color_scheme=scheme, java_script_enabled=script)
    for path in PATHS:
        for width, height in SIZES:
            page.set_viewport_size({"width": width, "height": height})
            page.goto(path)
            expect(page.locator("h1")).to_have_count(1)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        assert (0 < page.locator("button.copy").count()) == (script and path.count("/") == 2)
    page.context.close()
    assert [] == watch.wrong


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(chromium: Chromium, place: Served, scheme: Any) -> None:
    page, _ = opened(chromium, place, color_scheme=scheme)
    grounds = set()
    for path in ("/", "/aics/demo", "/aics/demo/schema"):
        page.goto(path)
        grounds.add(colours(page, "h1")[1])
        for selector in ("h1", "main a", ".owner", "code", "td", "th", ".count", "dt", "footer p"):
            if page.locator(selector).count():
                assert contrast(*colours(page, selector)) >= 4.5, (path, selector)
    page.context.close()
    (ground,) = grounds
    assert (luminance(ground) > 0.5) == (scheme == "light")


def test_nothing_in_a_cleaned_readme_acts_even_where_no_policy_forbids_it(
    chromium: Chromium, place: Served
) -> None:
    page, watch = opened(chromium, place)
    page.set_content("<hr>".join(read_readme(text.encode()).html for text in HOSTILE))
    for link in page.locator("a, summary").all():
        link.dispatch_event("mouseover")
        link.dispatch_event("focus")
    page.wait_for_load_state("networkidle")
    page.context.close()
    assert [] == watch.wrong


def test_buttons_copy_and_say_so(chromium: Chromium, place: Served) -> None:
    page, watch = opened(chromium, place, permissions=["clipboard-read", "clipboard-write"])
    page.goto("/aics/demo")
    button = page.get_by_role("button", name="Copy the install command")
    button.click()
    expect(page.get_by_role("button", name="Copied the install command")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert f"cellbank install aics/demo --from {place.url}" == copied
    page.get_by_role("button", name="Copy the revision").click()
    expect(page.get_by_role("button", name="Copied the revision")).to_be_visible()
    revision = page.locator("aside .digest").inner_text()
    assert revision == page.evaluate("navigator.clipboard.readText()")
    page.context.close()
    assert [] == watch.wrong


def test_the_schema_is_filtered_and_the_tree_opens(chromium: Chromium, place: Served) -> None:
    page, watch = opened(chromium, place)
    page.goto("/aics/demo/schema")
    page.get_by_label("Filter attributes").fill("VIABILITY")
    expect(page.get_by_role("status")).to_have_text("1 of 2")
    expect(page.locator("tbody tr:visible")).to_have_count(1)
    page.get_by_label("Filter attributes").fill("")
    expect(page.locator("tbody tr:visible")).to_have_count(2)
    page.goto("/aics/demo")
    page.locator("summary", has_text="fovs/").click()
    page.locator("summary", has_text="fov_03/").click()
    expect(page.locator("li:visible", has_text="image/").last).to_be_visible()
    page.context.close()
    assert [] == watch.wrong


def test_the_keyboard_reaches_the_content_first(chromium: Chromium, place: Served) -> None:
    page, _ = opened(chromium, place)
    page.goto("/aics/demo")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    expect(page.get_by_role("link", name="Skip to content")).to_be_in_viewport()
    page.context.close()
