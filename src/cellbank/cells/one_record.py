"""One record of a package: what is known of it, its image, what belongs to it."""

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import msgspec

from cellbank.cells.described import described, document_of
from cellbank.cells.info import Info
from cellbank.cells.kinds import GROUPS, KINDS, relations_of
from cellbank.cells.presence import records_here
from cellbank.cells.record_nodes import record_node
from cellbank.cells.roles import ROLES, channel_of
from cellbank.model.errors import AttributeNotFound, BadImage, BadInput, NotFound
from cellbank.model.names import near
from cellbank.model.shown import shower
from cellbank.packages.nodes import DataNode, GroupNode

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from cellbank.cells.crops import Crop, Cutter
    from cellbank.images.channel import Channel
    from cellbank.images.image import Image

Loader = Callable[[str], Any]
"""Makes something of a file: called with a path that ends in the file's original name."""

SEGMENTATIONS: Final = {"cell": "cell_segs", "nuclei": "nuclei_segs", "structure": "structure_segs"}
"""What is segmented → the group of such records."""


def record(node: GroupNode | DataNode, *, loaders: Mapping[str, Loader] | None = None) -> "Record":
    """Return the record that a node is, or is a part of.

    Parameters
    ----------
    node
        A record's group, such as `package.fovs[0]`, or what lies in it.
    loaders
        `info` or `image` → what makes something of the file, for `Record.load`. They hold for
        this record and those that are reached from it, and for no other.

    Returns
    -------
    Record
        Nothing is read but pages of the manifest.

    Raises
    ------
    BadInput
        The node is no record, nor a part of one; the advice says where records are.

    Examples
    --------
    >>> import cellbank.cells
    >>> fov = cellbank.cells.record(package.fovs[0])  # doctest: +SKIP
    >>> fov.info.cell_viability  # doctest: +SKIP
    98.8
    """
    found = record_node(node)
    return Record(found, _checked(loaders, found))


