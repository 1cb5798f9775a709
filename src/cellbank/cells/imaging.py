"""The images of the records: taken into the store, looked at once, held against their tables."""

import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any, Final, TypeVar

import msgspec

from cellbank.cells import checks, recipe
from cellbank.cells.folder import advice_for_missing
from cellbank.cells.inspect import (
    ImageFacts,
    PairFacts,
    Where,
    inspect_images,
    inspect_pairs,
)
from cellbank.cells.problems import Problems
from cellbank.cells.records import Found, Kept
from cellbank.images.convert import Conversion, convert
from cellbank.images.header import Header, read_header
from cellbank.model.digest import SMALL_BELOW, digest_of
from cellbank.model.errors import BadImage, BadInput
from cellbank.model.progress import Watcher
from cellbank.packages.scan import Known, Look, Source
from cellbank.packages.staging import Made, Stager
from cellbank.storage import disk
from cellbank.storage.jobs import Counter, run_all
from cellbank.storage.store import Store

J = TypeVar("J")
R = TypeVar("R")

CHUNK: Final = 64
"""So many images are looked at in one job."""
FEW_BYTES: Final = 64 << 20
"""Less than this is looked at in this process: to start others would take longer."""
NEAR_NAMES: Final = 20
READY: Final = (".ome.tif", ".ome.tiff")


class Taken(msgspec.Struct):
    """The image of a record: its bytes in the store, or soon there, and what they say."""

    source: Source
    known: Known
    filename: str
    facts: ImageFacts


class Memory(msgspec.Struct):
    """What was learned of images when they were last looked at, by the digests of their bytes."""

    images: dict[str, ImageFacts] = {}
    pairs: dict[str, PairFacts] = {}
    made: dict[str, Made] = {}


