"""The routes that read: what they give, in which form, and what they never give."""

import pytest

from cellbank.model.digest import digest_of
from cellbank.model.log import decode_record
from cellbank.model.reference import Package
from cellbank.storage.http_remote import HttpRemote
from cellbank.storage.packs import read_pack
from cellbank.storage.store import Store
from tests.registry.asking import API, Asker
from tests.storage.making import FILES, LARGE, PACKAGE, event, push_files

DEMO = f"{API}/packages/{PACKAGE}"
OTHER = Package("aics", "other")
SIZE = len(LARGE)


@pytest.fixture
def pushed(remote: HttpRemote, store: Store) -> str:
    """A revision that was pushed."""
    return push_files(store, remote).record.revision


def small_of(asker: Asker, digests: list[str], package: Package = PACKAGE) -> dict[str, bytes]:
    """Ask for small objects and take the answer apart."""
    path = f"{API}/packages/{package}/objects/small"
    body = asker.post(path, b"".join(map(bytes.fromhex, digests))).body
    found: dict[str, bytes] = {}
    while body[:8] != bytes(8):
        length = int.from_bytes(body[:8], "little")
        found.update(read_pack(body[8 : 8 + length], "a pack"))
        body = body[8 + length :]
    assert bytes(8) == body
    return found


def test_the_root_says_what_this_is(nobody: Asker) -> None:
    reply = nobody.get("/")
    assert (200, "a cellbank registry") == (reply.status, reply.json["what"])


def test_health_is_told_to_everyone(nobody: Asker) -> None:
    assert {"status": "ok"} == nobody.get("/-/health").json


def test_the_api_describes_itself_and_loads_nothing_from_elsewhere(nobody: Asker) -> None:
    description = nobody.get(f"{API}/openapi.json").json
    assert description["openapi"].startswith("3.1")
    assert f"{API}/packages/{{owner}}/{{name}}/uploads" in description["paths"]
    for page in ("/docs", "/redoc", f"{API}/docs"):
        assert 404 == nobody.get(page).status


def test_who_asks_is_told(admin: Asker, nobody: Asker) -> None:
    assert {"name": "admin"} == admin.get(f"{API}/whoami").json
    assert {"name": ""} == nobody.get(f"{API}/whoami").json


def test_the_newest_record_comes_as_its_very_bytes(
    nobody: Asker, remote: HttpRemote, pushed: str
) -> None:
    reply = nobody.get(DEMO)
    assert remote.newest(PACKAGE).data == reply.body
    assert pushed == decode_record(reply.body).record.state.latest


def test_the_log_comes_in_pages_newest_first(
    nobody: Asker, remote: HttpRemote, pushed: str
) -> None:
    for name in ("1", "2", "3"):
        remote.append(PACKAGE, event("version", name=name, revision=pushed))
    lines = nobody.get(f"{DEMO}/log?limit=2").body.splitlines()
    assert [3, 2] == [decode_record(line).record.number for line in lines]
    lines = nobody.get(f"{DEMO}/log?before=2").body.splitlines()
    assert [1, 0] == [decode_record(line).record.number for line in lines]
    assert b"" == nobody.get(f"{DEMO}/log?before=0").body


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=x", "before=-1"])
def test_a_page_of_the_log_has_limits(nobody: Asker, pushed: str, query: str) -> None:
    reply = nobody.get(f"{DEMO}/log?{query}")
    assert (400, "BadInput") == (reply.status, reply.error)


def test_all_small_objects_of_a_package_come_in_packs(
    nobody: Asker, store: Store, pushed: str
) -> None:
    small = {digest_of(data): data for data in FILES.values() if len(data) < 1000}
    pages = [page.digest for page in store.reader(PACKAGE, pushed).header.pages]
    found = small_of(nobody, [pushed, *pages, *small])
    assert {pushed, *pages, *small} == found.keys()
    assert small.items() <= found.items()


def test_small_objects_of_other_packages_do_not_come(
    nobody: Asker, remote: HttpRemote, store: Store, pushed: str
) -> None:
    other = push_files(store, remote, {"x": b"other"}, package=OTHER).record.revision
    assert {} == small_of(nobody, [other, digest_of(b"other"), digest_of(b"nothing")])
    assert {other} == small_of(nobody, [other], OTHER).keys()


def test_digests_must_be_whole(nobody: Asker, pushed: str) -> None:
    assert 400 == nobody.post(f"{DEMO}/objects/small", bytes(33)).status


