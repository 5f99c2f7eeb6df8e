"""Find the samples in folders and files, from the headers of the files."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from autodenoise.data.repeats import DENOISED, FIGURE, find_originals, find_series
from autodenoise.data.samples import THREADS, Gathered, Sample, list_planes
from autodenoise.data.volumes import SUFFIXES as VOLUME_SUFFIXES
from autodenoise.discovery import NOT_AN_IMAGE, FoundFiles, SkippedFile
from autodenoise.errors import InputError, UsageError
from autodenoise.files import printable
from autodenoise.images import SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from autodenoise.data.samples import Plane
    from autodenoise.data.spec import Supervision

__all__ = ["gather", "is_image_source", "listing", "match_names"]

_MAX_LISTED = 3


def is_image_source(path: Path) -> bool:
    """Return whether `gather` reads this path: a folder, or a file with a known suffix."""
    return path.is_dir() or path.suffix.lower() in SUFFIXES | VOLUME_SUFFIXES


def gather(source: Path, supervision: Supervision, targets: Path | None, *, gray: bool) -> Gathered:
    """Find the samples in a folder and its subfolders, or in one file; see `DataSpec`.

    Raises
    ------
    InputError
        The folder or file does not exist or contains nothing to train on. The message lists the
        skipped files.
    """
    match supervision:
        case "paired":
            assert targets is not None
            gathered = _gather_pairs(source, targets, gray=gray)
        case "repeats":
            gathered = _gather_repeats(source)
        case "clean" | "noisy-only":
            gathered = _gather_single(source)
    if gathered.samples:
        return _with_common_channels(gathered, gray=gray)
    if gathered.skipped:
        raise InputError(
            f"{source} contains nothing to train on. Skipped:\n{listing(gathered.skipped)}"
        )
    suffixes = ", ".join(sorted(SUFFIXES | VOLUME_SUFFIXES))
    raise InputError(f"{source} contains no images; supported suffixes are {suffixes}")


def listing(skipped: Sequence[SkippedFile]) -> str:
    """List the first few skipped files with the reasons, and the number of the others."""
    lines = [
        # Decoder messages name the file already.
        "  " + printable(reason if Path(name).name in reason else f"{name}: {reason}")
        for name, reason in ((file.name, file.reason) for file in skipped[:_MAX_LISTED])
    ]
    more = len(skipped) - _MAX_LISTED
    return "\n".join([*lines, *([f"  and {more:,} more"] if more > 0 else [])])


def _open_files(
    path: Path, suffixes: frozenset[str] = SUFFIXES | VOLUME_SUFFIXES
) -> tuple[dict[str, list[Plane]], list[SkippedFile], Counter[str]]:
    """Open one file, or all files with some suffixes in a folder.

    Return the planes of each file by name, the skipped files, and the suffixes of the others.
    """
    root, found = path.parent, FoundFiles([Path(path.name)])
    if not _is_file(path):
        root, found = path, find_originals(path, also=VOLUME_SUFFIXES)
    names = [name for name in found.images if name.suffix.lower() in suffixes]
    with ThreadPoolExecutor(THREADS) as pool:
        results = pool.map(_planes_or_error, [root / name for name in names])
        opened = dict(zip((name.as_posix() for name in names), results, strict=True))
    others = [Path(skipped.name) for skipped in found.skipped if skipped.reason == NOT_AN_IMAGE]
    return (
        {name: planes for name, planes in opened.items() if not isinstance(planes, str)},
        [
            *(SkippedFile(failed.name, str(failed.error)) for failed in found.failed),
            *(SkippedFile(name, error) for name, error in opened.items() if isinstance(error, str)),
            *(skipped for skipped in found.skipped if skipped.reason in (DENOISED, FIGURE)),
        ],
        Counter(name.suffix.lower() or name.name for name in others),
    )


def _planes_or_error(path: Path) -> list[Plane] | str:
    try:
        return list_planes(path)
    except InputError as error:
        return str(error)


def _is_file(path: Path) -> bool:
    return path.suffix.lower() in VOLUME_SUFFIXES or not path.is_dir()


def _samples_of(name: str, versions: Sequence[Iterable[Plane]]) -> list[Sample]:
    """Name the samples of one file, given the planes of each."""
    if len(versions) == 1:
        return [Sample.of(name, versions[0])]
    return [Sample.of(f"{name}, page {n}", planes) for n, planes in enumerate(versions, 1)]


def _gather_single(source: Path) -> Gathered:
    files, skipped, other_suffixes = _open_files(source)
    samples = [
        sample
        for name, planes in files.items()
        for sample in _samples_of(name, [[plane] for plane in planes])
    ]
    return Gathered(tuple(samples), tuple(skipped), other_suffixes)


# --- pairs ----------------------------------------------------------------------------------------


def _gather_pairs(source: Path, targets: Path, *, gray: bool) -> Gathered:
    if source.resolve() == targets.resolve():
        raise UsageError(
            f"the noisy and the clean images are both read from {source}; name two folders"
        )
    if _is_file(source) != _is_file(targets):
        raise UsageError(f"pairs are in two folders, or in two files; got {source} and {targets}")
    noisy, noisy_skipped, noisy_others = _open_files(source)
    clean, clean_skipped, clean_others = _open_files(targets)
    roots = [path.parent if _is_file(path) else path for path in (source, targets)]
    if roots[0].name != roots[1].name:
        roots = [Path(root.name) for root in roots]
    skipped = [
        SkippedFile((root / file.name).as_posix(), file.reason)
        for root, files in zip(roots, (noisy_skipped, clean_skipped), strict=True)
        for file in files
    ]
    if _is_file(source):
        pairs = list(itertools.product(noisy, clean))
    else:
        pairs, unmatched, ambiguous = match_names(noisy, clean)
        for root, opposite, missing, several in zip(
            roots, reversed(roots), unmatched, ambiguous, strict=True
        ):
            for name in missing:
                reason = f"there is no {(opposite / _without_suffix(name)).as_posix()}.*"
                skipped.append(SkippedFile((root / name).as_posix(), reason))
            for name in several:
                reason = f"several files match {_without_suffix(name)}.*"
                skipped.append(SkippedFile((root / name).as_posix(), reason))
    samples = []
    for name, target in pairs:
        planes = noisy[name], clean[target]
        mismatch = _mismatch(*planes, gray=gray)
        if mismatch:
            skipped.append(SkippedFile((roots[0] / name).as_posix(), mismatch))
        else:
            samples += _samples_of(name, list(zip(*planes, strict=True)))
    return Gathered(tuple(samples), tuple(skipped), noisy_others + clean_others)


_Names = tuple[str, ...]


def match_names(
    first: Iterable[str], second: Iterable[str]
) -> tuple[list[tuple[str, str]], tuple[_Names, ...], tuple[_Names, ...]]:
    """Pair the file names of two folders that are equal except for their suffixes.

    Return the pairs in the order of the first folder and, for each folder, the names without a
    counterpart, and the names with several possible ones. Case matters.

    Examples
    --------
    >>> match_names(["a.tif", "b.tif"], ["a.png"])
    ([('a.tif', 'a.png')], (('b.tif',), ()), ((), ()))
    """
    groups: tuple[dict[str, list[str]], ...] = (defaultdict(list), defaultdict(list))
    for group, names in zip(groups, (first, second), strict=True):
        for name in names:
            group[_without_suffix(name)].append(name)
    here, there = groups
    shared = [key for key in here if key in there]
    several = {key for key in shared if len(here[key]) > 1 or len(there[key]) > 1}
    return (
        [(here[key][0], there[key][0]) for key in shared if key not in several],
        tuple(
            tuple(name for key in group if key not in other for name in group[key])
            for group, other in ((here, there), (there, here))
        ),
        tuple(
            tuple(name for key in shared if key in several for name in group[key])
            for group in groups
        ),
    )


def _without_suffix(name: str) -> str:
    return PurePath(name).with_suffix("").as_posix()


def _mismatch(noisy: list[Plane], clean: list[Plane], *, gray: bool) -> str:
    """Return why two files cannot be a pair; empty if they can."""
    if len(noisy) != len(clean):
        return f"it has {len(noisy)} pages, its clean counterpart {len(clean)}"
    for plane, target in zip(noisy, clean, strict=True):
        one, other = plane.info, target.info
        if (one.width, one.height) != (other.width, other.height):
            sizes = f"{one.width}x{one.height}", f"{other.width}x{other.height}"
            return f"it is {sizes[0]}, its clean counterpart {sizes[1]}"
        if _channels(one.channels, gray=gray) != _channels(other.channels, gray=gray):
            return f"it has {one.channels} channel(s), its clean counterpart {other.channels}"
    return ""


# --- repeats --------------------------------------------------------------------------------------


def _gather_repeats(source: Path) -> Gathered:
    arrays, skipped, other_suffixes = _open_files(source, VOLUME_SUFFIXES)
    samples = []
    for name, planes in arrays.items():
        # The first axis counts the shots.
        views: dict[tuple[object, ...], list[Plane]] = {}
        for plane in planes:
            views.setdefault((plane.array, *plane.index[1:]), []).append(plane)
        samples += _samples_of(name, [shots for shots in views.values() if len(shots) > 1])
    if source.suffix.lower() in VOLUME_SUFFIXES:
        if not samples and not skipped:
            raise InputError(f"{source} holds one image; repeats need at least 2 shots")
        return Gathered(tuple(samples), tuple(skipped), other_suffixes)
    try:
        found = find_series(source)
    except InputError:
        if not samples:
            raise
    else:
        samples += found.samples
        skipped += [file for file in found.skipped if file.reason != NOT_AN_IMAGE]
    samples.sort(key=lambda sample: sample.name)
    return Gathered(tuple(samples), tuple(skipped), other_suffixes)


# --- all kinds ------------------------------------------------------------------------------------


def _with_common_channels(gathered: Gathered, *, gray: bool) -> Gathered:
    """Skip the samples whose number of channels differs from the most common one."""
    counts = [_channels(sample.info.channels, gray=gray) for sample in gathered.samples]
    common, _ = Counter(counts).most_common(1)[0]
    samples, skipped = [], list(gathered.skipped)
    for sample, count in zip(gathered.samples, counts, strict=True):
        if count == common:
            samples.append(sample)
        else:
            reason = f"it has {count} channel(s), most have {common}"
            skipped.append(SkippedFile(sample.name, reason))
    return gathered._replace(samples=tuple(samples), skipped=tuple(skipped))


def _channels(channels: int, *, gray: bool) -> int:
    return 1 if gray and channels == 3 else channels
