"""The published walk-through, run cell by cell with `cellbank` for `quilt`, prints what it printed.

All cells run in one IPython, which installs an update from a registry over HTTP first.
"""

import ast
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pprint import pformat

import msgspec
import pytest

from tests.family import SHAPE, Family, someone
from tests.storage.making import served
from tests.walkthrough import CELLS, NEEDS_THE_PAGE, Cell, with_cellbank

# One IPython for all cells. A notebook's magic needs a notebook: it alone is left out.
RUNNER = """
import contextlib, io, json, sys
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.history import HistoryManager
HistoryManager.enabled = False
shell = InteractiveShell.instance()
shell.run_cell("import matplotlib.pyplot")
for cell in json.load(sys.stdin):
    code = "".join(line for line in cell.splitlines(True) if line != "%matplotlib inline\\n")
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        done = shell.run_cell(code, store_history=True)
    pyplot = sys.modules["matplotlib.pyplot"]
    shown = [pyplot.figure(number).axes for number in pyplot.get_fignums()]
    figures = [[axes.get_title() for axes in figure] for figure in shown]
    pyplot.close("all")
    failed = done.error_before_exec or done.error_in_exec
    print(json.dumps({
        "out": out.getvalue(), "err": err.getvalue(), "figures": figures,
        "failed": failed and repr(failed),
    }), flush=True)
"""


class Ran(msgspec.Struct, frozen=True):
    """What came of a cell."""

    out: str
    err: str
    figures: list[list[str]]
    failed: str | None


# --- what may print differently, and why


class Excuse(msgspec.Struct, frozen=True):
    """Why the output of a cell differs, and how to get from what was printed to what is."""

    code: str
    why: str
    change: Callable[[str], str]


def _install_lines(printed: str) -> str:
    lines = [line for line in printed.splitlines() if line and "%|" not in line]
    kept = [line for line in lines if not line.startswith("Overwrite?")]
    return "".join(re.sub(r"fragments (\(\d+ bytes).*\)", r"objects \1)", k) + "\n" for k in kept)


def _relation_keys(printed: str) -> str:
    return printed.replace("_segmentations'", "_segs'")


def _more_facts(printed: str) -> str:
    was = ast.literal_eval(printed)
    more = {"coverage": 1.0, "distinct": 1, "nullable": False, "type": "string"}
    values = {"values": ["AICS-23"]}
    return pformat({**was, **more, **values, "origin": "lines.csv/line"}) + "\n"


def _sorted(printed: str) -> str:
    return pformat(sorted(ast.literal_eval(printed))) + "\n"


EXCUSES = [
    Excuse(
        "cellbank.install(",
        "Python never asks; objects are what fragments were; a bar is for a job that lasts",
        _install_lines,
    ),
    Excuse(
        "list(schema['unique_line_info']",
        "relations are named as they are in the records",
        _relation_keys,
    ),
    Excuse(
        "schema['unique_line_info']['line']",
        "origin is table and column; SCHEMA says more of an attribute than it did",
        _more_facts,
    ),
    Excuse("junctions_info['plates']", "lists of relations are sorted", _sorted),
]

ALIKE = [
    (re.compile(r"/\S+/(?:objs|objects/[0-9a-f]{2}|unpacked)/[0-9a-f]{64}"), "PATH"),
    (re.compile(r"(?<=<PackageNode ')\S+(?=/aics/aics_23'>)"), "PATH"),
    (re.compile(r"(?m)^Out\[1\]: Installation\(package='aics/aics_23'.*\)\n"), ""),
    (re.compile(r"\d+ objects \(\d+ bytes\)"), "N objects (N bytes)"),
]
"""This machine's paths and digests, the sizes of the sample, and the value of `install`, which
IPython shows below the cell's lines."""
MICROSCOPE = (70, 624, 924)
"""Z, Y and X of the published images."""


def wanted(cell: Cell) -> str:
    """Return what a cell is to print here."""
    printed = cell.printed
    for excuse in EXCUSES:
        if excuse.code in with_cellbank(cell.code):
            printed = excuse.change(printed)
    for published, here in zip(MICROSCOPE, SHAPE, strict=True):
        printed = re.sub(rf"\b{published}(?=[,)])", str(here), printed)
    return alike(printed)


def alike(text: str) -> str:
    for pattern, word in ALIKE:
        text = pattern.sub(word, text)
    return text


# --- the walk


@pytest.fixture(scope="module")
def walked(family: Family, tmp_path_factory: pytest.TempPathFactory) -> list[Ran]:
    """Run all cells as someone who has an earlier revision of the package."""
    folder = tmp_path_factory.mktemp("reader")
    with served(family.registry) as registry:
        done = subprocess.run(
            [sys.executable, "-c", RUNNER],
            input=json.dumps([with_cellbank(cell.code) for cell in CELLS]),
            env=someone(folder, registry.url, store=family.reader),
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=280,
            check=False,
        )
    assert 0 == done.returncode, done.stderr
    return [msgspec.json.decode(line, type=Ran) for line in done.stdout.splitlines()]


@NEEDS_THE_PAGE
@pytest.mark.parametrize("number", range(len(CELLS)), ids=lambda n: f"cell-{n + 1}")
def test_a_cell_prints_what_is_printed_below_it(walked: list[Ran], number: int) -> None:
    ran, cell = walked[number], CELLS[number]

    assert None is ran.failed
    # What is said while a cell works comes first, on stderr; a notebook shows both.
    assert wanted(cell) == alike(ran.err + ran.out)


@NEEDS_THE_PAGE
def test_the_cells_draw_the_five_figures(walked: list[Ran]) -> None:
    assert [cell.figures for cell in CELLS] == [len(ran.figures) for ran in walked]
    titles = [
        [""] * 7,
        ["CMDRP_2", "CMDRP", "EGFP_2", "EGFP", "H3342_2", "H3342", "Bright_100X"],
        ["CMDRP", "EGFP", "H3342", "Bright_100X"],
        [""] * 3,
        [""],
    ]
    assert titles == [figure for ran in walked for figure in ran.figures]


@NEEDS_THE_PAGE
def test_the_page_has_all_the_cells_it_had() -> None:
    assert 28 == len(CELLS)
    assert 5 == sum(cell.figures for cell in CELLS)


@NEEDS_THE_PAGE
@pytest.mark.parametrize("excuse", EXCUSES, ids=lambda excuse: excuse.why)
def test_every_excuse_is_for_one_cell_and_needed(excuse: Excuse) -> None:
    excused = [cell for cell in CELLS if excuse.code in with_cellbank(cell.code)]

    assert 1 == len(excused)
    assert excuse.change(excused[0].printed) != excused[0].printed
