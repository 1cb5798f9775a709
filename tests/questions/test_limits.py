"""Limits: what runs for ever or wants all memory is stopped, and who asked can go on."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import cellbank
from cellbank.api import querying
from cellbank.model.errors import BadInput, BadQuestion
from cellbank.questions import formats
from cellbank.questions.process import asker

pytestmark = pytest.mark.usefixtures("lab")
SLACK = 6.0
"""Seconds that a machine at work may need to end a process and to begin another."""


def counted() -> list[tuple]:
    return cellbank.query("lab/cells", "SELECT count(*) FROM fovs").rows()


ENDLESS = {
    "a long count": "SELECT count(*) FROM range(1000000000000)",
    "a recursion without end": "WITH RECURSIVE t AS (SELECT 1 AS x UNION ALL SELECT x + 1 FROM t) "
    "SELECT count(*) FROM t",
    "a product of three": "SELECT count(*) FROM range(1000000) a, range(1000000) b, range(1000) c",
    "one function that takes hours": "SELECT levenshtein(repeat('a', 100000) || i, "
    "repeat('b', 100000)) FROM range(100) t(i)",
}
GREEDY = {
    "a text that doubles": "WITH RECURSIVE t AS (SELECT 'x' AS x UNION ALL SELECT x || x FROM t) "
    "SELECT count(*) FROM t",
    "a long text": "SELECT length(repeat('x', 4000000000))",
    "a long list": "SELECT len(range(1000000000))",
    "many lists": "SELECT sum(len(list_transform(range(10000), lambda x: range(100000 + x))))",
    "a wide number": "SELECT length(printf('%1000000000d', 3))",
    "all of it sorted": "SELECT * FROM range(100000000) t(i) ORDER BY hash(i)",
    "all of it in one list": "SELECT list(i) FROM range(1000000000) t(i)",
    "too many rows": "SELECT * FROM range(100000000)",
    "rows that are too long": "SELECT repeat('x', 1000) FROM range(300000)",
}


@pytest.mark.parametrize("sql", ENDLESS.values(), ids=[*ENDLESS])
def test_what_takes_too_long_is_stopped(sql: str) -> None:
    counted()
    began = time.monotonic()
    with pytest.raises(BadQuestion, match=r"it takes more than 0\.5 seconds"):
        cellbank.query("lab/cells", sql, timeout=0.5)
    assert time.monotonic() - began < 0.5 + SLACK
    assert [(6,)] == counted()


@pytest.mark.parametrize("sql", GREEDY.values(), ids=[*GREEDY])
def test_what_needs_too_much_memory_is_refused_it(sql: str) -> None:
    with pytest.raises(BadQuestion, match="it needs more than 200 MB of memory"):
        cellbank.query("lab/cells", sql, memory="200MB", timeout=60)
    assert [(6,)] == counted()


@pytest.mark.parametrize("name", ["sql", "where", "columns", "group_by"])
def test_a_question_that_is_too_long_is_not_read(name: str) -> None:
    asked = {"sql": "SELECT 1 OR ", "where": "id = 'a' OR "}.get(name, "1 + ") * 400_000 + "1"
    began = time.monotonic()
    with pytest.raises(BadQuestion, match="characters long") as caught:
        cellbank.query("lab/cells", **{name: asked if name in ("sql", "where") else [asked]})
    assert time.monotonic() - began < SLACK
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("depth", [300, 450, 600, 900, 1100, 20_000])
@pytest.mark.parametrize(("begin", "end"), [("NOT ", ""), ("[", "]"), ("1 + ", ""), ("(1, ", ")")])
def test_what_is_nested_too_deeply_is_told_so(begin: str, end: str, depth: int) -> None:
    nested = f"{begin * depth}1{end * depth}"
    for asked in ({"sql": f"SELECT {nested}"}, {"where": f"({nested}) IS NULL"}):
        try:
            cellbank.query("lab/cells", **asked)
        except BadQuestion as error:
            assert "nested too deeply" in error.message  # noqa: PT017  it may be an answer, too


def test_rows_without_end_are_stopped_however_fast_they_come() -> None:
    began = time.monotonic()
    asked = querying.asked("lab/cells", "SELECT * FROM range(1000000000000)", timeout=0.5)
    names, _, found = asked.batches()
    with pytest.raises(BadQuestion, match=r"it takes more than 0\.5 seconds"):
        for _ in formats.csv_lines(names, found):
            pass
    assert time.monotonic() - began < 0.5 + SLACK
    assert [(6,)] == counted()


def test_an_expression_that_branches_without_end_is_matched_in_a_moment() -> None:
    sql = "SELECT regexp_matches(repeat('a', 30000), '(a*)*(a*)*(a*)*b')"
    assert [(False,)] == cellbank.query("lab/cells", sql, timeout=20).rows()


def test_ctrl_c_stops_a_question() -> None:
    counted()
    process = asker._process
    me = threading.get_ident()
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    alarm = threading.Timer(0.5, signal.pthread_kill, (me, signal.SIGINT))
    alarm.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            cellbank.query("lab/cells", ENDLESS["a long count"], timeout=60)
    finally:
        alarm.join()
        signal.signal(signal.SIGINT, before)
    assert process is not None
    assert process.poll() is not None
    assert [(6,)] == counted()


def test_when_the_process_that_answers_dies_the_next_question_has_a_new_one() -> None:
    counted()
    assert asker._process is not None
    os.kill(asker._process.pid, signal.SIGKILL)
    asker._process.wait()
    assert [(6,)] == counted()


def test_when_it_dies_at_work_the_question_is_told_so() -> None:
    counted()
    assert asker._process is not None
    killer = threading.Timer(0.5, os.kill, (asker._process.pid, signal.SIGKILL))
    killer.start()
    try:
        with pytest.raises(BadQuestion, match="came to an end"):
            cellbank.query("lab/cells", ENDLESS["a long count"], timeout=60)
    finally:
        killer.join()
    assert [(6,)] == counted()


def test_the_process_that_answers_ends_with_the_one_who_asks(lab: Path) -> None:
    code = f"""
