"""A draft: what a package is to become, from one of its revisions, built when it is complete."""

import os
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from concurrent.futures import Executor
from typing import Any, Final

import msgspec

from cellbank.model.errors import BadInput, Conflict, EntryNotFound, ProblemsFound
from cellbank.model.manifest import Entry
from cellbank.model.progress import Watcher, ignore
from cellbank.model.want import Want
from cellbank.packages.build import Built, Prepared, build
from cellbank.packages.carried import Carried
from cellbank.packages.edits import Edits, broken, described, fields_in, meta_of, moved, normal
from cellbank.packages.frame_bytes import frame_bytes, is_frame
from cellbank.packages.nodes import DataNode, View
from cellbank.packages.recording import Stamp
from cellbank.packages.rows import Table, table_of
from cellbank.packages.scan import Look, Source, StatCache

ENTRIES: Final = "entries"
"""The table of a package that is no package of records: what its entries say of themselves."""


class Draft:
    r"""A revision of a package that is being changed, in memory.

    Invariant: nothing changes in the store before `build`, and a call that raises changes nothing
    in the draft either. What was not set is not read.

    Parameters
    ----------
    view
        The revision that it begins with.
    stamp
        Says for the log who builds it, and when; it is called with the message.
    watch
        Is told of progress.

    Examples
    --------
    >>> import cellbank
    >>> draft = cellbank.edit("demo/nuclei")
    >>> draft.set("README.md", b"# Nuclei, counted\n")
    >>> draft.rename("images", "raw")
    >>> draft.update("entries", [{"path": "raw/nuclei.ome.tif", "count": 12}])
    1
    >>> draft.build("counted").changed
    True
    >>> cellbank.load("demo/nuclei/raw/nuclei.ome.tif").meta
    {'count': 12}
    """

    def __init__(self, view: View, stamp: Callable[[str], Stamp], watch: Watcher = ignore) -> None:
        self._view = view
        self._stamp = stamp
        self._watch = watch
        installed = view.store.installed(view.package)
        self._tip = installed.revision if installed else ""
        self._want = installed.want if installed else Want()
        self._edits = Edits(view, absent=not self._want.everything)

    # --- changing entries

    def set(
        self,
        path: str,
        what: Any,
        *,
        meta: Mapping[str, Any] | None = None,
        filename: str | None = None,
    ) -> None:
        """Put an entry in its place, new or in place of one that is there.

        Parameters
        ----------
        path
            Where in the package.
        what
            Bytes; the path of a file, which is read when the draft is built; a data frame of pandas
            or polars (the path ends in `.csv`, `.tsv` or `.parquet`); or an entry of a package, a
            `DataNode`, which is taken by its digest and not read.
        meta
            Its metadata; default: what the entry has in whose place it comes, or that is taken.
        filename
            Its file name; default: as for `meta`, else the last part of the path.

        Raises
        ------
        BadInput
            Not one of these, there is no such file, or the metadata cannot be kept.
        InvalidPaths
            The path breaks the rules, or is a group.
        """
        path = self._new_path(path)
        self._check_open(path, "set")
        before = self._edits.find(path)
        made = self._made(path, what)
        said: Any = made if isinstance(what, DataNode) else before
        if said is not None:
            old = said.entry if isinstance(said, Carried) else said
            meta = old.meta if meta is None else meta
            filename = old.filename if filename is None else filename
        self._edits.enter(described(made, meta, filename))

    def set_meta(self, path: str, meta: Mapping[str, Any]) -> None:
        """Give an entry other metadata, in place of what it has; it is not read.

        Raises `EntryNotFound`: There is no such entry. Raises `BadInput`: It cannot be kept.
        """
        found = self._edits.need(path)
        self._edits.enter(described(found, meta, None))

    def rename(self, old: str, new: str) -> None:
        """Move an entry, or a group with all that is in it, to another path.

        File names that entries have of their own stay. Raises `EntryNotFound`: There is none.
        Raises `InvalidPaths`: `new` breaks the rules, or is taken.
        """
        old, new = normal(old), self._new_path(new, group=True)
        moving = self._edits.below(old)
        for path in moving:
            self._check_open(path, "rename")
            self._check_open(f"{new}{path[len(old) :]}", "rename")
        if self._edits.find(new) is not None or self._edits.has_group(new):
            raise broken([f"{new!r}: it is taken"])
        taken = [(f"{new}{path[len(old) :]}", one) for path, one in moving.items()]
        for path in moving:
            self._edits.drop(path)
        for path, one in taken:
            self._edits.enter(moved(one, path))

    def remove(self, path: str) -> None:
        """Take out an entry, or a group with all that is in it.

        Raises `EntryNotFound`: There is none; what is near is told.
        """
        removed = self._edits.below(normal(path))
        self._check_removal(normal(path), removed)
        for one in removed:
            self._edits.drop(one)

    # --- changing what is known of entries

    def update(self, table: str, rows: Any) -> int:
        """Change metadata by a table, whose rows name what they are about.

        Parameters
        ----------
        table
            `entries`: rows have the `path` of an entry, every other column a field of its `meta`.
            In a package of cell lines also a group of records, such as `fovs`: rows have an `id`,
            other columns are attributes.
        rows
            A data frame of pandas or polars, or a list of dictionaries. Only the rows and columns
            that are given change; an empty cell says that nothing is known.

        Returns
        -------
        int
            How many entries, or records, are other than before.

        Raises
        ------
        ProblemsFound
            Something in the table is wrong: all of it. Nothing has changed.
        BadInput
            It is no table, or there is none of this name.
        """
        if table != ENTRIES:
            advice = f"It has the table {ENTRIES}, by path."
            raise BadInput(f"{self.label} has no table {table!r:.60}", advice)
        return self._update_entries(table_of(rows))

    def _update_entries(self, given: Table) -> int:
        problems: list[dict[str, Any]] = []
        changed: dict[str, Source | Carried] = {}
        if "path" not in given.names:
            raise _found(
                given.place, [_problem(given.place, "has no column path", "Add it.", None)]
            )
        for row, number in zip(given.rows, given.numbers, strict=True):
            try:
                path, one = self._with_fields(row, changed)
            except (EntryNotFound, BadInput) as error:
                problems.append(_problem(given.place, error.message, error.advice, number))
                continue
            if one is not None:
                changed[path] = one
        if problems:
            raise _found(given.place, problems)
        for one in changed.values():
            self._edits.enter(one)
        return len(changed)

    def _with_fields(
        self, row: Mapping[str, Any], changed: Mapping[str, Source | Carried]
    ) -> tuple[str, Source | Carried | None]:
        """Return an entry with the fields of a row in its `meta`, None if it has them already."""
        path = normal(str(row.get("path") or ""))
        if path in changed:
            raise BadInput(f"{path} has a row already", "Say it once.")
        found = self._edits.need(path)
        self._check_open(path, "meta")
        before = meta_of(found)
        row = fields_in(row, found)
        given = {name: _told(value) for name, value in row.items() if name != "path"}
        meta = {name: value for name, value in {**before, **given}.items() if value is not None}
        if meta == before:
            return path, None
        return path, described(found, meta, None)

    # --- building

    def build(
        self, message: str = "", *, watch: Watcher | None = None, executor: Executor | None = None
    ) -> Built:
        """Make a revision of the draft in the store: its package's latest.

        What is wanted of the package here stays so: one that is installed with its metadata only,
        or in part, can be edited, too.

        Parameters
        ----------
        message
            What changed, for the log.
        watch
            Is told of progress.
        executor
            Reads large files; default: a few threads.

        Returns
        -------
        Built
            The revision; `read_files` counts what was read.

        Raises
        ------
        InvalidPaths
            Two paths would be one on some file system: all of them.
        Conflict
            The package was built or installed anew since the draft was begun.
        NotFetched
            An entry of another package was set whose bytes are not in the store.
        """
        with self._view.store.transaction():
            self._check_tip()
            built = self._build(self._stamp(message), watch or self._watch, executor)
        self._tip = built.revision
        return built

    def _build(self, stamp: Stamp, watch: Watcher, executor: Executor | None) -> Built:
        """Build it: entries that were not touched are carried, whoever made them."""
        edits = self._complete()
        edits.check()
        return build(
            self._view.store,
            self._view.package,
            "",
            edits.sources(),
            stamp=stamp,
            prepared=self._prepared(edits),
            watch=watch,
            executor=executor,
        )

    def _complete(self) -> Edits:
        """Return all that is put in place, with what follows from it."""
        return self._edits

    def _prepared(self, edits: Edits) -> Prepared:
        """Return what is built beside what was set."""
        want, lists = self._wanted(edits)
        return Prepared(
            self._view.whole.header.kind,
            shelf=_Bare(StatCache(self._view.store, "")),
            carried=map(self._due, edits.carried()),
            want=want,
            lists=lists,
            check=self._check_tip,
        )

    def _wanted(self, edits: Edits) -> tuple[Want, dict[str, Callable[[Entry], bool]]]:
        """Return what will be wanted here, and what is on its lists: what was, and what was set."""
        lists: dict[str, Callable[[Entry], bool]] = {}
        for name in ("list", "shown"):
            revision = getattr(self._want, name)
            if revision:
                reader = self._view.store.reader(self._view.package, revision)
                before = {(entry.path, entry.digest) for entry in reader}
                lists[name] = _listed(before, edits.put)
        return self._want, lists

    def _due(self, one: Carried) -> Carried:
        """Return an entry as it is to be carried: where all documents are wanted, none is absent.

        Another revision may have some that are not here, and any entry may become one by its name.
        """
        if self._want.metadata and one.entry.is_document:
            return msgspec.structs.replace(one, absent=False)
        return one

    def _check_tip(self) -> None:
        installed = self._view.store.installed(self._view.package)
        advice = "Begin again: cellbank.edit(…). Nothing was built."
        if (installed.revision if installed else "") != self._tip:
            what = f"{self._view.package} is another revision than when this draft was begun"
            raise Conflict(what, advice)
        if _asked(installed.want if installed else Want()) != _asked(self._want):
            what = f"more or less of {self._view.package} is wanted than when this draft was begun"
            raise Conflict(what, advice)

    # --- what it is

    @property
    def label(self) -> str:
        """The package and, where it does not begin with what is installed, the revision."""
        return self._view.label

    def __repr__(self) -> str:
        count = len(self._edits)
        return f"<Draft of {self.label}: {count:,} {'entry' if count == 1 else 'entries'} changed>"

    def _new_path(self, path: str, *, group: bool = False) -> str:
        path = normal(path)
        why = self._edits.place_problem(path, group=group)
        if why:
            raise broken([f"{path!r}: {why}"])
        return path

    def _made(self, path: str, what: Any) -> Source | Carried:
        if isinstance(what, bytes | bytearray | memoryview):
            return Source.of_bytes(path, bytes(what))
        if isinstance(what, DataNode):
            absent = what._view.package == self._view.package and not self._want.everything
            return Carried(what.entry, what._view.package, absent).at(path)
        if is_frame(what):
            return Source.of_bytes(path, frame_bytes(what, path))
        if isinstance(what, str | os.PathLike):
            return _file(path, os.path.abspath(os.fspath(what)))
        advice = "Give bytes, the path of a file, a data frame, or an entry of a package."
        raise BadInput(f"{what!r:.60} cannot become the entry {path}", advice)

    # --- what a package of a certain kind does not let happen

    def _check_open(self, path: str, deed: str) -> None:
        """Raise `BadInput` if an entry may not be changed so; `deed` is the method's name."""

    def _check_removal(self, path: str, removed: Iterable[str]) -> None:
        """Raise `BadInput` if these may not be removed."""
        for one in removed:
            self._check_open(one, "remove")


