"""Rows of a results table, saved as they are computed: one per image, noise and denoiser."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import hashlib
import io
import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from autodenoise.benchmark.baselines import BASELINES
from autodenoise.benchmark.denoisers import is_model
from autodenoise.benchmark.protocol import EARLIER_PROTOCOLS, PROTOCOL
from autodenoise.errors import OutputError
from autodenoise.files import make_folder, write_text
from autodenoise.locks import LockedFile
from autodenoise.system import environment

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from autodenoise.benchmark.datasets import BenchmarkDataset

__all__ = ["PACKAGES", "ROWS_FILE", "ResultAverage", "ResultRow", "ResultsFolder", "average"]

ROWS_FILE = "rows.csv"
_PROTOCOL_FILE = "protocol.json"
_MAX_PSNR = 100.0

PACKAGES = ("autodenoise", "numpy", "onnxruntime", "pyvips", "scikit-image", "PyWavelets")
"""Packages whose versions are recorded."""


@dataclass(frozen=True)
class ResultRow:
    """The score of one denoiser on one image with one noise.

    Attributes
    ----------
    image, noise, denoiser
        Names.
    identity
        `BenchmarkDenoiser.identity` of the denoiser.
    parameters
        Number of trained parameters; None for a baseline.
    psnr
        In dB; ``inf`` if output and clean image are equal.
    ssim
        None for images smaller than its window.
    seconds
        Wall time of the denoiser's call.
    megapixels
        Size of the image.
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
        """Image, noise, denoiser and identity."""
        return self.image, self.noise, self.denoiser, self.identity

    def to_csv(self) -> list[str]:
        """Return the cells of the row, in the order of the columns."""
        speed = f"{self.megapixels / max(self.seconds, 1e-6):.4f}"
        values = {**dataclasses.asdict(self), "mp_per_s": speed}
        cells = (values[column] for column in _COLUMNS)
        return [
            "" if cell is None else f"{cell:.6f}" if isinstance(cell, float) else str(cell)
            for cell in cells
        ]

    @classmethod
    def from_csv(cls, cells: Sequence[str]) -> Self:
        """Parse the cells of a row; raise `ValueError` if one is missing or not a number."""
        values: dict[str, Any] = dict(zip(_COLUMNS, cells, strict=True))
        del values["mp_per_s"]
        for column in ("psnr", "seconds", "megapixels"):
            values[column] = float(values[column])
        values["parameters"] = int(values["parameters"]) if values["parameters"] else None
        values["ssim"] = float(values["ssim"]) if values["ssim"] else None
        return cls(**values)


_COLUMNS = (
    *("image", "noise", "denoiser", "psnr", "ssim", "seconds", "mp_per_s", "megapixels"),
    *("parameters", "identity"),
)


