"""Records that fit a condition, in the order of their ids, with what is asked of each."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from cellbank.cells.kinds import GROUPS, KINDS, relations_of
from cellbank.cells.presence import records_here
from cellbank.model.digest import SMALL_BELOW
from cellbank.model.errors import BadInput
from cellbank.model.names import near
from cellbank.packages.nodes import View
from cellbank.questions.asking import ask
from cellbank.questions.question import Limits, Question
from cellbank.questions.sources import Source

LIMITS: Final = Limits(seconds=300.0, memory=2_000_000_000)
"""Who trains a model waits longer for the records than who asks a question."""
_ABOVE: Final = ("fovs", "wells", "plates", "lines")


class Picked(msgspec.Struct, frozen=True):
    """Records: their ids, sorted; name → what each has; and whom each belongs to."""

    ids: list[str]
    values: dict[str, list[Any]]
    owners: list[str]


def group_of(view: View, kind: str) -> str:
    """Return the group that a kind means; raises `BadInput` if the package has none."""
    group = KINDS[kind].group if kind in KINDS else kind
    there = [name for name in view.children("")[0] if name in GROUPS]
    if group not in there:
        close = near(kind, there)
        has = f"It has: {', '.join(there) or 'none'}."
        advice = f"Did you mean {close[0]}?" if close else has
        raise BadInput(f"{view.label} has no records {kind!r:.60}", advice)
    return group


def pick(view: View, group: str, where: str, targets: Sequence[str], by: str) -> Picked:
    """Return the records of a group that fit a condition, those that are here.

    Parameters
    ----------
    view
        The package.
    group
        Such as `fovs`.
    where
        The condition; empty for all.
    targets
        What is asked of each: names or expressions as in a condition.
    by
        The group whose record each belongs to; empty for itself.

    Returns
    -------
    Picked
        Sorted by id.

    Raises
    ------
    BadQuestion
        The condition or a target cannot be asked.
    BadInput
        A target is several things for one record, or `by` is no group above.
    """
    above = [name for name in relations_of(GROUPS[group].name) if name in _ABOVE]
    if by and by not in above:
        raise BadInput(f"{group} do not belong to {by!r:.60}", f"Say one of: {', '.join(above)}.")
    if not (where.strip() or targets or by):
        ids = _here(view, group, view.children(group)[0])
        return Picked(ids, {}, ids)
    columns = ("id", *([by] if by else []), *targets)
    question = Question(where=where, kind=group, columns=columns, steady=True)
    answer = ask([_source(view)], question, LIMITS)
    names = answer.columns[1 + bool(by) :]
    found: dict[str, tuple[Any, ...]] = {}
    for row in answer.rows():
        if found.setdefault(row[0], row) != row:
            _tell_several(row[0], names, found[row[0]], row)
    ids = _here(view, group, found)
    values = {
        name: _numbers([found[one][at + 1 + bool(by)] for one in ids])
        for at, name in enumerate(names)
    }
    owners = [(found[one][1] or [one])[0] if by else one for one in ids]
    return Picked(ids, values, owners)


def _here(view: View, group: str, ids: Iterable[str]) -> list[str]:
    return records_here(view, GROUPS[group].name, sorted(ids))


def _tell_several(
    one: str, names: Sequence[str], first: Sequence[Any], other: Sequence[Any]
) -> None:
    start = len(first) - len(names)
    for at, name in enumerate(names):
        if first[start + at] != other[start + at]:
            what = f"{one} has several {name}: {first[start + at]}, {other[start + at]}"
            raise BadInput(what, "Ask for one of them, or leave such records out by where=.")


def _numbers(values: list[Any]) -> list[Any]:
    """Return numbers with NaN where nothing is known, so that they can be stacked."""
    known = [value for value in values if value is not None]
    if len(known) == len(values) or not known:
        return values
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in known):
        return [float("nan") if value is None else float(value) for value in values]
    return values


def _source(view: View) -> Source:
    tables: Mapping[str, Any] = view.tables()
    if not view.is_far:
        for table in tables.values():
            if table.size < SMALL_BELOW:
                # Whoever answers may have it open from before, and a collection removed its file.
                view.store.file_of(view.package, table)
    return Source(
        package=str(view.package),
        revision=view.revision,
        label=view.label,
        home=view.store.root,
        paths=tuple(other.root for other in view.store.borrowed),
        address=getattr(view, "address", None) or "",
        here=not view.is_far,
        tables=tuple(sorted(tables.items())),
    )
