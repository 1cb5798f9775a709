"""A revision of a package, ready to be looked into: what its tree shows, and how bytes come."""

from collections.abc import Iterable, Mapping, Sequence
from typing import IO, TYPE_CHECKING, Any, Self

import msgspec

from cellbank.model.digest import SMALL_BELOW
from cellbank.model.errors import EntryNotFound, LeftOut, NotFetched
from cellbank.model.log import Table
from cellbank.model.manifest import Entry, ManifestReader
from cellbank.model.progress import Watcher
from cellbank.model.reference import Package
from cellbank.model.want import Installed
from cellbank.packages.policy import Policy
from cellbank.storage.store import Store

if TYPE_CHECKING:
    from cellbank.packages.origin import Origin


class View:
    """One revision of a package in a store, and the children of its groups read so far."""

    is_far = False
    address: str | None = None

    def __init__(
        self,
        store: Store,
        package: Package,
        revision: str,
        *,
        current: bool,
        policy: Policy | None = None,
    ) -> None:
        self.store = store
        self.package = package
        self.revision = revision
        self.current = current
        self.policy = policy
        self.whole = self._whole()
        self.reader = self._shown() if current else self.whole
        self._origin: Origin | None = None
        self._children: dict[str, tuple[list[str], list[str]]] = {}
        self._groups: dict[str, dict[str, bool]] = {}

    def _whole(self) -> ManifestReader:
        return self.store.reader(self.package, self.revision)

    def _installed(self) -> Installed | None:
        return self.store.installed(self.package)

    def _shown(self) -> ManifestReader:
        """Return the manifest of what the tree shows: of a subset, of what was chosen."""
        installed = self._installed()
        if installed is None or not installed.want.is_subset:
            return self.whole
        return self.store.reader(self.package, installed.want.shown or installed.want.list)

    def lacks(self, path: str, near: Sequence[str] = ()) -> EntryNotFound:
        """Return the error for a path that is not in the tree."""
        whole = self.whole
        if self.reader is not whole and (whole.find(path) is not None or whole.has_group(path)):
            return LeftOut(str(self.package), path)
        return EntryNotFound(self.label, path, near, self.address or "")

    def is_group(self, path: str, name: str) -> bool | None:
        """Whether the child `name` of `path` is a group; None if there is no such child."""
        if path not in self._groups:
            groups, data = self.children(path)
            self._groups[path] = dict.fromkeys(data, False) | dict.fromkeys(groups, True)
        return self._groups[path].get(name)

    def children(self, path: str) -> tuple[list[str], list[str]]:
        """Return the names of the groups and of the data below `path`."""
        if path not in self._children:
            self._children[path] = self.reader.children(path)
        return self._children[path]

    def origin(self, *, anyhow: bool = False) -> "Origin | None":
        """Return where entries come from that are not here; None where they stay away.

        They come where the package was installed with its metadata only; with `anyhow` from
        wherever a package came from, for who asks for them by name.
        """
        installed = self._installed()
        if installed is None or not (installed.want.is_sparse or (anyhow and installed.address)):
            return None
        if self._origin is None or not self._origin.is_of(installed):
            from cellbank.packages.origin import Origin

            self._origin = Origin(self.store, self.package, installed)
        return self._origin

    def fetch(self, entries: Sequence[Entry], watch: Watcher | None = None) -> None:
        """Bring entries into the store; raises `NotFetched` where they stay away."""
        origin = self.origin()
        if origin is None:
            raise NotFetched(self.label, entries[0].path)
        self._permit(origin, entries)
        origin.fetch(entries, watch)

    def open_far(self, entry: Entry) -> IO[bytes]:
        """Open an entry that is not here, by parts; raises `NotFetched` where it stays away."""
        origin = self.origin()
        if origin is None:
            raise NotFetched(self.label, entry.path)
        self._permit(origin, [entry])
        return origin.open(entry)

    def _permit(self, origin: "Origin", entries: Sequence[Entry]) -> None:
        reason = origin.refusal(entries, self.policy)
        if reason:
            raise NotFetched(self.label, entries[0].path, reason, self.address or "")

    def lacking(self, entries: Iterable[Entry]) -> list[Entry]:
        """Return those of the entries whose bytes are not in the store."""
        listed = list(entries)
        small = {entry.digest for entry in listed if entry.size < SMALL_BELOW}
        absent = small - self.store.has_small(self.package, small)
        return [
            entry
            for entry in listed
            if entry.digest in absent
            or (entry.size >= SMALL_BELOW and not self.store.object_path(entry.digest, entry.size))
        ]

    @property
    def has_documents(self) -> bool:
        """Whether all documents of the tree can be read, so that none need be looked for."""
        if self.is_far:
            return True
        installed = self._installed()
        if installed is None or installed.revision != self.revision:
            return False
        want = installed.want
        return want.everything or want.metadata or want.is_subset

    def tables(self) -> Mapping[str, Table]:
        """Return the metadata tables of the revision by kind, as far as they are known here."""
        return self.store.tables(self.package, self.revision)

    def table_file(self, kind: str) -> str | None:
        """Return the Parquet file of a kind, or None where it is not here."""
        table = self.tables().get(kind)
        return None if table is None else self.store.file_of(self.package, table)

    def how(self) -> "How":
        """Return how to open this again in another process."""
        return How.of(self)

    @property
    def label(self) -> str:
        """The package and, where it is not what is installed now, its revision."""
        return str(self.package) if self.current else f"{self.package}@{self.revision[:12]}"


class How(msgspec.Struct, frozen=True):
    """How to open a revision again in another process; who could be asked is not there."""

    root: str
    paths: tuple[str, ...]
    package: str
    revision: str
    current: bool
    policy: str

    @classmethod
    def of(cls, view: View, *rest: Any) -> Self:
        """Return how to open the revision of a view; `rest` are further fields."""
        store = view.store
        paths = tuple(other.root for other in store.borrowed)
        policy = view.policy.what if view.policy is not None else ""
        known = (str(view.package), view.revision, view.current, policy)
        return cls(store.root, paths, *known, *rest)

    def open(self) -> View:
        """Open the revision."""
        given, policy = self.parts()
        return View(*given, current=self.current, policy=policy)

    def parts(self) -> tuple[tuple[Store, Package, str], Policy | None]:
        """Return what views are made of."""
        store, package = Store.at(self.root, self.paths), Package.parse(self.package)
        policy = Policy(self.policy) if self.policy else None
        return (store, package, self.revision), policy
