"""What the build of a family made."""

import msgspec

from cellbank.cells.problems import Problem
from cellbank.packages.build import Built


class FamilyBuilt(msgspec.Struct, frozen=True):
    """What the build of a family made.

    `records` counts those of each group, `images_read` the images that were new or changed;
    `added_bytes` is what the store has more of than before, images and all; `problems` are
    warnings.
    """

    owner: str
    packages: list[Built]
    records: dict[str, int]
    images: int
    images_read: int
    added_bytes: int
    problems: list[Problem]
