"""Scenes: several noisy shots of the same view, as folders and stacks hold them."""

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

__all__ = ["DRAWN", "MADE", "Form", "Scene", "Scenes", "find_scenes", "made_of_others", "originals"]

MADE = "denoise made it of another here"
"""Why a picture that ``denoise`` has put beside another is left out."""

DRAWN = "a training run drew it"
"""Why a figure of a run that lies among the pictures is left out."""


class Form(NamedTuple):
    """What the shots of a scene have in common."""

    width: int
    height: int
    colours: int
    dtype: np.dtype[Any]
    intensity_range: IntensityRange | None

    @classmethod
    def of(cls, picture: ImageFile) -> Form:
        """Give that of a picture that was opened upright."""
        return cls(
            picture.width, picture.height, picture.colors, picture.dtype, picture.intensity_range
        )

    def __str__(self) -> str:
        return f"{self.width}x{self.height}, {self.colours} channel(s), {self.dtype}"


@dataclass(frozen=True)
class Scene:
    """Several shots of the same view.

    Attributes
    ----------
    name
        The folder or stack that holds it, from where was looked.
    files
        The shots, in order; or one file whose pages are the shots.
    shots
        How many there are.
    form
        Of every shot.
    """

    name: str
    files: tuple[Path, ...]
    shots: int
    form: Form

    def rows(self) -> Iterator[tuple[int, int, NDArray[Any]]]:
        """Decode the shots one after the other, a chunk of rows at a time.

        Yields
        ------
        int
            Which shot, from 0.
        int
            Which row of it the chunk begins with.
        ndarray
            (r, W, C) samples as the file has them, upright, without transparency.

        Raises
        ------
        InputError
            A file is missing or damaged.
        """
        shot = top = 0
        for file in self.files:
            for samples in open_image(file, upright=True).rows():
                yield shot, top, samples[..., : self.form.colours]
                top += len(samples)
                if top >= self.form.height:
                    shot, top = shot + 1, 0


class Scenes(NamedTuple):
    """The scenes that were found, by name, and what was left out of them and why."""

    scenes: tuple[Scene, ...]
    passed_over: tuple[SkippedFile, ...]


def originals(path: Path, *, also: frozenset[str] = frozenset()) -> FoundFiles:
    """List the pictures in a folder and below, but what ``denoise`` and training have put there.

    Parameters
    ----------
    path
        The folder.
    also
        Other endings that count as pictures.

    Raises
    ------
    InputError
        It cannot be read.
    """
    found = scan(path, recursive=True, also=also)
    reasons = dict.fromkeys(made_of_others(found.pictures), MADE)
    folders = {folder for name in found.pictures for folder in name.parents} - {Path()}
    for run in filter(lambda folder: _is_run(path / folder), folders):
        reasons |= {name: DRAWN for name in found.pictures if run in name.parents}
    return dataclasses.replace(
        found,
        pictures=[name for name in found.pictures if name not in reasons],
        passed_over=[
            *found.passed_over,
            *(SkippedFile(name.as_posix(), reason) for name, reason in reasons.items()),
        ],
    )


def _is_run(folder: Path) -> bool:
    """Tell whether a folder is what training leaves."""
    return all((folder / name).is_file() for name in ("recipe.toml", "environment.json"))


def made_of_others(names: Collection[Path]) -> list[Path]:
    """Pick the pictures that ``denoise`` has put beside those that it made them of."""
    stems = {name.with_suffix("") for name in names}
    return [name for name in names if _made_of(name) in stems]


def _made_of(name: Path) -> Path | None:
    """Give the name, without its ending, of the picture that a denoised one was made of."""
    stem = name.stem.removesuffix(".denoised")
    return None if stem == name.stem else name.with_name(stem)


def find_scenes(path: Path, *, apart: bool = False) -> Scenes:
    """Find the scenes in a folder, or take a stack for one; files are judged by their headers.

    The pictures of a folder are the shots of one scene, those of each folder in it of another.
    A file of several pages is a scene by itself, wherever it lies.

    Parameters
    ----------
    path
        The folder, or the stack.
    apart
        Take every picture and page for a scene of one shot.

    Raises
    ------
    InputError
        There is no such file or folder, it cannot be read, or not one scene is in it; the message
        says what was left out.
    """
    if path.is_dir():
        root, found = path, originals(path)
    else:
        root, found = path.parent, FoundFiles([path.relative_to(path.parent)])
    passed_over = [
        *found.passed_over,
        *(SkippedFile(failure.name, str(failure.error)) for failure in found.failures),
    ]
    scenes: list[Scene] = []
    folders: dict[Path, dict[Path, Form]] = {}
    for name in found.pictures:
        try:
            picture = open_image(root / name, upright=True)
        except InputError as error:
            passed_over.append(SkippedFile(name.as_posix(), str(error)))
            continue
        form = Form.of(picture)
        if picture.pages > 1 or apart:
            scenes.append(Scene(name.as_posix(), (root / name,), picture.pages, form))
        else:
            folders.setdefault(name.parent, {})[name] = form
    for folder, forms in folders.items():
        common, count = Counter(forms.values()).most_common(1)[0]
        for name, form in forms.items():
            if count == 1:
                reason = "the only shot of its scene and form; at least 2 are needed"
            elif form != common:
                reason = f"it is {form}; most shots beside it are {common}"
            else:
                continue
            passed_over.append(SkippedFile(name.as_posix(), reason))
        if count > 1:
            files = tuple(root / name for name, form in forms.items() if form == common)
            own = root.resolve().name if folder == folder.parent else folder.as_posix()
            scenes.append(Scene(own, files, count, common))
    passed_over.sort(key=lambda passed: passed.name)
    if not scenes:
        wanted = (
            f"{path} holds no scene, which is at least 2 shots of the same view: a folder of "
            "pictures of one size and depth, or a file with as many pages"
        )
        left_out = [f"  {passed.name}: {passed.reason}" for passed in passed_over]
        raise InputError("\n".join([wanted, *left_out]))
    return Scenes(tuple(sorted(scenes, key=lambda scene: scene.name)), tuple(passed_over))
