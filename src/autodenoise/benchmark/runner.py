"""Run a benchmark: add the protocol's noise, time each denoiser, score its output, write the table.

An output folder holds::

    rows.csv       a row per image, noise and denoiser
    summary.json   averages, protocol, machine and versions
    report.md      the same for people to read
    speed.png      PSNR against speed
    crops.png      the center of one image, denoised by each, and the errors
    protocol.json  what the rows were measured on; a folder is continued only if this matches
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from autodenoise.benchmark import crops, report
from autodenoise.benchmark.baselines import INPUT
from autodenoise.benchmark.datasets import BenchmarkDataset, BenchmarkImage
from autodenoise.benchmark.denoisers import ALL, BenchmarkDenoiser, select_denoisers
from autodenoise.benchmark.protocol import AddedNoise, score_input, score_output
from autodenoise.benchmark.results_table import ResultAverage, ResultRow, ResultsFolder
from autodenoise.errors import InputError, Interrupted, UsageError
from autodenoise.images import to_float
from autodenoise.signals import stop_requests

if TYPE_CHECKING:
    import os
    import threading
    from collections.abc import Iterable, Sequence

    from autodenoise.benchmark.denoisers import Denoise

__all__ = ["REAL_NOISE", "OnRow", "ResultsTable", "run_benchmark"]

REAL_NOISE = "real"
"""The name of the noise in noisy/clean pairs."""


class OnRow(Protocol):
    """A callback that reports progress."""

    def __call__(self, row: ResultRow, done: int, total: int) -> None:
        """Handle a new row, which is on disk; `done` of `total` missing rows are computed."""
        ...


@dataclass(frozen=True)
class ResultsTable:
    """The averages of a finished benchmark.

    Attributes
    ----------
    folder
        The output folder.
    averages
        Mean scores per noise and denoiser, the highest PSNR of each noise first. They include
        denoisers and noises from earlier calls with the same folder.
    notes
        Messages: skipped denoisers, missing figures.
    environments
        The machines and package versions that computed the rows.
    files
        The files that were written besides the rows.
    """

    folder: Path
    averages: tuple[ResultAverage, ...]
    notes: tuple[str, ...]
    environments: tuple[dict[str, Any], ...]
    files: tuple[Path, ...]


def run_benchmark(
    dataset: BenchmarkDataset | str | os.PathLike[str],
    output: str | os.PathLike[str] = "report",
    *,
    models: Iterable[str] = (ALL,),
    baselines: Iterable[str] = (),
    noises: Iterable[AddedNoise | str] = (),
    on_row: OnRow | None = None,
) -> ResultsTable:
    """Score denoisers on a dataset and write a results table.

    Rows that the output folder already holds are not computed again, unless the model file or the
    baseline has changed. The same call therefore continues a benchmark that was interrupted, and a
    call with more noises or denoisers extends it.

    Parameters
    ----------
    dataset
        A `BenchmarkDataset`, the name of a published dataset (``"set12"``, ``"bsd68"``,
        ``"cbsd68"``, ``"bsds-val32"``), or a folder of clean images.
    output
        The output folder; created if missing.
    models
        Names of models, model files or run folders; ``"all"`` for every model that
        `autodenoise.runtime.list_models` finds.
    baselines
        Names of classical denoisers; ``"all"`` for every installed one. The noisy input, a median
        and a Gaussian blur are always included.
    noises
        The noise to add to clean images: ``"gaussian:25"`` (sigma of 255) or ``"poisson:30"``
        (photons at white). Leave empty for noisy/clean pairs.
    on_row
        Called after each new row.

    Returns
    -------
    ResultsTable
        The averages of all complete rows.

    Raises
    ------
    UsageError
        A name is unknown, a baseline is not installed, noise is missing for clean images or given
        for pairs.
    InputError
        An image or a model file is missing or damaged, or a denoiser fails on an image.
    OutputError
        The output folder holds something else, is in use by another process, or is not writable.
    Interrupted
        Ctrl-C was pressed; finished rows are saved.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from autodenoise import images
    >>> from autodenoise.benchmark import run_benchmark
    >>> folder = tempfile.TemporaryDirectory()
    >>> gradient = np.tile(np.arange(64, dtype=np.uint8)[:, None], (1, 64, 1)) * 3
    >>> images.write(Path(folder.name, "gradient.png"), gradient.reshape(64, 64, 1))
    >>> table = run_benchmark(
    ...     folder.name, Path(folder.name, "report"), models=[], noises=["gaussian:25"]
    ... )
    >>> [average.denoiser for average in table.averages]
    ['gaussian-blur', 'median', 'noisy']
    >>> folder.cleanup()
    """
    added = [AddedNoise.parse(noise) if isinstance(noise, str) else noise for noise in noises]
    if not isinstance(dataset, BenchmarkDataset):
        dataset = BenchmarkDataset.open(dataset)
    if dataset.paired and added:
        raise UsageError("noisy/clean pairs bring their own noise; leave out --noise")
    if not dataset.paired and not added:
        raise UsageError("clean images need noise to be added; name it, as in gaussian:25")
    denoisers, notes = select_denoisers(dataset, models, baselines)
    identities = {denoiser.name: denoiser.identity for denoiser in denoisers}
    with ResultsFolder(Path(output), dataset, identities) as results, stop_requests() as stop:
        _compute_rows(results, dataset, denoisers, list(dict.fromkeys(added)), stop, on_row)
        averages, environments = results.averages(), results.environments
        files, notes = report.write(results.folder, dataset, averages, notes, environments)
    return ResultsTable(
        results.folder, tuple(averages), tuple(notes), tuple(environments), tuple(files)
    )


def _compute_rows(
    results: ResultsFolder,
    dataset: BenchmarkDataset,
    denoisers: Sequence[BenchmarkDenoiser],
    noises: Sequence[AddedNoise],
    stop: threading.Event,
    on_row: OnRow | None,
) -> None:
    """Compute missing rows image by image, so that load on the machine affects all alike."""
    added: list[AddedNoise | None] = [*noises] or [None]
    missing = [
        (image, noise, todo)
        for image in dataset.images
        for noise in added
        if (todo := [one for one in denoisers if _key(image, noise, one) not in results])
    ]
    total, done = sum(len(todo) for _, _, todo in missing), 0
    loaded: dict[str, Denoise] = {}
    for image, noise, todo in missing:
        clean, with_noise = image.read()
        noisy = to_float(clean if with_noise is None else with_noise)
        sigma = None
        if noise is not None:
            noisy, sigma = noise(noisy), noise.sigma
        for denoiser in todo:
            if stop.is_set():
                raise Interrupted(
                    f"interrupted: {done:,} of {total:,} rows are done and saved in "
                    f"{results.folder}; run the same command to continue"
                )
            key = _key(image, noise, denoiser)
            try:
                if denoiser.name not in loaded:
                    loaded[denoiser.name] = denoiser.load()
                    loaded[denoiser.name](noisy, sigma)  # warm up
                start = time.perf_counter()
                output = loaded[denoiser.name](noisy, sigma)
                seconds = time.perf_counter() - start
                score = score_input if denoiser.name == INPUT else score_output
                psnr, ssim = score(clean, output)
            except InputError as error:
                raise InputError(f"{denoiser.name} on {image.name}: {error}") from None
            if image is dataset.shown_image:
                # The crop first: a row on disk implies that its crop exists.
                crops.save(results.folder, *key[1:], output)
            megapixels = image.shape[0] * image.shape[1] / 1e6
            row = ResultRow(*key, denoiser.parameters, psnr, ssim, seconds, megapixels)
            results.add(row)
            done += 1
            if on_row is not None:
                on_row(row, done, total)


def _key(
    image: BenchmarkImage, noise: AddedNoise | None, denoiser: BenchmarkDenoiser
) -> tuple[str, str, str, str]:
    name = REAL_NOISE if noise is None else noise.name
    return image.name, name, denoiser.name, denoiser.identity
