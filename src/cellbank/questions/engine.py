"""A DuckDB that can do nothing but answer: the tables of its sources, and what computes on them."""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from typing import Any, Final

from cellbank.cells.duck import duckdb_library
from cellbank.cells.kinds import GROUPS
from cellbank.cells.metadata import text
from cellbank.model.digest import SMALL_BELOW
from cellbank.model.errors import BadQuestion, CellbankError, Damaged
from cellbank.model.names import near
from cellbank.questions import views
from cellbank.questions.far import SCHEME, FarTable, file_system
from cellbank.questions.kinds import Kind, kind_of
from cellbank.questions.question import bad, too_much
from cellbank.questions.reading import read_question
from cellbank.questions.sources import Opened

BATCH: Final = 10_000
"""So many rows are handed on at once."""
PAGES_BYTES: Final = 8 << 20
"""So much of a list of entries is read at once."""
_COPY: Final = "COPY (\n"
COMPARE: Final = "A condition compares: gene = 'TJP1', passage > 30, clone IS NOT NULL."
"""What to do where a condition compares nothing."""
_DAY: Final = "A day is written '2017-10-16', in quotes."
_ADVICE: Final = {
    "GROUP BY clause": "Group by it, too, or ask for one of each group: min(…), any_value(…).",
    " to BOOL": COMPARE,
    "-> BOOLEAN)": COMPARE,
    "type DATE": _DAY,
    "date field": _DAY,
}
"""Words of DuckDB, and what to do."""
Place = Callable[[int, int], tuple[str, int, int] | None]
_LINE: Final = re.compile(r"^LINE (\d+): ", re.MULTILINE)
_CANDIDATES: Final = re.compile(r"^Candidate bindings: (.*)$", re.MULTILINE)


