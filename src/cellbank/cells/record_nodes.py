"""Which nodes of a package are records: groups of a kind, each with an `info` in it."""

from typing import Any

from cellbank.cells.kinds import GROUPS
from cellbank.model.errors import BadInput
from cellbank.model.names import near
from cellbank.packages.nodes import DataNode, GroupNode


def record_node(node: Any) -> GroupNode:
    """Return the group of the record that a node is, or is a part of.

    Raises `BadInput`: It is neither; the advice says where records are.
    """
    if not isinstance(node, (GroupNode, DataNode)):
        raise BadInput(
            f"{node!r:.60} is no node of a package",
            'Load one: cellbank.load("owner/name/fovs/ID"), or take one: package.fovs[0]',
        )
    view, path = node._view, node._path
    group, _, rest = path.partition("/")
    name = rest.partition("/")[0]
    if group in GROUPS and name:
        found = GroupNode(view, f"{group}/{name}")
        if view.is_group(group, name) and "info" in found:
            return found
    raise BadInput(f"{view.label}{path and '/'}{path} is no record", _advice(view, group, name))


def _advice(view: Any, group: str, name: str) -> str:
    root = GroupNode(view, "")
    groups = [there for there in root._group_keys() if there in GROUPS]
    if group in groups and not name:
        return f"It has {len(root[group])} records; take one: package.{group}[0]"  # type: ignore[arg-type]
    if group in groups:
        return f"A record has an info; this has: {', '.join(_children(root, group, name))}."
    close = near(group, groups)
    if close:
        return f"Did you mean {' or '.join(close)}?"
    if groups:
        one = "fovs" if "fovs" in groups else groups[0]
        return f"Records are in its groups {', '.join(groups)}: package.{one}[0]"
    return "A record is a group such as fovs/ID with an info in it; this package has none."


def _children(root: GroupNode, group: str, name: str) -> list[str]:
    found = root[f"{group}/{name}"]
    return found._keys() if isinstance(found, GroupNode) else ["nothing below it"]
