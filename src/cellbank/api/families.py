"""Making families of cell-line packages: from a recipe, tables and images."""

import os
from concurrent.futures import Executor

from cellbank import config as _config
from cellbank.api.session import inside_of, now, watcher_or_default
from cellbank.cells.built import FamilyBuilt
from cellbank.model.errors import BadInput, NotFound
from cellbank.model.names import check_name
from cellbank.model.progress import Watcher
from cellbank.packages.opening import open_store
from cellbank.packages.recording import Stamp

RECIPE = "cellbank.yaml"


def build_family(
    owner: str,
    recipe: str | os.PathLike[str],
    *,
    message: str = "",
    strict: bool = False,
    watch: Watcher | None = None,
    executor: Executor | None = None,
) -> FamilyBuilt:
    """Make the cell-line packages that a recipe asks for, in the store.

    Tables are read, relations resolved, images checked; images that were packaged before and look
    unchanged are not read. Either all packages are made or, if anything is wrong, none.

    Parameters
    ----------
    owner
        The owner of the packages.
    recipe
        The recipe (`cellbank.yaml`), or its folder; tables and images lie beside it.
    message
        What changed, for the logs.
    strict
        Take warnings for errors.
    watch
        Is told of progress.
    executor
        Looks at new images; default: processes of this machine.

    Returns
    -------
    FamilyBuilt
        What was made of each package, and warnings.

    Raises
    ------
    NotFound
        There is no recipe.
    ProblemsFound
        Something is wrong with recipe, tables or images: all of it, each with file, row, column.
    """
    name = check_name("an owner", owner)
    path = os.path.abspath(os.fspath(recipe))
    if os.path.isdir(path):
        path = os.path.join(path, RECIPE)
        if not os.path.lexists(path):
            raise NotFound(
                f"there is no recipe {path}",
                f"Have one written: cellbank init {recipe}. For a package of all files there, "
                f"name it: cellbank build {name}/NAME {recipe}",
            )
    config = _config.read()
    if inside_of(config.home, os.path.dirname(path)):
        raise BadInput(
            f"the store lies in {os.path.dirname(path)}",
            "Build from another folder, or move CELLBANK_HOME.",
        )
    try:
        from cellbank.cells import builder
    except ModuleNotFoundError as error:
        raise BadInput(
            f"cell-line packages need {error.name}, which is not installed",
            "Install it: pip install 'cellbank[cells]'",
        ) from None
    return builder.build_family(
        open_store(config),
        name,
        path,
        stamp=Stamp(config.author, now(), message),
        strict=strict,
        watch=watcher_or_default(watch),
        executor=executor,
    )
