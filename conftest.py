"""For every test and example: a store of its own, and nothing of the user's configuration."""

import doctest
import importlib.util
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

import cellbank

SHARED_DATA = Path(__file__).resolve().parent.parent / "shared" / "data"


def _take_settings() -> dict[str, str]:
    """Take what cellbank reads out of the environment."""
    return {name: os.environ.pop(name) for name in list(os.environ) if name.startswith("CELLBANK_")}


def pytest_configure() -> None:
    """Leave the user's settings out, and let the tests be interrupted.

    Ctrl-C is to be felt by what they start, also where a shell runs them in background.
    """
    _take_settings()
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def no_settings() -> Iterator[None]:
    """Let the test begin with no setting, and leave those that it found, whatever it did.

    Settings that outlived a test would be met by the next module's fixtures. It comes before
    `monkeypatch` and so goes after it.
    """
    found = _take_settings()
    yield
    _take_settings()
    os.environ.update(found)


@pytest.fixture(autouse=True)
def own_home(
    no_settings: None, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """Give the test an empty CELLBANK_HOME and no other setting."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("CELLBANK_HOME", str(home))
    return home


@pytest.fixture
def nuclei(tmp_path: Path) -> object:
    """Return a tiny package, built in the test's own store: `demo/nuclei`."""
    folder = tmp_path / "nuclei"
    (folder / "images").mkdir(parents=True)
    (folder / "images" / "nuclei.ome.tif").write_bytes(b"II*\0" + bytes(200_000))
    (folder / "README.md").write_text("# Nuclei\n")
    cellbank.build("demo/nuclei", folder)
    return cellbank.load("demo/nuclei")


@pytest.fixture(autouse=True)
def _examples(request: pytest.FixtureRequest, own_home: Path) -> None:
    """Let the examples in docstrings use the tiny package."""
    if isinstance(getattr(request.node, "dtest", None), doctest.DocTest):
        request.getfixturevalue("nuclei")


@pytest.fixture
def shared_data() -> Path:
    """Return the folder of real images and tables; the test skips, and says so, without it."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the real images of ../shared/data are not here")
    return SHARED_DATA


@pytest.fixture(scope="session")
def family(tmp_path_factory: pytest.TempPathFactory) -> object:
    """Return the sample's family in a registry's folder, one for all workers of this run."""
    from cellbank.cells.sample import nuclei
    from tests.family import family_in

    if importlib.util.find_spec(nuclei.PACKAGE) is None:
        pytest.skip("the real nuclei are not installed: make test installs them")

    place = tmp_path_factory.getbasetemp()
    return family_in((place.parent if "PYTEST_XDIST_WORKER" in os.environ else place) / "family")
