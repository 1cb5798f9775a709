"""How the cells in a well were grown: what the walk-through shows, else values like those."""

import hashlib
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final, TypeVar

from cellbank.cells.sample.facts import (
    NAMED_LINE,
    NAMED_PLATE,
    WITHOUT_CLONE,
    WITHOUT_CULTURE,
    Line,
    Plate,
)

T = TypeVar("T")

CULTURE_COLUMNS: Final = (
    "plate_type",
    "plate_id",
    "population_id",
    "passage",
    "clone",
    "parent_plate_id",
    "seeding_density",
    "cellbatch",
    "source_plate_id",
    "cell_viability",
    "well_type",
    "concentration",
    "coating_type",
    "seed_date",
    "colony_ids",
    "location",
)

PLATE_TYPE: Final = "10cm"

_NAMED: Final = {
    "plate_type": PLATE_TYPE,
    "population_id": 3400,
    "passage": 36,
    "clone": "20",
    "parent_plate_id": "2500001158",
    "seeding_density": 400000.0,
    "source_plate_id": "2500001221",
    "cell_viability": 98.8,
    "well_type": "exp",
    "concentration": 3000.0,
    "coating_type": "Matrigel",
    "seed_date": "10/16/2017",
}


def drawn(*words: object) -> int:
    """Return a number that these words alone decide, the same on every machine."""
    text = "/".join(map(str, words))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def one_of(values: Sequence[T], *words: object) -> T:
    """Return the value that these words decide."""
    return values[drawn(*words) % len(values)]


def culture(plate: Plate, line: Line, seed: int) -> dict[str, Any]:
    """Return the columns of how the cells were grown; None where nobody knows."""
    if (plate.barcode, line.name) in WITHOUT_CULTURE:
        known: dict[str, Any] = {}
    elif (plate.barcode, line.name) == (NAMED_PLATE, NAMED_LINE):
        known = _NAMED
    else:
        known = _like_those(plate, line, seed)
    return {column: known.get(column) for column in CULTURE_COLUMNS}


def _like_those(plate: Plate, line: Line, seed: int) -> dict[str, Any]:
    """Return values in the ranges that public wells have."""

    def number(low: int, high: int, what: str) -> int:
        return low + drawn(seed, plate.barcode, line.name, what) % (high - low + 1)

    seeded = plate.imaged - timedelta(days=number(3, 8, "days"))
    parent = number(700, 1150, "parent")
    return {
        "plate_type": PLATE_TYPE,
        "population_id": number(2182, 3399, "population"),
        "passage": number(26, 45, "passage"),
        "clone": None if (plate.barcode, line.name) in WITHOUT_CLONE else line.clone,
        "parent_plate_id": f"250000{parent:04}",
        "seeding_density": number(7, 20, "density") * 50000.0,
        "source_plate_id": f"250000{parent + number(20, 90, 'source'):04}",
        "cell_viability": number(967, 1000, "viability") / 10,
        "well_type": one_of(("exp", "exp", "exp", "pos_control"), seed, plate.barcode, line.name),
        "concentration": number(4, 6, "concentration") * 500.0,
        "coating_type": "Matrigel",
        "seed_date": f"{seeded.month}/{seeded.day}/{seeded.year}",
    }
