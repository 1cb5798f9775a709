"""One package of a family: its documents and metadata tables, made of records, and built."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from cellbank.cells.documents import as_bytes, image_path, info_of, info_path
from cellbank.cells.family import Member, records_of
from cellbank.cells.metadata import Tables
from cellbank.cells.readme import Channels, readme_of
from cellbank.cells.recipe import Recipe
from cellbank.cells.records import Found, Kept
from cellbank.cells.relations import Relations
from cellbank.cells.schema import Collected, schema_of
from cellbank.cells.taking import Taken
from cellbank.cells.values import Spec
from cellbank.model.digest import SMALL_BELOW
from cellbank.model.reference import Package
from cellbank.packages.build import Built, Prepared, build
from cellbank.packages.carried import Carried
from cellbank.packages.recording import Stamp
from cellbank.packages.scan import Source
from cellbank.packages.staging import Stager
from cellbank.storage.store import Store


class Whole(msgspec.Struct, frozen=True):
    """What all packages of a family are made of.

    `source` is what the attributes of all records were seen to hold; `new_tables` begins the
    metadata tables of a package; `included` comes from other packages into each.
    """

    owner: str
    root: str
    recipe: Recipe
    found: Mapping[str, Kept]
    relations: Relations
    taken: Mapping[str, Mapping[str, Taken]]
    specs: Mapping[str, list[Spec]]
    source: Collected
    new_tables: Callable[[], Tables]
    included: Sequence[Carried] = ()


class Making:
    """A package in the making."""

    def __init__(self, whole: Whole, member: Member) -> None:
        self._whole = whole
        self._member = member
        self._chosen = None if member.sort == "all" else member.chosen

    def build(self, store: Store, stager: Stager, stamp: Stamp) -> Built:
        """Build it; the images are on the stager's shelf."""
        whole = self._whole
        package = Package(whole.owner, self._member.name)
        tables = whole.new_tables()
        try:
            here, channels = Collected(whole.specs), Channels()
            for kind, record, info in self._infos():
                here.add(kind, record.id, info)
                tables.add(kind, record.id, info, self._image_row(kind, record))
                if kind == "fov":
                    channels.add(info)
            schema = as_bytes(schema_of(here, whole.source))
            readme = readme_of(
                str(package), self._member, whole.recipe, channels, self._first_axes()
            )
            return build(
                store,
                package,
                whole.root,
                self._sources(readme, schema),
                stamp=stamp,
                prepared=Prepared("cell_lines", lambda _: tables.write(), stager, whole.included),
            )
        finally:
            tables.close()

    def small_images(self) -> Iterator[str]:
        """Yield the digests of its images that are small enough to be in its packs."""
        for kind, record in records_of(self._member, self._whole.found):
            taken = self._whole.taken.get(kind, {}).get(record.id)
            if taken is not None and taken.known.look.size < SMALL_BELOW:
                yield taken.known.digest

    def _said(self) -> dict[str, Any]:
        """Return what the package says of itself, for its citation; what is empty is left out."""
        recipe = self._whole.recipe
        said = {
            "title": self._member.title,
            "authors": recipe.authors,
            "cite": recipe.cite,
            "license": recipe.license,
        }
        return {name: value for name, value in said.items() if value}

    def _infos(self) -> Iterator[tuple[str, Found, dict[str, Any]]]:
        for kind, record in records_of(self._member, self._whole.found):
            related = self._whole.relations.of_record(kind, record.id)
            yield kind, record, info_of(record, related, self._chosen)

    def _first_axes(self) -> str:
        """Return the axes of the first field's image, or nothing."""
        first = min(self._member.chosen["fovs"], default="")
        taken = self._whole.taken.get("fov", {}).get(first)
        return taken.facts.header.axes if taken and taken.facts.header else ""

    def _image_row(self, kind: str, record: Found) -> tuple[str, str, int] | tuple[()]:
        taken = self._whole.taken.get(kind, {}).get(record.id)
        if taken is None:
            return ()
        return image_path(kind, record.id), taken.known.digest, taken.known.look.size

    def _sources(self, readme: bytes, schema: bytes) -> Iterator[Source]:
        """Yield the sources of all entries, those that are bytes in the order of their paths."""
        yield Source.of_bytes("README", readme, "README.md", self._said())
        yield Source.of_bytes("SCHEMA", schema, "SCHEMA.json")
        for kind, record, info in self._infos():
            taken = self._whole.taken.get(kind, {}).get(record.id)
            if taken is not None:
                yield _image_source(image_path(kind, record.id), taken)
            yield Source.of_bytes(info_path(kind, record.id), as_bytes(info), f"{record.id}.json")


def _image_source(path: str, taken: Taken) -> Source:
    if taken.source.file and taken.known.look.size < SMALL_BELOW:
        # Read again only if it is no longer at hand; it must still be what was checked.
        return msgspec.structs.replace(
            taken.source, path=path, filename=taken.filename, known=taken.known
        )
    return Source.of_known(path, taken.known, taken.filename)
