"""The rows of a table, on disk as they come: one for each picture, noise and denoiser."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import io
import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from autodenoise.benchmark.baselines import BASELINES
from autodenoise.benchmark.denoisers import is_model
from autodenoise.environment import environment
from autodenoise.errors import OutputError
from autodenoise.files import make_folder, write_text
from autodenoise.journal import Journal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from autodenoise.benchmark.datasets import BenchmarkDataset

__all__ = [
    "PACKAGES",
    "PROTOCOL",
    "ROWS_NAME",
    "ResultAverage",
    "ResultRow",
    "ResultsTable",
    "as_json",
    "average",
]

ROWS_NAME = "rows.csv"
_ABOUT_NAME, _WHERE, _CURRENT = "protocol.json", "environments", "identities"
_HIGHEST = 100.0

PACKAGES = ("autodenoise", "numpy", "onnxruntime", "pyvips", "scikit-image", "PyWavelets")
"""Whose versions a table tells."""

PROTOCOL = (
    "Noise: NumPy's RandomState(0) anew for each image, normal(0, sigma/255, (H, W, C)) or "
    "poisson(image * peak) / peak, on the float image, neither clipped nor quantised; pairs are "
    "taken as they are. Answers: clamped to [0, 1], rounded to 8 bits. PSNR: peak 255, squared "
    "error pooled over pixels and channels, no border left out. SSIM: Wang et al. 2004, Gaussian "
    "window of sigma 1.5, data range 255. Both averaged over images, an equal one as 100 dB. For "
    "its rounding even a perfect answer to a picture of 16 bits has about 59 dB. The noisy input's "
    "own score is of the input as it is. Seconds: wall time of the denoiser's call alone, after "
    "one warm-up."
)
"""How numbers come about; a folder holds those of one protocol alone."""


@dataclass(frozen=True)
class ResultRow:
    """The score of one denoiser on one picture with one noise.

    Attributes
    ----------
    image, noise, denoiser, identity
        What it is of; `identity` is the candidate's.
    parameters
        How many numbers the denoiser has learnt; None for a baseline.
    psnr
        In dB, ``inf`` for an equal image.
    ssim
        None for images that are smaller than its window.
    seconds
        Wall time of the denoiser's call.
    megapixels
        Of the image.
    """

    image: str
    noise: str
    denoiser: str
    identity: str
    parameters: int | None
    psnr: float
    ssim: float | None
    seconds: float
    megapixels: float

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What it is of."""
        return self.image, self.noise, self.denoiser, self.identity

    def cells(self) -> dict[str, str]:
        """Write it as the line of a table."""
        return {
            "image": self.image,
            "noise": self.noise,
            "denoiser": self.denoiser,
            "psnr": f"{self.psnr:.6f}",
            "ssim": "" if self.ssim is None else f"{self.ssim:.6f}",
            "seconds": f"{self.seconds:.6f}",
            "mp_per_s": f"{self.megapixels / max(self.seconds, 1e-6):.4f}",
            "megapixels": f"{self.megapixels:.6f}",
            "parameters": "" if self.parameters is None else str(self.parameters),
            "identity": self.identity,
        }

    @classmethod
    def of(cls, cells: dict[str, str]) -> Self:
        """Read the line of a table."""
        return cls(
            image=cells["image"],
            noise=cells["noise"],
            denoiser=cells["denoiser"],
            identity=cells["identity"],
            parameters=int(cells["parameters"]) if cells["parameters"] else None,
            psnr=float(cells["psnr"]),
            ssim=float(cells["ssim"]) if cells["ssim"] else None,
            seconds=float(cells["seconds"]),
            megapixels=float(cells["megapixels"]),
        )


_COLUMNS = tuple(ResultRow("", "", "", "", None, 0, None, 0, 0).cells())


@dataclass(frozen=True)
class ResultAverage:
    """A denoiser's scores over all pictures of a set with one noise.

    Attributes
    ----------
    noise, denoiser, identity, parameters
        As in the rows.
    images
        How many.
    psnr
        Mean in dB; an image that equals its clean version, or nearly, counts as 100.
    ssim
        Mean; None where an image is smaller than its window.
    seconds
        Mean for an image.
    mp_per_s
        All megapixels over all seconds.
    """

    noise: str
    denoiser: str
    identity: str
    parameters: int | None
    images: int
    psnr: float
    ssim: float | None
    seconds: float
    mp_per_s: float

    @property
    def noise_level(self) -> str:
        """What it knew of the noise's strength: blind, told, estimated; empty if no matter."""
        if is_model(self.identity):
            return "blind"
        baseline = BASELINES.get(self.denoiser)
        if baseline is None or not baseline.takes_sigma:
            return ""
        return "told" if self.noise.startswith("gaussian:") else "estimated"


