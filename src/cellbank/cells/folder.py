"""A path that a recipe names, found in the folder of the recipe and nowhere else."""

import os
import stat
from pathlib import Path

from cellbank.cells.problems import Problems
from cellbank.model.names import near

MAX_LOOKED_AT = 5_000


def find_file(root: str, file: str, problems: Problems) -> str | None:
    """Return the path of a table below `root`, or None after saying why there is none."""
    top = Path(root).resolve()
    try:
        path = (top / file).resolve()
        mode = path.stat().st_mode if path.is_relative_to(top) and path != top else None
    except FileNotFoundError:
        problems.error(file, "there is no such file", advice_for_missing(top, file))
        return None
    except (OSError, ValueError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        problems.error(file, f"cannot be read: {reason}", "Mend the file or its permissions.")
        return None
    if mode is None or Path(file).is_absolute():
        problems.error(
            file,
            "leads out of the folder of the recipe",
            "Name a file in this folder, by its path from here.",
        )
        return None
    if not stat.S_ISREG(mode):
        problems.error(file, "is not a file", "Name one file.")
        return None
    return str(path)


def advice_for_missing(top: Path, file: str) -> str:
    """Return what to do where `file` is not below `top`: what is there under a name like it."""
    names = files_below(top)
    wanted = file.replace("\\", "/")
    same = [name for name in names if name.rpartition("/")[2] == wanted.rpartition("/")[2]]
    close = same[:3] or near(wanted, names)
    return f"Did you mean {' or '.join(close)}?" if close else "Mend the path."


def files_below(top: Path, *ends: str) -> list[str]:
    """Return the paths of the files below a folder whose names end so, hidden ones left out.

    There may be a million images; no more than some thousand paths are returned.
    """
    found: list[str] = []
    for folder, folders, files in os.walk(top):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        inside = os.path.relpath(folder, top).replace(os.sep, "/")
        prefix = "" if inside == "." else f"{inside}/"
        found += [
            f"{prefix}{name}"
            for name in sorted(files)
            if name.lower().endswith(ends or "") and not name.startswith(".")
        ]
        if len(found) > MAX_LOOKED_AT:
            break
    return found
