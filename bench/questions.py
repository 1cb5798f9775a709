"""Questions about a million fields of view: at the prompt, in Python, and of a package far away."""

import json
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from measure import CountingPassage, Failed, Sample, Server, median, run, settle
from tables import MB, is_met, table
from watching import Seen  # noqa: TC002  as it stands there

NAME = "bench/many"
FIELDS, FEW = 1_000_000, 2_000
ONE = "SELECT count(*) FROM fovs WHERE cell_viability > 98"
QUESTIONS = {
    "one attribute": [ONE],
    "two attributes, their ids": ["--where", "cell_viability > 99 and passage < 22", "-c", "id"],
    "a gene of their lines": ["--where", "gene = 'GENE3' and cell_viability > 99.9", "-c", "id"],
    "a count for each gene": ["--group-by", "gene"],
}
WARM = 15
FRESH_SECONDS, WARM_SECONDS, MOST_MEMORY, MOST_SHARE = 0.300, 0.050, 300 * MB, 0.05
# Asks a question many times in one process, and says how long each took.
_AGAIN = """
import json, sys, time
import cellbank
def shell(words):
    if len(words) == 1:
        return {"sql": words[0]}
    names = {"--where": "where", "-c": "columns", "--group-by": "group_by"}
    return {names[name]: value for name, value in zip(words[::2], words[1::2])}
how, took = shell(json.loads(sys.argv[2])), []
for _ in range(int(sys.argv[3])):
    start = time.perf_counter()
    cellbank.query(sys.argv[1], **how)
    took.append(time.perf_counter() - start)
print(json.dumps(took))
"""


class Asked(NamedTuple):
    """What a question took: from the prompt; the first and a later time in Python, in seconds."""

    prompt: Sample
    first: float
    warm: float


class Far(NamedTuple):
    """What the first question to a package far away brought: bytes, of so many, in requests."""

    bytes: int
    whole: int
    requests: int


class Questions:
    """A store with one package of records, and questions to it."""

    def __init__(self, folder: Path, command: str, *, quick: bool, patience: float) -> None:
        self._folder, self._command, self._patience = folder, command, patience
        self.fovs = FEW if quick else FIELDS
        self._home = folder / "store"
        (folder / "made").mkdir(parents=True)
        make = [sys.executable, Path(__file__).with_name("question_package.py"), self._home, NAME]
        _, out = run([*make, str(self.fovs), folder / "made"])
        self.tables: dict[str, int] = json.loads(out)
        shutil.rmtree(folder / "made")

    def asked(self, runs: int) -> Iterator[tuple[str, Asked]]:
        """Yield each question and the medians of what it took."""
        for title, words in QUESTIONS.items():
            yield title, Asked(self._prompt(words, runs), *self._python(words))

    def _environment(self, home: Path, remote: str = "", token: str = "") -> dict[str, str]:
        found = os.environ | {"CELLBANK_HOME": str(home)}
        more = {"CELLBANK_REMOTE": remote, "CELLBANK_TOKEN": token}
        return found | {name: value for name, value in more.items() if value}

    def _prompt(self, words: Sequence[str], runs: int) -> Sample:
        samples = []
        for _ in range(runs):
            settle(self._patience)
            command = [self._command, "query", NAME, *words, "--format", "csv"]
            seen: list[Seen] = []
            sample, out = run(command, self._environment(self._home), seen=seen)
            if len(out.splitlines()) < 2:
                raise Failed(f"{words}: no answer")
            # The process that answers is none that the command waits for.
            samples.append(sample._replace(memory=seen[0].together))
        return median(samples)

    def _python(self, words: Sequence[str]) -> tuple[float, float]:
        settle(self._patience)
        command = [sys.executable, "-c", _AGAIN, NAME, json.dumps(words), str(WARM)]
        _, out = run(command, self._environment(self._home))
        first, *others = json.loads(out)
        return first, sorted(others)[len(others) // 2]

    def far(self) -> Far:
        """Return what one column of the package costs where nothing is installed."""
        environment = self._environment(self._folder / "registry_home")
        serve = [self._command, "serve", str(self._folder / "registry"), "--port", "0"]
        server = Server(serve, environment)
        try:
            mine = self._environment(self._home, server.url, server.token)
            run([self._command, "push", NAME, "--quiet"], mine)
            passage = CountingPassage(server.url)
            guest = self._environment(self._folder / "guest", passage.url, server.token)
            run([self._command, "query", NAME, ONE], guest)
            passage.close()
        finally:
            server.stop()
        return Far(passage.bytes, sum(self.tables.values()), passage.requests)


def questions_table(found: Sequence[tuple[str, Asked]], *, quick: bool) -> list[str]:
    """Return the table of questions; the aims are of the first."""
    figures = ("prompt ms", "aim", "met", "peak MB", "aim", "met", "again ms", "aim", "met")
    rows = [("question", "first ms", *figures)]
    for number, (title, one) in enumerate(found):
        cells = [
            *_cells(one.prompt.wall * 1000, FRESH_SECONDS * 1000),
            *_cells(one.prompt.memory / MB, MOST_MEMORY / MB),
            *_cells(one.warm * 1000, WARM_SECONDS * 1000),
        ]
        if number or quick:
            cells[1:3] = cells[4:6] = cells[7:9] = ["", ""]
        rows.append((title, f"{one.first * 1000:.0f}", *cells))
    return table(rows)


def _cells(value: float, aim: float) -> tuple[str, str, str]:
    return f"{value:.0f}", f"{aim:.0f}", is_met(value, aim)


def far_line(far: Far, *, quick: bool) -> str:
    """Return what one column costs far away, in a sentence."""
    share = far.bytes / far.whole
    aim = "" if quick else f" (aim: under 5 %, met: {is_met(share, MOST_SHARE)})"
    return (
        f"One column over HTTP, nothing installed: {far.bytes / MB:.2f} MB in {far.requests} "
        f"requests, {100 * share:.1f} % of {far.whole / MB:.1f} MB of tables{aim}."
    )
