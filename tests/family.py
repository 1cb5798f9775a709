"""The sample's family of packages in a registry's folder: made once a run, served by who needs it.

A lab builds the family and pushes it; a reader installs the tight junction line; the lab corrects
one number and pushes again. So the reader's store is one revision behind, as in the walk-through.
"""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

import cellbank
from tests.storage.making import Served, served

PACKAGE = "aics/aics_23"
FOVS, SHAPE = 12, (8, 48, 72)
WRONG, RIGHT = ",36,20,2500001158,", ",63,20,2500001158,"
"""Passage, clone and parent plate of well E6 of plate 3500001464."""


class Family(msgspec.Struct, frozen=True):
    """What was made: the lab's export, the folder of a registry, and two stores."""

    export: Path
    registry: Path
    lab: Path
    reader: Path


def family_in(place: Path) -> Family:
    """Return the family below a folder; whoever comes first makes it, the others wait."""
    family = Family(*(place / name for name in ("export", "registry", "lab", "reader")))
    place.mkdir(exist_ok=True)
    with (place / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (place / "made").exists():
            _make(family)
            (place / "made").touch()
    return family


def _make(family: Family) -> None:
    cellbank.sample(family.export, fovs=FOVS, shape=SHAPE)
    wells = family.export / "wells.csv"
    right = wells.read_text()
    assert 1 == right.count(WRONG)
    with served(family.registry) as registry:
        wells.write_text(right.replace(WRONG, RIGHT))
        with home(family.lab, registry):
            push_family(family.export)
        with home(family.reader, registry):
            cellbank.install(PACKAGE)
        wells.write_text(right)
        with home(family.lab, registry):
            push_family(family.export)


def push_family(export: Path) -> None:
    """Build the family of an export and push all of it."""
    for built in cellbank.build_family("aics", export).packages:
        cellbank.push(built.package)


@contextmanager
def home(store: Path, registry: Served) -> Iterator[None]:
    """Work in a store, with a registry as the remote, as its admin."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings(store, registry.url).items():
            patch.setenv(name, value)
        patch.setenv("CELLBANK_TOKEN", registry.token or "")
        yield


def settings(store: Path, url: str) -> dict[str, str]:
    """Return what cellbank reads from the environment of someone with this store and remote."""
    return {"CELLBANK_HOME": str(store), "CELLBANK_REMOTE": url}


def someone(folder: Path, url: str, *, store: Path | None = None) -> dict[str, str]:
    """Return the environment of someone else: nothing of ours, a store in their home folder.

    The store is empty, or a copy of another.
    """
    if store:
        shutil.copytree(store, folder / "store")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("CELLBANK_", "PYTEST_"))}
    own = {"HOME": str(folder), "IPYTHONDIR": str(folder / "ipython"), "MPLBACKEND": "agg"}
    own |= {name: str(folder / name) for name in ("MPLCONFIGDIR", "JUPYTER_CONFIG_DIR")}
    return {**kept, **own, **settings(folder / "store", url)}
