"""A pushed manifest: taken apart and checked before a single object of it is accepted."""

from collections.abc import Mapping
from typing import Final

import msgspec

from cellbank.model.digest import SMALL_BELOW, digest_of
from cellbank.model.errors import (
    BadInput,
    BadPack,
    DigestMismatch,
    InvalidPaths,
    NotCanonical,
)
from cellbank.model.log import Table
from cellbank.model.manifest import (
    MAX_PAGE_BYTES,
    Header,
    check_manifest,
    decode_header,
    decode_page,
)
from cellbank.model.names import path_problems
from cellbank.registry.index import pieces_size
from cellbank.registry.parts import Expected
from cellbank.storage.packs import MAX_OBJECT_BYTES

MAX_MANIFEST_BYTES: Final = 512 << 20
MAX_HEADER_BYTES: Final = MAX_OBJECT_BYTES


class Named(msgspec.Struct, frozen=True):
    """What a push names: small objects with their sizes, large ones with what to expect."""

    small: dict[str, int]
    large: dict[str, Expected]


class Pushed:
    """The manifest of one push.

    Invariant: `named` is set only when the whole manifest is here and keeps every rule. Tables that
    the push brings count among it.
    """

    def __init__(self, header: bytes) -> None:
        if len(header) > MAX_HEADER_BYTES:
            raise BadInput(f"a header may have {MAX_HEADER_BYTES} bytes")
        self.data = header
        self.header: Header = decode_header(header)
        self.revision = digest_of(header)
        if any(page.bytes > MAX_PAGE_BYTES for page in self.header.pages):
            raise NotCanonical("a header", "a page is larger than 4 MiB")
        if sum(page.bytes for page in self.header.pages) > MAX_MANIFEST_BYTES:
            raise BadInput("the manifest is larger than this registry takes")
        self.parts = {self.revision: len(header)}
        self.parts |= {page.digest: page.bytes for page in self.header.pages}
        self._pages: dict[str, bytes] = {}
        self.named: Named | None = None
        self._entries: Named | None = None

    def take(self, digest: str, data: bytes) -> None:
        """Take a page; raises `BadInput` for what is no part of this manifest."""
        if self.parts.get(digest) != len(data):
            raise BadInput(f"the manifest does not name the object {digest}")
        if digest != self.revision:
            self._pages[digest] = data

    def pages_here(self) -> set[str]:
        """Return the digests of the pages that were taken."""
        return set(self._pages)

    def check(self) -> Named:
        """Check the whole manifest; return what it names.

        Raises `NotCanonical` or `InvalidPaths`: it breaks a rule.
        """
        if self.named is None:
            check_manifest(self.data, self._pages.__getitem__)
            named = Named({}, {})
            paths = []
            for page in self.header.pages:
                for entry in decode_page(self._pages[page.digest]):
                    paths.append(entry.path)
                    self._name(named, entry.digest, entry.size, entry.pieces)
            problems = path_problems(paths)
            if problems:
                raise InvalidPaths([f"{path}: {why}" for path, why in problems.items()][:100])
            self.named = self._entries = named
            self._pages = {}
        return self.named

    def name_tables(self, tables: Mapping[str, Table]) -> None:
        """Count tables among what is named, in place of those that were told before.

        Raises `NotCanonical`: one is named with two sizes.
        """
        entries = self._entries
        if entries is None or (not tables and self.named is entries):
            return
        named = Named(dict(entries.small), dict(entries.large)) if tables else entries
        for table in tables.values():
            known = named.large.get(table.digest)
            if known is not None:
                _agree(known.size, table.size, table.digest)
            else:
                self._name(named, table.digest, table.size, None)
        self.named = named

    @staticmethod
    def _name(named: Named, digest: str, size: int, pieces: str | None) -> None:
        if pieces is not None and pieces_size(size) > MAX_OBJECT_BYTES:
            # A list that fits in no pack travels as a file of its own.
            Pushed._name(named, pieces, pieces_size(size), None)
        elif pieces is not None:
            _agree(named.small.setdefault(pieces, pieces_size(size)), pieces_size(size), pieces)
        if size < SMALL_BELOW:
            _agree(named.small.setdefault(digest, size), size, digest)
            return
        known = named.large.setdefault(digest, Expected(digest, size, pieces))
        _agree(known.size, size, digest)
        if known.pieces != pieces:
            raise NotCanonical("the manifest", f"{digest} has two lists of pieces")

    def check_object(self, digest: str, data: bytes) -> None:
        """Check that a small object is one that the manifest names, with the size it says.

        Parts of the manifest are too: a pack of them whose answer was lost is sent again.
        """
        named = self.named.small if self.named is not None else {}
        size = named.get(digest, self.parts.get(digest))
        if size is None:
            raise BadPack("the pack", f"the manifest does not name the object {digest}")
        if size != len(data):
            raise DigestMismatch(f"the object {digest[:12]}", f"{size} bytes", f"{len(data)}")


def _agree(one: int, two: int, digest: str) -> None:
    if one != two:
        raise NotCanonical("the manifest", f"{digest} has two sizes")
