"""Choosing a part of a package: what was asked for as a value, and what looks for it."""

from collections.abc import Sequence

import msgspec

from cellbank.model.errors import BadInput
from cellbank.model.manifest import Entry
from cellbank.model.patterns import check_pattern
from cellbank.model.want import Choice
from cellbank.packages.subset import Asked, Choose


def chooser() -> Choose:
    """Return what finds the entries that a choice selects, imported when it is used."""

    def choose(choice: Choice, asked: Asked) -> list[Entry]:
        from cellbank.questions.choosing import choose as found

        return found(choice, asked)

    return choose


def get_ready(choice: Choice | None) -> None:
    """Let what answers questions start; what there is to do at the remote is done meanwhile."""
    if choice is None or not choice.asks:
        return
    from cellbank.questions.process import asker

    asker.start()


def choice_of(
    *,
    where: str | None,
    kind: str | None,
    path: str | Sequence[str] | None,
    kinds: Sequence[str],
    sample: int | None,
    seed: int,
    related: bool,
    documents: bool,
) -> Choice | None:
    """Return what was asked for as a choice, None where nothing was chosen; raises `BadInput`."""
    for name, given in (("where", where), ("kind", kind)):
        if given is not None and not isinstance(given, str):
            raise BadInput(f"{name} is {given!r:.60}, which is no text", f'Write {name}="…".')
    for name, number in (("sample", sample), ("seed", seed)):
        if number is not None and (isinstance(number, bool) or not isinstance(number, int)):
            raise BadInput(f"{name} is {number!r:.60}, which is no whole number")
    if where is not None and not where.strip():
        raise BadInput("the condition is empty", "Leave it out, or say which records: x > 1")
    if sample is not None and sample < 1:
        raise BadInput(f"a sample of {sample} has nothing in it", "Ask for 1 or more.")
    if seed and sample is None:
        raise BadInput("a seed is for a sample", "Say how many records: --sample 20 --seed 1")
    if isinstance(kinds, str):
        raise BadInput(f"kinds is one text, {kinds!r:.60}", f"Give a list: kinds=[{kinds!r:.60}]")
    paths = [path] if isinstance(path, str) else list(path or ())
    choice = Choice(
        question=(where or "").strip(),
        kind=kind or "",
        kinds=sorted(set(kinds)),
        paths=sorted({check_pattern(one) for one in paths}),
        sample=sample or 0,
        seed=seed,
        related=related,
    )
    if choice == Choice(related=related):
        if not related:
            raise BadInput("nothing was chosen whose relations could be left out", "Say --where.")
        return None
    return msgspec.structs.replace(choice, documents=documents)
