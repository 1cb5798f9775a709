"""Where a package came from whose images were left out: what is not here is had from there."""

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO, cast

from cellbank import config as _config
from cellbank.model.errors import Damaged
from cellbank.model.manifest import Entry
from cellbank.model.progress import Watcher
from cellbank.model.reference import Package
from cellbank.model.want import Installed
from cellbank.model.watching import default_watcher
from cellbank.packages.opening import check_online, open_cache, open_remote
from cellbank.packages.policy import Policy
from cellbank.storage import transfer
from cellbank.storage.compact import compact
from cellbank.storage.pieces import Far, Pieces, RemoteFile
from cellbank.storage.remote import Remote
from cellbank.storage.store import Store


class Origin:
    """The remote of a package of which only the metadata is installed.

    Settings are read whenever something is asked for: nodes live for as long as a notebook.

    Parameters
    ----------
    store
        Where fetched entries go.
    package
        The package.
    installed
        What of it is installed, and where it came from.
    """

    def __init__(self, store: Store, package: Package, installed: Installed) -> None:
        self._store = store
        self._package = package
        self._installed = installed
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._fetching: dict[str, threading.Lock] = {}
        self._permitted: set[str] = set()
        self._remote: Remote | None = None
        cache = open_cache(_config.read(), store)
        self._far = Far(package, installed.address, self._open_once, self._near, cache)

    def is_of(self, installed: Installed) -> bool:
        """Whether this serves what is installed now, in this process: connections do not fork."""
        return self._installed == installed and self._process == os.getpid()

    def refusal(self, entries: Sequence[Entry], policy: Policy | None) -> str:
        """Return why entries that are not here may not come, or nothing; None is what is set."""
        policy = policy or Policy(_config.read().fetch)
        with self._lock:
            new = [entry for entry in entries if entry.digest not in self._permitted]
        reason = policy.refusal(self._package, new, self._installed.address)
        if not reason:
            with self._lock:
                self._permitted |= {entry.digest for entry in new}
        return reason

    def plan(self, entries: Sequence[Entry]) -> transfer.Plan:
        """Return what of entries would be fetched."""
        return transfer.plan_fetch(entries, transfer.present_in(self._store, self._package))

    def fetch(self, entries: Sequence[Entry], watch: Watcher | None = None) -> None:
        """Bring entries whole into the store; on return they are durable.

        Without `watch` the watcher of this place is told of progress. Raises `DiskFull` before the
        first byte, `DigestMismatch`, `Damaged`, `NetworkError`, `RemoteNotFound`; what was
        verified until then is kept, and the same call goes on.
        """
        store, package = self._store, self._package
        with self._alone_with(entries[0]), store.transaction():
            plan = self.plan(entries)
            if not plan and not plan.parts:
                return
            remote = open_remote(_config.read(), self._installed.address)
            try:
                transfer.fetch(store, remote, package, plan, watch or default_watcher())
            finally:
                remote.close()
            if plan.parts or plan.documents or plan.other:
                compact(store, package, [self._installed.revision, *self._installed.earlier])

    @contextmanager
    def _alone_with(self, entry: Entry) -> Iterator[None]:
        """Let other threads that want an entry wait until it is here: it need come only once."""
        with self._lock:
            mine = self._fetching.setdefault(entry.digest, threading.Lock())
        with mine:
            yield
        with self._lock:
            self._fetching.pop(entry.digest, None)

    def open(self, entry: Entry) -> IO[bytes]:
        """Open an entry that is not here, to be read by the parts that are wanted."""
        self._far.cache.limit = _config.read().settings.cache_limit
        file = RemoteFile(Pieces(self._far, entry), f"{self._package}/{entry.path}")
        return cast("IO[bytes]", file)

    def _open_once(self) -> Remote:
        """Return the remote that all open files share."""
        config = _config.read()
        check_online(config, self._installed.address)
        with self._lock:
            if self._remote is None:
                self._remote = open_remote(config, self._installed.address)
            return self._remote

    def _near(self, digest: str) -> bytes | None:
        """Return a small object of the store, or None."""
        try:
            return self._store.read_small(self._package, digest)
        except Damaged:
            return None
