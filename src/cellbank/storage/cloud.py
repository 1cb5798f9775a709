"""Keys and bytes in a bucket of an object store, through obstore."""

from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any, Final

from cellbank.model.errors import BadInput, Unreachable
from cellbank.storage.local import CHUNK, Data

SCHEMES: Final = ("memory://", "s3://", "gs://", "az://")


@cache
def _memory(address: str) -> Any:
    """Return the one store of this process that `address` names."""
    from obstore.store import MemoryStore

    return MemoryStore()


def _store(address: str) -> Any:
    if address.startswith("memory://"):
        return _memory(address)
    from obstore.exceptions import BaseError
    from obstore.store import from_url

    try:
        return from_url(address)
    except (BaseError, ValueError) as error:
        raise BadInput(f"{address} cannot be opened: {_first_line(error)}") from None


def _first_line(error: BaseException) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


class CloudBucket:
    """A bucket of an object store.

    Invariant: every key is written by one atomic put, so a key that is there is complete.
    """

    def __init__(self, address: str) -> None:
        self.address = address.rstrip("/")
        self._store = _store(self.address)

    def read(self, key: str) -> bytes:
        """Return the bytes at `key`; raises FileNotFoundError."""
        import obstore

        with _translated(self.address):
            return obstore.get(self._store, key).bytes().to_bytes()

    def read_range(self, key: str, start: int, length: int) -> bytes:
        """Return up to `length` bytes from `start` (from the end, if negative)."""
        import obstore

        with _translated(self.address):
            if start < 0:
                options: Any = {"range": {"suffix": -start}}
                data = obstore.get(self._store, key, options=options).bytes().to_bytes()
                return data[:length]
            if not length:
                return b""
            return obstore.get_range(self._store, key, start=start, length=length).to_bytes()

    def stream(self, key: str, start: int) -> Iterator[bytes]:
        """Yield the bytes at `key` from `start`; each piece is valid until the next."""
        import obstore

        with _translated(self.address):
            options: Any = {"range": {"offset": start}} if start else {}
            found = obstore.get(self._store, key, options=options)
            for chunk in found.stream(min_chunk_size=CHUNK):
                yield bytes(chunk)

    def size(self, key: str) -> int | None:
        """Return the number of bytes at `key`, or None if there is no such key."""
        import obstore

        try:
            with _translated(self.address):
                return int(obstore.head(self._store, key)["size"])
        except FileNotFoundError:
            return None

    def names(self, prefix: str) -> list[str]:
        """Return the names right below `prefix`, sorted."""
        import obstore

        with _translated(self.address):
            found = obstore.list_with_delimiter(self._store, prefix or None)
        paths = [str(item["path"]) for item in found["objects"]]
        paths += [str(path) for path in found["common_prefixes"]]
        return sorted(path.rstrip("/").rpartition("/")[2] for path in paths)

    def create(self, key: str, data: bytes) -> bool:
        """Write `data` unless the key is there; say whether it was free."""
        import obstore
        from obstore.exceptions import AlreadyExistsError

        try:
            with _translated(self.address):
                obstore.put(self._store, key, data, mode="create")
        except AlreadyExistsError:
            return False
        return True

    def replace(self, key: str, data: bytes) -> None:
        """Write `data`, in place of what is there."""
        import obstore

        with _translated(self.address):
            obstore.put(self._store, key, data)

    def delete(self, key: str) -> None:
        """Remove `key` if it is there."""
        import obstore

        try:
            with _translated(self.address):
                obstore.delete(self._store, key)
        except FileNotFoundError:
            return

    def batch(self) -> "CloudBatch":
        """Return a batch of keys to be written together."""
        return CloudBatch(self._store, self.address)


class CloudBatch:
    """Puts that are atomic each: what is put is durable and there at once."""

    def __init__(self, store: Any, address: str) -> None:
        self._store = store
        self._address = address
        self.staged_bytes = 0

    def add(self, key: str, data: bytes) -> None:
        """Take a small file."""
        import obstore

        with _translated(self._address):
            obstore.put(self._store, key, data)

    def add_stream(self, key: str, chunks: Iterable[Data]) -> None:
        """Take a file in pieces; if the pieces raise, nothing of it appears."""
        import obstore

        with _translated(self._address):
            obstore.put(self._store, key, (bytes(chunk) for chunk in chunks))

    def commit(self) -> None:
        """Return at once: a put is durable when it is done."""

    def abandon(self) -> None:
        """Leave what was put: objects that nothing names are harmless."""


class _translated:  # noqa: N801  a context manager that reads like a phrase
    """Turns what obstore raises into errors of our tree."""

    def __init__(self, address: str) -> None:
        self._address = address

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, _trace: object) -> None:
        if error is None or isinstance(error, OSError):
            return
        from obstore.exceptions import AlreadyExistsError, BaseError

        if isinstance(error, BaseError) and not isinstance(error, AlreadyExistsError):
            raise Unreachable(self._address, _first_line(error)) from None
