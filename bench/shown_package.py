"""A package that shows itself in a notebook, and shows itself again.

Run as a program (`shown_package.py OWNER`) with one large package of that owner in the store:
prints the seconds of each step as JSON, and the kB of what is shown.
"""

import json
import sys
import time

import cellbank


def main() -> None:
    """Load the largest package, show it twice."""
    took = {}
    start = time.perf_counter()
    names = [str(one.package) for one in cellbank.ls() if str(one.package).startswith(sys.argv[1])]
    package = max(map(cellbank.load, names), key=lambda root: len(root.fovs))
    took["load"] = time.perf_counter() - start
    for step in ("shown, nothing cached", "shown again"):
        start = time.perf_counter()
        html = package._repr_mimebundle_()["text/html"]
        took[step] = time.perf_counter() - start
    print(json.dumps(took | {"kB": len(html.encode()) / 1000}))


if __name__ == "__main__":
    main()
