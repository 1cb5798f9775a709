"""Something to try cellbank out with: a lab's export around real nuclei."""

import os

from cellbank.api.session import watcher_or_default
from cellbank.cells.sample.sampled import Sampled
from cellbank.model.errors import BadInput
from cellbank.model.progress import Watcher


def sample(
    folder: str | os.PathLike[str],
    *,
    fovs: int = 40,
    shape: tuple[int, int, int] = (16, 156, 231),
    seed: int = 0,
    watch: Watcher | None = None,
) -> Sampled:
    """Write the tables, images and recipe of a lab into a new or empty folder.

    H3342 shows real nuclei of living human iPS cells (Allen Institute for Cell Science, CC0); the
    other channels are computed around them, and say so. The same call writes the same bytes.

    Parameters
    ----------
    folder
        New, or empty.
    fovs
        How many fields of view, twelve or more; they are spread over ten cell lines.
    shape
        Of each field of view, along Z, Y and X.
    seed
        Another seed, other fields of view.
    watch
        Is told of progress.

    Returns
    -------
    Sampled
        What was written, and the path of the recipe.

    Raises
    ------
    BadInput
        Too few fields of view, a shape that shows nothing, or the real nuclei are not installed.
    Conflict
        The folder has something in it.
    DiskFull
        Before anything is written.
    """
    try:
        from cellbank.cells.sample.export import write_export
    except ModuleNotFoundError as missing:
        raise BadInput(
            f"this needs {missing.name}, which is not installed",
            "Install it: pip install 'cellbank[demo]'",
        ) from None
    return write_export(
        os.fspath(folder), fovs=fovs, shape=shape, seed=seed, watch=watcher_or_default(watch)
    )
