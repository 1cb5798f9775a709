"""The log of a package: one record an event, each naming the one before it."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from cellbank.model import canonical
from cellbank.model.digest import digest_of, is_digest
from cellbank.model.errors import NameConflict, NotCanonical, PushConflict, RuleBroken
from cellbank.model.names import check_tag, check_version, version_key

MAX_TAGS: Final = 1_000
MAX_VERSIONS: Final = 10_000
HISTORY_EVERY: Final = 256
LAST_KEY: Final = 999_999_999_999
MAX_TABLES: Final = 64
MAX_TABLE_BYTES: Final = 1 << 30

EVENTS: Final = (
    "push",
    "tag",
    "version",
    "yank",
    "unyank",
    "freeze",
    "unfreeze",
    "move",
    "delete",
    "purge",
    "tables",
)


class State(msgspec.Struct, frozen=True, omit_defaults=True):
    """What holds after a record: the whole of it, so that one record is enough to know."""

    latest: str = ""
    tags: dict[str, str] = {}
    versions: dict[str, str] = {}
    yanked: dict[str, str] = {}
    frozen: bool = False
    moved_to: str = ""
    deleted: bool = False
    gone: dict[str, str] = {}


class Table(msgspec.Struct, frozen=True, omit_defaults=True):
    """A derived table: the digest and size of its Parquet file, and what wrote it."""

    digest: str
    size: int
    writer: str = ""


_is_kind = re.compile("[a-z][a-z0-9_]{0,63}").fullmatch


def check_tables(tables: Mapping[str, Table]) -> None:
    """Check that these may stand in a record, else raise `RuleBroken`: their digests become keys.

    Parameters
    ----------
    tables
        What a record names, by kind.
    """
    if len(tables) > MAX_TABLES:
        raise RuleBroken(f"a revision has at most {MAX_TABLES} tables, not {len(tables)}")
    for kind, table in tables.items():
        if not _is_kind(kind):
            raise RuleBroken(
                f"{kind[:80]!r} is no kind of table",
                "It must begin with a letter and have only a-z, 0-9 and _, at most 64.",
            )
        if not is_digest(table.digest):
            raise RuleBroken(f"the table {kind}: {table.digest[:80]!r} is not a digest")
        if not 0 <= table.size <= MAX_TABLE_BYTES:
            raise RuleBroken(f"the table {kind}: it may have 0 to {MAX_TABLE_BYTES} bytes")


class Derivation(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where a subset came from."""

    package: str
    revision: str
    question: str = ""


class Draft(msgspec.Struct, frozen=True, omit_defaults=True):
    """An event that someone wants to append; the log gives it its number and its state.

    `name` is the tag, version or target that the event is about, `expect` the value that this name
    had when its author looked, `base` the latest revision that the author of a push built on.
    """

    event: str
    nonce: str
    revision: str = ""
    name: str = ""
    base: str = ""
    expect: str = ""
    author: str = ""
    time: str = ""
    message: str = ""
    packs: list[str] = []
    tables: dict[str, Table] = {}
    derived_from: Derivation | None = None


class Record(msgspec.Struct, frozen=True, omit_defaults=True):
    """One event in the log of a package, with the state after it."""

    event: str
    format: int
    nonce: str
    number: int
    package: str
    author: str = ""
    base: str = ""
    derived_from: Derivation | None = None
    expect: str = ""
    history: str = ""
    message: str = ""
    name: str = ""
    packs: list[str] = []
    previous: str = ""
    revision: str = ""
    state: State = State()
    tables: dict[str, Table] = {}
    time: str = ""


class Kept(msgspec.Struct, frozen=True):
    """A record together with the very bytes it was read from or written as."""

    record: Record
    data: bytes

    @property
    def digest(self) -> str:
        """The digest of the record's bytes, which the next record names."""
        return digest_of(self.data)


_record_decoder = msgspec.json.Decoder(Record)


