"""Training as TensorBoard shows it: curves, pictures and the table of hyperparameters."""

from __future__ import annotations

import contextlib
import io
import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams.summary_v2 import hparams_pb
from tensorboard.summary.writer.record_writer import RecordWriter

from autodenoise.data.crops import as_float
from autodenoise.errors import OutputError
from autodenoise.files import make_folder
from autodenoise.recipes import settings_of
from autodenoise.recipes.search_space import label
from autodenoise.runs.run import to_images
from autodenoise.training.validation import corrupt

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from autodenoise.recipes import Recipe
    from autodenoise.training.history import EpochRow
    from autodenoise.training.state import Training, TrainingStatus

__all__ = ["Tracking", "hyperparameters"]

_IMAGES = 8
_PICTURES = 10
_EVENTS = "events.out.tfevents"
_SIDE, _GAP = 84, 6  # pixels


class Tracking:
    """A report of training that writes TensorBoard's event files.

    A step there is an epoch, counted over all phases. Losses, learning rate and images a second
    are drawn after each, and some ten times a run the same few validation images: a row of them
    clean where anybody has them so, a row noisy, a row denoised. The table of hyperparameters has
    the last losses beside them.

    A later sitting goes on where the checkpoint is: what was drawn beyond is taken back, what is
    missing is made up for.

    Parameters
    ----------
    folder
        For the event files; made where it is missing.
    values
        The hyperparameters: numbers, words and truth values by name.

    Raises
    ------
    OutputError
        The folder cannot be made.
    """

    def __init__(self, folder: Path, values: Mapping[str, bool | int | float | str]) -> None:
        make_folder(folder)
        self._folder, self._values = folder, values
        self._step = 0
        self._files = contextlib.ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._files.close()

    def begin(self, training: Training, rows: tuple[EpochRow, ...]) -> None:
        """Open the files, and bring them to where training stands."""
        self._step = min(_last_step(self._folder), len(rows))
        self._events = self._files.enter_context(_EventFile(self._folder, len(rows)))
        if self._events.is_first:
            # Without a list of columns, for which TensorBoard would take one run's for all's.
            self._events.add(summary=hparams_pb(dict(self._values)))
        for row in rows[self._step :]:
            self._draw_curves(row)
        self._training = training
        # Of a phase that is given minutes nobody knows: a picture an epoch.
        timed = any(phase.minutes is not None for phase in training.phases.values())
        epochs = 0 if timed else sum(phase.epochs for phase in training.phases.values())
        self._every = max(1, epochs // _PICTURES)
        clean, noisy, _ = training.validation.map(lambda images: images.to(training.device))
        if noisy is None and clean is not None:
            noisy = corrupt(training.noise, clean, training.seed, training.validation_split)
        assert noisy is not None
        self._rows = {} if clean is None else {"clean": as_float(clean[:_IMAGES])}
        self._rows["noisy"] = as_float(noisy[:_IMAGES])

    def step(self, status: TrainingStatus) -> None:
        """Wait for the epoch's end."""

    def epoch(self, row: EpochRow) -> None:
        """Draw an epoch."""
        self._draw_curves(row)
        if self._step % self._every == 0 or self._step == 1:
            self._draw_images()

    def _draw_curves(self, row: EpochRow) -> None:
        self._step += 1
        values = [
            Summary.Value(tag=f"{row.phase}/{name}", simple_value=getattr(row, name))
            for name in ("loss", "val_loss", "learning_rate", "images_per_second")
        ]
        self._events.add(summary=Summary(value=values), step=self._step)

    @torch.no_grad()
    def _draw_images(self) -> None:
        denoised = self._training.network.denoise(self._rows["noisy"])
        rows = {**self._rows, "denoised": denoised}
        sheet = _contact_sheet([to_images(row.cpu()) for row in rows.values()])
        picture = Image.fromarray((sheet * 255).round().astype(np.uint8).squeeze())
        png = io.BytesIO()
        picture.save(png, "png")
        image = Summary.Image(
            height=picture.height,
            width=picture.width,
            colorspace=len(picture.getbands()),
            encoded_image_string=png.getvalue(),
        )
        value = Summary.Value(tag=", ".join(rows), image=image)
        self._events.add(summary=Summary(value=[value]), step=self._step)


class _EventFile:
    """One sitting's events.

    TensorBoard reads the files of a folder in the order of their names. Its own writer names them
    by the second, in which a sitting may end and the next begin; these are counted.
    """

    def __init__(self, folder: Path, done: int) -> None:
        earlier = sorted(folder.glob(f"{_EVENTS}.*"))
        self.is_first = not earlier
        number = 0 if self.is_first else int(earlier[-1].suffix[1:]) + 1
        self._path = folder / f"{_EVENTS}.{number:010}"
        with self._writing():
            self._file = RecordWriter(self._path.open("xb"))
        self.add(file_version="brain.Event:2")
        if earlier:
            # Takes back what was drawn from here on.
            self.add(step=done + 1, session_log=SessionLog(status=SessionLog.START))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, **what: object) -> None:
        """Write an event of these fields."""
        with self._writing():
            self._file.write(Event(wall_time=time.time(), **what).SerializeToString())
            self._file.flush()

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise OutputError(f"cannot write {self._path}: {error.strerror}") from None


def _contact_sheet(rows: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Put rows of images (N, H, W, C) under each other: (H', W', 3) or (H', W', 1)."""
    shown = np.clip(np.stack(rows), 0, 1)
    shown = shown if shown.shape[-1] == 3 else shown[..., :1]
    # TensorBoard blurs what it enlarges.
    times = math.ceil(_SIDE / min(shown.shape[2:4]))
    shown = shown.repeat(times, axis=2).repeat(times, axis=3)
    gap = ((0, 0), (0, 0), (0, _GAP), (0, _GAP), (0, 0))
    framed = np.pad(shown, gap, constant_values=1)
    sheet = np.concatenate(np.concatenate(framed, axis=1), axis=1)
    return sheet[:-_GAP, :-_GAP]


def hyperparameters(recipe: Recipe) -> dict[str, bool | int | float | str]:
    """Give a recipe's settings by their path, but for what is only told of it."""
    decisive = ("data", "noise", "network", "phase", "validation", "keep", "seed")
    values = {
        path: label(value)
        for path, value in settings_of(recipe).items()
        if path.split(".")[0] in decisive
    }
    # The name alone: event files are passed on.
    folders = {"data.source": recipe.data.source, "data.targets": recipe.data.targets}
    return {**values, **{key: Path(path).name for key, path in folders.items()}}


def _last_step(folder: Path) -> int:
    events = EventAccumulator(str(folder))
    events.Reload()
    curves = [events.Scalars(tag) for tag in events.Tags()["scalars"]]
    return max((curve[-1].step for curve in curves), default=0)
