"""Tables of scores: denoisers on pictures whose clean version is known, by the published protocol.

::

    references = ReferenceSet.open("set12")
    chosen = choose(["all"], ["all"], references)
    table = score(references, chosen, Path("report"), [AddedNoise("gaussian", 25)])

What a folder holds when it is done::

    rows.csv       a line for each picture, noise and denoiser
    summary.json   averages, protocol, machine and versions
    report.md      the same to read
    speed.png      quality against speed
    crops.png      the middle of the middle picture, by everyone, and what is wrong with it
    protocol.json  what the rows are of; a folder is gone on with only where that is the same
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from autodenoise.benchmark import report as scorecard
from autodenoise.benchmark.baselines import INPUT
from autodenoise.benchmark.datasets import BenchmarkDataset, ReferenceImage
from autodenoise.benchmark.denoisers import BenchmarkDenoiser, DenoiserSelection, choose
from autodenoise.benchmark.protocol import AddedNoise, score_input, score_output
from autodenoise.benchmark.results_table import ResultAverage, ResultRow, ResultsTable
from autodenoise.errors import InputError, Interrupted, UsageError
from autodenoise.images import to_float
from autodenoise.plots import crops
from autodenoise.signals import stop_requests

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    Pixels = NDArray[np.float32]

__all__ = ["REAL", "AddedNoise", "BenchmarkDataset", "OnRow", "Table", "choose", "score"]

REAL = "real"
"""What the noise of pairs is called in a table."""


class OnRow(Protocol):
    """Hears how a table goes."""

    def __call__(self, row: ResultRow, done: int, total: int) -> None:
        """Take a row that is on disk now, and how many are of those that were missing."""
        ...


@dataclass(frozen=True)
class Table:
    """A finished table.

    Attributes
    ----------
    folder
        Where its files are.
    averages
        The best of each noise first; also what earlier calls have scored there.
    notes
        A sentence about each denoiser that was passed over, and about what could not be drawn.
    environments
        The machines and versions that it was computed with: one, unless calls differed.
    files
        What was written for people to read.
    """

    folder: Path
    averages: tuple[ResultAverage, ...]
    notes: tuple[str, ...]
    environments: tuple[dict[str, Any], ...]
    files: tuple[Path, ...]


def score(
    references: BenchmarkDataset,
    chosen: DenoiserSelection,
    folder: Path,
    noises: Sequence[AddedNoise] = (),
    *,
    on_row: OnRow | None = None,
) -> Table:
    """Score denoisers, and write the table.

    Rows that the folder has already are not computed again, unless the model file or the baseline
    is another by now. So a call that was stopped is gone on with by the same call, and one with
    more noises or denoisers adds to the table.

    Parameters
    ----------
    references
        The pictures.
    chosen
        The denoisers.
    folder
        Where the table is, or goes.
    noises
        What is added to each picture. None for pairs, which bring theirs.
    on_row
        Told of each row.

    Raises
    ------
    UsageError
        There are noises for pairs, or none for clean pictures.
    InputError
        A picture is damaged, or a denoiser cannot work on it.
    OutputError
        The folder holds something else, is in use, or cannot be written.
    Interrupted
        Ctrl-C was pressed; all rows so far are kept.
    """
    if references.paired and noises:
        raise UsageError("pairs bring their own noise; leave out --noise")
    if not references.paired and not noises:
        raise UsageError("clean pictures need noise to be added; say which, as in gaussian:25")
    identities = {one.name: one.identity for one in chosen.candidates}
    with ResultsTable(folder, references, identities) as sheet, stop_requests() as stop:
        _fill(sheet, references, chosen.candidates, list(dict.fromkeys(noises)), stop, on_row)
        averages = sheet.averages()
        files, notes = scorecard.write(
            folder, references, averages, chosen.notes, sheet.environments
        )
    return Table(folder, tuple(averages), notes, tuple(sheet.environments), files)


def _fill(
    sheet: ResultsTable,
    references: BenchmarkDataset,
    candidates: Sequence[BenchmarkDenoiser],
    noises: Sequence[AddedNoise],
    stop: threading.Event,
    on_row: OnRow | None,
) -> None:
    """Compute what is missing, picture by picture, so that all denoisers meet the same machine."""
    kinds: list[AddedNoise | None] = [None] if references.paired else [*noises]
    missing = [
        (image, noise, wanted)
        for image in references.images
        for noise in kinds
        if (wanted := [one for one in candidates if _key(image, noise, one) not in sheet])
    ]
    total, done = sum(len(wanted) for _, _, wanted in missing), 0
    ready: dict[str, Callable[[Pixels, float | None], Pixels]] = {}
    middle = references.middle
    for image, noise, wanted in missing:
        clean, with_noise = image.read()
        noisy = to_float(clean if with_noise is None else with_noise)
        sigma = None
        if noise is not None:
            noisy, sigma = noise(noisy), noise.sigma
        for candidate in wanted:
            if stop.is_set():
                raise Interrupted(
                    f"stopped: {done:,} of {total:,} rows are done and kept in {sheet.folder}; "
                    "the same command goes on"
                )
            try:
                if candidate.name not in ready:
                    ready[candidate.name] = candidate.open()
                    ready[candidate.name](noisy, sigma)
                begun = time.perf_counter()
                output = ready[candidate.name](noisy, sigma)
                seconds = time.perf_counter() - begun
                scored = score_input if candidate.name == INPUT else score_output
                psnr, ssim = scored(clean, output)
            except InputError as error:
                raise InputError(f"{candidate.name} on {image.name}: {error}") from None
            if image is middle:
                # First the picture, then the row that says that it is there.
                crops.keep(sheet.folder, _name(noise), candidate.name, candidate.identity, output)
            height, width, _ = image.shape
            row = ResultRow(
                *_key(image, noise, candidate),
                parameters=candidate.parameters,
                psnr=psnr,
                ssim=ssim,
                seconds=seconds,
                megapixels=height * width / 1e6,
            )
            sheet.add(row)
            done += 1
            if on_row is not None:
                on_row(row, done, total)


def _key(
    image: ReferenceImage, noise: AddedNoise | None, candidate: BenchmarkDenoiser
) -> tuple[str, str, str, str]:
    return image.name, _name(noise), candidate.name, candidate.identity


def _name(noise: AddedNoise | None) -> str:
    return REAL if noise is None else noise.name
