"""`fetch`: entries whose bytes are not here come, many at once."""

import click

from cellbank.cli.console import Console
from cellbank.cli.group import command
from cellbank.cli.names import REF, from_option
from cellbank.cli.text import size, some


@command("fetch", example="cellbank fetch aics/aics_23/fovs aics/aics_23/cell_segs")
@click.argument("refs", metavar="REF/PATH…", type=REF, nargs=-1, required=True)
@from_option()
def fetch(console: Console, refs: tuple[str, ...], from_: str | None) -> None:
    """Bring the bytes of entries and groups that are not here yet.

    For packages that were installed with their metadata only, or not at all. What was fetched stays
    until `gc`; to have it for good, install it.
    """
    from cellbank.api import fetching

    with console.watching() as watch:
        done = fetching.fetch(refs, from_, watch=watch)
    console.done(
        done,
        f"{some(done.objects, 'object')} ({size(done.bytes)}) fetched, "
        f"{some(done.entries, 'entry', 'entries')} here",
    )
