"""Packages as data sets for machine learning: records, or single cells, as arrays with targets.

PyTorch is not needed: a data set has a length and gives items by number, and that is all that a
`DataLoader` asks of it.
"""

import operator
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, overload

from cellbank.model.extras import missing

try:
    import numpy as np
except ModuleNotFoundError as error:
    raise missing(error, "cellbank.torch") from None

from cellbank.cells.cell_index import cutter_of
from cellbank.cells.crops import Cutter
from cellbank.cells.item_images import Item, Look, look_of
from cellbank.cells.one_record import Record
from cellbank.cells.splits import FRACTIONS, check_splits, split_of
from cellbank.model.errors import AttributeNotFound, BadInput
from cellbank.model.names import near
from cellbank.model.progress import Said
from cellbank.model.reference import Reference
from cellbank.model.shown import shower
from cellbank.model.watching import default_watcher
from cellbank.packages.nodes import GroupNode, PackageNode, View
from cellbank.questions.picking import group_of, pick

Transform = Callable[[Item], Any]


def dataset(  # noqa: PLR0913  what, of what, and how it looks
    ref: str | PackageNode,
    *,
    where: str = "",
    kind: str = "fovs",
    image: Sequence[str | int] | str | None = None,
    project: str | float | None = "max",
    Z: int | slice | None = None,  # noqa: N803  axes have capital letters
    size: Sequence[int] | None = None,
    dtype: str | None = "float32",
    segmentations: Sequence[str] = (),
    targets: Sequence[str] | str = (),
    crops: bool = False,
    margin: int | Mapping[str, int] = 0,
    masked: bool = False,
    split: str | None = None,
    fractions: Mapping[str, float] = FRACTIONS,
    by: str = "",
    seed: int = 0,
    tensors: bool = False,
    transform: Transform | None = None,
) -> "Dataset":
    """Return the records of a package that fit a condition as a data set, in the order of ids.

    Parameters
    ----------
    ref
        The package, perhaps with a tag, version or revision, which makes the set the same for ever;
        or its node. What is not installed is read where it is, as `cellbank.load` opens it.
    where
        A condition, as `cellbank.query` takes it; default: all records.
    kind
        The group of records, such as `fovs` or `cell_segs`.
    image
        Channels, by name, number or what they show (`dna`, `structure`), in this order; default:
        those in use. One alone is a list of one.
    project
        How Z is folded away: `max`, `mean`, `sum`, `min`, or a percentile; None keeps it.
    Z
        A plane or a range of planes; default: all.
    size
        Length of (Y, X), or (Z, Y, X): what is larger is cut around the middle, what is smaller
        filled up with 0, so that items can be stacked.
    dtype
        Of the images; None leaves that of the file.
    segmentations
        Of fields: `cell`, `nuclei`, `structure`: labels that come as well.
    targets
        What is known of each record and comes along: names as in a condition (`gene`,
        `cell_viability`, `wells.clone`). A number that is not known is NaN.
    crops
        Give single cells, with their masks, in place of fields of view.
    margin
        Of crops: so many pixels more on each side, as `Record.crop` takes them.
    masked
        Of crops: let pixels outside of the cell be 0.
    split
        Which part: `train`, `val` or `test`, or as `fractions` names them; default: all.
    fractions
        The parts, in their order, and their shares. An id falls in the same part whatever else is
        in the package; all cells of a field fall in the part of the field.
    by
        Whose id decides: that of the record, or `wells`, `plates`, `lines`: what belongs to one of
        them then stays together.
    seed
        Another number makes other splits.
    tensors
        Make tensors of arrays; needs PyTorch. (A `DataLoader` does so by itself.)
    transform
        Is called with each item, and what it returns is given. For several workers on a system
        without fork it must be one that can be pickled.

    Returns
    -------
    Dataset
        `len`, items by number, iteration; it can be pickled.

    Raises
    ------
    BadQuestion
        The condition, or a target, cannot be asked; near names are told.
    BadInput
        A parameter is not one of those that can be.
    NotInstalled
        The package is neither in the store nor at its remote.

    Examples
    --------
    >>> import cellbank.torch
    >>> cells = cellbank.torch.dataset(  # doctest: +SKIP
    ...     "aics/cell_lines==1.0", image=["structure", "dna"], crops=True, size=(96, 96),
    ...     targets=["gene"], split="train",
    ... )
    >>> cells[0]["image"].shape  # doctest: +SKIP
    (2, 96, 96)
    """
    check_splits(split, fractions)
    view = ref._view if isinstance(ref, PackageNode) else _view(ref)
    group = group_of(view, kind)
    look = look_of(
        {
            "channels": image,
            "project": project,
            "Z": Z,
            "size": size,
            "dtype": dtype,
            "segmentations": segmentations,
            "margin": margin,
            "masked": masked,
        }
    )
    look.check(crops=crops, group=group)
    names = [targets] if isinstance(targets, str) else list(targets)
    picked = pick(view, group, where, names, by)
    chosen = [
        at
        for at, owner in enumerate(picked.owners)
        if split is None or split_of(owner, fractions, seed) == split
    ]
    ids = [picked.ids[at] for at in chosen]
    known = {name: [values[at] for at in chosen] for name, values in picked.values.items()}
    made = Dataset(PackageNode(view, ""), group, ids, known, look, transform, tensors=tensors)
    return made.of_cells() if crops else made


