"""Images in whole processes: imports, a plane over HTTP, a package that shows itself."""

import json
import os
import shutil
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

from images import BENCH, FIELD_FILE, Images, load_at_rest
from measure import CountingPassage, Sample, run, serving

IMPORTS = {
    "cellbank.images": ("", "import cellbank.images"),
    "cellbank.images.open": ("", "import cellbank.images; cellbank.images.open"),
    "numpy": ("", "import numpy"),
    "tifffile": ("", "import tifffile"),
    "BioImage": ("bioio", "from bioio import BioImage"),
    "AICSImage": ("aicsimageio", "from aicsimageio import AICSImage"),
}
IMPORT_SECONDS = 0.150


def imports(images: Images, rounds: int) -> dict[str, list[Sample] | str]:
    """Return what processes take that import something and end; or why they cannot."""
    found: dict[str, list[Sample] | str] = defaultdict(list)
    for _ in range(rounds):
        images.loads.append(load_at_rest(images.patience))
        found["python"].append(run([sys.executable, "-c", "pass"])[0])
        for name, (peer, words) in IMPORTS.items():
            python, missing = images.python(peer)
            if missing:
                found[name] = missing
            else:
                found[name].append(run([python, "-c", words])[0])
    return found


class Far(NamedTuple):
    """What it took to see one plane of an image in a registry: seconds of each step, by round."""

    seconds: dict[str, list[float]]
    requests: int
    bytes: int


def far(images: Images, command: str, rounds: int) -> dict[str, Far]:
    """Return what one plane takes over HTTP: installed whole first, or read from afar."""
    place = images.folder / "far"
    source = place / "source"
    source.mkdir(parents=True)
    os.link(images.folder / FIELD_FILE, source / "field.ome.tiff")
    lab, reference = {**os.environ, "CELLBANK_HOME": str(place / "lab")}, "bench/field"
    run([command, "build", reference, source], lab)
    found = {}
    with serving([command, "serve", str(place / "registry"), "--port", "0"], lab) as server:
        known = {"CELLBANK_TOKEN": server.token}
        run([command, "push", reference, "--to", server.url], lab | known)
        for how in ("whole", "afar"):
            passage = CountingPassage(server.url)
            _see_plane(place, how, passage.url, known)
            passage.close()
            seconds: dict[str, list[float]] = defaultdict(list)
            for _ in range(rounds):
                images.loads.append(load_at_rest(images.patience))
                for step, took in _see_plane(place, how, server.url, known).items():
                    seconds[step].append(took)
            found[how] = Far(seconds, passage.requests, passage.bytes)
    shutil.rmtree(place)
    return found


def _see_plane(place: Path, how: str, url: str, known: dict[str, str]) -> dict[str, float]:
    with tempfile.TemporaryDirectory(dir=place) as home:
        words = [sys.executable, BENCH / "far_image.py", how, "bench/field//field.ome.tiff", url]
        took: dict[str, float] = json.loads(
            run(words, os.environ | known | {"CELLBANK_HOME": home})[1]
        )
    return took


SHOWN, SHOWN_SMALL = 300, 12
SHOWN_SECONDS = 1.0


def shown(images: Images, command: str, rounds: int) -> dict[str, list[float]]:
    """Return what a package of many fields takes to show itself in a notebook, and how long it is.

    Each round is a process with an empty cache of thumbnails.
    """
    place = images.folder / "shown"
    count = SHOWN_SMALL if images.quick else SHOWN
    home = {**os.environ, "CELLBANK_HOME": str(place / "home")}
    words = ["--quiet", "--fovs", str(count), "--shape", "4,78,115"]
    run([command, "sample", *words, place / "source"])
    run([command, "build", "bench", place / "source/cellbank.yaml"], home)
    found: dict[str, list[float]] = defaultdict(list)
    for _ in range(rounds):
        images.loads.append(load_at_rest(images.patience))
        run([command, "cache", "--clear"], home)
        said = run([sys.executable, BENCH / "shown_package.py", "bench"], home)[1]
        for step, took in json.loads(said).items():
            found[step].append(took)
    shutil.rmtree(place)
    return found
