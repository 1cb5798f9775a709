"""The registry itself: one place, who may do what in it, and pushes under way."""

import logging
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import Final

import msgspec

from cellbank.model.errors import (
    BadInput,
    CellbankError,
    InvalidName,
    NotFound,
    NotSignedIn,
    PackageNotFound,
    RevisionNotFound,
)
from cellbank.model.log import Draft, Kept, check_tables
from cellbank.model.names import check_name
from cellbank.model.reference import Package
from cellbank.registry.index import Index, Reach
from cellbank.registry.session import Session
from cellbank.registry.tokens import Caller, Settings, caller_of, open_settings
from cellbank.registry.uploads import Uploads, already
from cellbank.storage.compact import compact
from cellbank.storage.layout import object_key, package_key
from cellbank.storage.local import LocalBucket, remove_stale_staging
from cellbank.storage.place import Place, check_writable
from cellbank.storage.remote import BucketRemote

EVENTS: Final = ("tag", "version", "yank", "unyank", "freeze", "unfreeze", "move", "delete")
"""What may be appended by itself. A push comes with its objects, and so do tables."""
MAX_TEXT: Final = 64 << 10

log = logging.getLogger(__name__)


class Registry:
    """A place that is served.

    Invariant: what a caller may not read looks to them exactly like what is not there.
    """

    def __init__(self, place: Place, files: LocalBucket, settings: Settings) -> None:
        self.place = place
        self.files = files
        self.settings = settings
        self.index = Index(place)
        self.uploads = Uploads(place, files, self.index)
        self._appending: dict[Package, threading.Lock] = {}
        self._lock = threading.Lock()

    @classmethod
    def open(cls, folder: str, *, public: bool | None = None) -> "tuple[Registry, str | None]":
        """Open the place in a folder, made if needed; return also a token that was made just now.

        Raises `BadInput`: the folder holds other files.
        Raises `NewerFormat`: it needs a newer cellbank.
        """
        files = LocalBucket(folder)
        fresh = not files.names("")
        place = BucketRemote.open(folder, create=True).place
        check_writable(place)
        settings, token = open_settings(files, fresh=fresh, public=public)
        remove_stale_staging(files)
        return cls(place, files, settings), token

    def close(self) -> None:
        """Let go of the pushes under way; they can be gone on with."""
        self.uploads.close()

    # --- who

    def caller(self, authorization: str | None, where: str) -> Caller:
        """Return who sends this header; raises `NotSignedIn` for a token that is not good."""
        return caller_of(self.settings, authorization, where)

    @staticmethod
    def check_may_write(caller: Caller, where: str) -> None:
        """Raise `NotSignedIn` unless the caller may push."""
        if not caller.signed_in:
            raise NotSignedIn(where)

    # --- what

    def package(self, owner: str, name: str, where: str) -> Package:
        """Return the package of this name; a name that cannot be is one that is not there."""
        try:
            return Package(check_name("an owner", owner), check_name("a package", name))
        except InvalidName:
            raise PackageNotFound(f"{owner}/{name}", where) from None

    @staticmethod
    def checked_package(owner: str, name: str) -> Package:
        """Return the package of this name for someone who writes; raises `InvalidName`."""
        return Package(check_name("an owner", owner), check_name("a package", name))

    def may_read(self, caller: Caller, package: Package) -> bool:
        """Whether the caller may read the package now."""
        return caller.signed_in or self.place.is_public(package)

    def readable(self, caller: Caller) -> list[Package]:
        """Return the packages that the caller may read, sorted."""
        return [p for p in self.place.packages() if self.may_read(caller, p)]

    def check_may_read(self, caller: Caller, package: Package, where: str) -> None:
        """Raise what is raised for a package that is not there, unless the caller may read it."""
        if not self.may_read(caller, package):
            raise PackageNotFound(str(package), where)

    def newest(self, package: Package, where: str) -> Kept:
        """Return the newest record, else raise `PackageNotFound`."""
        newest = self.place.newest(package)
        if newest is None:
            raise PackageNotFound(str(package), where)
        return newest

    def records(self, package: Package, where: str, before: int | None, limit: int) -> list[Kept]:
        """Return up to `limit` records below number `before`, newest first."""
        self.newest(package, where)
        older = (
            k for k in self.place.records(package) if before is None or k.record.number < before
        )
        return list(islice(older, limit))

    def _reach(self, package: Package, where: str, wanted: str = "") -> Reach:
        reach = self.index.reach(package, wanted=wanted)
        if not reach.revisions:
            raise PackageNotFound(str(package), where)
        return reach

    def small(self, package: Package, where: str, digests: list[str]) -> Iterator[bytes]:
        """Yield packs with those of the objects that the package reaches."""
        reach = self._reach(package, where)
        return self.place.packs_of(package, [d for d in digests if d in reach.small])

    def large(self, package: Package, where: str, digest: str) -> tuple[str, int]:
        """Return the file and the size of a large object that the package reaches.

        Raises `NotFound` where it does not, or where the object is lost.
        """
        size = self._reach(package, where, digest).large.get(digest)
        if size is None or self.place.bucket.size(object_key(digest)) != size:
            raise NotFound(f"{package} has no object {digest}", "Ask for its newest revision.")
        return self.files.path(object_key(digest)), size

    # --- writing

    def begin(self, caller: Caller, package: Package, header: bytes) -> Session:
        """Begin a push, or go on with one."""
        return self.uploads.begin(package, caller.name, header, lambda: self.readable(caller))

    def commit(
        self, caller: Caller, package: Package, name: str, draft: Draft, *, public: bool | None
    ) -> Kept:
        """Append the record of a push, or of tables; the same draft again gives the same record.

        Raises `RevisionNotFound`: the tables are of a revision that was never pushed here.
        """
        _check_draft(draft)
        with self._one_at_a_time(package):
            done = already(self.place, package, draft)
            if done is not None:
                return done
            session = self.uploads.get(package, caller.name, name)
            about = draft.event in ("push", "tables")
            if not about or draft.revision != session.pushed.revision:
                raise BadInput("the draft is not about the revision that was sent")
            if draft.event == "tables":
                self._check_pushed(package, draft.revision)
            kept = session.finish(
                draft.tables, lambda: self._append_push(caller, package, draft, public)
            )
            self.uploads.done(caller.name, session)
        try:
            compact(self.place, package)
        except (OSError, CellbankError) as error:
            log.warning("%s: packs were not compacted: %s", package, error)
        return kept

    def _append_push(
        self, caller: Caller, package: Package, draft: Draft, public: bool | None
    ) -> Kept:
        key = package_key(package, "access.json")
        if self.place.bucket.size(key) is None and self.place.newest(package) is None:
            # Before the record, so that the package is never seen with another access.
            choice = self.settings.public if public is None else public
            self.place.set_public(package, public=choice)
            return self.place.append(package, _signed(draft, caller))
        kept = self.place.append(package, _signed(draft, caller))
        if public is not None:
            self.place.set_public(package, public=public)
        return kept

    def append(self, caller: Caller, package: Package, draft: Draft) -> Kept:
        """Append an event that brings no objects.

        Raises `RevisionNotFound`: it names a revision that was never pushed to this package.
        """
        _check_draft(draft)
        if draft.event not in EVENTS:
            raise BadInput(f"a {draft.event!r} event cannot be appended by itself")
        with self._one_at_a_time(package):
            done = already(self.place, package, draft)
            if done is not None:
                return done
            if draft.revision:
                self._check_pushed(package, draft.revision)
            if draft.event == "version" and not draft.revision:
                raise BadInput("a version must name a revision")
            return self.place.append(package, _signed(draft, caller))

    def _check_pushed(self, package: Package, revision: str) -> None:
        if revision not in self.index.reach(package).revisions:
            raise RevisionNotFound(str(package), f"revision {revision[:12]}")

    def _one_at_a_time(self, package: Package) -> threading.Lock:
        with self._lock:
            return self._appending.setdefault(package, threading.Lock())


def _check_draft(draft: Draft) -> None:
    if not draft.nonce or len(draft.nonce) > 64:
        raise BadInput("a draft needs a nonce of at most 64 characters")
    if sum(map(len, (draft.message, draft.author, draft.name))) > MAX_TEXT:
        raise BadInput("the message is too long")
    if draft.packs:
        raise BadInput("packs are the registry's to name")
    if bool(draft.tables) > (draft.event in ("push", "tables")):
        raise BadInput(f"a {draft.event!r} event names no tables")
    if draft.event == "tables" and not draft.tables:
        raise BadInput("a 'tables' event must name tables")
    check_tables(draft.tables)


def _signed(draft: Draft, caller: Caller) -> Draft:
    """Return the draft with its author, and the time by our clock."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return msgspec.structs.replace(draft, author=draft.author or caller.name, time=now)