def _view(ref: str) -> View:
    reference = Reference.parse(ref)
    if reference.path:
        advice = "Name the package, and the records by kind= and where=."
        raise BadInput(f"{ref} names a part", advice)
    view: View = shower("load")(ref)._view
    return view


class Dataset:
    """Records or cells of a package by number, in the order of ids.

    Invariant: the same package, at the same revision, and the same arguments give the same items
    in the same order. It holds no open file, so that it can be pickled and used after a fork.

    Parameters
    ----------
    node
        The package.
    group
        The group of the records.
    ids
        Their ids.
    targets
        Name → what each record has.
    look
        What is made of images.
    transform
        Is called with each item.
    tensors
        Whether arrays become tensors.
    """

    def __init__(
        self,
        node: PackageNode,
        group: str,
        ids: Sequence[str],
        targets: Mapping[str, Sequence[Any]],
        look: Look,
        transform: Transform | None = None,
        *,
        tensors: bool = False,
    ) -> None:
        self.node = node
        self.group = group
        self.ids = list(ids)
        self._targets = {name: list(values) for name, values in targets.items()}
        self._look = look
        self._transform = transform
        self._tensors = tensors
        self._cells: list[tuple[int, int]] | None = None
        self._open: tuple[int, str, Record, Cutter] | None = None

    def of_cells(self) -> "Dataset":
        """Return the single cells of these fields; each segmentation is looked through once."""
        made = Dataset(
            self.node,
            self.group,
            self.ids,
            self._targets,
            self._look,
            self._transform,
            tensors=self._tensors,
        )
        default_watcher()(Said(f"Looking for cells in {len(self.ids):,} {self.group}..."))
        cells = []
        for at, one in enumerate(self.ids):
            record = self._record(one)
            if "cell" in record.segmentation_images():
                cells += [(at, label) for label in cutter_of(record).boxes]
        made._cells = cells
        return made

    # --- what is in it

    def __len__(self) -> int:
        return len(self.ids) if self._cells is None else len(self._cells)

    @overload
    def __getitem__(self, number: slice) -> list[Any]: ...
    @overload
    def __getitem__(self, number: int) -> Any: ...
    def __getitem__(self, number: int | slice) -> Any:
        if isinstance(number, slice):
            return [self[at] for at in range(*number.indices(len(self)))]
        place = operator.index(number)
        place += len(self) if place < 0 else 0
        if not 0 <= place < len(self):
            raise IndexError(f"there is no item {number}, there are {len(self):,}")
        item = self._item(place)
        if self._tensors:
            item = {name: _tensor(value) for name, value in item.items()}
        if self._transform is None:
            return item
        try:
            return self._transform(item)
        except Exception as error:
            # The transform may have changed the item, and it is somebody else's error.
            cell = "" if self._cells is None else f", cell {self._cells[place][1]}"
            error.add_note(f"In the transform of item {place}: {self.record(place).id}{cell}")
            raise

    def __iter__(self) -> Iterator[Any]:
        return (self[at] for at in range(len(self)))

    def values(self, target: str) -> list[Any]:
        """Return what all items have of a target, in their order: to weigh or to number classes.

        Raises `AttributeNotFound`: It was not asked for.
        """
        if target not in self._targets:
            close = near(target, self._targets)
            has = f"Asked for are: {', '.join(self._targets) or 'none'}."
            raise AttributeNotFound("the data set", f"target {target}", close, has)
        known = self._targets[target]
        return list(known) if self._cells is None else [known[at] for at, _ in self._cells]

    def record(self, number: int) -> Record:
        """Return the record of an item: of a cell its field of view."""
        return self._record(self.ids[number if self._cells is None else self._cells[number][0]])

    def __repr__(self) -> str:
        what = f"{len(self):,} {self.group}"
        if self._cells is not None:
            what = f"{len(self):,} cells in {len(self.ids):,} {self.group}"
        return f"<Dataset of {self.node._view.label}: {what}>"

    # --- one item

    def _item(self, place: int) -> Item:
        at, label = (place, 0) if self._cells is None else self._cells[place]
        item: Item = {"id": self.ids[at]}
        item |= {name: values[at] for name, values in self._targets.items()}
        if self._cells is None:
            return item | self._look.of_record(self._record(self.ids[at]))
        record, cutter = self._field(self.ids[at])
        return item | self._look.of_cell(record, cutter, label)

    def _record(self, one: str) -> Record:
        return Record(GroupNode(self.node._view, f"{self.group}/{one}"))

    def _field(self, one: str) -> tuple[Record, Cutter]:
        """Return a field of view, open: cells that follow each other are mostly of one."""
        # A file that was opened before a fork has one place for all processes.
        if self._open is None or self._open[:2] != (os.getpid(), one):
            record = self._record(one)
            self._open = (os.getpid(), one, record, cutter_of(record))
        return self._open[2:]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_open": None}


def _tensor(value: Any) -> Any:
    """Return a tensor of an array; anything else stays what it is."""
    if not isinstance(value, np.ndarray):
        return value
    try:
        import torch
    except ImportError:
        advice = "Install it: pip install 'cellbank[torch]', or leave out tensors=True."
        raise BadInput("torch is not installed", advice) from None
    return torch.from_numpy(np.ascontiguousarray(value))
