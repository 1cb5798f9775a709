"""Images looked at, each once, side by side; what was learned is remembered by their digests."""

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import BrokenExecutor, Executor, ThreadPoolExecutor
from typing import Any, Final, TypeVar

import msgspec

from cellbank.cells.inspect import (
    ImageFacts,
    PairFacts,
    Where,
    inspect_images,
    inspect_pairs,
)
from cellbank.model.digest import digest_of
from cellbank.model.errors import BadInput
from cellbank.packages.staging import Made
from cellbank.storage import disk
from cellbank.storage.store import Store

J = TypeVar("J")
R = TypeVar("R")
T = TypeVar("T")

CHUNK: Final = 64
"""So many images are looked at in one job."""
FEW_BYTES: Final = 64 << 20
FEW_JOBS: Final = 10 * CHUNK
"""Less than this is looked at in this process: to start others would take longer."""
NOTHING_YET: Final = ImageFacts(None)


class Memory(msgspec.Struct):
    """What was learned of images when they were last looked at, by the digests of their bytes."""

    images: dict[str, ImageFacts]
    pairs: dict[str, PairFacts]
    made: dict[str, Made]

    @classmethod
    def empty(cls) -> "Memory":
        """Return one that knows nothing."""
        return cls({}, {}, {})

    def and_also(self, other: "Memory") -> "Memory":
        """Return what both know; where they differ, the other is right."""
        return Memory(
            {**self.images, **other.images},
            {**self.pairs, **other.pairs},
            {**self.made, **other.made},
        )


class Looker:
    """Looks at what is new, and remembers.

    Parameters
    ----------
    store
        Has the file in which it is remembered.
    whose
        The path of the recipe whose images these are.
    executor
        Where images are looked at; default: processes of this machine.
    """

    def __init__(self, store: Store, whose: str, executor: Executor | None) -> None:
        self._path = store.files.path(f"caches/images/{digest_of(os.fsencode(whose))}")
        self._executor = executor
        self._own: Any = None
        self._same: dict[bytes, ImageFacts] = {}
        self.before = self._load()
        self.after = Memory.empty()

    def images(self, wanted: Mapping[str, T], where: Callable[[T], Where], size: int) -> None:
        """Learn of images by their digests; `size` is how many bytes there are to look at."""
        known = {d: self.before.images[d] for d in wanted if d in self.before.images}
        new = [digest for digest in wanted if digest not in known]
        found = self._run(inspect_images, [where(wanted[digest]) for digest in new], size)
        learned = {**known, **dict(zip(new, found, strict=True))}
        self.after.images.update({d: self._one_of(facts) for d, facts in learned.items()})

    def _one_of(self, facts: ImageFacts) -> ImageFacts:
        """Return the same object for the same facts: most images of a lab are alike."""
        return self._same.setdefault(msgspec.msgpack.encode(facts), facts)

    def pairs(
        self,
        wanted: Mapping[str, T],
        where: Callable[[T], tuple[Where, Where, Where]],
        size: int,
    ) -> None:
        """Learn of segmentations of the same field, by their digests together."""
        known = {d: self.before.pairs[d] for d in wanted if d in self.before.pairs}
        new = [digest for digest in wanted if digest not in known]
        found = self._run(inspect_pairs, [where(wanted[digest]) for digest in new], size)
        self.after.pairs.update({**known, **dict(zip(new, found, strict=True))})

    def _run(self, work: Callable[[Sequence[J]], list[R]], jobs: Sequence[J], size: int) -> list[R]:
        """Do the work in chunks, side by side: in processes where there is much of it."""
        if not jobs:
            return []
        large = size / len(jobs) > FEW_BYTES / CHUNK
        step = 1 if large else CHUNK
        chunks = [jobs[at : at + step] for at in range(0, len(jobs), step)]
        if self._executor is None and size < FEW_BYTES and len(jobs) < FEW_JOBS:
            with ThreadPoolExecutor(os.cpu_count()) as threads:
                return [one for part in threads.map(work, chunks) for one in part]
        pool = self._executor or self._processes()
        futures = [pool.submit(work, chunk) for chunk in chunks]
        try:
            return [one for future in futures for one in future.result()]
        except BrokenExecutor:
            self.close(kill=True)
            raise BadInput(
                "a process that looked at images was ended from outside, or by an image",
                "Look whether memory was short (dmesg), then run the same command again.",
            ) from None
        except BaseException:
            for future in futures:
                future.cancel()
            self.close(kill=True)
            raise

    def _processes(self) -> Executor:
        if self._own is None:
            from loky import ProcessPoolExecutor

            self._own = ProcessPoolExecutor(max_workers=os.cpu_count() or 1)
        executor: Executor = self._own
        return executor

    def close(self, *, kill: bool = False) -> None:
        """End the processes that were started."""
        if self._own is not None:
            self._own.shutdown(wait=True, kill_workers=kill)
            self._own = None

    def _load(self) -> Memory:
        try:
            with open(self._path, "rb") as file:
                return msgspec.msgpack.decode(file.read(), type=Memory)
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
            return Memory.empty()

    def save(self, *, keep: bool) -> None:
        """Remember for the next build what was learned, with `keep` also what was known before."""
        known = self.before.and_also(self.after) if keep else self.after
        if known != self.before:
            disk.write_cache(self._path, msgspec.msgpack.encode(known))
