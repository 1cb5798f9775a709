"""Pages over HTTP: headers, methods, caches, addresses, and what happens in trouble."""

import json
import shutil
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from cellbank.registry.service import Registry
from cellbank.server import create_server
from cellbank.storage.http_remote import HttpRemote
from cellbank.storage.store import Store
from tests.catalog.making import Browser
from tests.registry.asking import API
from tests.storage.making import PACKAGE, Package, Served, event, push_files

PAGES = ["/", "/aics", "/aics/demo", "/aics/demo/schema", "/no/such", "/nothing"]


@pytest.mark.parametrize("path", PAGES)
def test_every_page_is_whole_safe_and_in_order(browser: Browser, cells: str, path: str) -> None:
    reply = browser.get(path)
    page = browser.page(path, reply.status)
    assert [] == page.crooked
    levels = page.headings()
    assert 1 == levels[0]
    assert 1 == levels.count(1)
    assert all(b <= a + 1 for a, b in pairwise(levels))
    ids = page.values("id")
    assert len(set(ids)) == len(ids)
    here = [link[1:] for link in page.values("href") if link.startswith("#")]
    assert set(here) <= set(ids)
    tags = [tag for tag, _ in page.all]
    assert (1, 1) == (tags.count("main"), tags.count("footer"))
    assert "Skip to content" == page.text("a", href="#main")
    assert [] == page.values("style")
    policy = reply.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'self'; script-src 'self'")
    assert "unsafe" not in policy
    assert "nosniff" == reply.headers["x-content-type-options"]
    assert "no-referrer" == reply.headers["referrer-policy"]
    assert "set-cookie" not in reply.headers


@pytest.mark.parametrize("path", PAGES)
def test_head_says_what_get_says(browser: Browser, cells: str, path: str) -> None:
    got, asked = browser.get(path), browser.get(path, "HEAD")
    assert (got.status, b"") == (asked.status, asked.body)
    asked.headers["date"] = got.headers["date"]
    assert got.headers == asked.headers
    assert str(len(got.body)) == asked.headers["content-length"]


@pytest.mark.parametrize("path", ["/", "/aics/demo", "/aics/demo/schema"])
def test_a_page_is_sent_again_only_when_it_changed(
    browser: Browser, remote: HttpRemote, cells: str, path: str
) -> None:
    reply = browser.get(path)
    tag = reply.headers["etag"]
    assert "private, no-cache" == reply.headers["cache-control"]
    for known in (tag, f"W/{tag}", f'"other", {tag}'):
        again = browser.get(path, If_None_Match=known)
        assert (304, b"", tag) == (again.status, again.body, again.headers["etag"])
    remote.append(PACKAGE, event("version", name="1.0", revision=cells))
    assert 200 == browser.get(path, If_None_Match=tag).status


def test_static_files_can_be_kept_for_ever(browser: Browser) -> None:
    page = browser.page("/")
    files = {v for v in page.values("href") + page.values("src") if v.startswith("/-/static/")}
    assert {"css", "js", "svg"} == {file.rpartition(".")[2] for file in files}
    for file in files:
        reply = browser.get(file)
        assert 200 == reply.status
        assert "immutable" in reply.headers["cache-control"]
        assert "nosniff" == reply.headers["x-content-type-options"]


def test_the_api_speaks_json_to_browsers_too(browser: Browser, cells: str) -> None:
    for path in (f"{API}/packages", f"{API}/nothing", f"{API}/packages/no/such", "/-/health"):
        reply = browser.get(path)
        assert "application/json" == reply.headers["content-type"]
        assert reply.json
    posted = browser.get("/aics/demo", "POST")
    assert (404, "application/json") == (posted.status, posted.headers["content-type"])


def test_an_address_that_cannot_stand_in_a_command_does_not(browser: Browser, cells: str) -> None:
    reply = browser.get("/aics/demo", Host="evil$(id)<script>")
    assert b"evil" not in reply.body


# --- trouble


def test_a_damaged_package_does_not_cost_the_list(
    browser: Browser, store: Store, remote: HttpRemote, folder: Path, cells: str
) -> None:
    push_files(store, remote, {"a": b"a"}, package=Package("zoo", "plain"))
    shutil.rmtree(folder / "packages" / "aics" / "demo" / "packs")
    page = browser.page("/")
    assert "cannot be read" in page.each("li", class_="card")[0]
    assert 500 == browser.get("/aics/demo").status
    assert b"packs" not in browser.get("/aics/demo").body
    assert 200 == browser.get("/zoo/plain").status


def test_without_the_extra_the_registry_serves_without_pages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith("cellbank.catalog")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "jinja2", None)
    registry, _ = Registry.open(str(tmp_path / "place"))
    assert "FastAPI" == type(create_server(registry)).__name__
    registry.close()


def test_a_token_is_never_on_a_page(signed_in: Browser, registry: Served, cells: str) -> None:
    for path in PAGES:
        assert str(registry.token).encode() not in signed_in.get(path).body
        assert json.dumps(registry.token).encode() not in signed_in.get(path).body
