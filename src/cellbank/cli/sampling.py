"""`sample`: a lab's export to try things out with."""

import click

from cellbank.cli.console import Console
from cellbank.cli.group import command
from cellbank.cli.names import FOLDER
from cellbank.cli.text import size, some


class Shape(click.ParamType[tuple[int, int, int]]):
    """Three numbers: Z,Y,X."""

    name = "Z,Y,X"

    def convert(
        self, value: str, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int, int]:
        """Return the numbers."""
        try:
            z, y, x = (int(part) for part in value.split(","))
        except ValueError:
            self.fail(f"{value!r} is not Z,Y,X, such as 16,156,231", param, ctx)
        return z, y, x


@command("sample", example="cellbank sample lab\ncellbank build aics lab/cellbank.yaml")
@click.argument("folder", metavar="DIR", type=FOLDER)
@click.option(
    "--fovs",
    type=int,
    metavar="N",
    default=40,
    show_default=True,
    help="Fields of view, 12 or more.",
)
@click.option(
    "--shape", type=Shape(), default="16,156,231", show_default=True, help="Voxels of each of them."
)
@click.option(
    "--seed",
    type=int,
    metavar="S",
    default=0,
    show_default=True,
    help="Another number, other images.",
)
def sample(
    console: Console, folder: str, fovs: int, shape: tuple[int, int, int], seed: int
) -> None:
    """Write a lab's export to try things out with.

    Tables, images around real nuclei, and the recipe that makes packages of them, in a new or
    empty folder. All channels but H3342 are computed, and say so.
    """
    from cellbank.api import sampling

    with console.watching() as watch:
        done = sampling.sample(folder, fovs=fovs, shape=shape, seed=seed, watch=watch)
    what = f"{some(done.fovs, 'field')} of view of {some(done.lines, 'line')}, {size(done.bytes)}"
    console.done(done, [f"{done.folder}: {what}", f"cellbank build OWNER {done.recipe}"])
