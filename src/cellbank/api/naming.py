"""Naming revisions: versions that never move and tags that may."""

import re

from cellbank import config as _config
from cellbank.api.session import address_of, new_draft, remote_at
from cellbank.config import Config
from cellbank.model.errors import (
    PackageNotFound,
    RemoteNotFound,
    RevisionNotFound,
    RuleBroken,
)
from cellbank.model.log import State
from cellbank.model.names import check_tag, check_version, near
from cellbank.model.reference import Package, Reference
from cellbank.packages import resolve
from cellbank.packages.opening import open_store
from cellbank.storage import transfer
from cellbank.storage.remote import BucketRemote, Remote
from cellbank.storage.store import Store


def version(ref: str, name: str, revision: str, to: str | None = None) -> str:
    """Give a revision a version name, once and for ever; return the whole revision.

    `name` is spelled as PEP 440 says (`1.0`); `revision` is 6 or more digits of one, a tag such as
    `latest`, or another version. `to` is the remote: by default that of the package, else the
    store. Raises `NameConflict`: The name is given already. Raises `RevisionNotFound`.
    """
    return _name_revision("version", ref, check_version(name), revision, to)


def tag(ref: str, name: str, revision: str | None = None, to: str | None = None) -> str:
    """Point a tag at a revision, or remove it if the revision is None; return the revision.

    `revision` and `to` are those of `version`. A tag that is there moves. Raises `NameConflict`:
    Somebody else moved it meanwhile. Raises `RevisionNotFound`.
    """
    return _name_revision("tag", ref, check_tag(name), revision or "", to)


def names(ref: str, to: str | None = None) -> State:
    """Return the versions and tags of a package: at its remote, else in the store."""
    package = Package.parse(ref)
    config = _config.read()
    store = open_store(config)
    address = address_of(config, store, package, to)
    if address:
        try:
            with remote_at(config, address) as remote:
                return remote.newest(package).record.state
        except (PackageNotFound, RemoteNotFound):
            if to or store.newest(package) is None:
                raise
    if store.newest(package) is None:
        store.need_installed(package)
    return resolve.state_in_store(store, package)


def _name_revision(event: str, ref: str, name: str, revision: str, to: str | None) -> str:
    package = Package.parse(ref)
    config = _config.read()
    store = open_store(config)
    address = address_of(config, store, package, to)
    if not address:
        newest = store.newest(package)
        if newest is None:
            store.need_installed(package)
            raise RemoteNotFound("")
        with store.transaction(), store.alone():
            own = BucketRemote(store)
            return _append_name(store, own, config, package, event, name, revision)
    with remote_at(config, address) as remote:
        return _append_name(store, remote, config, package, event, name, revision)


def _meant(package: Package, text: str, state: State) -> Reference:
    """Return the reference that `text` means: a version or tag that is there, else a revision."""
    if text in state.versions:
        return Reference(package, version=text)
    if text == "latest" or text in state.tags:
        return Reference(package, tag=text)
    if not re.fullmatch("[0-9a-f]{6,64}", text):
        known = [*state.versions, *state.tags, "latest"]
        raise RevisionNotFound(str(package), f"revision, version or tag {text}", near(text, known))
    return Reference(package, revision=text)


def _append_name(
    store: Store,
    remote: Remote,
    config: Config,
    package: Package,
    event: str,
    name: str,
    revision: str,
) -> str:
    newest = remote.newest(package)
    whole = ""
    if revision:
        whole = resolve.at_remote(remote, _meant(package, revision, newest.record.state), newest)
    state = newest.record.state
    if event == "tag" and name == "latest":
        raise RuleBroken("the tag latest moves with every push", "Choose another name.")
    expect = state.tags.get(name, "") if event == "tag" else ""
    if event == "tag" and not revision and not expect:
        close = [f"{package}:{other}" for other in near(name, state.tags)]
        raise RevisionNotFound(str(package), f"tag {name}", close)
    draft = new_draft(event, config, name=name, revision=whole, expect=expect)
    kept = remote.append(package, draft)
    if remote.id != store.id:
        transfer.note_seen(store, remote, package, kept)
    return whole
