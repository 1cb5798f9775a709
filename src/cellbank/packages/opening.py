"""What the configuration names, opened: the store of this user, its cache, and remotes."""

from cellbank import config as _config
from cellbank.config import Config
from cellbank.model.errors import Offline
from cellbank.storage.cache import FOLDER, Cache
from cellbank.storage.remote import BucketRemote, Remote
from cellbank.storage.store import Store


def open_store(config: Config) -> Store:
    """Return the store of this user."""
    return Store.at(config.home, config.store_paths)


def open_cache(config: Config, store: Store) -> Cache:
    """Return the cache in a store, as large as the user lets it be."""
    return Cache(store.files.path(FOLDER), config.settings.cache_limit)


def open_remote(config: Config, address: str, *, create: bool = False) -> Remote:
    """Return the remote at an address; raises `Offline` where the network is not to be used."""
    check_online(config, address)
    if address.startswith(("http://", "https://")):
        from cellbank.storage.http_client import normal_address
        from cellbank.storage.http_remote import HttpRemote

        # Tokens are kept by the normal form of an address.
        normal = normal_address(address)
        token = _config.token_for(config, address) or _config.token_for(config, normal)
        return HttpRemote(address, token, config.timeout)
    return BucketRemote.open(address, create=create)


def check_online(config: Config, address: str) -> None:
    """Raise `Offline` where a remote is over the network, and that is not to be used."""
    if config.offline and _is_far(address):
        raise Offline(address)


def _is_far(address: str) -> bool:
    return "://" in address and not address.startswith(("file://", "memory://"))
