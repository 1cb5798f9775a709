"""A tiny lab: tables, images and a recipe in a folder, and ways to change one thing of them."""

import copy
import csv
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

import cellbank
from cellbank.api import families
from cellbank.cells.built import FamilyBuilt
from cellbank.images import write_ome_tiff
from cellbank.model.digest import SMALL_BELOW
from cellbank.model.errors import ProblemsFound
from cellbank.model.manifest import Entry
from cellbank.model.reference import Package
from cellbank.packages import scan
from cellbank.storage.store import Store

CHANNELS = ("EGFP", "H3342", "Bright")
VOXEL = {"Z": 0.29, "Y": 0.108, "X": 0.108}
E6, E7, C2 = "plate_3500001464_well_E6", "plate_3500001464_well_E7", "plate_3500001465_well_C2"
FOVS = ("00dde0c9", "1a2b3c4d", "5e6f7a8b", "9c0d1e2f")
FAMILY = ("aics_10", "aics_23", "cell_lines", "random_sample", "viable")

Row = dict[str, Any]

TABLES: dict[str, list[Row]] = {
    "lines": [
        {"line": "AICS-10", "line_id": 10, "gene": "SEC61B", "protein": "mEGFP"},
        {"line": "AICS-23", "line_id": 23, "gene": "TJP1", "protein": "mEGFP"},
    ],
    "plates": [
        {"plate": "3500001464", "plate_type": "96 well"},
        {"plate": "3500001465", "plate_type": ""},
    ],
    "wells": [
        {"well": E6, "plate": "3500001464", "line": "AICS-23", "passage": 33, "clone": "20",
         "viability": 98.5, "seeded": "10/16/2017", "colonies": "3;1", "controls": "true"},
        {"well": E7, "plate": "3500001464", "line": "AICS-10", "passage": 41, "clone": "",
         "viability": 97, "seeded": "9/2/2017", "colonies": "", "controls": "no"},
        {"well": C2, "plate": "3500001465", "line": "AICS-10", "passage": "", "clone": "105",
         "viability": "", "seeded": "", "colonies": "7", "controls": ""},
    ],
    "fovs": [
        {"fov": fov, "well": well, "image": f"images/{fov}.ome.tif", "ids": ids,
         "channels": json.dumps([{"dye_name": name, "use": True} for name in CHANNELS])}
        for fov, well, ids in zip(
            FOVS, (E6, E6, E7, C2), ("87262;87263", "", "5", "6"), strict=True
        )
    ],
    "segmentations": [
        {"segmentation": fov, "fov": fov, "kind": kind, "image": f"images/{kind}_{fov}.ome.tif"}
        for fov in FOVS
        for kind in ("cell", "nuclei", "structure")
    ],
}  # fmt: skip

THROUGH = {"through": "well"}

RECIPE: dict[str, Any] = {
    "format": 1,
    "title": "A tiny lab",
    "description": "Two lines on two plates.",
    "license": "CC0-1.0",
    "authors": ["A. Lab"],
    "tables": {name: {"file": f"{name}.csv"} for name in TABLES},
    "records": {
        "line": {
            "table": "lines",
            "key": "line",
            "attributes": {
                "line": {"nullable": False},
                "line_id": None,
                "edits": {
                    "fields": {
                        "gene": {"nullable": False, "description": "the edited gene"},
                        "fluorescent_protein": "protein",
                    }
                },
            },
        },
        "plate": {
            "table": "plates",
            "key": "plate",
            "attributes": {"plate_type": None, "plate_barcode": "plate"},
        },
        "well": {
            "table": "wells",
            "key": "well",
            "plate": "plate",
            "line": "line",
            "attributes": {
                "passage": {"minimum": 0},
                "clone": None,
                "cell_viability": {"column": "viability", "minimum": 0, "maximum": 100},
                "seed_date": {"column": "seeded", "format": "%m/%d/%Y"},
                "colony_ids": "colonies",
                "has_controls": {
                    "column": "controls",
                    "type": "boolean",
                    "description": "whether it has controls",
                },
            },
        },
        "fov": {
            "table": "fovs",
            "key": "fov",
            "well": "well",
            "image": {
                "file": "image",
                "axes": "ZCYX",
                "channels": "channels",
                "voxel_size": dict(VOXEL),
            },
            "attributes": {
                "passage": THROUGH,
                "clone": THROUGH,
                "cell_viability": THROUGH,
                "seed_date": {**THROUGH, "format": "%m/%d/%Y"},
                "colony_ids": THROUGH,
                "image_ids": "ids",
                "channels": None,
            },
        },
        **{
            f"{kind}_seg": {
                "table": "segmentations",
                "key": "segmentation",
                "where": {"kind": kind},
                "fov": "fov",
                "image": {"file": "image", "axes": "ZYX"},
            }
            for kind in ("cell", "nuclei", "structure")
        },
    },
    "packages": {
        "per_line": {"name": "{line}"},
        "all": "cell_lines",
        "sample": {"fovs": 2, "seed": 0},
        "subsets": {"viable": {"where": "cell_viability > 98"}},
    },
}


