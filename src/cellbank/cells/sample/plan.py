"""Which wells and fields of view the export has: decided by their number and the seed alone."""

import hashlib
from collections import Counter
from itertools import chain, cycle
from typing import Any, Final

import msgspec

from cellbank.cells.sample.culture import culture, drawn
from cellbank.cells.sample.facts import (
    LINES,
    NAMED_FOV,
    NAMED_LINE,
    NAMED_PLATE,
    NAMED_WELL,
    PLATES,
    Line,
    Plate,
)
from cellbank.model.errors import BadInput

FEWEST: Final = 12
"""One for every line, and two more to ask questions about."""

SEGMENTATIONS: Final = {"cell": "cell", "nuclei": "nuc", "structure": "struct"}
"""Kind of segmentation → what its key begins with."""


class Well(msgspec.Struct, frozen=True):
    """A well: one line on one plate, and how its cells were grown."""

    plate: Plate
    line: Line
    name: str
    culture: dict[str, Any]
    image_id: int

    @property
    def key(self) -> str:
        """The well's name in tables and packages."""
        return f"{self.plate.name}_well_{self.name}"


class Fov(msgspec.Struct, frozen=True):
    """A field of view; `number` is the order in which they were planned."""

    number: int
    key: str
    well: Well
    raw: str
    scene: int
    position: int
    image_id: int

    @property
    def image(self) -> str:
        """The path of its image in the export."""
        return f"images/fovs/{self.raw}.ome.tiff"

    def segmentation(self, kind: str) -> tuple[str, str]:
        """Return the key and the path of one of its segmentations, the whole name in both."""
        rest = self.raw.removeprefix(self.well.plate.barcode).replace("-", "_")
        key = f"{SEGMENTATIONS[kind]}_{self.well.key}{rest}"
        return key, f"images/segmentations/{kind}/{self.raw}_{kind}.ome.tiff"


class Plan(msgspec.Struct, frozen=True):
    """What is in the export, before anything of it is made."""

    wells: list[Well]
    fovs: list[Fov]


def make_plan(fovs: int, seed: int) -> Plan:
    """Return the wells, and so many fields of view, of all lines.

    The named field of view is the first, and sorts first; its plate has at most a quarter of them.
    Raises `BadInput` below twelve.
    """
    if fovs < FEWEST:
        raise BadInput(
            f"{fovs} fields of view are too few for ten lines", f"Ask for {FEWEST} or more."
        )
    places = _places(fovs)
    named = next(line for line in LINES if line.name == NAMED_LINE)
    wells = _wells({(line, home) for line, home in places} | {(named, h) for h in named.home}, seed)
    by_place = {(well.line.name, well.plate.barcode): well for well in wells}
    seen: Counter[str] = Counter()
    made = []
    for number, (line, home) in enumerate(places):
        made.append(_fov(number, by_place[line.name, home], seen[home], seed))
        seen[home] += 1
    return Plan(wells, made)


def _places(count: int) -> list[tuple[Line, str]]:
    """Return line and plate of every field: all once, then the named one every third time."""
    named = [line for line in LINES if line.name == NAMED_LINE]
    others = [line for line in LINES if line.name != NAMED_LINE]
    turns = cycle(others)
    thirds = (line for _ in range(count) for line in (named[0], next(turns), next(turns)))
    order = [line for line, _ in zip(chain(named, others, thirds), range(count), strict=False)]
    seen: Counter[str] = Counter()
    places = []
    for line in order:
        places.append((line, line.home[seen[line.name] % len(line.home)]))
        seen[line.name] += 1
    return places


def _wells(wanted: set[tuple[Line, str]], seed: int) -> list[Well]:
    """Return the wells by plate and name."""
    by_barcode = {plate.barcode: plate for plate in PLATES}
    wells = []
    for line, home in wanted:
        plate = by_barcode[home]
        image_id = 60000 + drawn("well", home, line.name) % 20000
        name = well_name(line, home)
        wells.append(Well(plate, line, name, culture(plate, line, seed), image_id))
    return sorted(wells, key=lambda well: (PLATES.index(well.plate), well.name))


def well_name(line: Line, barcode: str) -> str:
    """Return the well of a line on a plate: a row for each line, so that no two meet.

    The two rows that hold two lines each have one in their left, one in their right half.
    """
    if (barcode, line.name) == (NAMED_PLATE, NAMED_LINE):
        return NAMED_WELL
    number = LINES.index(line)
    row = "BCDEFG"[number % 6]
    half = 2 if number < 6 else 7
    return f"{row}{half + drawn('column', barcode, line.name) % 5}"


def _fov(number: int, well: Well, nth: int, seed: int) -> Fov:
    """Return the nth field of view that was imaged on a plate."""
    plate = well.plate
    named = plate.barcode == NAMED_PLATE
    scene = nth + (5 if named else 1 + drawn("scene", plate.barcode) % 4)
    position = nth + (27 if named else 3 + drawn("position", plate.barcode) % 30)
    place = f"{well.name[0]}{int(well.name[1:]):02}"
    stem = f"{plate.barcode}_100X_{plate.imaged:%Y%m%d}"
    if plate.channels == 4:
        raw = f"{stem}_{place}_P{position:02}"
    else:
        batch = 5 if named else 1 + drawn("batch", plate.barcode) % 5
        raw = f"{stem}_{batch}-Scene-{scene}-P{position:02}-{place}"
    if number == 0:
        return Fov(number, NAMED_FOV, well, raw, scene, position, 87262)
    return Fov(number, _key(number, seed), well, raw, scene, position, 87300 + 3 * number)


def _key(number: int, seed: int) -> str:
    """Return a name with 32 hex digits that sorts behind that of the named field of view."""
    again = 0
    while True:
        words = f"fov/{seed}/{number}/{again}".encode()
        key = f"fov_{hashlib.blake2b(words, digest_size=16).hexdigest()}"
        if key > NAMED_FOV:
            return key
        again += 1
