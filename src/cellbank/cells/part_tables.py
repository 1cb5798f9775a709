"""Metadata tables of a part of a package: the rows of the records that are in it."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from cellbank.cells.kinds import GROUPS
from cellbank.cells.metadata import connect, pieces_of, quoted, text
from cellbank.packages.nodes import View
from cellbank.storage import disk

IMAGE: Final = ("path", "digest", "size")


def tables_of_part(view: View) -> Mapping[str, bytes]:
    """Return group → the Parquet file of the records that the tree shows; pieces of large ones.

    A record whose `info` is not there has no row; one whose image is not there has the columns of
    the image empty. Raises `Damaged`, `DigestMismatch`: A table of the whole is not readable.
    """
    made: dict[str, bytes] = {}
    folder = disk.random_name(view.store.files.path("caches/tables/part"))
    disk.make_folders(folder)
    try:
        with connect(f"{folder}/spill") as database:
            for group in view.tables():
                file = view.table_file(group) if group in GROUPS else None
                if file is not None:
                    target = f"{folder}/{group}.parquet"
                    _copy(database, view, group, file, target)
                    made[group] = Path(target).read_bytes()
            return made | pieces_of(made, folder, database)
    finally:
        disk.remove_tree(folder)


def _copy(database: Any, view: View, group: str, file: str, target: str) -> None:
    ids, pictured = _records_of(view, group)
    # Our own files and names, quoted.
    source = f"read_parquet({text(file)})"
    names = database.sql(f"SELECT * FROM {source} LIMIT 0").columns  # noqa: S608
    shown = ", ".join(
        f"CASE WHEN id IN (SELECT unnest($pictured)) THEN {quoted(name)} END AS {quoted(name)}"
        if name in IMAGE
        else quoted(name)
        for name in names
    )
    form = "FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 20480"
    given = {"ids": list(ids)}
    if any(name in IMAGE for name in names):
        given["pictured"] = list(pictured)
    asked = f"SELECT {shown} FROM {source} WHERE id IN (SELECT unnest($ids::VARCHAR[]))"  # noqa: S608
    asked = asked.replace("$pictured", "$pictured::VARCHAR[]")
    database.execute(f"COPY ({asked}) TO {text(target)} ({form})", given)


def _records_of(view: View, group: str) -> tuple[Iterable[str], Iterable[str]]:
    """Return the ids of the records of a group that have their document, and their image."""
    found: dict[str, list[str]] = {"info": [], "image": []}
    for entry in view.reader.under(group):
        _, name, *rest = entry.path.split("/")
        if rest and rest[0] in found and (not found[rest[0]] or found[rest[0]][-1] != name):
            found[rest[0]].append(name)
    return found["info"], found["image"]