def pixels(seed: int, *, shape: Sequence[int] = (2, 3, 8, 8)) -> NDArray[np.uint16]:
    """Return the pixels of a field of view; another seed, other pixels."""
    return (np.arange(np.prod(shape)).reshape(shape) * (2 * seed + 1) % 1009).astype(np.uint16)


def cells(shape: Sequence[int] = (2, 8, 8)) -> NDArray[np.uint16]:
    """Return labels of two cells, 2 and 5."""
    made = np.zeros(shape, np.uint16)
    made[:, 0:4, 0:4], made[:, 4:8, 2:8] = 2, 5
    return made


def nuclei() -> NDArray[np.uint16]:
    """Return labels of the nuclei of `cells`."""
    made = np.zeros((2, 8, 8), np.uint16)
    made[:, 1:3, 1:3], made[:, 5:7, 4:6] = 2, 5
    return made


def structure() -> NDArray[np.uint16]:
    """Return a mask."""
    return (cells() > 0).astype(np.uint16) * 255


def write_image(path: Path, data: NDArray[Any], axes: str = "", **said: Any) -> None:
    """Write an OME-TIFF; a field of view has the lab's channels and voxels unless told."""
    axes = axes or {3: "ZYX", 4: "ZCYX"}[data.ndim]
    if "C" in axes:
        said.setdefault("channels", CHANNELS)
        said.setdefault("pixel_size", VOXEL)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        leading = data.reshape(-1, *data.shape[-2:])
        write_ome_tiff(file, leading, axes=axes, shape=data.shape, dtype=data.dtype.name, **said)


