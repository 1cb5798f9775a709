"""One step with a manifest of many entries, in a process of its own; prints its seconds.

`manifest.py write|read|list|compare-scattered|compare-neighbours STORE COUNT`, `write` first.
"""

import random
import sys
import time
from collections.abc import Callable
from pathlib import Path

from cellbank.model.changes import compare
from cellbank.model.digest import digest_of
from cellbank.model.manifest import Entry, Manifest, make_entry
from cellbank.model.reference import Package
from cellbank.storage.store import Store
from cellbank.storage.transfer import keep_small

PACKAGE = Package("bench", "manifest")
GROUP_SIZE = 1000
CHANGED = 1000


def path(number: int) -> str:
    """Return a path of about 60 characters, 1,000 of them in a group."""
    return f"fovs/plate_{number // GROUP_SIZE:06}/fov_{number * 2654435761 % 2**32:032x}.ome.tif"


def entries(count: int) -> list[Entry]:
    """Return so many entries, one in ten with metadata."""
    return [
        make_entry(
            path(number),
            digest_of(number.to_bytes(8)),
            2_000_000 + number,
            meta={"line": number % 71, "plate": number // GROUP_SIZE} if number % 10 == 0 else None,
        )
        for number in range(count)
    ]


def changed(all_of_them: list[Entry], which: list[int]) -> list[Entry]:
    """Return the entries with other bytes at these places."""
    again = list(all_of_them)
    for number in which:
        old = again[number]
        again[number] = make_entry(
            old.path, digest_of(old.digest.encode()), old.size, meta=old.meta
        )
    return again


def keep(store: Store, all_of_them: list[Entry], variant: str) -> None:
    """Write a manifest into the store, and its revision where the other steps find it."""
    made = Manifest.of(all_of_them)
    keep_small(store, PACKAGE, [(made.revision, made.data), *made.pages.items()])
    Path(f"{store.root}/{variant}").write_text(made.revision)


def revision(store: Store, variant: str) -> str:
    """Return the revision that was written."""
    return Path(f"{store.root}/{variant}").read_text()


def seconds(work: Callable[[], object]) -> float:
    """Return how long `work` takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def write(folder: str, count: int) -> float:
    """Write the manifest that the other steps read, and two that differ from it a little."""
    store = Store.at(folder)
    base = entries(count)
    taken = seconds(lambda: keep(store, base, "base"))
    few = min(CHANGED, count // 10)
    scattered = random.Random(1).sample(range(count), few)  # noqa: S311
    keep(store, changed(base, scattered), "scattered")
    keep(store, changed(base, list(range(count // 2, count // 2 + few))), "neighbours")
    return taken


def read(folder: str, count: int) -> float:
    """Read all entries."""

    def work() -> None:
        store = Store.at(folder)
        assert len(list(store.reader(PACKAGE, revision(store, "base")))) == count  # noqa: S101

    return seconds(work)


def list_group(folder: str, count: int) -> float:
    """List one group in the middle."""
    group = path(count // 2).rpartition("/")[0]

    def work() -> None:
        store = Store.at(folder)
        groups, names = store.reader(PACKAGE, revision(store, "base")).children(group)
        assert (len(groups), len(names)) == (0, min(count, GROUP_SIZE))  # noqa: S101

    return seconds(work)


def compare_with(variant: str) -> Callable[[str, int], float]:
    """Return the step that compares with a revision that differs a little."""

    def step(folder: str, count: int) -> float:
        def work() -> None:
            store = Store.at(folder)
            old, new = (store.reader(PACKAGE, revision(store, v)) for v in ("base", variant))
            assert len(compare(old, new).changed) == min(CHANGED, count // 10)  # noqa: S101

        return seconds(work)

    return step


STEPS = {
    "write": write,
    "read": read,
    "list": list_group,
    "compare-scattered": compare_with("scattered"),
    "compare-neighbours": compare_with("neighbours"),
}


if __name__ == "__main__":
    print(STEPS[sys.argv[1]](sys.argv[2], int(sys.argv[3])))
