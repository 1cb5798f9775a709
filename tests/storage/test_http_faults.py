"""Faults of the network and of servers: each ends in one clear error, or is got over, in time."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cellbank.model.digest import digest_of
from cellbank.model.errors import (
    BadAnswer,
    BadPack,
    Damaged,
    DigestMismatch,
    Interrupted,
    NetworkError,
    NotSignedIn,
    Unreachable,
)
from cellbank.model.log import encode_record, next_record
from cellbank.storage.http_remote import HttpRemote
from cellbank.storage.packs import read_pack, write_packs
from cellbank.storage.store import Store
from cellbank.storage.transfer import Plan, fetch
from tests.storage.lying import (
    DIGEST,
    HTML,
    STALL,
    TOKEN,
    Ask,
    Liar,
    Script,
    always,
    answer,
    fetched,
    ranged,
    remote_at,
    start_of,
    stretch,
    stretch_of,
)
from tests.storage.making import (
    LARGE,
    PACKAGE,
    draft,
)

# --- no answer


def test_where_nothing_listens_it_is_said_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    before = time.monotonic()
    with pytest.raises(Unreachable, match="connect"):
        HttpRemote(f"http://127.0.0.1:{port}", TOKEN).newest(PACKAGE)
    assert time.monotonic() - before < 2


def test_a_host_that_does_not_exist_is_unreachable() -> None:
    with pytest.raises(Unreachable):
        HttpRemote("http://nowhere.invalid").newest(PACKAGE)


def test_a_server_that_says_nothing_is_given_up(liar: Callable[[Script], Liar]) -> None:
    server = liar(always(STALL))
    with pytest.raises(Unreachable, match="nothing moves"):
        remote_at(server).newest(PACKAGE)
    assert len(server.asks) <= 4


def test_an_object_that_stops_in_the_middle_is_given_up(liar: Callable[[Script], Liar]) -> None:
    server = liar(lambda ask: iter([ranged(start_of(ask))[:9000], STALL]))
    with pytest.raises(Unreachable, match="nothing moves"):
        fetched(remote_at(server), 1)


def test_stop_ends_a_connection_that_stands_still(liar: Callable[[Script], Liar]) -> None:
    asked = threading.Event()

    def script(_: Ask) -> Iterator[bytes | str]:
        asked.set()
        yield STALL

    remote = remote_at(liar(script), timeout=60)

    def stop() -> None:
        asked.wait(10)
        remote.stop()

    stopper = threading.Thread(target=stop)
    stopper.start()
    before = time.monotonic()
    with pytest.raises(Interrupted):
        fetched(remote)
    assert time.monotonic() - before < 2
    stopper.join()


def test_a_server_that_does_not_speak_http_is_no_registry(liar: Callable[[Script], Liar]) -> None:
    with pytest.raises(BadAnswer):
        remote_at(liar(always(b"SSH-2.0-OpenSSH_9.2\r\n"))).newest(PACKAGE)


# --- wrong answers


@pytest.mark.parametrize(
    "body",
    [
        HTML,
        answer(b"{}"),
        answer(b"[1,"),
        answer(b"\xff\xfe"),
        answer(b'{"a":' * 5000),
        answer(b"{}", status=204),
        answer(b"gone", status=404),
        answer(b'{"error":"Nonsense","facts":[]}', status=418),
        answer(b'{"error":"DigestMismatch","facts":["too few"]}', status=422),
    ],
)
def test_an_answer_that_no_registry_gives_is_a_bad_answer(
    liar: Callable[[Script], Liar], body: bytes
) -> None:
    server = liar(always(body))
    for ask in (
        lambda remote: remote.newest(PACKAGE),
        lambda remote: remote.packages(),
        lambda remote: remote.id,
        lambda remote: remote.whoami(),
        lambda remote: list(remote.records(PACKAGE)),
    ):
        with pytest.raises(BadAnswer):
            ask(remote_at(server))


def test_a_web_page_in_place_of_an_object_is_not_taken(liar: Callable[[Script], Liar]) -> None:
    with pytest.raises(BadAnswer, match="web page"):
        fetched(remote_at(liar(always(HTML))))


def test_an_answer_that_never_ends_is_cut_off(liar: Callable[[Script], Liar]) -> None:
    def script(_: Ask) -> Iterator[bytes]:
        yield b"HTTP/1.1 200 x\r\ntransfer-encoding: chunked\r\n\r\n"
        while True:
            yield b"100000\r\n" + bytes(1 << 20) + b"\r\n"

    server = liar(script)
    with pytest.raises(BadAnswer, match="too long"):
        remote_at(server).whoami()
    with pytest.raises(BadAnswer):
        remote_at(server).fetch_packs(PACKAGE, [DIGEST], lambda _: None)


def test_a_coded_answer_is_not_taken(liar: Callable[[Script], Liar]) -> None:
    server = liar(always(answer(LARGE, content_encoding="gzip")))
    with pytest.raises(BadAnswer, match="gzip"):
        fetched(remote_at(server))


def test_a_record_of_another_package_is_not_taken(liar: Callable[[Script], Liar]) -> None:
    record = next_record("other/name", None, draft("0" * 64))
    server = liar(always(answer(encode_record(record))))
    with pytest.raises(BadAnswer, match="other/name"):
        remote_at(server).newest(PACKAGE)


def test_impossible_package_names_are_not_taken(liar: Callable[[Script], Liar]) -> None:
    body = json.dumps({"packages": ["../../etc/passwd"]}).encode()
    with pytest.raises(BadAnswer):
        remote_at(liar(always(answer(body)))).packages()


@pytest.mark.parametrize("name", ["", "../x", "a" * 65, "é"])
def test_impossible_identities_are_not_taken(liar: Callable[[Script], Liar], name: str) -> None:
    body = json.dumps({"id": name, "format": 1}).encode()
    with pytest.raises(BadAnswer):
        remote_at(liar(always(answer(body)))).id  # noqa: B018  asking is the point


def test_a_refusal_says_to_sign_in(liar: Callable[[Script], Liar]) -> None:
    with pytest.raises(NotSignedIn, match="login"):
        remote_at(liar(always(answer(b"no", status=401)))).newest(PACKAGE)


# --- trouble that passes


@pytest.mark.parametrize("status", [500, 502, 503, 504, 429])
def test_trouble_that_passes_is_got_over(liar: Callable[[Script], Liar], status: int) -> None:
    def script(_: Ask) -> Iterator[bytes]:
        good = len(server.asks) > 2
        yield ranged(0) if good else answer(b"busy", status=status, retry_after="0")

    server = liar(script)
    assert LARGE == fetched(remote_at(server))


def test_trouble_that_stays_is_told(liar: Callable[[Script], Liar]) -> None:
    server = liar(always(answer(b"<html>busy", status=503)))
    with pytest.raises(Unreachable, match="503"):
        fetched(remote_at(server))
    assert 5 == len(server.asks)


def test_what_broke_off_is_asked_for_from_where_it_broke(liar: Callable[[Script], Liar]) -> None:
    def script(ask: Ask) -> Iterator[bytes]:
        yield ranged(start_of(ask))[:60_000]

    server = liar(script)
    assert LARGE[7:] == fetched(remote_at(server), 7)
    starts = [start_of(ask) for ask in server.asks]
    assert len(starts) == len(set(starts)) > 2
    assert sorted(starts) == starts


def test_a_server_that_always_breaks_off_is_given_up(liar: Callable[[Script], Liar]) -> None:
    server = liar(always(answer(b"", length=len(LARGE))))
    with pytest.raises(Unreachable, match="broke off"):
        fetched(remote_at(server))


# --- ranges


def test_the_whole_object_for_a_range_is_good_too(liar: Callable[[Script], Liar]) -> None:
    assert LARGE[1000:] == fetched(remote_at(liar(always(answer(LARGE)))), 1000)


def test_another_range_than_was_asked_for_is_not_taken(liar: Callable[[Script], Liar]) -> None:
    server = liar(lambda ask: iter([ranged(start_of(ask), told=start_of(ask) - 1)]))
    with pytest.raises(BadAnswer, match="another range"):
        fetched(remote_at(server), 1000)


def read_range(remote: HttpRemote, start: int, stop: int) -> bytes:
    return remote.read_range(PACKAGE, DIGEST, start, stop)


def test_a_stretch_is_asked_for_alone(liar: Callable[[Script], Liar]) -> None:
    server = liar(lambda ask: iter([stretch(*stretch_of(ask))]))
    assert LARGE[1000:9000] == read_range(remote_at(server), 1000, 9000)
    assert ["bytes=1000-8999"] == [ask.headers["range"] for ask in server.asks]


def test_the_whole_object_for_a_stretch_is_broken_off(liar: Callable[[Script], Liar]) -> None:
    endless = answer(LARGE, length=1 << 40)
    server = liar(lambda _: iter([endless, *[bytes(1 << 20)] * 64]))
    remote = remote_at(server)
    assert LARGE[1000:9000] == read_range(remote, 1000, 9000)
    assert LARGE[5:7] == read_range(remote, 5, 7)
    assert 2 == len(server.asks)


def test_whole_objects_are_not_let_pass_without_end(liar: Callable[[Script], Liar]) -> None:
    server = liar(always(answer(bytes(1000), length=1 << 40)))
    with pytest.raises(BadAnswer, match="whole objects"):
        read_range(remote_at(server), 1 << 30, (1 << 30) + 5)


def test_another_stretch_than_was_asked_for_is_not_taken(liar: Callable[[Script], Liar]) -> None:
    server = liar(lambda ask: iter([stretch(0, stretch_of(ask)[1])]))
    with pytest.raises(BadAnswer, match="another range"):
        read_range(remote_at(server), 1000, 9000)


def test_more_than_was_asked_for_is_cut_off(liar: Callable[[Script], Liar]) -> None:
    server = liar(lambda ask: iter([ranged(stretch_of(ask)[0])]))
    assert LARGE[1000:9000] == read_range(remote_at(server), 1000, 9000)


def test_the_rest_of_a_stretch_is_asked_for_where_too_little_came(
    liar: Callable[[Script], Liar],
) -> None:
    def script(ask: Ask) -> Iterator[bytes]:
        start, stop = stretch_of(ask)
        yield stretch(start, min(start + 3000, stop))

    server = liar(script)
    assert LARGE[1000:9000] == read_range(remote_at(server), 1000, 9000)
    assert [1000, 4000, 7000] == [stretch_of(ask)[0] for ask in server.asks]


def test_a_stretch_that_never_comes_whole_is_given_up(liar: Callable[[Script], Liar]) -> None:
    server = liar(lambda ask: iter([stretch(stretch_of(ask)[0], stretch_of(ask)[0])]))
    with pytest.raises(Unreachable, match="less than was asked for"):
        read_range(remote_at(server), 1000, 9000)
    assert 5 == len(server.asks)


def test_a_stretch_that_stops_in_the_middle_is_given_up(liar: Callable[[Script], Liar]) -> None:
    server = liar(lambda ask: iter([stretch(*stretch_of(ask))[:400], STALL]))
    with pytest.raises(Unreachable, match="nothing moves"):
        read_range(remote_at(server), 0, 100_000)


def test_a_web_page_in_place_of_a_stretch_is_not_taken(liar: Callable[[Script], Liar]) -> None:
    with pytest.raises(BadAnswer, match="web page"):
        read_range(remote_at(liar(always(HTML))), 1000, 9000)


def test_an_object_that_is_shorter_there_is_damage(liar: Callable[[Script], Liar]) -> None:
    server = liar(always(answer(b"{}", status=416)))
    with pytest.raises(Damaged, match="cut short"):
        read_range(remote_at(server), 1000, 9000)


# --- wrong bytes


def plan() -> Plan:
    entry = {DIGEST: _entry()}
    return Plan(parts=[], documents=[], other=[], large=entry, objects=1, bytes=len(LARGE))


def _entry() -> object:
    from cellbank.model.manifest import make_entry

    return make_entry("image.tif", DIGEST, len(LARGE))


@pytest.mark.parametrize("wrong", [bytes(len(LARGE)), LARGE + b"more", LARGE * 3])
def test_wrong_bytes_are_tried_twice_and_never_kept(
    liar: Callable[[Script], Liar], tmp_path: Path, wrong: bytes
) -> None:
    server = liar(always(answer(wrong)))
    store = Store.at(str(tmp_path / "store"))
    with pytest.raises(DigestMismatch, match=server.url):
        fetch(store, remote_at(server), PACKAGE, plan())
    assert 2 == len(server.asks)
    assert store.object_path(DIGEST, len(LARGE)) is None


def test_an_object_that_is_too_short_is_not_kept(
    liar: Callable[[Script], Liar], tmp_path: Path
) -> None:
    store = Store.at(str(tmp_path / "store"))
    with pytest.raises(NetworkError):
        fetch(store, remote_at(liar(always(answer(LARGE[:-1])))), PACKAGE, plan())
    assert store.object_path(DIGEST, len(LARGE)) is None


# --- packs


def framed(*packs: bytes, end: bool = True) -> bytes:
    out = b"".join(len(pack).to_bytes(8, "little") + pack for pack in packs)
    return out + bytes(8) if end else out


SMALL = {digest_of(data): data for data in (b"one", b"two", b"three")}
PACK = next(write_packs(SMALL.items()))


def fetched_small(remote: HttpRemote) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    remote.fetch_packs(PACKAGE, SMALL, lambda pack: found.update(read_pack(pack, "a pack")))
    return found


def test_packs_that_break_off_are_asked_for_again_without_what_came(
    liar: Callable[[Script], Liar],
) -> None:
    def script(ask: Ask) -> Iterator[bytes]:
        first = ask.body[:32].hex()
        pack = next(write_packs([(first, SMALL[first])]))
        yield answer(framed(pack, end=False) + b"\1\0\0")

    server = liar(script)
    assert SMALL == fetched_small(remote_at(server))
    assert [96, 64, 32] == [len(ask.body) for ask in server.asks]


@pytest.mark.parametrize(
    "body",
    [
        framed(next(write_packs([(digest_of(b"else"), b"else")]))),
        framed(PACK, PACK),
        (1 << 40).to_bytes(8, "little"),
        framed(PACK) + framed(PACK),
        b"<html>" * 100,
    ],
)
def test_other_than_the_asked_packs_is_not_taken(
    liar: Callable[[Script], Liar], body: bytes
) -> None:
    with pytest.raises(BadAnswer):
        fetched_small(remote_at(liar(always(answer(body)))))


def test_a_damaged_pack_is_not_taken(liar: Callable[[Script], Liar]) -> None:
    bad = PACK[:-9] + b"\0" + PACK[-8:]
    with pytest.raises(BadPack):
        fetched_small(remote_at(liar(always(answer(framed(bad))))))


def test_packs_that_do_not_come_are_told(liar: Callable[[Script], Liar]) -> None:
    server = liar(always(answer(framed(end=True))))
    with pytest.raises(Damaged):
        remote_at(server).read_small(PACKAGE, SMALL)
