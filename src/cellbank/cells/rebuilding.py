"""Records that changed, made anew: their documents, SCHEMA, README's tables, metadata tables.

What comes out is what a build from a recipe would write for the same values. Documents of records
that did not change are not read, but for two: of days, tables do not know how they were spelled.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import msgspec

from cellbank.cells.documents import as_bytes, info_path
from cellbank.cells.kinds import GROUPS, KINDS
from cellbank.cells.metadata import writer_name
from cellbank.cells.problems import Problems
from cellbank.cells.readme import Channels, group_line
from cellbank.cells.restating import Restating
from cellbank.cells.standing import Workplace
from cellbank.cells.updating import Values, table_form
from cellbank.cells.values import Spec
from cellbank.model.digest import SMALL_BELOW
from cellbank.model.errors import CellbankError, Damaged, NotFetched
from cellbank.model.manifest import Entry
from cellbank.packages.carried import Carried
from cellbank.packages.edits import Edits
from cellbank.packages.recording import Stamp
from cellbank.packages.scan import Source

_MANY: Final = 20
"""So many records are named in one message."""


class Changes(msgspec.Struct, frozen=True):
    """What was asked for: group → id → attribute → value, and group → ids that go."""

    values: Mapping[str, Values]
    removed: Mapping[str, set[str]]

    def __bool__(self) -> bool:
        return bool(self.values or self.removed)


class Rebuilding:
    """Makes what follows from changed records.

    Parameters
    ----------
    work
        The metadata tables as they are.
    specs
        Group → attribute → what it holds.
    changes
        What was asked for.
    edits
        What happens to entries: images among them.
    """

    def __init__(
        self,
        work: Workplace,
        specs: Mapping[str, Mapping[str, Spec]],
        changes: Changes,
        edits: Edits,
    ) -> None:
        self._work = work
        self._view = work.view
        self._specs = specs
        self._changes = changes
        self._edits = edits
        self._images = dict(self._touched_images())
        # Values and relation lists.
        self._rows: dict[str, Values] = {g: dict(rows) for g, rows in changes.values.items()}

    def stamped(self, stamp: Stamp) -> Stamp:
        """Return what the log says, with the program that writes the tables."""
        if not (self._changes or self._images):
            known = self._view.store.tables(self._view.package, self._view.revision)
            writer = next((table.writer for table in known.values()), "")
            return msgspec.structs.replace(stamp, writer=writer)
        return msgspec.structs.replace(stamp, writer=writer_name())

    # --- documents

    def documents(self, problems: Problems) -> list[Source]:
        """Return the documents that are other than before, in no order."""
        self._check_images(problems)
        if not self._changes:
            return []
        self._unlist(problems)
        infos = self._infos(problems)
        schema = self._entry_bytes("SCHEMA")
        removed = self._changes.removed
        restating = Restating(self._work, self._specs, self._rows, removed, self._infos_at)
        made = [*infos, _source(self._find("SCHEMA"), restating.schema(schema))]
        readme = self._edits.find("README")
        if isinstance(readme, Source) or self._view.whole.find("README") is None or readme is None:
            # Somebody wrote it anew, or there is none.
            return made
        before = self._entry_bytes("README")
        after = self._readme(before)
        return made if after == before else [*made, _source(self._find("README"), after)]

    def _unlist(self, problems: Problems) -> None:
        """Let no record list one that goes; tell of those that then belong to nothing."""
        for group, gone in self._changes.removed.items():
            for other in self._specs:
                if other == group:
                    continue
                left_over = self._changes.removed.get(other, set())
                for one, listed in self._work.of(other).listing(group, [*gone]).items():
                    if one not in left_over:
                        row = self._rows.setdefault(other, {}).setdefault(one, {})
                        row = dict(row)
                        row[group] = [name for name in listed if name not in gone]
                        self._rows[other][one] = row
        for group, rows in self._rows.items():
            lost = [one for one in rows if self._is_orphan(group, one)]
            for one in lost[:_MANY]:
                what = f"{one} belongs to nothing any more: all that it lists above it goes"
                problems.error(f"{group}/{one}", what, "Remove it, too.", record=one)

    def _is_orphan(self, group: str, one: str) -> bool:
        above = [KINDS[kind].group for kind in GROUPS[group].above]
        row, standing = self._rows[group][one], self._work.of(group)
        if not any(name in row for name in above):
            return False
        return not any(row.get(name, standing.value(one, name)) for name in above)

    def _infos(self, problems: Problems) -> list[Source]:
        """Return the documents of all records that change."""
        entries: dict[str, tuple[Entry, dict[str, Any]]] = {}
        for group, rows in self._rows.items():
            kind = GROUPS[group].name
            for one in sorted(rows):
                path = info_path(kind, one)
                entries[path] = (self._find(path), rows[one])
        made = []
        for path, data in self._read({path: entry for path, (entry, _) in entries.items()}):
            entry, row = entries.pop(path)
            made.append(_source(entry, as_bytes({**msgspec.json.decode(data), **row})))
        for path in list(entries)[:_MANY]:
            what = "its document is not in this store, so it cannot be changed"
            advice = f"Install it: cellbank install {self._view.package} --metadata-only"
            problems.error(path, what, advice)
        return made

    def _read(self, entries: Mapping[str, Entry]) -> Iterator[tuple[str, bytes]]:
        """Yield the bytes of those entries that are here, by their paths."""
        store, package = self._view.store, self._view.package
        small: dict[str, list[str]] = {}
        for path, entry in entries.items():
            if entry.size < SMALL_BELOW:
                small.setdefault(entry.digest, []).append(path)
            elif file := store.file_of(package, entry):
                yield path, Path(file).read_bytes()
        for digest, data in store.read_many(package, list(small)):
            for path in small[digest]:
                yield path, data

    def _infos_at(self, kind: str, ids: Iterable[str]) -> Iterator[tuple[str, Any]]:
        """Yield the documents of those records whose are here: id and document."""
        paths = {info_path(kind, one): one for one in ids}
        for path, data in self._read({path: self._find(path) for path in paths}):
            yield paths[path], msgspec.json.decode(data)

    def _find(self, path: str) -> Entry:
        found = self._view.whole.find(path)
        assert found is not None  # noqa: S101  records have documents, and declared ones a SCHEMA
        return found

    def _entry_bytes(self, path: str) -> bytes:
        entry = self._find(path)
        for _, data in self._read({path: entry}):
            return data
        return b""

    # --- README

    def _readme(self, data: bytes) -> bytes:
        """Return the README with its tables as they must be now, where it has them as we write."""
        text = data.decode("utf-8", "surrogateescape")
        for group, gone in self._changes.removed.items():
            count = len(self._work.of(group).ids)
            before, after = group_line(group, count), group_line(group, count - len(gone))
            text = text.replace(f"{before}\n", f"{after}\n", 1)
        if "channels" in self._specs.get("fovs", {}):
            before, after = map("\n".join, self._channels())
            if before and after and before != after:
                text = text.replace(before, after, 1)
        return text.encode("utf-8", "surrogateescape")

    def _channels(self) -> tuple[list[str], list[str]]:
        standing = self._work.of("fovs")
        gone, rows = self._changes.removed.get("fovs", set()), self._rows.get("fovs", {})
        before, after = Channels(), Channels()
        for one, value in zip(standing.ids, standing.column("channels"), strict=True):
            before.add({"channels": value})
            if one not in gone:
                after.add({"channels": rows.get(one, {}).get("channels", value)})
        return before.lines(), after.lines()

    # --- images

    def _touched_images(self) -> Iterator[tuple[str, tuple[str, str]]]:
        """Yield the paths of images that are set or go, each with its group and record."""
        for path in {*self._edits.put, *self._edits.gone}:
            parts = path.split("/")
            if parts[0] in GROUPS and parts[2:] == ["image", "load"]:
                yield path, (parts[0], parts[1])

    def _check_images(self, problems: Problems) -> None:
        """Tell of images that are set and cannot be read, or have not the channels of `info`."""
        from cellbank import images

        for path, (group, one) in self._images.items():
            file = self._file_of(self._edits.put.get(path))
            if file is None:
                continue
            try:
                count = len(images.open(file).channels)
            except CellbankError as error:
                problems.error(path, error.message, "Set an image that can be read: OME-TIFF.")
                continue
            self._check_channels(group, one, count, problems)
        for one, row in self._changes.values.get("fovs", {}).items():
            stands = self._work.of("fovs").value(one, "channels") if "channels" in row else None
            path = f"fovs/{one}/image/load"
            if stands and path not in self._images and self._edits.find(path) is not None:
                self._check_channels("fovs", one, len(stands), problems)

    def _file_of(self, item: Source | Carried | None) -> BytesIO | str | None:
        """Return what an entry that is set holds; None where that is not here."""
        if isinstance(item, Source):
            return BytesIO(item.data) if item.data is not None else item.file
        if item is None:
            return None
        store, entry = self._view.store, item.entry
        if entry.size >= SMALL_BELOW:
            return store.object_path(entry.digest, entry.size)
        with suppress(Damaged):
            return BytesIO(store.read_small(item.package, entry.digest))
        return None

    def _check_channels(self, group: str, one: str, count: int, problems: Problems) -> None:
        if group != "fovs" or "channels" not in self._specs[group]:
            return
        said = self._work.of(group).value(one, "channels")
        said = self._rows.get(group, {}).get(one, {}).get("channels", said)
        if said and len(said) != count:
            what = f"has {count} channels, its info names {len(said)}"
            advice = "Set the image and the attribute `channels` together."
            problems.error(f"{group}/{one}/image/load", what, advice, record=one)

    # --- metadata tables

    def tables(self, entries: Iterable[Entry]) -> Mapping[str, bytes]:
        """Return the metadata tables; those of kinds in which nothing changed are as they were."""
        changed = {group: self._as_rows(group) for group in self._rows}
        for entry in entries if self._images else ():
            if entry.path in self._images:
                group, one = self._images[entry.path]
                image = {"path": entry.path, "digest": entry.digest, "size": entry.size}
                changed.setdefault(group, {}).setdefault(one, {}).update(image)
        for path, (group, one) in self._images.items():
            if one not in self._changes.removed.get(group, ()) and path not in self._edits.put:
                none = dict.fromkeys(("path", "digest", "size"))
                changed.setdefault(group, {}).setdefault(one, {}).update(none)
        made = self._standing_tables({*changed, *self._changes.removed})
        for group in {*changed, *self._changes.removed}:
            gone = self._changes.removed.get(group, set())
            made[group] = self._work.of(group).rewritten(changed.get(group, {}), gone)
        return made | self._work.pieces(made)

    def _as_rows(self, group: str) -> Values:
        """Return what changes as tables have it."""
        specs = {**self._specs[group]}
        return {
            one: {
                name: table_form(value, specs[name]) if name in specs else value
                for name, value in row.items()
            }
            for one, row in self._rows[group].items()
        }

    def _standing_tables(self, without: Collection[str]) -> dict[str, bytes]:
        """Return the tables of kinds in which nothing changes; one that was lost is made anew."""
        store, package = self._view.store, self._view.package
        here = store.tables_here(package, store.tables(package, self._view.revision))
        made = {}
        for group in self._specs:
            if group in without:
                continue
            if group in here:
                made[group] = store.read_table(package, here[group])
            elif without:
                # Of a part, not all documents may be here.
                with suppress(NotFetched):
                    made[group] = self._work.of(group).data()
        return made


def _source(entry: Entry, data: bytes) -> Source:
    return Source.of_bytes(entry.path, data, entry.filename, entry.meta)
