"""A package opened where it is: its tree and tables come when they are looked at, images by parts.

Nothing is installed. What was fetched whole lies in the store as a cache, until garbage is
collected.
"""

import os
import threading
from collections.abc import Mapping

from cellbank import config as _config
from cellbank.model.digest import digest_of
from cellbank.model.errors import Damaged
from cellbank.model.log import Table
from cellbank.model.manifest import ManifestReader, decode_header
from cellbank.model.reference import Package, Reference
from cellbank.model.want import Installed, Want
from cellbank.packages.nodes import How, View
from cellbank.packages.opening import check_online, open_cache, open_remote
from cellbank.packages.policy import Policy
from cellbank.packages.resolve import at_remote
from cellbank.storage.remote import Remote
from cellbank.storage.store import Store
from cellbank.storage.tables import fetch_tables, tables_at


class FarView(View):
    """One revision of a package at a remote, ready to be looked into.

    Parameters
    ----------
    store
        Where what is fetched whole goes.
    package
        The package.
    revision
        Its revision, 64 digits.
    address
        The remote.
    policy
        What happens where bytes are wanted; None is what is set.
    """

    def __init__(
        self,
        store: Store,
        package: Package,
        revision: str,
        address: str,
        policy: Policy | None = None,
    ) -> None:
        self.is_far = True
        self.address: str | None = address
        self._pages = _Pages(store, package, revision, address)
        self._tables: dict[str, Table] | None = None
        super().__init__(store, package, revision, current=False, policy=policy)

    def _whole(self) -> ManifestReader:
        return self._pages.reader()

    def _installed(self) -> Installed:
        return Installed(
            str(self.package), self.revision, "", self._pages.address, want=Want(metadata=True)
        )

    def how(self) -> How:
        """Return how to open this again in another process."""
        return FarHow.of(self, self._pages.address)

    def tables(self) -> Mapping[str, Table]:
        """Return the tables of the revision by kind, as the remote's log names them."""
        if self._tables is None:
            remote = self._pages.remote()
            newest = remote.newest(self.package)
            self._tables = tables_at(remote, self.package, self.revision, newest)
        return self._tables

    def table_file(self, kind: str) -> str | None:
        """Return the Parquet file of a kind, fetched if need be; None where there is none."""
        table = self.tables().get(kind)
        if table is None:
            return None
        path = self.store.file_of(self.package, table)
        if path is None:
            with self.store.transaction():
                fetch_tables(self.store, self._pages.remote(), self.package, {kind: table})
            path = self.store.file_of(self.package, table)
        return path


class FarHow(How, frozen=True):
    """How to open a revision at a remote again in another process."""

    address: str

    def open(self) -> View:
        """Open the revision."""
        given, policy = self.parts()
        return FarView(*given, self.address, policy)


class _Pages:
    """The manifest of a revision at a remote: its pages come when they are needed, more and more.

    Whoever reads on in a list reads on to its end: each time, twice as many come at once.
    """

    def __init__(self, store: Store, package: Package, revision: str, address: str) -> None:
        self._store = store
        self._package = package
        self._revision = revision
        self.address = address
        self._cache = open_cache(_config.read(), store)
        self._lock = threading.Lock()
        self._remote: tuple[int, Remote] | None = None
        self._near: dict[str, bytes] = {}
        self._order: list[str] = []
        self._next = 1

    def remote(self) -> Remote:
        """Return the remote, opened once in each process: connections do not fork."""
        config = _config.read()
        check_online(config, self.address)
        if self._remote is None or self._remote[0] != os.getpid():
            self._remote = os.getpid(), open_remote(config, self.address)
        return self._remote[1]

    def reader(self) -> ManifestReader:
        """Return the manifest."""
        header = decode_header(self._read(self._revision))
        self._order = [page.digest for page in header.pages]
        return ManifestReader(header, self._read)

    def _read(self, digest: str) -> bytes:
        with self._lock:
            found = self._near.get(digest) or self._lying_here(digest)
            if found is None:
                self._bring(digest)
                found = self._near[digest]
            self._near[digest] = found
            return found

    def _lying_here(self, digest: str) -> bytes | None:
        try:
            return self._store.read_small(self._package, digest)
        except Damaged:
            data = self._cache.get(digest)
            return data if data is not None and digest_of(data) == digest else None

    def _bring(self, digest: str) -> None:
        wanted = [digest]
        if digest in self._order:
            at = self._order.index(digest)
            after = (d for d in self._order[at + 1 :] if d not in self._near)
            wanted += [one for one, _ in zip(after, range(self._next - 1), strict=False)]
            self._next *= 2
        for one, data in self.remote().read_small(self._package, wanted).items():
            self._near[one] = data
            self._cache.put(one, data)


def open_far(
    store: Store, reference: Reference, address: str, policy: Policy | None = None
) -> FarView:
    """Return what a reference names at a remote.

    Raises `PackageNotFound`, `RevisionNotFound`: It is not there.
    """
    remote = open_remote(_config.read(), address)
    try:
        revision = at_remote(remote, reference, remote.newest(reference.package))
    finally:
        remote.close()
    return FarView(store, reference.package, revision, address, policy)
