"""What attacks cost: each is opened and read in a process of its own; run as a program."""

import io
import json
import os
import resource
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import imagecodecs  # noqa: F401  what is imported before costs the attacks nothing
import tifffile  # noqa: F401

import cellbank.images.series  # noqa: F401
from cellbank.images.image import Image
from cellbank.images.opening import open as open_image
from cellbank.model.errors import CellbankError
from tests.images.attacks import SLOW, attacks

MEMORY = 4 << 30
SECONDS = 60


def peak() -> float:
    """Return the most MB that this process had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def corner(image: Image) -> Any:
    """Read a few pixels."""
    one = dict.fromkeys((axis for axis in image.axes if axis in "TCZ"), 0)
    if set(image.axes) <= set("TCZYXS"):
        return image.read(Y=slice(0, 5), X=slice(0, 5), **one)
    return next(iter(image.pixels.planes([0], slice(0, 5), slice(0, 5))))


STEPS: dict[str, Callable[[Image], Any]] = {
    "ome": lambda image: image.ome,
    "corner": corner,
    "thumbnail": lambda image: image.thumbnail(),
    "project": lambda image: image.project(
        over=image.axes[0] if image.axes[0] not in "YX" else "Z"
    ),
    "read": lambda image: image.read(),
}


def told(work: Callable[[], Any], out: dict[str, Any], step: str) -> Any:
    """Do a step; note what came of it and the seconds it took."""
    start, found = time.process_time(), None
    try:
        found, said = work(), ""
    except CellbankError as error:
        said = f"{type(error).__name__}: {error}"
    except BaseException as error:  # noqa: BLE001  that is what is looked for
        said = f"ESCAPED {type(error).__name__}: {error}"
    out[step] = (said[:200], round(time.process_time() - start, 2), round(peak() - out["before"]))
    return found


def attacked(data: bytes) -> dict[str, Any]:
    """Return what each step said, its seconds, and the most MB so far."""
    out: dict[str, Any] = {"before": peak()}
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        image = told(lambda: open_image(io.BytesIO(data)), out, "open")
        for step, work in STEPS.items() if image is not None else ():
            told(lambda work=work: work(image) is not None, out, step)
    out["warnings"] = [str(warning.message) for warning in caught]
    return out


def tell(name: str, found: dict[str, Any]) -> None:
    """Write a line of JSON."""
    sys.stdout.write(f"{json.dumps([name, found])}\n")
    sys.stdout.flush()


def main(*, slow: bool) -> None:
    """Run the attacks, and print what came of each."""
    for name, data in attacks():
        if name.startswith(SLOW) != slow:
            continue
        child = os.fork()
        if not child:
            tell(name, attacked(data))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if status:
            tell(name, {"killed": status})


if __name__ == "__main__":
    main(slow=sys.argv[1:] == ["slow"])
