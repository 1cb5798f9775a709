"""Remotes: where packages are pushed to and installed from; the contract, and the folder."""

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, suppress
from typing import Final

import msgspec

from cellbank.model.digest import SMALL_BELOW, digest_of
from cellbank.model.errors import (
    BadInput,
    Damaged,
    DiskFull,
    IntegrityError,
    RemoteNotFound,
    RuleBroken,
)
from cellbank.model.log import Draft, Kept, Table
from cellbank.model.manifest import ManifestReader, decode_header, decode_page
from cellbank.model.reference import Package
from cellbank.storage import disk
from cellbank.storage.cloud import SCHEMES, CloudBucket
from cellbank.storage.compact import compact
from cellbank.storage.layout import object_key, package_key
from cellbank.storage.local import (
    COMMIT_BYTES,
    Bucket,
    Data,
    LocalBucket,
    checked,
    read_chunks,
)
from cellbank.storage.packs import TRAILER_BYTES, PackIndex, read_pack
from cellbank.storage.place import Place, check_writable

Sink = Callable[[Data], None]
PROBE_KEY: Final = "staging/probe"
NO_TABLES: Final[Mapping[str, Table]] = {}


class Missing(msgspec.Struct, frozen=True):
    """What a remote lacks of a revision: small objects; large ones and how far each has come."""

    small: set[str]
    large: dict[str, int]


class Upload(ABC):
    """One push to one package: parts, then objects, then the record that names them.

    The order of calls is `pages`, `send_pack` with what they asked for, `missing`, `send_pack` and
    `send_object`, `append`, `close`.
    """

    @abstractmethod
    def pages(self) -> set[str]:
        """Return the digests of the header and pages that the remote lacks."""

    @abstractmethod
    def missing(self, tables: Mapping[str, Table] = NO_TABLES) -> Missing:
        """Return the objects of the manifest, and those of these tables, that the remote lacks."""

    @abstractmethod
    def send_pack(self, pack: bytes) -> None:
        """Send a pack of small objects."""

    @abstractmethod
    def send_object(
        self, digest: str, size: int, path: str, progress: Callable[[int], None]
    ) -> None:
        """Send a large object from a file; raises `DigestMismatch` if the file has other bytes."""

    @abstractmethod
    def append(self, draft: Draft, *, public: bool | None = None) -> Kept:
        """Make all that was sent durable, then append the record; return it."""

    @abstractmethod
    def close(self) -> None:
        """Let go; what was sent and not named is harmless."""


class Remote(ABC):
    """Where packages are pushed to and installed from, as the client sees it."""

    id: str
    address: str

    @abstractmethod
    def packages(self) -> list[Package]:
        """Return the packages that we may see, sorted."""

    @abstractmethod
    def newest(self, package: Package) -> Kept:
        """Return the newest record of a package, else raise `PackageNotFound`."""

    @abstractmethod
    def records(self, package: Package) -> Iterator[Kept]:
        """Yield the records of a package, newest first, checked to be one chain."""

    @abstractmethod
    def fetch_packs(
        self, package: Package, digests: Iterable[str], sink: Callable[[bytes], None]
    ) -> None:
        """Give `sink` packs that hold those of the small objects that are there, nothing else."""

    @abstractmethod
    def fetch_object(self, package: Package, digest: str, start: int, sink: Sink) -> None:
        """Give `sink` the bytes of a large object from `start`; the caller checks them."""

    @abstractmethod
    def read_range(self, package: Package, digest: str, start: int, stop: int) -> bytes:
        """Return the bytes of a large object from `start` to before `stop`; the caller checks them.

        Several threads may read at once. Raises `Damaged`: The object is not there, or too short.
        """

    @abstractmethod
    def upload(
        self, package: Package, revision: str, header: bytes, reader: ManifestReader
    ) -> Upload:
        """Begin a push of the revision whose header and manifest these are."""

    @abstractmethod
    def append(self, package: Package, draft: Draft) -> Kept:
        """Append an event that brings no objects."""

    def read_small(self, package: Package, digests: Iterable[str]) -> dict[str, bytes]:
        """Return small objects by digest, each checked.

        Raises `Damaged`: One of them is not there.
        """
        wanted = set(digests)
        found: dict[str, bytes] = {}

        def take(pack: bytes) -> None:
            objects = read_pack(pack, f"a pack from {self.address}")
            found.update((digest, data) for digest, data in objects if digest in wanted)

        if wanted:
            self.fetch_packs(package, sorted(wanted), take)
        for digest in wanted - found.keys():
            raise Damaged(
                f"{package}: {self.address} does not give the object {digest}",
                "Tell its owner; the package may have to be pushed there again.",
            )
        return found

    def begin(self) -> None:  # noqa: B027  nothing is broken off in a folder
        """Begin something new, from one thread: what was broken off before is over."""

    def stop(self) -> None:  # noqa: B027  nothing to wait for in a folder
        """Break off what is under way in other threads; what is asked later works again."""

    def close(self) -> None:  # noqa: B027  most remotes have none
        """Let go of connections."""


