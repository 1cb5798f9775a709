"""The public functions: what `import cellbank` offers, and the prompt calls."""

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
from cellbank.api.families import build_family
from cellbank.api.having import Removed, export, gc, install, load, remove
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
from cellbank.packages.export import Exported
from cellbank.packages.facts import Branch, Event, Inspection, Share
from cellbank.packages.install import Installation
from cellbank.packages.nodes import DataNode, GroupNode, PackageNode
from cellbank.packages.verify import Damage, Verified
from cellbank.storage.gc import Collected

__all__ = [
    "Branch",
    "Built",
    "CacheUse",
    "Changes",
    "Citation",
    "Collected",
    "Damage",
    "DataNode",
    "Event",
    "Exported",
    "FamilyBuilt",
    "GroupNode",
    "Inspection",
    "Installation",
    "Listed",
    "PackageNode",
    "Progress",
    "Pushed",
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
    "du",
    "export",
    "gc",
    "init",
    "inspect",
    "install",
    "load",
    "log",
    "login",
    "logout",
    "ls",
    "push",
    "remotes",
    "remove",
    "remove_remote",
    "sample",
    "tag",
    "tree",
    "verify",
    "version",
    "whoami",
]
