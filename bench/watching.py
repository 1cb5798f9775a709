"""Watching a process and those that it starts: their memory, and the bytes that they read."""

import os
import re
import threading
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

LOOK_SECONDS = 0.05
_NUMBER = re.compile(r"^(\w+):\s+(\d+)", re.MULTILINE)


class Seen(NamedTuple):
    """Bytes: the peak of the process, of those it started together, of all; what each read."""

    main: int
    workers: int
    together: int
    main_read: int
    workers_read: int


def processes_of(process: int) -> list[int]:
    """Return a process and all that it started and that still run, itself first."""
    found = [process]
    for parent in found:
        for tasks in Path(f"/proc/{parent}/task").glob("*/children"):
            with suppress(OSError):
                found += map(int, tasks.read_text().split())
    return found


class Watch:
    """Looks at a process from its start to its end.

    Memory of workers is the sum of what each has in memory (RSS), so that pages they share count
    for each. What is read are the bytes that `read` and its like gave, from disk, cache or pipe.
    """

    def __init__(self, process: int) -> None:
        self._process = process
        self._main = self._workers = self._together = 0
        self._read: dict[int, int] = {}
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._done.wait(LOOK_SECONDS):
            self._look()

    def _look(self) -> None:
        main, *workers = processes_of(self._process)
        with suppress(OSError, KeyError):
            now = _numbers(main, "status")
            self._main = max(self._main, now["VmHWM"] * 1024)
            resident = 0
            for worker in workers:
                with suppress(OSError, KeyError):
                    resident += _numbers(worker, "status")["VmRSS"] * 1024
                    self._read[worker] = _numbers(worker, "io")["rchar"]
            self._workers = max(self._workers, resident)
            self._together = max(self._together, now["VmRSS"] * 1024 + resident)

    def end(self) -> Seen:
        """Wait until the process ended, before anyone waits for it; return what was seen."""
        os.waitid(os.P_PID, self._process, os.WEXITED | os.WNOWAIT)
        # What an ended process read includes what those read that it started and waited for.
        read = _numbers(self._process, "io")["rchar"]
        self._done.set()
        self._thread.join()
        workers = sum(self._read.values())
        return Seen(self._main, self._workers, self._together, max(read - workers, 0), workers)


def _numbers(process: int, file: str) -> dict[str, int]:
    text = Path(f"/proc/{process}/{file}").read_text()
    return {name: int(number) for name, number in _NUMBER.findall(text)}
