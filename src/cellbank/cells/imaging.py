"""The images of the records: taken into the store, looked at, held against their tables."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor
from typing import Final

from cellbank.cells import checks, recipe
from cellbank.cells.inspect import Where
from cellbank.cells.looking import Looker
from cellbank.cells.pictures import Finder, tell
from cellbank.cells.problems import Problems
from cellbank.cells.records import Found, Kept
from cellbank.cells.taking import Taken, Taker
from cellbank.images.header import Header
from cellbank.model.digest import SMALL_BELOW
from cellbank.model.progress import Watcher
from cellbank.packages.copying import look_again, restless
from cellbank.packages.scan import Source
from cellbank.packages.staging import Stager
from cellbank.storage.store import Store

SEGMENTATIONS: Final = ("cell_seg", "nuclei_seg", "structure_seg")
Trio = tuple[Taken, Taken, Taken | None]
"""The segmentations of a field: cells, nuclei, and the structure if there is one."""


class Images:
    """The images of all records.

    Parameters
    ----------
    path
        The recipe; no image lies outside of its folder.
    store
        Where they are taken to.
    stager
        Brings files there.
    problems
        Gets all that is wrong.
    watch
        Is told of progress.
    executor
        Where images are looked at; default: processes of this machine.
    """

    def __init__(
        self,
        path: str,
        store: Store,
        stager: Stager,
        problems: Problems,
        watch: Watcher,
        executor: Executor | None,
    ) -> None:
        root = os.path.realpath(os.path.dirname(path))
        self._stager = stager
        self._problems = problems
        self._looker = Looker(store, f"{root}/{os.path.basename(path)}", executor)
        self._finder = Finder(root, problems)
        self._taker = Taker(stager, self._looker, problems, watch)
        self.taken: dict[str, dict[str, Taken]] = {}
        self._read_again: list[Source] = []

    @property
    def read(self) -> int:
        """How many images were new or changed, and had to be read."""
        return self._taker.read

    def take(
        self, found: Mapping[str, Kept], records: recipe.Records, commit: Callable[[], None]
    ) -> None:
        """Take the images of all records, let `commit` make them durable, and look at them."""
        pictures = list(self._finder.pictures(found, records))
        for picture, one in zip(pictures, self._taker.take(pictures), strict=True):
            if one is not None:
                self.taken.setdefault(picture.record.kind, {})[picture.record.id] = one
        del pictures
        commit()
        there = [one for taken in self.taken.values() for one in taken.values()]
        new = [one for one in there if one.known.digest not in self._looker.before.images]
        size = sum(one.known.look.size for one in new)
        self._looker.images({one.known.digest: one for one in there}, self._where, size)
        for one in there:
            one.facts = self._looker.after.images[one.known.digest]

    def _where(self, one: Taken) -> Where:
        if not one.source.file and one.known.look.size < SMALL_BELOW:
            return self._stager.small(one.known.digest) or b""
        if one.known.look.size < SMALL_BELOW:
            self._read_again.append(one.source)
        return self._stager.path(one.known, one.source.file)

    # --- checking

    def check(
        self, found: Mapping[str, Kept], records: recipe.Records, label_overlap: float
    ) -> None:
        """Hold all images against their tables and against each other."""
        for kind, taken in self.taken.items():
            image = _image_of(records, kind)
            for name, one in taken.items():
                record = found[kind].records[name]
                if one.facts.header is None:
                    what = f"{record.files[0]}: {one.facts.problem}"
                    self._tell(record, image, what, one.facts.advice or "Export it again.")
                    continue
                faults = list(checks.check_image(record, image, one.facts.header))
                faults += self._beside_field(record, one.facts.header)
                self._tell_all(record, image, faults)
        self._check_labels(found, records, label_overlap)
        self._check_unchanged()

    def _check_unchanged(self) -> None:
        """Check that the files that were looked at are those that were hashed before.

        Raises `BadInput`: one has changed, so that it is not known what was looked at.
        """
        for source in self._read_again:
            if look_again(source) != source.look:
                raise restless(source)
        self._read_again = []

    def _tell(self, record: Found, image: recipe.Image, what: str, advice: str) -> None:
        tell(self._problems, record, image, what, advice)

    def _tell_all(self, record: Found, image: recipe.Image, faults: Iterable[checks.Fault]) -> None:
        for fault in faults:
            what = f"{record.files[0]}: {fault.what}"
            tell(self._problems, record, image, what, fault.advice, error=fault.error)

    def _beside_field(self, record: Found, header: Header) -> Iterator[checks.Fault]:
        for name in record.above.get("fov", ()):
            field = self.taken.get("fov", {}).get(name)
            if field is not None and field.facts.header is not None:
                yield from checks.check_against_field(header, field.facts.header, name)

    # --- labels

    def _check_labels(
        self, found: Mapping[str, Kept], records: recipe.Records, label_overlap: float
    ) -> None:
        by_field = self._by_field(found)
        trios = {
            field: trio
            for field, parts in by_field.items()
            if (trio := self._trio(parts)) is not None
        }
        keys = {field: _key(trio) for field, trio in trios.items()}
        self._learn_pairs({keys[field]: trio for field, trio in trios.items()})
        for field, key in keys.items():
            parts, facts = by_field[field], self._looker.after.pairs[key]
            nucleus, image = parts["nuclei_seg"], _image_of(records, "nuclei_seg")
            if facts.labels is None:
                what = f"{nucleus.files[0]}: {facts.problem}"
                self._tell(nucleus, image, what, facts.advice or "Export it again.")
                continue
            self._tell_all(nucleus, image, checks.check_labels(facts.labels, label_overlap))
            if "structure_seg" in parts:
                image = _image_of(records, "structure_seg")
                faults = checks.check_structure(facts.labels)
                self._tell_all(parts["structure_seg"], image, faults)

    def _by_field(self, found: Mapping[str, Kept]) -> dict[str, dict[str, Found]]:
        """Return the segmentations of each field of view: field → kind → the first of them."""
        by_field: dict[str, dict[str, Found]] = {}
        for kind in SEGMENTATIONS:
            for name, one in self.taken.get(kind, {}).items():
                record = found[kind].records[name]
                if one.facts.header is not None and checks.is_label(one.facts.header):
                    for field in record.above.get("fov", ()):
                        by_field.setdefault(field, {}).setdefault(kind, record)
        return by_field

    def _trio(self, parts: Mapping[str, Found]) -> Trio | None:
        """Return segmentations that can be compared: there and of one shape."""
        cells, nuclei, structure = (
            self.taken[kind][parts[kind].id] if kind in parts else None for kind in SEGMENTATIONS
        )
        if cells is None or nuclei is None or not _same_shape(cells, nuclei):
            return None
        if structure is not None and not _same_shape(cells, structure):
            structure = None
        return cells, nuclei, structure

    def _learn_pairs(self, trios: Mapping[str, Trio]) -> None:
        def where(trio: Trio) -> tuple[Where, Where, Where]:
            cells, nuclei, structure = trio
            third = self._where(structure) if structure else ""
            return self._where(cells), self._where(nuclei), third

        new = [trio for key, trio in trios.items() if key not in self._looker.before.pairs]
        # They are decoded, which takes longer than their bytes tell.
        size = sum(8 * cells.known.look.size for cells, _, _ in new)
        self._looker.pairs(trios, where, size)

    def remember(self, *, keep: bool) -> None:
        """Remember for the next build what was learned, with `keep` also what was known before."""
        self._looker.save(keep=keep)

    def close(self) -> None:
        """End what was started to look at images."""
        self._looker.close()


def _image_of(records: recipe.Records, kind: str) -> recipe.Image:
    """Return what the recipe says of the images of a kind that has some."""
    image = getattr(records, kind).image
    assert isinstance(image, recipe.Image)  # noqa: S101  one of them was taken
    return image


def _key(trio: Trio) -> str:
    return ":".join(one.known.digest for one in trio if one is not None)


def _same_shape(one: Taken, other: Taken) -> bool:
    first, second = one.facts.header, other.facts.header
    return first is not None and second is not None and first.shape == second.shape
