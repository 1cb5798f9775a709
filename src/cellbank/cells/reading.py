"""A recipe, read: all that is wrong with it is told at once, with its line."""

import os
from pathlib import Path
from typing import Any

import msgspec

from cellbank.cells.problems import Problems
from cellbank.cells.recipe import Recipe
from cellbank.cells.recipe_checks import check
from cellbank.cells.schema_problems import mended, misfits
from cellbank.cells.yaml_text import MAX_BYTES, Document, dotted, parse
from cellbank.model.errors import BadInput, NotFound, ProblemsFound

FILE_NAME = "cellbank.yaml"


def read_recipe(path: str | os.PathLike[str]) -> Recipe:
    """Return the recipe in a YAML file.

    Raises `NotFound`: There is no such file. Raises `ProblemsFound`: With every problem, its line
    (`row`) and its path in the recipe (`column`).
    """
    file = Path(path)
    try:
        # One byte more than is allowed is enough to know.
        with file.open("rb") as opened:
            data = opened.read(MAX_BYTES + 1)
    except FileNotFoundError:
        advice = f"Have one written: cellbank init {file.parent}"
        raise NotFound(f"there is no recipe {file}", advice) from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise BadInput(f"the recipe {file} cannot be read: {reason}", "Name a file.") from None
    return recipe_of(data, file.name)


def recipe_of(data: bytes, name: str = FILE_NAME) -> Recipe:
    """Return the recipe in these bytes; `name` is that of its file in messages."""
    problems = Problems()
    try:
        document = parse(data, name, problems)
        recipe = None if document is None else _converted(document, name, problems)
    except ModuleNotFoundError as missing:
        raise BadInput(
            f"recipes need {missing.name}, which is not installed",
            "Install it: pip install 'cellbank[cells]'",
        ) from None
    if problems.errors or recipe is None:
        raise ProblemsFound(name, [msgspec.to_builtins(p) for p in problems.found()])
    return recipe


def _converted(document: Document, name: str, problems: Problems) -> Recipe | None:
    if not isinstance(document.value, dict):
        advice = "Have one written: cellbank init"
        problems.error(name, "is not a recipe: it has no fields", advice, row=1)
        return None
    found = misfits(document.value)
    for misfit in found:
        problems.error(
            name,
            misfit.what,
            misfit.advice,
            row=document.line(misfit.path),
            column=dotted(misfit.path),
        )
    try:
        recipe = msgspec.convert(mended(document.value, found), Recipe)
    except msgspec.ValidationError as error:
        if not found:
            problems.error(name, str(error), "See docs/reference/recipe.md.", row=1)
        return None
    told = {misfit.bad for misfit in found}
    for path, what, advice in check(recipe, _names(document.value)):
        if path in told:
            continue
        problems.error(name, what, advice, row=document.line(path), column=dotted(path))
    return recipe


def _names(value: dict[str, Any]) -> set[str]:
    """Return the tables that the recipe names, those that are wrong in themselves, too."""
    tables = value.get("tables")
    return set(tables) if isinstance(tables, dict) else set()
