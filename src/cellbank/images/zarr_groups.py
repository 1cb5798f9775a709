"""Which images lie in an OME-Zarr folder: one, a series (bioformats2raw), a plate, labels."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from cellbank.images import ngff
from cellbank.images.xmltree import MAX_XML
from cellbank.images.zarr_array import read_json
from cellbank.images.zarr_files import Files, inside
from cellbank.model.errors import BadImage
from cellbank.model.names import near


def chosen_of(scenes: Sequence[str], scene: int | str, name: str) -> str:
    """Return the name of the image that is wanted."""
    if isinstance(scene, str):
        return scene
    if not 0 <= scene < len(scenes):
        count = f"{len(scenes)} image{'s' if len(scenes) != 1 else ''}"
        raise BadImage(name, f"it has no image {scene}: it holds {count}", "The first is 0.")
    return scenes[scene]


class Group(msgspec.Struct, frozen=True):
    """A group of Zarr and what OME-Zarr says of it."""

    files: Files
    path: str
    zarr_format: int
    metadata: Mapping[str, Any]

    @classmethod
    def read(cls, files: Files, path: str, zarr_format: int = 0) -> "Group":
        """Read a group; which version of Zarr it has is found out unless it is known."""
        start = f"{path}/" if path else ""
        said = read_json(files, f"{start}zarr.json") if zarr_format != 2 else None
        if said is not None:
            zarr_format = 3
            if said.get("node_type") == "array":
                raise no_image(files.name)
            said = said.get("attributes")
        elif zarr_format != 3:
            zarr_format = 2
            said = read_json(files, f"{start}.zattrs")
            if said is None and not path and files.read(".zarray", MAX_XML) is not None:
                raise no_image(files.name)
        if not isinstance(said, dict):
            if not path and zarr_format == 2 and not files.read(".zgroup", MAX_XML):
                raise BadImage(
                    files.name,
                    "it is a folder and no OME-Zarr: it has no zarr.json and no .zattrs",
                    "Name an image in it.",
                )
            if path:
                raise BadImage(files.name, f"it has no image {path}")
            raise no_image(files.name)
        metadata = ngff.metadata_of(said, zarr_format=zarr_format)
        ngff.check_version(metadata, files.name)
        return cls(files, path, zarr_format, metadata)

    def at(self, path: str) -> "Group":
        """Read a group below this one."""
        return self.read(self.files, f"{self.path}/{path}" if self.path else path, self.zarr_format)

    def scenes(self) -> tuple[str, ...]:
        """Return the paths of all images in this folder; those of this very group are counted."""
        name, metadata = self.files.name, self.metadata
        plate, well = metadata.get("plate"), metadata.get("well")
        if isinstance(plate, dict):
            return tuple(self._of_plate(ngff.paths_in(plate.get("wells"), name)))
        if isinstance(well, dict):
            return tuple(ngff.paths_in(well.get("images"), name))
        images = ngff.multiscales_of(metadata, name)
        if images:
            return tuple(f"image {n}" for n in range(len(images)))
        if "bioformats2raw.layout" in metadata:
            return tuple(self._of_series())
        raise no_image(name)

    def _of_plate(self, wells: Sequence[str]) -> Iterator[str]:
        count = 0
        for well in wells:
            said = self.at(well).metadata.get("well")
            images = said.get("images") if isinstance(said, dict) else None
            for image in ngff.paths_in(images, self.files.name):
                count += 1
                if count > ngff.MAX_IMAGES:
                    raise BadImage(self.files.name, f"it has more than {ngff.MAX_IMAGES} images")
                yield f"{well}/{image}"

    def _of_series(self) -> Iterator[str]:
        """Name the images of bioformats2raw: as they are listed, else counted."""
        try:
            listed = self.at("OME").metadata.get("series")
        except BadImage:
            listed = None
        if isinstance(listed, list):
            yield from (inside(path, self.files.name) for path in listed[: ngff.MAX_IMAGES])
            return
        marks = ("zarr.json",) if self.zarr_format == 3 else (".zattrs", ".zgroup")
        for number in range(ngff.MAX_IMAGES):
            if all(self.files.read(f"{number}/{mark}", MAX_XML) is None for mark in marks):
                break
            yield str(number)


def no_image(name: str) -> BadImage:
    """Return the error for a folder that holds no image."""
    return BadImage(
        name,
        "it is no OME-Zarr image: its metadata describe none (multiscales)",
        "Open an array of plain Zarr with zarr, and save it as OME-Zarr.",
    )


def find(root: Group, scenes: tuple[str, ...], scene: str) -> tuple[Group, int]:
    """Return the group of an image, and which of the group's images it is."""
    if "multiscales" in root.metadata and scene in scenes:
        return root, scenes.index(scene)
    try:
        return root.at(inside(scene, root.files.name)), 0
    except BadImage:
        if scene in scenes:
            raise
        reason = f"it has no image {scene[:60]}"
        close = near(scene, [*scenes, *labels_of(root)])
        advice = f"Did you mean {' or '.join(close)}?" if close else listed(scenes, root)
        raise BadImage(root.files.name, reason, advice) from None


def listed(scenes: tuple[str, ...], root: Group) -> str:
    """Say which images there are."""
    names = [*scenes[:10], *labels_of(root)[:10]]
    return f"It has {', '.join(names)}{' and more' if len(scenes) > 10 else ''}."


def labels_of(group: Group) -> tuple[str, ...]:
    """Return the paths of the label images of an image."""
    try:
        found = group.at("labels").metadata.get("labels")
        start = f"{group.path}/labels" if group.path else "labels"
        listed = found[: ngff.MAX_IMAGES] if isinstance(found, list) else []
        return tuple(f"{start}/{inside(path, group.files.name)}" for path in listed)
    except BadImage:
        return ()
