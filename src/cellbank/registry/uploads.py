"""The pushes under way: begun, found again, put aside."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from cellbank.model.digest import digest_of
from cellbank.model.errors import NotFound
from cellbank.model.log import Draft, Kept
from cellbank.model.reference import Package
from cellbank.registry.index import Index
from cellbank.registry.pushed import Pushed
from cellbank.registry.session import Session
from cellbank.storage.local import LocalBucket
from cellbank.storage.place import Place

MAX_UPLOADS: Final = 16
IDLE_SECONDS: Final = 3600.0
"""A push that nobody went on with for so long is put aside: the same command takes it up again."""


class Uploads:
    """The pushes under way.

    Invariant: at most 16 a principal; the one that was idle longest makes room.
    """

    def __init__(self, place: Place, files: LocalBucket, index: Index) -> None:
        self._place = place
        self._files = files
        self._index = index
        self._sessions: dict[tuple[str, str], Session] = {}
        self._lock = threading.Lock()

    def begin(
        self,
        package: Package,
        principal: str,
        header: bytes,
        readable: Callable[[], Iterable[Package]],
    ) -> Session:
        """Return the push of this revision to this package by this principal, new or as it was."""
        pushed = Pushed(header)
        text = f"{package}\n{pushed.revision}\n{principal}\n{self._place.id}"
        name = digest_of(text.encode())[:32]
        with self._lock:
            session = self._sessions.get((principal, name))
            if session is not None and session.broken:
                self._sessions.pop((principal, name)).release(done=False)
                session = None
            if session is None:
                self._put_idle_aside()
                self._make_room(principal)
                session = Session(
                    self._place, self._files, self._index, readable, package, name, pushed
                )
                self._sessions[principal, name] = session
            session.touch()
        session.open()
        return session

    def _put_idle_aside(self) -> None:
        now = time.monotonic()
        for key, session in list(self._sessions.items()):
            if now - session.touched > IDLE_SECONDS:
                self._sessions.pop(key).release(done=False)

    def _make_room(self, principal: str) -> None:
        mine = [key for key in self._sessions if key[0] == principal]
        if len(mine) >= MAX_UPLOADS:
            oldest = min(mine, key=lambda key: self._sessions[key].touched)
            self._sessions.pop(oldest).release(done=False)

    def get(self, package: Package, principal: str, name: str) -> Session:
        """Return a push that was begun; raises `NotFound`."""
        with self._lock:
            session = self._sessions.get((principal, name))
        if session is None or session.broken or session.package != package:
            raise NotFound(
                "this push is not known here any more", "Run the same command again: it goes on."
            )
        session.touch()
        return session

    def done(self, principal: str, session: Session) -> None:
        """Forget a push whose record is written."""
        with self._lock:
            self._sessions.pop((principal, session.name), None)
        session.release(done=True)

    def close(self) -> None:
        """Let go of everything; what came stays in staging."""
        with self._lock:
            sessions, self._sessions = list(self._sessions.values()), {}
        for session in sessions:
            session.release(done=False)


def already(place: Place, package: Package, draft: Draft) -> Kept | None:
    """Return the record that an earlier try of the same event made, if it did."""
    for kept, _ in zip(_records(place, package), range(16), strict=False):
        if kept.record.nonce == draft.nonce:
            return kept
    return None


def _records(place: Place, package: Package) -> Iterator[Kept]:
    return place.records(package) if place.newest(package) is not None else iter(())
