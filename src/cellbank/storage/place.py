"""A place: the one layout of objects, packs and logs, in a folder, a bucket or a registry."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Final

import msgspec

from cellbank.model import canonical
from cellbank.model.digest import SMALL_BELOW, digest_of
from cellbank.model.errors import (
    BadInput,
    Damaged,
    DigestMismatch,
    NewerFormat,
    NotCanonical,
    PackageNotFound,
    RuleBroken,
)
from cellbank.model.log import (
    HISTORY_EVERY,
    Draft,
    Kept,
    Table,
    check_chain,
    decode_record,
    encode_history,
    encode_record,
    next_record,
    record_key,
    record_number,
    tables_of,
)
from cellbank.model.names import is_name, near
from cellbank.model.reference import Package
from cellbank.model.want import Installed, decode_installed
from cellbank.storage.layout import object_key, package_key
from cellbank.storage.local import Bucket
from cellbank.storage.packs import (
    write_packs,
)
from cellbank.storage.packset import MANY, PackSet

KNOWN_FEATURES: Final = frozenset[str]()
RETRIES: Final = 1000


class Format(msgspec.Struct, frozen=True):
    """The content of `format.json`: the identity of a place and what it asks of its users."""

    format: int
    id: str
    read: list[str]
    write: list[str]


class Condemned(msgspec.Struct, frozen=True):
    """The content of `gc/<id>`: what a collection will delete, and since when it stands there."""

    format: int
    condemned: list[str]
    time: datetime


_is_record_key = re.compile("[0-9]{12}").fullmatch


class Place:
    """Objects, packs and logs under the keys of one bucket.

    Invariant: what a log record names was durable before the record appeared.
    """

    def __init__(self, bucket: Bucket, form: Format) -> None:
        self.bucket = bucket
        self.format = form
        self.id = form.id
        self.probed = False
        self._packs: dict[Package, PackSet] = {}

    @classmethod
    def open(cls, bucket: Bucket, *, create: bool = False) -> "Place":
        """Open the place in `bucket`, or make one there.

        Raises `FileNotFoundError`: There is none, and none was to be made. Raises `NewerFormat`:
        It needs a newer cellbank.
        """
        return cls(bucket, open_format(bucket, create=create))

    @property
    def address(self) -> str:
        """Where it is."""
        return self.bucket.address

    # --- packages and their logs

    def packages(self) -> list[Package]:
        """Return the packages that have a log here, sorted."""
        found = []
        for owner in self.bucket.names("packages"):
            for name in self.bucket.names(f"packages/{owner}"):
                package = Package(owner, name)
                if is_name(owner) and is_name(name) and self._record_keys(package):
                    found.append(package)
        return sorted(found)

    def newest(self, package: Package) -> Kept | None:
        """Return the newest record of the log, which holds the state, or None."""
        keys = self._record_keys(package)
        return self._record_at(package, keys[0]) if keys else None

    def _record_keys(self, package: Package) -> list[str]:
        names = self.bucket.names(package_key(package, "log"))
        return [name for name in names if _is_record_key(name)]

    def _record_at(self, package: Package, key: str) -> Kept:
        where = package_key(package, "log", key)
        try:
            kept = decode_record(self.bucket.read(where))
        except NotCanonical as error:
            raise NotCanonical(f"{self.address}/{where}", str(error.args[1])) from None
        if kept.record.number != record_number(key) or kept.record.package != str(package):
            raise NotCanonical(f"the log of {package}", f"the record at {key} belongs elsewhere")
        return kept

    def records(self, package: Package) -> Iterator[Kept]:
        """Yield the records of the log, newest first, each checked to follow the next.

        Raises `NotCanonical`: A record is damaged, or the chain is broken.
        """
        newer: Kept | None = None
        for key in self._record_keys(package):
            kept = self._record_at(package, key)
            if newer is not None:
                check_chain(str(package), newer, kept)
            yield kept
            newer = kept
        if newer is not None and newer.record.number != 0:
            raise NotCanonical(f"the log of {package}", "its oldest records are missing")

    def state_of(self, package: Package) -> Kept:
        """Return the newest record, else raise `PackageNotFound` with near names."""
        kept = self.newest(package)
        if kept is None:
            close = near(str(package), map(str, self.packages()))
            raise PackageNotFound(str(package), self.address, close)
        return kept

    def append(self, package: Package, draft: Draft) -> Kept:
        """Append an event to the log.

        Raises `PushConflict`, `NameConflict`, `RuleBroken`: The event does not fit the state that
        the log has now.
        """
        for _ in range(RETRIES):
            newest = self.newest(package)
            done = self._already(package, newest, draft.nonce)
            if done is not None:
                return done
            number = newest.record.number + 1 if newest else 0
            history = self._history(package, number) if number % HISTORY_EVERY == 0 else ""
            record = next_record(str(package), newest, draft, history)
            data = encode_record(record)
            if self.bucket.create(package_key(package, "log", record_key(number)), data):
                return Kept(record, data)
        raise BadInput(f"{package} changes too fast to append to its log", "Try again.")

    def _already(self, package: Package, newest: Kept | None, nonce: str) -> Kept | None:
        """Return the record that an earlier try of the same event wrote, if it did."""
        for back in range(16):
            if newest is None or newest.record.number - back < 0:
                return None
            kept = self._record_at(package, record_key(newest.record.number - back))
            if kept.record.nonce == nonce:
                return kept
        return None

    def _history(self, package: Package, number: int) -> str:
        """Keep the records since the last history object as one object; return its digest."""
        if number == 0:
            return ""
        keys = [record_key(n) for n in range(number - HISTORY_EVERY, number)]
        records = [self._record_at(package, key) for key in keys]
        data = encode_history(records[0].record.history, records)
        digest = digest_of(data)
        batch = self.bucket.batch()
        if len(data) < SMALL_BELOW:
            for pack in write_packs([(digest, data)]):
                batch.add(package_key(package, "packs", digest_of(pack)), pack)
        else:
            batch.add(object_key(digest), data)
        batch.commit()
        batch.abandon()
        return digest

    # --- tables

    def tables(self, package: Package, revision: str) -> dict[str, Table]:
        """Return the tables of a revision by kind, as the log here names them."""
        return tables_of(self.records(package), revision)

    def installed_here(self, package: Package) -> Installed | None:
        """Return what of the package is installed in this very place, or None."""
        key = f"pkgs/{package}"
        try:
            data = self.bucket.read(key)
        except (FileNotFoundError, NotADirectoryError):
            return None
        return decode_installed(data, f"{self.address}/{key}")

    def named_tables(self, package: Package) -> Iterator[Table]:
        """Yield every table that the log here, or what is installed here, names."""
        for kept in self.records(package):
            yield from kept.record.tables.values()
        installed = self.installed_here(package)
        if installed is not None:
            yield from installed.tables.values()

    # --- who may see it

    def is_public(self, package: Package) -> bool:
        """Whether `access.json` says that everyone may read the package."""
        try:
            document = canonical.decode(self.bucket.read(package_key(package, "access.json")))
        except (FileNotFoundError, NotCanonical):
            return False
        return isinstance(document, dict) and document.get("public") is True

    def set_public(self, package: Package, *, public: bool) -> None:
        """Say in `access.json` whether everyone may read the package."""
        if self.is_public(package) != public:
            key = package_key(package, "access.json")
            self.bucket.replace(key, canonical.encode({"public": public}))

    # --- objects

    def packs(self, package: Package) -> "PackSet":
        """Return the packs of a package, as they were listed last."""
        if package not in self._packs:
            self._packs[package] = PackSet(self.bucket, package)
        return self._packs[package]

    def read_small(self, package: Package, digest: str) -> bytes:
        """Return one small object, from a pack or as a file of its own, its digest checked.

        Raises `Damaged`: It is not here. Raises `DigestMismatch`, `BadPack`: It is here, and
        changed.
        """
        for _, data in self.read_many(package, [digest]):
            return data
        raise Damaged(f"{package}: the object {digest} is missing in {self.address}")

    def read_many(self, package: Package, digests: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        """Yield those of the small objects that are here, each digest checked; any order."""
        packs = self.packs(package)
        missing: list[str] = []
        for digest, data in packs.read_many(digests, missing):
            yield digest, data
        if missing and packs.refresh():
            again, missing = missing, []
            yield from packs.read_many(again, missing)
        for digest in missing:
            try:
                data = self.bucket.read(object_key(digest))
            except FileNotFoundError:
                continue
            if digest_of(data) != digest:
                raise DigestMismatch(object_key(digest), digest, digest_of(data))
            yield digest, data

    def packs_of(self, package: Package, digests: Iterable[str]) -> Iterator[bytes]:
        """Yield packs that hold those of the objects that are here, and nothing else.

        A pack that is wanted whole is given as it is; of the others new packs are made.
        """
        wanted = list(dict.fromkeys(digests))
        rest = set(wanted)
        packs = self.packs(package)
        packs.refresh()
        for name, index in packs.indexes(up_to=len(rest)).items():
            inside = set(index.digests())
            if inside and inside <= rest:
                try:
                    pack = self.bucket.read(packs.key(name))
                except FileNotFoundError:
                    continue
                if digest_of(pack) != name:
                    continue
                rest -= inside
                yield pack
        if rest:
            kept = [digest for digest in wanted if digest in rest]
            yield from write_packs(self.read_many(package, kept))

    def has_small(self, package: Package, digests: Iterable[str]) -> set[str]:
        """Return those of the small objects that are here."""
        packs = self.packs(package)
        packs.refresh()
        wanted = set(digests)
        found = packs.among(wanted) if len(wanted) > MANY else set(filter(packs.find, wanted))
        for digest in wanted - found:
            if self.bucket.size(object_key(digest)) is not None:
                found.add(digest)
        return found

    def has_large(self, sizes: Mapping[str, int]) -> set[str]:
        """Return those of the large objects (digest → size) that are here and have their size."""
        return {
            digest for digest, size in sizes.items() if self.bucket.size(object_key(digest)) == size
        }

    def condemned(self) -> set[str]:
        """Return the digests that a collection under way may delete."""
        return {digest for condemned in self.verdicts().values() for digest in condemned.condemned}

    def verdicts(self) -> "dict[str, Condemned]":
        """Return what collections wrote down to delete, by their ids.

        Raises `NotCanonical`: One cannot be read; then nobody knows what will be deleted.
        """
        found = {}
        for name in self.bucket.names("gc"):
            key = f"gc/{name}"
            try:
                document = canonical.decode(self.bucket.read(key), key)
                found[name] = msgspec.convert(document, Condemned)
            except FileNotFoundError:
                continue
            except msgspec.ValidationError as error:
                raise NotCanonical(key, str(error)) from None
        return found

    def check_spared(self, counted: Iterable[str]) -> None:
        """Check that no collection has condemned meanwhile what a writer counts on being here.

        Raises `RuleBroken`: One has; the writer must begin again.
        """
        condemned = self.condemned()
        if condemned and not condemned.isdisjoint(counted):
            raise RuleBroken(
                f"{self.address} is being cleaned of objects that this counts on",
                "Run the same command again.",
            )


def open_format(bucket: Bucket, *, create: bool) -> Format:
    """Return the `format.json` of a bucket, checked; make it if asked."""
    while True:
        try:
            data = bucket.read("format.json")
            break
        except (FileNotFoundError, NotADirectoryError):
            if not create:
                raise FileNotFoundError(f"{bucket.address} has no format.json") from None
        form = {"format": 1, "id": os.urandom(16).hex(), "read": [], "write": []}
        bucket.create("format.json", canonical.encode(form))
    document = canonical.decode(data, f"{bucket.address}/format.json")
    try:
        found = msgspec.convert(document, Format)
    except msgspec.ValidationError as error:
        raise NotCanonical(f"{bucket.address}/format.json", str(error)) from None
    if found.format != 1:
        raise NewerFormat(bucket.address, f"format {found.format}")
    check_place_id(found.id, bucket.address)
    if unknown := sorted(set(found.read) - KNOWN_FEATURES):
        raise NewerFormat(bucket.address, ", ".join(unknown))
    return found


def check_place_id(place_id: str, where: str) -> str:
    """Return the id of a place if it is one, else raise `NotCanonical`: it becomes a file name."""
    if not re.fullmatch("[0-9a-f]{32}", place_id):
        raise NotCanonical(f"the id of {where}", "it is not 32 hex digits")
    return place_id


def check_writable(place: Place) -> None:
    """Check that this cellbank knows all that a writer must know, else raise `NewerFormat`."""
    if unknown := sorted(set(place.format.write) - KNOWN_FEATURES):
        raise NewerFormat(place.address, ", ".join(unknown))
