"""Which table has which kind of record, by names and values: its key, its links, its images."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import msgspec

from cellbank.cells.folder import files_below
from cellbank.cells.guess_columns import Column, as_text, columns_in, plain_name
from cellbank.cells.kinds import KINDS
from cellbank.cells.problems import Problems
from cellbank.cells.recipe import Table
from cellbank.cells.table_rows import Rows
from cellbank.cells.tables import FORMATS, read_table

SYNONYMS: Final = {
    "line": ("line", "cellline", "strain", "clone"),
    "plate": ("plate", "dish", "vessel", "barcode"),
    "well": ("well", "compartment"),
    "fov": ("fov", "fieldofview", "field", "position", "scene", "image", "manifest"),
    "cell_seg": ("cellseg", "cellsegmentation", "cellmask", "celllabel", "membraneseg"),
    "nuclei_seg": ("nucleiseg", "nucseg", "nucleusseg", "nucleisegmentation", "dnaseg"),
    "structure_seg": ("structureseg", "structseg", "structuresegmentation"),
}
_PARTS: Final = {
    "cell_seg": {"cell", "cells", "membrane", "cell_seg"},
    "nuclei_seg": {"nuclei", "nucleus", "nuc", "dna", "nuclei_seg"},
    "structure_seg": {"structure", "struct", "structure_seg"},
}
"""The words in a column that tell the segmentations of one table apart."""
MAX_TABLES: Final = 40


class Seen(msgspec.Struct):
    """A table that was looked at."""

    name: str
    table: Table
    columns: dict[str, Column]
    count: int
    rows: Rows


class Kindred(msgspec.Struct):
    """A table as the records of a kind: what was guessed, and why."""

    kind: str
    seen: Seen
    why: str
    key: Column | None = None
    links: dict[str, Column] = {}
    where: dict[str, str] = {}
    image: Column | None = None
    folder: str = ""


def look(root: Path, problems: Problems) -> list[Seen]:
    """Return the tables below a folder, each read."""
    found: list[Seen] = []
    for file in files_below(root, *FORMATS):
        kind = FORMATS.get(Path(file).suffix.lower())
        if kind is None:
            continue
        if len(found) >= MAX_TABLES:
            problems.warn(
                file,
                f"this table and those after it were not looked at: {MAX_TABLES} were before it",
                "Add to the recipe what is missing, or move tables of no use out of the folder.",
            )
            break
        for table in _tables_in(file, kind, root):
            rows = read_table(table, str(root), problems)
            if rows is not None and rows.columns:
                name = _free_name(table.table or table.sheet or Path(file).stem, found)
                found.append(Seen(name, table, columns_in(rows), len(rows.rows), rows))
    return found


def _tables_in(file: str, kind: str, root: Path) -> list[Table]:
    if kind == "sqlite":
        query = (
            "SELECT name FROM sqlite_master"
            " WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%' ORDER BY type, rowid"
        )
        names = read_table(Table(file=file, query=query), str(root), Problems())
        return [Table(file=file, table=row[0]) for row in names.rows] if names else []
    if kind == "excel":
        from cellbank.cells.table_sheets import sheet_names

        names_there = sheet_names(str(root / file))
        if len(names_there) > 1:
            return [Table(file=file, sheet=name) for name in names_there]
    return [Table(file=file)]


def _free_name(wish: str, found: Iterable[Seen]) -> str:
    taken = {seen.name for seen in found}
    base = plain_name(wish) or "table"
    name, number = base, 1
    while name in taken:
        number += 1
        name = f"{base}_{number}"
    return name


# --- kinds


def kinds_of(tables: list[Seen], root: Path) -> dict[str, Kindred]:
    """Return the tables that look like the records of a kind, from the line down."""
    found: dict[str, Kindred] = {}
    scored = sorted(
        (
            (_score(kind, seen), kind, number)
            for kind in KINDS
            for number, seen in enumerate(tables)
        ),
        key=lambda one: (-one[0], list(KINDS).index(one[1]), one[2]),
    )
    used: set[int] = set()
    for score, kind, number in scored:
        if score > 0 and kind not in found and number not in used:
            found[kind] = Kindred(kind, tables[number], "by its name")
            used.add(number)
    for number, seen in enumerate(tables):
        if number not in used:
            found |= _parts_of(seen, found)
    if "fov" not in found and (best := _with_images(tables, found)):
        found["fov"] = Kindred("fov", best, "TODO: check this: the largest table with images")
    made = {kind: found[kind] for kind in KINDS if kind in found}
    for kind, kindred in made.items():
        kindred.key = _key(kind, kindred)
    for kindred in made.values():
        kindred.links = _links(kindred, made)
        _find_images(kindred, root)
    return made


def _score(kind: str, seen: Seen) -> int:
    name = plain_name(seen.name).replace("_", "")
    words = SYNONYMS[kind]
    for place, word in enumerate(words):
        if name in (word, f"{word}s"):
            return 100 - place
    if kind in _PARTS or kind == "fov":
        return next((50 for word in words[:3] if word in name), 0)
    return 40 if words[0] in name and "seg" not in name else 0


def _parts_of(seen: Seen, found: dict[str, Kindred]) -> dict[str, Kindred]:
    """Return segmentations that stand in one table, told apart by a column."""
    for column in seen.columns.values():
        parts: dict[str, str] = {}
        for kind, words in _PARTS.items():
            there = sorted(text for text in column.texts if text.lower() in words)
            if there and kind not in found:
                parts[kind] = there[0]
        if len(parts) > 1 and len(column.texts) <= len(_PARTS) + 2:
            why = f"{column.name} tells them apart"
            return {
                kind: Kindred(kind, seen, why, where={column.name: value})
                for kind, value in parts.items()
            }
    return {}


def _with_images(tables: list[Seen], found: dict[str, Kindred]) -> Seen | None:
    used = {id(kindred.seen) for kindred in found.values()}
    free = [seen for seen in tables if id(seen) not in used] or tables
    images = [seen for seen in free if any(c.has_paths for c in seen.columns.values())]
    return max(images or free, key=lambda seen: seen.count, default=None)


# --- keys and links


def about(kind: str, name: str) -> int:
    """Return how surely a column of this name has keys of a kind; 0 if there is no sign."""
    plain = plain_name(name).replace("_", "")
    own = KINDS[kind].schema.removeprefix("unique_").removesuffix("_info").replace("_", "")
    words = (kind.replace("_", ""), own, *SYNONYMS[kind])
    for place, word in enumerate(words):
        if plain == word:
            return 30 - place
        if plain in (f"{word}id", f"{word}key", f"{word}barcode", f"{word}number", f"{word}s"):
            return 20 - place
    return 0


def _key(kind: str, kindred: Kindred) -> Column | None:
    columns = list(kindred.seen.columns.values())
    unique = [c for c in columns if c.unique and not c.has_paths]
    if not unique:
        return None

    def rank(column: Column) -> tuple[int, int]:
        plain = plain_name(column.name)
        words = about(kind, column.name) or 10 * (plain in ("id", "key", "name"))
        if kind.endswith("_seg") and not words:
            words = 15 * plain.startswith("seg")
        return (-words, columns.index(column))

    return min(unique, key=rank)


def _links(kindred: Kindred, made: dict[str, Kindred]) -> dict[str, Column]:
    """Return the columns whose values are keys of the records above."""
    links: dict[str, Column] = {}
    for kind in KINDS[kindred.kind].above:
        above = made.get(kind)
        if above is None or above.key is None or above.seen is kindred.seen:
            continue
        # What the record above belongs to, this one does, too.
        if any(kind in made[link].links for link in links):
            continue
        if found := _link_to(kind, above.key, kindred):
            links[kind] = found
    return links


def _link_to(kind: str, key: Column, kindred: Kindred) -> Column | None:
    best: tuple[int, Column] | None = None
    for column in kindred.seen.columns.values():
        if column is kindred.key and kind != "line":
            continue
        if not column.texts or not column.texts <= key.texts:
            continue
        score = about(kind, column.name) or 15 * (column.name == key.name)
        if not score and len(column.texts) > 1 and not all(t.isdigit() for t in column.texts):
            score = 1
        if score and (best is None or score > best[0]):
            best = (score, column)
    return best[1] if best else None


# --- images


def _find_images(kindred: Kindred, root: Path) -> None:
    if not KINDS[kindred.kind].image:
        return
    paths = [c for c in kindred.seen.columns.values() if c.has_paths]
    if not paths:
        return
    words = ("image", "path", "file", "source", "read")

    def rank(column: Column) -> int:
        plain = plain_name(column.name)
        return next((i for i, word in enumerate(words) if word in plain), len(words))

    column = min(paths, key=rank)
    folder = _folder_of(sorted(column.texts), root)
    if folder is not None:
        kindred.image, kindred.folder = column, folder


def _folder_of(paths: list[str], root: Path) -> str | None:
    """Return what the paths must begin with to be files of the folder; None if nothing helps."""
    first = paths[0]
    if _is_inside(root, first):
        return ""
    end = f"/{first}"
    names = files_below(root, first.rpartition("/")[2].lower())
    found = [name for name in names if f"/{name}".endswith(end)]
    for name in found:
        folder = name.removesuffix(first).rstrip("/")
        if all(_is_inside(root, f"{folder}/{path}") for path in paths[:50]):
            return folder
    return None


def _is_inside(root: Path, path: str) -> bool:
    if Path(path).is_absolute() or re.search(r"(^|/)\.\.(/|$)", path):
        return False
    return (root / path).exists()


def first_image(kindred: Kindred) -> str | None:
    """Return the path of the first image of these records, from the folder of the recipe."""
    if kindred.image is None:
        return None
    rows, index = kindred.seen.rows, kindred.seen.rows.columns[kindred.image.name]
    for row in rows.rows:
        if _is_meant(row, kindred) and row[index]:
            return "/".join(part for part in (kindred.folder, as_text(row[index])) if part)
    return None


def _is_meant(row: tuple[Any, ...], kindred: Kindred) -> bool:
    columns = kindred.seen.rows.columns
    return all(as_text(row[columns[name]]) == value for name, value in kindred.where.items())
