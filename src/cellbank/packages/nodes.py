"""The tree of a package as Python objects: packages, groups and data."""

import os
import unicodedata
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from io import BytesIO
from typing import IO, Any, Final, overload

from cellbank.model.digest import SMALL_BELOW
from cellbank.model.errors import AmbiguousAttribute, Damaged, EntryNotFound, NotFetched
from cellbank.model.manifest import Entry
from cellbank.model.names import aliases, fixed_names, near
from cellbank.model.reference import Package
from cellbank.model.shown import shower
from cellbank.packages.view import How, View
from cellbank.storage.store import Store

__all__ = ["DataNode", "GroupNode", "How", "PackageNode", "View", "open_package", "safe_filename"]

LONG: Final = 22
"""A group with more children than this is printed in part."""
HEAD, TAIL = 12, 6


Node = "GroupNode | DataNode"


class GroupNode:
    """A group: its children are attributes, items, and numbered.

    Parameters
    ----------
    view
        The revision it belongs to.
    path
        Its path in the package; empty for the root.

    Examples
    --------
    >>> group = getfixture("nuclei").images
    >>> group
    <GroupNode>
    nuclei.ome.tif
    >>> group.nuclei_ome_tif
    <DataNode>
    >>> group[0] == group["nuclei.ome.tif"]
    True
    """

    __slots__ = ("__weakref__", "_path", "_view")

    def __init__(self, view: View, path: str) -> None:
        object.__setattr__(self, "_view", view)
        object.__setattr__(self, "_path", path)

    _view: View
    _path: str

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a package cannot be changed in place ({name})")

    # --- the helpers, behind an underscore because children are attributes

    def _group_keys(self) -> list[str]:
        """Return the names of the groups right below, sorted."""
        return list(self._view.children(self._path)[0])

    def _data_keys(self) -> list[str]:
        """Return the names of the data right below, sorted."""
        return list(self._view.children(self._path)[1])

    def _keys(self) -> list[str]:
        """Return the names of all children: groups first, then data."""
        groups, data = self._view.children(self._path)
        return [*groups, *data]

    def _items(self) -> list[tuple[str, "GroupNode | DataNode"]]:
        """Return the names and nodes of all children."""
        return [(name, self._child(name)) for name in self._keys()]

    def _child(self, name: str) -> "GroupNode | DataNode":
        path = f"{self._path}/{name}" if self._path else name
        if self._view.is_group(self._path, name):
            return GroupNode(self._view, path)
        return DataNode(self._view, path)

    def _at(self, path: str) -> "GroupNode | DataNode":
        node: GroupNode | DataNode = self
        for part in unicodedata.normalize("NFC", path).strip("/").split("/"):
            if not isinstance(node, GroupNode):
                raise self._view.lacks(self._full(path))
            if self._view.is_group(node._path, part) is None:
                raise self._view.lacks(self._full(path), near(part, node._keys()))
            node = node._child(part)
        return node

    def _full(self, path: str) -> str:
        return f"{self._path}/{path}" if self._path else path

    def _read_file(self, path: str) -> bytes | None:
        """Return the bytes of the entry at a path below, None if there is no such entry."""
        full = self._full(path)
        if self._view.reader.find(full) is None:
            return None
        with DataNode(self._view, full).open() as file:
            return file.read()

    # --- as a container

    def __len__(self) -> int:
        groups, data = self._view.children(self._path)
        return len(groups) + len(data)

    def __iter__(self) -> Iterator["GroupNode | DataNode"]:
        return (self._child(name) for name in self._keys())

    def __contains__(self, name: object) -> bool:
        if isinstance(name, str):
            try:
                self._at(name)
            except EntryNotFound:
                return False
            return True
        return any(node == name for node in self)

    @overload
    def __getitem__(self, item: slice) -> list["GroupNode | DataNode"]: ...
    @overload
    def __getitem__(self, item: str | int) -> "GroupNode | DataNode": ...
    def __getitem__(self, item: str | int | slice) -> Any:
        if isinstance(item, str):
            return self._at(item)
        keys = self._keys()
        if isinstance(item, slice):
            return [self._child(name) for name in keys[item]]
        return self._child(keys[item])

    # --- attributes

    def __getattr__(self, name: str) -> "GroupNode | DataNode":
        if name.startswith("_"):
            raise AttributeError(name)
        if self._view.is_group(self._path, name) is not None:
            return self._child(name)
        keys = self._keys()
        meant = aliases(keys).get(name, [])
        if len(meant) == 1:
            return self._child(meant[0])
        if meant:
            raise AmbiguousAttribute(f"{self._view.label}: .{name}", [f"[{m!r}]" for m in meant])
        raise self._view.lacks(self._full(name), near(name, keys))

    def __dir__(self) -> list[str]:
        known = aliases(self._keys())
        own = ["_keys", "_group_keys", "_data_keys", "_items"]
        return sorted([alias for alias, meant in known.items() if len(meant) == 1]) + own

    def __eq__(self, other: object) -> bool:
        return isinstance(other, type(self)) and self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash(self._identity())

    def _identity(self) -> tuple[str, str, str]:
        return (str(self._view.package), self._view.revision, self._path)

    def __reduce__(self) -> Any:
        return _reopen, (self._view.how(), self._path)

    # --- as text

    def _title(self) -> str:
        return "<GroupNode>"

    def __repr__(self) -> str:
        groups, data = self._view.children(self._path)
        lines = [f"{name}/" for name in groups] + list(data)
        if len(lines) > LONG:
            left = len(lines) - HEAD - TAIL
            more = f"… {left:,} more, {len(lines):,} in all"
            return "\n".join([self._title(), *lines[:HEAD], more, *lines[-TAIL:]])
        # Groups end in a newline each, data are joined by newlines: as its ancestor printed.
        return f"{self._title()}\n" + "".join(f"{name}/\n" for name in groups) + "\n".join(data)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Any:
        return shower("mimebundle")(self, include=include, exclude=exclude)


