"""One run in a real JupyterLab: what a person sees, and that keys reach the viewer."""

import base64
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import nbformat
import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from playwright.sync_api import Page, expect, sync_playwright

import cellbank
from tests.images.making import ome
from tests.images.viewer_page import WITH_WEBGL, chromium, needs_chromium

pytestmark = needs_chromium

CELLS = [
    'import cellbank\npackage = cellbank.load("lab/cells")\npackage',
    "viewer = cellbank.images.open(package.fovs[0][0]).show()\nviewer",
    'print("z is", viewer.z, viewer.channels[0]["on"])',
]


@pytest.fixture
def notebook(tmp_path: Path) -> Path:
    """A notebook beside a package with two fields."""
    y, x = np.mgrid[:120, :180]
    planes = [[((x * (c + 1) + y * z * 3) % 4096) for c in range(2)] for z in range(9)]
    for field in "12":
        image = tmp_path / "files" / "fovs" / field / "image.ome.tif"
        image.parent.mkdir(parents=True)
        image.write_bytes(ome(np.array(planes, np.uint16), channels=["H3342", "EGFP"]))
    cellbank.build("lab/cells", tmp_path / "files")
    folder = tmp_path / "work"
    folder.mkdir()
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    made = new_notebook(
        cells=[new_code_cell(text) for text in CELLS], metadata={"kernelspec": kernel}
    )
    nbformat.write(made, folder / "look.ipynb")
    return folder / "look.ipynb"


@pytest.fixture
def lab(notebook: Path, tmp_path: Path) -> Iterator[str]:
    """JupyterLab on a free port of loopback, with settings of its own; yields its address."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    places = {f"JUPYTER_{name}_DIR": f"{tmp_path}/{name}" for name in ("CONFIG", "RUNTIME", "DATA")}
    places |= {
        "JUPYTERLAB_SETTINGS_DIR": f"{tmp_path}/s",
        "JUPYTERLAB_WORKSPACES_DIR": f"{tmp_path}/w",
    }
    options = ["--no-browser", "--allow-root", f"--port={port}", "--IdentityProvider.token="]
    options += [
        "--ServerApp.disable_check_xsrf=True",
        "--LabApp.news_url=",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    ]
    with (tmp_path / "lab.log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *options],
            cwd=notebook.parent,
            env=os.environ | places | {"IPYTHONDIR": f"{tmp_path}/ipython"},
            stdout=log,
            stderr=log,
        )
        url = f"http://127.0.0.1:{port}"
        try:
            _wait(f"{url}/api/status", server, tmp_path / "lab.log")
            yield url
        finally:
            server.terminate()
            server.wait(30)


def _wait(url: str, server: "subprocess.Popen[bytes]", log: Path) -> None:
    end = time.monotonic() + 60
    while True:
        try:
            urllib.request.urlopen(url, timeout=5).close()  # noqa: S310
        except (urllib.error.URLError, ConnectionError):
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.2)
        else:
            return


def run(page: Page) -> None:
    """Run the cell that is selected and go to the next."""
    page.keyboard.press("Shift+Enter")


@pytest.mark.timeout(300)
def test_jupyterlab_shows_the_package_and_the_viewer_has_its_keys(lab: str, notebook: Path) -> None:
    with sync_playwright() as playwright, chromium(playwright, *WITH_WEBGL) as browser:
        page = browser.new_page(viewport={"width": 1400, "height": 1500})
        page.set_default_timeout(60_000)
        foreign: list[str] = []
        page.on(
            "request", lambda r: r.url.startswith((lab, "data:", "blob:")) or foreign.append(r.url)
        )
        page.goto(f"{lab}/lab/tree/look.ipynb?reset")
        page.locator(".jp-Notebook .jp-Cell").first.click()
        for _ in CELLS[:2]:
            run(page)
        viewer = page.locator(".cellbank-viewer")
        expect(viewer).to_have_attribute("data-ready", "true", timeout=150_000)
        tree = page.locator(".jp-OutputArea-output details").first
        tree.locator("summary").first.click()
        expect(tree.locator("img").first).to_be_visible()
        page.locator(".cellbank-viewer canvas").click()
        for key in ("ArrowUp", "ArrowUp", "ArrowRight", "1"):
            page.keyboard.press(key)
        expect(viewer).to_have_attribute("data-z", "7")
        # None of them was a command of the notebook's.
        expect(page.locator(".jp-Notebook .jp-Cell")).to_have_count(len(CELLS))
        page.screenshot(path=f"{notebook.parent}/lab.png")
        page.locator(".jp-Notebook .jp-CodeCell .cm-content").last.click()
        run(page)
        expect(page.locator(".jp-OutputArea-output", has_text="z is 7 False")).to_be_visible()
        still = page.locator("[data-cellbank-still]")
        expect(still).to_be_hidden()
        page.keyboard.press("Control+s")
        saved = _saved(notebook, "image/png")
        # Without the kernel, and opened again.
        for session in page.request.get(f"{lab}/api/sessions").json():
            page.request.delete(f"{lab}/api/sessions/{session['id']}")
        page.goto(f"{lab}/lab/tree/look.ipynb?reset")
        expect(page.get_by_text("model not found")).to_be_visible(timeout=150_000)
        expect(still).to_be_visible()
        page.context.close()
    assert [] == [url for url in foreign if not url.startswith(lab.replace("http", "ws"))]
    assert base64.b64decode(saved).startswith(b"\x89PNG")


def _saved(notebook: Path, mime: str) -> str:
    """Return what the notebook on the disk keeps of an output, as soon as it is there."""
    end, found = time.monotonic() + 30, []
    while True:
        # While it is being written it is empty, or a part of itself.
        with suppress(json.JSONDecodeError):
            cells = json.loads(notebook.read_text())["cells"]
            outputs = [one for cell in cells for one in cell["outputs"]]
            found = [one["data"][mime] for one in outputs if mime in one.get("data", {})]
        if found:
            return str(found[0])
        assert time.monotonic() < end
        time.sleep(0.2)
