"""`build OWNER RECIPE`: a family of packages, and the table of all problems."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from cellbank.cli.console import Console
from cellbank.cli.text import columns, short, size, some
from cellbank.model.errors import ProblemsFound

SHOWN_PROBLEMS: Final = 200


def build_family(console: Console, owner: str, recipe: str, message: str, *, strict: bool) -> None:
    """Build a family; whatever comes of it, all problems are shown at the end."""
    from cellbank.api import families

    try:
        with console.watching() as watch:
            built = families.build_family(
                owner, recipe, message=message, strict=strict, watch=watch
            )
    except ProblemsFound as error:
        if console.json:
            document = {"owner": owner, "packages": [], "problems": error.problems}
            console.show(document, [])
        else:
            show_problems(console, error.problems)
        raise
    if not console.quiet:
        show_problems(console, [msgspec.to_builtins(problem) for problem in built.problems])
    lines = [_line(package) for package in built.packages]
    records = ", ".join(
        some(count, group.removesuffix("s"), group) for group, count in built.records.items()
    )
    lines.append(
        f"{some(len(built.packages), 'package')} of {records}; "
        f"{built.images_read:,} of {some(built.images, 'image')} read, "
        f"{size(built.added_bytes)} new"
    )
    console.done(built, lines)


def _line(built: Any) -> str:
    kept = "" if built.changed else " (unchanged)"
    what = f"{some(built.entries, 'entry', 'entries')}, {size(built.size)}"
    return f"{built.package}@{short(built.revision)}{kept}: {what}"


def show_problems(console: Console, problems: Sequence[Mapping[str, Any]]) -> None:
    """Show problems as a table, on stderr."""
    if not problems or console.json:
        return
    rows = [("", "file", "row", "column", "what is wrong, and what to do")]
    rows += [
        (
            problem["severity"],
            problem["file"],
            str(problem.get("row") or ""),
            problem.get("column", ""),
            f"{problem['what']}. {problem['advice']}",
        )
        for problem in problems[:SHOWN_PROBLEMS]
    ]
    for line in columns(rows, right=[2]):
        console.complain(line)
    if len(problems) > SHOWN_PROBLEMS:
        console.complain(f"… and {len(problems) - SHOWN_PROBLEMS:,} more (--json lists all)")
