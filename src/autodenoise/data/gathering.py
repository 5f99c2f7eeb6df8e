"""Which scenes there are in somebody's own pictures, judged by the headers of the files."""

from __future__ import annotations

import itertools
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from autodenoise.data.matching import match, stem
from autodenoise.data.pieces import THREADS, Piece
from autodenoise.data.planes import planes_of
from autodenoise.data.repeats import DRAWN, MADE, Scenes, find_scenes, originals
from autodenoise.data.volumes import ENDINGS
from autodenoise.discovery import NO_PICTURE, FoundFiles, SkippedFile
from autodenoise.errors import InputError, UsageError
from autodenoise.files import printable
from autodenoise.images import SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from autodenoise.data.crops import Supervision
    from autodenoise.data.planes import Plane

__all__ = ["Gathered", "gather", "is_pictures", "listing"]

_NAMED = 3


class Gathered(NamedTuple):
    """The scenes that were found, by name, what was left out and why, and the files besides.

    Attributes
    ----------
    scenes
        Each whole.
    passed_over
        Pictures that are not learnt from.
    besides
        How many files have endings that are no pictures', by ending.
    """

    scenes: tuple[Piece, ...]
    passed_over: tuple[SkippedFile, ...]
    besides: Counter[str]


def is_pictures(path: Path) -> bool:
    """Tell whether `gather` reads this: a folder, or a file by its ending."""
    return path.is_dir() or path.suffix.lower() in SUFFIXES | ENDINGS


def gather(source: Path, holds: Supervision, targets: Path | None, *, grey: bool) -> Gathered:
    """Find the scenes in a folder and the folders in it, or in one file.

    Parameters
    ----------
    source, holds, targets
        As `autodenoise.data.dataset.Data` has them.
    grey
        Whether the luma is taken of colours, which then go together with grey pictures.

    Raises
    ------
    InputError
        There is no such folder or file, or nothing in it can be learnt from; the message says what
        was left out.
    MissingExtra
        A volume needs zarr, which is not installed.
    """
    match holds:
        case "pairs":
            assert targets is not None
            found = _pairs(source, targets, grey=grey)
        case "repeats":
            found = _repeats(source)
        case "clean" | "noisy":
            found = _single(source)
    if found.scenes:
        return _alike(found, grey=grey)
    if found.passed_over:
        raise InputError(
            f"{source} holds nothing that can be learnt from:\n{listing(found.passed_over)}"
        )
    endings = ", ".join(sorted(SUFFIXES | ENDINGS))
    raise InputError(f"{source} holds no pictures; what is read ends in {endings}")


def listing(passed_over: Sequence[SkippedFile]) -> str:
    """Name the first few that were left out, each with the reason, and count the others."""
    shown = [
        # What a decoder says names the file itself.
        "  " + printable(reason if Path(name).name in reason else f"{name}: {reason}")
        for name, reason in ((passed.name, passed.reason) for passed in passed_over[:_NAMED])
    ]
    more = len(passed_over) - _NAMED
    return "\n".join([*shown, *([f"  and {more:,} more"] if more > 0 else [])])


class _Files(NamedTuple):
    """The planes of each file by its name, and what has none."""

    planes: dict[str, list[Plane]]
    passed_over: list[SkippedFile]
    besides: Counter[str]


def _files(path: Path, endings: frozenset[str] = SUFFIXES | ENDINGS) -> _Files:
    """Open all files of some endings in a folder, or one file."""
    root, found = path.parent, FoundFiles([Path(path.name)])
    if not _is_one(path):
        root, found = path, originals(path, also=ENDINGS)
    names = [name for name in found.pictures if name.suffix.lower() in endings]
    with ThreadPoolExecutor(THREADS) as pool:
        opened = pool.map(_open, [root / name for name in names])
        told = dict(zip((name.as_posix() for name in names), opened, strict=True))
    return _Files(
        {name: planes for name, planes in told.items() if not isinstance(planes, str)},
        [
            *(SkippedFile(failed.name, str(failed.error)) for failed in found.failures),
            *(SkippedFile(name, said) for name, said in told.items() if isinstance(said, str)),
            *(passed for passed in found.passed_over if passed.reason in (MADE, DRAWN)),
        ],
        _besides(found.passed_over),
    )


def _besides(passed_over: Iterable[SkippedFile]) -> Counter[str]:
    names = (Path(passed.name) for passed in passed_over if passed.reason == NO_PICTURE)
    return Counter(name.suffix.lower() or name.name for name in names)


def _open(path: Path) -> list[Plane] | str:
    try:
        return planes_of(path)
    except InputError as error:
        return str(error)


def _single(source: Path) -> Gathered:
    files = _files(source)
    scenes = [
        scene
        for name, planes in files.planes.items()
        for scene in _scenes(name, [[plane] for plane in planes])
    ]
    return Gathered(tuple(scenes), tuple(files.passed_over), files.besides)


