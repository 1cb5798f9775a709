"""Jobs side by side: run, counted, watched, and stopped together."""

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_EXCEPTION, Executor, Future, ThreadPoolExecutor, wait
from typing import Final

from cellbank.model.errors import Interrupted
from cellbank.model.progress import Progress, Watcher

CONNECTIONS: Final = 4
STOP_SECONDS: Final = 1.5
"""So long we wait for the others when one job failed, or the user said stop."""


class Counter:
    """Adds up bytes from several threads, and tells the watcher.

    `break_off` ends what waits without counting: a connection on which nothing moves.
    """

    def __init__(
        self, job: str, total: int, watch: Watcher, break_off: Callable[[], None] | None = None
    ) -> None:
        self._job = job
        self._total = total
        self._watch = watch
        self._done = 0
        self._lock = threading.Lock()
        self._break_off = break_off
        self.stop = threading.Event()

    def halt(self) -> None:
        """Stop all threads that count here."""
        self.stop.set()
        if self._break_off is not None:
            self._break_off()

    def add(self, count: int) -> None:
        """Count bytes; raises `Interrupted` when the user said stop."""
        if self.stop.is_set():
            raise Interrupted
        with self._lock:
            self._done += count
            self._watch(Progress(self._job, self._done, self._total))


def run_all(
    jobs: Iterable[Callable[[], None]], counter: Counter, executor: Executor | None = None
) -> None:
    """Run jobs side by side; the first failure, or Ctrl-C, stops the others."""
    own = executor is None
    pool = executor or ThreadPoolExecutor(CONNECTIONS)
    futures: list[Future[None]] = []
    try:
        futures = [pool.submit(job) for job in jobs]
        pending = set(futures)
        while pending:
            done, pending = wait(pending, timeout=0.5, return_when=FIRST_EXCEPTION)
            for future in done:
                future.result()
    except BaseException:
        counter.halt()
        for future in futures:
            future.cancel()
        wait(futures, timeout=STOP_SECONDS)
        raise
    finally:
        if own and isinstance(pool, ThreadPoolExecutor):
            pool.shutdown(wait=not counter.stop.is_set(), cancel_futures=True)
