"""The HTTP side of a client stays light: what it imports is felt by every command."""

import subprocess
import sys

import pytest

HEAVY = ("asyncio", "fastapi", "pycurl", "ssl", "starlette", "granian", "numpy", "http.client")


@pytest.mark.parametrize("module", ["http_remote", "http_upload", "http_client"])
def test_importing_the_client_imports_nothing_heavy(module: str) -> None:
    code = f"import sys, cellbank.storage.{module}; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert set() == set(HEAVY) & set(loaded.stdout.split())
