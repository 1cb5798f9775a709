"""The steps that are measured: `cp -r`, and what a user does with cellbank, in that order."""

import os
import shutil
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from measure import CountingPassage, Sample, Server, bytes_on_disk, run, serving, settle

BENCH = Path(__file__).parent
MANIFEST_STEPS = ("read", "list", "compare-scattered", "compare-neighbours")

WHOLE = ("build", "push, folder", "install, folder", "push, HTTP", "install, HTTP")
"""The steps that move everything."""


class Files:
    """One workload on its way: built, pushed and installed, through a folder and over HTTP.

    `samples` has what every step took, once a round; `requests` how many each step over HTTP made;
    `disk` the bytes that the source and the three places occupy. `patience` says how many seconds
    to wait for a quiet machine before each step; None makes a small share of the files and waits
    for nothing.
    """

    def __init__(self, name: str, folder: Path, command: str, patience: float | None) -> None:
        self.name = name
        self.samples: dict[str, list[Sample]] = defaultdict(list)
        self.requests: dict[str, int] = {}
        self.disk: dict[str, int] = {}
        self.server_memory = 0
        self._folder = folder
        self._source = folder / "source"
        self._command = command
        self.quick = patience is None
        self._patience = patience
        self._reference = f"bench/{name.lower()}"
        self._changes = 0
        folder.mkdir()
        self._make("--change", "0")

    def _make(self, *options: str) -> None:
        program, share = BENCH / "workloads.py", ["--quick"] if self.quick else []
        run([sys.executable, program, self.name, self._source, *share, *options])

    def _change(self) -> None:
        self._changes += 1
        self._make("--change", str(self._changes))

    def round(self, *, http: bool) -> None:
        """Measure every step once."""
        with self._scratch("lab") as lab:
            with self._scratch("remote") as remote, self._scratch("user") as user:
                self._through_folder(lab, remote, user)
            if not http:
                return
            with self._scratch("registry") as registry, self._scratch("user") as user:
                self._over_http(lab, registry, user)

    def count_requests(self) -> None:
        """Go the way over HTTP once, not timed, and count the requests of every step."""
        with (
            self._scratch("lab") as lab,
            self._scratch("registry") as registry,
            self._scratch("user") as user,
            self._serving(registry) as server,
        ):
            self._cellbank(lab, "build", self._reference, self._source)
            passage = CountingPassage(server.url)
            for step, home, words in self._http_steps(lab, user, passage.url):
                before = passage.requests
                self._cellbank(home, *words, token=server.token)
                self.requests[step] = passage.requests - before
            passage.close()

    @contextmanager
    def _scratch(self, name: str) -> Iterator[Path]:
        """Give the name of a folder that does not outlive the block."""
        folder = self._folder / name
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _serving(self, registry: Path) -> "contextmanager[Server]":
        words = [self._command, "serve", str(registry), "--port", "0"]
        return serving(words, {**os.environ, "CELLBANK_HOME": f"{registry}-home"})

    def _settle(self) -> None:
        if self._patience is not None:
            settle(self._patience)

    def _copy(self) -> None:
        with self._scratch("copy") as copy:
            self._settle()
            self.samples["cp -r"].append(run(["cp", "-r", self._source, copy])[0])

    def _cellbank(self, home: Path, *words: str | Path, token: str = "") -> Sample:
        environment = {**os.environ, "CELLBANK_HOME": str(home), "CELLBANK_TOKEN": token}
        return run([self._command, *words], environment)[0]

    def _step(self, name: str, home: Path, *words: str | Path) -> None:
        # A copy right before each large step: both meet the same neighbours and the same memory.
        if name in WHOLE:
            self._copy()
        self._settle()
        self.samples[name].append(self._cellbank(home, *words))

    def _through_folder(self, lab: Path, remote: Path, user: Path) -> None:
        build = ("build", self._reference, self._source)
        push = ("push", self._reference, "--to", remote)
        install = ("install", self._reference, "--from", remote, "--yes")
        self._step("build", lab, *build)
        self._step("push, folder", lab, *push)
        self._step("install, folder", user, *install)
        self._step("verify", user, "verify", self._reference)
        for name in ("source", "lab", "remote", "user"):
            self.disk[name] = bytes_on_disk(self._folder / name)
        self._step("same: build", lab, *build)
        self._step("same: push, folder", lab, *push)
        self._step("same: install, folder", user, *install)
        self._change()
        self._step("1 %: build", lab, *build)
        self._step("1 %: push, folder", lab, *push)
        self._step("1 %: install, folder", user, *install)

    def _http_steps(
        self, lab: Path, user: Path, url: str
    ) -> Iterator[tuple[str, Path, tuple[str | Path, ...]]]:
        """Yield (step, home, words) of all that goes over HTTP; files change on the way."""
        push = ("push", self._reference, "--to", url)
        install = ("install", self._reference, "--from", url, "--yes")
        for before in ("", "same: "):
            yield f"{before}push, HTTP", lab, push
            yield f"{before}install, HTTP", user, install
        self._change()
        self._cellbank(lab, "build", self._reference, self._source)
        yield "1 %: push, HTTP", lab, push
        yield "1 %: install, HTTP", user, install

    def _over_http(self, lab: Path, registry: Path, user: Path) -> None:
        with self._serving(registry) as server:
            for step, home, words in self._http_steps(lab, user, server.url):
                if step in WHOLE:
                    self._copy()
                self._settle()
                before = server.cpu()
                took = self._cellbank(home, *words, token=server.token)
                used = server.cpu() - before
                self.samples[step].append(took._replace(server_cpu=used))
            self.server_memory = max(self.server_memory, server.memory())


