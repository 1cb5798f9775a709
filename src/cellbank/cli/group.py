"""The command and its subcommands: each lives in a module that is imported when it is called."""

import importlib
from collections.abc import Callable, Sequence
from keyword import iskeyword
from typing import Any, Final

import click

from cellbank.cli.console import Console

# Title → command → the module that has it. The order is that of `cellbank --help`.
COMMANDS: Final[dict[str, dict[str, str]]] = {
    "Make packages and send them": {
        "init": "starting",
        "build": "making",
        "edit": "editing",
        "import": "importing",
        "push": "making",
        "version": "naming",
        "tag": "naming",
        "sample": "sampling",
    },
    "Get packages and use them": {
        "install": "having",
        "fetch": "fetching",
        "lock": "locking",
        "sync": "locking",
        "path": "reading",
        "cat": "reading",
        "export": "having",
        "rm": "having",
    },
    "Look at packages": {
        "ls": "looking",
        "tree": "looking",
        "inspect": "looking",
        "log": "looking",
        "diff": "looking",
        "cite": "looking",
        "query": "querying",
        "show": "showing",
    },
    "Look after the store": {
        "verify": "keeping",
        "gc": "keeping",
        "du": "keeping",
        "cache": "caching",
    },
    "Remotes and registries": {
        "remote": "remotes",
        "login": "accounts",
        "logout": "accounts",
        "whoami": "accounts",
        "serve": "serving",
    },
    "Your shell": {
        "completion": "completing",
    },
}

SETTINGS: Final = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


class Lazy(click.Group):
    """A group that imports the module of a command only when the command is needed."""

    _modules: Final = {name: where for part in COMMANDS.values() for name, where in part.items()}

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return list(self._modules)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, its module imported."""
        if cmd_name not in self._modules:
            return None
        module = importlib.import_module(f"cellbank.cli.{self._modules[cmd_name]}")
        # Python has keywords of its own: the function of `import` is `import_`.
        found = getattr(module, f"{cmd_name}_" if iskeyword(cmd_name) else cmd_name)
        assert isinstance(found, click.Command)  # noqa: S101
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that is called; name what is near where there is none."""
        name = args[0]
        if name not in self._modules and not name.startswith("-") and not ctx.resilient_parsing:
            from difflib import get_close_matches

            near = get_close_matches(name, self._modules, 2)
            hint = f" Did you mean {' or '.join(near)}?" if near else ""
            raise click.UsageError(f"there is no command {name!r}.{hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands by what they are for."""
        for title, part in COMMANDS.items():
            rows = []
            for name in part:
                command = self.get_command(ctx, name)
                rows.append((name, command.get_short_help_str(70) if command else ""))
            with formatter.section(title):
                formatter.write_dl(rows)


class _Command(click.Command):
    """A command whose mistakes all know that they are its own: not all of click's do."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Return what is left of the arguments when options and their values are read."""
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            error.ctx = error.ctx or ctx
            raise


def _set_quiet(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value:
        ctx.ensure_object(Console).quiet = True


def _set_json(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value:
        ctx.ensure_object(Console).json = True


def _quiet() -> click.Option:
    return click.Option(
        ["-q", "--quiet"],
        is_flag=True,
        expose_value=False,
        callback=_set_quiet,
        help="Say nothing but errors and what was asked for.",
    )


def _json() -> click.Option:
    return click.Option(
        ["--json"],
        is_flag=True,
        expose_value=False,
        callback=_set_json,
        help="Write one JSON document to stdout, nothing else.",
    )


def command(
    name: str, *, example: str, json: bool = True
) -> Callable[[Callable[..., None]], click.Command]:
    """Make a command of a function; its first argument is the `Console`.

    It takes `--quiet` and, unless `json` is False, `--json`; its help ends in an example.
    """

    def make(function: Callable[..., None]) -> click.Command:
        made = click.command(name, _Command, context_settings=SETTINGS, epilog=_epilog(example))(
            click.pass_obj(function)
        )
        made.params += [*([_json()] if json else []), _quiet()]
        return made

    return make


@click.pass_context
def _help_if_alone(ctx: click.Context, /, **_options: Any) -> None:
    if ctx.invoked_subcommand is None:
        from cellbank.cli.console import emit

        emit(f"{ctx.get_help()}\n")


def group(name: str, *, help: str, example: str, commands: Sequence[click.Command]) -> click.Group:  # noqa: A002
    """Make a command that has commands of its own."""
    return click.Group(
        name,
        commands=list(commands),
        help=help,
        epilog=_epilog(example),
        context_settings=SETTINGS,
        params=[_quiet()],
        callback=_help_if_alone,
        invoke_without_command=True,
    )


def _epilog(example: str) -> str:
    lines = "\n".join(f"  {line}" for line in example.splitlines())
    return f"\b\nExample:\n{lines}"


def _version(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from cellbank import __version__
        from cellbank.cli.console import emit

        emit(f"cellbank {__version__}\n")
        ctx.exit()


def make_root() -> click.Group:
    """Return the whole command."""
    version = click.Option(
        ["--version"],
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=_version,
        help="Say which cellbank this is.",
    )
    return Lazy(
        "cellbank",
        help=(
            "A package manager for cell images and their metadata.\n\n"
            "REF names a package: owner/name, owner/name:tag, owner/name==version or "
            "owner/name@revision, each may be followed by /sub/path. A remote is a URL, a folder "
            "or a name given with `cellbank remote add`."
        ),
        epilog=_epilog("cellbank install aics/aics_23\ncellbank tree aics/aics_23 --depth 1"),
        context_settings=SETTINGS,
        params=[_quiet(), version],
        callback=_help_if_alone,
        invoke_without_command=True,
    )