class PackageNode(GroupNode):
    """A package: the root of its tree.

    Where it has no child of that name, `edit()` gives a draft of it, as `cellbank.edit` does.
    """

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        if name == "edit" and self._view.is_group("", name) is None:
            return partial(shower("edit"), self)
        return super().__getattr__(name)

    def _title(self) -> str:
        if isinstance(self._view.address, str):
            return f"<PackageNode '{self._view.address}/{self._view.label}'>"
        path = self._view.store.owner_of(self._view.package).installed_path(self._view.package)
        if not self._view.current:
            path = f"{path}@{self._view.revision[:12]}"
        return f"<PackageNode '{path}'>"

    @property
    def _revision(self) -> str:
        """The revision, 64 hex digits."""
        return self._view.revision


class DataNode:
    r"""One entry: call it for the path of a file with its bytes.

    Parameters
    ----------
    view
        The revision it belongs to.
    path
        Its path in the package.

    Examples
    --------
    >>> node = getfixture("nuclei").README_md
    >>> node.bytes()
    b'# Nuclei\n'
    >>> node.size, node.filename
    (9, 'README.md')
    """

    __slots__ = ("__weakref__", "_entry", "_path", "_view")

    def __init__(self, view: View, path: str) -> None:
        self._view = view
        self._path = path
        self._entry: Entry | None = None

    @property
    def entry(self) -> Entry:
        """The entry of the manifest."""
        if self._entry is None:
            self._entry = self._view.reader.find(self._path)
            if self._entry is None:
                raise self._view.lacks(self._path)
        return self._entry

    def __call__(self) -> str:
        """Return the path of a file with the bytes, checked; it has no extension.

        Of a package that was installed with its metadata only, bytes that are not here are fetched.
        The file belongs to the store: read it, never write to it. Raises `NotFetched` where the
        bytes are not in the store and stay away, `DigestMismatch` where they are damaged.
        """
        view = self._view
        found = view.store.file_of(view.package, self.entry)
        if found is None:
            with view.store.held():
                view.fetch([self.entry])
                found = view.store.file_of(view.package, self.entry)
        if found is None:
            raise NotFetched(view.label, self._path)
        return found

    @property
    def path(self) -> str:
        """The path of a file with the bytes: the same as calling the node."""
        return self()

    @property
    def named_path(self) -> str:
        """A path that ends in the original file name, for readers that go by extension."""
        path = self()
        return self._view.store.named_path(self.entry, path, safe_filename(self.filename))

    def __fspath__(self) -> str:
        return self.named_path

    @property
    def fetched(self) -> bool:
        """Whether the bytes are in the store; where they are not, they are far away or stay so."""
        store, entry = self._view.store, self.entry
        if entry.size < SMALL_BELOW:
            return bool(store.has_small(self._view.package, [entry.digest]))
        return store.object_path(entry.digest, entry.size) is not None

    def open(self) -> IO[bytes]:
        """Open the bytes for reading.

        Of a package that was installed with its metadata only, bytes that are not here come from
        where the package came from: those parts that are read, each checked. Raises `NotFetched`
        where they are not here and stay away.
        """
        view, entry = self._view, self.entry
        if entry.size < SMALL_BELOW:
            with suppress(Damaged):
                return BytesIO(view.store.read_small(view.package, entry.digest))
        else:
            path = view.store.file_of(view.package, entry)
            if path is not None:
                with suppress(FileNotFoundError):
                    return open(path, "rb")
        return view.open_far(entry)

    def bytes(self) -> bytes:
        """Return all the bytes, checked; they are fetched as when the node is called."""
        view, entry = self._view, self.entry
        if entry.size >= SMALL_BELOW:
            with view.store.held(), open(self(), "rb") as file:
                return file.read()
        with suppress(Damaged):
            return view.store.read_small(view.package, entry.digest)
        with view.store.held():
            view.fetch([entry])
            return view.store.read_small(view.package, entry.digest)

    @property
    def meta(self) -> dict[str, Any]:
        """The metadata of the entry."""
        return dict(self.entry.meta or {})

    @property
    def size(self) -> int:
        """The number of bytes."""
        return self.entry.size

    @property
    def digest(self) -> str:
        """The BLAKE3-256 digest of the bytes, 64 hex digits."""
        return self.entry.digest

    @property
    def filename(self) -> str:
        """The original file name."""
        return self.entry.name

    def __repr__(self) -> str:
        return "<DataNode>"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Any:
        return shower("mimebundle")(self, include=include, exclude=exclude)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DataNode) and self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash(self._identity())

    def _identity(self) -> tuple[str, str, str]:
        return (str(self._view.package), self._view.revision, self._path)

    def __reduce__(self) -> Any:
        return _reopen, (self._view.how(), self._path)


def safe_filename(name: str) -> str:
    """Return a file name that can be written anywhere: its last part, cleaned."""
    part = name.replace("\\", "/").rstrip("/").rpartition("/")[2]
    if part in ("", ".", ".."):
        part = "_"
    return fixed_names([part]).get(part, part)


def open_package(store: Store, package: Package, revision: str, *, current: bool) -> PackageNode:
    """Return the root of a revision that is in the store."""
    return PackageNode(View(store, package, revision, current=current), "")


_reopened: dict[tuple[int, How], View] = {}


def _reopen(how: How, path: str) -> "GroupNode | DataNode":
    """Return a node that was pickled, in this process."""
    key = (os.getpid(), how)
    if key not in _reopened:
        _reopened[key] = how.open()
    node: GroupNode | DataNode = PackageNode(_reopened[key], "")
    return node[path] if path else node  # type: ignore[index]