class Record:
    """A line, plate, well, field of view or segmentation of a package.

    Invariant: it is what the package says; nothing of it can be changed. Two records are equal
    where their nodes are.

    Parameters
    ----------
    node
        Its group in the package.
    loaders
        As `record` takes them.
    """

    def __init__(self, node: GroupNode, loaders: Mapping[str, Loader] | None = None) -> None:
        group, self.id = node._path.split("/")
        self.node = node
        self.kind = GROUPS[group].name
        self._loaders = loaders or {}

    # --- what is known of it

    @cached_property
    def info(self) -> Info:
        """What is known of it, typed: `info.cell_viability`, `info["channels"][0].dye_name`."""
        return Info(self._document, described(self.node._view, self.kind), self.id)

    @cached_property
    def _document(self) -> dict[str, Any]:
        return document_of(self._part("info"))

    def load(self, part: str) -> Any:
        """Return what the loader makes of a part, else `image` or `info` themselves.

        Parameters
        ----------
        part
            `info` or `image`; with a loader, whatever else the record's group has.

        Returns
        -------
        Any
            What the loader returns for the file's path.

        Raises
        ------
        AttributeNotFound
            The record has no such part, or nothing here loads it.
        NotFetched
            The part was not installed with the rest.
        """
        if part in self._loaders:
            found = self._part(part)
            return self._loaders[part](found.named_path if isinstance(found, DataNode) else found)
        if part in ("info", "image"):
            return getattr(self, part)
        self._part(part)
        raise AttributeNotFound(f"{self.id}: {part}", "loader", (), "Give one: loaders={…}")

    def _part(self, name: str) -> Any:
        """Return the entry of a part, or, where the part is a folder such as an OME-Zarr, that."""
        if name not in self.node:
            advice = f"It has: {', '.join(self.node._keys())}."
            raise AttributeNotFound(self.id, name, near(name, self.node._keys()), advice)
        found = self.node[name]
        return found["load"] if isinstance(found, GroupNode) and "load" in found else found

    # --- what belongs to it

    def related(self, name: str) -> "list[Record]":
        """Return the records of a relation list that are here, in the order of the list.

        Parameters
        ----------
        name
            As in `info`, such as `cell_segs`; or the kind, such as `cell_seg`.

        Returns
        -------
        list[Record]
            Without those that a part of the package, when it was installed, left out: `missing`
            says which these are. They have the loaders of this one.

        Raises
        ------
        AttributeNotFound
            It has no such list; names that are near are told.
        """
        group = self._relation(name)
        here = records_here(self.node._view, GROUPS[group].name, self._listed(group))
        return [Record(GroupNode(self.node._view, f"{group}/{i}"), self._loaders) for i in here]

    def missing(self, name: str) -> list[str]:
        """Return the ids of a relation list whose records are not here; raises as `related`."""
        group = self._relation(name)
        listed = self._listed(group)
        here = set(records_here(self.node._view, GROUPS[group].name, listed))
        return [one for one in listed if one not in here]

    def _relation(self, name: str) -> str:
        group = KINDS[name].group if name in KINDS else name
        known = relations_of(self.kind)
        if group not in known:
            close = near(str(name), [*known, *(GROUPS[one].name for one in known)])
            advice = f"It has: {', '.join(known)}."
            raise AttributeNotFound(self.id, f"relation list {name}", close, advice)
        return group

    def _listed(self, group: str) -> list[str]:
        found = self._document.get(group)
        return [name for name in found if isinstance(name, str)] if isinstance(found, list) else []

    # --- its image

    @property
    def has_image(self) -> bool:
        """Whether it has an image: lines and plates have none, wells mostly not."""
        return "image" in self.node

    @cached_property
    def image(self) -> "Image":
        """Its image, whose channels have the names and the `use` that `info` says.

        Where image and `info` do not have as many channels, those of the image stay as they are,
        with a warning. Raises `AttributeNotFound`: It has none; see `has_image`.
        """
        from cellbank import images

        image = images.open(self._part("image"))
        listed = self._document.get("channels")
        said = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
        if not said:
            return image
        if len(said) != len(image.channels):
            warnings.warn(
                f"{self.id}: its info names {len(said)} channels and its image has "
                f"{len(image.channels)}; the names of the image stand",
                stacklevel=2,
            )
            return image
        pairs = zip(image.channels, said, strict=True)
        return image.with_channels([_named(channel, one) for channel, one in pairs])

    def channel(self, name: "str | int") -> "Channel":
        """Return a channel of the image by name, by number, or by what it shows.

        Parameters
        ----------
        name
            Such as `EGFP`; or `membrane`, `structure`, `dna` or `brightfield`, found by the names
            of dyes, wherever in the image they stand.

        Returns
        -------
        Channel
            Its `index` is its place in the image.

        Raises
        ------
        ChannelNotFound
            There is none; names that are near are told.
        """
        if isinstance(name, str) and name in ROLES and name not in self._channel_names():
            found = channel_of(name, self.image.channels)
            if found is not None:
                return found
        return self.image.channel(name)

    def _channel_names(self) -> set[str | None]:
        return {channel.name for channel in self.image.channels}

    # --- its segmentations

    def segmentation_images(self) -> "dict[str, Image]":
        """Return the images of the segmentations that are here: `cell`, `nuclei`, `structure`.

        Nothing but headers is read. Of several in a relation list, the first is taken. A
        segmentation has itself and those of the same field.
        """
        if self.kind in _ABOVE_FIELDS:
            raise self._no_field("segmentations")
        found = {}
        for name, group in SEGMENTATIONS.items():
            own = KINDS[self.kind].group == group
            records = [self] if own else self.related(group)
            first = next((one for one in records if one.has_image), None)
            if first is not None:
                found[name] = first.image
        return found

    def segmentations(self) -> "dict[str, NDArray[Any]]":
        """Return the segmentations that are here: `cell`, `nuclei`, `structure` → (Z, Y, X).

        Cells and nuclei are labels, 0 is the background; a structure is a mask.

        Returns
        -------
        dict[str, NDArray[Any]]
            Whole arrays, as wide as their files have them.

        Raises
        ------
        BadImage
            One does not have the Z, Y, X of the field's image.
        NotFound
            The record is a line, plate or well.
        """
        return {
            name: image.read(axes="ZYX", T=0, C=0) for name, image in self._aligned_images().items()
        }

    def _no_field(self, what: str) -> NotFound:
        advice = "Go on from a field: record.related('fovs')[0]"
        return NotFound(f"{self.id} is no field of view, so it has no {what} of its own", advice)

    def _aligned_images(self) -> "dict[str, Image]":
        found = self.segmentation_images()
        if not (self.kind == "fov" and self.has_image):
            return found
        for name, image in found.items():
            if (theirs := _size(image)) != (ours := _size(self.image)):
                raise BadImage(
                    f"the {name} segmentation of {self.id}",
                    f"has (Z, Y, X) = {theirs}, the field has {ours}",
                    "Tell the publisher: they do not belong together.",
                )
            if image.sizes.get("C", 1) != 1 or image.sizes.get("T", 1) != 1:
                raise BadImage(
                    f"the {name} segmentation of {self.id}",
                    f"has the axes {image.sizes}, not Z, Y, X alone",
                )
        return found

    # --- its cells

    @cached_property
    def _cutter(self) -> "Cutter":
        if self.kind != "fov":
            raise self._no_field("cells")
        found = self._aligned_images()
        if "cell" not in found:
            has = f"It has: {', '.join(found)}." if found else "It has no segmentation at all."
            raise NotFound(f"{self.id} has no segmentation of cells here", has)
        from cellbank.cells.crops import Cutter

        return Cutter(self.image, found, self.id)

    def cell_labels(self) -> list[int]:
        """Return the labels of the field's cells, sorted; raises `NotFound` without any."""
        return list(self._cutter.boxes)

    def crop(
        self,
        label: int,
        *,
        margin: int | Mapping[str, int] = 0,
        channels: "Sequence[str | int] | str | int | None" = None,
        masked: bool = False,
    ) -> "Crop":
        """Return one cell out of its field, with its masks.

        Parameters
        ----------
        label
            Of the cell, as in its segmentation; nuclei have the same.
        margin
            So many pixels more on each side: along all axes, or by axis, as `{"Y": 8, "X": 8}`.
            Less at the border of the field.
        channels
            Names, numbers or what they show (`dna`); default: those in use.
        masked
            Let pixels outside of the cell be 0.

        Returns
        -------
        Crop
            Image (C, Z, Y, X) and masks (Z, Y, X). Of image files, only the box is read.

        Raises
        ------
        NotFound
            There is no such cell, or no segmentation of cells; near labels are told.
        """
        if isinstance(channels, (str, int)):
            channels = [channels]
        numbers = None if channels is None else [self.channel(name).index for name in channels]
        return self._cutter.cut(label, margin, numbers, masked=masked)

    def iter_cells(
        self,
        *,
        margin: int | Mapping[str, int] = 0,
        channels: "Sequence[str | int] | str | int | None" = None,
        masked: bool = False,
    ) -> "Iterator[Crop]":
        """Yield all cells of the field in order of their labels; parameters are those of `crop`."""
        for label in self.cell_labels():
            yield self.crop(label, margin=margin, channels=channels, masked=masked)

    # --- as pictures

    def rgb(
        self,
        red: str | int | None = "structure",
        green: str | int | None = "membrane",
        blue: str | int | None = "dna",
        *,
        overlay: str | Iterable[str] = (),
        limits: Any = None,
        Z: int | None = None,
        T: int = 0,
    ) -> "NDArray[np.uint8]":
        """Return three channels as one picture, as the walk-through draws it.

        Parameters
        ----------
        red
            A channel as `channel` takes it. What no channel of the image shows stays black.
        green
            The same.
        blue
            The same.
        overlay
            Segmentations to outline on it, such as `cell` or `("cell", "nuclei")`.
        limits
            As `Image.rgb` takes them.
        Z
            A plane; default: the brightest of each pixel over all planes.
        T
            The time point.

        Returns
        -------
        NDArray[np.uint8]
            (Y, X, 3).

        Raises
        ------
        ChannelNotFound
            A channel is named that is not there, or none of the three is.
        """
        chosen = self._colored({"red": red, "green": green, "blue": blue})
        picture = self.image.rgb(**chosen, limits=limits, Z=Z, T=T)
        if not isinstance(overlay, Iterable):
            has = ", ".join(self.segmentation_images())
            raise BadInput(f"{overlay!r:.60} is no segmentation", f"Name them; it has: {has}.")
        for name in [overlay] if isinstance(overlay, str) else overlay:
            picture = self._outlined(picture, name, Z)
        return picture

    def _colored(self, wanted: Mapping[str, str | int | None]) -> dict[str, int]:
        names = {color: name for color, name in wanted.items() if name is not None}
        shown = {color: name for color, name in names.items() if self._has_shown(name)}
        return {color: self.channel(name).index for color, name in (shown or names).items()}

    def _has_shown(self, name: str | int) -> bool:
        """Whether a channel shows it; what is asked for by its own name must be there."""
        if name not in ROLES or name in self._channel_names():
            return True
        return channel_of(str(name), self.image.channels) is not None

    def _outlined(self, picture: Any, name: str, plane: int | None) -> "NDArray[np.uint8]":
        from cellbank import images

        found = self._aligned_images()
        if name not in found:
            advice = f"It has: {', '.join(found)}." if found else ""
            raise AttributeNotFound(self.id, f"{name} segmentation", near(name, found), advice)
        labels = found[name].read(axes="ZYX", T=0, C=0, Z=slice(None) if plane is None else [plane])
        return images.overlay(picture, labels, tint=0)

    def plot(self, **options: Any) -> Any:
        """Draw the figure of the walk-through: a panel a channel in use, titled with its dye."""
        return shower("plot")(self, **options)

    def show(self, **options: Any) -> Any:
        """Show it in a notebook, to look through its planes and channels."""
        return shower("show")(self, **options)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Any:
        return shower("mimebundle")(self, include=include, exclude=exclude)

    # --- as a value

    def __repr__(self) -> str:
        return f"<Record {self.kind} {self.id} of {self.node._view.label}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Record) and self.node == other.node

    def __hash__(self) -> int:
        return hash(self.node)

    def __reduce__(self) -> Any:
        return Record, (self.node, self._loaders)


