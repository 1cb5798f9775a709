"""Other libraries to measure beside, each in an environment of its own: pins of theirs differ."""

import hashlib
import subprocess
import sys
from pathlib import Path

PLACE = Path(__file__).parents[1] / ".venv-peers"
REQUIREMENTS = Path(__file__).parents[1] / "requirements"
PEERS = ("bioio", "aicsimageio")
PATIENCE = 900


def python_of(peer: str) -> tuple[str, str]:
    """Return the Python of a peer's environment, which is made first; or "" and why not."""
    folder, wanted = PLACE / peer, REQUIREMENTS / f"bench-{peer}.txt"
    python, done = folder / "bin/python", folder / "installed"
    pins = hashlib.sha256(wanted.read_bytes()).hexdigest()
    if done.is_file() and done.read_text() == pins:
        return str(python), ""
    words = ["install", "--quiet", "--disable-pip-version-check", "--require-virtualenv"]
    try:
        for command in (
            [sys.executable, "-m", "venv", "--clear", folder],
            [python, "-m", "pip", *words, "-r", wanted],
        ):
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=PATIENCE)
    except subprocess.CalledProcessError as error:
        said = [line for line in f"{error.stdout}{error.stderr}".splitlines() if line.strip()]
        return "", f"it does not install: {said[-1] if said else error}"
    except subprocess.TimeoutExpired:
        return "", f"it does not install within {PATIENCE} s"
    done.write_text(pins)
    return str(python), ""
