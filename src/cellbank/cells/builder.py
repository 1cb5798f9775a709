"""The builder: a recipe, tables and images become a family of packages in the store."""

import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor
from typing import Any

import msgspec

from cellbank.cells.built import FamilyBuilt
from cellbank.cells.documents import info_of
from cellbank.cells.family import Family, Member
from cellbank.cells.imaging import Images
from cellbank.cells.including import included
from cellbank.cells.kinds import KINDS
from cellbank.cells.making import Making, Whole
from cellbank.cells.metadata import Tables, connect, specs_of, writer_name
from cellbank.cells.problems import Problems
from cellbank.cells.reading import read_recipe
from cellbank.cells.recipe import Recipe
from cellbank.cells.records import Kept, read_records
from cellbank.cells.relations import Relations
from cellbank.cells.schema import Collected
from cellbank.cells.table_rows import Rows
from cellbank.cells.tables import read_table
from cellbank.images.header import Header
from cellbank.model.errors import ProblemsFound
from cellbank.model.progress import Said, Watcher, ignore
from cellbank.model.reference import Package
from cellbank.packages.build import Built
from cellbank.packages.carried import Carried
from cellbank.packages.recording import Stamp
from cellbank.packages.staging import Stager
from cellbank.storage import disk
from cellbank.storage.store import Store
from cellbank.storage.transfer import filling


def build_family(
    store: Store,
    owner: str,
    path: str,
    *,
    stamp: Stamp,
    strict: bool = False,
    watch: Watcher = ignore,
    executor: Executor | None = None,
) -> FamilyBuilt:
    """Build the packages that a recipe asks for: all of them or, with errors, none.

    If it is stopped in between, every package is as before or as asked for.

    Parameters
    ----------
    store
        Where they are built.
    owner
        Their owner.
    path
        The recipe; tables and images lie in its folder.
    stamp
        Who, when and why, for the logs.
    strict
        Take warnings for errors.
    watch
        Is told of progress.
    executor
        Looks at images; default: processes of this machine.

    Returns
    -------
    FamilyBuilt
        What was made of each package, and warnings.

    Raises
    ------
    ProblemsFound
        Something is wrong with recipe, tables or images: all of it.
    """
    made = read_recipe(path)
    with store.transaction():
        build = _Build(store, owner, made, os.path.abspath(path), watch)
        return build.run(stamp, executor, strict=strict)


