"""What the environment and the files say, and what they must not."""

from pathlib import Path

import pytest

from cellbank import config
from cellbank.model.errors import BadInput, RemoteNotFound


def read(tmp_path: Path, **environment: str) -> config.Config:
    return config.read({"CELLBANK_HOME": str(tmp_path), **environment})


def test_with_a_home_everything_lies_in_it(tmp_path):
    found = read(tmp_path)
    assert str(tmp_path) == found.home
    assert found.settings_file.startswith(str(tmp_path))
    assert found.tokens_file.startswith(str(tmp_path))


def test_without_a_home_the_folders_are_those_of_the_platform(tmp_path):
    found = config.read({})
    assert found.home.endswith("cellbank")
    assert found.folder.endswith("cellbank")


def test_a_remote_is_a_name_a_url_or_a_folder(tmp_path, monkeypatch):
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "config.json").write_text(
        '{"default": "lab", "remotes": {"lab": {"address": "https://example.org"}}}'
    )
    found = read(tmp_path)
    assert "https://example.org" == found.address_of("lab") == found.default_address
    assert "http://example.org/x" == found.address_of("http://example.org/x/")
    monkeypatch.chdir(tmp_path)
    assert str(tmp_path / "here") == found.address_of("./here")
    with pytest.raises(RemoteNotFound):
        found.address_of("nothing")


def test_several_stores_can_be_borrowed_from(tmp_path):
    assert ("/a", "/b") == read(tmp_path, CELLBANK_PATH="/a:/b:").store_paths


def test_tokens_that_others_can_read_are_refused(tmp_path):
    (tmp_path / "config").mkdir()
    path = tmp_path / "config" / "tokens.json"
    path.write_text('{"https://example.org": "secret"}')
    path.chmod(0o644)
    with pytest.raises(BadInput, match="chmod 600") as caught:
        read(tmp_path)
    assert "secret" not in str(caught.value)
    path.chmod(0o600)
    found = read(tmp_path)
    assert "secret" == config.token_for(found, "https://example.org")
    assert "" == config.token_for(found, "https://example.com")


def test_the_token_of_the_environment_goes_to_the_remote_it_was_given_for_alone(tmp_path):
    alone = read(tmp_path, CELLBANK_TOKEN="secret")
    assert "secret" == config.token_for(alone, "https://example.org")
    bound = read(tmp_path, CELLBANK_TOKEN="secret", CELLBANK_REMOTE="https://example.org")
    assert "secret" == config.token_for(bound, "https://example.org")
    assert "" == config.token_for(bound, "https://example.com")


@pytest.mark.parametrize("text", ["soon", "0", "-1", "nan", "1e9"])
def test_a_timeout_that_is_none_is_refused(tmp_path, text):
    with pytest.raises(BadInput, match="CELLBANK_TIMEOUT"):
        read(tmp_path, CELLBANK_TIMEOUT=text)


def test_a_timeout_is_taken(tmp_path):
    assert 2.5 == read(tmp_path, CELLBANK_TIMEOUT="2.5").timeout


@pytest.mark.parametrize("text", ["{", "[]", '{"remotes": 1}'])
def test_a_file_that_cannot_be_read_is_named(tmp_path, text):
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "config.json").write_text(text)
    with pytest.raises(BadInput, match=r"config\.json"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("text", "offline"), [("", False), ("0", False), ("1", True), ("YES", True)]
)
def test_the_network_may_be_forbidden(tmp_path, text, offline):
    assert offline == read(tmp_path, CELLBANK_OFFLINE=text).offline


def test_what_may_be_fetched_is_said_by_the_environment_then_by_the_file(tmp_path):
    assert "fetch" == read(tmp_path).fetch
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "config.json").write_text('{"fetch": "ask"}')
    assert "ask" == read(tmp_path).fetch
    assert "refuse" == read(tmp_path, CELLBANK_FETCH="refuse").fetch


@pytest.mark.parametrize("setting", [{"CELLBANK_OFFLINE": "maybe"}, {"CELLBANK_FETCH": "maybe"}])
def test_a_word_that_means_nothing_is_refused(tmp_path, setting):
    with pytest.raises(BadInput, match=r"CELLBANK_\w+=maybe"):
        read(tmp_path, **setting)
