"""`verify`, `gc` and `du`: the store checked, tidied and measured."""

import click

from cellbank.cli.console import Console
from cellbank.cli.group import command
from cellbank.cli.names import PACKAGE, from_option
from cellbank.cli.text import columns, size, some
from cellbank.model.errors import Damaged


@command("verify", example="cellbank verify\ncellbank verify aics/aics_23 --repair")
@click.argument("ref", required=False, metavar="[REF]", type=PACKAGE)
@click.option("--repair", is_flag=True, help="Fetch what is damaged from where it came from.")
@from_option()
def verify(console: Console, ref: str | None, repair: bool, from_: str | None) -> None:
    """Read everything again and name what is damaged.

    REF is one package; default: all. The exit code is 5 where damage is left.
    """
    from cellbank.api import checking

    with console.watching() as watch:
        found = checking.verify(ref, repair=repair, from_=from_, watch=watch)
    checked = (
        f"{some(found.packages, 'package')}, {some(found.entries, 'entry', 'entries')}, "
        f"{size(found.bytes)} checked"
    )
    lines = [f"repaired {damage}" for damage in found.repaired]
    lines += [f"damaged {damage}" for damage in found.damaged]
    if found.good:
        console.done(found, [*lines, f"{checked}: all good"])
    else:
        console.show(found, [*lines, checked])
        advice = (
            "Their remote cannot give them either. Build and push them again, or name another "
            "remote: --from"
            if repair
            else "Fetch them again: cellbank verify --repair"
        )
        raise Damaged(f"damaged: {some(len(found.damaged), 'entry', 'entries')}", advice)


@command("gc", example="cellbank gc")
def gc(console: Console) -> None:
    """Remove from the store what no package needs.

    Earlier installed revisions go too, and images that were fetched since an install with
    --metadata-only. The cache for images that are read from afar stays: cellbank cache --clear
    """
    from cellbank.api import caching, having

    done = having.gc()
    later = f"; {some(done.condemned, 'object')} will go with a later gc" if done.condemned else ""
    console.done(done, f"{some(done.removed, 'object')} removed, {size(done.bytes)} freed{later}")
    if held := caching.cache().bytes:
        console.note(f"The cache has {size(held)} more: cellbank cache --clear")


@command("du", example="cellbank du 'aics/*'")
@click.argument("pattern", default="*", metavar="[PATTERN]", type=PACKAGE)
def du(console: Console, pattern: str) -> None:
    """Print what packages hold in the store, alone and shared."""
    from cellbank.api import asking

    shares = asking.du(pattern)
    rows = [(size(share.alone), size(share.shared), share.package) for share in shares]
    console.show(shares, columns([("alone", "shared", ""), *rows], right=(0, 1)) if rows else [])
    if not rows:
        fits = "" if pattern == "*" else f" that fits {pattern}"
        console.note(f"There is no package{fits} in the store.")
