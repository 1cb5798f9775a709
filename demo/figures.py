"""The five figures of the walk-through, drawn from the package that is installed.

`python demo/figures.py FOLDER` writes them as PNG into a folder, and `calls.json`: the one line
that draws each.
"""

import json
import sys
from pathlib import Path

from cellbank.data.aics import aics_23 as junctions

from cellbank import cells
from cellbank.notebook import plot

DPI = 100
FIGURES = {
    "all_channels": "fov.image.plot(channels=fov.image.channels, titles=False)",
    "titles": "fov.image.plot(channels=fov.image.channels)",
    "channels_in_use": "fov.image.plot()",
    "segmentations": "plot(fov.segmentation_images(), titles=False)",
    "composite": "plot(fov.rgb(), pixel_size=fov.image.pixel_size)",
}


def draw(folder: Path) -> None:
    """Draw all five: maximum projections over Z, as the walk-through shows them."""
    fov = cells.record(junctions.fovs.fov_00dde0c979ef45949337220524ccfec5)
    for name, call in FIGURES.items():
        # What the page shows is what was run.
        figure = eval(call, {"fov": fov, "plot": plot})  # noqa: S307
        figure.savefig(folder / f"{name}.png", dpi=DPI)
    (folder / "calls.json").write_text(json.dumps(FIGURES))


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    draw(target)
    print("\n".join(sorted(file.name for file in target.glob("*.png"))))
