"""Where real images lie that the tests may use."""

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of real data beside the project; where there is none, the test skips."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("SKIPPED: no real data here (../shared/data, seen from the project's root)")
    return folder
