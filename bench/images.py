"""Images: opening, planes, projections and pictures, beside what others do with the same files.

Every way is a process of its own that stays (`ways.py`); they take turns, so that neighbours and
the state of the memory are the same for all. What each made is compared before anything is timed.
"""

import json
import statistics
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from measure import Sample, run, settle
from peers import PEERS, python_of

BENCH = Path(__file__).parent
FIELD, SMALL, FEW = (70, 624, 924), (4, 39, 58), 10
ROUNDS = 7
EXACT = 1e-9

ALL = ("cellbank", "tifffile", "bioio", "aicsimageio")
WHOLE = ("bioio, all at once", "aicsimageio, all at once")


class Task(NamedTuple):
    """One thing to do in several ways.

    `batch` is how often a turn does it; the median of a turn counts. `others` are measured beside
    it; the ratios are to `against`. With `memory` each way also runs once in a fresh process.
    """

    title: str
    task: str
    file: str
    ways: tuple[str, ...]
    against: str
    batch: int = 1
    most_times: float | None = None
    most_seconds: float | None = None
    memory: bool = False


TIFFS = {
    "written by tifffile": "tifffile.ome.tiff",
    "written by cellbank": "cellbank.ome.tiff",
}
COMPRESSED = {
    "tiles of zlib": "zlib-tiles.ome.tiff",
    "tiles of zstd": "zstd-tiles.ome.tiff",
    "strips of zlib": "zlib-strips.ome.tiff",
}
PAGES = ("cellbank", "tifffile", "tifffile, pages held")
FIELD_FILE = "tifffile.ome.tiff"
BY_HAND = "tifffile.imread"

TASKS = (
    *(
        Task(f"open, {how}", "open", file, ALL, "tifffile", batch=5, most_seconds=0.010)
        for how, file in TIFFS.items()
    ),
    *(
        Task(
            f"one plane of an open image, {how}",
            "plane",
            file,
            (*PAGES, *(("bioio", "aicsimageio") if file == FIELD_FILE else ())),
            "tifffile",
            batch=70,
            most_times=1.2,
        )
        for how, file in TIFFS.items()
    ),
    *(
        Task(
            f"one plane of an open image, {how}",
            "plane",
            file,
            ("cellbank", "tifffile"),
            "tifffile",
            batch=20,
            most_times=1.2,
        )
        for how, file in COMPRESSED.items()
    ),
    Task(
        "open and one plane",
        "open, plane",
        FIELD_FILE,
        (*ALL, BY_HAND),
        "tifffile",
        batch=5,
        most_times=1.2,
    ),
    Task(
        "maximum over Z",
        "max",
        FIELD_FILE,
        (
            *("cellbank", BY_HAND, "tifffile", "tifffile.memmap", "tifffile, dask"),
            *("bioio", "aicsimageio", *WHOLE, "reading the file"),
        ),
        BY_HAND,
        most_times=1 / 1.5,
        memory=True,
    ),
    Task(
        "mean over Z",
        "mean",
        FIELD_FILE,
        ("cellbank", BY_HAND, "tifffile", "bioio", "aicsimageio"),
        BY_HAND,
        memory=True,
    ),
    Task(
        "90th percentile over Z, one channel",
        "percentile",
        FIELD_FILE,
        ("cellbank", BY_HAND),
        BY_HAND,
        memory=True,
    ),
    Task("three channels as RGB", "rgb", FIELD_FILE, ("cellbank", BY_HAND), BY_HAND, memory=True),
    Task("composite of all channels", "composite", FIELD_FILE, ("cellbank",), "", memory=True),
    Task("thumbnail", "thumbnail", FIELD_FILE, ("cellbank",), "", memory=True),
    Task("open, OME-Zarr", "open", "field.ome.zarr", ("cellbank", "zarr"), "zarr", batch=5),
    Task(
        "one plane of an open image, OME-Zarr",
        "plane",
        "field.ome.zarr",
        ("cellbank", "zarr"),
        "zarr",
        batch=20,
    ),
)


class Found(NamedTuple):
    """What one way took: seconds of each round, of a fresh process its memory; or why nothing."""

    seconds: list[float]
    ratios: list[float]
    memory: int
    missing: str


Measured = dict[str, Found]
"""By way."""