class Engine:
    """A database over some sources.

    Invariant: no statement of a question has been run that `read_question` did not let pass, and
    the database reaches no file but the tables of its sources.

    Parameters
    ----------
    sources
        What is asked about, opened.
    memory
        How much it may use, in bytes.
    scratch
        The one file that an answer may be written to.
    several
        Whether rows say which package they are of.
    """

    def __init__(
        self, sources: Sequence[Opened], memory: int, scratch: str, *, several: bool
    ) -> None:
        duckdb = duckdb_library()

        self.sources = list(sources)
        self.memory = memory
        self.scratch = scratch
        self.several = several
        self.names = views.names_of([one.source for one in sources])
        self._made: set[str] = set()
        self._far: dict[str, FarTable] = {}
        self._columns: dict[str, dict[str, Kind]] = {}
        config: dict[str, Any] = {
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "temp_directory": "",
            "memory_limit": f"{memory}B",
            "python_enable_replacements": False,
        }
        self._database = duckdb.connect(":memory:", config=config)
        self._registered = False
        self._lock()
        for one in self.sources:
            one.database = self._database

    def _lock(self) -> None:
        """Leave nothing within reach but the tables; nothing gives it back."""
        files = [path for one in self.sources for path in one.candidates()]
        addresses = [self._address(n, g) for n, one in enumerate(self.sources) for g in one.tables]
        paths = ", ".join(map(text, [*files, *addresses, self.scratch]))
        self._database.execute(f"SET allowed_paths = [{paths}]")
        self._database.execute("SET enable_progress_bar = false")
        self._database.execute("SET enable_external_access = false")
        self._database.execute("SET lock_configuration = true")

    def close(self) -> None:
        """End the database."""
        if self._registered:
            self._database.unregister_filesystem(SCHEME)
        self._database.close()
        for one in self.sources:
            one.close()

    # --- what there is

    @property
    def groups(self) -> list[str]:
        """The kinds of records that there are."""
        return [name for name in self.names if name in GROUPS]

    def put_back(self) -> None:
        """Write files of small tables anew that were removed since: they are a cache."""
        for one in self.sources:
            for group, table in one.tables.items():
                if group in self._made and table.size < SMALL_BELOW:
                    one.file_of(group)

    def need(self, names: set[str]) -> None:
        """Make these tables ready to be asked."""
        for name in names:
            if name == views.ENTRIES:
                self._need_entries()
            for group in views.needed_for(name, self.groups):
                self._need_table(group)
            if name.endswith(views.FULL) and name not in self._made:
                group = name.removesuffix(views.FULL)
                known = {g: self.fields(g) for g in views.needed_for(name, self.groups)}
                labels = ", ".join(one.source.label for one in self.sources)
                with _readable(f"the table {group} of {labels:.80}, beside what it belongs to,"):
                    self._database.execute(views.full_view(group, known, several=self.several))
                self._made.add(name)

    def columns(self, name: str) -> dict[str, Kind]:
        """Return the columns of a table and what they hold."""
        self.need({name})
        if name not in self._columns:
            self._columns[name] = self._columns_in(name)
        return self._columns[name]

    def columns_of(self, number: int, group: str) -> list[str]:
        """Return the columns of the table that one source has; it must be ready."""
        return list(self._columns_in(views.of_source(number, group)))

    def _columns_in(self, source: str) -> dict[str, Kind]:
        """Return the columns of what stands behind FROM, which is ours."""
        result = self._database.execute(f"SELECT * FROM {source} LIMIT 0")  # noqa: S608  ours
        return {name: kind_of(kind) for name, kind, *_ in result.description or []}

    def is_far(self, name: str) -> bool:
        """Whether some of a table, which must be ready, is read from a remote."""
        return any(self._address(n, name) in self._far for n in range(len(self.sources)))

    def kind(self, sql: str, source: str) -> Kind:
        """Return what an expression of ours holds; `source` stands behind its FROM."""
        return self._columns_in(f"(SELECT {sql} AS it FROM {source})")["it"]  # noqa: S608  ours

    def fields(self, name: str) -> dict[str, list[str]]:
        """Return the columns of a table, and the fields of the structs that each is a list of."""
        return {column: kind.fields for column, kind in self.columns(name).items()}

    def _need_table(self, group: str) -> None:
        if group in self._made:
            return
        labels = {}
        for number, one in enumerate(self.sources):
            if group in one.tables:
                labels[number] = one.source.label
                self._make_table(number, one, group)
        self._database.execute(views.whole_view(group, labels, several=self.several))
        self._made.add(group)

    def _make_table(self, number: int, one: Opened, group: str) -> None:
        file = one.file_of(group)
        if isinstance(file, FarTable):
            address = self._address(number, group)
            self._far[address] = file
            self._register()
        else:
            address = file
        with _readable(f"the table {group} of {one.source.label}"):
            names = [*self._columns_in(f"read_parquet({text(address)})")]
            before = one.source.url_before
            self._database.execute(views.table_view(number, group, address, names, before))

    @staticmethod
    def _address(number: int, group: str) -> str:
        return f"{SCHEME}://{number}/{group}.parquet"

    def _register(self) -> None:
        if not self._registered:
            self._database.register_filesystem(file_system(self._far))
            self._registered = True

    def _need_entries(self) -> None:
        if views.ENTRIES in self._made:
            return
        for number, one in enumerate(self.sources):
            self._read_entries(number, one)
            self._database.execute(views.entries_view(number, one.source.url_before))
        labels = {number: one.source.label for number, one in enumerate(self.sources)}
        self._database.execute(views.whole_view(views.ENTRIES, labels, several=self.several))
        self._made.add(views.ENTRIES)

    def _read_entries(self, number: int, one: Opened) -> None:
        """Read the entries of a source: pages are lines of JSON, which DuckDB takes as they are."""
        table = views.of_source(number, "entries as read")
        self._database.execute(
            f"CREATE TABLE {table} "
            "(path VARCHAR, digest VARCHAR, size BIGINT, type VARCHAR, filename VARCHAR, meta JSON)"
        )
        shape = '\'{"path":"VARCHAR","digest":"VARCHAR","size":"BIGINT","filename":"VARCHAR",'
        shape += '"meta":"JSON"}\''
        # As `facts.type_of` and `Entry.name` have it: the name is the last part of the path.
        add = (
            f"INSERT INTO {table} SELECT e.path, e.digest, e.size, "  # noqa: S608  ours
            "CASE WHEN regexp_matches(name, '.\\.[^.]*$') "
            "THEN lower(regexp_extract(name, '\\.([^.]*)$', 1)) ELSE 'none' END, "
            "name, coalesce(e.meta, '{}') FROM ("
            "SELECT e, coalesce(e.filename, regexp_extract(e.path, '[^/]*$')) AS name FROM ("
            f"SELECT json_transform(line, {shape}) AS e FROM "
            "(SELECT unnest(string_split(?, chr(10))) AS line) WHERE line <> ''))"
        )
        for lines in _pages(one):
            self._database.execute(add, [lines])

    # --- asking

    def resolve(self, sql: str) -> str:
        """Return a question that may be asked, its tables ready; raises `BadQuestion`."""
        self.need(read_question(self._database, sql, self.names))
        return sql

    @cached_property
    def aggregates(self) -> frozenset[str]:
        """The functions that are of many rows together."""
        asked = "SELECT DISTINCT function_name FROM duckdb_functions() WHERE function_type = ?"
        found = self._database.execute(asked, ["aggregate"]).fetchall()
        return frozenset(row[0] for row in found)

    def cause(self) -> CellbankError | None:
        """Return why a table could not be read, if one could not since this was last asked."""
        found = None
        for table in self._far.values():
            found, table.failed = table.failed or found, None
        return found

    @property
    def parser(self) -> Any:
        """The database, for who parses with it."""
        return self._database

    def rows(self, sql: str, question: str, place: Place | None = None) -> Iterator[Any]:
        """Yield names and kinds of the columns, then rows, batch after batch.

        `sql` is a question that `resolve` let pass, or ours; `question` is what messages show, and
        `place` tells which text, and where in it, became a place in the SQL.
        """
        duckdb = duckdb_library()

        try:
            result = self._database.execute(sql)
            shown = result.description or []
            yield [one[0] for one in shown], [kind_of(one[1]) for one in shown]
            while rows := result.fetchmany(BATCH):
                yield rows
        except (MemoryError, duckdb.Error) as error:
            raise self.told(error, sql, question, place) from None

    def write(self, sql: str, question: str, place: Place | None = None) -> int:
        """Write an answer to the scratch file as Parquet; return how many rows it has."""
        duckdb = duckdb_library()

        data = sql.encode()
        # What is behind a semicolon is more of them, and comments: it is one statement.
        ends = [at for at, _ in duckdb.tokenize(sql) if data[at : at + 1] == b";"]
        ask = data[: ends[0]].decode() if ends else sql
        copy = f"{_COPY}{ask}\n) TO {text(self.scratch)} (FORMAT parquet, COMPRESSION zstd)"
        try:
            return int(self._database.execute(copy).fetchall()[0][0])
        except (MemoryError, duckdb.Error) as error:
            raise self.told(error, sql, question, place, before=_COPY) from None

    def told(
        self,
        error: BaseException,
        sql: str,
        question: str,
        place: Place | None = None,
        *,
        before: str = "",
    ) -> BadQuestion:
        """Return what DuckDB says of a question, which stood behind `before`, in our words."""
        duckdb = duckdb_library()

        message = str(error)
        if isinstance(error, (MemoryError, duckdb.OutOfMemoryException)) or "bad_alloc" in message:
            return too_much(question, self.memory)
        if "pytz" in message:
            advice = "Ask for it without: CAST(… AS TIMESTAMP). Or: pip install pytz"
            return bad(question, "a time with a time zone needs pytz", advice=advice)
        head, _, pointed = message.partition("\n\n")
        head = head.partition("\n")[0].partition("Error: ")[2] or head.partition("\n")[0]
        start, stop = _pointed_at(pointed, before + sql)
        if start >= len(before):
            start, stop = start - len(before), stop - len(before)
        if sql != question:
            found = place(start, stop) if place is not None else None
            question, start, stop = found or (question, -1, -1)
        close: Sequence[str] = ()
        missing = re.search(
            r'column "([^"]+)" not found|column "([^"]+)" in FROM|named "([^"]+)"', head
        )
        if missing and isinstance(error, duckdb.BinderException):
            name = next(filter(None, missing.groups()))
            close = near(name, self._known_columns())
            head = f"there is no column {name}" if "not found" in head else head
        advice = next((said for sign, said in _ADVICE.items() if sign in head), "")
        return bad(question, head, (start, stop), close, advice)

    def _known_columns(self) -> list[str]:
        """Return the columns of all tables that are ready."""
        found: dict[str, None] = {}
        for name in self._made:
            with suppress(Exception):
                found |= dict.fromkeys(self.columns(name))
        return sorted(found)


