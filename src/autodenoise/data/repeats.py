"""Find repeated shots of the same view in folders and stacks."""

from __future__ import annotations

import dataclasses
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from autodenoise.data.volumes import ImageInfo
from autodenoise.discovery import FoundFiles, SkippedFile, scan
from autodenoise.errors import InputError
from autodenoise.images import open_image

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from numpy.typing import NDArray


__all__ = [
    "DENOISED",
    "FIGURE",
    "FoundSeries",
    "Series",
    "denoised_outputs",
    "find_originals",
    "find_series",
]

DENOISED = "written by denoise, from another image here"
"""Why the output of ``denoise`` is skipped."""

FIGURE = "a figure of a training run"
"""Why figures in run folders are skipped."""


@dataclass(frozen=True)
class Series:
    """Several shots of the same view.

    Attributes
    ----------
    name
        The folder or stack with the shots, relative to the searched folder.
    files
        The files of the shots, in order; or one file with the shots as its pages.
    shots
        Number of shots.
    info
        Size, channels and dtype of every shot.
    """

    name: str
    files: tuple[Path, ...]
    shots: int
    info: ImageInfo

    def rows(self) -> Iterator[tuple[int, int, NDArray[Any]]]:
        """Decode the shots one after the other, in chunks of rows.

        Yields
        ------
        int
            Index of the shot.
        int
            First row of the chunk.
        ndarray
            (r, W, C) pixels as stored, upright, without transparency.

        Raises
        ------
        InputError
            A file is missing or damaged.
        """
        shot = top = 0
        for file in self.files:
            for samples in open_image(file, upright=True).rows():
                yield shot, top, samples[..., : self.info.channels]
                top += len(samples)
                if top >= self.info.height:
                    shot, top = shot + 1, 0


class FoundSeries(NamedTuple):
    """The series in a folder, by name, and the skipped files."""

    series: tuple[Series, ...]
    skipped: tuple[SkippedFile, ...]


def find_originals(path: Path, *, also: frozenset[str] = frozenset()) -> FoundFiles:
    """List the images in a folder and below, without the output of ``denoise`` and training.

    Parameters
    ----------
    path
        The folder.
    also
        Other suffixes to accept.

    Raises
    ------
    InputError
        The folder cannot be read.
    """
    found = scan(path, recursive=True, also=also)
    reasons = dict.fromkeys(denoised_outputs(found.images), DENOISED)
    folders = {folder for name in found.images for folder in name.parents} - {Path()}
    for run in filter(lambda folder: _is_run(path / folder), folders):
        reasons |= {name: FIGURE for name in found.images if run in name.parents}
    return dataclasses.replace(
        found,
        images=[name for name in found.images if name not in reasons],
        skipped=[
            *found.skipped,
            *(SkippedFile(name.as_posix(), reason) for name, reason in reasons.items()),
        ],
    )


def _is_run(folder: Path) -> bool:
    """Return whether a folder is a run folder."""
    return all((folder / name).is_file() for name in ("recipe.toml", "environment.json"))


def denoised_outputs(names: Collection[Path]) -> list[Path]:
    """Return the images that ``denoise`` wrote next to their inputs.

    Examples
    --------
    >>> [path.name for path in denoised_outputs([Path("a.png"), Path("a.denoised.png")])]
    ['a.denoised.png']
    """
    stems = {name.with_suffix("") for name in names}
    return [
        name
        for name in names
        if name.stem.endswith(".denoised")
        and name.with_name(name.stem.removesuffix(".denoised")) in stems
    ]


def find_series(path: Path, *, separate: bool = False) -> FoundSeries:
    """Find the series in a folder or a stack, from the headers of the files.

    The images in a folder are the shots of one series, and those in each subfolder of another. A
    file with several pages is a series of its own.

    Parameters
    ----------
    path
        The folder or the stack.
    separate
        Treat every image file as a series of its own.

    Raises
    ------
    InputError
        The path does not exist, is unreadable, or contains no series. The message lists the skipped
        files.
    """
    if path.is_dir():
        root, found = path, find_originals(path)
    else:
        root, found = path.parent, FoundFiles([path.relative_to(path.parent)])
    skipped = [
        *found.skipped,
        *(SkippedFile(failed.name, str(failed.error)) for failed in found.failed),
    ]
    all_series: list[Series] = []
    folders: dict[Path, dict[Path, ImageInfo]] = {}
    for name in found.images:
        try:
            image = open_image(root / name, upright=True)
        except InputError as error:
            skipped.append(SkippedFile(name.as_posix(), str(error)))
            continue
        info = ImageInfo.of(image)
        if image.pages > 1 or separate:
            all_series.append(Series(name.as_posix(), (root / name,), image.pages, info))
        else:
            folders.setdefault(name.parent, {})[name] = info
    for folder, infos in folders.items():
        common, count = Counter(infos.values()).most_common(1)[0]
        for name, info in infos.items():
            if count == 1:
                reason = (
                    "the only shot of its series with this size and depth; at least 2 are needed"
                )
            elif info != common:
                reason = f"it is {info}; most shots in its folder are {common}"
            else:
                continue
            skipped.append(SkippedFile(name.as_posix(), reason))
        if count > 1:
            files = tuple(root / name for name, info in infos.items() if info == common)
            title = root.resolve().name if folder == folder.parent else folder.as_posix()
            all_series.append(Series(title, files, count, common))
    skipped.sort(key=lambda file: file.name)
    if not all_series:
        expected = (
            f"{path} contains no repeated shots. Expected at least 2 shots of the same view: a "
            "folder of images with the same size and depth, or a file with several pages"
        )
        lines = [f"  {file.name}: {file.reason}" for file in skipped]
        raise InputError("\n".join([expected, *lines]))
    return FoundSeries(tuple(sorted(all_series, key=lambda series: series.name)), tuple(skipped))
