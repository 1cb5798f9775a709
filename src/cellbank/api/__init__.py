"""The public functions: what `import cellbank` offers, and the prompt calls."""

import importlib
from typing import TYPE_CHECKING, Any

from cellbank.api.account import (
    add_remote,
    default_remote,
    login,
    logout,
    remotes,
    remove_remote,
    whoami,
)
from cellbank.api.asking import Listed, cite, diff, du, inspect, log, ls, tree
from cellbank.api.caching import CacheUse, cache
from cellbank.api.checking import verify
from cellbank.api.editing import edit
from cellbank.api.families import build_family
from cellbank.api.fetching import Fetched, fetch
from cellbank.api.having import Removed, export, gc, install, load, remove
from cellbank.api.importing import Imported, import_quilt
from cellbank.api.locking import Lock, lock, sync
from cellbank.api.making import Pushed, build, push
from cellbank.api.naming import tag, version
from cellbank.api.sampling import sample
from cellbank.api.starting import init
from cellbank.cells.built import FamilyBuilt
from cellbank.cells.sample.sampled import Sampled
from cellbank.cells.started import Started
from cellbank.model.changes import Changes
from cellbank.model.progress import Progress, Said
from cellbank.packages.build import Built
from cellbank.packages.citation import Citation
from cellbank.packages.draft import Draft
from cellbank.packages.export import Exported
from cellbank.packages.facts import Branch, Event, Inspection, Share
from cellbank.packages.install import Installation
from cellbank.packages.nodes import DataNode, GroupNode, PackageNode
from cellbank.packages.verify import Damage, Verified
from cellbank.storage.gc import Collected

if TYPE_CHECKING:
    from cellbank.api.querying import diff_records, query, table
    from cellbank.questions.answer import Answer
    from cellbank.questions.changes import Change, ChangedRecord, RecordChanges

# Questions are seldom what somebody came for; what asks them is loaded when it is asked for.
_QUESTIONS = {
    **dict.fromkeys(("diff_records", "query", "table"), "cellbank.api.querying"),
    "Answer": "cellbank.questions.answer",
    **dict.fromkeys(("Change", "ChangedRecord", "RecordChanges"), "cellbank.questions.changes"),
}


def __getattr__(name: str) -> Any:
    if name not in _QUESTIONS:
        raise AttributeError(f"module 'cellbank.api' has no attribute {name!r}")
    return getattr(importlib.import_module(_QUESTIONS[name]), name)


__all__ = [
    "Answer",
    "Branch",
    "Built",
    "CacheUse",
    "Change",
    "ChangedRecord",
    "Changes",
    "Citation",
    "Collected",
    "Damage",
    "DataNode",
    "Draft",
    "Event",
    "Exported",
    "FamilyBuilt",
    "Fetched",
    "GroupNode",
    "Imported",
    "Inspection",
    "Installation",
    "Listed",
    "Lock",
    "PackageNode",
    "Progress",
    "Pushed",
    "RecordChanges",
    "Removed",
    "Said",
    "Sampled",
    "Share",
    "Started",
    "Verified",
    "add_remote",
    "build",
    "build_family",
    "cache",
    "cite",
    "default_remote",
    "diff",
    "diff_records",
    "du",
    "edit",
    "export",
    "fetch",
    "gc",
    "import_quilt",
    "init",
    "inspect",
    "install",
    "load",
    "lock",
    "log",
    "login",
    "logout",
    "ls",
    "push",
    "query",
    "remotes",
    "remove",
    "remove_remote",
    "sample",
    "sync",
    "table",
    "tag",
    "tree",
    "verify",
    "version",
    "whoami",
]
