"""Asking about metadata: queries, tables, and what changed from one revision to another."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from cellbank import config as _config
from cellbank.api.asking import ls
from cellbank.api.session import address_of, need_address, remote_at, watcher_or_default, whole
from cellbank.config import Config
from cellbank.model.errors import (
    AttributeNotFound,
    BadInput,
    BadQuestion,
    NetworkError,
    NotFound,
    NotInstalled,
    PackageNotFound,
)
from cellbank.model.log import Table
from cellbank.model.progress import Watcher
from cellbank.model.reference import Package, Reference
from cellbank.packages import resolve
from cellbank.packages.opening import open_store
from cellbank.questions import asking
from cellbank.questions.answer import Answer
from cellbank.questions.changes import RecordChanges
from cellbank.questions.kinds import Kind
from cellbank.questions.process import asker
from cellbank.questions.question import Limits, Question
from cellbank.questions.sources import Source
from cellbank.storage import disk
from cellbank.storage.remote import Remote
from cellbank.storage.store import Store
from cellbank.storage.tables import tables_at

if TYPE_CHECKING:
    import pandas  # type: ignore[import-untyped]
    import polars

    from cellbank.packages.nodes import GroupNode, PackageNode


def query(  # noqa: PLR0913  SQL, the short form, limits
    ref: "str | PackageNode",
    sql: str | None = None,
    *,
    where: str | None = None,
    columns: str | Sequence[str] | None = None,
    group_by: str | Sequence[str] | None = None,
    kind: str | None = None,
    describe: bool = False,
    timeout: float = 30,
    memory: str | float = "1GB",
    from_: str | None = None,
    watch: Watcher | None = None,
) -> Answer:
    """Return the answer to a question about the metadata of a package, installed or not.

    Parameters
    ----------
    ref
        The package; perhaps a tag, version or revision of it; or its node. With `*` or `?` it is
        all packages that fit; rows then say which `package` they are of.
    sql
        One SELECT (or WITH, DESCRIBE, SUMMARIZE) over `lines`, `plates`, `wells`, `fovs`,
        `cell_segs`, `nuclei_segs`, `structure_segs`, the same with `_full` behind (records beside
        what they belong to), and `entries`.
    where
        In place of SQL: a condition. A bare name is looked for in the kind asked about, then in
        its field of view, then in its well, plate, lines and their edits; `wells.clone` says whose
        it is.
    columns
        With or without `where`: what to show; default: all columns of the kind.
    group_by
        What to group by; without `columns` the records of each group are counted.
    kind
        What the condition is about, such as `wells`; default: `fovs`, or `entries` where there are
        none.
    describe
        Tell what can be asked: a row a column, with its type, unit, coverage and examples.
    timeout
        So many seconds it may take, at most.
    memory
        So much memory it may use, at most: bytes, or text such as `512MB`, `2GB`.
    from_
        The remote that is asked, whatever is installed: a URL, a folder or a name.
    watch
        Is told of tables that are fetched.

    Returns
    -------
    Answer
        The rows; `.df()`, `.pl()`, `.arrow()` and `.rows()` give them.

    Raises
    ------
    BadQuestion
        It cannot be asked, may not be asked, or went beyond a limit. The message shows the place.
    NotInstalled, PackageNotFound, RevisionNotFound
        There is no such package; the advice has near names.

    Examples
    --------
    >>> import cellbank
    >>> cellbank.query("demo/nuclei", "SELECT type, count(*) AS entries FROM entries GROUP BY 1")
    type  entries
    md          1
    tif         1
    (2 rows)
    """
    return asked(
        ref,
        sql,
        where=where,
        columns=columns,
        group_by=group_by,
        kind=kind,
        describe=describe,
        timeout=timeout,
        memory=memory,
        from_=from_,
        watch=watch,
    ).answer()


class Asked(msgspec.Struct, frozen=True):
    """A question, and all that it takes to answer it."""

    sources: list[Source]
    several: bool
    question: Question
    limits: Limits
    watch: Watcher

    def answer(self) -> Answer:
        """Return the answer."""
        several = self.several
        if self.question.describe:
            told = asking.value(
                self.sources, self.question, self.limits, self.watch, several=several
            )
            return Answer(*told)
        return asking.ask(self.sources, self.question, self.limits, self.watch, several=several)

    def batches(self) -> tuple[list[str], list[Kind], Iterator[list[tuple[Any, ...]]]]:
        """Return names and kinds of the columns, and rows as they come, many at once."""
        if self.question.describe:
            told = self.answer()
            return told.columns, told.kinds, iter([told.rows()])
        return asking.batches(
            self.sources, self.question, self.limits, self.watch, several=self.several
        )


def asked(  # noqa: PLR0913  as `query`
    ref: "str | PackageNode",
    sql: str | None = None,
    *,
    where: str | None = None,
    columns: str | Sequence[str] | None = None,
    group_by: str | Sequence[str] | None = None,
    kind: str | None = None,
    describe: bool = False,
    timeout: float = 30,
    memory: str | float = "1GB",
    from_: str | None = None,
    watch: Watcher | None = None,
) -> Asked:
    """Return a question to be answered; parameters and errors are those of `query`."""
    if sql is not None and (where is not None or columns or group_by or kind or describe):
        raise BadInput("SQL and the short form are asked together", "Ask one of them.")
    for name, said in (("sql", sql), ("where", where), ("kind", kind)):
        if not isinstance(said, str | None):
            raise BadInput(f"{name} is no text: {said!r:.60}", f"Write it as a text: {name}='…'.")
    if sql is not None and not sql.strip():
        raise BadInput("nothing is asked", "Write a SELECT.")
    if describe and (where or columns or group_by):
        raise BadInput(
            "a description is of all that can be asked, not of some records or columns",
            "Leave it out, or where, columns and group_by.",
        )
    question = Question(
        sql=sql or "",
        where=where or "",
        columns=_listed(columns),
        group_by=_listed(group_by),
        kind=kind or "",
        describe=describe,
    )
    limits = Limits.of(timeout, memory)
    # It gets ready while we look up what is asked about.
    asker.start()
    sources, several = sources_of(*_named(ref, from_))
    return Asked(sources, several, question, limits, watcher_or_default(watch))


def _named(ref: "str | PackageNode", from_: str | None) -> tuple[str, str | None]:
    """Return the reference of a package, and at which remote it is, if that is to be asked."""
    if isinstance(ref, str):
        return ref, from_
    from cellbank.packages.nodes import PackageNode

    if not isinstance(ref, PackageNode):
        raise BadInput(f"{ref!r:.80} is no package", "Name it: OWNER/NAME. Or give its node.")
    view = ref._view
    return f"{view.package}@{view.revision}", from_ or (view.address if view.is_far else None)


def write_parquet(asked: Asked, file: str) -> int:
    """Write an answer into a Parquet file, whole or not at all; return how many rows it has."""
    if asked.question.describe:
        raise BadInput("what can be asked is no Parquet file", "Ask for csv or json.")
    question = msgspec.structs.replace(asked.question, file=True)
    with disk.new_path(str(Path(file).absolute())) as path:
        rows = asking.value(
            asked.sources,
            question,
            asked.limits,
            asked.watch,
            several=asked.several,
            scratch=path,
        )
    return int(rows)


def diff_records(
    old: str,
    new: str,
    *,
    kind: str | None = None,
    timeout: float = 30,
    memory: str | float = "1GB",
    from_: str | None = None,
) -> RecordChanges:
    """Return what changed in the metadata from one revision to another, record by record.

    Parameters
    ----------
    old
        A revision.
    new
        Another, mostly of the same package.
    kind
        Look at records of this kind only.
    timeout
        So many seconds it may take, at most.
    memory
        So much memory it may use, at most: bytes, or text such as `512MB`, `2GB`.
    from_
        The remote that is asked, whatever is installed.

    Returns
    -------
    RecordChanges
        Ids that were added and removed; of the others, each attribute with its old and new value.
    """
    limits = Limits.of(timeout, memory)
    asker.start()
    sources = [_source_of(whole(one), from_) for one in (old, new)]
    for one in sources:
        if not one.tables:
            raise NotFound(
                f"{one.label} has no metadata tables",
                f"Compare its entries: cellbank diff {old} {new}",
            )
    question = Question(changes=True, kind=kind or "")
    changes = asking.value(sources, question, limits, several=True)
    assert isinstance(changes, RecordChanges)  # noqa: S101  it is what was asked for
    return changes


def table(
    ref: "str | GroupNode",
    kind: str | None = None,
    *,
    as_: str = "pandas",
    columns: Sequence[str] | None = None,
    from_: str | None = None,
) -> "pandas.DataFrame | polars.DataFrame":
    """Return the records of a kind as a data frame, of a package that is installed or is not.

    Parameters
    ----------
    ref
        The package, or a group of records in it, such as `aics/aics_23/fovs`; or its node.
    kind
        The group or the kind, such as `fovs` or `fov`; not needed where `ref` names it.
    as_
        `pandas` or `polars`.
    columns
        Names of columns; default: all.
    from_
        The remote that is asked, whatever is installed.

    Returns
    -------
    pandas.DataFrame or polars.DataFrame
        As `cellbank.cells.table` gives it: ids are the index (pandas) or the column `id` (polars),
        integers stay integers, lists and structs stay what they are.

    Raises
    ------
    BadInput
        There are no records of this kind, or pandas or polars is not installed.
    AttributeNotFound
        There is no such column; names that are near are told.
    """
    from cellbank.api.having import load
    from cellbank.cells.frames import table as of_node

    if not isinstance(ref, str):
        return of_node(ref, kind, as_=as_, columns=columns)  # type: ignore[call-overload]
    reference = Reference.parse(ref)
    if from_ is None and _is_here(reference):
        node: Any = load(ref)
        return of_node(node, kind, as_=as_, columns=columns)  # type: ignore[call-overload]
    return _far_table(reference, kind, as_, columns, from_)


def _is_here(reference: Reference) -> bool:
    """Whether a reference is to be looked up in the store, also in vain."""
    config = _config.read()
    store = open_store(config)
    return _in_store(config, store, reference) is not None


def _far_table(
    reference: Reference,
    kind: str | None,
    as_: str,
    columns: Sequence[str] | None,
    from_: str | None,
) -> Any:
    from cellbank.cells.kinds import KINDS
    from cellbank.cells.metadata import quoted

    if as_ not in ("pandas", "polars"):
        raise BadInput(f"no table of {as_!r:.60} can be made", "Say as_='pandas' or as_='polars'.")
    group = kind or reference.path
    group = KINDS[group].group if group in KINDS else group
    package = (
        str(reference).removesuffix(f"/{reference.path}") if reference.path else str(reference)
    )
    names = None
    if columns is not None:
        # As in the store: of this kind, and not of what its records belong to.
        of = f"{group}." if group else ""
        names = ["id", *(f"{of}{quoted(name)}" for name in columns if name != "id")]
    try:
        answer = query(package, columns=names, kind=group or None, from_=from_)
    except BadQuestion as error:
        for name in columns or ():
            if error.message.startswith(f"{group} have no {name}\n"):
                close = [one.rpartition(".")[2] for one in error.near]
                raise AttributeNotFound(f"the table of {group}", name, close) from None
        raise
    if as_ == "polars":
        frame = answer.pl()
        return frame.drop("url", strict=False) if columns is None else frame
    frame = answer.df().set_index("id")
    return frame.drop(columns="url", errors="ignore") if columns is None else frame


def _listed(given: str | Sequence[str] | None) -> tuple[str, ...]:
    if given is None:
        return ()
    from cellbank.questions.splitting import split

    return tuple(split(given)) if isinstance(given, str) else tuple(given)


# --- what is asked about


def sources_of(ref: str, from_: str | None = None) -> tuple[list[Source], bool]:
    """Return what a reference, or a pattern of references, asks about, and whether it is a pattern.

    What is installed is asked where it is; everything else at the remote.
    """
    if "*" not in ref and "?" not in ref:
        return [_source_of(whole(ref), from_)], False
    named = [Reference.parse(str(one)) for one in ls(ref, from_)]
    if not named and from_ is None:
        config = _config.read()
        address = address_of(config, open_store(config), None, None)
        if address:
            from_ = address
            named = [Reference.parse(str(one)) for one in ls(ref, from_)]
    if not named:
        raise PackageNotFound(ref, from_ or "the store")
    return [_source_of(one, from_) for one in named], True


def _source_of(reference: Reference, from_: str | None) -> Source:
    config = _config.read()
    store = open_store(config)
    found = None if from_ else _in_store(config, store, reference)
    if found is not None:
        return found
    address = need_address(config, store, reference.package, from_)
    with remote_at(config, address) as remote:
        return _at_remote(config, remote, address, reference)


def _in_store(config: Config, store: Store, reference: Reference) -> Source | None:
    """Return what a reference names in the store, or None where a remote can be asked for it."""
    package = reference.package
    try:
        revision = resolve.in_store(store, reference)
    except NotFound as error:
        remote = address_of(config, store, package, None)
        if remote and (reference.qualifier or isinstance(error, NotInstalled)):
            return None
        raise
    installed = store.installed(package)
    far = installed is not None and installed.remote != store.id
    address = address_of(config, store, package, None) if far else ""
    tables = store.tables(package, revision)
    if not tables and address and store.reader(package, revision).header.kind == "cell_lines":
        tables = _tables_there(config, address, package, revision)
    return Source(
        package=str(package),
        revision=revision,
        label=_label(reference, revision),
        home=config.home,
        paths=config.store_paths,
        address=address,
        here=True,
        tables=tuple(sorted(tables.items())),
    )


def _tables_there(
    config: Config, address: str, package: Package, revision: str
) -> dict[str, Table]:
    """Return the tables of a revision that was installed before: only a log knows them still."""
    try:
        with remote_at(config, address) as remote:
            return tables_at(remote, package, revision, remote.newest(package))
    except (NetworkError, NotFound):
        return {}


def _at_remote(config: Config, remote: Remote, address: str, reference: Reference) -> Source:
    package = reference.package
    newest = remote.newest(package)
    revision = resolve.at_remote(remote, reference, newest)
    return Source(
        package=str(package),
        revision=revision,
        label=_label(reference, revision),
        home=config.home,
        paths=config.store_paths,
        address=address,
        here=False,
        tables=tuple(sorted(tables_at(remote, package, revision, newest).items())),
    )


def _label(reference: Reference, revision: str) -> str:
    package: Package = reference.package
    return f"{package}@{revision[:12]}" if reference.qualifier else str(package)
