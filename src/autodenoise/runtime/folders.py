"""A folder of pictures into another, again only where something has changed."""

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
from autodenoise.runtime.batch import denoise_all
from autodenoise.runtime.denoising import DenoiseOptions, DenoiseResult, denoise_file, fixed
from autodenoise.runtime.manifest import Making, Manifest
from autodenoise.runtime.reports import FileTask

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from autodenoise.runtime.batch import Progress
    from autodenoise.runtime.model import Model
    from autodenoise.runtime.reports import BatchProgress, BatchSummary

__all__ = ["beside", "check_suffix", "denoise_folder", "place"]

_WORKSHOP_NAME = ".autodenoise-unfinished"


def beside(source: Path, suffix: str | None = None) -> Path:
    """Give the name of the result where none is asked for.

    ``photo.jpg`` becomes ``photo.denoised.jpg``, or another `suffix`, and the folder ``in`` becomes
    ``in.denoised``.
    """
    if source.is_dir():
        folder = source if source.name not in ("", "..") else source.resolve()
        if not folder.name:
            raise UsageError(f"no folder can lie beside {folder}; choose one with -o")
        return folder.with_name(f"{folder.name}.denoised")
    return source.with_name(f"{source.stem}.denoised{suffix or source.suffix}")


def place(
    sources: Sequence[Path], output: str | None, suffix: str | None = None
) -> list[tuple[Path, Path]]:
    """Say where the result of each picture goes.

    Parameters
    ----------
    sources
        The pictures.
    output
        A folder, made where it is missing, if there are several pictures, if it ends in a slash, or
        if it is one; else the one picture's file. None for `beside`.
    suffix
        The ending of results that are not named in `output`; by default each picture's own.

    Raises
    ------
    OutputError
        The folder cannot be made.
    UsageError
        `suffix` is no picture's, or not that of the one picture's file.
    """
    check_suffix(suffix)
    if output is None:
        return [(source, beside(source, suffix)) for source in sources]
    into = Path(output)
    if len(sources) == 1 and not output.endswith(("/", os.sep)) and not into.is_dir():
        if suffix is not None and into.suffix.lower() != suffix.lower():
            raise UsageError(f"{into} and the format {suffix} do not agree; leave one of them out")
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
    """Clean the pictures of a folder into another, again only where something has changed.

    A manifest in the target folder remembers what each picture was made from, and how. Stopped at
    any moment, even by a power cut, the same call goes on. What is in the target folder and was
    not made so, or from another folder's pictures, or was altered since, is left alone.

    Parameters
    ----------
    model, options, jobs, report
        As for `denoise_files`.
    source, target
        The folders. `target` is made where it is missing, and not looked into if it is in `source`.
    recursive
        Take the folders in `source` too, and keep their structure.
    overwrite
        Replace what else has the name of a result.
    suffix
        The ending of the results, such as ``.png``; by default each picture's own.

    Returns
    -------
    Summary
        A picture that fails stops no other, and is told of there.

    Raises
    ------
    InputError
        `source` is no folder that can be read, or has no pictures.
    OutputError
        `target` cannot be written, or another process is at work on it.
    UsageError
        `target` is `source`, `suffix` is no picture's, or `jobs` is less than 1.
    Interrupted
        SIGINT or SIGTERM came: pictures in work are given up, those that are done stay.
    """
    check_suffix(suffix)
    if target.exists() and source.exists() and target.samefile(source):
        raise UsageError(f"{target} holds the pictures themselves; choose another folder with -o")
    found = scan(source, recursive=recursive, exclude=target)
    if not found.images and not found.failed:
        others = "".join(f"; {passed.name} is {passed.reason}" for passed in found.skipped[:3])
        raise InputError(f"{source} has no pictures{others}")
    tasks = [
        FileTask.of(path.as_posix(), source / path, target / _renamed(path, suffix))
        for path in found.images
    ]
    make_folder(target)
    options = fixed(options or DenoiseOptions())
    with (
        Manifest(target, source, _making(model, options)) as manifest,
        _workshop(target) as workshop,
    ):

        def work(task: FileTask, progress: Progress) -> DenoiseResult | None:
            name = task.target.relative_to(target).as_posix()
            if manifest.is_done(task, name):
                return None
            if os.path.lexists(task.target) and not overwrite:
                _check_ours(task, manifest.made_from(task, name))
            content, unnamed = digest(task.source), workshop / name
            make_folder(unnamed.parent)
            try:
                result = denoise_file(model, task.source, unnamed, options, progress=progress)
            except OutputError as error:
                raise OutputError(str(error).replace(str(unnamed), str(task.target))) from None
            # Before it gets its name, so that whenever the process is killed, every picture that
            # has one is known as ours.
            manifest.add(task, name, content, unnamed)
            _rename(unnamed, task.target)
            return dataclasses.replace(result, target=task.target)

        return denoise_all(
            tasks,
            work,
            jobs=jobs,
            report=report,
            to_go_on="run the same command to go on",
            failures=found.failed,
            passed_over=found.skipped,
        )


def _check_ours(task: FileTask, origin: Path | None) -> None:
    """Check that what has the name of a task's result is an older result of that same task."""
    if origin == task.source:
        return
    said = "was not made here, or was altered since" if origin is None else f"is that of {origin}"
    raise OutputError(f"{task.target} exists already and {said}; --overwrite replaces it")


@contextlib.contextmanager
def _workshop(target: Path) -> Iterator[Path]:
    """Give a folder for pictures that have no name yet; what a killed process left goes."""
    folder = target / _WORKSHOP_NAME
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


def _making(model: Model, options: DenoiseOptions) -> Making:
    said = dataclasses.asdict(options)
    del said["memory"]  # decides how, and not what
    return Making(digest(model.path), said)


def check_suffix(suffix: str | None) -> None:
    """Check that an ending is a picture's, or none.

    Raises
    ------
    UsageError
        It is another.
    """
    if suffix is not None and suffix.lower() not in SUFFIXES:
        raise UsageError(f"the ending {suffix} is none of {', '.join(sorted(SUFFIXES))}")


def _renamed(path: Path, suffix: str | None) -> Path:
    return path if suffix is None else path.with_suffix(suffix)