class Lab:
    """A lab's folder, and a store of its own in which its families are built.

    Tables and recipe are written just before each build; images at once.
    """

    def __init__(self, root: Path, home: Path | None = None) -> None:
        self.folder = root / "lab"
        self.home = home or root / "store"
        self.tables = copy.deepcopy(TABLES)
        self.recipe: dict[str, Any] = copy.deepcopy(RECIPE)
        for number, fov in enumerate(FOVS):
            self.image(f"images/{fov}.ome.tif", pixels(number))
            self.image(f"images/cell_{fov}.ome.tif", cells())
            self.image(f"images/nuclei_{fov}.ome.tif", nuclei())
            self.image(f"images/structure_{fov}.ome.tif", structure())

    # --- changing one thing

    def image(self, path: str, data: NDArray[Any], axes: str = "", **said: Any) -> Path:
        """Write an image."""
        write_image(self.folder / path, data, axes, **said)
        return self.folder / path

    def change(self, table: str, row: int, **cells: Any) -> int:
        """Change cells of a row; return the row's number as a spreadsheet counts."""
        self.tables[table][row].update(cells)
        return row + 2

    def add(self, table: str, **cells: Any) -> int:
        """Add a row like the first, with these cells; return its number."""
        self.tables[table].append({**self.tables[table][0], **cells})
        return len(self.tables[table]) + 1

    def enlarge(self, number: int, size: int = 2 * SMALL_BELOW) -> Path:
        """Let a field have an image that is an object of its own, and no segmentations."""
        fov, side = FOVS[number], int((size / 12) ** 0.5) + 1
        parts = self.tables["segmentations"]
        self.tables["segmentations"] = [row for row in parts if row["fov"] != fov]
        return self.image(f"images/{fov}.ome.tif", pixels(number, shape=(2, 3, side, side)))

    def record(self, kind: str) -> dict[str, Any]:
        """Return what the recipe says of a kind, to be changed."""
        return self.recipe["records"][kind]

    def only(self, **packages: Any) -> "Lab":
        """Make these packages and no other."""
        self.recipe["packages"] = packages
        return self

    def write(self) -> Path:
        """Write tables and recipe; return the recipe."""
        for name, rows in self.tables.items():
            self.write_table(name, rows)
        path = self.folder / "cellbank.yaml"
        # JSON is YAML.
        path.write_text(json.dumps(self.recipe, indent=1))
        return path

    def write_table(self, name: str, rows: list[Row]) -> None:
        """Write a table as CSV."""
        with (self.folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]) if rows else [], lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)

    # --- building

    @contextmanager
    def at_home(self) -> Iterator[None]:
        """Work in the lab's own store; files count as unchanged however new they are."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("CELLBANK_HOME", str(self.home))
            patch.setattr(scan, "RACY_NS", -(10**12))
            patch.setattr(scan, "COARSE_NS", -(10**12))
            yield

    def build(self, **how: Any) -> FamilyBuilt:
        """Build the family."""
        path = self.write()
        with self.at_home():
            return families.build_family("aics", path, **how)

    def problems(self, **how: Any) -> list[dict[str, Any]]:
        """Build what has errors; return the problems after checking that each is complete."""
        before = self.logs()
        with pytest.raises(ProblemsFound) as caught:
            self.build(**how)
        assert 2 == caught.value.exit_code
        assert before == self.logs(), "nothing becomes a package"
        assert all(p["file"] and p["what"] and p["advice"] for p in caught.value.problems)
        return caught.value.problems

    def problem(self, **how: Any) -> dict[str, Any]:
        """Return the only problem."""
        found = self.problems(**how)
        assert 1 == len(found), found
        return found[0]

    # --- looking

    def logs(self) -> dict[str, list[str]]:
        """Return the revisions in the logs of all packages."""
        with self.at_home():
            names = [str(package) for package in self.store().installed_packages()]
            return {name: [one.revision for one in cellbank.log(name)] for name in names}

    def store(self) -> Store:
        """Return the store."""
        return Store.at(str(self.home))

    def entries(self, name: str) -> dict[str, Entry]:
        """Return path → entry of a package."""
        store, package = self.store(), Package("aics", name)
        reader = store.reader(package, store.need_installed(package).revision)
        return {entry.path: entry for entry in reader}

    def read(self, name: str, path: str) -> bytes:
        """Return the bytes of an entry."""
        store, package = self.store(), Package("aics", name)
        file = store.file_of(package, self.entries(name)[path])
        assert file is not None
        return Path(file).read_bytes()

    def document(self, name: str, path: str) -> Any:
        """Return a document."""
        return msgspec.json.decode(self.read(name, path))

    def info(self, name: str, record: str) -> Any:
        """Return the `info` of a record, such as `wells/…`."""
        return self.document(name, f"{record}/info/load")

    def infos(self, name: str) -> dict[str, dict[str, Any]]:
        """Return `group/id` → `info` of all records of a package."""
        end = "/info/load"
        store, package = self.store(), Package("aics", name)
        entries = {p: e.digest for p, e in self.entries(name).items() if p.endswith(end)}
        found = dict(store.read_many(package, set(entries.values())))
        return {
            path.removesuffix(end): msgspec.json.decode(found[digest])
            for path, digest in entries.items()
        }

    def parquet(self, name: str) -> dict[str, bytes]:
        """Return group → metadata table of a package."""
        store, package = self.store(), Package("aics", name)
        tables = store.tables(package, store.need_installed(package).revision)
        return {group: store.read_table(package, table) for group, table in tables.items()}

    def objects(self) -> set[str]:
        """Return the digests of the large objects in the store."""
        found = (self.home / "objects").rglob("*")
        return {path.name for path in found if path.is_file()}


def revisions(built: FamilyBuilt) -> dict[str, str]:
    """Return package → revision."""
    return {one.package.partition("/")[2]: one.revision for one in built.packages}
