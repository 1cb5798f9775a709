"""`cache`: what was read of images that are not here, and how much of it is kept."""

import re
from typing import Any, Final

import click

from cellbank.cli.console import Console
from cellbank.cli.group import command
from cellbank.cli.text import size

UNITS: Final = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}


class Size(click.ParamType[int]):
    """A number of bytes as people write it: `5GB`, `500 MB`, `0`."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number of bytes."""
        found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?) ?([a-z]*)", str(value).strip().lower())
        if found is None or found[2] not in UNITS:
            self.fail(f"{value!r} is no size. Write 5GB, 500MB or 0.", param, ctx)
        return round(float(found[1]) * UNITS[found[2]])


@command("cache", example="cellbank cache\ncellbank cache --limit 5GB")
@click.option("--clear", is_flag=True, help="Remove all that is in it.")
@click.option("--limit", type=Size(), metavar="SIZE", help="So much at most, from now on: 5GB.")
def cache(console: Console, clear: bool, limit: int | None) -> None:
    """Show the cache for images that are read from afar.

    It holds parts of images of packages that were installed with --metadata-only, and thumbnails.
    What was used least recently goes first.
    """
    from cellbank.api import caching

    now = caching.cache(clear=clear, limit=limit)
    line = f"{size(now.bytes)} of {size(now.limit)} in {now.folder}"
    if clear or limit is not None:
        console.done(now, f"{line}; {size(now.freed)} freed")
    else:
        console.show(now, line)
