"""Find repeated shots of the same view in folders and stacks."""

from __future__ import annotations

import dataclasses
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from autodenoise.discovery import FoundFiles, SkippedFile, scan
from autodenoise.errors import InputError
from autodenoise.images import open_image

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    import numpy as np
    from numpy.typing import NDArray

    from autodenoise.images import ImageFile, IntensityRange

__all__ = [
    "DRAWN",
    "MADE",
    "Form",
    "Scene",
    "Scenes",
    "denoised_outputs",
    "find_scenes",
    "originals",
]

MADE = "written by denoise, from another image here"
"""Why the output of ``denoise`` is skipped."""

DRAWN = "a figure of a training run"
"""Why figures in run folders are skipped."""


class Form(NamedTuple):
    """Size, channels, dtype and intensity range of an image."""

    width: int
    height: int
    channels: int
    dtype: np.dtype[Any]
    intensity_range: IntensityRange | None

    @classmethod
    def of(cls, image: ImageFile) -> Form:
        """Return the form of an image file that was opened upright."""
        return cls(image.width, image.height, image.colors, image.dtype, image.intensity_range)

    def __str__(self) -> str:
        return f"{self.width}x{self.height}, {self.channels} channel(s), {self.dtype}"


@dataclass(frozen=True)
class Scene:
    """Several shots of the same view.

    Attributes
    ----------
    name
        The folder or stack with the shots, relative to the searched folder.
    files
        The files of the shots, in order; or one file with the shots as its pages.
    shots
        Number of shots.
    form
        Size, channels and dtype of every shot.
    """

    name: str
    files: tuple[Path, ...]
    shots: int
    form: Form

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
                yield shot, top, samples[..., : self.form.channels]
                top += len(samples)
                if top >= self.form.height:
                    shot, top = shot + 1, 0


class Scenes(NamedTuple):
    """The scenes in a folder, by name, and the skipped files."""

    scenes: tuple[Scene, ...]
    skipped: tuple[SkippedFile, ...]


def originals(path: Path, *, also: frozenset[str] = frozenset()) -> FoundFiles:
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
    reasons = dict.fromkeys(denoised_outputs(found.images), MADE)
    folders = {folder for name in found.images for folder in name.parents} - {Path()}
    for run in filter(lambda folder: _is_run(path / folder), folders):
        reasons |= {name: DRAWN for name in found.images if run in name.parents}
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


def find_scenes(path: Path, *, separate: bool = False) -> Scenes:
    """Find the scenes in a folder or a stack, from the headers of the files.

    The images in a folder are the shots of one scene, and those in each subfolder of another. A
    file with several pages is a scene of its own.

    Parameters
    ----------
    path
        The folder or the stack.
    separate
        Treat every image file as a scene of its own.

    Raises
    ------
    InputError
        The path does not exist, is unreadable, or contains no scene. The message lists the skipped
        files.
    """
    if path.is_dir():
        root, found = path, originals(path)
    else:
        root, found = path.parent, FoundFiles([path.relative_to(path.parent)])
    skipped = [
        *found.skipped,
        *(SkippedFile(failed.name, str(failed.error)) for failed in found.failed),
    ]
    scenes: list[Scene] = []
    folders: dict[Path, dict[Path, Form]] = {}
    for name in found.images:
        try:
            image = open_image(root / name, upright=True)
        except InputError as error:
            skipped.append(SkippedFile(name.as_posix(), str(error)))
            continue
        form = Form.of(image)
        if image.pages > 1 or separate:
            scenes.append(Scene(name.as_posix(), (root / name,), image.pages, form))
        else:
            folders.setdefault(name.parent, {})[name] = form
    for folder, forms in folders.items():
        common, count = Counter(forms.values()).most_common(1)[0]
        for name, form in forms.items():
            if count == 1:
                reason = (
                    "the only shot of its scene with this size and depth; at least 2 are needed"
                )
            elif form != common:
                reason = f"it is {form}; most shots in its folder are {common}"
            else:
                continue
            skipped.append(SkippedFile(name.as_posix(), reason))
        if count > 1:
            files = tuple(root / name for name, form in forms.items() if form == common)
            title = root.resolve().name if folder == folder.parent else folder.as_posix()
            scenes.append(Scene(title, files, count, common))
    skipped.sort(key=lambda file: file.name)
    if not scenes:
        expected = (
            f"{path} contains no repeated shots. Expected at least 2 shots of the same view: a "
            "folder of images with the same size and depth, or a file with several pages"
        )
        lines = [f"  {file.name}: {file.reason}" for file in skipped]
        raise InputError("\n".join([expected, *lines]))
    return Scenes(tuple(sorted(scenes, key=lambda scene: scene.name)), tuple(skipped))
