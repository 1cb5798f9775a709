"""One plane of an image that lies in a registry: installed whole first, or read from afar.

Run as a program (`far_image.py whole|afar REFERENCE URL`) whose `CELLBANK_HOME` is empty: prints
the seconds of each step as JSON.
"""

import json
import sys
import time

import cellbank
from cellbank import images


def main() -> None:
    """Install, open, read."""
    how, reference, url = sys.argv[1:]
    package, _, path = reference.partition("//")
    took = {}
    steps = {
        "install": lambda: cellbank.install(package, url, metadata_only=how == "afar"),
        "open": lambda: images.open(cellbank.load(f"{package}/{path}")),
        "plane": lambda: image.read(C=2, Z=image.sizes["Z"] // 2),
        "neighbouring plane": lambda: image.read(C=2, Z=image.sizes["Z"] // 2 + 1),
        "the same again": lambda: image.read(C=2, Z=image.sizes["Z"] // 2),
    }
    for name, step in steps.items():
        start = time.perf_counter()
        made = step()
        took[name] = time.perf_counter() - start
        if name == "open":
            image = made
    print(json.dumps(took))


if __name__ == "__main__":
    main()