def _scenes(name: str, scenes: Sequence[Sequence[Plane]]) -> list[Piece]:
    """Give the scenes of a file names of their own."""
    if len(scenes) == 1:
        return [Piece.whole(name, scenes[0])]
    return [Piece.whole(f"{name}, page {n}", planes) for n, planes in enumerate(scenes, 1)]


def _pairs(source: Path, targets: Path, *, grey: bool) -> Gathered:
    if source.resolve() == targets.resolve():
        raise UsageError(
            f"{source} is named both for the noisy and for the clean pictures; name two folders"
        )
    if _is_one(source) != _is_one(targets):
        raise UsageError(f"pairs are in two folders, or in two files; got {source} and {targets}")
    noisy, clean = _files(source), _files(targets)
    roots = [path.parent if _is_one(path) else path for path in (source, targets)]
    if roots[0].name != roots[1].name:
        roots = [Path(root.name) for root in roots]
    passed_over = [
        SkippedFile((root / passed.name).as_posix(), passed.reason)
        for root, files in zip(roots, (noisy, clean), strict=True)
        for passed in files.passed_over
    ]
    if _is_one(source):
        pairs = list(itertools.product(noisy.planes, clean.planes))
    else:
        matched = match(noisy.planes, clean.planes)
        pairs = list(matched.pairs)
        for root, opposite, alone, rivals in zip(
            roots, reversed(roots), matched.alone, matched.rivals, strict=True
        ):
            for name in alone:
                reason = f"there is no {(opposite / stem(name)).as_posix()}.*"
                passed_over.append(SkippedFile((root / name).as_posix(), reason))
            for name in rivals:
                reason = f"there are several {stem(name)}.* to choose from"
                passed_over.append(SkippedFile((root / name).as_posix(), reason))
    scenes = []
    for one, other in pairs:
        both = noisy.planes[one], clean.planes[other]
        unlike = _unlike(*both, grey=grey)
        if unlike:
            passed_over.append(SkippedFile((roots[0] / one).as_posix(), unlike))
        else:
            scenes += _scenes(one, list(zip(*both, strict=True)))
    return Gathered(tuple(scenes), tuple(passed_over), noisy.besides + clean.besides)


def _is_one(path: Path) -> bool:
    return path.suffix.lower() in ENDINGS or not path.is_dir()


def _unlike(noisy: list[Plane], clean: list[Plane], *, grey: bool) -> str:
    """Say why two files cannot be a pair; empty if they can."""
    if len(noisy) != len(clean):
        return f"it has {len(noisy)} pages, its clean one {len(clean)}"
    for plane, target in zip(noisy, clean, strict=True):
        one, other = plane.form, target.form
        if (one.width, one.height) != (other.width, other.height):
            return f"it is {one.width}x{one.height}, its clean one {other.width}x{other.height}"
        if _channels(one.colours, grey=grey) != _channels(other.colours, grey=grey):
            return f"it has {one.colours} channel(s), its clean one {other.colours}"
    return ""


def _repeats(source: Path) -> Gathered:
    arrays = _files(source, ENDINGS)
    scenes = []
    for name, planes in arrays.planes.items():
        # Shots come one after the other in time, which is the first axis.
        views: dict[tuple[object, ...], list[Plane]] = {}
        for plane in planes:
            views.setdefault((plane.array, *plane.place[1:]), []).append(plane)
        scenes += _scenes(name, [shots for shots in views.values() if len(shots) > 1])
    if source.suffix.lower() in ENDINGS:
        if not scenes and not arrays.passed_over:
            raise InputError(f"{source} holds one image; of repeats, at least 2 shots are needed")
        return Gathered(tuple(scenes), tuple(arrays.passed_over), arrays.besides)
    try:
        found = find_scenes(source)
    except InputError:
        if not scenes:
            raise
        found = Scenes((), ())
    for scene in found.scenes:
        shots = (plane for file in scene.files for plane in planes_of(file))
        scenes.append(Piece.whole(scene.name, shots))
    passed_over = [passed for passed in found.passed_over if passed.reason != NO_PICTURE]
    return Gathered(
        tuple(sorted(scenes, key=lambda scene: scene.name)),
        (*arrays.passed_over, *passed_over),
        arrays.besides,
    )


def _alike(found: Gathered, *, grey: bool) -> Gathered:
    """Leave out the scenes that have another number of channels than most."""
    kinds = [_channels(scene.form.colours, grey=grey) for scene in found.scenes]
    common, _ = Counter(kinds).most_common(1)[0]
    others = (
        SkippedFile(scene.name, f"it has {kind} channel(s), most have {common}")
        for scene, kind in zip(found.scenes, kinds, strict=True)
        if kind != common
    )
    return found._replace(
        scenes=tuple(
            scene for scene, kind in zip(found.scenes, kinds, strict=True) if kind == common
        ),
        passed_over=(*found.passed_over, *others),
    )


def _channels(colours: int, *, grey: bool) -> int:
    return 1 if grey and colours == 3 else colours