class BucketRemote(Remote):
    """The layout in a folder or in a bucket, without any server.

    Everyone who can read the folder sees all of it.
    """

    def __init__(self, place: Place) -> None:
        self.place = place
        self.id = place.id
        self.address = place.address

    @classmethod
    def open(cls, address: str, *, create: bool = False) -> "BucketRemote":
        """Open the place at a folder or bucket address; make one if asked.

        Raises `RemoteNotFound`: There is none. Raises `BadInput`: The folder holds something else.
        """
        bucket = open_bucket(address)
        if create and isinstance(bucket, LocalBucket):
            _check_free_for_place(bucket)
        try:
            return cls(Place.open(bucket, create=create))
        except (FileNotFoundError, NotADirectoryError):
            raise RemoteNotFound(address) from None

    def packages(self) -> list[Package]:
        """Return all packages, sorted."""
        return self.place.packages()

    def newest(self, package: Package) -> Kept:
        """Return the newest record of a package, else raise `PackageNotFound`."""
        return self.place.state_of(package)

    def records(self, package: Package) -> Iterator[Kept]:
        """Yield the records of a package, newest first, checked to be one chain."""
        self.place.state_of(package)
        return self.place.records(package)

    def fetch_packs(
        self, package: Package, digests: Iterable[str], sink: Callable[[bytes], None]
    ) -> None:
        """Give `sink` packs that hold those of the small objects that are there."""
        for pack in self.place.packs_of(package, digests):
            sink(pack)

    def fetch_object(self, package: Package, digest: str, start: int, sink: Sink) -> None:
        """Give `sink` the bytes of a large object from `start`."""
        try:
            for chunk in self.place.bucket.stream(object_key(digest), start):
                sink(chunk)
        except FileNotFoundError:
            raise self._lacks(package, digest) from None

    def read_range(self, package: Package, digest: str, start: int, stop: int) -> bytes:
        """Return the bytes of a large object from `start` to before `stop`."""
        try:
            data = self.place.bucket.read_range(object_key(digest), start, stop - start)
        except FileNotFoundError:
            raise self._lacks(package, digest) from None
        if len(data) != stop - start:
            raise Damaged(
                f"{package}: the object {digest} is cut short in {self.address}",
                "Push the package there again.",
            )
        return data

    def _lacks(self, package: Package, digest: str) -> Damaged:
        return Damaged(
            f"{package}: the object {digest} is missing in {self.address}",
            "Push the package there again.",
        )

    def upload(
        self, package: Package, revision: str, header: bytes, reader: ManifestReader
    ) -> "BucketUpload":
        """Begin a push."""
        check_writable(self.place)
        _check_conditional_put(self.place)
        return BucketUpload(self.place, package, revision, reader)

    def append(self, package: Package, draft: Draft) -> Kept:
        """Append an event that brings no objects."""
        check_writable(self.place)
        _check_conditional_put(self.place)
        return self.place.append(package, draft)


