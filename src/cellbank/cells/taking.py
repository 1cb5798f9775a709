"""Images taken into the store: as they are, or, what is no OME-TIFF, made into one."""

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import msgspec

from cellbank.cells import checks
from cellbank.cells.inspect import ImageFacts
from cellbank.cells.looking import NOTHING_YET, Looker
from cellbank.cells.pictures import Picture, tell
from cellbank.cells.problems import Problems
from cellbank.images.convert import Conversion, convert
from cellbank.images.header import read_header
from cellbank.model.digest import SMALL_BELOW, digest_of
from cellbank.model.errors import BadImage, BadInput
from cellbank.model.progress import Watcher
from cellbank.packages.scan import Known, Look, Source
from cellbank.packages.staging import Made, Stager
from cellbank.storage.jobs import Counter, run_all

TOGETHER: Final = 64
"""So many images are taken by one job: a job for each small one would cost more."""
READY: Final = (".ome.tif", ".ome.tiff")
_TIFF: Final = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


class Taken(msgspec.Struct, gc=False):
    """The image of a record: its bytes in the store, or soon there, and what they say.

    `source` has no file where the image was made of others.
    """

    source: Source
    known: Known
    filename: str
    facts: ImageFacts = NOTHING_YET


class Taker:
    """Takes images, each file read once.

    Parameters
    ----------
    stager
        Brings files into the store.
    looker
        Remembers what was made of which files.
    problems
        Gets what cannot be made into an OME-TIFF.
    watch
        Is told of progress.
    """

    def __init__(self, stager: Stager, looker: Looker, problems: Problems, watch: Watcher) -> None:
        self._stager = stager
        self._looker = looker
        self._problems = problems
        self._watch = watch
        self.read = 0

    def take(self, pictures: Sequence[Picture]) -> list[Taken | None]:
        """Take images; None stands for one that is no image."""
        done: list[Taken | None] = [None] * len(pictures)
        new: list[tuple[int, bool]] = []
        for at, picture in enumerate(pictures):
            ready = self._is_ready(picture)
            if ready is None:
                continue
            known = self._stager.known(picture.sources[0]) if ready else self._made(picture)
            if known is not None:
                done[at] = _taken(picture, known, made=not ready)
            else:
                new.append((at, ready))
        self.read = len(new)
        size = sum(source.look.size for at, _ in new for source in pictures[at].sources)
        counter = Counter("images", size, self._watch)

        def job(part: Sequence[tuple[int, bool]]) -> None:
            for at, ready in part:
                done[at] = self._take(pictures[at], counter, ready=ready)

        run_all(_parted(new, job), counter)
        return done

    def _is_ready(self, picture: Picture) -> bool | None:
        """Whether an image is an OME-TIFF already; None if it cannot be read at all."""
        file = picture.sources[0].file
        if len(picture.sources) > 1 or isinstance(picture.image.file, dict):
            return False
        if file.lower().endswith(READY):
            return True
        try:
            return read_header(file).format == "ome-tiff"
        except BadImage as error:
            with open(file, "rb") as opened:
                is_tiff = opened.read(4) in _TIFF
            if is_tiff:
                self._tell(picture, error)
            return None if is_tiff else False

    def _tell(self, picture: Picture, error: BadImage) -> None:
        what = f"{picture.name}: {error.args[1]}"
        advice = error.advice or "Export it again."
        tell(self._problems, picture.record, picture.image, what, advice)

    def _take(self, picture: Picture, counter: Counter, *, ready: bool) -> Taken | None:
        if ready:
            known = self._stager.take(picture.sources[0], counter)
            return _taken(picture, known, made=False)
        wish = _conversion(picture)
        try:
            known = self._stager.make(lambda file: convert(wish, file))
        except BadImage as error:
            self._tell(picture, error)
            return None
        for source in picture.sources:
            if Look.of(os.stat(source.file)) != source.look:
                raise BadInput(
                    f"{source.file} changes while it is read",
                    "Wait until nobody writes to it, then try again.",
                )
            counter.add(source.look.size)
        self._looker.after.made[_key(wish)] = Made(_looks(picture), known)
        return _taken(picture, known, made=True)

    def _made(self, picture: Picture) -> Known | None:
        """Return what was made before of the same files, if it is still here."""
        key = _key(_conversion(picture))
        made = self._looker.before.made.get(key)
        if made is None or made.looks != _looks(picture) or not self._stager.has(made.known):
            return None
        small = made.known.look.size < SMALL_BELOW
        if small and self._stager.small(made.known.digest) is None:
            return None
        self._looker.after.made[key] = made
        return made.known


def _parted(
    new: Sequence[tuple[int, bool]], job: Callable[[Sequence[tuple[int, bool]]], None]
) -> Iterator[Callable[[], None]]:
    size = min(TOGETHER, max(1, len(new) // TOGETHER))
    for at in range(0, len(new), size):
        yield lambda part=new[at : at + size]: job(part)  # type: ignore[misc]


def _looks(picture: Picture) -> tuple[Look, ...]:
    return tuple(source.look for source in picture.sources)


def _taken(picture: Picture, known: Known, *, made: bool) -> Taken:
    name = os.path.basename(picture.sources[0].file)
    if not made:
        return Taken(picture.sources[0], known, name)
    return Taken(Source("", "", known.look), known, f"{name.partition('.')[0]}.ome.tif")


def _conversion(picture: Picture) -> Conversion:
    record = picture.record
    named = record.kind in ("fov", "well")
    several = isinstance(picture.image.file, dict)
    return Conversion(
        files=tuple(source.file for source in picture.sources),
        channels=tuple(checks.channel_names(record, picture.image)) if named else (),
        # Of one file a channel, they are those of each file.
        axes=picture.image.axes.replace("C", "") if several else picture.image.axes,
        pixel_size=record.voxel,
    )


def _key(wish: Conversion) -> str:
    return digest_of(msgspec.json.encode(wish))
