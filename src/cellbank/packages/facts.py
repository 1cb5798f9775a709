"""What can be told of a package: its facts, its tree, its share of the disk, its citation."""

from collections import Counter
from collections.abc import Iterable, Mapping

import msgspec

from cellbank.model.digest import SMALL_BELOW
from cellbank.model.log import Derivation, Record, State
from cellbank.model.manifest import ManifestReader
from cellbank.model.reference import Package
from cellbank.storage.store import Store


class Inspection(msgspec.Struct, frozen=True):
    """The facts of one revision. Sizes in bytes; `types` counts entries by file type.

    Of a subset they are those of what was chosen; `of_entries` is how many the package has then.
    """

    package: str
    revision: str
    kind: str
    entries: int
    size: int
    types: dict[str, int]
    versions: dict[str, str]
    tags: dict[str, str]
    where: str
    installed: bool
    want: str = "all"
    of_entries: int = 0


class Event(msgspec.Struct, frozen=True):
    """One record of the log, as a person reads it."""

    number: int
    event: str
    revision: str
    name: str
    author: str
    time: str
    message: str
    derived_from: Derivation | None = None

    @classmethod
    def of(cls, record: Record) -> "Event":
        """Return the event of a record."""
        return cls(
            record.number,
            record.event,
            record.revision,
            record.name,
            record.author,
            record.time,
            record.message,
            record.derived_from,
        )


class Branch(msgspec.Struct, frozen=True):
    """A group or an entry in a tree: how many entries and bytes lie in it, and its children."""

    name: str
    path: str
    entries: int
    size: int
    children: list["Branch"] = []
    cut: bool = False

    @property
    def is_group(self) -> bool:
        """Whether it is a group."""
        return self.name.endswith("/")

    def lines(self, indent: str = "") -> list[str]:
        """Return the tree as lines of text."""
        out = []
        for i, child in enumerate(self.children):
            last = i == len(self.children) - 1
            entries = "entry" if child.entries == 1 else "entries"
            note = f"  ({child.entries:,} {entries})" if child.cut else ""
            out.append(f"{indent}{'└── ' if last else '├── '}{child.name}{note}")
            out += child.lines(indent + ("    " if last else "│   "))
        return out

    def __str__(self) -> str:
        return "\n".join([self.name, *self.lines()])


class Share(msgspec.Struct, frozen=True):
    """What a package holds on this disk, in bytes: alone, and together with other packages."""

    package: str
    alone: int
    shared: int


def type_of(filename: str) -> str:
    """Return the file type by which entries are counted: the extension, in lower case."""
    stem, dot, extension = filename.rpartition(".")
    return extension.lower() if dot and stem else "none"


def inspect(
    package: Package,
    revision: str,
    reader: ManifestReader,
    state: State,
    *,
    where: str,
    installed: bool,
    want: str = "all",
    of_entries: int = 0,
) -> Inspection:
    """Return the facts of a revision."""
    types = Counter(type_of(entry.name) for entry in reader)
    return Inspection(
        str(package),
        revision,
        reader.header.kind,
        reader.header.entries,
        reader.header.bytes,
        dict(sorted(types.items(), key=lambda item: (-item[1], item[0]))),
        dict(state.versions),
        {"latest": state.latest or revision, **state.tags},
        where,
        installed,
        want,
        of_entries,
    )


def tree(reader: ManifestReader, below: str, title: str, depth: int | None = None) -> Branch:
    """Return the tree below a path, so many levels deep."""
    root: dict[str, object] = {}
    one = reader.find(below) if below else None
    cut = len(below) + 1 if below else 0
    for entry in [one] if one else reader.under(below):
        place = root
        *groups, name = (entry.path[cut:] or entry.path.rpartition("/")[2]).split("/")
        for group in groups:
            place = place.setdefault(f"{group}/", {})  # type: ignore[assignment]
        place[name] = entry.size
    return _branch(title, below, root, depth)


def _branch(name: str, path: str, content: object, depth: int | None) -> Branch:
    if not isinstance(content, dict):
        assert isinstance(content, int)  # noqa: S101
        return Branch(name, path, 1, content)
    inner = None if depth is None else depth - 1
    prefix = f"{path}/" if path else ""
    children = [
        _branch(child, f"{prefix}{child.rstrip('/')}", below, inner)
        for child, below in sorted(content.items(), key=lambda item: not item[0].endswith("/"))
    ]
    entries = sum(child.entries for child in children)
    size = sum(child.size for child in children)
    if depth is not None and depth <= 0:
        return Branch(name, path, entries, size, cut=True)
    return Branch(name, path, entries, size, children)


def shares(store: Store, revisions: Mapping[Package, Iterable[str]]) -> list[Share]:
    """Return what each package holds alone and shares with others in this store."""
    held: dict[Package, dict[str, int]] = {}
    users: Counter[str] = Counter()
    for package, named in revisions.items():
        objects: dict[str, int] = {}
        small: dict[str, int] = {}
        for revision in named:
            for entry in store.reader(package, revision):
                if entry.size < SMALL_BELOW:
                    small[entry.digest] = entry.size
                elif store.object_path(entry.digest, entry.size):
                    objects[entry.digest] = entry.size
        objects |= {digest: small[digest] for digest in store.has_small(package, small)}
        for table in store.named_tables(package):
            if table.size < SMALL_BELOW or store.object_path(table.digest, table.size):
                objects[table.digest] = table.size
        held[package] = objects
        users.update(digest for digest, size in objects.items() if size >= SMALL_BELOW)
    found = []
    for package, objects in held.items():
        shared = sum(size for digest, size in objects.items() if users[digest] > 1)
        found.append(Share(str(package), sum(objects.values()) - shared, shared))
    return found
