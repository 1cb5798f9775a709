"""The pages over real HTTP: what they say, and to whom."""

import json
from pathlib import Path

import pytest

from cellbank.catalog.app import wants_html
from cellbank.model.digest import digest_of
from cellbank.storage.http_remote import HttpRemote
from cellbank.storage.remote import BucketRemote
from cellbank.storage.store import Store
from tests.catalog.making import CELLS, SCHEMA, Browser
from tests.registry.asking import Asker
from tests.storage.making import PACKAGE, Package, Served, event, push_files

# --- the list


def test_a_registry_without_packages_says_how_to_push_one(
    browser: Browser, registry: Served
) -> None:
    page = browser.page("/")
    assert "Packages" == page.text("h1")
    assert f"cellbank push owner/name --to {registry.url}" in page.text("section")


def test_the_list_shows_to_everyone_what_everyone_may_see(
    browser: Browser, signed_in: Browser, store: Store, remote: HttpRemote, cells: str
) -> None:
    push_files(store, remote, {"a": b"a"}, package=Package("aaa", "secret"), public=False)
    push_files(store, remote, {"a": b"a"}, package=Package("zoo", "plain"))
    assert ["aics/demo", "zoo/plain"] == browser.page("/").each("h2")
    assert ["aaa/secret", "aics/demo", "zoo/plain"] == signed_in.page("/").each("h2")
    assert ["zoo/plain"] == browser.page("/zoo").each("h2")
    assert 404 == browser.get("/aaa").status
    card = browser.page("/").text("li", class_="card")
    assert "Tight junctions" in card
    assert f"{len(CELLS)} entries" in card
    assert cells[:12] in card


def test_the_list_names_the_newest_version_that_was_not_yanked(
    browser: Browser, remote: HttpRemote, cells: str
) -> None:
    for version in ("1.0", "1.10", "1.9", "2.0"):
        remote.append(PACKAGE, event("version", name=version, revision=cells))
    remote.append(PACKAGE, event("yank", name="2.0"))
    assert ["1.10"] == browser.page("/").each("span", class_="chip")


@pytest.mark.parametrize(
    ("accept", "html"),
    [
        ("", False),
        ("*/*", False),
        ("application/json", False),
        ("application/json, text/html;q=0", False),
        ("text/html", True),
        ("TEXT/HTML ; q=0.5", True),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", True),
    ],
)
def test_only_who_names_html_gets_it_at_the_root(nobody: Asker, accept: str, *, html: bool) -> None:
    assert html == wants_html(accept)
    reply = nobody.get("/", Accept=accept)
    assert ("text/html" in reply.headers["content-type"]) == html
    assert html or "a cellbank registry" == reply.json["what"]


# --- a package


def test_a_page_tells_what_a_package_is(browser: Browser, registry: Served, cells: str) -> None:
    page = browser.page("/aics/demo")
    assert ["aics/demo"] == page.each("h1")
    assert f"cellbank install aics/demo --from {registry.url}" in page.each("code")
    assert "from cellbank.data.aics import demo" in page.each("code")
    assert cells in page.each("code")
    facts = page.text("aside")
    for said in ("Entries 83", "fovs 40", "lines 1", "JSON 42", "OME-TIFF 40", "Markdown 1"):
        assert said in facts
    assert "Licence CC BY 4.0" in facts
    assert "Tight junctions" in page.text("article")
    assert cells in page.text("blockquote")
    assert f"@misc{{aics_demo_{cells[:8]}" in page.text()
    assert "/aics/demo/schema" in page.values("href")


def test_contents_show_the_first_and_last_of_a_long_group(browser: Browser, cells: str) -> None:
    names = browser.page("/aics/demo").each("span", class_="name")
    assert ["README", "SCHEMA", "fovs/", "fov_00/", "image/", "info/"] == names[:6]
    assert "fov_04/" in names
    assert "fov_05/" not in names
    assert "… 30 more" in browser.page("/aics/demo").each("li", class_="more")


@pytest.mark.parametrize("form", ["@{}", ":first", "==1.0"])
def test_every_revision_has_a_page(
    browser: Browser, store: Store, remote: HttpRemote, cells: str, form: str
) -> None:
    remote.append(PACKAGE, event("version", name="1.0", revision=cells))
    remote.append(PACKAGE, event("tag", name="first", revision=cells))
    push_files(store, remote, {"b": b"b"}, base=cells)
    assert "Entries 1" in browser.page("/aics/demo").text("aside")
    address = f"/aics/demo{form.format(cells[:8])}"
    page = browser.page(address)
    assert "Entries 83" in page.text("aside")
    assert "not the newest" in page.text("p", class_="notice")
    assert f"{address}/schema" in page.values("href")
    assert 200 == browser.get(f"{address}/schema").status


@pytest.mark.parametrize(
    "path",
    [
        "/aics/demo@000000",
        "/aics/demo@xyz",
        "/aics/demo:no",
        "/aics/demo==9",
        "/aics/demo==",
        "/aics/DEMO",
        "/aics/demo/other",
        "/aics/demo%2f..",
        "/nobody",
        "/nobody/demo/schema",
        "/a/b/c/d",
        "//aics/demo",
        "/%00/%ff",
        "/-/static/nothing.css",
    ],
)
def test_what_is_not_there_is_a_404(browser: Browser, cells: str, path: str) -> None:
    reply = browser.get(path)
    assert 404 == reply.status
    assert b"Traceback" not in reply.body


