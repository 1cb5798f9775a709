"""What pages tell of a revision, read from the registry's place once: revisions never change."""

import functools
from itertools import islice
from pathlib import Path
from typing import Final

import msgspec

from cellbank.catalog.contents import Contents, contents_of
from cellbank.catalog.memory import Memory
from cellbank.catalog.readme import Readme, read_readme, title_of
from cellbank.catalog.schema import MAX_BYTES, Schema, read_schema
from cellbank.model.digest import SMALL_BELOW, digest_of
from cellbank.model.errors import (
    DigestMismatch,
    IntegrityError,
    NotFound,
    PackageNotFound,
)
from cellbank.model.log import Record, State
from cellbank.model.manifest import Entry, ManifestReader, decode_header
from cellbank.model.reference import Package, Reference, by_name, by_prefix
from cellbank.packages.citation import Said, credit, said_of
from cellbank.registry.service import Registry

MAX_README: Final = 1 << 20
MAX_LISTED: Final = 2_000_000
"""A package with more entries than this is not counted through for a page."""
LOOK_BACK: Final = 20


class Card(msgspec.Struct, frozen=True):
    """What a list tells of a package; where it is damaged, `entries` is None."""

    title: str = ""
    entries: int | None = None
    size: int = 0


class Summary(msgspec.Struct, frozen=True):
    """What a page tells of a revision; `contents` is None where there is too much of it."""

    entries: int
    size: int
    readme: Readme
    contents: Contents | None
    has_schema: bool
    licence: str
    said: Said


class Shelf:
    """The packages of a registry, as pages show them.

    Whoever calls has asked the registry whether the caller may read the package: what is
    remembered here is the same for all who may.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._cards: Memory[Card] = Memory(2_000)
        self._summaries: Memory[Summary] = Memory(32)
        self._schemas: Memory[Schema] = Memory(32)
        self._credits: Memory[tuple[str, str]] = Memory(2_000)

    # --- the log

    def newest(self, package: Package, where: str) -> Record:
        """Return the newest record; a package that was deleted, or never pushed, is not there."""
        record = self._registry.newest(package, where).record
        if record.state.deleted or not record.state.latest:
            raise PackageNotFound(str(package), where)
        return record

    def revision(self, reference: Reference, state: State) -> str:
        """Return the revision that a reference names; raises `RevisionNotFound`."""
        package = reference.package
        if reference.revision:
            return self._by_prefix(package, reference.revision, state)
        if reference.version:
            return by_name(package, "version", reference.version, state.versions)
        if reference.tag and reference.tag != "latest":
            return by_name(package, "tag", reference.tag, state.tags)
        return state.latest

    def _by_prefix(self, package: Package, prefix: str, state: State) -> str:
        if prefix == state.latest:
            return prefix
        return by_prefix(package, prefix, self._registry.index.reach(package).revisions)

    def history(self, package: Package, where: str) -> list[Record]:
        """Return the last records of the log, newest first."""
        found = self._registry.records(package, where, None, LOOK_BACK)
        return [kept.record for kept in found]

    def pushed(self, package: Package) -> str:
        """Return when the package was last pushed, if that is not long ago in its log."""
        records = islice(self._registry.place.records(package), LOOK_BACK)
        return next((k.record.time for k in records if k.record.event == "push"), "")

    def credit(self, package: Package, revision: str) -> tuple[str, str]:
        """Return who brought a revision, and when: what the log said first stays so."""

        def look() -> tuple[str, str]:
            records = (kept.record for kept in self._registry.place.records(package))
            return credit(records, revision)

        return self._credits.get((package, revision), look)

    # --- revisions

    def card(self, package: Package, state: State) -> Card:
        """Return what a list tells of the newest revision."""

        def look() -> Card:
            reader = self._reader(package, state.latest)
            data = self._document(package, reader, ("README", "README.md"), state, MAX_README)
            title = title_of(data.decode(errors="replace")) if data else ""
            return Card(title, reader.header.entries, reader.header.bytes)

        try:
            return self._cards.get((package, state.latest, len(state.gone)), look)
        except IntegrityError:
            return Card()

    def summary(self, package: Package, revision: str, state: State) -> Summary:
        """Return what the page of a revision tells; raises `IntegrityError` where it is damaged."""

        def look() -> Summary:
            reader = self._reader(package, revision)
            header = reader.header
            readme = self._readme(package, reader, state)
            said = said_of(reader.find("README"))
            data = self._document(package, reader, ("SCHEMA",), state, MAX_BYTES)
            schema = None if data is None else self.schema(package, revision, state)
            return Summary(
                header.entries,
                header.bytes,
                readme,
                contents_of(reader) if header.entries <= MAX_LISTED else None,
                schema is not None,
                readme.licence or said.license or (schema.licence if schema else ""),
                said,
            )

        return self._summaries.get((package, revision, len(state.gone)), look)

    def _readme(self, package: Package, reader: ManifestReader, state: State) -> Readme:
        names = ("README", "README.md")
        entry = _first(reader, names)
        if entry is None:
            return Readme(note="This package has no README.")
        data = self._document(package, reader, names, state, MAX_README)
        if data is None:
            return Readme(note="This README is too large to be shown, or its bytes are gone.")
        return read_readme(data)

    def schema(self, package: Package, revision: str, state: State) -> Schema | None:
        """Return the SCHEMA of a revision, or None if it has none."""

        def look() -> Schema:
            reader = self._reader(package, revision)
            data = self._document(package, reader, ("SCHEMA",), state, MAX_BYTES)
            if data is None:
                raise NotFound(f"{package} has no SCHEMA that can be shown")
            return read_schema(data)

        try:
            return self._schemas.get((package, revision, len(state.gone)), look)
        except NotFound:
            return None

    def _reader(self, package: Package, revision: str) -> ManifestReader:
        read = functools.partial(self._registry.place.read_small, package)
        return ManifestReader(decode_header(read(revision)), read)

    def _document(
        self,
        package: Package,
        reader: ManifestReader,
        names: tuple[str, ...],
        state: State,
        limit: int,
    ) -> bytes | None:
        """Return the bytes of the first of these entries, if it is there and not too large."""
        entry = _first(reader, names)
        if entry is None or entry.size > limit or entry.digest in state.gone:
            return None
        if entry.size < SMALL_BELOW:
            return self._registry.place.read_small(package, entry.digest)
        try:
            path, _ = self._registry.large(package, "", entry.digest)
        except NotFound:
            return None
        data = Path(path).read_bytes()
        if digest_of(data) != entry.digest:
            raise DigestMismatch(f"{package}/{entry.path}", entry.digest, digest_of(data))
        return data


def _first(reader: ManifestReader, names: tuple[str, ...]) -> Entry | None:
    return next((entry for name in names if (entry := reader.find(name)) is not None), None)
