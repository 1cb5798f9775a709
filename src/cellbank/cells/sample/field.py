"""One field of view, made and written: its image and its three segmentations."""

import math
import os
from collections.abc import Iterator
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from cellbank.cells.sample.channels import SYNTHETIC, Field, channels_of
from cellbank.cells.sample.nuclei import Nuclei, choose_window
from cellbank.cells.sample.plan import SEGMENTATIONS
from cellbank.cells.sample.structures import structure_of
from cellbank.cells.sample.tissue import Tissue
from cellbank.images.ometiff import write_ome_tiff
from cellbank.storage import disk

REAL: Final = "real nuclei of living human iPS cells, Allen Institute for Cell Science, CC0"
COMMENT: Final = "Synthetic channels around real nuclei."

Image = npt.NDArray[np.uint16]


class Job(msgspec.Struct, frozen=True):
    """What a worker needs to make one field of view; `paths` are in `folder`, by what they show."""

    folder: str
    paths: dict[str, str]
    number: int
    seed: int
    gene: str
    channels: int
    shape: tuple[int, int, int]

    @property
    def image_bytes(self) -> int:
        """The bytes of the image's pixels."""
        return 2 * math.prod(self.shape) * self.channels


def write_field(job: Job) -> int:
    """Write the images of a field of view; return their bytes."""
    rng = np.random.default_rng([job.seed, job.number])
    tissue = Tissue(Nuclei(choose_window(job.shape, rng), rng), rng)
    field = Field(tissue, structure_of(job.gene, tissue, rng), rng)
    _write_fov(job, tissue, field)
    complete = tissue.complete()
    for kind in SEGMENTATIONS:
        _write_segmentation(job, kind, tissue, field, complete)
    return sum(os.path.getsize(_path(job, what)) for what in job.paths)  # noqa: PTH202


def _path(job: Job, what: str) -> str:
    return f"{job.folder}/{job.paths[what]}"


def _sizes(tissue: Tissue) -> dict[str, float]:
    return dict(zip("ZYX", tissue.nuclei.window.voxel, strict=True))


def _write_fov(job: Job, tissue: Tissue, field: Field) -> None:
    channels = channels_of(job.channels)
    notes = {c.dye_name: f"synthetic: {c.note}" for c in channels if c.synthetic}
    names = [channel.dye_name for channel in channels]
    depth, height, width = job.shape
    with disk.new_file(_path(job, "fov")) as file:
        write_ome_tiff(
            file,
            (field.plane(z, name) for z in range(depth) for name in names),
            axes="ZCYX",
            shape=(depth, len(names), height, width),
            dtype="uint16",
            channels=names,
            pixel_size=_sizes(tissue),
            channel_notes={"H3342": REAL, **notes},
            comment=COMMENT,
        )


def _write_segmentation(
    job: Job, kind: str, tissue: Tissue, field: Field, complete: frozenset[int]
) -> None:
    with disk.new_file(_path(job, kind)) as file:
        write_ome_tiff(
            file,
            _planes(kind, tissue, field, complete),
            axes="ZYX",
            shape=job.shape,
            dtype="uint16",
            channels=[kind],
            pixel_size=_sizes(tissue),
            compression="zlib",
            channel_notes={kind: f"synthetic: {SYNTHETIC}"} if kind != "nuclei" else {},
            comment=COMMENT,
        )


def _planes(
    kind: str, tissue: Tissue, field: Field, complete: frozenset[int]
) -> Iterator[npt.NDArray[Any]]:
    """Give the planes (Y, X) of a segmentation: labels of complete cells, or 0 and 255."""
    kept = np.zeros(1 + max(complete, default=0) + int(tissue.owner.max()), np.uint16)
    for number in complete:
        kept[number] = number
    for z in range(tissue.depth):
        if kind == "structure":
            yield field.structure[z] * np.uint16(255)
        else:
            labels = tissue.cells(z) if kind == "cell" else tissue.nuclei.labels(z)
            # Beside the field's highest owner there may be labels of nuclei under others.
            yield kept[np.where(labels < len(kept), labels, 0)]