class BucketUpload(Upload):
    """A push into a folder or bucket.

    Invariant: `append` writes no record while anything that was lacking has not been sent.
    """

    def __init__(
        self, place: Place, package: Package, revision: str, reader: ManifestReader
    ) -> None:
        self._place = place
        self._package = package
        self._revision = revision
        self._reader = reader
        self._held = ExitStack()
        if isinstance(place.bucket, LocalBucket):
            self._held.enter_context(disk.shared_lock(place.bucket.path("lock")))
        self._batch = place.bucket.batch()
        self._condemned = place.condemned()
        self._counted: set[str] = set()
        self._lacking: set[str] = set()
        self._told: set[str] = set()

    def _present(self, digests: set[str]) -> set[str]:
        return self._place.has_small(self._package, digests) - self._condemned

    def pages(self) -> set[str]:
        """Return the digests of the header and pages that are not here."""
        wanted = {self._revision} | {page.digest for page in self._reader.header.pages}
        here = self._present(wanted)
        self._counted |= here
        self._lacking |= wanted - here
        return wanted - here

    def missing(self, tables: Mapping[str, Table] = NO_TABLES) -> Missing:
        """Subtract what the newest manifest has, and look for the rest."""
        shared = self._shared_pages()
        named = {table.digest: table.size for table in tables.values()}
        self._told |= named.keys()
        small = {digest for digest, size in named.items() if size < SMALL_BELOW}
        large = {digest: size for digest, size in named.items() if size >= SMALL_BELOW}
        for info in self._reader.header.pages:
            if info.digest in shared:
                continue
            for entry in decode_page(self._reader.read_page(info.digest)):
                if entry.pieces is not None:
                    small.add(entry.pieces)
                if entry.size < SMALL_BELOW:
                    small.add(entry.digest)
                else:
                    large[entry.digest] = entry.size
        here = self._present(small)
        whole = self._place.has_large(
            {digest: size for digest, size in large.items() if digest not in self._condemned}
        )
        self._counted |= here | whole | shared
        self._check_room(sum(large[digest] for digest in large.keys() - whole))
        self._lacking |= (small - here) | (large.keys() - whole)
        return Missing(small - here, dict.fromkeys(large.keys() - whole, 0))

    def _shared_pages(self) -> set[str]:
        """Return the pages of the newest revision here that need no second look."""
        newest = self._place.newest(self._package)
        if newest is None or not newest.record.state.latest or self._condemned:
            return set()
        try:
            header = decode_header(
                self._place.read_small(self._package, newest.record.state.latest)
            )
        except IntegrityError:
            return set()
        mine = {page.digest for page in self._reader.header.pages}
        return {page.digest for page in header.pages} & mine

    def _check_room(self, needed: int) -> None:
        bucket = self._place.bucket
        if isinstance(bucket, LocalBucket) and needed > (free := disk.free_bytes(bucket.root)):
            raise DiskFull(bucket.root, needed, free)

    def send_pack(self, pack: bytes) -> None:
        """Write a pack."""
        name = digest_of(pack)
        tail = PackIndex.tail_bytes(pack[-TRAILER_BYTES:], name)
        self._batch.add(package_key(self._package, "packs", name), pack)
        self._lacking.difference_update(PackIndex.parse(pack[-tail:], name).digests())

    def send_object(
        self, digest: str, size: int, path: str, progress: Callable[[int], None]
    ) -> None:
        """Copy a large object, hashing it on the way."""

        def told(chunks: Iterable[Data]) -> Iterator[Data]:
            for chunk in chunks:
                yield chunk
                progress(len(chunk))

        chunks = checked(told(read_chunks(path)), digest, path)
        self._batch.add_stream(object_key(digest), chunks)
        self._lacking.discard(digest)
        if self._batch.staged_bytes > COMMIT_BYTES:
            self._batch.commit()

    def append(self, draft: Draft, *, public: bool | None = None) -> Kept:
        """One barrier, then the record."""
        self._lacking |= {table.digest for table in draft.tables.values()} - self._told
        if self._lacking:
            raise Damaged(
                f"{self._package}: {len(self._lacking)} objects were not sent, among them "
                f"{min(self._lacking)}",
                "Look for damage in your own store: cellbank verify",
            )
        self._batch.commit()
        self._place.check_spared(self._counted)
        kept = self._place.append(self._package, draft)
        if public is not None:
            self._place.set_public(self._package, public=public)
        compact(self._place, self._package)
        return kept

    def close(self) -> None:
        """Keep what came whole, so that the same push need not bring it again."""
        try:
            # Whoever breaks off because the disk is full must hear of that, and of nothing else.
            with suppress(OSError):
                self._batch.commit()
        finally:
            self._batch.abandon()
            self._held.close()


def open_bucket(address: str) -> Bucket:
    """Return the folder or bucket that an address names; raises `BadInput`."""
    check_scheme(address)
    if address.startswith(SCHEMES):
        return CloudBucket(address)
    return LocalBucket(address.removeprefix("file://"))


def check_scheme(address: str) -> None:
    """Refuse an address that nothing here can open; raises `BadInput`."""
    known = ("file://", "http://", "https://", *SCHEMES)
    if "://" in address and not address.startswith(known):
        raise BadInput(
            f"{address}: nobody here knows {address.partition('://')[0]}://",
            "Name a folder, or a URL: http:// https:// s3:// gs:// az://",
        )


def _check_free_for_place(bucket: LocalBucket) -> None:
    if os.path.isfile(bucket.root):
        raise BadInput(f"{bucket.root} is a file, not a folder", "Name another folder.")
    names = [name for name in bucket.names("") if name not in ("staging", "lost+found")]
    if names and "format.json" not in names:
        raise BadInput(
            f"{bucket.root} holds other files and is no place for packages",
            "Name an empty folder, or one that does not exist yet.",
        )


def _check_conditional_put(place: Place) -> None:
    """Check once that the bucket creates a key only if it is absent; a folder always does."""
    if isinstance(place.bucket, LocalBucket) or place.probed:
        return
    key = f"{PROBE_KEY}.{disk.random_name('put')}"
    first = place.bucket.create(key, b"1")
    second = place.bucket.create(key, b"2")
    place.bucket.delete(key)
    if not first or second:
        raise RuleBroken(
            f"{place.address} does not honour conditional writes: two pushes could overwrite "
            "each other",
            "Put a registry before it: cellbank serve. It can be installed from as it is.",
        )
    place.probed = True