class Images:
    """Takes the images of all records.

    Parameters
    ----------
    root
        The folder of the recipe; no image lies outside of it.
    stager
        Brings files into the store.
    problems
        Gets all that is wrong.
    watch
        Is told of progress.
    executor
        Looks at images; default: processes of this machine.
    """

    def __init__(
        self,
        root: str,
        store: Store,
        stager: Stager,
        problems: Problems,
        watch: Watcher,
        executor: Executor | None,
    ) -> None:
        self._root = os.path.realpath(root)
        self._store = store
        self._stager = stager
        self._problems = problems
        self._watch = watch
        self._executor = executor
        self._path = store.files.path(f"caches/images/{digest_of(os.fsencode(self._root))}")
        self._before = self._load()
        self._after = Memory({}, {}, {})
        self._folders: dict[str, str] = {}
        self._near = 0
        self.taken: dict[str, dict[str, Taken]] = {}
        self.read = 0

    def take(
        self, found: Mapping[str, Kept], records: recipe.Records, commit: Callable[[], None]
    ) -> None:
        """Take the images of all records, and look at those that are new."""
        wanted = list(self._wanted(found, records))
        taken = self._take_all(wanted)
        commit()
        self._learn_images(taken)
        for (record, _, _), one in zip(wanted, taken, strict=True):
            if one is not None:
                self.taken.setdefault(record.kind, {})[record.id] = one

    # --- which files

    def _wanted(
        self, found: Mapping[str, Kept], records: recipe.Records
    ) -> Iterator[tuple[Found, recipe.Image, tuple[Source, ...]]]:
        for kind, kept in found.items():
            image = getattr(records, kind).image
            if image is None:
                continue
            users: dict[tuple[str, ...], Found] = {}
            for record in kept.records.values():
                if not record.files:
                    continue
                sources = [self._source(record, image, file) for file in record.files]
                if record.files in users:
                    self._tell_twice(record, image, users[record.files])
                users.setdefault(record.files, record)
                good = tuple(source for source in sources if source is not None)
                if len(good) == len(sources):
                    yield record, image, good

    def _tell_twice(self, record: Found, image: recipe.Image, other: Found) -> None:
        self._problems.warn(
            record.place,
            f"{record.files[0]} is the image of row {other.row} too",
            "Name the image of this record.",
            row=record.row,
            column=_column(image),
            record=record.id,
        )

    def _source(self, record: Found, image: recipe.Image, file: str) -> Source | None:
        path = os.path.join(self._folder(os.path.dirname(file)), os.path.basename(file))
        try:
            if os.path.islink(path):
                path = os.path.realpath(path)
            inside = path.startswith(f"{self._root}/") and not file.startswith("/")
            look = os.stat(path) if inside else None
        except (OSError, ValueError) as error:
            self._missing(record, image, file, error)
            return None
        if look is None:
            self._tell(record, image, f"{file} leads out of the folder of the recipe", _INSIDE)
        elif not stat.S_ISREG(look.st_mode):
            self._tell(record, image, f"{file} is not a file", "Name an image file.")
        else:
            return Source("", path, Look.of(look))
        return None

    def _folder(self, folder: str) -> str:
        if folder not in self._folders:
            self._folders[folder] = os.path.realpath(f"{self._root}/{folder}")
        return self._folders[folder]

    def _missing(self, record: Found, image: recipe.Image, file: str, error: Exception) -> None:
        advice = "Mend the path, or remove the row."
        if isinstance(error, FileNotFoundError):
            what = f"the image {file} is not there"
            self._near += 1
            if self._near <= NEAR_NAMES:
                # The folder is listed for each.
                from pathlib import Path

                advice = advice_for_missing(Path(self._root), file)
        else:
            what = f"the image {file} cannot be read: {getattr(error, 'strerror', error)}"
        self._tell(record, image, what, advice)

    def _tell(
        self, record: Found, image: recipe.Image, what: str, advice: str, *, error: bool = True
    ) -> None:
        tell = self._problems.error if error else self._problems.warn
        tell(record.place, what, advice, row=record.row, column=_column(image), record=record.id)

    # --- taking

    def _take_all(
        self, wanted: Sequence[tuple[Found, recipe.Image, tuple[Source, ...]]]
    ) -> list[Taken | None]:
        done: list[Taken | None] = [None] * len(wanted)
        jobs: list[Callable[[], None]] = []
        new = 0
        counter: Counter
        for at, (record, image, sources) in enumerate(wanted):
            ready = self._is_ready(record, image, sources)
            if ready is None:
                continue
            known = self._stager.known(sources[0]) if ready else self._made(record, image, sources)
            if known is not None:
                done[at] = _taken(sources, known, made=not ready)
                continue
            new += sum(source.look.size for source in sources)

            def job(
                at: int = at,
                record: Found = record,
                image: recipe.Image = image,
                sources: tuple[Source, ...] = sources,
                ready: bool = ready,
            ) -> None:
                done[at] = self._take(record, image, sources, counter, ready=ready)

            jobs.append(job)
        self.read = len(jobs)
        counter = Counter("images", new, self._watch)
        run_all(_bundles(jobs), counter)
        return done

    def _is_ready(
        self, record: Found, image: recipe.Image, sources: Sequence[Source]
    ) -> bool | None:
        """Whether an image is an OME-TIFF already; None if it cannot be read at all."""
        if len(sources) > 1 or isinstance(image.file, dict):
            return False
        if sources[0].file.lower().endswith(READY):
            return True
        try:
            return read_header(sources[0].file).format == "ome-tiff"
        except BadImage as error:
            if _is_tiff(sources[0].file):
                self._tell(record, image, f"{record.files[0]}: {error.args[1]}", error.advice)
                return None
            return False

    def _take(
        self,
        record: Found,
        image: recipe.Image,
        sources: tuple[Source, ...],
        counter: Counter,
        *,
        ready: bool,
    ) -> Taken | None:
        if ready:
            known = self._stager.take(sources[0], counter)
            return _taken(sources, known, made=False)
        wish = _conversion(record, image, sources)
        try:
            known = self._stager.make(lambda file: convert(wish, file))
        except BadImage as error:
            shown = " + ".join(record.files)
            self._tell(record, image, f"{shown}: {error.args[1]}", error.advice)
            return None
        for source in sources:
            if Look.of(os.stat(source.file)) != source.look:
                raise BadInput(
                    f"{source.file} changes while it is read",
                    "Wait until nobody writes to it, then try again.",
                )
            counter.add(source.look.size)
        self._after.made[_key(wish)] = Made(tuple(s.look for s in sources), known)
        return _taken(sources, known, made=True)

    def _made(
        self, record: Found, image: recipe.Image, sources: tuple[Source, ...]
    ) -> Known | None:
        """Return what was made before of the same files, if it is still here."""
        key = _key(_conversion(record, image, sources))
        made = self._before.made.get(key)
        if made is None or made.looks != tuple(source.look for source in sources):
            return None
        small = made.known.look.size < SMALL_BELOW
        if not self._stager.has(made.known) or (
            small and self._stager.small(made.known.digest) is None
        ):
            return None
        self._after.made[key] = made
        return made.known

    # --- looking

    def _learn_images(self, taken: Iterable[Taken | None]) -> None:
        new: dict[str, Taken] = {}
        there = [one for one in taken if one is not None]
        for one in there:
            digest = one.known.digest
            facts = self._before.images.get(digest)
            if facts is not None:
                self._after.images[digest] = facts
            elif digest not in self._after.images:
                new[digest] = one
        where = [self._where(one) for one in new.values()]
        size = sum(one.known.look.size for one in new.values())
        found = self._run(inspect_images, where, size)
        self._after.images.update(zip(new, found, strict=True))
        for one in there:
            one.facts = self._after.images[one.known.digest]

    def _where(self, one: Taken) -> Where:
        if not one.source.file and one.known.look.size < SMALL_BELOW:
            return self._stager.small(one.known.digest) or b""
        return self._stager.path(one.known, one.source.file)

    def _run(
        self,
        work: Callable[[Sequence[J]], list[R]],
        jobs: Sequence[J],
        size: int,
    ) -> list[R]:
        """Do the work in chunks, side by side: in processes where there is much of it."""
        if not jobs:
            return []
        chunks = [jobs[at : at + CHUNK] for at in range(0, len(jobs), CHUNK)]
        if size / len(jobs) > FEW_BYTES / CHUNK:
            chunks = [[job] for job in jobs]
        if self._executor is None and (size < FEW_BYTES and len(jobs) < 10 * CHUNK):
            with ThreadPoolExecutor() as threads:
                return [one for part in threads.map(work, chunks) for one in part]
        pool = self._executor or _processes()
        futures = [pool.submit(work, chunk) for chunk in chunks]
        try:
            return [one for future in futures for one in future.result()]
        except BaseException:
            for future in futures:
                future.cancel()
            raise

    def learn_pairs(
        self, jobs: Mapping[str, tuple[Taken, Taken, Taken | None]]
    ) -> dict[str, PairFacts]:
        """Return, for each field of view, what its segmentations say together."""
        keys = {name: ":".join(t.known.digest for t in job if t) for name, job in jobs.items()}
        new: dict[str, tuple[Where, Where, Where]] = {}
        size = 0
        for name, (cells, nuclei, structure) in jobs.items():
            key = keys[name]
            if key in self._before.pairs:
                self._after.pairs[key] = self._before.pairs[key]
            elif key not in new:
                third = self._where(structure) if structure else ""
                new[key] = (self._where(cells), self._where(nuclei), third)
                # They are decoded, which takes longer than their bytes tell.
                size += 8 * cells.known.look.size
        found = self._run(inspect_pairs, list(new.values()), size)
        self._after.pairs.update(zip(new, found, strict=True))
        return {name: self._after.pairs[key] for name, key in keys.items()}

    # --- checking

    def check(
        self, found: Mapping[str, Kept], records: recipe.Records, label_overlap: float
    ) -> None:
        """Hold all images against their tables and against each other."""
        for kind, taken in self.taken.items():
            image = getattr(records, kind).image
            for name, one in taken.items():
                record = found[kind].records[name]
                if one.facts.header is None:
                    what = f"{record.files[0]}: {one.facts.problem}"
                    self._tell(record, image, what, one.facts.advice or "Export it again.")
                    continue
                faults = list(checks.check_image(record, image, one.facts.header))
                faults += self._beside_field(record, one.facts.header)
                self._tell_all(record, image, faults)
        self._check_labels(found, records, label_overlap)

    def _beside_field(self, record: Found, header: Header) -> Iterator[checks.Fault]:
        for name in record.above.get("fov", ()):
            field = self.taken.get("fov", {}).get(name)
            if field is not None and field.facts.header is not None:
                yield from checks.check_against_field(header, field.facts.header, name)

    def _tell_all(self, record: Found, image: recipe.Image, faults: Iterable[checks.Fault]) -> None:
        for fault in faults:
            what = f"{record.files[0]}: {fault.what}"
            self._tell(record, image, what, fault.advice, error=fault.error)

    def _check_labels(
        self, found: Mapping[str, Kept], records: recipe.Records, label_overlap: float
    ) -> None:
        by_field: dict[str, dict[str, Found]] = {}
        for kind in ("cell_seg", "nuclei_seg", "structure_seg"):
            for name, one in self.taken.get(kind, {}).items():
                record = found[kind].records[name]
                if one.facts.header is not None and _is_label(one.facts.header):
                    for field in record.above.get("fov", ()):
                        by_field.setdefault(field, {}).setdefault(kind, record)
        jobs = {}
        for field, parts in by_field.items():
            trio = [self._part(parts, kind) for kind in ("cell_seg", "nuclei_seg", "structure_seg")]
            cells, nuclei, structure = trio
            if cells and nuclei and _same_shape(cells, nuclei):
                third = structure if structure and _same_shape(cells, structure) else None
                jobs[field] = (cells, nuclei, third)
        for field, facts in self.learn_pairs(jobs).items():
            parts = by_field[field]
            nucleus = parts["nuclei_seg"]
            image = _image_of(records, "nuclei_seg")
            if facts.labels is None:
                self._tell(nucleus, image, f"{nucleus.files[0]}: {facts.problem}", facts.advice)
                continue
            self._tell_all(nucleus, image, checks.check_labels(facts.labels, label_overlap))
            if "structure_seg" in parts:
                image = _image_of(records, "structure_seg")
                faults = checks.check_structure(facts.labels)
                self._tell_all(parts["structure_seg"], image, faults)

    def _part(self, parts: Mapping[str, Found], kind: str) -> Taken | None:
        return self.taken[kind][parts[kind].id] if kind in parts else None

    # --- remembering

    def _load(self) -> Memory:
        try:
            with open(self._path, "rb") as file:
                return msgspec.msgpack.decode(file.read(), type=Memory)
        except (OSError, msgspec.MsgspecError):
            return Memory({}, {}, {})

    def finish(self) -> None:
        """Remember for the next build what was learned."""
        if self._after != self._before:
            disk.write_cache(self._path, msgspec.msgpack.encode(self._after))


