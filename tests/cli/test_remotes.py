"""Tests of `remote`, and of signing in where there is no registry."""

import pytest


def test_the_first_remote_becomes_the_default(cellbank, remote):
    assert f"lab is {remote}\n" == cellbank("remote", "add", "lab", remote).ok().out
    cellbank("remote", "add", "far", "https://cells.example.org/").ok()
    assert cellbank("remote", "list", "--json").ok().json == [
        {"name": "lab", "address": str(remote), "default": True},
        {"name": "far", "address": "https://cells.example.org", "default": False},
    ]
    assert f"lab  {remote}\n" == cellbank("remote", "default").ok().out


def test_another_default_is_chosen(cellbank, remote):
    cellbank("remote", "add", "lab", remote).ok()
    cellbank("remote", "add", "far", "https://cells.example.org").ok()
    cellbank("remote", "default", "far").ok()
    assert "far" == cellbank("remote", "default", "--json").ok().json["name"]
    first, second = cellbank("remote", "list").ok().out.splitlines()
    assert (True, False) == (first.endswith("(default)"), second.endswith("(default)"))


def test_a_removed_remote_is_forgotten(cellbank, remote):
    cellbank("remote", "add", "lab", remote).ok()
    cellbank("remote", "remove", "lab").ok()
    assert [] == cellbank("remote", "list", "--json").ok().json
    assert "no remote 'lab' is known" in cellbank("remote", "remove", "lab").failed(4).err


def test_a_package_is_pushed_to_a_remote_by_name(cellbank, built, remote):
    cellbank("remote", "add", "lab", remote).ok()
    cellbank("push", built, "--to", "lab").ok()
    assert "demo/nuclei" in cellbank("ls", "--from", "lab").ok().out


def test_a_bad_name_is_refused(cellbank, remote):
    cellbank("remote", "add", "a b", remote).failed(2)


def test_an_address_with_a_password_is_refused_and_not_shown(cellbank):
    error = cellbank("remote", "add", "lab", "https://me:secret@example.org").failed(2).err
    assert "secret" not in error
    assert [] == cellbank("remote", "list", "--json").ok().json


def test_a_second_name_for_a_remote_leads_to_the_same_place(cellbank, remote):
    cellbank("remote", "add", "lab", remote).ok()
    assert str(remote) == cellbank("remote", "add", "two", "lab", "--json").ok().json["address"]


def test_a_url_of_an_unknown_kind_does_not_become_a_folder(cellbank, built, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cellbank("push", built, "--to", "ftp://example.org/x").failed(2)
    assert not (tmp_path / "ftp:").exists()


def test_nobody_is_signed_in_at_first(cellbank):
    assert "Sign in: cellbank login URL" in cellbank("whoami").failed(3).err
    assert "Signed in nowhere.\n" == cellbank("logout").ok().out


@pytest.mark.parametrize("token", ["", "two words", "ümlaut", "a\x1b[31m"])
def test_what_is_no_token_is_refused_before_it_is_sent(cellbank, token):
    refused = cellbank("login", "http://127.0.0.1:9", "--token", token).failed(2)
    assert "that is no token" in refused.err


def test_signing_in_to_a_folder_makes_no_sense(cellbank, remote):
    cellbank("login", remote, "--token", "abc").failed(2)
