"""The pages: what each says, as bytes; who may see it was decided by the registry."""

import re
from collections.abc import Iterable
from typing import Final

import msgspec

from cellbank.catalog.look import LOOK, render
from cellbank.catalog.shelf import Card, Shelf
from cellbank.model.digest import digest_of
from cellbank.model.errors import IntegrityError, PackageNotFound
from cellbank.model.log import Record, State
from cellbank.model.names import is_name
from cellbank.model.reference import Package, Reference
from cellbank.packages.citation import cite
from cellbank.registry.service import Registry
from cellbank.registry.tokens import Caller

ON_A_PAGE: Final = 100
_VERSION: Final = re.compile(
    r"(?:(\d+)!)?(\d+(?:\.\d+)*)(?:(a|b|rc)(\d+))?(?:\.post(\d+))?(?:\.dev(\d+))?(?:\+(.*))?"
)


class Page(msgspec.Struct, frozen=True):
    """An answer: HTML, or nothing where the browser has it already; its tag, if it has one."""

    body: bytes = b""
    status: int = 200
    tag: str = ""
    unchanged: bool = False


class Asked(msgspec.Struct, frozen=True):
    """Who asks, under which address of ours, and what they have already (`If-None-Match`)."""

    caller: Caller
    where: str
    has: str = ""

    def knows(self, tag: str) -> bool:
        """Whether they have the page with this tag."""
        return tag in self.has


class Listed(msgspec.Struct, frozen=True):
    """One package of the list."""

    package: Package
    card: Card
    revision: str
    pushed: str
    version: str


class Pages:
    """The pages of a registry."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._shelf = Shelf(registry)

    # --- lists

    def home(self, asked: Asked, number: int, owner: str = "") -> Page:
        """Return a page of the list of packages, of one owner or all."""
        packages = [p for p in self._registry.readable(asked.caller) if owner in ("", p.owner)]
        if owner and (not packages or not is_name(owner)):
            raise PackageNotFound(owner, asked.where)
        last = max(1, -(-len(packages) // ON_A_PAGE))
        number = min(max(number, 1), last)
        shown = packages[(number - 1) * ON_A_PAGE : number * ON_A_PAGE]
        listed = [row for package in shown if (row := self._listed(package)) is not None]
        body = render(
            "home.html",
            where=asked.where,
            owner=owner,
            listed=listed,
            total=len(packages),
            number=number,
            last=last,
            signed_in=asked.caller.signed_in,
        )
        return Page(body, tag=_tag(body), unchanged=asked.knows(_tag(body)))

    def _listed(self, package: Package) -> Listed | None:
        try:
            record = self._shelf.newest(package, "")
            pushed = self._shelf.pushed(package)
        except PackageNotFound:
            return None
        except IntegrityError:
            return Listed(package, Card(), "", "", "")
        state = record.state
        card = self._shelf.card(package, state)
        return Listed(package, card, state.latest, pushed, newest_version(state))

    # --- a package

    def package(self, asked: Asked, reference: Reference) -> Page:
        """Return the page of a package, or of one of its revisions."""
        record, revision, tag = self._found(asked, reference, "package")
        if asked.knows(tag):
            return Page(tag=tag, unchanged=True)
        package, state = reference.package, record.state
        author, date = self._shelf.credit(package, revision)
        summary = self._shelf.summary(package, revision, state)
        citation = cite(
            package,
            revision,
            state,
            author=author,
            date=date,
            where=asked.where,
            said=summary.said,
        )
        body = render(
            "package.html",
            tab="package",
            where=asked.where,
            reference=reference,
            install=_install(reference, asked.where),
            state=state,
            revision=revision,
            names=names_of(revision, state),
            summary=summary,
            versions=sorted(state.versions.items(), key=lambda v: version_order(v[0]))[::-1],
            tags=sorted({**state.tags, "latest": state.latest}.items()),
            history=self._shelf.history(package, asked.where),
            total=record.number + 1,
            author=author,
            date=date,
            citation=citation,
        )
        return Page(body, tag=tag)

    def schema(self, asked: Asked, reference: Reference) -> Page:
        """Return the page of a package's SCHEMA; without one a page that says so."""
        record, revision, tag = self._found(asked, reference, "schema")
        if asked.knows(tag):
            return Page(tag=tag, unchanged=True)
        schema = self._shelf.schema(reference.package, revision, record.state)
        body = render(
            "schema.html",
            tab="schema",
            where=asked.where,
            reference=reference,
            state=record.state,
            revision=revision,
            schema=schema,
        )
        return Page(body, tag=tag) if schema else Page(body, 404)

    def _found(self, asked: Asked, reference: Reference, what: str) -> tuple[Record, str, str]:
        """Return the newest record, the revision and the tag of a page that the caller may see."""
        package = reference.package
        self._registry.check_may_read(asked.caller, package, asked.where)
        record = self._shelf.newest(package, asked.where)
        revision = self._shelf.revision(reference, record.state)
        told = (LOOK, what, str(reference), revision, asked.where, repr(record))
        return record, revision, _tag("\0".join(told).encode(errors="replace"))


def _install(reference: Reference, where: str) -> str:
    return f"cellbank install {reference} --from {where}"


def _tag(data: bytes) -> str:
    return f'"{digest_of(data)[:32]}"'


def names_of(revision: str, state: State) -> list[str]:
    """Return the versions and tags of a revision as one types them."""
    versions = sorted((v for v, r in state.versions.items() if r == revision), key=version_order)
    tags = sorted(t for t, r in state.tags.items() if r == revision and t != "latest")
    return [f"=={v}" for v in reversed(versions)] + [f":{t}" for t in tags]


def newest_version(state: State) -> str:
    """Return the highest version that was not yanked, or nothing."""
    return max((v for v in state.versions if v not in state.yanked), key=version_order, default="")


def version_order(name: str) -> tuple[int, tuple[int, ...], tuple[int, int], int, float, str]:
    """Return the key by which versions are in the order of PEP 440."""
    found = _VERSION.fullmatch(name)
    if found is None:
        return 0, (), (0, 0), 0, 0, name
    epoch, release, phase, step, post, dev, local = found.groups()
    numbers = _without_zeros(int(part) for part in release.split("."))
    if phase:
        before = ("a", "b", "rc").index(phase), int(step)
    else:
        before = (-1, 0) if dev and not post else (3, 0)
    return (
        int(epoch or 0),
        numbers,
        before,
        int(post) if post else -1,
        int(dev) if dev else float("inf"),
        local or "",
    )


def _without_zeros(numbers: Iterable[int]) -> tuple[int, ...]:
    kept = list(numbers)
    while len(kept) > 1 and kept[-1] == 0:
        kept.pop()
    return tuple(kept)