_INSIDE: Final = "Name a file in this folder, by its path from here."


def _processes() -> Executor:
    """Return processes of this machine, which end by themselves when nothing is left to do."""
    from loky import get_reusable_executor

    found: Any = get_reusable_executor(timeout=10)
    assert isinstance(found, Executor)  # noqa: S101
    return found


def _image_of(records: recipe.Records, kind: str) -> recipe.Image:
    """Return what the recipe says of the images of a kind that has some."""
    image = getattr(records, kind).image
    assert isinstance(image, recipe.Image)  # noqa: S101  one of them was taken
    return image


def _bundles(jobs: Sequence[Callable[[], None]]) -> Iterator[Callable[[], None]]:
    """Yield jobs that do several of these each: a job for each small file would cost more."""
    size = min(CHUNK, max(1, len(jobs) // 64))
    for at in range(0, len(jobs), size):

        def bundle(part: Sequence[Callable[[], None]] = jobs[at : at + size]) -> None:
            for job in part:
                job()

        yield bundle


def _taken(sources: Sequence[Source], known: Known, *, made: bool) -> Taken:
    name = os.path.basename(sources[0].file)
    nothing = ImageFacts(None)
    if not made:
        return Taken(sources[0], known, name, nothing)
    stem = name.partition(".")[0]
    return Taken(Source("", "", known.look), known, f"{stem}.ome.tif", nothing)


def _conversion(record: Found, image: recipe.Image, sources: Sequence[Source]) -> Conversion:
    names = checks.channel_names(record, image) if record.kind in ("fov", "well") else []
    return Conversion(
        files=tuple(source.file for source in sources),
        channels=tuple(names),
        axes=image.axes,
        pixel_size=record.voxel,
    )


def _key(wish: Conversion) -> str:
    return digest_of(msgspec.json.encode(wish))


def _column(image: recipe.Image) -> str:
    return image.file if isinstance(image.file, str) else ", ".join(image.file.values())


def _is_tiff(file: str) -> bool:
    with open(file, "rb") as opened:
        return opened.read(4) in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def _is_label(header: Header) -> bool:
    return header.dtype.startswith(("int", "uint"))


def _same_shape(one: Taken, other: Taken) -> bool:
    first, second = one.facts.header, other.facts.header
    return bool(first and second and first.shape == second.shape)
