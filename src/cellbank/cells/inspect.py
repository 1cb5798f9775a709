"""What an image's own bytes say, learned in worker processes; each image is looked at once."""

from collections.abc import Sequence
from io import BytesIO

import msgspec

from cellbank.images.header import Header
from cellbank.images.labels import LabelFacts, compare_labels
from cellbank.images.soundness import check_data
from cellbank.model.errors import BadImage

Where = str | bytes
"""A path, or the bytes themselves where an image is small and was made just now."""


class ImageFacts(msgspec.Struct, frozen=True):
    """The header of a sound image, or why it cannot be used."""

    header: Header | None
    problem: str = ""
    advice: str = ""


class PairFacts(msgspec.Struct, frozen=True):
    """The labels of a field's segmentations, or why they cannot be compared."""

    labels: LabelFacts | None
    problem: str = ""
    advice: str = ""


def inspect_images(jobs: Sequence[Where]) -> list[ImageFacts]:
    """Return the facts of each image."""
    return [_inspect(where) for where in jobs]


def _inspect(where: Where) -> ImageFacts:
    try:
        return ImageFacts(check_data(_opened(where)))
    except BadImage as error:
        return ImageFacts(None, *_why(error))


def inspect_pairs(jobs: Sequence[tuple[Where, Where, Where]]) -> list[PairFacts]:
    """Return the facts of each field's segmentations: cells, nuclei, structure (or nothing)."""
    return [_compare(*job) for job in jobs]


def _compare(cells: Where, nuclei: Where, structure: Where) -> PairFacts:
    try:
        third = _opened(structure) if structure else None
        return PairFacts(compare_labels(_opened(cells), _opened(nuclei), third))
    except BadImage as error:
        return PairFacts(None, *_why(error))


def _opened(where: Where) -> str | BytesIO:
    return BytesIO(where) if isinstance(where, bytes) else where


def _why(error: BadImage) -> tuple[str, str]:
    """Return reason and advice: where it was is known better by who asked."""
    return str(error.args[1]), error.advice
