"""Where to and as whom: named remotes, and signing in to registries."""

from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from cellbank import config as _config
from cellbank.config import Config
from cellbank.model.errors import (
    BadInput,
    NotSignedIn,
    RemoteNotFound,
)
from cellbank.storage import disk


def remotes() -> dict[str, str]:
    """Return the named remotes and their addresses; the default one comes first."""
    settings = _config.read().settings
    names = sorted(settings.remotes, key=lambda name: (name != settings.default, name))
    return {name: settings.remotes[name].address for name in names}


@contextmanager
def changing() -> Iterator[Config]:
    """Give the configuration while nobody else changes it."""
    folder = _config.read().folder
    disk.make_folders(folder, 0o700)
    with disk.waiting_lock(f"{folder}/lock"):
        yield _config.read()


def save_settings(config: Config, settings: _config.Settings) -> None:
    """Write `config.json` anew."""
    data = msgspec.json.format(msgspec.json.encode(settings), indent=2) + b"\n"
    disk.make_folders(config.folder)
    disk.replace_whole(config.settings_file, data, config.folder)


def _save_tokens(config: Config, tokens: dict[str, str]) -> None:
    data = msgspec.json.encode({a: t for a, t in sorted(tokens.items()) if a}) + b"\n"
    disk.make_folders(config.folder, 0o700)
    disk.replace_whole(config.tokens_file, data, config.folder, mode=0o600)


def add_remote(name: str, address: str) -> str:
    """Give a remote a name; the first one becomes the default. Return its address.

    Raises `BadInput`: It cannot be a name, or nothing can open the address.
    """
    if not name or not all(c.isalnum() or c in "-_" for c in name):
        raise BadInput(f"{name!r} cannot name a remote", "Use letters, digits, - and _.")
    whole = _config.read().address_of(address)
    if whole.startswith(("http://", "https://")):
        from cellbank.storage.http_client import normal_address

        # It also refuses a password, which would be kept and shown.
        whole = normal_address(whole)
    elif "://" in whole:
        from cellbank.storage.remote import check_scheme

        check_scheme(whole)
    with changing() as config:
        old = config.settings
        known = {**old.remotes, name: _config.RemoteConfig(whole)}
        new = msgspec.structs.replace(old, remotes=known, default=old.default or name)
        save_settings(config, new)
    return whole


def remove_remote(name: str) -> None:
    """Forget the name of a remote; raises `RemoteNotFound`."""
    with changing() as config:
        old = config.settings
        if name not in old.remotes:
            raise RemoteNotFound(name)
        known = {n: r for n, r in old.remotes.items() if n != name}
        default = "" if old.default == name else old.default
        save_settings(config, msgspec.structs.replace(old, remotes=known, default=default))


def default_remote(name: str | None = None) -> str:
    """Return the name of the default remote, after setting it if one is given."""
    if name is None:
        return _config.read().settings.default
    with changing() as config:
        if name not in config.settings.remotes:
            raise RemoteNotFound(name)
        save_settings(config, msgspec.structs.replace(config.settings, default=name))
    return name


def login(url: str, token: str) -> str:
    """Sign in to a registry: check the token, keep it for this user alone; return who we are.

    Where there is no default remote, the registry becomes it.
    """
    config = _config.read()
    address = config.address_of(url)
    if not address.startswith(("http://", "https://")):
        raise BadInput(f"{url} is not a registry", "Name its URL: http://… or https://…")
    from cellbank.storage.http_remote import HttpRemote

    remote = HttpRemote(address, token, config.timeout)
    try:
        who = remote.whoami()
    finally:
        remote.close()
    if not who:
        raise NotSignedIn(address)
    with changing() as config:
        _save_tokens(config, {**config.tokens, remote.address: token})
        if not config.settings.default:
            name = "default"
            known = {**config.settings.remotes, name: _config.RemoteConfig(remote.address)}
            new = msgspec.structs.replace(config.settings, remotes=known, default=name)
            save_settings(config, new)
    return who


def logout(url: str | None = None) -> list[str]:
    """Forget the token of a registry, or of all; return the addresses."""
    with changing() as config:
        address = config.address_of(url) if url else None
        gone = [known for known in config.tokens if known and address in (None, known)]
        if gone:
            _save_tokens(config, {a: t for a, t in config.tokens.items() if a not in gone})
    return gone


def whoami(url: str | None = None) -> dict[str, str]:
    """Return who we are at each registry that we are signed in to, asking it."""
    config = _config.read()
    from cellbank.storage.http_remote import HttpRemote

    addresses = [config.address_of(url)] if url else [a for a in config.tokens if a]
    found = {}
    for address in addresses:
        remote = HttpRemote(address, _config.token_for(config, address), config.timeout)
        try:
            found[address] = remote.whoami()
        finally:
            remote.close()
    if not found:
        raise NotSignedIn(url or "")
    return found
