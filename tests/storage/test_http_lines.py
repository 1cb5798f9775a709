"""Redirects, secrets, and a real registry behind a line that loses things."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cellbank.model.errors import (
    BadAnswer,
    BadInput,
    CellbankError,
    Unreachable,
)
from cellbank.storage.http_client import followed, normal_address
from cellbank.storage.http_remote import HttpRemote
from cellbank.storage.store import Store
from cellbank.storage.transfer import push
from tests.storage.lying import (
    HTML,
    TOKEN,
    Ask,
    Liar,
    Script,
    always,
    answer,
    between,
    fetched,
    ranged,
    remote_at,
)
from tests.storage.making import (
    FILES,
    LARGE,
    PACKAGE,
    contents,
    draft,
    install,
    keep,
    push_files,
    served,
)

# --- redirects and secrets


def test_a_redirect_on_the_same_host_is_followed(liar: Callable[[Script], Liar]) -> None:
    def script(ask: Ask) -> Iterator[bytes]:
        moved = answer(b"", status=307, location=f"/moved{ask.path}")
        yield ranged(0) if ask.path.startswith("/moved") else moved

    assert LARGE == fetched(remote_at(liar(script)))


def test_a_redirect_to_another_host_is_not_followed(liar: Callable[[Script], Liar]) -> None:
    other = liar(always(ranged(0)))
    server = liar(always(answer(b"", status=302, location=f"{other.url}/x")))
    with pytest.raises(BadAnswer, match="elsewhere"):
        fetched(remote_at(server))
    assert [] == other.asks


def test_redirects_without_end_are_given_up(liar: Callable[[Script], Liar]) -> None:
    server = liar(always(answer(b"", status=302, location="/again")))
    with pytest.raises(BadAnswer):
        fetched(remote_at(server))
    assert len(server.asks) <= 5


@pytest.mark.parametrize(
    ("url", "location", "target"),
    [
        ("http://h/a", "/b", "http://h/b"),
        ("http://h/a", "http://h:80/b", "http://h:80/b"),
        ("http://h/a", "https://h/a", "https://h/a"),
        ("https://h/a", "https://h/b", "https://h/b"),
        ("https://h/a", "http://h/a", None),
        ("https://h/a", "https://h:444/a", None),
        ("http://h/a", "http://other/a", None),
        ("http://h/a", "//other/a", None),
        ("http://h/a", "https://h.other/a", None),
        ("http://h/a", "https://me@h/a", None),
        ("http://h/a", "file:///etc/passwd", None),
        ("http://h/a", "http://h:99999/", None),
        ("http://h/a", "http://[", None),
    ],
)
def test_redirects_stay_on_the_host_and_never_lose_encryption(
    url: str, location: str, target: str | None
) -> None:
    assert target == followed(url, location)


@pytest.mark.parametrize(
    ("address", "normal"),
    [
        ("http://Host:80/", "http://host"),
        ("https://host:443/at/", "https://host/at"),
        ("http://[::1]:8080", "http://[::1]:8080"),
    ],
)
def test_an_address_has_one_spelling(address: str, normal: str) -> None:
    assert normal == normal_address(address)


@pytest.mark.parametrize(
    "address",
    ["ftp://host", "http://", "http://host:x", "http://me:secret@host", "host", "http://h/?q"],
)
def test_other_than_the_address_of_a_registry_is_refused(address: str) -> None:
    with pytest.raises(BadInput) as caught:
        normal_address(address)
    assert "secret" not in str(caught.value)


def test_no_error_shows_the_token(liar: Callable[[Script], Liar]) -> None:
    for script in (
        always(answer(TOKEN.encode(), status=401)),
        always(HTML),
        always(answer(b"", status=302, location="http://other/")),
        always(b"nonsense\r\n\r\n"),
        always(answer(b"busy", status=503)),
    ):
        server = liar(script)
        with pytest.raises(CellbankError) as caught:
            fetched(remote_at(server))
        assert TOKEN not in f"{caught.value} {caught.value.args!r}"
        assert f"Bearer {TOKEN}" == server.asks[0].headers["authorization"]


# --- a real registry behind a bad line

STEPS = ("commit", "missing", "packs", "small", "objects", "uploads")


@pytest.mark.usefixtures("short_pauses")
@pytest.mark.parametrize("what", ["lose the answer", "cut the answer", "cut the body"])
@pytest.mark.parametrize("step", STEPS)
def test_every_step_gets_over_one_loss(tmp_path: Path, what: str, step: str) -> None:
    seen: set[str] = set()

    def rule(ask: Ask) -> str:
        here = next((s for s in STEPS if s in ask.path), "")
        if here != step or here in seen:
            return "pass"
        seen.add(here)
        return what

    store, other = Store.at(str(tmp_path / "store")), Store.at(str(tmp_path / "other"))
    with served(tmp_path / "registry") as registry, between(registry.url, rule) as url:
        remote = HttpRemote(url, registry.token or "", timeout=5)
        kept = push_files(store, remote)
        assert contents(other, install(other, remote)) == FILES
        assert [kept] == list(remote.records(PACKAGE))
        remote.close()
    assert {step} == seen


@pytest.mark.usefixtures("short_pauses")
def test_a_push_to_a_server_that_always_loses_the_commit_is_there_all_the_same(
    tmp_path: Path,
) -> None:
    def rule(ask: Ask) -> str:
        return "lose the answer" if "commit" in ask.path else "pass"

    store = Store.at(str(tmp_path / "store"))
    with served(tmp_path / "registry") as registry:
        with between(registry.url, rule) as url:
            wanted = draft(keep(store, FILES))
            with pytest.raises(Unreachable):
                push(store, HttpRemote(url, registry.token or ""), PACKAGE, wanted)
        kept = push(store, HttpRemote(registry.url, registry.token or ""), PACKAGE, wanted)
        assert (0, wanted.nonce) == (kept.record.number, kept.record.nonce)
