"""A subset as a package of its own: an ordinary revision that says what it was derived from."""

from collections.abc import Callable, Mapping

import msgspec

from cellbank.model.errors import BadInput
from cellbank.model.log import Derivation
from cellbank.model.progress import Watcher, ignore
from cellbank.model.reference import Package
from cellbank.packages.build import Built, Prepared, build
from cellbank.packages.carried import Carried
from cellbank.packages.nodes import View
from cellbank.packages.recording import Stamp


def derive(
    view: View,
    package: Package,
    stamp: Stamp,
    tables: Callable[[], Mapping[str, bytes]],
    watch: Watcher = ignore,
) -> Built:
    """Make a package of what the tree of a view shows: the same entries, byte for byte.

    What of it is not here yet is fetched first. Its record names the package and revision that it
    was derived from, and the question.

    Raises `BadInput`: It would be derived from itself. Raises `NotFetched`: Some of it is not here
    and stays away.
    """
    if package == view.package:
        raise BadInput(f"{package} cannot be made of itself", "Give it another name: --as NAME.")
    if lacking := view.lacking(view.reader):
        view.fetch(lacking, watch)
    installed = view.store.installed(view.package)
    want = installed.want if installed is not None and view.current else None
    question = "" if want is None or want.everything else str(want)
    origin = Derivation(str(view.package), view.revision, question)
    carried = [Carried(entry, view.package) for entry in view.reader]
    return build(
        view.store,
        package,
        view.store.root,
        (),
        stamp=msgspec.structs.replace(stamp, derived_from=origin),
        prepared=Prepared(view.whole.header.kind, lambda _: tables(), carried=carried),
        watch=watch,
    )
