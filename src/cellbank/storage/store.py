"""The store: objects and manifests on this disk, shared by all packages of this user."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress

import msgspec

from cellbank.model import canonical
from cellbank.model.digest import SMALL_BELOW, digest_of
from cellbank.model.errors import (
    ChainRefused,
    Damaged,
    DigestMismatch,
    NotCanonical,
    NotInstalled,
)
from cellbank.model.log import Kept, State, Table
from cellbank.model.manifest import Entry, ManifestReader, decode_header
from cellbank.model.names import near
from cellbank.model.reference import Package
from cellbank.model.want import Installed, encode_installed
from cellbank.storage import disk
from cellbank.storage.layout import object_key
from cellbank.storage.local import (
    LocalBucket,
    file_digest,
    read_file,
    remove_stale_staging,
)
from cellbank.storage.place import Format, Place, check_place_id, check_writable, open_format


class Seen(msgspec.Struct, frozen=True, omit_defaults=True):
    """The newest record of a package that was seen at a remote.

    `base` is the revision of there that was last installed or pushed: what a build here builds on.
    """

    number: int
    digest: str
    state: State
    base: str = ""


class Store(Place):
    """The place of one user, with what is installed and what was seen where.

    Invariant: all objects that `pkgs/<owner>/<name>` wants are here before it says so.
    """

    def __init__(self, bucket: LocalBucket, form: Format, borrowed: Sequence["Store"] = ()) -> None:
        super().__init__(bucket, form)
        self.files = bucket
        self.borrowed = list(borrowed)
        self._checked: dict[str, tuple[int, int, int, int]] = {}

    @classmethod
    def at(cls, home: str, paths: Iterable[str] = ()) -> "Store":
        """Open the store at `home`, made if needed, beside read-only stores at `paths`."""
        borrowed = []
        for path in paths:
            bucket = LocalBucket(path)
            if bucket.root == os.path.abspath(home):
                continue
            try:
                borrowed.append(cls(bucket, open_format(bucket, create=False)))
            except FileNotFoundError:
                continue
        bucket = LocalBucket(home)
        return cls(bucket, open_format(bucket, create=True), borrowed)

    @property
    def root(self) -> str:
        """The folder of the store."""
        return self.files.root

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Hold off the removal of anything while the store is written to."""
        check_writable(self)
        with disk.shared_lock(self.files.path("lock")):
            remove_stale_staging(self.files)
            yield

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold off the removal of anything while much is read, if the store can be written to."""
        with ExitStack() as stack:
            with suppress(OSError):
                stack.enter_context(disk.shared_lock(self.files.path("lock")))
            yield

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Let nobody else change meanwhile what is installed or seen, or a log of this store.

        Whoever writes what depends on what was there reads it again in here. It is held for
        moments, and never twice at once.
        """
        with disk.folder_lock(self.root):
            yield

    # --- what is installed

    def installed_path(self, package: Package) -> str:
        """Return the file that says what of the package is installed."""
        return self.files.path(f"pkgs/{package}")

    def installed(self, package: Package) -> Installed | None:
        """Return what of the package is installed, here or in a borrowed store, or None."""
        for store in (self, *self.borrowed):
            found = store.installed_here(package)
            if found is not None:
                return found
        return None

    def need_installed(self, package: Package) -> Installed:
        """Return what of the package is installed, else raise `NotInstalled` with near names."""
        found = self.installed(package)
        if found is None:
            raise NotInstalled(
                str(package), near(str(package), map(str, self.installed_packages()))
            )
        return found

    def owner_of(self, package: Package) -> "Store":
        """Return the store, this or a borrowed one, in which the package is installed."""
        for store in (self, *self.borrowed):
            if os.path.exists(store.installed_path(package)):
                return store
        return self

    def installed_packages(self) -> list[Package]:
        """Return all packages that can be loaded, sorted."""
        found = set()
        for store in (self, *self.borrowed):
            for owner in store.files.names("pkgs"):
                found |= {Package(owner, name) for name in store.files.names(f"pkgs/{owner}")}
        return sorted(found)

    def set_installed(self, package: Package, installed: Installed) -> None:
        """Say what of the package is installed; the last step of every transaction."""
        self.files.replace(f"pkgs/{package}", encode_installed(installed))

    def forget_installed(self, package: Package) -> bool:
        """Say that the package is not installed; return whether it was."""
        gone = disk.remove(self.installed_path(package))
        if gone:
            disk.sync_path(os.path.dirname(self.installed_path(package)))
        return gone

    # --- what was seen at a remote

    def seen(self, remote: str, package: Package) -> Seen | None:
        """Return the newest record of the package that was seen at the remote, or None."""
        key = f"remotes/{check_place_id(remote, 'the remote')}/{package}"
        try:
            document = canonical.decode(self.files.read(key), key)
        except (FileNotFoundError, NotADirectoryError):
            return None
        try:
            return msgspec.convert(document, Seen)
        except msgspec.ValidationError as error:
            raise NotCanonical(key, str(error)) from None

    def note_seen(
        self,
        remote: str,
        address: str,
        package: Package,
        newest: Kept,
        *,
        allow_older: bool = False,
        base: str | None = None,
    ) -> None:
        """Remember the newest record of a remote; refuse one that is older or another.

        `base` is what was installed from there or pushed there; None leaves it as it was.

        Raises `ChainRefused`: We saw a later record, or another one of the same number.
        """
        with self.alone():
            before = self.seen(remote, package)
            record = newest.record
            if before is not None and not allow_older:
                if record.number < before.number:
                    reason = f"its newest record is {record.number}, we have seen {before.number}"
                    raise ChainRefused(str(package), address, reason)
                if record.number == before.number and newest.digest != before.digest:
                    raise ChainRefused(
                        str(package), address, f"its record {record.number} has changed"
                    )
            if base is None:
                base = before.base if before is not None else ""
            seen = Seen(record.number, newest.digest, record.state, base)
            if seen != before:
                self._set_seen(remote, package, seen)

    def note_base(self, remote: str, package: Package, base: str) -> None:
        """Remember that the next build here builds on a revision of a remote that was seen."""
        with self.alone():
            seen = self.seen(remote, package)
            if seen is not None and seen.base != base:
                self._set_seen(remote, package, msgspec.structs.replace(seen, base=base))

    def _set_seen(self, remote: str, package: Package, seen: Seen) -> None:
        data = canonical.encode(msgspec.to_builtins(seen))
        self.files.replace(f"remotes/{remote}/{package}", data)

    # --- reading, here and in borrowed stores

    def object_path(self, digest: str, size: int) -> str | None:
        """Return the file of a large object that has the right size, or None."""
        for store in (self, *self.borrowed):
            if store.files.size(object_key(digest)) == size:
                return store.files.path(object_key(digest))
        return None

    def read_many(self, package: Package, digests: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        """Yield those of the small objects that are here or in a borrowed store; any order."""
        left = dict.fromkeys(digests)
        for store in (self, *self.borrowed):
            if not left:
                return
            for digest, data in Place.read_many(store, package, list(left)):
                left.pop(digest, None)
                yield digest, data

    def has_small(self, package: Package, digests: Iterable[str]) -> set[str]:
        """Return those of the small objects that are here or in a borrowed store."""
        wanted = set(digests)
        found = super().has_small(package, wanted)
        for store in self.borrowed:
            found |= Place.has_small(store, package, wanted - found)
        return found

    def reader(self, package: Package, revision: str) -> ManifestReader:
        """Return the manifest of a revision; its pages are read when needed.

        Raises `Damaged`, `DigestMismatch`, `BadPack`: The header is not here, or has changed.
        """
        header = decode_header(self.read_small(package, revision))
        return ManifestReader(header, lambda digest: self.read_small(package, digest))

    def revisions(self, package: Package) -> list[str]:
        """Return the revisions of the package that this store knows, newest first."""
        found: dict[str, None] = {}
        for store in (self, *self.borrowed):
            installed = store.installed_here(package)
            if installed is not None:
                found[installed.revision] = None
                found |= dict.fromkeys(installed.earlier)
            for kept in store.records(package):
                if kept.record.revision:
                    found[kept.record.revision] = None
        return list(found)

    # --- tables, here and in borrowed stores

    def tables(self, package: Package, revision: str) -> dict[str, Table]:
        """Return the tables of a revision by kind: as installed, else as the log names them."""
        for store in (self, *self.borrowed):
            installed = store.installed_here(package)
            if installed is not None and installed.revision == revision and installed.tables:
                return installed.tables
            if found := Place.tables(store, package, revision):
                return found
        return {}

    def tables_here(self, package: Package, tables: Mapping[str, Table]) -> dict[str, Table]:
        """Return those of the tables whose bytes are here or in a borrowed store."""
        small = {table.digest for table in tables.values() if table.size < SMALL_BELOW}
        here = self.has_small(package, small) if small else set()
        return {
            kind: table
            for kind, table in tables.items()
            if table.digest in here or self.object_path(table.digest, table.size) is not None
        }

    def read_table(self, package: Package, table: Table) -> bytes:
        """Return the bytes of a table, its digest checked.

        Raises `Damaged`: It is not here. Raises `DigestMismatch`, `BadPack`: It is here, and
        changed.
        """
        path = self.object_path(table.digest, table.size)
        if path is None:
            data = self.read_small(package, table.digest)
        else:
            data = read_file(path, table.size)
        if len(data) != table.size or digest_of(data) != table.digest:
            raise DigestMismatch(f"a table of {package}", table.digest, digest_of(data))
        return data

    # --- files to open

    def file_of(self, package: Package, entry: Entry | Table) -> str | None:
        """Return a file with the bytes of an entry or a table, checked on first use, or None.

        A small object is written out to `unpacked/`, which is a cache. None says that it is not
        here.

        Raises `DigestMismatch`, `BadPack`: The bytes here are not the bytes of the entry.
        """
        path = self.object_path(entry.digest, entry.size)
        if path is not None:
            # What was here as a cache may be collected at any moment.
            with suppress(FileNotFoundError):
                return self._check_once(path, entry.digest)
        try:
            unpacked = self._unpacked_folder()
        except OSError:
            # A store that may only be read: what lies there is good if its digest is right.
            unpacked = self.files.path("unpacked")
        path = f"{unpacked}/{entry.digest}"
        if os.path.exists(path):
            try:
                return self._check_once(path, entry.digest)
            except DigestMismatch:
                disk.remove(path)
            except FileNotFoundError:
                pass
        with self.held():
            try:
                data = self.read_small(package, entry.digest)
            except Damaged:
                return None
            disk.write_cache(path, data, 0o444)
            return self._check_once(path, entry.digest)

    def _check_once(self, path: str, digest: str) -> str:
        """Hash a file the first time it is asked for, and again whenever it looks touched."""
        look = os.stat(path)
        mark = (look.st_size, look.st_mtime_ns, look.st_ctime_ns, look.st_ino)
        if self._checked.get(path) != mark:
            found = file_digest(path)
            if found != digest:
                raise DigestMismatch(path, digest, found)
            self._checked[path] = mark
        return path

    def _unpacked_folder(self) -> str:
        """Return the folder for small objects as files; emptied when the machine was restarted."""
        folder = self.files.path("unpacked")
        mark = f"{folder}/.boot"
        boot = _boot_id()
        try:
            if self.files.read("unpacked/.boot") == boot:
                return folder
        except FileNotFoundError:
            pass
        for name in self.files.names("unpacked"):
            disk.remove(f"{folder}/{name}")
        disk.write_cache(mark, boot)
        return folder

    def named_path(self, entry: Entry, path: str, name: str) -> str:
        """Return a path that ends in `name` and leads to `path`, the file of an entry."""
        folder = self.files.path(f"caches/named/{entry.digest}")
        named = f"{folder}/{name}"
        if not os.path.islink(named) or os.readlink(named) != path:
            disk.make_folders(folder)
            disk.symlink(path, named)
        return named


def _boot_id() -> bytes:
    try:
        with open("/proc/sys/kernel/random/boot_id", "rb") as file:
            return file.read().strip()
    except OSError:
        return b"unknown"
