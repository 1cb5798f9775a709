"""`remote`: names for the places that packages are pushed to and installed from."""

import click

from cellbank.cli.console import Console
from cellbank.cli.group import command, group
from cellbank.cli.names import REMOTE
from cellbank.cli.text import columns


@command("add", example="cellbank remote add lab https://cells.example.org")
@click.argument("name", metavar="NAME")
@click.argument("address", metavar="URL", type=REMOTE)
def add(console: Console, name: str, address: str) -> None:
    """Give a URL or a folder a name; the first one becomes the default."""
    from cellbank.api import account

    whole = account.add_remote(name, address)
    console.done({"name": name, "address": whole}, f"{name} is {whole}")


@command("list", example="cellbank remote list")
def list_(console: Console) -> None:
    """List the remotes that have a name."""
    from cellbank.api import account

    default = account.default_remote()
    known = account.remotes()
    console.show(
        [{"name": n, "address": a, "default": n == default} for n, a in known.items()],
        columns([(n, a, "(default)" if n == default else "") for n, a in known.items()]),
    )
    if not known:
        console.note("No remote has a name yet: cellbank remote add NAME URL")


@command("remove", example="cellbank remote remove lab")
@click.argument("name", metavar="NAME", type=REMOTE)
def remove(console: Console, name: str) -> None:
    """Forget the name of a remote. What is there stays there."""
    from cellbank.api import account

    account.remove_remote(name)
    console.done({"name": name}, f"{name} is forgotten")


@command("default", example="cellbank remote default lab")
@click.argument("name", required=False, metavar="[NAME]", type=REMOTE)
def default(console: Console, name: str | None) -> None:
    """Print the default remote, or set it."""
    from cellbank.api import account

    now = account.default_remote(name)
    address = account.remotes().get(now, "")
    console.show({"name": now, "address": address}, columns([(now, address)]) if now else [])
    if not now:
        console.note("There is no default remote: cellbank remote default NAME")


remote = group(
    "remote",
    help="Give remotes names, list them, choose the default one.",
    example="cellbank remote add lab https://cells.example.org",
    commands=[add, list_, remove, default],
)
