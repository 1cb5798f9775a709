"""Families of packages from a lab's tables and images: built from nothing, unchanged, changed."""

import csv
import json
import os
import shutil
import sys
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

from measure import Sample, run, settle
from watching import Seen

BENCH = Path(__file__).parent
FIELD_BYTES = 530_000_000
"""Of one field of view of full size, with its segmentations."""
CELLS, FIELDS = 100_000, 12


class Took(NamedTuple):
    """What one step took, and what the build said of it."""

    sample: Sample
    seen: Seen
    images_read: int
    added: int


class Family:
    """One export on its way: copied, and built into a store.

    `steps` has what every build took, once a round; `copies` what `cp -r` of the same files took;
    `loads` the load average before each.
    `patience` says how many seconds to wait for a quiet machine before each step; None makes small
    images, and waits for nothing.
    """

    def __init__(
        self, name: str, folder: Path, command: str, fovs: int, patience: float | None
    ) -> None:
        self.name = name
        self.fovs = fovs
        self.quick = patience is None
        self.steps: dict[str, list[Took]] = defaultdict(list)
        self.copies: list[Sample] = []
        self.loads: list[float] = []
        self._folder = folder
        self._source = folder / "source"
        self._command = command
        self._patience = patience
        self._changes = 0
        folder.mkdir()
        self._make()
        found = [path.stat() for path in self._source.rglob("*") if path.is_file()]
        self.files, self.bytes = len(found), sum(look.st_size for look in found)

    def _make(self) -> None:
        if self.name == "cells":
            run([sys.executable, BENCH / "cell_lines.py", self._source, str(self.fovs)])
            return
        shape = "4,39,58" if self.quick else "70,624,924"
        words = ["sample", "--quiet", "--fovs", str(self.fovs), "--shape", shape]
        run([self._command, *words, self._source])

    def round(self) -> None:
        """Measure every step once."""
        self._copy()
        with_images = self.name == "cells"
        try:
            self._build("build")
            self._build("same: build")
            self._change_well()
            self._build("one cell of a table: build")
            if with_images:
                self._change_image()
                self._build("one image: build")
        finally:
            shutil.rmtree(self._folder / "lab", ignore_errors=True)

    def build_once(self) -> None:
        """Measure the build from nothing alone."""
        self._build("build")
        shutil.rmtree(self._folder / "lab")

    def _settle(self) -> None:
        if self._patience is not None:
            settle(self._patience)
        self.loads.append(os.getloadavg()[0])

    def _copy(self) -> None:
        self._settle()
        copy = self._folder / "copy"
        try:
            self.copies.append(run(["cp", "-r", self._source, copy])[0])
        finally:
            shutil.rmtree(copy, ignore_errors=True)

    def _build(self, step: str) -> None:
        self._settle()
        environment = {**os.environ, "CELLBANK_HOME": str(self._folder / "lab")}
        words = [self._command, "build", "aics", self._source / "cellbank.yaml", "--json"]
        seen: list[Seen] = []
        sample, out = run(words, environment, seen=seen)
        said = json.loads(out)
        self.steps[step].append(Took(sample, seen[0], said["images_read"], said["added_bytes"]))

    def _change_well(self) -> None:
        self._changes += 1
        path = self._source / "wells.csv"
        with path.open(newline="") as file:
            head, first, *rest = csv.reader(file)
        first[head.index("clone")] = str(1000 + self._changes)
        with path.open("w", newline="") as file:
            csv.writer(file).writerows([head, first, *rest])

    def _change_image(self) -> None:
        path = self._source / "images/000/5.ome.tif"
        data = path.read_bytes()
        path.write_bytes(data[:-8] + (10**9 + self._changes).to_bytes(8, "little"))


def room_for_fields(fovs: int) -> int:
    """Return how many bytes the fields need on the disk: twice as many of them, and their store."""
    return 2 * 2 * fovs * FIELD_BYTES
