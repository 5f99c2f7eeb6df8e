"""Find repeated shots of the same view in folders and stacks."""

from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from autodenoise.data.samples import Gathered, Plane, Sample, list_planes
from autodenoise.discovery import FoundFiles, SkippedFile, scan
from autodenoise.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ["DENOISED", "FIGURE", "denoised_outputs", "find_originals", "find_series"]

DENOISED = "written by denoise, from another image here"
"""Why the output of ``denoise`` is skipped."""

FIGURE = "a figure of a training run"
"""Why figures in run folders are skipped."""


def find_originals(path: Path, *, also: frozenset[str] = frozenset()) -> FoundFiles:
    """List the images in a folder and below, without the output of ``denoise`` and training.

    Files with the suffixes in `also` count as images.
    """
    found = scan(path, recursive=True, also=also)
    reasons = dict.fromkeys(denoised_outputs(found.images), DENOISED)
    folders = {folder for name in found.images for folder in name.parents} - {Path()}
    for folder in folders:
        if all((path / folder / name).is_file() for name in ("recipe.toml", "environment.json")):
            reasons |= {name: FIGURE for name in found.images if folder in name.parents}
    return dataclasses.replace(
        found,
        images=[name for name in found.images if name not in reasons],
        skipped=[
            *found.skipped,
            *(SkippedFile(name.as_posix(), reason) for name, reason in reasons.items()),
        ],
    )


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


def find_series(path: Path, *, separate: bool = False) -> Gathered:
    """Find the series of shots in a folder or a stack, by name, from the headers of the files.

    The images in a folder are the shots of one series, and those in each subfolder of another. A
    file with several pages is a series of its own; with `separate` every file is.

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
    all_series: list[Sample] = []
    folders: dict[Path, dict[Path, Plane]] = {}
    for name in found.images:
        try:
            planes = list_planes(root / name)
        except InputError as error:
            skipped.append(SkippedFile(name.as_posix(), str(error)))
            continue
        if len(planes) > 1 or separate:
            all_series.append(Sample.of(name.as_posix(), planes))
        else:
            folders.setdefault(name.parent, {})[name] = planes[0]
    for folder, shots in folders.items():
        common, count = Counter(shot.info for shot in shots.values()).most_common(1)[0]
        for name, shot in shots.items():
            if count == 1:
                reason = (
                    "the only shot of its series with this size and depth; at least 2 are needed"
                )
            elif shot.info != common:
                reason = f"it is {shot.info}; most shots in its folder are {common}"
            else:
                continue
            skipped.append(SkippedFile(name.as_posix(), reason))
        if count > 1:
            title = root.resolve().name if folder == folder.parent else folder.as_posix()
            alike = (shot for shot in shots.values() if shot.info == common)
            all_series.append(Sample.of(title, alike))
    skipped.sort(key=lambda file: file.name)
    if not all_series:
        expected = (
            f"{path} contains no repeated shots. Expected at least 2 shots of the same view: a "
            "folder of images with the same size and depth, or a file with several pages"
        )
        lines = [f"  {file.name}: {file.reason}" for file in skipped]
        raise InputError("\n".join([expected, *lines]))
    all_series.sort(key=lambda series: series.name)
    return Gathered(tuple(all_series), tuple(skipped), Counter())
