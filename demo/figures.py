"""The five figures of the walk-through, drawn from the package that is installed.

`python demo/figures.py FOLDER` writes them as PNG into a folder.
"""

import json
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import tifffile
from cellbank.data.aics import aics_23 as junctions

FOV = "fov_00dde0c979ef45949337220524ccfec5"
DPI = 100


def row(images: list[np.ndarray], titles: list[str]) -> None:
    """Draw images beside each other, each with its title if there are any."""
    _, axes = plt.subplots(1, len(images), figsize=(15, 10))
    for number, (ax, image) in enumerate(zip(axes, images, strict=True)):
        ax.imshow(image)
        ax.set(xticks=[], yticks=[])
        if titles:
            ax.set_title(titles[number])
    plt.tight_layout()


def scaled(image: np.ndarray) -> np.ndarray:
    """Return an image with its darkest pixel 0 and its brightest 255."""
    low, high = int(image.min()), int(image.max())
    return ((image.astype(float) - low) / (high - low) * 255).astype(int)


def save(folder: Path, name: str) -> None:
    """Write the figure that was drawn, without the room around it."""
    plt.savefig(folder / f"{name}.png", dpi=DPI, bbox_inches="tight")
    plt.close()


def draw(folder: Path) -> None:
    """Draw all five: maximum projections over Z, as the walk-through shows them."""
    fov = getattr(junctions.fovs, FOV)
    info = json.loads(fov.info.load.bytes())
    channels = info["channels"]
    projected = list(tifffile.imread(fov.image.load()).max(axis=0))
    names = [channel["dye_name"] for channel in channels]

    row(projected, [])
    save(folder, "all_channels")
    row(projected, names)
    save(folder, "titles")

    used = [number for number, channel in enumerate(channels) if channel["use"]]
    row([projected[number] for number in used], [names[number] for number in used])
    save(folder, "channels_in_use")

    kinds = ("cell_segs", "nuclei_segs", "structure_segs")
    nodes = [getattr(getattr(junctions, kind), info[kind][0]) for kind in kinds]
    row([tifffile.imread(node.image.load()).max(axis=0) for node in nodes], [])
    save(folder, "segmentations")

    # Structure, membrane and DNA as red, green and blue.
    red, green, blue = (scaled(projected[used[number]]) for number in (1, 0, 2))
    plt.axis("off")
    plt.imshow(np.stack((red, green, blue), -1))
    save(folder, "composite")


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    draw(target)
    print("\n".join(sorted(file.name for file in target.glob("*.png"))))
