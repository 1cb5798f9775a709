"""Where things lie in a place: the keys of the one layout."""

from cellbank.model.reference import Package


def object_key(digest: str) -> str:
    """Return the key of a large object."""
    return f"objects/{digest[:2]}/{digest}"


def package_key(package: Package, *rest: str) -> str:
    """Return the key of something that belongs to a package."""
    return "/".join(("packages", package.owner, package.name, *rest))
