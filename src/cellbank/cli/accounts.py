"""`login`, `logout` and `whoami`: who we are at a registry."""

import sys

import click

from cellbank.cli.console import Console, at_terminal
from cellbank.cli.failures import secrets
from cellbank.cli.group import command
from cellbank.cli.names import REMOTE
from cellbank.cli.text import columns
from cellbank.model.errors import BadInput


@command("login", example="cellbank login https://cells.example.org")
@click.argument("url", metavar="URL", type=REMOTE)
@click.option("--token", metavar="T", help="The token; default: asked for, or read from stdin.")
def login(console: Console, url: str, token: str | None) -> None:
    """Sign in to a registry and keep the token for this user alone.

    Where there is no default remote, the registry becomes it.
    """
    from cellbank.api import account

    given = (token if token is not None else _read_token(url)).strip()
    if not given or not given.isascii() or not given.isprintable() or " " in given:
        raise BadInput("that is no token", "A token is one word of letters, digits, - and _.")
    secrets.add(given)
    who = account.login(url, given)
    console.done({"url": url, "user": who}, f"Signed in to {url} as {who}")


def _read_token(url: str) -> str:
    if at_terminal():
        import getpass

        return getpass.getpass(f"Token for {url}: ")
    return sys.stdin.readline()


@command("logout", example="cellbank logout https://cells.example.org")
@click.argument("url", required=False, metavar="[URL]", type=REMOTE)
def logout(console: Console, url: str | None) -> None:
    """Forget the token for a registry, or for all."""
    from cellbank.api import account

    gone = account.logout(url)
    said = [f"Signed out of {address}" for address in gone]
    console.done(
        gone, said or "You were not signed in there." if url else said or "Signed in nowhere."
    )


@command("whoami", example="cellbank whoami")
@click.argument("url", required=False, metavar="[URL]", type=REMOTE)
def whoami(console: Console, url: str | None) -> None:
    """Ask each registry that you are signed in to who you are."""
    from cellbank.api import account

    found = account.whoami(url)
    console.show(found, columns([(who, address) for address, who in found.items()]))
