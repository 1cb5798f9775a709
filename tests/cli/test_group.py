"""Tests of the command as a whole: its help, its version, its global options."""

import click
import pytest

from cellbank import __version__
from cellbank.cli.group import COMMANDS, make_root

NAMES = [name for part in COMMANDS.values() for name in part]
NO_JSON = {"serve", "completion"}


def _leaves():
    root = make_root()
    context = click.Context(root)
    for name in NAMES:
        command = root.get_command(context, name)
        if isinstance(command, click.Group):
            yield from ((f"{name} {sub}", inner) for sub, inner in command.commands.items())
        else:
            yield name, command


LEAVES = dict(_leaves())


@pytest.mark.parametrize("name", [*NAMES, *LEAVES])
def test_every_command_explains_itself_with_an_example(cellbank, name):
    said = cellbank(*name.split(), "--help").ok().out
    assert f"Usage: cellbank {name}" in said
    assert "Example:\n    cellbank" in said or "Example:\n    source <(cellbank" in said


@pytest.mark.parametrize("name", [name for name in LEAVES if name not in NO_JSON])
def test_every_command_but_these_can_write_json(name):
    assert "--json" in {option for param in LEAVES[name].params for option in param.opts}


@pytest.mark.parametrize("name", LEAVES)
def test_every_command_can_be_quiet(name):
    assert "--quiet" in {option for param in LEAVES[name].params for option in param.opts}


def test_the_command_alone_shows_its_help(cellbank):
    said = cellbank().ok().out
    assert said == cellbank("--help").ok().out
    assert all(f"  {name} " in said for name in NAMES)
    assert "..." not in said.partition("Options:")[2]


def test_a_group_alone_shows_its_help(cellbank):
    assert "Usage: cellbank remote" in cellbank("remote").ok().out


def test_the_version_is_told(process):
    assert f"cellbank {__version__}\n" == process("--version").ok().out


def test_the_version_is_told_without_what_only_other_commands_need(clean_env):
    import subprocess
    import sys

    code = (
        "import sys\nfrom cellbank.cli import run\ncode = run(['--version'])\n"
        "heavy = {'msgspec', 'rich', 'pycurl', 'obstore', 'cellbank.api', 'fastapi', 'numpy'}\n"
        "sys.exit(code or heavy & set(sys.modules) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=clean_env, capture_output=True, text=True, check=False
    )
    assert (0, "") == (done.returncode, done.stderr)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["inspct"], "Did you mean inspect"),
        (["install"], "no package is named"),
        (["install", "a/b", "--form", "x"], "--from"),
        (["tree", "a/b", "--depth", "deep"], "--depth"),
        (["tag", "move"], "move"),
        (["cite", "a/b", "--format", "ris"], "bibtex"),
        (["serve", "x", "--port", "99999"], "--port"),
        (["diff", "a/b"], "Missing argument"),
    ],
)
def test_a_wrong_call_is_told_in_two_lines(cellbank, arguments, words):
    refused = cellbank(*arguments).failed(2)
    assert words in refused.err
    assert 2 == len(refused.err.splitlines())
