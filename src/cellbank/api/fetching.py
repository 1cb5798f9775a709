"""Fetching: entries whose bytes are not here come into the store, many at once."""

from collections.abc import Callable, Iterable

import msgspec

from cellbank.api.having import load
from cellbank.api.session import watcher_or_default
from cellbank.model.errors import BadInput, NotFetched
from cellbank.model.manifest import Entry
from cellbank.model.progress import Progress, Watcher
from cellbank.packages.nodes import DataNode, GroupNode, View

Node = GroupNode | DataNode


class Fetched(msgspec.Struct, frozen=True):
    """What a fetch did: how many entries were asked for, and what of them had to come."""

    entries: int
    objects: int
    bytes: int


def fetch(
    nodes: str | Node | Iterable[str | Node],
    from_: str | None = None,
    *,
    watch: Watcher | None = None,
) -> Fetched:
    """Bring the bytes of nodes into the store, side by side; what is here is not fetched again.

    They stay as a cache, which `gc` may empty: to have them for good, install them. Broken off,
    the same call goes on where it was.

    Parameters
    ----------
    nodes
        Nodes or references, one or many; of groups all that lies in them comes.
    from_
        Where packages are that are not installed: a URL, a folder or the name of a remote.
    watch
        Is told of progress: all that is fetched counts as one job.

    Returns
    -------
    Fetched
        How many entries, and how much of them came.

    Raises
    ------
    LeftOut
        It is not in the subset that was installed; the advice says how to add it.
    NotFetched
        The package was built here, or its remote is not known.
    DigestMismatch
        The remote gave wrong bytes, twice. What was right is kept.

    Examples
    --------
    >>> import cellbank
    >>> cellbank.fetch(getfixture("nuclei").images)
    Fetched(entries=1, objects=0, bytes=0)
    """
    one = isinstance(nodes, (str, GroupNode, DataNode))
    given: list[str | Node] = [nodes] if one else list(nodes)  # type: ignore[list-item, arg-type]
    by_view: dict[int, tuple[View, dict[str, Entry]]] = {}
    for each in given:
        node = load(each, from_) if isinstance(each, str) else each
        if not isinstance(node, (GroupNode, DataNode)):
            raise BadInput(f"{node!r:.60} is no node of a package", "Give nodes or references.")
        view = node._view
        entries = by_view.setdefault(id(view), (view, {}))[1]
        entries |= {entry.path: entry for entry in _entries(node)}
    return _bring([*by_view.values()], watcher_or_default(watch))


def _entries(node: Node) -> Iterable[Entry]:
    return [node.entry] if isinstance(node, DataNode) else node._view.reader.under(node._path)


def _bring(wanted: list[tuple[View, dict[str, Entry]]], watch: Watcher) -> Fetched:
    plans = []
    for view, entries in wanted:
        lacking = view.lacking(entries[path] for path in sorted(entries))
        if not lacking:
            continue
        origin = view.origin(anyhow=True)
        if origin is None:
            raise NotFetched(str(view.package), lacking[0].path)
        plan = origin.plan(lacking)
        plans.append((origin, lacking, plan))
    total = sum(plan.bytes for _, _, plan in plans)
    before = 0
    for origin, lacking, plan in plans:
        origin.fetch(lacking, _part_of(watch, before, total))
        before += plan.bytes
    objects = sum(plan.objects for _, _, plan in plans)
    return Fetched(sum(len(entries) for _, entries in wanted), objects, total)


def _part_of(watch: Watcher, before: int, total: int) -> Callable[[object], None]:
    """Return a watcher that tells of a part of a job as of the whole."""

    def tell(event: object) -> None:
        if isinstance(event, Progress):
            event = Progress(event.job, before + event.done, total)
        watch(event)  # type: ignore[arg-type]

    return tell