def _asked(want: Want) -> Want:
    """Return what was asked for, without the lists, which follow from it."""
    return msgspec.structs.replace(want, list="", shown="")


def _listed(
    before: AbstractSet[tuple[str, str]], put: Mapping[str, Source | Carried]
) -> Callable[[Entry], bool]:
    """Return whether an entry is on a list: it was, it was moved from there, or it was set."""
    digests = {digest for _, digest in before}

    def is_on(entry: Entry) -> bool:
        item = put.get(entry.path)
        if item is None:
            # Another revision may have other bytes there, which nobody wanted here.
            return (entry.path, entry.digest) in before
        return isinstance(item, Source) or not item.absent or entry.digest in digests

    return is_on


class _Bare:
    """A shelf without anything on it; looks of files are not kept."""

    def __init__(self, cache: StatCache) -> None:
        self.cache = cache

    def small(self, digest: str) -> bytes | None:
        """Return nothing."""

    def pieces(self, digest: str) -> bytes | None:
        """Return nothing."""

    def holds(self, digest: str) -> bool:
        """Return no."""
        return False

    def hold(self, digest: str) -> None:
        """Do nothing."""


def _file(path: str, file: str) -> Source:
    try:
        found = os.stat(file)
    except OSError as error:
        raise BadInput(f"{file}: {error.strerror}", "Check its name.") from None
    if not os.path.isfile(file):
        raise BadInput(f"{file} is no file", "Set file by file; a folder is built: cellbank.build")
    return Source(path, file, Look.of(found))


def _told(value: Any) -> Any:
    """Return a value of a table as `meta` keeps it: days as text."""
    return value.isoformat() if hasattr(value, "isoformat") else value


def _problem(place: str, what: str, advice: str, row: int | None) -> dict[str, Any]:
    told = {"severity": "error", "file": place, "what": what, "advice": advice}
    return told | ({} if row is None else {"row": row})


def _found(place: str, problems: list[dict[str, Any]]) -> ProblemsFound:
    found = ProblemsFound(place, problems)
    found.advice = "Mend them. Nothing was changed."
    return found