def average(rows: Iterable[ResultRow]) -> ResultAverage:
    """Average the rows of one denoiser with one noise."""
    rows = list(rows)
    structure = [row.ssim for row in rows if row.ssim is not None]
    seconds = math.fsum(row.seconds for row in rows)
    return ResultAverage(
        noise=rows[0].noise,
        denoiser=rows[0].denoiser,
        identity=rows[0].identity,
        parameters=rows[0].parameters,
        images=len(rows),
        psnr=math.fsum(min(row.psnr, _HIGHEST) for row in rows) / len(rows),
        ssim=math.fsum(structure) / len(rows) if len(structure) == len(rows) else None,
        seconds=seconds / len(rows),
        mp_per_s=math.fsum(row.megapixels for row in rows) / max(seconds, 1e-6),
    )


class ResultsTable:
    """The rows of a folder, which one process at a time may add to.

    Parameters
    ----------
    folder
        Made if it is missing. One that is there is gone on with, if it is of the same protocol and
        pictures.
    references
        The pictures.
    identities
        Of the denoisers that are scored now, by name; of any other name, the one that was scored
        last counts.

    Attributes
    ----------
    folder
        As it was given.
    environments
        The machines and versions that rows were computed with, as `machine.environment` has them.

    Raises
    ------
    OutputError
        The folder holds something else, another process is at work on it, or it cannot be written.
    """

    def __init__(
        self, folder: Path, references: BenchmarkDataset, identities: Mapping[str, str]
    ) -> None:
        make_folder(folder)
        self.folder = folder
        self.environments: list[dict[str, Any]]
        self._about, self._here = folder / _ABOUT_NAME, environment(*PACKAGES)
        self._references = references
        self._rows: dict[tuple[str, str, str, str], ResultRow] = {}
        self._check()
        self._journal = Journal(folder / ROWS_NAME)
        try:
            lines = list(self._journal.lines())
            if not lines:
                self._journal.append(_line(_COLUMNS))
            names = {image.name for image in references.images}
            for line in lines:
                # What is no row, such as the headings or a damaged line, is as good as none.
                with contextlib.suppress(ValueError, csv.Error):
                    (cells,) = csv.reader([line.decode()])
                    row = ResultRow.of(dict(zip(_COLUMNS, cells, strict=True)))
                    if row.image in names:
                        self._rows[row.key] = row
            about = self._read_about()
            self.environments = about.get(_WHERE, [])
            # Not by the rows alone: a model file that is again what it was gets none.
            last = {row.denoiser: row.identity for row in self._rows.values()}
            self._identities = {**last, **about.get(_CURRENT, {}), **identities}
            if self._identities != about.get(_CURRENT):
                write_text(self._about, _as_text({**about, _CURRENT: self._identities}))
        except BaseException:
            self._journal.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._journal.close()

    def __contains__(self, key: tuple[str, str, str, str]) -> bool:
        return key in self._rows

    def add(self, row: ResultRow) -> None:
        """Put a row on disk.

        Raises
        ------
        OutputError
            The disk is full.
        """
        if self._here not in self.environments:
            self.environments.append(self._here)
            write_text(self._about, _as_text({**self._read_about(), _WHERE: self.environments}))
        cells = row.cells()
        self._journal.append(_line(cells.values()))
        # As a later process reads it, so that this one's averages are the same.
        self._rows[row.key] = ResultRow.of(cells)

    def averages(self) -> list[ResultAverage]:
        """Average all that is complete, the best of each noise first."""
        groups: dict[tuple[str, str], list[ResultRow]] = {}
        for row in self._rows.values():
            if self._identities[row.denoiser] == row.identity:
                groups.setdefault((row.noise, row.denoiser), []).append(row)
        whole = len(self._references.images)
        found = [average(rows) for rows in groups.values() if len(rows) == whole]
        noises = list(dict.fromkeys(noise for noise, _ in groups))
        return sorted(found, key=lambda one: (noises.index(one.noise), -one.psnr))

    def _check(self) -> None:
        about: dict[str, Any] = {
            "protocol": PROTOCOL,
            "set": self._references.name,
            "images": {image.name: image.digest for image in self._references.images},
        }
        if not self._about.exists():
            if any(self.folder.iterdir()):
                raise OutputError(
                    f"{self.folder} is not empty and holds no table to go on with; choose another "
                    "folder with -o"
                )
            write_text(self._about, _as_text(about))
        there = self._read_about()
        if {key: there.get(key) for key in about} != about:
            raise OutputError(
                f"{self.folder} holds a table of other pictures, or by another protocol; choose "
                "another folder with -o"
            )

    def _read_about(self) -> dict[str, Any]:
        try:
            there = json.loads(self._about.read_text("utf-8"))
        except ValueError:
            there = None
        return there if isinstance(there, dict) else {}


def _as_text(about: dict[str, Any]) -> str:
    return json.dumps(about, indent=2) + "\n"


def _line(cells: Iterable[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(cells)
    return text.getvalue().encode()


def as_json(one: ResultAverage) -> dict[str, Any]:
    """Give an average as a summary has it."""
    told = {**dataclasses.asdict(one), "noise_level": one.noise_level}
    return {
        key: round(value, 6) if isinstance(value, float) else value for key, value in told.items()
    }
