"""Planning a subset of a package of many entries, of which there is nothing but the metadata.

`subsets.py make PLACE ENTRIES` makes it at a remote; `subsets.py plan PLACE STORE` plans one
percent of it in a process of its own and prints its seconds: first with nothing in the store, then
with the manifest and the tables there.
"""

import os
import secrets
import sys
import time
from pathlib import Path

from cellbank.cells.duck import opened
from cellbank.cells.metadata import text
from cellbank.model.digest import SMALL_BELOW, digest_of
from cellbank.model.log import Draft, Table
from cellbank.model.manifest import Entry, Manifest, make_entry
from cellbank.model.reference import Package
from cellbank.storage.layout import object_key
from cellbank.storage.store import Store
from cellbank.storage.transfer import filling, keep_small

PACKAGE = Package("bench", "many")
CONDITION = "passage = 7"
"""One field in a hundred."""
ROWS = """
SELECT column0 AS id, column1 % 100 AS passage, ['well_' || column1 // 10] AS wells,
  ['plate_' || column1 // 500] AS plates, ['line_' || column1 % 30] AS lines,
  [column0] AS cell_segs, [column0] AS nuclei_segs, [column0] AS structure_segs
FROM read_csv({source}, header = false)
"""


GROUPS = ("fovs", "cell_segs", "nuclei_segs", "structure_segs")


def ids_of(count: int) -> list[str]:
    """Return ids of fields of view; their order says nothing of their numbers."""
    return [f"fov_{number * 2654435761 % 2**32:08x}{number:024x}" for number in range(count)]


def entries_of(ids: list[str]) -> list[Entry]:
    """Return the info and the image of each field and of its segmentations, and a README."""
    pieces = digest_of(b"pieces")
    made = [make_entry("README", digest_of(b"readme"), 1, filename="README.md")]
    for place in (f"{group}/{name}" for group in GROUPS for name in ids):
        info, image = f"{place}/info/load", f"{place}/image/load"
        made.append(make_entry(info, digest_of(info.encode()), 2_000, filename="info.json"))
        digest = digest_of(image.encode())
        made.append(make_entry(image, digest, 20_000_000, pieces=pieces, filename="image.ome.tif"))
    return made


def make(place: str, count: int) -> None:
    """Make the package: manifest, table and log, and no object of an entry."""
    store = Store.at(place)
    ids = ids_of(count // 2 // len(GROUPS))
    made = Manifest.of(entries_of(ids), "cell_lines")
    keep_small(store, PACKAGE, [(made.revision, made.data), *made.pages.items()])
    source, target = Path(place, "ids.csv"), Path(place, "fovs.parquet")
    source.write_text("".join(f"{name},{number}\n" for number, name in enumerate(ids)))
    with opened() as database:
        form = "FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 20480"
        asked = ROWS.format(source=text(str(source)))
        database.execute(f"COPY ({asked}) TO {text(str(target))} ({form})")
    data = target.read_bytes()
    table = Table(digest_of(data), len(data), "bench")
    with filling(store) as batch:
        if len(data) >= SMALL_BELOW:
            batch.add(object_key(table.digest), data)
        batch.commit()
    if len(data) < SMALL_BELOW:
        keep_small(store, PACKAGE, [(table.digest, data)])
    tables = {"fovs": table}
    event = Draft("push", secrets.token_hex(16), revision=made.revision, tables=tables)
    store.append(PACKAGE, event)


def plan(place: str, home: str) -> float:
    """Return how long it takes to say what one percent of the package would bring."""
    os.environ["CELLBANK_HOME"] = home
    import cellbank

    start = time.perf_counter()
    would = cellbank.install(str(PACKAGE), place, where=CONDITION, dry_run=True)
    taken = time.perf_counter() - start
    assert would.objects == would.entries > 1  # noqa: S101  nothing of it is here
    return taken


if __name__ == "__main__":
    if sys.argv[1] == "make":
        make(sys.argv[2], int(sys.argv[3]))
    else:
        print(plan(sys.argv[2], sys.argv[3]))
