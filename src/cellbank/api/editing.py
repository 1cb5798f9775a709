"""Changing a package that is there: a draft of it, and tables that change what it says."""

from cellbank import config as _config
from cellbank.api.session import now, watcher_or_default, whole
from cellbank.config import Config
from cellbank.model.progress import Watcher
from cellbank.packages import resolve
from cellbank.packages.draft import Draft
from cellbank.packages.nodes import PackageNode, View
from cellbank.packages.opening import open_store
from cellbank.packages.recording import Stamp


def edit(ref: str | PackageNode, *, watch: Watcher | None = None) -> Draft:
    """Return a draft of a package: what it is to become, built when it is complete.

    Parameters
    ----------
    ref
        The package, perhaps with a tag, version or revision to begin with; or its node.
    watch
        Is told of progress.

    Returns
    -------
    Draft
        `set`, `set_meta`, `rename`, `remove` and `update` change it, `build` makes a revision of
        it. Of a package of cell lines it knows the records.

    Raises
    ------
    NotInstalled
        The package is not in the store. Its metadata are enough: `metadata_only=True`.

    Examples
    --------
    >>> import cellbank
    >>> draft = cellbank.edit("demo/nuclei")
    >>> draft.set_meta("images/nuclei.ome.tif", {"count": 12})
    >>> draft
    <Draft of demo/nuclei: 1 entry changed>
    """
    config = _config.read()
    if isinstance(ref, PackageNode):
        view = ref._view
    else:
        view = resolve.view_of(open_store(config), whole(ref))
    return _draft_of(view, config, watcher_or_default(watch))


def _draft_of(view: View, config: Config, watch: Watcher) -> Draft:
    def stamp(message: str) -> Stamp:
        return Stamp(config.author, now(), message)

    if view.whole.header.kind != "cell_lines":
        return Draft(view, stamp, watch)
    from cellbank.cells.record_draft import RecordDraft

    return RecordDraft(view, stamp, watch)
