"""Who may do what, on every route; what one may not read looks like what is not there."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cellbank.model.digest import digest_of
from cellbank.model.reference import Package
from cellbank.registry.app import create_app
from cellbank.registry.service import Registry
from cellbank.storage.http_remote import HttpRemote
from cellbank.storage.store import Store
from tests.registry.asking import API, Asker, Reply
from tests.storage.making import FILES, LARGE, Served, push_files, served

PUBLIC, PRIVATE, ABSENT = (Package("aics", name) for name in ("public", "private", "absent"))
DIGEST = digest_of(LARGE)
UPLOAD = "0" * 32
PACKAGE = f"{API}/packages/{{owner}}/{{name}}"

# Who may: "all" everyone; "read" who may read the package; "write" who is signed in.
ROUTES = {
    ("GET", "/"): "all",
    ("GET", "/-/health"): "all",
    ("GET", f"{API}/openapi.json"): "all",
    ("GET", f"{API}/place"): "all",
    ("GET", f"{API}/whoami"): "all",
    ("GET", f"{API}/packages"): "all",
    ("GET", PACKAGE): "read",
    ("GET", f"{PACKAGE}/log"): "read",
    ("POST", f"{PACKAGE}/objects/small"): "read",
    ("GET", f"{PACKAGE}/objects/{{digest}}"): "read",
    ("HEAD", f"{PACKAGE}/objects/{{digest}}"): "read",
    ("POST", f"{PACKAGE}/log"): "write",
    ("POST", f"{PACKAGE}/uploads"): "write",
    ("POST", f"{PACKAGE}/uploads/{{upload}}/packs"): "write",
    ("POST", f"{PACKAGE}/uploads/{{upload}}/missing"): "write",
    ("PUT", f"{PACKAGE}/uploads/{{upload}}/objects/{{digest}}"): "write",
    ("POST", f"{PACKAGE}/uploads/{{upload}}/commit"): "write",
}
READ = [route for route, who in ROUTES.items() if who == "read"]
WRITE = [route for route, who in ROUTES.items() if who == "write"]

# Open to everyone, but what they tell depends on who asks.
ABOUT_US = [("GET", f"{API}/packages"), ("GET", f"{API}/whoami"), ("GET", f"{API}/place")]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A registry with a public and a private package of the same content."""
    root = tmp_path_factory.mktemp("access")
    store = Store.at(str(root / "store"))
    with served(root / "registry") as registry:
        remote = HttpRemote(registry.url, registry.token or "")
        push_files(store, remote, package=PUBLIC)
        push_files(store, remote, {**FILES, "secret": b"secret"}, package=PRIVATE, public=False)
        remote.close()
        yield registry


@pytest.fixture
def nobody(running: Served) -> Asker:
    return Asker(running.url)


@pytest.fixture
def admin(running: Served) -> Asker:
    return Asker(running.url, running.token)


def ask(asker: Asker, route: tuple[str, str], package: Package) -> Reply:
    method, pattern = route
    path = pattern.format(owner=package.owner, name=package.name, digest=DIGEST, upload=UPLOAD)
    if path.endswith(f"{UPLOAD}/objects/{DIGEST}"):
        path += "?offset=0"
    return asker(method, path, b"" if method in ("POST", "PUT") else None)


def test_every_route_has_its_row_here(tmp_path: Path) -> None:
    registry, _ = Registry.open(str(tmp_path / "place"))
    found = set()
    for path, verbs in create_app(registry).openapi()["paths"].items():
        found |= {(verb.upper(), path) for verb in verbs}
    unlisted = {("GET", "/"), ("GET", f"{API}/openapi.json")}
    unlisted |= {route for route in ROUTES if route[0] == "HEAD"}
    assert ROUTES.keys() - unlisted == found


@pytest.mark.parametrize("route", READ, ids=" ".join)
def test_the_public_package_is_read_by_everyone(
    nobody: Asker, admin: Asker, route: tuple[str, str]
) -> None:
    assert [200, 200] == [ask(asker, route, PUBLIC).status for asker in (nobody, admin)]


@pytest.mark.parametrize("route", READ, ids=" ".join)
def test_the_private_package_is_read_by_the_admin(admin: Asker, route: tuple[str, str]) -> None:
    assert 200 == ask(admin, route, PRIVATE).status


@pytest.mark.parametrize("route", READ, ids=" ".join)
def test_to_nobody_the_private_package_looks_as_if_it_were_not_there(
    nobody: Asker, route: tuple[str, str]
) -> None:
    private, absent = ask(nobody, route, PRIVATE), ask(nobody, route, ABSENT)
    assert 404 == private.status
    assert absent.body.replace(b"absent", b"private") == private.body
    assert set(absent.headers) == set(private.headers)


@pytest.mark.parametrize("package", [PUBLIC, PRIVATE, ABSENT], ids=str)
@pytest.mark.parametrize("route", WRITE, ids=" ".join)
def test_nobody_writes(nobody: Asker, route: tuple[str, str], package: Package) -> None:
    reply = ask(nobody, route, package)
    assert (401, "NotSignedIn", "Bearer") == (
        reply.status,
        reply.error,
        reply.headers["www-authenticate"],
    )


@pytest.mark.parametrize("route", [*READ, *WRITE, *ABOUT_US], ids=" ".join)
@pytest.mark.parametrize("header", ["Bearer cbk_wrong", "Bearer ", "Basic YTpi", "nonsense", ""])
def test_a_wrong_token_is_refused_whatever_is_asked(
    running: Served, route: tuple[str, str], header: str
) -> None:
    method, pattern = route
    path = pattern.format(owner="aics", name="public", digest=DIGEST, upload=UPLOAD)
    reply = Asker(running.url)(method, path + "?offset=0", headers={"Authorization": header})
    assert 401 == reply.status


def test_nobody_sees_only_public_packages_listed(nobody: Asker, admin: Asker) -> None:
    assert ["aics/public"] == nobody.get(f"{API}/packages").json["packages"]
    assert ["aics/private", "aics/public"] == admin.get(f"{API}/packages").json["packages"]


def test_an_object_of_a_private_package_is_not_had_by_way_of_a_public_one(nobody: Asker) -> None:
    body = bytes.fromhex(digest_of(b"secret"))
    reply = nobody.post(f"{API}/packages/{PUBLIC}/objects/small", body)
    assert (200, bytes(8)) == (reply.status, reply.body)


@pytest.mark.parametrize("name", ["..", "%2e%2e", "Public", "con", "a" * 65, "public%00", "é"])
def test_a_name_that_cannot_be_is_one_that_is_not_there(nobody: Asker, name: str) -> None:
    path = f"{API}/packages/aics/{name}".encode("ascii", "ignore").decode()
    assert 404 == nobody.get(path).status or not name.isascii()


def test_no_answer_tells_a_path_of_the_machine(running: Served, admin: Asker) -> None:
    for route in ROUTES:
        assert b"/registry/" not in ask(admin, route, PRIVATE).body