def encode_record(record: Record) -> bytes:
    """Return the canonical bytes of a record."""
    document = msgspec.to_builtins(record)
    if not document.get("state"):
        # msgspec leaves out a default that is a struct only if it is that very object.
        document.pop("state", None)
    return canonical.encode(document, "a log record")


def decode_record(data: bytes) -> Kept:
    """Return the record that these bytes spell; fields that are not known here are passed over.

    Raises `NotCanonical`: It is no record, or not spelled in the one allowed way.
    """
    document = canonical.decode(data, "a log record")
    try:
        record = _record_decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise NotCanonical("a log record", str(error)) from None
    _check_defaults(document, record)
    _check_defaults(document.get("state", {}), record.state)
    if record.format != 1:
        raise NotCanonical("a log record", f"format {record.format} is not known here")
    if not 0 <= record.number <= LAST_KEY:
        raise NotCanonical("a log record", "its number is out of range")
    state = record.state
    names = (record.revision, record.history, record.previous, state.latest)
    for digest in (*names, *state.tags.values(), *state.versions.values()):
        # They become keys, and names of files.
        if digest and not is_digest(digest):
            raise NotCanonical("a log record", f"{digest[:80]!r} is not a digest")
    for kind, table in record.tables.items():
        _check_defaults(document["tables"][kind], table)
    try:
        check_tables(record.tables)
    except RuleBroken as error:
        raise NotCanonical("a log record", error.message) from None
    return Kept(record, data)


def _check_defaults(document: dict[str, Any], known: msgspec.Struct) -> None:
    """Check that no field that is known here is written although it has its default value."""
    written = document.keys() & set(known.__struct_fields__)
    if needless := sorted(written - msgspec.to_builtins(known).keys()):
        raise NotCanonical("a log record", f"{needless[0]} has its default and must be left out")


def record_key(number: int) -> str:
    """Return the file name of record `number`: a listing gives the newest first."""
    return f"{LAST_KEY - number:012d}"


def record_number(key: str) -> int:
    """Return the number of the record whose file name is `key`."""
    return LAST_KEY - int(key)


def check_chain(package: str, newer: Kept, older: Kept) -> None:
    """Check that `newer` follows `older` in the log of `package`, else raise `NotCanonical`."""
    if newer.record.package != package or older.record.package != package:
        raise NotCanonical("the log", f"a record of {newer.record.package} in that of {package}")
    if newer.record.number != older.record.number + 1 or newer.record.previous != older.digest:
        raise NotCanonical(
            "the log", f"record {newer.record.number} does not follow the one before"
        )


def tables_of(records: Iterable[Kept], revision: str) -> dict[str, Table]:
    """Return the tables of a revision: those of the newest record about it that names any.

    Parameters
    ----------
    records
        The log, newest first; no more of it is read than is needed.
    revision
        The revision.

    Returns
    -------
    dict
        The tables by kind; none where no record names any.
    """
    found = (k.record.tables for k in records if k.record.revision == revision and k.record.tables)
    return next(found, {})


def next_record(package: str, newest: Kept | None, draft: Draft, history: str = "") -> Record:
    """Return the record that appends `draft` after `newest`.

    Raises `PushConflict`: `latest` is not the base of the push. Raises `NameConflict`: A version
    is taken, or a name does not have the value its author saw. Raises `RuleBroken`: The package is
    frozen or deleted, there are too many names, or the event is not known.
    """
    state = newest.record.state if newest else State()
    return Record(
        event=draft.event,
        format=1,
        nonce=draft.nonce,
        number=newest.record.number + 1 if newest else 0,
        package=package,
        author=draft.author,
        base=draft.base,
        derived_from=draft.derived_from,
        expect=draft.expect,
        history=history,
        message=draft.message,
        name=draft.name,
        packs=draft.packs,
        previous=newest.digest if newest else "",
        revision=draft.revision,
        state=state_after(package, state, draft),
        tables=draft.tables,
        time=draft.time,
    )


