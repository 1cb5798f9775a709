"""Changing a package that is there: a draft of it, and tables that change what it says."""

import shlex
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec

from cellbank import config as _config
from cellbank.api.session import now, watcher_or_default, whole
from cellbank.config import Config
from cellbank.model.errors import BadInput, NotInstalled, ProblemsFound
from cellbank.model.progress import Watcher
from cellbank.packages import resolve
from cellbank.packages.build import Built
from cellbank.packages.draft import Draft
from cellbank.packages.nodes import PackageNode, View
from cellbank.packages.opening import open_store
from cellbank.packages.recording import Stamp
from cellbank.packages.rows import Table, plain


def edit(ref: str | PackageNode, *, watch: Watcher | None = None) -> Draft:
    """Return a draft of a package: what it is to become, built when it is complete.

    Parameters
    ----------
    ref
        The package, perhaps with a tag, version or revision to begin with; or its node.
    watch
        Is told of progress.

    Returns
    -------
    Draft
        `set`, `set_meta`, `rename`, `remove` and `update` change it, `build` makes a revision of
        it. Of a package of cell lines it knows the records.

    Raises
    ------
    NotInstalled
        The package is not in the store. Its metadata are enough: `metadata_only=True`.

    Examples
    --------
    >>> import cellbank
    >>> draft = cellbank.edit("demo/nuclei")
    >>> draft.set_meta("images/nuclei.ome.tif", {"count": 12})
    >>> draft
    <Draft of demo/nuclei: 1 entry changed>
    """
    config = _config.read()
    if isinstance(ref, PackageNode):
        view = ref._view
    else:
        view = resolve.view_of(open_store(config), whole(ref))
    if view.is_far:
        # Its log and its objects are elsewhere.
        raise NotInstalled(str(view.package), (), view.address or "")
    return _draft_of(view, config, watcher_or_default(watch))


def _draft_of(view: View, config: Config, watch: Watcher) -> Draft:
    def stamp(message: str) -> Stamp:
        return Stamp(config.author, now(), message)

    if view.whole.header.kind != "cell_lines":
        return Draft(view, stamp, watch)
    lacking = next((name for name in ("duckdb", "jinja2") if find_spec(name) is None), None)
    if lacking is not None:
        raise BadInput(
            f"editing a package of cell lines needs {lacking}, which is not installed",
            "Install it: pip install 'cellbank[cells]'",
        )
    from cellbank.cells.record_draft import RecordDraft

    return RecordDraft(view, stamp, watch)


class Edited(msgspec.Struct, frozen=True):
    """What tables changed of a package: table → how many records, or entries, and the revision."""

    tables: dict[str, int]
    built: Built


def edit_tables(
    ref: str,
    files: Sequence[tuple[str, str]],
    *,
    message: str = "",
    watch: Watcher | None = None,
) -> Edited:
    """Change a package by tables in files, and build it.

    Parameters
    ----------
    ref
        As `edit` takes it.
    files
        Pairs: which table of the package, and the path of the file that says what changes; its
        format is told by the end of its name (CSV, TSV, Parquet, Excel).
    message
        What changed, for the log.
    watch
        Is told of progress.

    Returns
    -------
    Edited
        What was changed.

    Raises
    ------
    ProblemsFound
        Something is wrong with the tables: all of it, of all of them. Nothing was built.
    """
    draft = edit(ref, watch=watch)
    problems: list[dict[str, Any]] = []
    counts: dict[str, int] = {}
    for name, file in files:
        try:
            counts[name] = counts.get(name, 0) + draft.update(name, _rows_in(file))
        except ProblemsFound as found:
            problems += found.problems
        except BadInput as error:
            place = Path(file).name
            advice = f"{error.advice} Name it: --set {shlex.quote(f'TABLE={file}')}".strip()
            told = {"severity": "error", "file": place, "what": error.message, "advice": advice}
            problems.append(told)
    if problems:
        raise _not_built(str(whole(ref).package), problems)
    return Edited(counts, draft.build(message))


def _rows_in(file: str) -> Table:
    """Return the rows of a file; raises `ProblemsFound`, or `BadInput` where there is none."""
    from cellbank.cells.problems import Problems
    from cellbank.cells.recipe import Table as Place
    from cellbank.cells.tables import FORMATS, format_of, read_table

    folder, name = str(Path(file).absolute().parent), Path(file).name
    problems = Problems()
    if what := _no_table(Path(file), format_of(Place(file=name))):
        ends = ", ".join(end for end, kind in FORMATS.items() if kind != "sqlite")
        problems.error(name, what, f"Name a table: {ends}.")
        raise _not_built(name, [msgspec.to_builtins(one) for one in problems.found()])
    rows = read_table(Place(file=name), folder, problems)
    if problems.errors or rows is None:
        raise _not_built(name, [msgspec.to_builtins(one) for one in problems.found()])
    names = list(rows.columns)
    made = [{name: plain(row[at]) for name, at in rows.columns.items()} for row in rows.rows]
    return Table(rows.place, names, made, [rows.number(at) for at in range(len(made))])


def _no_table(file: Path, form: str) -> str:
    """Return why a file is none of the tables that `edit` takes, or nothing."""
    if not file.exists():
        return "there is no such file"
    return "" if file.is_file() and form in ("csv", "tsv", "parquet", "excel") else "is no table"


def _not_built(place: str, problems: list[dict[str, Any]]) -> ProblemsFound:
    found = ProblemsFound(place, problems)
    found.advice = "Mend them. Nothing was built."
    return found
