"""Denoise a folder into another; a second run processes only what has changed."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from autodenoise.discovery import scan
from autodenoise.errors import InputError, OutputError, UsageError
from autodenoise.files import digest, make_folder
from autodenoise.images import SUFFIXES
from autodenoise.runtime.batch import FileTask, denoise_all
from autodenoise.runtime.denoising import DenoiseOptions, denoise_file, with_memory_limit
from autodenoise.runtime.manifest import Manifest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from autodenoise.runtime.batch import BatchProgress, BatchSummary, Progress
    from autodenoise.runtime.denoising import DenoiseResult
    from autodenoise.runtime.model import Model

__all__ = ["check_suffix", "default_output", "denoise_folder", "output_pairs"]

_UNFINISHED_NAME = ".autodenoise-unfinished"


def default_output(source: Path, suffix: str | None = None) -> Path:
    """Return the default output path.

    ``photo.jpg`` becomes ``photo.denoised.jpg``, or another `suffix`, and the folder ``in`` becomes
    ``in.denoised``.
    """
    if source.is_dir():
        folder = source if source.name not in ("", "..") else source.resolve()
        if not folder.name:
            raise UsageError(
                f"{folder} has no parent folder for the output; choose a folder with -o"
            )
        return folder.with_name(f"{folder.name}.denoised")
    return source.with_name(f"{source.stem}.denoised{suffix or source.suffix}")


def output_pairs(
    sources: Sequence[Path], output: str | None, suffix: str | None = None
) -> list[tuple[Path, Path]]:
    """Return the pairs of input and output files.

    `output` is a folder if there are several sources, if it ends in a slash, or if it is an
    existing folder; else the output file. A missing folder is created. None uses `default_output`.
    `suffix` is for outputs that `output` does not name; by default that of each source.
    """
    check_suffix(suffix)
    if output is None:
        return [(source, default_output(source, suffix)) for source in sources]
    into = Path(output)
    if len(sources) == 1 and not output.endswith(("/", os.sep)) and not into.is_dir():
        if suffix is not None and into.suffix.lower() != suffix.lower():
            raise UsageError(f"{into} does not end in the requested {suffix}; omit one of them")
        return [(sources[0], into)]
    make_folder(into)
    return [(source, into / _renamed(Path(source.name), suffix)) for source in sources]


def denoise_folder(
    model: Model,
    source: Path,
    target: Path,
    options: DenoiseOptions | None = None,
    *,
    recursive: bool = False,
    overwrite: bool = False,
    jobs: int = 2,
    suffix: str | None = None,
    report: BatchProgress | None = None,
) -> BatchSummary:
    """Denoise the image files of a folder into another folder.

    Files that are already denoised and unchanged are not processed again: a manifest in the target
    folder records the source and the options of each output. After a stop, even by a power
    failure, the same call continues. Existing files in the target folder that have another origin,
    or were changed since, are not overwritten.

    Parameters
    ----------
    model
        The denoiser.
    source, target
        The folders. `target` is created if it is missing, and not searched if it is in `source`.
    options
        By default full strength. The memory limit applies to each file.
    recursive
        Include subfolders and keep their structure.
    overwrite
        Replace existing files of any origin.
    jobs
        Number of files to denoise in parallel; it does not affect the results.
    suffix
        Suffix of the outputs, such as ``.png``; by default that of each source.
    report
        Receives progress.

    Returns
    -------
    BatchSummary
        Includes the files that failed; one bad file never stops the batch.

    Raises
    ------
    InputError
        `source` is not a readable folder, or contains no image files.
    OutputError
        `target` cannot be written, or another process is using it.
    UsageError
        `target` is `source`, `suffix` is not an image format, or `jobs` is less than 1.
    Interrupted
        SIGINT or SIGTERM was received. Unfinished files are discarded, finished ones remain.
    """
    check_suffix(suffix)
    if target.exists() and source.exists() and target.samefile(source):
        raise UsageError(f"the output folder {target} is the input folder; choose another with -o")
    found = scan(source, recursive=recursive, exclude=target)
    if not found.images and not found.failed:
        skipped = "".join(f"; skipped {s.name}: {s.reason}" for s in found.skipped[:3])
        raise InputError(f"{source} contains no image files{skipped}")
    tasks = [
        FileTask.of(path.as_posix(), source / path, target / _renamed(path, suffix))
        for path in found.images
    ]
    make_folder(target)
    options = with_memory_limit(options or DenoiseOptions())
    # The options that affect the output, which memory does not, by their names in the manifest.
    affecting = dataclasses.asdict(options)
    del affecting["memory"]
    affecting["scale"] = affecting.pop("intensity_range")
    making = {"model": digest(model.path), "options": affecting}
    with Manifest(target, source, making) as manifest, _unfinished_folder(target) as unfinished:

        def work(task: FileTask, progress: Progress) -> DenoiseResult | None:
            name = task.target.relative_to(target).as_posix()
            if manifest.is_done(task, name):
                return None
            if os.path.lexists(task.target) and not overwrite:
                _check_origin(task, manifest.made_from(task, name))
            content, unnamed = digest(task.source), unfinished / name
            make_folder(unnamed.parent)
            try:
                result = denoise_file(model, task.source, unnamed, options, progress=progress)
            except OutputError as error:
                raise OutputError(str(error).replace(str(unnamed), str(task.target))) from None
            # Before the rename, so that the manifest lists every finished file even if the process
            # is killed in between.
            manifest.add(task, name, content, unnamed)
            _rename(unnamed, task.target)
            return dataclasses.replace(result, target=task.target)

        return denoise_all(
            tasks,
            work,
            jobs=jobs,
            report=report,
            resume_hint="run the same command to continue",
            failures=found.failed,
            skipped=found.skipped,
        )


def _check_origin(task: FileTask, origin: Path | None) -> None:
    """Check that an existing target is an older output of the same task."""
    if origin == task.source:
        return
    reason = "was not made by autodenoise, or was changed since"
    if origin is not None:
        reason = f"is the output for {origin}"
    raise OutputError(f"{task.target} exists already and {reason}; --overwrite replaces it")


@contextlib.contextmanager
def _unfinished_folder(target: Path) -> Iterator[Path]:
    """Yield an empty folder for unfinished files, and remove it at the end."""
    folder = target / _UNFINISHED_NAME
    shutil.rmtree(folder, ignore_errors=True)
    make_folder(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _rename(file: Path, target: Path) -> None:
    make_folder(target.parent)
    try:
        file.replace(target)
    except OSError as error:
        raise OutputError(f"cannot write {target}: {error.strerror}") from error


def check_suffix(suffix: str | None) -> None:
    """Raise `UsageError` unless the suffix is None or that of a supported image format."""
    if suffix is not None and suffix.lower() not in SUFFIXES:
        raise UsageError(
            f"unsupported suffix {suffix}; expected one of {', '.join(sorted(SUFFIXES))}"
        )


def _renamed(path: Path, suffix: str | None) -> Path:
    return path if suffix is None else path.with_suffix(suffix)