class Images:
    """The files, and the environments that the ways need.

    `loads` has the load average before each round.
    """

    def __init__(
        self, folder: Path, *, patience: float, quick: bool, say: Callable[[str], None]
    ) -> None:
        self.folder = folder
        self.quick = quick
        self.patience = 0 if quick else patience
        self.loads: list[float] = []
        self.say = say
        self._pythons: dict[str, tuple[str, str]] = {}
        self._workers: dict[str, Worker] = {}
        self._stack = ExitStack()
        folder.mkdir(exist_ok=True)
        self.depth, *_ = shape = SMALL if quick else FIELD
        run([sys.executable, BENCH / "image_files.py", folder, *map(str, (*shape, FEW))])

    def python(self, way: str) -> tuple[str, str]:
        """Return the Python that a way needs, or "" and why there is none."""
        peer = way.partition(",")[0]
        if peer not in PEERS:
            return sys.executable, ""
        if self.quick:
            return "", "left out of the small share"
        if peer not in self._pythons:
            self._pythons[peer] = python_of(peer)
        return self._pythons[peer]

    def asked(self, task: Task) -> tuple[str, str, int]:
        """Return what is asked of a way."""
        depth = self.depth if task.file in TIFFS.values() else min(self.depth, FEW)
        return task.task, str(self.folder / task.file), depth

    def command(self, way: str) -> list[str]:
        """Return what starts a way."""
        return [self.python(way)[0], str(BENCH / "ways.py"), way]

    def worker(self, way: str, stack: ExitStack) -> "Worker":
        """Return a process that goes a way; in the small share one does for all tasks."""
        if not self.quick:
            return stack.enter_context(_working(self.command(way), way))
        if way not in self._workers:
            self._workers[way] = self._stack.enter_context(_working(self.command(way), way))
        return self._workers[way]

    def close(self) -> None:
        """End the processes."""
        self._stack.close()


def measured(images: Images, rounds: int) -> Iterator[tuple[Task, Measured]]:
    """Yield each task and what its ways took."""
    for task in TASKS:
        images.say(f"images: {task.title}")
        yield task, _measured(images, task, rounds)


def _measured(images: Images, task: Task, rounds: int) -> Measured:
    seconds: dict[str, list[float]] = defaultdict(list)
    missing = {way: images.python(way)[1] for way in task.ways}
    ways = [way for way in task.ways if not missing[way]]
    with ExitStack() as stack:
        workers = {way: images.worker(way, stack) for way in ways}
        _check(task, {way: worker.ready(*images.asked(task)) for way, worker in workers.items()})
        for worker in workers.values():
            worker.turn(task.batch)
        for number in range(rounds):
            images.loads.append(load_at_rest(images.patience))
            at = number % len(ways)
            for way in (*ways[at:], *ways[:at]):
                seconds[way].append(workers[way].turn(task.batch))
    found = {way: Found([], [], 0, missing[way]) for way in task.ways}
    # Of the small share, one task with all its processes tells that they run.
    skipped = images.quick and task.task != "max"
    for way in ways:
        base = seconds.get(task.against, ())
        ratios = [a / b for a, b in zip(seconds[way], base, strict=False)]
        memory = _fresh(images, way, task).memory if task.memory and not skipped else 0
        found[way] = Found(seconds[way], ratios, memory, "")
    return found


def load_at_rest(patience: float) -> float:
    """Return the load average, when the machine came to rest or patience came to an end."""
    settle(patience)
    return float(Path("/proc/loadavg").read_text().partition(" ")[0])


def _fresh(images: Images, way: str, task: Task) -> Sample:
    """Return what a process takes that does it once."""
    return run([*images.command(way), *map(str, images.asked(task))])[0]


def _check(task: Task, made: dict[str, float | None]) -> None:
    """Refuse to time what is not the same work."""
    sums = {way: one for way, one in made.items() if one is not None}
    first = next(iter(sums.values()))
    if any(abs(one - first) > EXACT * abs(first) for one in sums.values()):
        raise SystemExit(f"{task.title}: the ways differ in what they make: {sums}")


class Worker:
    """A process that does one thing again and again."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def ready(self, task: str, path: str, depth: int) -> float | None:
        """Let it get ready, do its thing once, and return a number that tells what it made."""
        made: float | None = json.loads(self._answer([task, path, depth]))
        return made

    def turn(self, times: int) -> float:
        """Let it do its thing so many times; return the median of the seconds that it took."""
        return statistics.median(json.loads(self._answer(times)))

    def _answer(self, asked: object) -> str:
        self._process.stdin.write(f"{json.dumps(asked)}\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"{self._process.args}: it ended")
        return line


@contextmanager
def _working(command: list[str], way: str) -> Iterator[Worker]:
    """Give a process that goes one way, and ends with the block."""
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=None if way in {"cellbank", "tifffile"} else subprocess.DEVNULL,
        text=True,
    )
    try:
        yield Worker(process)
    finally:
        process.stdin.close()
        process.wait()
        process.stdout.close()
