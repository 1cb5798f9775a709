"""Measures cellbank against `cp -r` and against its aims, and prints tables.

`make bench`, or `python bench/run.py --help`. Whole processes of the real command, in an order in
which nothing is warm that would not be so for a user, each after the disk came to rest; medians.
"""

import argparse
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from families import CELLS, FIELDS, Family, room_for_fields
from image_processes import SHOWN, SHOWN_SMALL, far, imports, shown
from image_tables import far_table, images_table, imports_table, shown_table
from images import ROUNDS as IMAGE_ROUNDS
from images import Images, measured
from questions import Questions, far_line, questions_table
from steps import Files, manifest_steps, start_steps, subset_steps
from tables import (
    family_table,
    files_table,
    growth,
    manifest_table,
    start_table,
    subset_table,
)

NEEDED_BYTES = 12 << 30
START_ROUNDS = 9


def main() -> None:
    """Read the options, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=3, help="rounds to take the median of")
    parser.add_argument("--folder", type=Path, help="a folder on the disk to measure on")
    parser.add_argument(
        "--patience", type=float, default=2, help="seconds to wait for neighbours before a step"
    )
    parser.add_argument(
        "--only", help="what to measure", default="W1,W2,manifest,subset,cells,fields,start,images"
    )
    parser.add_argument("--fovs", type=int, default=FIELDS, help="fields of view of full size")
    parser.add_argument("--no-http", action="store_true", help="leave the registry out")
    parser.add_argument("--quick", action="store_true", help="a small share: does it still run?")
    parser.add_argument("--markdown", action="store_true", help="print nothing but the tables")
    parser.add_argument("--command", default=str(Path(sys.executable).with_name("cellbank")))
    given = parser.parse_args()
    for name in list(os.environ):
        # What is installed has its bytecode; without it every start would compile it anew.
        if name.startswith("CELLBANK_") or name == "PYTHONDONTWRITEBYTECODE":
            del os.environ[name]
    if given.quick:
        given.patience = 0
    # So that files and registry end with us, whoever ends us.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    place = given.folder or _roomy_folder(quick=given.quick)
    place.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="cellbank-bench.", dir=place) as folder:
        for title, lines in _tables(given, Path(folder)):
            _show(given, title, lines)
    wanted = [name for name in ("cells", "fields") if name in given.only.split(",")]
    place = given.folder or Path(tempfile.gettempdir())
    for name in wanted:
        with tempfile.TemporaryDirectory(prefix="cellbank-bench.", dir=place) as folder:
            _show(given, *_family(given, name, Path(folder)))


def _show(given: argparse.Namespace, title: str, lines: list[str]) -> None:
    print(f"### {title}\n" if given.markdown else title, *lines, "", sep="\n", flush=True)


def _family(given: argparse.Namespace, name: str, folder: Path) -> tuple[str, list[str]]:
    """Measure a family; on a disk, where a lab has its images."""
    kind = _file_system(folder) + (", a small share that says nothing of speed" * given.quick)
    fovs = given.fovs if name == "fields" else CELLS
    if given.quick:
        fovs = FIELDS if name == "fields" else 200
    title = f"{name}, {fovs:,} fields of view, on {kind}, median of {given.runs}"
    patience = None if given.quick else given.patience
    needed = room_for_fields(fovs)
    if name == "fields" and not given.quick and shutil.disk_usage(folder).free < needed:
        return title, [f"Left out: it needs {needed / 1e9:.0f} GB where temporary files go."]
    _say(given, f"{name}: making the files")
    family = Family(name, folder / name, given.command, fovs, patience)
    for number in range(given.runs):
        _say(given, f"{name}: round {number + 1} of {given.runs}")
        family.round()
    shutil.rmtree(folder / name)
    lines = family_table(family)
    if name == "fields":
        _say(given, f"{name}: twice as many")
        twice = Family(name, folder / "twice", given.command, 2 * fovs, patience)
        twice.build_once()
        lines.append(growth(family, twice))
    return title, lines


def _say(given: argparse.Namespace, text: str) -> None:
    if not given.markdown:
        print(text, file=sys.stderr, flush=True)


def _tables(given: argparse.Namespace, folder: Path) -> Iterator[tuple[str, list[str]]]:
    kind = _file_system(folder) + (", a small share that says nothing of speed" * given.quick)
    wanted = given.only.split(",")

    def say(text: str) -> None:
        _say(given, text)

    for name in ("W1", "W2"):
        if name in wanted:
            say(f"{name}: making the files")
            patience = None if given.quick else given.patience
            files = Files(name, folder / name, given.command, patience)
            # A virtual machine may get its memory when it is first touched: not in a round.
            if given.no_http:
                files.round(http=False)
                files.samples.clear()
            else:
                say(f"{name}: counting requests")
                files.count_requests()
            for number in range(given.runs):
                say(f"{name}: round {number + 1} of {given.runs}")
                files.round(http=not given.no_http)
            shutil.rmtree(folder / name)
            yield f"{name} on {kind}, median of {given.runs}", files_table(files, kind)
    if "manifest" in wanted:
        count = 10_000 if given.quick else 1_000_000
        say(f"A manifest of {count:,} entries")
        seconds, samples = manifest_steps(folder, count, given.runs, given.patience)
        title = f"A manifest of {count:,} entries on {kind}, median of {given.runs}"
        yield title, manifest_table(seconds, samples)
    if "subset" in wanted:
        count = 10_000 if given.quick else 1_000_000
        say(f"A subset of {count:,} entries")
        seconds, samples = subset_steps(folder, count, given.runs, given.patience)
        title = f"A subset of {count:,} entries on {kind}, median of {given.runs}"
        yield title, subset_table(seconds, samples)
    if "query" in wanted:
        yield _questions(given, folder / "query", kind)
    if "start" in wanted:
        say("Starting")
        rounds = 1 if given.quick else max(START_ROUNDS, given.runs)
        yield (
            f"Start, median of {rounds}",
            start_table(start_steps(given.command, rounds, given.patience)),
        )
    if "images" in wanted:
        yield from _images(given, folder / "images", kind)


def _questions(given: argparse.Namespace, folder: Path, kind: str) -> tuple[str, list[str]]:
    _say(given, "query: making the package")
    asked = Questions(folder, given.command, quick=given.quick, patience=given.patience)
    rounds = 1 if given.quick else max(START_ROUNDS, given.runs)
    lines = questions_table(list(asked.asked(rounds)), quick=given.quick)
    if not given.no_http:
        lines += ["", far_line(asked.far(), quick=given.quick)]
    shutil.rmtree(folder)
    return f"Questions about {asked.fovs:,} fields of view on {kind}, median of {rounds}", lines


def _images(given: argparse.Namespace, folder: Path, kind: str) -> Iterator[tuple[str, list[str]]]:
    """Measure images; each way in turn, in more rounds than other things: they are short."""
    rounds = 1 if given.quick else max(IMAGE_ROUNDS, given.runs)

    def say(text: str) -> None:
        _say(given, text)

    say("images: making the files")
    images = Images(folder, patience=given.patience, quick=given.quick, say=say)
    with closing(images):
        lines = images_table(measured(images, rounds), quick=given.quick)
    yield f"Images on {kind}, median of {rounds}", lines
    if not given.no_http:
        say("images: over HTTP")
        lines = far_table(far(images, given.command, min(rounds, given.runs)))
        yield f"One plane over HTTP, median of {min(rounds, given.runs)}", lines
    say("images: showing a package")
    count = SHOWN_SMALL if given.quick else SHOWN
    lines = shown_table(shown(images, given.command, rounds), quick=given.quick)
    yield f"A package of {count} fields of view shows itself, median of {rounds}", lines
    lines = imports_table(imports(images, rounds))
    loads = f"Load average before a round: {min(images.loads):.1f} to {max(images.loads):.1f}."
    shutil.rmtree(folder)
    yield f"Imports, median of {rounds}", [*lines, "", loads]


def _roomy_folder(*, quick: bool) -> Path:
    """Return a folder in memory if it has room, so that no disk is measured; else the usual one."""
    memory = Path("/dev/shm")  # noqa: S108
    if memory.is_dir() and (quick or shutil.disk_usage(memory).free > NEEDED_BYTES):
        return memory
    return Path(tempfile.gettempdir())


def _file_system(folder: Path) -> str:
    """Return the type of the file system: the innermost mount that the folder is in."""
    best = ("", "this disk")
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, point, kind, *_ = line.split()
        if f"{folder.resolve()}/".startswith(f"{point.rstrip('/')}/") and len(point) > len(best[0]):
            best = (point, kind)
    return best[1]


if __name__ == "__main__":
    main()