_ABOVE_FIELDS: Final = ("line", "plate", "well")


def _checked(loaders: Mapping[str, Loader] | None, node: GroupNode) -> dict[str, Loader]:
    """Return a copy of our own: nothing that is done to it later reaches another record."""
    if loaders is not None and not isinstance(loaders, Mapping):
        raise BadInput("loaders have no names", 'Give a mapping: {"image": tifffile.imread}.')
    parts = {"info", "image", *node._keys()}
    for name, loader in (loaders or {}).items():
        if name not in parts:
            close = near(name, parts)
            advice = f"Did you mean {' or '.join(close)}?" if close else "Parts: info, image."
            raise BadInput(f"a loader for {name}, which is no part of a record", advice)
        if not callable(loader):
            raise BadInput(f"the loader for {name} is not callable: {loader!r:.60}")
    return dict(loaders or {})


def _named(channel: "Channel", said: Mapping[str, Any]) -> "Channel":
    name, use = said.get("dye_name"), said.get("use")
    return msgspec.structs.replace(
        channel,
        name=name if isinstance(name, str) and name else channel.name,
        use=use if isinstance(use, bool) else channel.use,
    )


def _size(image: "Image") -> tuple[int, ...]:
    return tuple(image.sizes.get(axis, 1) for axis in "ZYX")
