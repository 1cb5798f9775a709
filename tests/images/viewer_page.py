"""A page with the viewer on it, served on loopback under a strict policy, and its pictures."""

import base64
import json
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Browser, Page, Playwright

CHROMIUM = shutil.which("chromium")
needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="NO CHROMIUM: THE VIEWER WAS NOT TRIED IN A BROWSER"
)
ARGS = [
    "--no-sandbox",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--headless",
]
# No graphics card here: WebGL is drawn by software.
WITH_WEBGL = ["--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist"]
WITHOUT_WEBGL = ["--disable-3d-apis"]

VIEWER = Path(__file__).parents[2] / "src" / "cellbank" / "images" / "viewer.js"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'"
)
HTML = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Viewer</title>
<meta name="viewport" content="width=device-width"><link rel="icon" href="/icon.png">
<link rel="stylesheet" href="/page.css">
<script type="module" src="/page.js"></script></head><body><div id="view"></div></body></html>"""
CSS = "html { color-scheme: light dark } body { margin: 8px }"
SCRIPT = """
import { autoLimits, decode, view } from "/viewer.js";
const name = new URLSearchParams(location.search).get("case");
const options = await (await fetch(`/options?case=${name}`)).json();
const asked = [];
window.asked = asked;
window.autoLimits = autoLimits;
window.planes = async (request) => {
  asked.push(request);
  const text = encodeURIComponent(JSON.stringify(request));
  const answer = await fetch(`/plane?case=${name}&request=${text}`);
  if (!answer.ok) throw new Error(await answer.text());
  const form = JSON.parse(answer.headers.get("x-form"));
  return decode(await answer.arrayBuffer(), form);
};
options.planes = (request) => window.planes(request);
window.changes = [];
window.heard = [];
document.addEventListener("keydown", (event) => window.heard.push(event.key));
window.handle = view(document.getElementById("view"), options);
window.handle.on("change", (state) => window.changes.push(state));
"""


class Case:
    """An image (T, C, Z, Y, X), its labels (T, Z, Y, X) by name, and the viewer's options."""

    def __init__(
        self, array: NDArray[Any], labels: dict[str, NDArray[Any]], **options: Any
    ) -> None:
        self.array = array
        self.labels = labels
        self.broken: set[int] = set()
        times, channels, depth, height, width = array.shape
        colors = ["#00ffff", "#ff00ff", "#ffff00", "#ffffff"]
        self.options: dict[str, Any] = {
            "title": "fov <b>&",
            "sizes": {"T": times, "C": channels, "Z": depth, "Y": height, "X": width},
            "dtype": array.dtype.name,
            "pixelSize": {"X": 0.108, "Y": 0.108},
            "channels": [
                {
                    "name": f"dye {c}",
                    "color": colors[c % 4],
                    "on": True,
                    "low": float(np.nanmin(array[:, c])) * 0.9,
                    "high": float(np.nanmax(array[:, c])) * 0.8,
                    "min": float(np.nanmin(array[:, c])),
                    "max": float(np.nanmax(array[:, c])),
                }
                for c in range(channels)
            ],
            "labels": [{"name": name, "color": "#ff8000"} for name in labels],
        } | options

    def plane(self, request: dict[str, Any]) -> NDArray[Any]:
        """Answer what the viewer asks."""
        t, z = request["t"], request["z"]
        stack = (
            self.array[t, request["c"]]
            if request["kind"] == "image"
            else self.labels[request["name"]][t]
        )
        return np.asarray(stack.max(axis=0) if z == "max" else stack[z])

    def picture(self, z: int | str, t: int = 0) -> NDArray[np.uint8]:
        """Make the picture of all channels that are on, by the rule, with float64."""
        total = np.zeros((*self.array.shape[-2:], 3))
        for c, channel in enumerate(self.options["channels"]):
            span = channel["high"] - channel["low"]
            if not channel["on"] or not span:
                continue
            plane = self.plane({"kind": "image", "c": c, "z": z, "t": t}).astype(float)
            part = np.nan_to_num(np.clip((plane - channel["low"]) / span, 0, 1))
            color = [int(channel["color"][i : i + 2], 16) / 255 for i in (1, 3, 5)]
            total += part[..., np.newaxis] * color
        return np.floor(255 * np.clip(total, 0, 1) + 0.5).astype(np.uint8)


Answer = tuple[str, bytes, str]
"""Content type, body, and the form of a plane as JSON."""


@contextmanager
def serving(answer: Callable[[str, dict[str, str], bytes], Answer]) -> Iterator[str]:
    """Serve what `answer` says for a path, a query and a body; yields the address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urlsplit(self.path)
            asked = {key: values[0] for key, values in parse_qs(url.query).items()}
            sent = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            kind, body, form = answer(url.path, asked, sent)
            self.send_response(200)
            self.send_header("Content-Type", f"{kind}; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Content-Security-Policy", POLICY)
            self.send_header("X-Form", form)
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def page(path: str, script: str) -> Answer:
    """Answer with the files of a page that runs a script."""
    texts = {"/": ("text/html", HTML), "/page.js": ("text/javascript", script)}
    kind, text = texts.get(path, ("text/css", CSS if path.endswith(".css") else ""))
    return kind, text.encode(), ""


def served(cases: dict[str, Case]) -> AbstractContextManager[str]:
    """Serve the page with the viewer for each case."""

    def answer(path: str, asked: dict[str, str], _: bytes) -> Answer:
        if path == "/viewer.js":
            return "text/javascript", VIEWER.read_bytes(), ""
        if path == "/options":
            return "application/json", json.dumps(cases[asked["case"]].options).encode(), ""
        if path != "/plane":
            return page(path, SCRIPT)
        case, request = cases[asked["case"]], json.loads(asked["request"])
        if request.get("c") in case.broken:
            return "text/plain", b"", '{"dtype": "the file is <b>damaged</b>"}'
        plane = case.plane(request)
        height, width = plane.shape
        form = {"dtype": plane.dtype.name, "width": width, "height": height}
        return "application/octet-stream", plane.tobytes(), json.dumps(form)

    return serving(answer)


@contextmanager
def chromium(playwright: Playwright, *more: str) -> Iterator[Browser]:
    """Start Debian's Chromium."""
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*ARGS, *more])
    yield browser
    browser.close()


def pixels(shown: Page) -> NDArray[np.uint8]:
    """Read the picture that the viewer shows: (Y, X, 3)."""
    width, height, text = shown.evaluate(
        "() => { const { width, height, data } = handle.pixels(); let text = '';"
        " for (const byte of data) text += String.fromCharCode(byte);"
        " return [width, height, btoa(text)]; }"
    )
    rgba = np.frombuffer(base64.b64decode(text), np.uint8).reshape(height, width, 4)
    return rgba[..., :3]
