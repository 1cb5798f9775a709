"""SCHEMA: what attributes were seen to hold, said the same way in every process."""

import subprocess
import sys

CODE = """
from cellbank.cells.schema import Seen
from cellbank.cells.values import Spec

seen = Seen(Spec("seed_date", "date", format="%m/%d/%Y"))
days = ["9/2/2017", "09/02/2017", "09/2/2017", "9/02/2017"]
seen.add([""] * 4, days)
print(seen.example(), seen.facts()["minimum"], seen.facts()["maximum"])
"""


def test_a_day_that_is_written_in_several_ways_has_one_example() -> None:
    # In each of them a set of texts has another order.
    for seed in "12345678":
        found = subprocess.run(
            [sys.executable, "-c", CODE],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        )
        assert "09/02/2017 09/02/2017 9/2/2017\n" == found.stdout
