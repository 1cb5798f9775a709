"""What the rows of a table point to: the records above them, and their image files."""

from collections.abc import Mapping
from typing import Any

from cellbank.cells.columns import Columns, text_of
from cellbank.cells.recipe import Link, Record
from cellbank.cells.values import Spec, shown


class Pointers:
    """What the records of one kind point to. `keys` has the ids of each kind above, by key."""

    def __init__(
        self, columns: Columns, record: Record, keys: Mapping[str, Mapping[str, str]]
    ) -> None:
        self._columns = columns
        self._record = record
        self._keys = keys

    def above(self, kind: str) -> list[list[str]]:
        """Return the ids of the records of a kind above; a key that leads nowhere is a problem."""
        link: Link | str = getattr(self._record, kind)
        if not link or kind not in self._keys:
            return [[] for _ in self._columns.chosen]
        column, separator = (link, "") if isinstance(link, str) else (link.column, link.separator)
        cells = self._columns.cells(column)
        if cells is None:
            return [[] for _ in self._columns.chosen]
        return [self._linked(at, kind, column, cell, separator) for at, cell in enumerate(cells)]

    def _linked(self, at: int, kind: str, column: str, cell: Any, separator: str) -> list[str]:
        known = self._keys[kind]
        if isinstance(cell, (list, tuple)):
            keys = [text_of(part) for part in cell]
        else:
            text = text_of(cell)
            keys = (
                [text_of(part) for part in text.split(separator)] if text and separator else [text]
            )
        found = []
        for key in keys:
            if key is None:
                self._columns.problems.warn(
                    self._columns.table.place,
                    f"belongs to no {kind}",
                    f"Name its {kind}.",
                    row=self._columns.number(at),
                    column=column,
                )
            elif key in known:
                found.append(known[key])
            else:
                self._columns.error(
                    at,
                    column,
                    f"there is no {kind} {shown(key)}",
                    f"Add it to the {kind}s, or mend the key.",
                )
        return list(dict.fromkeys(found))

    def files(self) -> list[tuple[str, ...]]:
        """Return the image files of every chosen row, as the table names them."""
        image = self._record.image
        if image is None:
            return [()] * len(self._columns)
        names = [image.file] if isinstance(image.file, str) else list(image.file.values())
        columns = [self._columns.cells(name) for name in names]
        if None in columns:
            return [()] * len(self._columns)
        folder = f"{image.folder.rstrip('/')}/" if image.folder else ""
        made: list[tuple[str, ...]] = []
        for at, cells in enumerate(zip(*(column or [] for column in columns), strict=True)):
            texts = [text_of(cell) for cell in cells]
            if None in texts:
                if self._columns.kind != "well":
                    column = names[texts.index(None)]
                    self._columns.error(
                        at, column, "names no image", "Name one, or remove the row."
                    )
                made.append(())
            else:
                made.append(tuple(f"{folder}{text}" for text in texts))
        return made

    def voxels(self) -> list[dict[str, float]]:
        """Return the size of a voxel of every chosen row's image: axis → µm."""
        image = self._record.image
        made: list[dict[str, float]] = [{} for _ in self._columns.chosen]
        spec = Spec("voxel_size", "number", minimum=0)
        for axis, size in (image.voxel_size if image else {}).items():
            cells = self._columns.cells(size) if isinstance(size, str) else [size] * len(made)
            for at, cell in enumerate(cells or ()):
                value = self._columns.cell(at, str(size), cell, spec)
                if value is not None:
                    made[at][axis] = value
        return made
