"""Datasets: named ones, arrays and image files, split into training, validation and test images."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import torch

from autodenoise.data import arrays
from autodenoise.data.crops import as_float, center_crops, to_gray, usable_side
from autodenoise.data.gathering import gather, is_image_source, listing
from autodenoise.data.idx import IDX_SETS
from autodenoise.data.inspection import inspect
from autodenoise.data.samples import evenly_spaced
from autodenoise.data.spec import DataSpec
from autodenoise.data.splits import PARTS, Part, Splits, hold_out_rows, split
from autodenoise.data.streaming import MAX_PATCH_BYTES, Patches, common_dtype
from autodenoise.errors import InputError, UsageError
from autodenoise.system import free_memory

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from torch import Tensor

    from autodenoise.data.download import OnBytes
    from autodenoise.data.samples import Plane, Sample
    from autodenoise.data.spec import Supervision
    from autodenoise.data.splits import Selection
    from autodenoise.discovery import SkippedFile

    _Samples = tuple[Sample, ...]

__all__ = ["DataSpec", "Splits", "load", "shape"]

# Memory for images where the system does not report what is free.
_DEFAULT_MEMORY = 4 * 2**30

_MAX_SIDE = 256
"""Maximum side of the center crops that images of any size are validated on."""

# Where there is only one image, a band of it is held out.
_BAND = 0.15
_MIN_SIDE, _MIN_BAND = 64, 16

# Squares to validate with: limits on their number, also where there are few images.
_MAX_VALIDATION, _MIN_VALIDATION = 64, 16
_MAX_TRAINING_SHOWN = 16


def load(data: DataSpec, on_bytes: OnBytes | None = None, memory: float | None = None) -> Splits:
    """Load and split a dataset.

    Parameters
    ----------
    data
        What to load, and how to split it.
    on_bytes
        Called with the progress of downloads.
    memory
        Maximum memory for images to crop, in bytes; larger datasets are read from disk during
        training. By default half of the free memory.

    Raises
    ------
    InputError
        A file is missing, damaged or of an unsupported kind.
    UsageError
        There is no dataset of this name, it lacks the requested part, or it has too few images.
    """
    folders = _image_folders(data)
    if folders:
        return _load_files(data, folders, _memory() if memory is None else memory)
    if data.supervision != "clean":
        raise UsageError(
            f"{data.source} can only contain clean images; supervision = '{data.supervision}' "
            "needs image files, .npy or .zarr arrays, or folders of these"
        )
    parts = {
        name: _prepared(part, data) for name, part in arrays.read(data.source, on_bytes).items()
    }
    for name, part in parts.items():
        if part.images.shape[1:] != parts["train"].images.shape[1:]:
            raise InputError(
                f"{data.source}: all parts must have images of one shape; '{name}' has "
                f"{tuple(part.images.shape[1:])} (channels, height, width), 'train' has "
                f"{tuple(parts['train'].images.shape[1:])}"
            )

    def hold_out(part: Part, selection: Selection, share: float) -> tuple[Part, Part]:
        rows = hold_out_rows(len(part.images), selection, share, data.split_seed)
        return part.take(rows[0]), part.take(rows[1])

    train, validation, test, has_test = split(data, parts, hold_out)
    return Splits(train, validation, test, _classes(data.source, parts), has_test)


def shape(data: DataSpec, on_bytes: OnBytes | None = None) -> tuple[int, int, int]:
    """Return the (channels, height, width) of a dataset's images, without downloading named ones.

    For the errors see `load`.
    """
    known = {"digits": (1, 8, 8), **dict.fromkeys(IDX_SETS, (1, 28, 28))}
    if data.source in known:
        channels, height, width = known[data.source]
        return (channels, *(data.size or (height, width)))
    if data.source in arrays.PHOTO_SETS and data.crop is not None:
        return (1 if data.gray else 3, _MAX_SIDE, _MAX_SIDE)
    folders = _image_folders(data)
    if not folders:
        return load(data, on_bytes).shape
    plan = _plan(data, folders, {})
    return plan.channels, plan.side, plan.side


def _memory() -> float:
    free = free_memory()
    return free / 2 if math.isfinite(free) else _DEFAULT_MEMORY


def _image_folders(data: DataSpec) -> dict[str, Path]:
    """Return the folder or file of each part if crops are taken from files; else nothing."""
    if data.crop is None or data.source in (*IDX_SETS, "digits"):
        return {}
    if data.source in arrays.PHOTO_SETS:
        return arrays.find_photos(data.source)
    path = arrays.check_path(data.source)
    if data.targets:
        arrays.check_path(data.targets)
    if not is_image_source(path):
        return {}
    is_volume = path.suffix.lower() == ".zarr"  # its arrays may have any name
    if data.supervision in ("clean", "noisy-only") and not is_volume and (path / "train").is_dir():
        return {name: path / name for name in PARTS if (path / name).is_dir()}
    return {"train": path}


# --- images of one size ---------------------------------------------------------------------------


def _prepared(part: Part, data: DataSpec) -> Part:
    """Convert to gray, resize or crop the images of a part, as the spec asks for."""
    if data.gray:
        part = part._replace(images=to_gray(part.images))
    if data.size is not None:
        return part._replace(images=arrays.resize(part.images, data.size))
    if data.crop is not None:
        side = usable_side(min(_MAX_SIDE, *part.images.shape[2:]))
        return part._replace(
            images=center_crops(tuple(part.images), side),
            full_images=tuple(image[None] for image in part.images),
        )
    return part


def _classes(source: str, parts: Mapping[str, Part]) -> tuple[str, ...]:
    if source in IDX_SETS:
        return IDX_SETS[source].classes
    labels = [part.labels for part in parts.values() if part.labels is not None]
    return tuple(str(n) for n in range(1 + max((int(part.max()) for part in labels), default=-1)))


# --- image files of any size ----------------------------------------------------------------------


def _load_files(data: DataSpec, folders: Mapping[str, Path], memory: float) -> Splits:
    """Load what validation needs, and the training images unless they take too much memory."""
    damaged: dict[tuple[Plane, ...], SkippedFile] = {}
    digest = ""
    while True:
        plan = _plan(data, folders, damaged)
        # From the first plan: which files turn out to be damaged depends on which are read.
        digest = digest or plan.digest
        splits = _load_plan(data, plan, memory, damaged)
        if splits is not None:
            break
        # All images of a split are damaged. Split again without them.
    notes = list(splits.notes)
    if damaged:
        notes.append(f"{len(damaged):,} cannot be decoded:\n{listing([*damaged.values()])}")
    return splits._replace(notes=tuple(notes), digest=digest)


class _Plan(NamedTuple):
    """The samples of each split and how to read them, according to the files' headers."""

    train: _Samples
    validation: _Samples
    test: _Samples
    has_test: bool
    dtype: torch.dtype
    channels: int
    side: int
    notes: list[str]

    @property
    def digest(self) -> str:
        """A digest of the samples in each split, independent of their folder."""
        parts = (self.train, self.validation, self.test)
        names = [[(sample.name, *sample.window) for sample in part] for part in parts]
        return hashlib.sha256(repr(names).encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _plan(
    data: DataSpec, folders: Mapping[str, Path], damaged: Mapping[tuple[Plane, ...], SkippedFile]
) -> _Plan:
    """Split the samples that are not known to be damaged."""
    assert data.crop is not None
    notes: list[str] = []
    parts: dict[str, _Samples] = {}
    targets = Path(data.targets) if data.targets else None
    for name, folder in folders.items():
        gathered = gather(folder, data.supervision, targets, gray=data.gray)
        parts[name] = tuple(s for s in gathered.samples if s.planes not in damaged)
        if not parts[name]:
            raise InputError(
                f"none of the images in {folder} can be decoded:\n{listing([*damaged.values()])}"
            )
        if gathered.skipped:
            both = f"{folder} and {targets}" if targets else str(folder)
            notes.append(
                f"skipped {len(gathered.skipped):,} in {both}:\n{listing(gathered.skipped)}"
            )
        if gathered.other_suffixes.total() >= len(gathered.samples):
            common = gathered.other_suffixes.most_common(3)
            suffixes = ", ".join(f"{suffix} ({count:,})" for suffix, count in common)
            notes.append(f"most files in {folder} are not images: {suffixes}")
    samples = [sample for part in parts.values() for sample in part]
    dtype = common_dtype(plane.info for sample in samples for plane in sample.planes)
    channels = {
        name: Patches(part, dtype, gray=data.gray).shape(0)[1] for name, part in parts.items()
    }
    if len(set(channels.values())) > 1:
        counts = ", ".join(f"'{name}' has {count}" for name, count in channels.items())
        raise InputError(f"{data.source}: all parts need the same number of channels; {counts}")
    depths = Counter(sample.info.dtype.name for sample in samples)
    if len(depths) > 1:
        counts = ", ".join(f"{count:,} of {depth}" for depth, count in depths.most_common())
        notes.append(f"the images have several depths, and each is scaled by its own: {counts}")
    small = sum(min(sample.window[2:]) < data.crop for sample in samples)
    if 2 * small > len(samples):
        notes.append(
            f"{small:,} of {len(samples):,} images are smaller than the crops of {data.crop} "
            "pixels and are extended by reflection; consider a smaller data.crop"
        )
    hold_out = partial(_hold_out, seed=data.split_seed, crop=data.crop)
    train, validation, test, has_test = split(data, parts, hold_out)
    if len(parts["train"]) == 1 and data.validation != "test":
        held_out = validation[0].window
        notes.append(
            f"there is only one image: {held_out.width}x{held_out.height} pixels of it are held "
            "out for validation"
        )
    side = _validation_side(train, validation, test)
    return _Plan(train, validation, test, has_test, dtype, channels["train"], side, notes)


def _load_plan(
    data: DataSpec, plan: _Plan, memory: float, damaged: dict[tuple[Plane, ...], SkippedFile]
) -> Splits | None:
    """Load the images of a plan; return None if no image of a split can be read.

    Adds the unreadable ones to `damaged`.
    """
    # Large images are cut into patches, which are read separately.
    max_pixels = MAX_PATCH_BYTES / (plan.channels * plan.dtype.itemsize)
    patches = tuple(patch for sample in plan.train for patch in sample.patches(max_pixels))
    intensity_range, normalization, found = inspect(patches, normalize=data.normalize)
    notes = [*plan.notes, *found]
    patches_of = partial(Patches, dtype=plan.dtype, intensity_range=intensity_range, gray=data.gray)

    def read(samples: Iterable[Sample]) -> tuple[Tensor, ...]:
        tensors, unreadable = patches_of(tuple(samples)).load()
        damaged.update(unreadable)
        return tensors

    limits = [(plan.train, _MAX_TRAINING_SHOWN), (plan.validation, _MAX_VALIDATION)]
    if plan.test is not plan.validation:
        limits.append((plan.test, len(plan.test)))
    squares = [read(_squares(samples, plan.side, limit)) for samples, limit in limits]
    if not all(squares):
        return None
    train, validation, *others = (_part(tensors, data.supervision) for tensors in squares)
    on_disk = patches_of(patches)
    needed = on_disk.peak_bytes(data.shrink)
    if needed <= memory:
        train = train._replace(full_images=read(patches))
        if not train.full_images:
            # Their centers could be decoded, but no whole image.
            return None
    elif data.shots is not None:
        raise UsageError("data.shots needs images that fit into memory; use fewer images")
    else:
        train = train._replace(full_images=on_disk)
        notes.append(
            f"the images take {needed / 2**30:.1f} GiB, more than the memory available for them "
            f"({memory / 2**30:.1f} GiB): they are read from their files during training"
        )
    if intensity_range is not None:
        notes.append(
            "some files do not declare their intensity range: "
            f"{intensity_range.low:g} to {intensity_range.high:g} is assumed, which contains all "
            "inspected values. The model file records it"
        )
    return Splits(
        train,
        validation,
        others[0] if others else validation,
        has_test=plan.has_test,
        normalization=normalization,
        intensity_range=intensity_range,
        notes=tuple(notes),
    )


def _hold_out(
    samples: _Samples, selection: Selection, share: float, *, seed: int, crop: int
) -> tuple[_Samples, _Samples]:
    """Hold out some samples, or a band of a single sample."""
    if len(samples) == 1:
        train, held_out = _cut_band(samples[0], share, crop)
        return (train,), (held_out,)
    rows, held_out_rows = hold_out_rows(len(samples), selection, share, seed)
    return tuple(samples[row] for row in rows), tuple(samples[row] for row in held_out_rows)


def _cut_band(sample: Sample, share: float, crop: int) -> tuple[Sample, Sample]:
    """Cut a band off the longer side, at least as wide as a crop if there is room for it."""
    top, left, height, width = sample.window
    if min(height, width) < _MIN_SIDE:
        raise UsageError(
            f"{sample.name} is the only image, and with {width}x{height} pixels it is too small "
            f"to split: at least 2 images are needed, or {_MIN_SIDE} pixels a side"
        )
    length = max(height, width)
    band = round(max(_BAND * length, share * length, min(crop, length / 4), _MIN_BAND))
    band = usable_side(min(band, length - _MIN_SIDE // 2))
    whole, rest = sample.window, length - band
    if height > width:
        train = whole._replace(height=rest)
        held_out = whole._replace(top=top + rest, height=band)
    else:
        train = whole._replace(width=rest)
        held_out = whole._replace(left=left + rest, width=band)
    return replace(sample, window=train), replace(sample, window=held_out)


def _validation_side(train: _Samples, validation: _Samples, test: _Samples) -> int:
    """Choose a side for validation squares that most images have and networks accept."""
    sides = [[min(sample.window[2:]) for sample in part] for part in (train, validation, test)]
    both = sorted(sides[0] + sides[1])
    return usable_side(min(_MAX_SIDE, both[(len(both) - 1) // 2], *map(max, sides)))


def _squares(samples: _Samples, side: int, max_count: int) -> list[Sample]:
    """Choose squares to validate with: the center of each sample, more where there are few."""
    each = max(1, _MIN_VALIDATION // len(samples))
    squares = [square for sample in samples for square in sample.squares(side, each)]
    return evenly_spaced(squares, max(max_count, _MIN_VALIDATION))


def _part(squares: Sequence[Tensor], supervision: Supervision) -> Part:
    """Assign the versions of some squares, each (V, C, H, W)."""
    first = torch.stack([versions[0] for versions in squares])
    if supervision == "clean":
        return Part(first)
    if supervision == "noisy-only":
        return Part(first, noisy=first)
    second = torch.stack([versions[1] for versions in squares])
    if supervision == "paired":
        return Part(second, noisy=first)
    mean = torch.stack([as_float(versions[1:]).mean(0) for versions in squares])
    return Part(mean, noisy=first, again=second)
