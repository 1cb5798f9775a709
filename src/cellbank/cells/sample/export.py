"""The whole export, written into an empty folder; the recipe last, so that it is all there."""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, Future, as_completed
from importlib.resources import files
from string import Template
from typing import Final

from cellbank.cells.sample import nuclei, tables
from cellbank.cells.sample.facts import LINES
from cellbank.cells.sample.field import Job, write_field
from cellbank.cells.sample.plan import SEGMENTATIONS, Fov, Plan, make_plan
from cellbank.cells.sample.sampled import Sampled
from cellbank.model.errors import BadInput, Conflict, DiskFull
from cellbank.model.progress import Progress, Watcher, ignore
from cellbank.storage import disk

RECIPE: Final = "cellbank.yaml"
TABLES: Final = frozenset(
    ["lines.csv", "plates.csv", "wells.csv", "segmentations.sqlite", "fovs.parquet"]
)
SMALLEST: Final = (4, 32, 32)
LARGEST: Final = (200, 4096, 4096)


def recipe_text(fovs: int, seed: int) -> str:
    """Return the recipe for so many fields of view; half of them make the random sample."""
    text = files(__package__).joinpath(RECIPE).read_text(encoding="utf-8")
    return Template(text).substitute(fovs=max(len(LINES), fovs // 2), seed=seed)


def write_export(
    folder: str,
    *,
    fovs: int,
    shape: tuple[int, int, int],
    seed: int,
    executor: Executor | None = None,
    watch: Watcher = ignore,
) -> Sampled:
    """Write tables, images and recipe.

    Parameters
    ----------
    folder
        New, or empty.
    fovs
        How many fields of view, twelve or more.
    shape
        Of each, along Z, Y and X.
    seed
        The same seed gives the same bytes.
    executor
        Makes fields of view side by side; default: a process for each core.
    watch
        Is told how many bytes of images are done.

    Returns
    -------
    Sampled
        What was written.

    Raises
    ------
    BadInput
        Too few fields of view, a shape that shows nothing, or no real nuclei here.
    Conflict
        The folder has something in it.
    """
    plan = make_plan(fovs, seed)
    _check_shape(shape)
    _check_seed(seed)
    nuclei.real_files()
    place = os.path.abspath(folder)  # noqa: PTH100
    jobs = [_job(place, fov, shape, seed) for fov in plan.fovs]
    _check_folder(folder, place, jobs)
    size = _run(jobs, executor, watch)
    size += _write_tables(place, plan, shape)
    text = recipe_text(fovs, seed).encode()
    recipe = f"{place}/{RECIPE}"
    _write(recipe, text)
    return Sampled(
        place,
        recipe,
        len({well.line.name for well in plan.wells}),
        len({well.plate.barcode for well in plan.wells}),
        len(plan.wells),
        len(plan.fovs),
        len(plan.fovs) * (1 + len(SEGMENTATIONS)) + 6,
        size + len(text),
    )


def _check_shape(shape: tuple[int, int, int]) -> None:
    bounds = zip(shape, SMALLEST, LARGEST, strict=True)
    if not all(low <= size <= high for size, low, high in bounds):
        low, high = (",".join(map(str, limit)) for limit in (SMALLEST, LARGEST))
        asked = ",".join(map(str, shape))
        raise BadInput(f"no field of view is {asked} voxels", f"Ask for {low} to {high} (Z,Y,X).")


def _check_seed(seed: int) -> None:
    if seed < 0:
        raise BadInput(f"the seed is {seed}", "Choose 0 or more.")


def _check_folder(folder: str, place: str, jobs: list[Job]) -> None:
    if os.path.lexists(place) and not os.path.isdir(place):  # noqa: PTH112
        raise BadInput(f"{folder} is not a folder", "Name a folder to write into.")
    strange = _strange(place, {path for job in jobs for path in job.paths.values()})
    if strange:
        raise Conflict(
            f"{folder} is not empty: {strange} is there",
            "Choose another folder, or empty it. Nothing was written.",
        )
    needed = sum(job.image_bytes for job in jobs)
    free = disk.free_bytes(place)
    if needed > free:
        raise DiskFull(folder, needed, free)


def _strange(place: str, images: set[str]) -> str:
    """Return a file that no run that broke off could have left here, or nothing.

    What such a run left unfinished is removed; what it finished is written over.
    """
    ours = images | TABLES
    halves = []
    for folder, _, names in os.walk(place):
        for name in names:
            path = os.path.relpath(f"{folder}/{name}", place)
            whole = os.path.join(os.path.dirname(path), name[1:].rpartition(".")[0])  # noqa: PTH118, PTH120
            if name.startswith(".") and whole in ours | {RECIPE}:
                halves.append(f"{folder}/{name}")
            elif path not in ours:
                return path
    for half in halves:
        disk.remove(half)
    return ""


def _job(folder: str, fov: Fov, shape: tuple[int, int, int], seed: int) -> Job:
    paths = {"fov": fov.image} | {kind: fov.segmentation(kind)[1] for kind in SEGMENTATIONS}
    well = fov.well
    return Job(folder, paths, fov.number, seed, well.line.gene, well.plate.channels, shape)


def _run(jobs: list[Job], executor: Executor | None, watch: Watcher) -> int:
    """Make all fields of view; return their bytes."""
    if executor is not None:
        return _made(jobs, executor, watch, stop=_cancel)
    from loky import ProcessPoolExecutor

    pool = ProcessPoolExecutor(max_workers=min(os.cpu_count() or 1, len(jobs)))
    size = _made(jobs, pool, watch, stop=lambda _: pool.shutdown(kill_workers=True))
    # The command leaves without a farewell: what it holds is let go of here.
    pool.shutdown(wait=True)
    return size


def _cancel(futures: Iterable[Future[int]]) -> None:
    for future in futures:
        future.cancel()


def _made(
    jobs: list[Job],
    executor: Executor,
    watch: Watcher,
    *,
    stop: Callable[[Iterable[Future[int]]], None],
) -> int:
    futures = {executor.submit(write_field, job): job.image_bytes for job in jobs}
    done, size = 0, 0
    try:
        for future in as_completed(futures):
            size += future.result()
            done += futures[future]
            watch(Progress("sample", done, sum(futures.values())))
    except BaseException:
        stop(futures)
        raise
    return size


def _write_tables(place: str, plan: Plan, shape: tuple[int, int, int]) -> int:
    """Write the five tables; return their bytes."""
    whole = {
        "lines.csv": tables.lines_csv(plan),
        "plates.csv": tables.plates_csv(plan),
        "wells.csv": tables.wells_csv(plan),
        "segmentations.sqlite": tables.segmentations_sqlite(plan),
    }
    for name, data in whole.items():
        _write(f"{place}/{name}", data)
    parquet = f"{place}/fovs.parquet"
    with disk.new_path(parquet) as temporary:
        tables.write_fovs_parquet(plan, nuclei.voxel_of(shape), temporary)
    return sum(map(len, whole.values())) + os.path.getsize(parquet)  # noqa: PTH202


def _write(path: str, data: bytes) -> None:
    with disk.new_file(path) as file:
        file.write(data)
