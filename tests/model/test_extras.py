"""Without a library of an extra: the same words wherever somebody meets it."""

import subprocess
import sys
from pathlib import Path

import pytest

WAYS = {
    "images.open('a.tif')": "BadInput",
    "torch": "BadInput",
    "cells.Crop": "BadInput",
    "cells.nobody": "AttributeError",
    "nobody": "AttributeError",
}
ASK = """
import importlib, sys, cellbank
try:
    {asked}
except Exception as error:
    print(type(error).__name__, error)
"""


def told(asked: str, tmp_path: Path) -> str:
    for name in ("numpy", "tifffile"):
        missing = f"raise ModuleNotFoundError({name!r}, name={name!r})"
        (tmp_path / f"{name}.py").write_text(missing)
    done = subprocess.run(
        [sys.executable, "-c", ASK.format(asked=asked)],
        env={"PYTHONPATH": str(tmp_path), "CELLBANK_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout


@pytest.mark.parametrize(("asked", "kind"), WAYS.items(), ids=[*WAYS])
def test_what_needs_a_library_says_how_to_get_it(asked: str, kind: str, tmp_path: Path) -> None:
    said = told(f"cellbank.{asked}", tmp_path)
    assert said.startswith(f"{kind} ")
    assert ("pip install 'cellbank[images]'" in said) == (kind == "BadInput")


@pytest.mark.parametrize("name", ["torch", "napari"])
def test_an_import_fails_as_imports_do_and_says_so_too(name: str, tmp_path: Path) -> None:
    said = told(f"import cellbank.{name}", tmp_path)
    assert said.startswith(f"ModuleNotFoundError cellbank.{name}: this needs numpy")
    assert "pip install 'cellbank[images]'" in said
