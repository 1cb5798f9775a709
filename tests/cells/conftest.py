"""A PostgreSQL of its own for the tests of tables, where the system has one."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

PASSWORD = "p@ss/w:rd"  # noqa: S105  what an address must not be broken by


def _programs() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


def _as_postgres(*command: str) -> list[str]:
    """Return a command that runs as `postgres`: the server refuses to run as root."""
    if os.geteuid() != 0:
        return list(command)
    user = ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--init-groups"]
    return [*user, "env", "HOME=/", *command]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """Return the address of an empty database, `${PGTEST_PASSWORD}` in place of the password."""
    programs = _programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    port = _free_port()
    try:
        _start(programs, folder, port)
        yield f"postgresql://lab:${{PGTEST_PASSWORD}}@127.0.0.1:{port}/postgres"
    finally:
        stop = _as_postgres(str(programs / "pg_ctl"), "-D", str(folder / "data"), "-m", "fast")
        subprocess.run([*stop, "-w", "stop"], capture_output=True, check=False, cwd=folder)
        shutil.rmtree(folder, ignore_errors=True)


def _start(programs: Path, folder: Path, port: int) -> None:
    secret = folder / "password"
    secret.write_text(PASSWORD)
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres")
        shutil.chown(secret, "postgres")
    data = str(folder / "data")
    make = ["-D", data, "-U", "lab", f"--pwfile={secret}", "-A", "scram-sha-256"]
    settings = f"-h 127.0.0.1 -p {port} -k {folder} -c fsync=off"
    for command in (
        [str(programs / "initdb"), *make, "-E", "UTF8", "--locale=C", "--no-sync"],
        [str(programs / "pg_ctl"), "-D", data, "-l", f"{data}.log", "-o", settings, "-w", "start"],
    ):
        subprocess.run(_as_postgres(*command), stdout=subprocess.DEVNULL, check=True, cwd=folder)
