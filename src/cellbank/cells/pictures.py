"""Which image files the records name, found in the folder of the recipe and nowhere else."""

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import msgspec

from cellbank.cells import recipe
from cellbank.cells.folder import advice_for_missing
from cellbank.cells.problems import Problems
from cellbank.cells.records import Found, Kept
from cellbank.packages.scan import Look, Source

NEAR_NAMES: Final = 20
"""For so many missing files the folder is searched for a name like theirs."""


class Picture(msgspec.Struct, frozen=True, gc=False):
    """The image of a record: its files, and what the recipe says of it."""

    record: Found
    image: recipe.Image
    sources: tuple[Source, ...]

    @property
    def name(self) -> str:
        """The files as the table names them."""
        return " + ".join(self.record.files)


def tell(
    problems: Problems,
    record: Found,
    image: recipe.Image,
    what: str,
    advice: str,
    *,
    error: bool = True,
) -> None:
    """Add a problem with the image of a record."""
    add = problems.error if error else problems.warn
    column = image.file if isinstance(image.file, str) else ", ".join(image.file.values())
    add(record.place, what, advice, row=record.row, column=column, record=record.id)


class Finder:
    """Finds the files of all images; those that cannot be used are problems."""

    def __init__(self, root: str, problems: Problems) -> None:
        self._root = root
        self._problems = problems
        self._folders: dict[str, str] = {}
        self._near = 0

    def pictures(self, found: Mapping[str, Kept], records: recipe.Records) -> Iterator[Picture]:
        """Yield the images whose files are all there."""
        for kind, kept in found.items():
            image = getattr(records, kind).image
            if image is None:
                continue
            users: dict[tuple[str, ...], Found] = {}
            for record in kept.records.values():
                if not record.files:
                    continue
                user = users.setdefault(record.files, record)
                if user is not record:
                    what = f"{record.files[0]} is the image of row {user.row} too"
                    advice = "Name the image of this record."
                    tell(self._problems, record, image, what, advice, error=False)
                sources = [self._source(record, image, file) for file in record.files]
                good = tuple(source for source in sources if source is not None)
                if len(good) == len(sources):
                    yield Picture(record, image, good)

    def _source(self, record: Found, image: recipe.Image, file: str) -> Source | None:
        try:
            path = os.path.join(self._folder(os.path.dirname(file)), os.path.basename(file))
            if os.path.islink(path):
                path = os.path.realpath(path)
            inside = path.startswith(f"{self._root}/") and not file.startswith("/")
            look = os.stat(path) if inside else None
        except (OSError, ValueError) as error:
            self._missing(record, image, file, error)
            return None
        if look is None:
            what, advice = f"{file} leads out of the folder of the recipe", INSIDE
            tell(self._problems, record, image, what, advice)
        elif not stat.S_ISREG(look.st_mode):
            tell(self._problems, record, image, f"{file} is not a file", "Name an image file.")
        else:
            return Source("", path, Look.of(look))
        return None

    def _folder(self, folder: str) -> str:
        if folder not in self._folders:
            self._folders[folder] = os.path.realpath(f"{self._root}/{folder}")
        return self._folders[folder]

    def _missing(self, record: Found, image: recipe.Image, file: str, error: Exception) -> None:
        advice = "Mend the path, or remove the row."
        what = f"the image {file} cannot be read: {getattr(error, 'strerror', error)}"
        if isinstance(error, FileNotFoundError):
            what = f"the image {file} is not there"
            self._near += 1
            if self._near <= NEAR_NAMES:
                advice = advice_for_missing(Path(self._root), file)
        tell(self._problems, record, image, what, advice)


INSIDE: Final = "Name a file in this folder, by its path from here."
