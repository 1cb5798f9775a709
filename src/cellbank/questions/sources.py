"""The tables of a revision, wherever it is: found in the store, or brought from the remote.

What is needed of a remote is decided table by table. A large table with a list of its pieces is
read by ranges, each piece checked; any other is brought whole into the store, where it stays as
long as nobody collects garbage.
"""

from collections.abc import Mapping
from contextlib import suppress
from functools import cached_property
from typing import Any, Final
from urllib.parse import quote

import msgspec

from cellbank.cells.kinds import GROUPS, KINDS
from cellbank.cells.pieces_table import KIND, pieces_in
from cellbank.config import Config
from cellbank.model.digest import SMALL_BELOW
from cellbank.model.errors import Damaged, NotFound
from cellbank.model.log import Table
from cellbank.model.manifest import Entry, ManifestReader, decode_header
from cellbank.model.progress import Watcher, ignore
from cellbank.model.reference import Package
from cellbank.packages.opening import open_cache, open_remote
from cellbank.questions.far import FarTable, ranges_of
from cellbank.storage.pieces import Far
from cellbank.storage.remote import Remote
from cellbank.storage.store import Store
from cellbank.storage.tables import fetch_tables

RANGES_ABOVE: Final = 2 << 20
"""A larger table is read by ranges, if it can be; a smaller one is here sooner whole."""


class Source(msgspec.Struct, frozen=True):
    """One revision that is asked about.

    Attributes
    ----------
    package
        Its `owner/name`.
    revision
        Its 64 digits.
    label
        What the column `package` says of it.
    home
        The store.
    paths
        The stores borrowed from.
    address
        The remote that has what the store lacks; empty where there is none.
    here
        Whether the revision is in the store.
    tables
        Its metadata tables, as the log names them.
    """

    package: str
    revision: str
    label: str
    home: str
    paths: tuple[str, ...]
    address: str
    here: bool
    tables: tuple[tuple[str, Table], ...]

    @property
    def kinds(self) -> list[str]:
        """The groups of records that it has tables of, in the order of the kinds."""
        named = dict(self.tables)
        return [kind.group for kind in KINDS.values() if kind.group in named]

    @property
    def url_before(self) -> str:
        """What the address of an object begins with: where others can get it, else its file."""
        if self.address.startswith(("http://", "https://")):
            return f"{self.address}/api/v1/packages/{self.package}/objects/"
        if "://" in self.address and not self.address.startswith("file://"):
            return f"{self.address}/objects/"
        folder = self.address.removeprefix("file://") or self.home
        return f"file://{quote(folder)}/objects/"


class Opened:
    """A source, opened where it is read; `database` is the one that reads it."""

    def __init__(self, source: Source, config: Config) -> None:
        self.source = source
        self.package = Package.parse(source.package)
        self.tables: Mapping[str, Table] = dict(source.tables)
        self.watch: Watcher = ignore
        self.database: Any = None
        self._config = config
        self._store = Store.at(source.home, source.paths)
        self._opened: Remote | None = None

    def close(self) -> None:
        """Let go of the remote."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    def candidates(self) -> list[str]:
        """Return the files that its tables may ever be read from."""
        found = []
        for table in self.tables.values():
            if table.size < SMALL_BELOW:
                found.append(self._store.files.path(f"unpacked/{table.digest}"))
            else:
                # Where it will lie when it is brought, and where it may lie already.
                key = f"objects/{table.digest[:2]}/{table.digest}"
                found += [store.files.path(key) for store in (self._store, *self._store.borrowed)]
        return found

    def file_of(self, group: str) -> str | FarTable:
        """Return the table of a group: a file here, checked; or one that is read from afar.

        Raises `DigestMismatch`, `Damaged`, `NetworkError`: It is neither here nor to be had.
        """
        table = self.tables[group]
        path = self._store.file_of(self.package, table)
        if path is not None:
            return path
        if table.size > RANGES_ABOVE and group in self._ranges:
            length, digests = self._ranges[group]
            entry = Entry(path=f"{group} (a table)", digest=table.digest, size=table.size)
            return FarTable(self._far, entry, length, digests)
        return self._brought({group: table})[group]

    def _brought(self, tables: dict[str, Table]) -> dict[str, str]:
        """Bring tables whole into the store; return their files."""
        with self._store.transaction():
            here = fetch_tables(self._store, self._remote(), self.package, tables, self.watch)
        found = {group: self._store.file_of(self.package, one) for group, one in here.items()}
        for group in tables:
            if found.get(group) is None:
                where = (
                    f"the table {group} of {self.package} cannot be had from {self.source.address}"
                )
                raise Damaged(where, "Tell its owner: it has to be pushed there again.")
        return {group: str(path) for group, path in found.items()}

    @cached_property
    def _ranges(self) -> dict[str, tuple[int, list[str]]]:
        """The lengths and digests of the pieces of large tables, where the package has them."""
        if KIND not in self.tables:
            return {}
        path = self._store.file_of(self.package, self.tables[KIND])
        path = path or self._brought({KIND: self.tables[KIND]})[KIND]
        found = pieces_in(self.database, path)
        return ranges_of(
            {group: table for group, table in self.tables.items() if group in GROUPS}, found
        )

    @cached_property
    def _far(self) -> Far:
        cache = open_cache(self._config, self._store)
        return Far(self.package, self.source.address, self._remote, lambda _: None, cache)

    def _remote(self) -> Remote:
        if not self.source.address:
            advice = f"Look for damage: cellbank verify {self.package}"
            raise NotFound(f"a table of {self.package} is not in the store", advice)
        if self._opened is None:
            self._opened = open_remote(self._config, self.source.address)
        return self._opened

    def reader(self, *, whole: bool = False) -> ManifestReader:
        """Return the manifest; of a remote, pages come as they are read, or all at once."""
        source = self.source
        if source.here:
            return self._store.reader(self.package, source.revision)
        header = decode_header(self._small([source.revision])[source.revision])
        if not whole:
            return ManifestReader(header, lambda digest: self._small([digest])[digest])
        pages = self._small([page.digest for page in header.pages])
        return ManifestReader(header, pages.__getitem__)

    def document(self, path: str) -> bytes | None:
        """Return the bytes of a small entry; None where there is none."""
        entry = self.reader().find(path)
        if entry is None or entry.size >= SMALL_BELOW:
            return None
        with suppress(Damaged):
            return self._store.read_small(self.package, entry.digest)
        return self._small([entry.digest])[entry.digest]

    def _small(self, digests: list[str]) -> dict[str, bytes]:
        return self._remote().read_small(self.package, digests)
