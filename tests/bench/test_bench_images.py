"""The benchmarks of images still run, and measure every task. Nothing is timed here."""

import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[2] / "bench/run.py"


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> list[list[str]]:
    """Return the cells of all lines of all tables."""
    pytest.importorskip("tifffile", reason="the benchmarks make TIFF files")
    place = tmp_path_factory.mktemp("bench")
    words = ["--quick", "--runs", "1", "--only", "images", "--markdown", "--folder", place]
    done = subprocess.run(
        [sys.executable, BENCH, *words], capture_output=True, text=True, check=False, timeout=280
    )
    assert 0 == done.returncode, done.stderr
    assert [] == list(place.iterdir())
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in done.stdout.splitlines()
        if line.startswith("| ")
    ]


def test_every_task_is_measured_beside_what_others_do(lines: list[list[str]]) -> None:
    ways: dict[str, list[str]] = {}
    for task, way, *_ in (cells for cells in lines if len(cells) == 10):
        ways.setdefault(task or list(ways)[-1], []).append(way)

    assert "way" == ways.pop("task")[0]
    assert 16 == len(ways)
    assert {"cellbank"} == {first for first, *_ in ways.values()}
    alone = {task for task, found in ways.items() if len(found) == 1}
    assert {"composite of all channels", "thumbnail"} == alone


def test_ours_took_some_time(lines: list[list[str]]) -> None:
    ours = [cells[2] for cells in lines if len(cells) == 10 and cells[1] == "cellbank"]

    assert all(float(milliseconds) > 0 for milliseconds in ours)


def test_imports_are_measured(lines: list[list[str]]) -> None:
    names = [cells[0] for cells in lines if len(cells) == 6]

    assert ["import", "python", "cellbank.images", "cellbank.images.open"] == names[:4]


def test_a_plane_from_afar_is_less_than_the_image(lines: list[list[str]]) -> None:
    rows = {step: cells for step, *cells in lines if len(cells) == 2}

    assert ["installed whole, ms", "from afar, ms"] == rows["step"]
    assert all(int(count) > 0 for count in rows["requests"])


def test_a_package_shows_itself(lines: list[list[str]]) -> None:
    steps = [cells[0] for cells in lines if len(cells) == 4]

    assert ["step", "load", "shown, nothing cached", "shown again"] == steps
