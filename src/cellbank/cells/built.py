"""What the build of a family made."""

import msgspec

from cellbank.cells.problems import Problem
from cellbank.packages.build import Built


class FamilyBuilt(msgspec.Struct, frozen=True):
    """What the build of a family made.

    `records` counts those of each group, `images_read` the images that were new or changed;
    `problems` are warnings.
    """

    owner: str
    packages: list[Built]
    records: dict[str, int]
    images: int
    images_read: int
    problems: list[Problem]
