"""A recipe to begin with: guessed from the tables in a folder."""

import os
from pathlib import Path

from cellbank.cells.started import Started
from cellbank.model.errors import BadInput, Conflict, NotFound

RECIPE = "cellbank.yaml"


def init(
    folder: str | os.PathLike[str] = ".", *, force: bool = False, write: bool = True
) -> Started:
    """Write a recipe for the tables in a folder: `cellbank.yaml`, with the reason of each guess.

    Kinds of records, keys, links, images, types and formats of dates are guessed; what nobody
    can guess is left as lines with TODO.

    Parameters
    ----------
    folder
        Where the tables and images are.
    force
        Write over a recipe that is there.
    write
        Whether to write the file, or only to return its text.

    Returns
    -------
    Started
        The recipe, and what was found.

    Raises
    ------
    BadInput
        It is a file, or has no table that can be read.
    Conflict
        There is a recipe already.
    NotFound
        There is no such folder.
    """
    root = Path(folder).resolve()
    if root.is_file():
        raise BadInput(f"{folder} is not a folder", "Name the folder with the tables.")
    if not root.is_dir():
        raise NotFound(f"there is no folder {folder}", "Name the folder with the tables.")
    recipe = str(root / RECIPE)
    if write and not force and os.path.lexists(recipe):
        raise Conflict(
            f"{recipe} is there already", f"To write it anew: cellbank init {folder} --force"
        )
    try:
        from cellbank.cells.guess import guess

        found = guess(str(root))
    except ModuleNotFoundError as missing:
        raise BadInput(
            f"this needs {missing.name}, which is not installed",
            "Install it: pip install 'cellbank[cells]'",
        ) from None
    if write:
        from cellbank.storage import disk

        with disk.new_file(recipe) as file:
            file.write(found.text.encode())
    return Started(recipe, found.text, found.kinds, found.todo, found.problems)
