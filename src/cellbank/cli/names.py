"""Packages and places as arguments, and how the shell completes them."""

from collections.abc import Callable
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem


class PackageName(click.ParamType[str]):
    """A package of the store: `owner/name`."""

    name = "package"
    paths = False

    def shell_complete(
        self, _ctx: click.Context, _param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Return what begins like this in the store."""
        from cellbank.api import asking
        from cellbank.model.errors import CellbankError

        try:
            if self.paths and incomplete.count("/") > 1:
                return _below(incomplete)
            found = [str(listed) for listed in asking.ls()]
        except (CellbankError, OSError):
            return []
        return [CompletionItem(name) for name in found if name.startswith(incomplete)]


class Ref(PackageName):
    """A reference, perhaps with a path into the package."""

    name = "ref"
    paths = True


def _below(incomplete: str) -> list[CompletionItem]:
    """Return the children of the group that is being typed."""
    from cellbank.api import having
    from cellbank.packages.nodes import GroupNode

    above, _, begin = incomplete.rpartition("/")
    node = having.load(above)
    if not isinstance(node, GroupNode):
        return []
    names = [*(f"{name}/" for name in node._group_keys()), *node._data_keys()]
    return [CompletionItem(f"{above}/{name}") for name in names if name.startswith(begin)]


class RemoteName(click.ParamType[str]):
    """A remote: a URL, a folder or a name that was given to one."""

    name = "remote"

    def shell_complete(
        self, _ctx: click.Context, _param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Return the names of the remotes, and let the shell add folders."""
        from cellbank.api import account
        from cellbank.model.errors import CellbankError

        try:
            known = [name for name in account.remotes() if name.startswith(incomplete)]
        except (CellbankError, OSError):
            known = []
        return [CompletionItem(name) for name in known] or [CompletionItem(incomplete, type="dir")]


F = TypeVar("F", bound=Callable[..., Any])

REF = Ref()
PACKAGE = PackageName()
REMOTE = RemoteName()
FOLDER = click.Path()


def to_option() -> Callable[[F], F]:
    """Return the option `--to`."""
    return click.option(
        "--to", type=REMOTE, metavar="REMOTE", help="The remote: a URL, a folder or a name."
    )


def at_option() -> Callable[[F], F]:
    """Return the option `--from` of what reads beside what writes: `--to` says the same."""
    return click.option(
        "--from",
        "--to",
        "to",
        type=REMOTE,
        metavar="REMOTE",
        help="The remote: a URL, a folder or a name.",
    )


def from_option() -> Callable[[F], F]:
    """Return the option `--from`."""
    return click.option(
        "--from",
        "from_",
        type=REMOTE,
        metavar="REMOTE",
        help="The remote: a URL, a folder or a name.",
    )


def reader_options() -> Callable[[F], F]:
    """Return the options `--public` and `--private`; `who_reads` says what they mean together."""

    def add(function: F) -> F:
        function = click.option("--private", is_flag=True, help="Only who is signed in.")(function)
        return click.option(
            "--public", is_flag=True, help="Everyone may read it; default: as it was."
        )(function)

    return add


def who_reads(*, public: bool, private: bool) -> bool | None:
    """Return whether everyone may read a package; None where nothing was said."""
    if public and private:
        raise click.UsageError("--public and --private are asked together: say one of them")
    return public or (False if private else None)
