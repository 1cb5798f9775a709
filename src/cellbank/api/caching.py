"""The cache of what was read of images that are not here: how large it is, and may be."""

import msgspec

from cellbank import config as _config
from cellbank.api.account import changing, save_settings
from cellbank.model.errors import BadInput
from cellbank.packages.opening import open_cache, open_store


class CacheUse(msgspec.Struct, frozen=True):
    """The cache: its folder, how much is in it, how much may be; what was removed. In bytes."""

    folder: str
    bytes: int
    limit: int
    freed: int = 0


def cache(*, clear: bool = False, limit: int | None = None) -> CacheUse:
    """Look at the cache for images that are read from a remote; empty it, or limit it.

    It holds pieces of entries that are not in the store, and thumbnails. What was used least
    recently goes when the limit is reached. Everything in it can be had again.

    Parameters
    ----------
    clear
        Remove all that is in it.
    limit
        So many bytes at most, from now on; kept in `config.json`. With 0 there is no cache.

    Returns
    -------
    CacheUse
        Where it is, how much is in it and may be, and how much was removed just now.

    Raises
    ------
    BadInput
        A limit below 0.

    Examples
    --------
    >>> import cellbank
    >>> cellbank.cache(limit=500_000_000).limit
    500000000
    """
    if limit is not None and limit < 0:
        raise BadInput(f"a cache cannot hold {limit} bytes", "Give 0 for no cache at all.")
    if limit is not None:
        with changing() as config:
            settings = msgspec.structs.replace(config.settings, cache_limit=limit)
            save_settings(config, settings)
    config = _config.read()
    found = open_cache(config, open_store(config))
    before = found.size()
    if clear:
        found.clear()
    elif before > found.limit:
        found.shrink()
    after = found.size()
    return CacheUse(found.folder, after, found.limit, max(before - after, 0))