def manifest_steps(
    folder: Path, count: int, rounds: int, patience: float
) -> tuple[dict[str, list[float]], dict[str, list[Sample]]]:
    """Return the seconds of work of each step with a manifest, and what its process took."""
    seconds: dict[str, list[float]] = defaultdict(list)
    samples: dict[str, list[Sample]] = defaultdict(list)
    for _ in range(rounds):
        with tempfile.TemporaryDirectory(dir=folder) as store:
            for step in ("write", *MANIFEST_STEPS):
                settle(patience)
                words = [sys.executable, BENCH / "manifest.py", step, store, str(count)]
                sample, said = run(words)
                seconds[step].append(float(said))
                samples[step].append(sample)
    return seconds, samples


def subset_steps(
    folder: Path, count: int, rounds: int, patience: float
) -> tuple[dict[str, list[float]], dict[str, list[Sample]]]:
    """Return the seconds of planning a subset, and what the process took: afresh, and again."""
    seconds: dict[str, list[float]] = defaultdict(list)
    samples: dict[str, list[Sample]] = defaultdict(list)
    with tempfile.TemporaryDirectory(dir=folder) as place:
        run([sys.executable, BENCH / "subsets.py", "make", place, str(count)])
        for _ in range(rounds):
            with tempfile.TemporaryDirectory(dir=folder) as store:
                for step in ("first", "again"):
                    settle(patience)
                    words = [sys.executable, BENCH / "subsets.py", "plan", place, store]
                    sample, said = run(words)
                    seconds[step].append(float(said))
                    samples[step].append(sample)
    return seconds, samples


def start_steps(command: str, rounds: int, patience: float) -> dict[str, list[Sample]]:
    """Return what processes take that start, and do next to nothing."""
    python = [sys.executable, "-c"]
    steps: dict[str, list[str]] = {
        "python": [*python, "pass"],
        "import cellbank": [*python, "import cellbank"],
        "import cellbank; cellbank.install": [*python, "import cellbank; cellbank.install"],
        "cellbank --version": [command, "--version"],
    }
    samples: dict[str, list[Sample]] = defaultdict(list)
    for _ in range(rounds):
        settle(patience)
        for step, words in steps.items():
            samples[step].append(run(words)[0])
    return samples