import os, signal, threading, time
import cellbank
from cellbank.questions.process import asker
cellbank.query("lab/cells", "SELECT 1")
print(asker._process.pid, flush=True)
threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGKILL)).start()
cellbank.query("lab/cells", {ENDLESS["a long count"]!r}, timeout=600)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert -signal.SIGKILL == done.returncode
    worker, end = int(done.stdout), time.monotonic() + SLACK
    while Path(f"/proc/{worker}").exists():
        assert time.monotonic() < end
        os.sched_yield()


def test_threads_ask_one_after_the_other() -> None:
    found: list[list[tuple]] = []
    threads = [threading.Thread(target=lambda: found.append(counted())) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [[(6,)]] * 6 == found


@pytest.mark.parametrize(
    "limits",
    [
        *({"timeout": timeout} for timeout in (0, -1, float("nan"), 1e9, "2 apples", None)),
        *({"memory": memory} for memory in ("many", "1kB", "0", "-5GB", "nan", "2 apples")),
        *({"memory": memory} for memory in (5, -1, float("nan"), float("inf"), None, [1])),
        {"memory": "1000000000000TB"},
        {"memory": "9" * 400 + "GB"},
    ],
)
def test_limits_that_are_none_are_refused(limits) -> None:
    with pytest.raises(BadInput, match=r"memory|seconds|timeout") as found:
        cellbank.query("lab/cells", "SELECT 1", **limits)
    assert not isinstance(found.value, BadQuestion)


@pytest.mark.parametrize("memory", [1e9, 10**9, "0.5TB", "1000 TB", "1 gib"])
def test_memory_is_a_number_or_a_text(memory) -> None:
    assert [(6,)] == cellbank.query("lab/cells", "SELECT count(*) FROM fovs", memory=memory).rows()


def test_what_a_collection_removed_of_the_cache_is_written_again() -> None:
    asked = "SELECT count(*) FROM fovs"
    before = cellbank.query("lab/cells", asked).rows()
    home = Path(os.environ["CELLBANK_HOME"])
    assert list((home / "unpacked").iterdir())
    shutil.rmtree(home / "unpacked")
    assert before == cellbank.query("lab/cells", asked).rows()