@contextmanager
def _readable(what: str) -> Iterator[None]:
    """Tell of a table of a package that is none: its bytes are right, and somebody pushed them."""
    duckdb = duckdb_library()

    try:
        yield
    except duckdb.OutOfMemoryException:
        raise
    except duckdb.Error as error:
        said = str(error).partition("\n")[0].partition("Error: ")[2] or str(error)
        reason = said.partition(" in file '")[0].partition(" '/")[0]
        advice = "Tell its owner: it has to be built and pushed anew."
        raise Damaged(f"{what} cannot be read: {reason:.200}", advice) from None


def _pointed_at(place: str, sql: str) -> tuple[int, int]:
    """Return the place in a question that DuckDB's message points at, in characters."""
    found = _LINE.search(place)
    lines = place.splitlines()
    mark = next((line for line in lines if line.strip() and set(line.strip()) == {"^"}), "")
    if not found or not mark:
        return -1, -1
    shown = place[found.end() :].partition("\n")[0]
    at = mark.index("^") - len(found[0])
    line_start = sum(len(line) + 1 for line in sql.split("\n")[: int(found[1]) - 1])
    line = sql[line_start:].partition("\n")[0]
    if shown.startswith("..."):
        shown, at = shown[3:], at - 3
    inside = line.find(shown.removesuffix("..."))
    if inside < 0 or at < 0:
        return -1, -1
    start = line_start + inside + at
    return start, start + mark.count("^")


def _pages(one: Opened) -> Iterator[str]:
    """Yield the entries of a source as lines of JSON, some pages at once."""
    reader = one.reader(whole=True)
    waiting: list[bytes] = []
    for page in reader.header.pages:
        waiting.append(reader.read_page(page.digest))
        if sum(map(len, waiting)) > PAGES_BYTES:
            yield b"".join(waiting).decode()
            waiting = []
    if waiting:
        yield b"".join(waiting).decode()
