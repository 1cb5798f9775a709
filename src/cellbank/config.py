"""Where things are and who we are: folders, remotes, tokens; read once, passed down as values."""

import getpass
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec

from cellbank.model.errors import BadInput, RemoteNotFound

DEFAULT_TIMEOUT: Final = 30.0
DEFAULT_CACHE_LIMIT: Final = 2_000_000_000
POLICIES: Final = ("fetch", "ask", "refuse")
"""What may happen where bytes are wanted that are not here."""
_YES: Final = ("1", "true", "yes", "on")
_NO: Final = ("", "0", "false", "no", "off")


class RemoteConfig(msgspec.Struct, frozen=True):
    """A remote that the user gave a name."""

    address: str


class Settings(msgspec.Struct, frozen=True, omit_defaults=True):
    """The content of `config.json`; `cache_limit` is in bytes."""

    default: str = ""
    remotes: dict[str, RemoteConfig] = {}
    author: str = ""
    cache_limit: Annotated[int, msgspec.Meta(ge=0)] = DEFAULT_CACHE_LIMIT
    fetch: Literal["fetch", "ask", "refuse"] = "fetch"


class Config(msgspec.Struct, frozen=True):
    """All that was configured, by the environment and by files.

    `tokens` maps the address of a registry to the token for it. With `offline` no network is
    used; `fetch` is what happens where bytes are wanted that are not here.
    """

    home: str
    store_paths: tuple[str, ...]
    folder: str
    settings: Settings
    tokens: dict[str, str]
    remote: str
    author: str
    timeout: float
    offline: bool = False
    fetch: str = "fetch"

    @property
    def settings_file(self) -> str:
        """The file that holds remotes."""
        return f"{self.folder}/config.json"

    @property
    def tokens_file(self) -> str:
        """The file that holds tokens; nobody else may read it."""
        return f"{self.folder}/tokens.json"

    def address_of(self, remote: str | os.PathLike[str]) -> str:
        """Return the address that a URL, a folder or a name means.

        Raises `RemoteNotFound` for text that is none of them.
        """
        remote = os.fspath(remote)
        if remote in self.settings.remotes:
            return self.settings.remotes[remote].address
        if "://" in remote:
            return remote.rstrip("/")
        if os.sep in remote or remote.startswith((".", "~")) or Path(remote).exists():
            return str(Path(remote).expanduser().absolute())
        raise RemoteNotFound(remote, _advice_for(remote))

    @property
    def default_address(self) -> str:
        """The address of the default remote, or nothing."""
        return self.address_of(self.settings.default) if self.settings.default else ""


def _advice_for(remote: str) -> str:
    """Return what to do about a remote that is no name: an address in part, or a new folder."""
    if re.fullmatch(r"[\w.-]+:\d+(/.*)?", remote):
        return f"Did you mean http://{remote}?"
    advice = f"Give it that name: cellbank remote add {remote} URL. A new folder: ./{remote}"
    return advice if re.fullmatch(r"[\w-]+", remote) else ""


def read(environment: Mapping[str, str] = os.environ) -> Config:
    """Read the environment and the files.

    Raises `BadInput` if a file is not what it should be, or if others may read the tokens.
    """
    home, folder = _folders(environment)
    settings = _settings(f"{folder}/config.json")
    paths = environment.get("CELLBANK_PATH", "").split(os.pathsep)
    return Config(
        home=home,
        store_paths=tuple(str(Path(path).expanduser()) for path in paths if path),
        folder=folder,
        settings=settings,
        tokens=_tokens(f"{folder}/tokens.json", environment),
        remote=environment.get("CELLBANK_REMOTE", ""),
        author=environment.get("CELLBANK_AUTHOR", "") or settings.author or _user(),
        timeout=_timeout(environment.get("CELLBANK_TIMEOUT", "")),
        offline=_offline(environment.get("CELLBANK_OFFLINE", "")),
        fetch=_policy(environment.get("CELLBANK_FETCH", "")) or settings.fetch,
    )


def _folders(environment: Mapping[str, str]) -> tuple[str, str]:
    """Return the folders of the store and of the configuration."""
    home = environment.get("CELLBANK_HOME", "")
    if home:
        root = str(Path(home).expanduser().absolute())
        return root, f"{root}/config"
    import platformdirs

    return platformdirs.user_data_dir("cellbank"), platformdirs.user_config_dir("cellbank")


def _settings(path: str) -> Settings:
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError:
        return Settings()
    except NotADirectoryError:
        advice = "Name a folder by CELLBANK_HOME; it need not be there yet."
        raise BadInput(f"a file is where the folder of {path} should be", advice) from None
    try:
        return msgspec.json.decode(data, type=Settings)
    except msgspec.MsgspecError as error:
        raise BadInput(f"{path} cannot be read: {error}", "Mend or remove it.") from None


def _tokens(path: str, environment: Mapping[str, str]) -> dict[str, str]:
    tokens: dict[str, str] = {}
    try:
        look = Path(path).stat()
        data = Path(path).read_bytes()
    except FileNotFoundError:
        pass
    else:
        if look.st_mode & 0o077:
            raise BadInput(f"{path} can be read by others", f"Close it: chmod 600 {path}")
        try:
            tokens = msgspec.json.decode(data, type=dict[str, str])
        except msgspec.MsgspecError:
            raise BadInput(f"{path} cannot be read", "Remove it and sign in again.") from None
    if environment.get("CELLBANK_TOKEN"):
        tokens[""] = environment["CELLBANK_TOKEN"]
    return tokens


def token_for(config: Config, address: str) -> str:
    """Return the token for a registry: as signed in, else `CELLBANK_TOKEN`, else nothing.

    `CELLBANK_TOKEN` is for the registry that `CELLBANK_REMOTE` names, or else for the default one.
    Where neither is set it is for the registry that is named; it never goes anywhere else.
    """
    if address in config.tokens:
        return config.tokens[address]
    meant = config.address_of(config.remote) if config.remote else config.default_address
    return config.tokens.get("", "") if meant in ("", address) else ""


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""


def _offline(text: str) -> bool:
    if text.lower() not in (*_YES, *_NO):
        raise BadInput(f"CELLBANK_OFFLINE={text} is neither yes nor no", "Set it to 1 or to 0.")
    return text.lower() in _YES


def _policy(text: str) -> str:
    if text and text not in POLICIES:
        raise BadInput(f"CELLBANK_FETCH={text} is no policy", f"Set: {', '.join(POLICIES)}.")
    return text


def _timeout(text: str) -> float:
    if not text:
        return DEFAULT_TIMEOUT
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0
    if not 0 < seconds < 1e6:
        raise BadInput(f"CELLBANK_TIMEOUT={text} is no number of seconds")
    return seconds
