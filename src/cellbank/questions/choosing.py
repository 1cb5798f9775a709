"""Which entries of a package a choice selects: records that fit, what belongs to them, their files.

A record brings its wells, plates and lines; a field of view its segmentations, too; a segmentation
its field of view and the other segmentations of that. Nothing brings the other fields of view of a
well, a plate or a line.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from operator import attrgetter
from typing import Any, Final

from cellbank.cells.kinds import GROUPS, KINDS, relations_of
from cellbank.model.errors import BadInput, BadQuestion
from cellbank.model.manifest import Entry, ManifestReader
from cellbank.model.names import near
from cellbank.model.patterns import common_start, fitting
from cellbank.model.want import Choice
from cellbank.packages.subset import Asked
from cellbank.questions.asking import ask
from cellbank.questions.question import Limits, Question
from cellbank.questions.sources import Source

ENTRIES: Final = "entries"
ALWAYS: Final = ("README", "SCHEMA")
"""Documents at the root that come with every subset."""
AHEAD: Final = 8
"""So many pages are read before they are asked for."""
CULTURE: Final = ("wells", "plates", "lines")
LIMITS: Final = Limits(seconds=300.0, memory=2_000_000_000)
"""An install may take longer than a question that somebody waits for."""

Records = dict[str, set[str]]
"""Group → ids."""


def choose(choice: Choice, asked: Asked) -> list[Entry]:
    """Return the entries of a revision that a choice selects.

    Parameters
    ----------
    choice
        What was asked for.
    asked
        The revision, its manifest and tables in the store.

    Returns
    -------
    list[Entry]
        In the order of their paths; README and SCHEMA are always among them.

    Raises
    ------
    BadQuestion
        Its condition cannot be asked, or is about records that are not there.
    BadInput
        It names groups that are not there.
    """
    reader = asked.reader
    kinds = _known_groups(choice.kinds, asked)
    if choice.asks:
        found = _of_records(choice, kinds, asked)
    elif kinds:
        found = list(reader.under_each(kinds))
    else:
        found = list(_below(reader, choice.paths))
    if choice.paths:
        fits = fitting(choice.paths)
        found = [entry for entry in found if fits(entry.path)]
        if not found:
            asked.say(f"No entries of {asked.package} fit: {', '.join(choice.paths)}")
    chosen = {entry.path: entry for entry in [*found, *_always(reader)]}
    return sorted(chosen.values(), key=attrgetter("path"))


def _known_groups(kinds: Sequence[str], asked: Asked) -> list[str]:
    """Return the groups that are named, each spelled as it is in the package."""
    groups = [KINDS[kind].group if kind in KINDS else kind for kind in kinds]
    there = asked.reader.children("")[0]
    for group in groups:
        if group not in there:
            close = near(group, there)
            advice = f"Did you mean {close[0]}?" if close else f"It has: {', '.join(there)}."
            raise BadInput(f"{asked.package} has no group {group!r:.60}", advice)
    return groups


def _below(reader: ManifestReader, patterns: Sequence[str]) -> Iterable[Entry]:
    """Yield all entries that can fit one of the patterns, and others; perhaps twice."""
    for start in {common_start(pattern) for pattern in patterns}:
        one = reader.find(start) if start else None
        yield from reader.under(start) if one is None else [one]


def _always(reader: ManifestReader) -> list[Entry]:
    names = [name for name in reader.children("")[1] if name.partition(".")[0].upper() in ALWAYS]
    return [entry for name in names if (entry := reader.find(name)) is not None]


# --- records


def _of_records(choice: Choice, kinds: Sequence[str], asked: Asked) -> list[Entry]:
    if group_asked(choice, asked) == ENTRIES:
        paths = selected(choice, asked)[ENTRIES]
        found = [entry for entry in asked.reader if entry.path in paths]
        return [e for e in found if not kinds or e.path.partition("/")[0] in kinds]
    records = selected(choice, asked)
    groups = [
        f"{group}/{name}"
        for group, names in records.items()
        if not kinds or group in kinds
        for name in names
    ]
    return list(asked.reader.under_each(groups, lambda digests: _ahead(asked.reader, digests)))


def _ahead(reader: ManifestReader, digests: Sequence[str]) -> Iterator[bytes]:
    """Yield pages; some are read while another is looked at."""
    waiting: deque[Future[bytes]] = deque()
    with ThreadPoolExecutor(1) as pool:
        for digest in digests:
            waiting.append(pool.submit(reader.read_page, digest))
            if len(waiting) > AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def group_asked(choice: Choice, asked: Asked) -> str:
    """Return the group of records that a choice is about, or `entries`."""
    kind = KINDS[choice.kind].group if choice.kind in KINDS else choice.kind
    return kind or ("fovs" if "fovs" in asked.tables else ENTRIES)


def selected(choice: Choice, asked: Asked) -> Records:
    """Return the records that a choice selects: group → ids; or `entries` → paths."""
    group = group_asked(choice, asked)
    if group in GROUPS and group not in asked.tables:
        advice = "Choose by --path or --kinds, or ask its owner to build it anew."
        what = f"{asked.package} has no table of its {group}: they cannot be asked about"
        raise BadQuestion(choice.question, what, -1, -1, (), advice)
    key = "path" if group == ENTRIES else "id"
    lists = brought_by(group) if choice.related else []
    strata = ["lines"] if choice.sample and group in GROUPS and group != "lines" else []
    columns = list(dict.fromkeys([key, *lists, *strata]))
    rows = _rows(choice, group, columns, asked)
    if not rows:
        asked.say(f"No {group} of {asked.package} fit: {choice.question or 'there are none'}")
    if choice.sample:
        rows = _sampled(rows, columns, choice)
    records: Records = {group: {row[0] for row in rows}}
    for name in lists:
        at = columns.index(name)
        records[name] = {one for row in rows for one in row[at] or ()}
    return records


def brought_by(group: str) -> list[str]:
    """Return the relation lists whose records come with a record of a group."""
    if group not in GROUPS:
        return []
    lists = relations_of(GROUPS[group].name)
    return [name for name in lists if name in CULTURE] if group in CULTURE else lists


Row = tuple[Any, ...]


def _rows(choice: Choice, group: str, columns: Sequence[str], asked: Asked) -> list[Row]:
    store = asked.store
    source = Source(
        package=str(asked.package),
        revision=asked.revision,
        label=str(asked.package),
        home=store.root,
        paths=tuple(other.root for other in store.borrowed),
        address="",
        here=True,
        tables=tuple(sorted(asked.tables.items())),
    )
    question = Question(where=choice.question, kind=group, columns=tuple(columns), steady=True)
    return ask([source], question, LIMITS).rows()


def _sampled(rows: Sequence[Row], columns: Sequence[str], choice: Choice) -> list[Row]:
    """Return some of the rows: as many of each line as can be, decided by id and seed."""
    from cellbank.cells.family import stratified

    at = columns.index("lines") if "lines" in columns else None
    by_line: dict[str, list[str]] = {}
    for row in rows:
        lines = row[at] if at is not None else None
        line = lines[0] if isinstance(lines, list) and lines else ""
        by_line.setdefault(line, []).append(str(row[0]))
    drawn = set(stratified(by_line, choice.sample, choice.seed))
    return [row for row in rows if row[0] in drawn]
