"""Measuring whole processes: wall, CPU, peak memory; bytes on disk; requests on their way."""

import os
import re
import select
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from watching import Seen, Watch, processes_of

LOOK_SECONDS, BUSY = 0.25, 0.15
TICKS = os.sysconf("SC_CLK_TCK")
_REQUEST = re.compile(rb"(?:GET|HEAD|POST|PUT|PATCH|DELETE) /\S* HTTP/1\.1\r\n")
_LONGEST_REQUEST = 512


class Sample(NamedTuple):
    """What one step took: seconds, seconds of CPU (user and system), bytes of peak memory."""

    wall: float
    cpu: float
    memory: int
    server_cpu: float = 0.0


class Failed(Exception):
    """A step did not do what it should."""


def settle(patience: float) -> None:
    """Let the machine come to rest, so that no step pays for what another wrote.

    Where others work on it too, wait until they pause, but no longer than `patience` seconds.
    """
    os.sync()
    end = time.monotonic() + patience
    while _busy_share() > BUSY and time.monotonic() < end:
        pass


def _busy_share() -> float:
    """Return which share of all processors was at work, for us or for neighbours, just now."""
    before = _processor_ticks()
    time.sleep(LOOK_SECONDS)
    idle, total = (b - a for a, b in zip(before, _processor_ticks(), strict=True))
    return 1 - idle / max(total, 1)


def _processor_ticks() -> tuple[int, int]:
    ticks = list(map(int, Path("/proc/stat").read_text().partition("\n")[0].split()[1:9]))
    return ticks[3] + ticks[4], sum(ticks)


def run(
    command: Sequence[str | os.PathLike[str]],
    environment: Mapping[str, str] | None = None,
    *,
    seen: list[Seen] | None = None,
) -> tuple[Sample, str]:
    """Run a command to its end; return what it took, with its children, and what it printed.

    The memory is never less than that of the process that calls this: keep that one small. With
    `seen` the process is watched, and what was seen is put there.
    """
    start = time.perf_counter()
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        env=environment,
    )
    said: list[bytes] = []
    reader = threading.Thread(target=lambda: said.append(process.stderr.read()))
    reader.start()
    watch = None if seen is None else Watch(process.pid)
    out = process.stdout.read()
    if watch is not None:
        seen.append(watch.end())
    _, status, used = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    reader.join()
    process.stdout.close()
    process.stderr.close()
    if process.returncode:
        words = " ".join(map(str, command))
        raise Failed(f"{words}: exit {process.returncode}\n{out.decode()}{said[0].decode()}")
    memory = used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return Sample(wall, used.ru_utime + used.ru_stime, memory), out.decode()


def median(samples: Iterable[Sample]) -> Sample:
    """Return the median of each figure."""
    return Sample(*(statistics.median(figures) for figures in zip(*samples, strict=True)))


def bytes_on_disk(folder: Path) -> int:
    """Return what a folder occupies; a file with several names counts once."""
    found = {}
    for place, _, names in os.walk(folder):
        for name in names:
            look = os.lstat(f"{place}/{name}")
            found[look.st_dev, look.st_ino] = look.st_blocks * 512
    return sum(found.values())


class Server:
    """A registry in a process of its own."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
            start_new_session=True,
        )
        self.url = self.token = ""
        while not (self.url and self.token):
            line = self._process.stdout.readline()
            if not line:
                raise Failed(f"{' '.join(command)}: it did not start")
            before, _, word = line.strip().rpartition(" ")
            if before == "Listening on":
                self.url = word
            elif before == "Admin token:":
                self.token = word

    def cpu(self) -> float:
        """Return the seconds of CPU that it and its workers used until now."""
        return sum(_ticks(process) for process in processes_of(self._process.pid)) / TICKS

    def memory(self) -> int:
        """Return the largest peak memory of its processes, in bytes."""
        return max(map(_peak, processes_of(self._process.pid)))

    def stop(self) -> None:
        """End it."""
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()


def _ticks(process: int) -> int:
    text = Path(f"/proc/{process}/stat").read_text()
    return sum(map(int, text.rpartition(")")[2].split()[11:15]))


def _peak(process: int) -> int:
    text = Path(f"/proc/{process}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", text)[1]) * 1024


class CountingPassage:
    """Lies before a registry and counts the requests that go through, and the bytes that come back.

    It is too slow to time anything.
    """

    def __init__(self, url: str) -> None:
        host, _, port = url.rpartition("/")[2].rpartition(":")
        self._target = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.requests = self.bytes = 0
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Take no further connections."""
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._pass, args=(client,), daemon=True).start()

    def _pass(self, client: socket.socket) -> None:
        with client, socket.create_connection(self._target) as server, suppress(OSError):
            before = b""
            while True:
                for ready in select.select([client, server], [], [])[0]:
                    data = ready.recv(1 << 18)
                    if not data:
                        return
                    if ready is client:
                        before = self._count(before, data)
                    else:
                        with self._lock:
                            self.bytes += len(data)
                    (server if ready is client else client).sendall(data)

    def _count(self, before: bytes, data: bytes) -> bytes:
        """Count request lines that end in `data`; return what the next one may begin with."""
        text = before + data
        found = sum(1 for match in _REQUEST.finditer(text) if match.end() > len(before))
        with self._lock:
            self.requests += found
        return text[-_LONGEST_REQUEST:]


@contextmanager
def serving(command: Sequence[str], environment: Mapping[str, str]) -> Iterator[Server]:
    """Give a registry that ends with the block."""
    server = Server(command, environment)
    try:
        yield server
    finally:
        server.stop()
