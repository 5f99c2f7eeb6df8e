"""What denoisers are scored on: published sets, folders of clean pictures, noisy/clean pairs."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from autodenoise import images
from autodenoise.data.places import DATA_VARIABLE, cache, find_set
from autodenoise.data.repeats import made_of_others
from autodenoise.errors import InputError
from autodenoise.files import digest, printable
from autodenoise.runtime import find_images

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["PUBLISHED", "BenchmarkDataset", "Published", "ReferenceImage"]

_NAMED = 5


class Published(NamedTuple):
    """A set that papers report on: how many pictures of how many channels, and where it is from."""

    pictures: int
    channels: int
    source: str


PUBLISHED: dict[str, Published] = {
    "set12": Published(12, 1, "testsets/Set12 of github.com/cszn/DnCNN"),
    "bsd68": Published(68, 1, "testsets/BSD68 of github.com/cszn/DnCNN"),
    "cbsd68": Published(68, 3, "testsets/CBSD68 of github.com/cszn/FFDNet"),
    "bsds-val32": Published(
        32,
        3,
        "pictures of the Berkeley Segmentation Dataset, "
        "www2.eecs.berkeley.edu/Research/Projects/CS/vision/bsds, held back from training",
    ),
}
"""The sets that go by a name. Only the last is for trying things out; the others are test sets."""


@dataclass(frozen=True)
class ReferenceImage:
    """A picture whose clean version is known.

    Attributes
    ----------
    name
        The file's, without its ending; what cannot be printed is escaped.
    clean, noisy
        The files; no noisy one where noise is to be added.
    shape
        (H, W, C) of each.
    digest
        SHA-256 of the files' content.
    """

    name: str
    clean: Path
    noisy: Path | None
    shape: tuple[int, int, int]
    digest: str

    @classmethod
    def open(cls, clean: Path, noisy: Path | None = None) -> Self:
        """Look at a picture, or at both versions of one.

        Raises
        ------
        InputError
            One cannot be read or is neither grey nor RGB of 8 or 16 bits, or the two differ in size
            or channels.
        """
        shapes = [_shape(path) for path in (clean, noisy) if path is not None]
        if len(set(shapes)) > 1:
            (height, width, colours), (other_height, other_width, other_colours) = shapes
            raise InputError(
                f"{clean} and {noisy} are no pair: one has {width}x{height} pixels of {colours} "
                f"channel(s), the other {other_width}x{other_height} of {other_colours}"
            )
        both = "".join(digest(path) for path in (clean, noisy) if path is not None)
        content = hashlib.sha256(both.encode()).hexdigest()
        return cls(printable(clean.stem), clean, noisy, shapes[0], content)

    def read(self) -> tuple[NDArray[Any], NDArray[Any] | None]:
        """Read the samples as the files have them: clean, and noisy if there is such a file.

        Raises
        ------
        InputError
            A picture is damaged.
        """
        return images.read(self.clean), None if self.noisy is None else images.read(self.noisy)


@dataclass(frozen=True)
class BenchmarkDataset:
    """Pictures that a table is about, in the order of their names; all grey, or all RGB.

    Attributes
    ----------
    name
        Of the set or its folders.
    images
        The pictures.
    paired
        Whether each comes with a noisy version of its own.
    """

    name: str
    images: tuple[ReferenceImage, ...]
    paired: bool

    def __post_init__(self) -> None:
        if len({image.shape[2] for image in self.images}) > 1:
            raise InputError(f"{self.name} has grey and RGB pictures; score them in two folders")

    @classmethod
    def open(cls, source: str | Path) -> Self:
        """Find the set of a name, or take the pictures of a folder.

        Parameters
        ----------
        source
            A key of `PUBLISHED`, which is looked for in ``$AUTODENOISE_DATA`` and in the user's
            cache; any other is a folder of clean pictures.

        Raises
        ------
        InputError
            It is not there, has no pictures or not those that the papers speak of, or a picture
            cannot be read.
        """
        name = str(source)
        folder = _find(name) if name in PUBLISHED else Path(source)
        files = _originals(folder)
        if name not in PUBLISHED:
            name = printable(folder.resolve().name)
        elif len(files) != PUBLISHED[name].pictures:
            raise InputError(
                f"{folder} has {len(files)} pictures; {name} has {PUBLISHED[name].pictures}, "
                "and published scores are averages over all of them"
            )
        found = cls(
            name, tuple(ReferenceImage.open(file) for file in _by_stem(files).values()), False
        )
        if name in PUBLISHED and found.channels != PUBLISHED[name].channels:
            raise InputError(
                f"the pictures in {folder} have {found.channels} channel(s); those of {name} have "
                f"{PUBLISHED[name].channels}, and published scores are of these"
            )
        return found

    @classmethod
    def open_pairs(cls, noisy: Path, clean: Path) -> Self:
        """Take two folders whose pictures belong together by the name before the ending.

        Raises
        ------
        InputError
            A folder has no pictures, one has no partner, or the two of a pair differ in size.
        """
        with_noise, without = (_by_stem(_originals(folder)) for folder in (noisy, clean))
        alone = sorted(with_noise.keys() ^ without.keys())
        if alone:
            more = f" and {len(alone) - _NAMED} more" if len(alone) > _NAMED else ""
            raise InputError(
                f"pictures of {noisy} and {clean} belong together by the name before the ending; "
                f"without a partner: {', '.join(alone[:_NAMED])}{more}"
            )
        name = printable(f"{noisy.resolve().name} and {clean.resolve().name}")
        pairs = (ReferenceImage.open(without[stem], with_noise[stem]) for stem in sorted(without))
        return cls(name, tuple(pairs), True)

    @property
    def channels(self) -> int:
        """1 for grey, 3 for RGB."""
        return self.images[0].shape[2]

    @property
    def middle(self) -> ReferenceImage:
        """The picture in the middle of the list, which is shown: nobody picked it."""
        return self.images[len(self.images) // 2]


def _find(name: str) -> Path:
    found = find_set(name)
    if found is None:
        raise InputError(
            f"{name} is not here: put its {PUBLISHED[name].pictures} pictures "
            f"({PUBLISHED[name].source}) into {cache() / name}, or into a folder {name} where "
            f"{DATA_VARIABLE} points"
        )
    return found


def _originals(folder: Path) -> list[Path]:
    """List a folder's pictures but those that ``denoise`` has put beside another."""
    files = find_images(folder, recursive=False)
    made = set(made_of_others(files))
    return [file for file in files if file not in made]


def _shape(path: Path) -> tuple[int, int, int]:
    picture = images.open_for_training(path)
    return picture.height, picture.width, picture.bands


def _by_stem(files: Sequence[Path]) -> dict[str, Path]:
    [(stem, count)] = Counter(file.stem for file in files).most_common(1)
    if count > 1:
        raise InputError(
            f"{files[0].parent} has {count} pictures named {stem}, which differ in their ending "
            "alone; give each a name of its own"
        )
    return {file.stem: file for file in files}
