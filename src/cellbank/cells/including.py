"""Entries of other packages in a family: found at a fixed revision, taken by their digests."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from cellbank.cells.kinds import GROUPS
from cellbank.cells.problems import Problems
from cellbank.cells.recipe import Include
from cellbank.model.digest import SMALL_BELOW
from cellbank.model.errors import BadInput, CellbankError, RuleBroken
from cellbank.model.manifest import Entry
from cellbank.model.names import path_problem, path_problems, unicode_problem
from cellbank.model.patterns import check_pattern, common_start, fitting
from cellbank.model.reference import Package, Reference
from cellbank.packages import resolve
from cellbank.packages.carried import Carried
from cellbank.storage.store import Store

_OWN: Final = ("README", "SCHEMA")
_ALL: Final = ("**",)
_ADVICE: Final = "Put them elsewhere: `into: reference`, or take fewer: `paths`."


def include_problems(parts: Sequence[Include]) -> Iterator[tuple[tuple[str | int, ...], str, str]]:
    """Tell what is wrong with these parts of a recipe in themselves: path, what, advice."""
    for number, part in enumerate(parts):
        path: tuple[str | int, ...] = ("include", number)
        try:
            _fixed(part.package)
        except RuleBroken as error:
            yield (*path, "package"), error.message, error.advice
        for at, pattern in enumerate(part.paths):
            try:
                check_pattern(pattern)
            except BadInput as error:
                yield (*path, "paths", at), error.message, error.advice
        into = part.into.strip("/")
        why = path_problem(into) or unicode_problem(into) if into else None
        if why:
            yield (*path, "into"), f"{part.into!r} cannot be a group: {why}", "Choose another."


def _fixed(text: str) -> Reference:
    """Return a reference to a state of a package that never changes; raises `RuleBroken`."""
    reference = Reference.parse(text)
    if reference.path:
        raise BadInput(f"{text} names a part", "Name the package here, and the part in `paths`.")
    if not (reference.revision or reference.version):
        advice = f"Write {reference.package}@REVISION or {reference.package}==VERSION."
        raise BadInput(f"{text} may be something else another day", advice)
    return reference


def included(
    store: Store, parts: Sequence[Include], problems: Problems, place: str
) -> list[Carried]:
    """Return the entries that a recipe takes from other packages; none of them is read.

    What is wrong, of all parts, is in `problems`; `place` is the recipe's name there.
    """
    found: dict[str, Carried] = {}
    for number, part in enumerate(parts):
        where = f"include[{number}]"
        try:
            taken = [*_entries(store, part, problems, place, where)]
        except CellbankError as error:
            problems.error(place, error.message, error.advice, column=f"{where}.package")
            continue
        for one in taken:
            if one.entry.path in found:
                what = f"{one.entry.path} comes from two packages"
                problems.error(place, what, _ADVICE, column=where)
            found.setdefault(one.entry.path, one)
    for path, why in path_problems(sorted({*found, *_OWN})).items():
        problems.error(place, f"{path!r} cannot be there: {why}", _ADVICE, column="include")
    return list(found.values())


def _entries(
    store: Store, part: Include, problems: Problems, place: str, where: str
) -> Iterator[Carried]:
    reference = _fixed(part.package)
    package = reference.package
    reader = store.reader(package, resolve.in_store(store, reference))
    chosen: dict[str, Entry] = {}
    for pattern in [check_pattern(pattern) for pattern in part.paths] or _ALL:
        fits, start = fitting([pattern]), common_start(pattern)
        one = reader.find(start) if start else None
        candidates = reader.under(start) if one is None else [one]
        fitted = {entry.path: entry for entry in candidates if fits(entry.path)}
        if not fitted:
            advice = f"Look what is there: cellbank tree {part.package}"
            what = f"{pattern} fits nothing in {part.package}"
            problems.error(place, what, advice, column=f"{where}.paths")
        chosen |= fitted
    _check_here(store, package, chosen.values(), problems, place, part, where)
    into = f"{part.into.strip('/')}/" if part.into.strip("/") else ""
    taken = [path for path in chosen if _is_taken(f"{into}{path}")]
    if taken:
        more = f" and {len(taken) - 1:,} more" if len(taken) > 1 else ""
        what = f"{into}{taken[0]}{more} would stand where the records of this family stand"
        problems.error(place, what, _ADVICE, column=where)
    for path, entry in chosen.items():
        if not _is_taken(f"{into}{path}"):
            yield Carried(entry, package).at(f"{into}{path}")


def _is_taken(path: str) -> bool:
    return path in _OWN or path.partition("/")[0] in GROUPS


def _check_here(
    store: Store,
    package: Package,
    entries: Iterable[Entry],
    problems: Problems,
    place: str,
    part: Include,
    where: str,
) -> None:
    """Tell of bytes that are not in the store: nothing could be built of them."""
    entries = list(entries)
    small = store.has_small(package, {e.digest for e in entries if e.size < SMALL_BELOW})
    lacking = [
        entry
        for entry in entries
        if (
            entry.digest not in small
            if entry.size < SMALL_BELOW
            else store.object_path(entry.digest, entry.size) is None
        )
    ]
    if lacking:
        count = f"{len(lacking):,} of the entries" if len(lacking) > 1 else lacking[0].path
        what = f"{count} of {part.package} {'are' if len(lacking) > 1 else 'is'} not in the store"
        advice = f"Install them: cellbank install {part.package}"
        problems.error(place, what, advice, column=where)
