"""The demonstration runs from beginning to end, and leaves nothing but its folder."""

import importlib.util
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from cellbank.cells.sample import nuclei

DEMO = Path(__file__).parents[2] / "demo/demo.py"
SMALL = ("--fovs", "12", "--shape", "8,48,72")
FIGURES = ["all_channels", "channels_in_use", "composite", "segmentations", "titles"]

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec(nuclei.PACKAGE) is None,
    reason="the real nuclei are not installed: make demo installs them",
)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    folder = tmp_path_factory.mktemp("demo")
    done = subprocess.run(
        [sys.executable, DEMO, "--output", folder, *SMALL],
        capture_output=True,
        stdin=subprocess.DEVNULL,
        text=True,
        check=False,
        timeout=280,
    )
    assert 0 == done.returncode, done.stdout + done.stderr
    return done.stdout, folder


def test_the_family_is_built_and_all_of_it_pushed(told: tuple[str, Path]) -> None:
    out, _ = told

    assert "48 of 48 images read" in out
    pushed = re.findall(r"^ +(aics/\w+)@\w+ is now at http", out, re.MULTILINE)
    assert 12 * 2 == len(pushed)
    assert {"aics/aics_23", "aics/cell_lines", "aics/random_sample"} <= set(pushed)


def test_one_line_is_installed_over_http_and_walked_through(told: tuple[str, Path]) -> None:
    out, _ = told

    assert re.search(r"\('AICS-23', 'TJP1', 11, \d+\)", out)
    assert "['CMDRP', 'EGFP', 'H3342', 'Bright_100X']" in out
    assert "(8, 7, 48, 72)" in out


def test_after_the_correction_no_image_is_read_or_moved(told: tuple[str, Path]) -> None:
    out, _ = told

    wells = re.search(r"cell_viability of (\d+) wells", out)
    assert int(wells[1]) > 10
    assert "0 of 48 images read" in out
    moved = re.search(r"first install moved ([\d,]+) bytes .* correction ([\d,]+) bytes", out)
    whole, less = (int(number.replace(",", "")) for number in moved.groups())
    assert less < whole / 10
    assert "0 of them images" in out
    assert "checked: all good" in out


def test_the_page_has_the_five_figures_in_it(told: tuple[str, Path]) -> None:
    image = pytest.importorskip("PIL.Image")
    out, folder = told
    page = (folder / "walkthrough.html").read_text()

    assert FIGURES == sorted(file.stem for file in (folder / "figures").glob("*.png"))
    assert 5 == page.count("from the package</figcaption>")
    assert page.count("data:image/png;base64,") == page.count("<img ")
    assert not re.search(r'(?:src|href)="(?!data:)', page)
    for name in FIGURES:
        with image.open(folder / "figures" / f"{name}.png") as picture:
            assert picture.width > 300
            assert all(low < 100 < high for low, high in picture.convert("RGB").getextrema()[:1])
    assert "walkthrough.html" in out


def test_it_says_how_to_see_the_page_of_the_package(told: tuple[str, Path]) -> None:
    out, folder = told
    port, address = re.search(r"serve \S+ --port (\d+)\nand open (http://\S+)", out).groups()

    assert f"http://127.0.0.1:{port}/aics/aics_23" == address
    assert (folder / "registry").is_dir()


def test_the_registry_has_ended(told: tuple[str, Path]) -> None:
    out, _ = told
    host, port = re.search(r"Listening on http://([\d.]+):(\d+)", out).groups()

    with socket.socket() as connection:
        assert 0 != connection.connect_ex((host, int(port)))


def test_no_token_is_shown(told: tuple[str, Path]) -> None:
    out, _ = told

    assert "--token …" in out
    assert not re.search(r"Admin token: [A-Za-z0-9]", out)


@pytest.fixture
def serving(tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """Run a demonstration that keeps serving."""
    process = subprocess.Popen(
        [sys.executable, DEMO, "--output", tmp_path, "--serve", *SMALL],
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


# The whole story once more, for its end.
@pytest.mark.slow
def test_asked_to_it_serves_until_it_is_interrupted(serving: "subprocess.Popen[str]") -> None:
    address = next(line for line in serving.stdout if "The page of the package" in line).split()[5]

    with urllib.request.urlopen(address) as answer:  # noqa: S310  loopback
        assert b"aics_23" in answer.read()
    serving.send_signal(signal.SIGINT)

    assert 0 == serving.wait(30)
    with socket.socket() as connection:
        assert 0 != connection.connect_ex(("127.0.0.1", int(re.search(r":(\d+)/", address)[1])))