def state_after(package: str, state: State, draft: Draft) -> State:  # noqa: PLR0911  a table
    """Return the state that `draft` leaves behind `state`; raises as `next_record` does."""
    if draft.event not in EVENTS:
        raise RuleBroken(f"{draft.event!r} is not an event of the log")
    if state.frozen and draft.event in ("push", "tag", "version"):
        raise RuleBroken(f"{package} is frozen", "Ask its owner to unfreeze it.")
    _check_tables_of(draft)
    change = msgspec.structs.replace
    match draft.event:
        case "push":
            return _after_push(package, state, draft)
        case "tag":
            return _after_tag(package, state, draft)
        case "version":
            return _after_version(package, state, draft)
        case "yank":
            return change(state, yanked=state.yanked | {draft.name: draft.message})
        case "unyank":
            return change(state, yanked=_without(state.yanked, draft.name))
        case "freeze" | "unfreeze":
            return change(state, frozen=draft.event == "freeze")
        case "move":
            return change(state, moved_to=draft.name)
        case "delete":
            return change(state, deleted=True)
        case "purge":
            return change(state, gone=state.gone | {draft.name: draft.message})
        case _:
            return state


def _check_tables_of(draft: Draft) -> None:
    if draft.event == "tables" and not is_digest(draft.revision):
        raise RuleBroken("tables must name the revision that they are of")
    if draft.tables and draft.event not in ("push", "tables"):
        raise RuleBroken(f"a {draft.event} names no tables")
    check_tables(draft.tables)


def _after_push(package: str, state: State, draft: Draft) -> State:
    if not is_digest(draft.revision):
        raise RuleBroken("a push must name a revision")
    if state.latest != draft.base:
        raise PushConflict(package, state.latest, draft.base)
    return msgspec.structs.replace(state, latest=draft.revision, deleted=False)


def _after_tag(package: str, state: State, draft: Draft) -> State:
    name = check_tag(draft.name)
    if name == "latest":
        raise RuleBroken("the tag latest moves with every push", "Choose another name.")
    held = state.tags.get(name, "")
    if held != draft.expect:
        raise NameConflict(package, f"the tag {name}", held)
    tags = state.tags | {name: draft.revision} if draft.revision else _without(state.tags, name)
    if len(tags) > MAX_TAGS:
        raise RuleBroken(f"{package} has {MAX_TAGS} tags already", "Remove one.")
    return msgspec.structs.replace(state, tags=tags)


def _after_version(package: str, state: State, draft: Draft) -> State:
    name = check_version(draft.name)
    same = next((v for v in state.versions if version_key(v) == version_key(name)), None)
    if same is not None:
        raise NameConflict(package, f"the version {same}", state.versions[same])
    if len(state.versions) >= MAX_VERSIONS:
        raise RuleBroken(f"{package} has {MAX_VERSIONS} versions already")
    return msgspec.structs.replace(state, versions=state.versions | {name: draft.revision})


def _without(names: dict[str, str], name: str) -> dict[str, str]:
    return {key: value for key, value in names.items() if key != name}


def encode_history(earlier: str, records: Sequence[Kept]) -> bytes:
    """Return a history object: the records since the last one, oldest first, and its digest."""
    document: dict[str, Any] = {
        "format": 1,
        "records": [canonical.decode(kept.data) for kept in records],
    }
    if earlier:
        document["earlier"] = earlier
    return canonical.encode(document, "a history object")


def decode_history(data: bytes) -> tuple[str, list[Kept]]:
    """Return the digest of the earlier history object, and the records of this one."""
    document = canonical.decode(data, "a history object")
    if not isinstance(document, dict) or not isinstance(document.get("records"), list):
        raise NotCanonical("a history object", "it has no records")
    if document.get("format") != 1:
        raise NotCanonical("a history object", "its format is not known here")
    records = [decode_record(canonical.encode(record)) for record in document["records"]]
    return str(document.get("earlier", "")), records
