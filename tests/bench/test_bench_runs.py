"""The benchmarks still run, and measure every step. Nothing is timed here."""

import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[2] / "bench/run.py"


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, list[str]]]:
    """Return title → step → the cells of its row."""
    pytest.importorskip("tifffile", reason="the benchmarks make TIFF files")
    place = tmp_path_factory.mktemp("bench")
    words = [
        "--quick",
        "--runs",
        "1",
        "--only",
        "W1,manifest,subset,query,cells,fields,start",
        "--markdown",
    ]
    done = subprocess.run(
        [sys.executable, BENCH, *words, "--folder", place],
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    assert 0 == done.returncode, done.stderr
    assert [] == list(place.iterdir())
    found: dict[str, dict[str, list[str]]] = {}
    for line in done.stdout.splitlines():
        if line.startswith("### "):
            rows = found.setdefault(line[4:].partition(" on ")[0].rstrip(","), {})
        elif line.startswith("| "):
            step, *cells = (cell.strip() for cell in line.strip("|").split("|"))
            rows[step] = cells
    return found


def test_every_step_with_files_is_measured(tables: dict[str, dict[str, list[str]]]) -> None:
    head, *steps = tables["W1"]

    assert "step" == head
    whole = ["build", "push, folder", "install, folder", "push, HTTP", "install, HTTP"]
    again = [f"{what}: {step}" for what in ("1 %", "same") for step in whole]
    assert ["cp -r", *whole, *again, "verify"] == steps


def test_requests_over_http_are_counted_and_few(tables: dict[str, dict[str, list[str]]]) -> None:
    requests = {step: cells[-1] for step, cells in tables["W1"].items() if "HTTP" in step}

    assert 6 == len(requests)
    assert all(0 < int(count) < 30 for count in requests.values())


def test_every_step_with_a_large_manifest_is_measured(
    tables: dict[str, dict[str, list[str]]],
) -> None:
    assert 1 + 5 == len(tables["A manifest of 10,000 entries"])


def test_planning_a_subset_is_measured(tables: dict[str, dict[str, list[str]]]) -> None:
    steps = ["step", "plan 1 %, nothing here", "plan 1 %, metadata here"]
    assert steps == list(tables["A subset of 10,000 entries"])


def test_questions_are_measured_from_the_prompt_and_warm(
    tables: dict[str, dict[str, list[str]]],
) -> None:
    (title,) = (title for title in tables if title.startswith("Questions about 2,000 "))
    assert 1 + 4 == len(tables[title])


def test_starting_is_measured(tables: dict[str, dict[str, list[str]]]) -> None:
    assert "cellbank --version" in tables["Start, median of 1"]


def test_every_build_of_tiny_images_is_measured(tables: dict[str, dict[str, list[str]]]) -> None:
    head, *steps = tables["cells, 200 fields of view"]

    assert "step" == head
    builds = ["build", "same: build", "one cell of a table: build", "one image: build"]
    assert ["cp -r", *builds] == steps


def test_what_is_read_again_is_counted(tables: dict[str, dict[str, list[str]]]) -> None:
    rows = tables["cells, 200 fields of view"]
    at = rows["step"].index("images read")

    read = [rows[step][at] for step in rows if step.endswith("build")]
    assert ["200", "0", "0", "1"] == read


def test_every_build_of_large_images_is_measured(tables: dict[str, dict[str, list[str]]]) -> None:
    builds = ["build", "same: build", "one cell of a table: build"]

    assert ["step", "cp -r", *builds] == list(tables["fields, 12 fields of view"])
