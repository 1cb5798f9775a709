"""Who is asking: the admin's token, of which only a digest is kept, and what strangers may see."""

import hashlib
import hmac
import secrets
from typing import Final

import msgspec

from cellbank.model import canonical
from cellbank.model.errors import NotCanonical, NotSignedIn
from cellbank.storage import disk
from cellbank.storage.local import LocalBucket

FILE: Final = "registry.json"
PREFIX: Final = "cbk_"
ADMIN: Final = "admin"


class Settings(msgspec.Struct, frozen=True):
    """The content of `registry.json`.

    `admin` is the SHA-256 of the admin's token, `public` whether new packages are public.
    """

    format: int
    admin: str
    public: bool


class Caller(msgspec.Struct, frozen=True):
    """Who sent a request; nobody has no name."""

    name: str = ""

    @property
    def signed_in(self) -> bool:
        """Whether we know who it is."""
        return bool(self.name)


NOBODY: Final = Caller()


def digest_of_token(token: str) -> str:
    """Return what is kept of a token: it has 256 random bits, so no slow hash is needed."""
    return hashlib.sha256(token.encode()).hexdigest()


def open_settings(
    bucket: LocalBucket, *, fresh: bool, public: bool | None
) -> tuple[Settings, str | None]:
    """Return the settings of a registry, and the admin's token where it was made just now.

    `fresh` says that the folder became a place just now: then new packages are public. `public`
    says whether they are from now on; None leaves it.
    """
    try:
        found = _decode(bucket.read(FILE), bucket.address)
    except FileNotFoundError:
        token = PREFIX + secrets.token_urlsafe(32)
        found = Settings(1, digest_of_token(token), fresh if public is None else public)
        disk.make_folders(bucket.staging)
        if disk.create_whole(bucket.path(FILE), _encode(found), bucket.staging, mode=0o600):
            return found, token
        found = _decode(bucket.read(FILE), bucket.address)
    if public is not None and public != found.public:
        found = msgspec.structs.replace(found, public=public)
        disk.replace_whole(bucket.path(FILE), _encode(found), bucket.staging, mode=0o600)
    return found, None


def _encode(settings: Settings) -> bytes:
    return canonical.encode(msgspec.to_builtins(settings))


def _decode(data: bytes, address: str) -> Settings:
    where = f"{address}/{FILE}"
    try:
        found = msgspec.convert(canonical.decode(data, where), Settings)
    except msgspec.ValidationError as error:
        raise NotCanonical(where, str(error)) from None
    if found.format != 1:
        raise NotCanonical(where, f"format {found.format} is not known here")
    return found


def caller_of(settings: Settings, authorization: str | None, where: str) -> Caller:
    """Return who sends this `Authorization` header.

    Raises `NotSignedIn` for a token that is not good: whoever sends one believes to be somebody.
    """
    if authorization is None:
        return NOBODY
    scheme, _, token = authorization.partition(" ")
    good = hmac.compare_digest(digest_of_token(token.strip()), settings.admin)
    if scheme.lower() != "bearer" or not good:
        raise NotSignedIn(where)
    return Caller(ADMIN)
