"""`path` and `cat`: one entry, as a file or as bytes."""

import os
import sys
from typing import TYPE_CHECKING

import click

from cellbank.cli.console import Console, emit_bytes
from cellbank.cli.group import command
from cellbank.cli.names import REF
from cellbank.model.errors import BadInput
from cellbank.model.watching import watched_by

if TYPE_CHECKING:
    from cellbank.packages.nodes import DataNode

CHUNK = 1 << 20


def _entry(ref: str) -> "DataNode":
    from cellbank.api import having
    from cellbank.packages.nodes import DataNode

    node = having.load(ref)
    if not isinstance(node, DataNode):
        raise BadInput(f"{ref} is a group, not an entry", f"See what is in it: cellbank tree {ref}")
    return node


def _facts(node: "DataNode") -> dict[str, object]:
    entry = node.entry
    return {
        "path": entry.path,
        "size": entry.size,
        "digest": entry.digest,
        "filename": entry.name,
        "meta": entry.meta or {},
    }


@command("path", example="cellbank path demo/nuclei/README.md")
@click.argument("ref", metavar="REF/PATH", type=REF)
@click.option("--named", is_flag=True, help="A path that ends in the original file name.")
def path(console: Console, ref: str, named: bool) -> None:
    """Print the path of a file with an entry's bytes, checked.

    The file belongs to the store: read it, never change it.
    """
    node = _entry(ref)
    with console.answering(), console.watching(beside=True) as watch, watched_by(watch):
        found = node.named_path if named else node.path
    if console.json:
        console.show({**_facts(node), "file": found}, "")
    elif sys.stdout.isatty():
        console.show(None, found)
    else:
        # A script must get the path as the system spells it, byte for byte.
        emit_bytes(os.fsencode(found) + b"\n")


@command("cat", example="cellbank cat demo/nuclei/README.md")
@click.argument("ref", metavar="REF/PATH", type=REF)
def cat(console: Console, ref: str) -> None:
    """Write an entry's bytes to stdout, as they are.

    With --json they come as text or, where they are none, in base64.
    """
    node = _entry(ref)
    if console.json:
        with console.answering(), console.watching(beside=True) as watch, watched_by(watch):
            data = node.bytes()
        console.show({**_facts(node), **_content(data)}, "")
        return
    with console.answering(), node.open() as file:
        while chunk := file.read(CHUNK):
            emit_bytes(chunk)


def _content(data: bytes) -> dict[str, str]:
    import base64

    try:
        return {"encoding": "utf-8", "content": data.decode()}
    except UnicodeDecodeError:
        return {"encoding": "base64", "content": base64.b64encode(data).decode()}
