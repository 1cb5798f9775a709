"""cellbank at work: a lab's tables and images become packages, travel, and are corrected.

`make demo`, or `python demo/demo.py [--output FOLDER] [--fovs N] [--shape Z,Y,X] [--serve]`. All
that it writes is in that folder, and the registry that it starts ends with it.
"""

import argparse
import contextlib
import csv
import json
import re
import shutil
import signal
import sys
from pathlib import Path

from page import write_page
from story import DemoFailed, Registry, Story, registry, shown

PACKAGE = "aics/aics_23"
FAMILY = "aics/*"
FIGURES = Path(__file__).with_name("figures.py")
CALIBRATED = 10
"""The month in which the lab's cell counter was set right."""
OFF_BY = 0.3
"""What it had counted too much until then, in per cent of living cells."""

WALK = (
    "import json, tifffile",
    "from cellbank.data.aics import aics_23 as junctions",
    "junctions",
    "list(json.load(open(junctions.SCHEMA())))",
    "line = json.load(open(junctions.lines.line_AICS_23.info.load()))",
    "line['line'], line['edits'][0]['gene'], len(line['plates']), len(line['fovs'])",
    "fov = junctions.fovs.fov_00dde0c979ef45949337220524ccfec5",
    "fov",
    "info = json.load(open(fov.info.load()))",
    "info['wells'], info['passage'], info['cell_viability']",
    "[channel['dye_name'] for channel in info['channels'] if channel['use']]",
    "tifffile.imread(fov.image.load()).shape",
    "cells = getattr(junctions.cell_segs, info['cell_segs'][0])",
    "tifffile.imread(cells.image.load()).max()",
)


def correct(wells: Path) -> int:
    """Correct the viability of all wells that were seeded too early; return how many."""
    with wells.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    wrong = [row for row in rows if row["seed_date"] and month(row) < CALIBRATED]
    for row in wrong:
        row["cell_viability"] = f"{float(row['cell_viability']) - OFF_BY:.1f}"
    with wells.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    return len(wrong)


def month(well: dict[str, str]) -> int:
    """Return the month in which a well was seeded."""
    return int(well["seed_date"].partition("/")[0])


def moved(said: str) -> tuple[int, int]:
    """Return the objects and bytes that an install said it downloads."""
    found = re.search(r"Downloading (\d+) objects \((\d+) bytes\)", said)
    if not found:
        raise DemoFailed("the install downloaded nothing")
    return int(found[1]), int(found[2])


def images_changed(story: Story, before: str) -> int:
    """Return how many images differ between a revision and what is installed."""
    document = json.loads(story.ask("user", "diff", f"{PACKAGE}@{before}", PACKAGE))
    paths = [change["new"]["path"] for change in document["changed"]]
    paths += [entry["path"] for entry in document["added"]]
    return sum(path.endswith("/image/load") for path in paths)


def tell(story: Story, fovs: str, shape: str, *, serve: bool) -> None:
    """Tell the whole story."""
    export = story.folder / "export"
    story.step("A lab has tables, images and a recipe (computed around real nuclei).")
    story.run("lab", "sample", export, "--fovs", fovs, "--shape", shape)

    story.step("The lab builds its family of packages: one a line, one of all, one to try.")
    story.run("lab", "build", "aics", export, "--message", "First release")

    story.step("A registry starts, and the lab pushes the family to it.")
    with registry(story) as there:
        story.run("lab", "login", there.url, "--token", there.token, hide=there.token)
        story.run("lab", "push", FAMILY)

        story.step("Someone else, whose store is empty, installs one line over HTTP.")
        objects, size = moved(story.run("user", "install", PACKAGE, "--from", there.url))

        story.step("They walk through it in Python.")
        story.python("user", *WALK)

        story.step("The lab corrects one attribute of many wells, and builds again.")
        wells = export / "wells.csv"
        story.say(f"{shown(wells)}: cell_viability of {correct(wells)} wells was {OFF_BY} too high")
        built = story.run("lab", "build", "aics", export, "--message", "Viability corrected")
        if not re.search(r"\b0 of \d+ images read", built):
            raise DemoFailed("the build read images again")
        story.run("lab", "push", FAMILY)

        story.step("The other one installs again: metadata move, images do not.")
        before = json.loads(story.ask("user", "inspect", PACKAGE))["revision"]
        again, less = moved(story.run("user", "install", PACKAGE, "--yes"))
        images = images_changed(story, before)
        update = f"The first install moved {size:,} bytes in {objects} objects, the correction "
        update += f"{less:,} bytes in {again} objects, {images} of them images."
        story.say(update)
        if images:
            raise DemoFailed("images moved though only metadata changed")
        story.run("user", "verify", PACKAGE)

        story.step("The five figures of the walk-through, from what was installed.")
        draw(story, update)
        print(f"\nDone in {story.seconds():.0f} s. All files are in {shown(story.folder)}.")
        end(story, there, serve=serve)


def draw(story: Story, update: str) -> None:
    """Draw the figures, and write the page that shows them."""
    pictures = story.folder / "figures"
    story.script("user", FIGURES, pictures)
    page = story.folder / "walkthrough.html"
    facts = [
        f"Drawn from {PACKAGE}, installed from a registry: synthetic channels around real nuclei "
        "(H3342: living human iPS cells, Allen Institute for Cell Science, CC0).",
        update,
    ]
    write_page(page, pictures, facts)
    story.say(f"{shown(page)}: open it in a browser")


def end(story: Story, there: Registry, *, serve: bool) -> None:
    """Say where the package has its page; with `serve`, keep it there until Ctrl-C."""
    page = f"{there.url}/{PACKAGE}"
    if serve:
        print(f"The page of the package: {page} (until Ctrl-C)", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            there.process.wait()
        return
    folder = shown(story.folder / "registry")
    print("The registry has ended. To see the page of the package, serve its folder again:")
    print(f"  .venv/bin/cellbank serve {folder} --port {there.port}")
    print(f"and open {page} (or: make demo ARGS=--serve)")


def main() -> int:
    """Tell the story in a folder of its own; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--output", type=Path, default=Path(__file__).with_name("out"))
    parser.add_argument("--fovs", default="40", help="fields of view, 12 or more")
    parser.add_argument("--shape", default="16,156,231", help="voxels of each: Z,Y,X")
    parser.add_argument("--serve", action="store_true", help="keep serving until Ctrl-C")
    options = parser.parse_args()
    folder = options.output.absolute()
    for name in ("export", "lab", "user", "server", "registry", "figures"):
        shutil.rmtree(folder / name, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    # So that the registry ends with us, whoever ends us.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        tell(Story(folder), options.fovs, options.shape, serve=options.serve)
    except DemoFailed as error:
        print(f"\nThe demonstration failed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
