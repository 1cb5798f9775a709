"""Tests of `serve`, and of what the command does with a registry."""

import re
import signal
import subprocess
from contextlib import contextmanager

import pytest

from tests.cli.conftest import COMMAND, fill, revision_of

pytest.importorskip("fastapi", reason="the registry's extra is not installed")

SECONDS = 20


@contextmanager
def serving(folder, env, *options):
    """Serve a folder on a free port; give the process, its URL and the admin's token."""
    with subprocess.Popen(
        [COMMAND, "serve", str(folder), "--port", "0", *options],
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        try:
            listening = re.fullmatch(r"Listening on (http://\S+)\n", running.stdout.readline())
            token = None
            if listening and "--again" not in env:
                first = re.fullmatch(r"Admin token: ([\w-]+)\n", running.stdout.readline())
                token = first[1] if first else None
            yield running, listening[1] if listening else "", token
        finally:
            running.terminate()
            running.wait(SECONDS)


@pytest.fixture
def registry(clean_env, tmp_path):
    """The URL of a registry, and its token."""
    with serving(tmp_path / "registry", clean_env) as (_, url, token):
        yield url, token


@pytest.fixture
def signed_in(cellbank, registry):
    """The URL of a registry that we are signed in to."""
    url, token = registry
    cellbank("login", url, "--token", token).ok()
    return url


def test_serve_says_where_it_listens_and_the_token_and_who_may_read(clean_env, tmp_path):
    with serving(tmp_path / "registry", clean_env) as (running, url, token):
        assert url.startswith("http://127.0.0.1:")
        assert re.fullmatch(r"[A-Za-z0-9_-]{20,}", token)
        running.send_signal(signal.SIGTERM)
        out, error = running.communicate(timeout=SECONDS)
    assert (0, "") == (running.returncode, out)
    assert "New packages will be public" in error
    assert token not in error


def test_ctrl_c_stops_it_quietly(clean_env, tmp_path):
    with serving(tmp_path / "registry", clean_env, "--private") as (running, _, _):
        running.send_signal(signal.SIGINT)
        out, error = running.communicate(timeout=SECONDS)
    assert (0, "") == (running.returncode, out)
    assert "New packages will be private" in error
    assert "Traceback" not in error


def test_the_token_is_told_once(clean_env, tmp_path):
    with serving(tmp_path / "registry", clean_env):
        pass
    with serving(tmp_path / "registry", {**clean_env, "--again": "1"}) as (running, url, _):
        assert url
        running.send_signal(signal.SIGTERM)
        assert "" == running.communicate(timeout=SECONDS)[0]


def test_a_port_that_is_taken_is_told(process, registry, tmp_path):
    port = registry[0].rpartition(":")[2]
    assert port in process("serve", tmp_path / "other", "--port", port).failed(2).err


def test_a_folder_with_other_files_is_not_served(process, images):
    process("serve", images, "--port", "0").failed(2)


def test_signing_in_and_out(cellbank, registry):
    url, token = registry
    result = cellbank("login", url, stdin=f"{token}\n").ok()
    assert f"Signed in to {url} as admin\n" == result.out
    assert token not in result.out + result.err
    assert f"admin  {url}\n" == cellbank("whoami").ok().out
    assert {url: "admin"} == cellbank("whoami", url, "--json").ok().json
    assert url == cellbank("remote", "default", "--json").ok().json["address"]
    assert f"Signed out of {url}\n" == cellbank("logout", url).ok().out
    cellbank("whoami").failed(3)


def test_a_wrong_token_is_refused_and_never_written(cellbank, registry):
    refused = cellbank("login", registry[0], "--token", "cbk_wrong").failed(3)
    assert "cbk_wrong" not in refused.err


def test_push_needs_the_token_and_install_does_not(
    cellbank, built, registry, tmp_path, monkeypatch
):
    url, token = registry
    cellbank("push", built, "--to", url).failed(3)
    monkeypatch.setenv("CELLBANK_TOKEN", token)
    cellbank("push", built, "--to", url).ok()
    monkeypatch.delenv("CELLBANK_TOKEN")
    monkeypatch.setenv("CELLBANK_HOME", str(tmp_path / "other"))
    result = cellbank("install", built, "--from", url).ok()
    assert "Downloading 4 objects (256025 bytes)...\n" in result.out
    assert "demo/nuclei is up to date\n" in cellbank("install", built).ok().out


def test_the_whole_way_over_http(cellbank, built, signed_in, images, tmp_path, monkeypatch):
    first = revision_of(cellbank, built)
    cellbank("push", built).ok()
    cellbank("version", "add", built, "1.0", first).ok()
    fill(images, {"README.md": "# Second\n"})
    cellbank("build", built, images).ok()
    cellbank("push", built, "--message", "second").ok()
    cellbank("tag", "add", built, "good").ok()
    monkeypatch.setenv("CELLBANK_HOME", str(tmp_path / "other"))
    assert built in cellbank("ls", "--from", signed_in).ok().out
    facts = cellbank("inspect", built, "--from", signed_in, "--json").ok().json
    assert {"1.0": first} == facts["versions"]
    assert {"good", "latest"} == set(facts["tags"])
    assert "fovs/" in cellbank("tree", built, "--from", signed_in).ok().out
    cellbank("install", f"{built}==1.0", "--from", signed_in).ok()
    assert "# Nuclei\n" == cellbank("cat", f"{built}/README.md").ok().out
    assert "Downloading 1 objects (9 bytes)..." in cellbank("install", built).ok().out
    assert "# Second\n" == cellbank("cat", f"{built}/README.md").ok().out
    assert ["tag", "push", "version", "push"] == [
        event["event"] for event in cellbank("log", built, "--json").ok().json
    ]
    cellbank("verify").ok()


def test_a_private_package_is_for_who_is_signed_in(
    cellbank, built, signed_in, tmp_path, monkeypatch
):
    cellbank("push", built, "--private").ok()
    monkeypatch.setenv("CELLBANK_HOME", str(tmp_path / "stranger"))
    assert cellbank("install", built, "--from", signed_in).code in (3, 4)
    assert [] == cellbank("ls", "--from", signed_in, "--json").ok().json


def test_two_pushes_to_a_registry_conflict_and_can_go_on(
    cellbank, built, registry, images, tmp_path, monkeypatch
):
    url, token = registry
    monkeypatch.setenv("CELLBANK_TOKEN", token)
    cellbank("push", built, "--to", url).ok()
    monkeypatch.setenv("CELLBANK_HOME", str(tmp_path / "other"))
    fill(images, {"README.md": "other"})
    cellbank("build", built, images).ok()
    cellbank("push", built, "--to", url).failed(8)
    cellbank("push", built, "--to", url, "--force").ok()


def test_a_page_that_is_no_registry_is_a_network_error(cellbank, tmp_path, monkeypatch):
    import http.server
    import threading

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<html>Please sign in \x1b[31m</html>")

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        try:
            assert "does not answer like" in cellbank("ls", "--from", url).failed(6).err
            assert 6 == cellbank("install", "demo/nuclei", "--from", url).code
        finally:
            server.shutdown()
