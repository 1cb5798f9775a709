"""What people mistype: one line that says what is wrong, and one with what to type instead."""

from pathlib import Path

import pytest

from cellbank.cli.failures import as_known
from cellbank.model.errors import BadInput
from tests.cli.conftest import Run, fill

MISTAKES = {
    "name and folder the other way round": (
        ["build", "images", "demo/plate"],
        "the name comes first: cellbank build demo/plate images",
    ),
    "no name": (["build", "demo", "images"], "cellbank build demo/NAME images"),
    "a name with a hyphen": (["build", "demo/my-plate", "images"], "Did you mean my_plate?"),
    "a name in capitals": (["tree", "Demo/nuclei"], "Did you mean demo?"),
    "a part to build": (["build", "demo/nuclei/fovs", "images"], "Write demo/nuclei.\n"),
    "a part to push": (["push", "demo/nuclei/fovs"], "Write demo/nuclei.\n"),
    "a part to look at": (["inspect", "demo/nuclei:x/fovs"], "Write demo/nuclei:x.\n"),
    "a pattern for one package": (["cite", "demo/*"], "cellbank ls 'demo/*'"),
    "the address of a page": (
        ["install", "http://127.0.0.1:1/demo/nuclei"],
        "demo/nuclei --from http://127.0.0.1:1",
    ),
    "a registry without http": (
        ["install", "demo/nuclei", "--from", "localhost:8080"],
        "Did you mean http://localhost:8080?",
    ),
    "a new folder without ./": (["push", "demo/nuclei", "--to", "disk"], "A new folder: ./disk"),
    "an address that nothing opens": (["remote", "add", "lab", "ftp://x"], "ftp://"),
    "a file to look for tables in": (["init", "images/README.md"], "is not a folder"),
    "a file to import": (["import", "demo/q", "images/README.md"], "is not a folder"),
    "a table that is not there": (
        ["edit", "demo/nuclei", "--set", "entries=no.csv"],
        "there is no such file. Name a table",
    ),
    "a recipe as a table": (
        ["edit", "demo/nuclei", "--set", "entries=images/README.md"],
        "is no table. Name a table",
    ),
    "a condition without quotes": (
        ["install", "demo/nuclei", "--where", "gene", "=", "TJP1"],
        "stands in quotes",
    ),
    "a dash of a word processor": (
        ["install", "demo/nuclei", "–-dry-run"],
        "begins with two plain hyphens",
    ),
    "names with blanks between": (
        ["query", "demo/nuclei", "--columns", "path", "size"],
        "size stands alone",
    ),
    "a condition as SQL": (["query", "demo/nuclei", "size > 3"], "A condition: --where"),
    "an option without its text": (
        ["build", "demo/nuclei", "images", "-m"],
        "See: cellbank build --help",
    ),
    "an option of a command of a command": (
        ["remote", "add", "a", "--quiet=1"],
        "remote add --help",
    ),
    "two words that exclude each other": (
        ["push", "demo/nuclei", "--public", "--private"],
        "--public and --private are asked together",
    ),
    "the same of a registry": (["serve", "images", "--private", "--public"], "say one of them"),
    "a workbook": (["query", "demo/nuclei", "--describe", "-o", "a.xlsx"], "ends in none of .csv"),
}


@pytest.mark.parametrize(("arguments", "words"), MISTAKES.values(), ids=[*MISTAKES])
def test_a_mistake_says_what_to_type_instead(cellbank: Run, built, arguments, words):
    result = cellbank(*arguments)
    assert result.code in (2, 4), result.err
    assert words in result.err
    assert "Traceback" not in result.err


@pytest.mark.parametrize("content", [b"", b"II*\0", b"no image at all"])
def test_what_is_no_image_is_told_in_two_lines_and_by_nobody_else(
    process: Run, tmp_path: Path, content: bytes
):
    (tmp_path / "odd.tif").write_bytes(content)
    assert 2 == len(process("show", "odd.tif").failed(2).err.splitlines())


def test_a_file_in_place_of_the_store_is_told(process: Run, tmp_path: Path):
    (tmp_path / "file").touch()
    refused = process("ls", env={"CELLBANK_HOME": str(tmp_path / "file")}).failed(2)
    assert "Name a folder by CELLBANK_HOME" in refused.err


def test_a_recipe_is_written_anew_in_its_folder(cellbank: Run, tmp_path: Path):
    fill(tmp_path / "lab", {"cellbank.yaml": "format: 1\n"})
    assert "cellbank init lab --force" in cellbank("init", "lab").failed(8).err


def test_nothing_that_fits_is_told(cellbank: Run, built):
    assert "There is no package that fits x* in the store.\n" == cellbank("du", "x*").ok().err


# --- without the libraries of an extra


def test_a_question_says_what_it_needs(process: Run, built, tmp_path: Path):
    missing = "raise ModuleNotFoundError(\"No module named 'duckdb'\", name='duckdb')\n"
    fill(tmp_path / "poor", {"duckdb.py": missing, "_duckdb.py": missing})
    asked = process("query", built, "--describe", env={"PYTHONPATH": str(tmp_path / "poor")})
    assert "needs duckdb" in asked.failed(2).err
    assert "pip install 'cellbank[query]'" in asked.err


def test_a_picture_says_what_it_needs(process: Run, tmp_path: Path):
    missing = "raise ModuleNotFoundError(\"No module named 'numpy'\", name='numpy')\n"
    fill(tmp_path / "poor", {"numpy.py": missing})
    Path("cells.tif").touch()
    shown = process("show", "cells.tif", env={"PYTHONPATH": str(tmp_path / "poor")})
    assert "pip install 'cellbank[images]'" in shown.failed(2).err


def test_a_module_of_no_extra_is_a_fault_of_ours():
    assert isinstance(as_known(ModuleNotFoundError("x", name="matplotlib.pyplot")), BadInput)
    assert as_known(ModuleNotFoundError("x", name="cellbank.gone")) is None