class _Build:
    """One build of a family.

    Invariant: no package changes before all tables and all images were found to be good.
    """

    def __init__(self, store: Store, owner: str, made: Recipe, path: str, watch: Watcher) -> None:
        self._store = store
        self._owner = owner
        self._recipe = made
        self._path = path
        self._root, self._name = os.path.split(path)
        self._watch = watch
        self._problems = Problems()

    def run(self, stamp: Stamp, executor: Executor | None, *, strict: bool) -> FamilyBuilt:
        """Read, check, then build."""
        self._say("Reading tables...")
        found = read_records(self._recipe, self._tables(), self._problems)
        taken = included(self._store, self._recipe.include, self._problems, self._name)
        self._say(f"Checking images of {_counted(found)}...")
        stager = self._stager()
        with filling(self._store) as batch:
            stager.batch = batch
            images = Images(self._path, self._store, stager, self._problems, self._watch, executor)

            try:
                images.take(found, self._recipe.records, batch.commit)
                images.check(found, self._recipe.records, self._recipe.label_overlap)
            finally:
                images.close()
                # Whatever stops the build, what is in the store by then is not read again.
                stager.cache.save(keep=True)
            batch.commit()
        images.remember(keep=True)
        self._fill_channels(found, images)
        built = self._build_all(found, taken, images, stager, stamp, strict=strict)
        images.remember(keep=False)
        stager.finish()
        return FamilyBuilt(
            self._owner,
            built,
            {KINDS[kind].group: len(kept.records) for kind, kept in found.items()},
            sum(len(taken) for taken in images.taken.values()),
            images.read,
            stager.added_bytes + sum(one.added_bytes for one in built),
            self._problems.found(),
        )

    def _say(self, text: str) -> None:
        self._watch(Said(text))

    def _tables(self) -> dict[str, Rows]:
        wanted = {r.table for r in _records(self._recipe)}
        for record in _records(self._recipe):
            wanted |= {a.table for a in record.attributes.values() if getattr(a, "table", "")}
        read = {
            name: read_table(table, self._root, self._problems)
            for name, table in self._recipe.tables.items()
            if name in wanted
        }
        return {name: rows for name, rows in read.items() if rows is not None}

    def _stager(self) -> Stager:
        mine = [p for p in self._store.installed_packages() if p.owner == self._owner]
        # By the recipe, not its folder: another recipe there has other images.
        return Stager(self._store, self._path, mine)

    def _fill_channels(self, found: Mapping[str, Kept], images: Images) -> None:
        """Name the channels of fields of view by their images, where no table does."""
        kept = found.get("fov")
        if kept is None or any(g.said for g in kept.specs if g.spec.name == "channels"):
            return
        # Most fields have the same channels: one list is enough for them.
        made: dict[int, list[dict[str, Any]]] = {}
        for name, taken in images.taken.get("fov", {}).items():
            header = taken.facts.header
            if header is not None:
                channels = made.setdefault(id(header), channels_of(header))
                kept.records[name].values["channels"] = channels

    def _stop_if_bad(self, *, strict: bool) -> None:
        problems = self._problems
        if problems.errors or (strict and problems.warnings):
            listed = [msgspec.to_builtins(problem) for problem in problems.found()]
            raise ProblemsFound(self._name, listed)

    def _build_all(
        self,
        found: Mapping[str, Kept],
        taken: Sequence[Carried],
        images: Images,
        stager: Stager,
        stamp: Stamp,
        *,
        strict: bool,
    ) -> list[Built]:
        specs = {kind: specs_of(kept.specs) for kind, kept in found.items()}
        stamp = msgspec.structs.replace(stamp, writer=writer_name())
        folder = self._store.files.path(f"caches/tables/{disk.random_name(self._owner)}")
        with connect(f"{folder}.spill") as database:
            whole = Whole(
                self._owner,
                self._root,
                self._recipe,
                found,
                Relations.of(found, self._problems),
                images.taken,
                specs,
                Collected(specs),
                lambda: Tables(folder, specs, database),
                taken,
            )
            members = self._members(whole)
            self._stop_if_bad(strict=strict)
            built = []
            for member in members:
                self._say(f"Building {self._owner}/{member.name}...")
                making = Making(whole, member)
                built.append(making.build(self._store, stager, stamp))
                stager.add_sibling(Package(self._owner, member.name), making.small_images())
        return built

    def _members(self, whole: Whole) -> list[Member]:
        """Return the packages to make; on the way, see what all attributes hold."""
        tables = whole.new_tables()
        try:
            for kind, kept in whole.found.items():
                for name, record in kept.records.items():
                    info = info_of(record, whole.relations.of_record(kind, name), None)
                    whole.source.add(kind, name, info)
                    tables.add(kind, name, info, ())
            family = Family(self._recipe, whole.found, whole.relations, self._problems, self._name)
            return family.members(tables, whole.specs)
        finally:
            tables.close()


def channels_of(header: Header) -> list[dict[str, Any]]:
    """Return the channels that an image names; those without a name are numbered."""
    count = header.sizes.get("C", 1)
    names = [*header.channels, *([None] * count)][:count]
    return [
        {"dye_name": said or f"channel {number}", "use": True} for number, said in enumerate(names)
    ]


def _records(made: Recipe) -> Iterable[Any]:
    return [record for kind in KINDS if (record := getattr(made.records, kind)) is not None]


def _counted(found: Mapping[str, Kept]) -> str:
    count = sum(len(kept.records) for kept in found.values())
    return f"{count:,} record{'' if count == 1 else 's'}"
