"""`completion`: what makes a shell complete commands, options and the names of packages."""

import os

import click

from cellbank.cli.console import Console
from cellbank.cli.group import command, make_root
from cellbank.model.errors import BadInput

_HOW = {
    "bash": "To install, add this line to ~/.bashrc:  source <(cellbank completion bash -q)",
    "zsh": "To install, add this line to ~/.zshrc:  source <(cellbank completion zsh -q)",
    "fish": "To install:  cellbank completion fish > ~/.config/fish/completions/cellbank.fish",
}


@command("completion", example="source <(cellbank completion bash -q)", json=False)
@click.argument("shell", required=False, type=click.Choice(list(_HOW)))
def completion(console: Console, shell: str | None) -> None:
    """Print the completion script for your shell."""
    from click.shell_completion import get_completion_class

    wanted = shell or os.path.basename(os.environ.get("SHELL", ""))  # noqa: PTH119
    kind = get_completion_class(wanted) if wanted in _HOW else None
    if kind is None:
        raise BadInput("which shell?", f"Name one: {', '.join(_HOW)}")
    console.show(None, kind(make_root(), {}, "cellbank", "_CELLBANK_COMPLETE").source().split("\n"))
    console.note(_HOW[wanted])
