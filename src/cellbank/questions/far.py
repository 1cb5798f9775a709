"""Tables that are not here: read by ranges as DuckDB wants them, every piece checked."""

from collections.abc import Mapping
from typing import Any, Final

from cellbank.model.digest import is_digest
from cellbank.model.errors import CellbankError
from cellbank.model.log import Table
from cellbank.model.manifest import Entry
from cellbank.storage.pieces import Far, Pieces, RemoteFile

SCHEME: Final = "cellbank"


class _Listed(Pieces):
    """The pieces of a table, whose list was found elsewhere than in an entry.

    Invariant: that of `Pieces`.
    """

    def __init__(self, far: Far, entry: Entry, length: int, digests: list[str]) -> None:
        super().__init__(far, entry)
        self._length = length
        self._digests = digests

    def _look_ahead(self, mine: dict[int, Any]) -> None:
        """Add nothing: DuckDB says at once all that it wants of a column."""


class FarTable:
    """A table at a remote; each reader of it has a place of its own, and all share its pieces.

    `failed` is why it could not be read: DuckDB tells of that in words that help nobody.
    """

    def __init__(self, far: Far, entry: Entry, length: int, digests: list[str]) -> None:
        self.size = entry.size
        self.failed: CellbankError | None = None
        self._name = f"{far.package}/{entry.path}"
        self._pieces = _Listed(far, entry, length, digests)

    def open(self) -> RemoteFile:
        """Return a reader."""
        return _Reader(self, self._pieces, self._name)


class _Reader(RemoteFile):
    """A reader that remembers why it failed."""

    def __init__(self, table: FarTable, pieces: Pieces, name: str) -> None:
        super().__init__(pieces, name)
        self._table = table

    def read(self, size: int | None = -1, /) -> bytes:
        """Return so many bytes, or all that are left."""
        try:
            return super().read(size)
        except CellbankError as error:
            self._table.failed = error
            raise


def ranges_of(
    tables: Mapping[str, Table], found: Mapping[str, tuple[str, int, list[str]]]
) -> dict[str, tuple[int, list[str]]]:
    """Return the pieces of these tables; what does not fit a table is passed over."""
    return {
        group: (length, digests)
        for group, (digest, length, digests) in found.items()
        if group in tables
        and tables[group].digest == digest
        and length > 0
        and len(digests) == -(-tables[group].size // length)
        and all(map(is_digest, digests))
    }


def file_system(files: Mapping[str, FarTable]) -> Any:
    """Return what DuckDB opens these files through: address → file. It opens nothing else."""
    from datetime import UTC, datetime

    from fsspec import AbstractFileSystem  # type: ignore[import-untyped]

    class Tables(AbstractFileSystem):  # type: ignore[misc]
        """Files that were opened already, under their addresses."""

        protocol = SCHEME
        cachable = False

        def open(self, path: str, mode: str = "rb", **_: Any) -> RemoteFile:
            """Return a reader."""
            if mode != "rb" or path not in files:
                raise FileNotFoundError(path)
            return files[path].open()

        def glob(self, path: str, **_: Any) -> list[str]:
            """Return the address itself."""
            return [path] if path in files else []

        def exists(self, path: str, **_: Any) -> bool:
            """Whether there is such a file."""
            return path in files

        def info(self, path: str, **_: Any) -> dict[str, Any]:
            """Return what there is to know of a file."""
            return {"name": path, "size": self.size(path), "type": "file"}

        def size(self, path: str) -> int:
            """Return its length in bytes."""
            return files[path].size

        def modified(self, _path: str) -> datetime:
            """Return a time that never changes, as its bytes never do."""
            return datetime(2000, 1, 1, tzinfo=UTC)

        def unstrip_protocol(self, name: str) -> str:
            """Return the address as it is."""
            return name

    return Tables()