def test_history_and_names_stand_on_the_page(
    browser: Browser, remote: HttpRemote, cells: str
) -> None:
    remote.append(PACKAGE, event("version", name="1.0", revision=cells, message="<b>out</b>"))
    for n in range(25):
        remote.append(PACKAGE, event("tag", name=f"t{n}", revision=cells))
    page = browser.page("/aics/demo==1.0")
    table = page.each("tbody")[-1]
    assert "tag t24" in table
    assert "version 1.0" not in table
    assert "7 older records" in page.text()
    assert "1.0" in page.text("aside")
    assert "==1.0" in page.each("span", class_="chip")


def test_a_deleted_package_is_gone_and_a_moved_one_says_where(
    browser: Browser, remote: HttpRemote, cells: str
) -> None:
    remote.append(PACKAGE, event("move", name="lab/<new>"))
    assert "moved to lab/<new>" in browser.page("/aics/demo").text("p", class_="notice")
    remote.append(PACKAGE, event("delete"))
    assert 404 == browser.get("/aics/demo").status
    assert [] == browser.page("/").each("h2", class_="card")


def test_large_documents_are_shown_as_far_as_that_makes_sense(
    browser: Browser, store: Store, remote: HttpRemote
) -> None:
    long = "# Long\n" + "<script>" * 40_000
    schema = {"unique_fov_info": {"a": {"description": "d" * 200_000}}}
    large = {"README.md": long.encode(), "SCHEMA": json.dumps(schema).encode()}
    first = push_files(store, remote, large).record.revision
    page = browser.page("/aics/demo")
    assert "too long to be rendered" in page.text("p", class_="note")
    assert "# Long <script>" in page.text("pre", class_="plain")
    assert "Long" in browser.page("/").text("main")
    assert "ddd" in browser.page("/aics/demo/schema").text("tbody")
    push_files(store, remote, {"README": bytes(2 << 20)}, base=first)
    assert "too large" in browser.page("/aics/demo").text("p", class_="note")


def test_a_readme_that_was_purged_is_not_shown(browser: Browser, folder: Path, cells: str) -> None:
    assert "Images of" in browser.page("/aics/demo").text("article")
    purge = event("purge", name=digest_of(CELLS["README"]), message="by request")
    BucketRemote.open(str(folder)).append(PACKAGE, purge)
    assert "Images of" not in browser.page("/aics/demo").text()
    assert "Tight" not in browser.page("/").text("main")


# --- the schema


def test_a_schema_is_filled_in(browser: Browser, cells: str) -> None:
    page = browser.page("/aics/demo/schema")
    assert ["FOV unique_fov_info", "line unique_line_info"] == page.each("h2")
    row = page.text("tr", id="fov.cell_viability")
    for said in (
        "cell_viability",
        "number",
        "in %",
        "may be null",
        "98.5",
        "97.5 %",
        "12 distinct",
    ):
        assert said in row
    assert "97.5" in page.values("value")
    assert SCHEMA["unique_fov_info"]["instrument"]["origin"] in page.text()


def test_plain_files_have_no_schema_and_are_told_so(
    browser: Browser, store: Store, remote: HttpRemote
) -> None:
    push_files(store, remote, {"a.txt": b"a"})
    assert "/aics/demo/schema" not in browser.page("/aics/demo").values("href")
    assert "No SCHEMA here" == browser.page("/aics/demo/schema", 404).text("h2")


# --- who may see it


@pytest.mark.parametrize("tail", ["", "/schema", "@{}", ":latest"])
def test_a_private_package_looks_exactly_like_one_that_is_not_there(
    browser: Browser,
    signed_in: Browser,
    store: Store,
    remote: HttpRemote,
    registry: Served,
    tail: str,
) -> None:
    push_files(store, remote, CELLS, public=False)
    revision = remote.newest(PACKAGE).record.revision
    tail = tail.format(revision)
    there, absent = browser.get(f"/aics/demo{tail}"), browser.get(f"/aics/none{tail}")
    assert (404, there.status, there.body) == (absent.status, absent.status, absent.body)
    there.headers["date"] = absent.headers["date"]
    assert absent.headers == there.headers
    assert b"demo" not in there.body
    # Also where the page has just been made for someone else.
    assert 200 == signed_in.get(f"/aics/demo{tail}").status
    again = browser.get(f"/aics/demo{tail}", If_None_Match='"x"')
    assert (404, absent.body) == (again.status, again.body)
    assert 401 == Browser(registry.url, "cbk_wrong").get(f"/aics/demo{tail}").status


def test_access_that_was_taken_back_is_taken_back_at_once(
    browser: Browser, store: Store, remote: HttpRemote, cells: str
) -> None:
    tag = browser.get("/aics/demo").headers["etag"]
    push_files(store, remote, {"b": b"b"}, base=cells, public=False)
    assert 404 == browser.get("/aics/demo", If_None_Match=tag).status
    assert 404 == browser.get(f"/aics/demo@{cells[:12]}").status
