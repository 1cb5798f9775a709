"""Who watches where nobody was named: what was handed down, and it goes back."""

import pytest

from cellbank.model import watching
from cellbank.model.progress import Said, ignore
from cellbank.model.watching import default_watcher, hand_down, watched_by


@pytest.fixture(autouse=True)
def _as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "_makers", [])


def test_where_nothing_was_handed_down_nobody_watches() -> None:
    assert default_watcher() is ignore


def test_each_job_gets_a_watcher_of_its_own() -> None:
    hand_down(lambda: [].append)
    assert default_watcher() is not default_watcher()


def test_a_watcher_hears_of_what_goes_on_meanwhile_and_not_after() -> None:
    hand_down(lambda: ignore)
    heard: list[object] = []
    with watched_by(heard.append):
        default_watcher()(Said("one"))
    default_watcher()(Said("two"))
    assert [Said("one")] == heard