def test_too_many_digests_are_refused(nobody: Asker, pushed: str) -> None:
    assert 400 == nobody.post(f"{DEMO}/objects/small", bytes(32 * 262_145)).status


def test_a_large_object_comes_whole_with_its_length_and_tag(nobody: Asker, pushed: str) -> None:
    reply = nobody.get(f"{DEMO}/objects/{digest_of(LARGE)}")
    assert (200, LARGE) == (reply.status, reply.body)
    assert f'"{digest_of(LARGE)}"' == reply.headers["etag"]
    assert str(SIZE) == reply.headers["content-length"]
    assert "bytes" == reply.headers["accept-ranges"]


def test_head_tells_what_get_would(nobody: Asker, pushed: str) -> None:
    path = f"{DEMO}/objects/{digest_of(LARGE)}"
    get, head = nobody.get(path), nobody("HEAD", path)
    assert (b"", get.status) == (head.body, head.status)
    for name in ("content-length", "etag", "content-type"):
        assert get.headers[name] == head.headers[name]


@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [
        ("bytes=0-", 0, SIZE),
        ("bytes=7-", 7, SIZE),
        ("bytes=7-7", 7, 8),
        ("bytes=100-199", 100, 200),
        (f"bytes={SIZE - 1}-", SIZE - 1, SIZE),
        (f"bytes=5-{SIZE * 9}", 5, SIZE),
    ],
)
def test_a_range_gives_these_bytes(
    nobody: Asker, pushed: str, asked: str, start: int, stop: int
) -> None:
    reply = nobody.get(f"{DEMO}/objects/{digest_of(LARGE)}", Range=asked)
    assert LARGE[start:stop] == reply.body
    if stop - start < SIZE:
        assert 206 == reply.status
        assert f"bytes {start}-{stop - 1}/{SIZE}" == reply.headers["content-range"]


@pytest.mark.parametrize(
    "asked",
    [
        "bytes=-5",
        "bytes=1-2,4-5",
        "bytes=9-3",
        "bytes=x-",
        "lines=1-2",
        "bytes=",
        "bytes=²-",
        "bytes=" + "9" * 40 + "-",
    ],
)
def test_other_forms_of_ranges_give_the_whole(nobody: Asker, pushed: str, asked: str) -> None:
    path = f"{DEMO}/objects/{digest_of(LARGE)}"
    reply = nobody("GET", path, headers={"Range": asked.encode().decode("latin-1")})
    assert (200, LARGE) == (reply.status, reply.body)


def test_a_range_beyond_the_end_is_told(nobody: Asker, pushed: str) -> None:
    reply = nobody.get(f"{DEMO}/objects/{digest_of(LARGE)}", Range=f"bytes={SIZE}-")
    assert (416, f"bytes */{SIZE}") == (reply.status, reply.headers["content-range"])


def test_a_range_of_another_object_gives_the_whole(nobody: Asker, pushed: str) -> None:
    path = f"{DEMO}/objects/{digest_of(LARGE)}"
    reply = nobody("GET", path, headers={"Range": "bytes=9-", "If-Range": '"other"'})
    assert (200, SIZE) == (reply.status, len(reply.body))


@pytest.mark.parametrize("digest", ["x", "0" * 64, "..%2f..%2fformat.json", "small"])
def test_what_is_no_object_of_the_package_is_not_there(
    nobody: Asker, pushed: str, digest: str
) -> None:
    assert nobody.get(f"{DEMO}/objects/{digest}").status in (404, 405)


def test_a_large_object_that_was_lost_is_not_there(
    nobody: Asker, pushed: str, registry: object, tmp_path: object, folder
) -> None:
    digest = digest_of(LARGE)
    (folder / "objects" / digest[:2] / digest).unlink()
    assert 404 == nobody.get(f"{DEMO}/objects/{digest}").status


@pytest.mark.parametrize(
    "path",
    ["/nothing", f"{API}/nothing", "/%2e%2e/%2e%2e/etc/passwd", "//x", f"{API}/packages/a/b/c/d"],
)
def test_other_addresses_are_told_as_not_there(nobody: Asker, path: str) -> None:
    reply = nobody.get(path)
    assert (404, "NotFound") == (reply.status, reply.error)


def test_a_verb_that_a_route_does_not_have_is_refused(nobody: Asker) -> None:
    assert 405 == nobody("DELETE", f"{API}/place").status
