"""`init`: a recipe guessed from a folder of tables."""

import click

from cellbank.cli.console import Console
from cellbank.cli.group import command
from cellbank.cli.names import FOLDER
from cellbank.cli.text import some


@command("init", example="cellbank init lab\ncellbank build aics lab/cellbank.yaml")
@click.argument("folder", metavar="[DIR]", type=FOLDER, default=".")
@click.option("--force", is_flag=True, help="Write over a recipe that is there.")
@click.option("--stdout", is_flag=True, help="Print the recipe; write nothing.")
@click.option("--schema", is_flag=True, help="Print the JSON Schema of recipes, nothing else.")
def init(console: Console, folder: str, force: bool, stdout: bool, schema: bool) -> None:
    """Write a recipe for the tables in a folder.

    Looks at CSV, TSV, Parquet, Excel and SQLite, and writes cellbank.yaml: which table has which
    kind of record, keys, links, images, types. Every guess says why it was made; what nobody can
    guess is left as lines with TODO.
    """
    if schema:
        _show_schema(console)
        return
    from cellbank.api import starting

    done = starting.init(folder, force=force, write=not stdout)
    if done.problems:
        from cellbank.cli.families import show_problems

        show_problems(console, [_plain(problem) for problem in done.problems])
    if stdout:
        console.show(done, done.text.splitlines())
        return
    kinds = ", ".join(f"{kind} in {table}" for kind, table in done.tables.items())
    console.done(
        done,
        [
            f"{done.recipe}: {kinds or 'no kind of record was recognised'}",
            f"{some(done.todo, 'TODO')} left to you; then: cellbank build OWNER {done.recipe}",
        ],
    )


def _plain(problem: object) -> dict[str, object]:
    import msgspec

    plain: dict[str, object] = msgspec.to_builtins(problem)
    return plain


def _show_schema(console: Console) -> None:
    import json

    from cellbank.cells.recipe import json_schema

    schema = json_schema()
    console.show(schema, json.dumps(schema, indent=2, ensure_ascii=False).splitlines())