@dataclass(frozen=True)
class ResultAverage:
    """Mean scores of a denoiser over all images of a dataset with one noise.

    Attributes
    ----------
    noise, denoiser, identity, parameters
        As in `ResultRow`.
    images
        Number of images.
    psnr
        Mean in dB; each image counts at most 100 dB.
    ssim
        Mean; None if an image is smaller than the window.
    seconds
        Mean per image.
    mp_per_s
        Total megapixels over total seconds.
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
        """What the denoiser knows about the noise level: see `report`; empty if irrelevant."""
        if is_model(self.identity):
            return "blind"
        baseline = BASELINES.get(self.denoiser)
        if baseline is None or not baseline.takes_sigma:
            return ""
        return "known" if self.noise.startswith("gaussian:") else "estimated"

    def to_json(self) -> dict[str, Any]:
        """Return the fields as in ``summary.json``."""
        fields = {**dataclasses.asdict(self), "noise_level": self.noise_level}
        return {k: round(v, 6) if isinstance(v, float) else v for k, v in fields.items()}


def average(rows: Sequence[ResultRow]) -> ResultAverage:
    """Average the rows of one denoiser with one noise."""
    ssims = [row.ssim for row in rows if row.ssim is not None]
    seconds = math.fsum(row.seconds for row in rows)
    return ResultAverage(
        noise=rows[0].noise,
        denoiser=rows[0].denoiser,
        identity=rows[0].identity,
        parameters=rows[0].parameters,
        images=len(rows),
        psnr=math.fsum(min(row.psnr, _MAX_PSNR) for row in rows) / len(rows),
        ssim=math.fsum(ssims) / len(rows) if len(ssims) == len(rows) else None,
        seconds=seconds / len(rows),
        mp_per_s=math.fsum(row.megapixels for row in rows) / max(seconds, 1e-6),
    )


class ResultsFolder:
    """The output folder of a benchmark, which one process at a time can add rows to.

    It is created if missing. An existing one is continued if its protocol and images are the same.
    `identities` are those of the denoisers to be scored now, by name; for other names the identity
    that was scored last counts. `environments` are the machines and versions that computed the
    rows.
    """

    def __init__(
        self, folder: Path, dataset: BenchmarkDataset, identities: Mapping[str, str]
    ) -> None:
        make_folder(folder)
        self.folder = folder
        self._protocol_file, self._environment = folder / _PROTOCOL_FILE, environment(*PACKAGES)
        self._dataset = dataset
        self._rows: dict[tuple[str, str, str, str], ResultRow] = {}
        self._check()
        self._file = LockedFile(folder / ROWS_FILE)
        try:
            lines = list(self._file.lines())
            if not lines:
                self._file.append(_csv_line(_COLUMNS))
            names = {image.name for image in dataset.images}
            for line in lines:
                # Skips the header, damaged rows, and rows of other images.
                with contextlib.suppress(ValueError, csv.Error):
                    (cells,) = csv.reader([line.decode()])
                    row = ResultRow.from_csv(cells)
                    if row.image in names:
                        self._rows[row.key] = row
            content = self._read()
            self.environments: list[dict[str, Any]] = content.get("environments", [])
            # Rows alone do not tell: a model file that was changed back gets no new rows.
            last = {row.denoiser: row.identity for row in self._rows.values()}
            self._identities = {**last, **content.get("identities", {}), **identities}
            if self._identities != content.get("identities"):
                self._write({**content, "identities": self._identities})
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __contains__(self, key: tuple[str, str, str, str]) -> bool:
        return key in self._rows

    def add(self, row: ResultRow) -> None:
        """Save a row."""
        if self._environment not in self.environments:
            self.environments.append(self._environment)
            self._write({**self._read(), "environments": self.environments})
        cells = row.to_csv()
        self._file.append(_csv_line(cells))
        # Rounded as in the file, so that a later process computes the same averages.
        self._rows[row.key] = ResultRow.from_csv(cells)

    def averages(self) -> list[ResultAverage]:
        """Average over all images, where all rows exist; the highest PSNR of each noise first."""
        groups: dict[tuple[str, str], list[ResultRow]] = {}
        for row in self._rows.values():
            if self._identities[row.denoiser] == row.identity:
                groups.setdefault((row.noise, row.denoiser), []).append(row)
        count = len(self._dataset.images)
        averages = [average(rows) for rows in groups.values() if len(rows) == count]
        noises = list(dict.fromkeys(noise for noise, _ in groups))
        return sorted(averages, key=lambda one: (noises.index(one.noise), -one.psnr))

    def _check(self) -> None:
        expected: dict[str, Any] = {
            "protocol": PROTOCOL,
            "set": self._dataset.name,
            "images": {image.name: image.digest for image in self._dataset.images},
        }
        if not self._protocol_file.exists():
            if any(self.folder.iterdir()):
                raise OutputError(
                    f"{self.folder} is not empty and is not a benchmark's output folder; choose "
                    "another folder with -o"
                )
            self._write(expected)
        content = self._read()
        protocol = str(content.get("protocol"))
        if hashlib.sha256(protocol.encode()).hexdigest() in EARLIER_PROTOCOLS:
            content["protocol"] = PROTOCOL
        if {key: content.get(key) for key in expected} != expected:
            raise OutputError(
                f"{self.folder} holds results for other images or by another protocol; choose "
                "another folder with -o"
            )

    def _read(self) -> dict[str, Any]:
        try:
            content = json.loads(self._protocol_file.read_text("utf-8"))
        except ValueError:
            content = None
        return content if isinstance(content, dict) else {}

    def _write(self, content: dict[str, Any]) -> None:
        write_text(self._protocol_file, json.dumps(content, indent=2) + "\n")


def _csv_line(cells: Iterable[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(cells)
    return text.getvalue().encode()
