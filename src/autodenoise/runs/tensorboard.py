"""Write TensorBoard events: curves, images and hyperparameters."""

from __future__ import annotations

import contextlib
import io
import math
import time
from pathlib import Path
from typing import TYPE_CHECKING

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

_MAX_IMAGES = 8
_IMAGE_EVENTS = 10
_EVENTS = "events.out.tfevents"
_MIN_SIDE, _GAP = 84, 6  # pixels


class Tracking(contextlib.ExitStack):
    """A training callback that writes TensorBoard event files.

    A step is an epoch, counted over all phases. Losses, learning rate and images per second are
    written after each epoch; about ten times per run, so are the same few validation images: clean
    if available, noisy and denoised.

    A resumed run continues at its checkpoint: later events are superseded, missing ones are added.
    `values` are the hyperparameters by name.
    """

    def __init__(self, folder: Path, values: Mapping[str, bool | int | float | str]) -> None:
        super().__init__()
        make_folder(folder)
        self._folder, self._values = folder, values
        self._step = 0

    def begin(self, training: Training, rows: tuple[EpochRow, ...]) -> None:
        """Open the event file, and add the epochs that are missing."""
        written = EventAccumulator(str(self._folder))
        written.Reload()
        curves = [written.Scalars(tag) for tag in written.Tags()["scalars"]]
        self._step = min(max((curve[-1].step for curve in curves), default=0), len(rows))
        self._events = _EventFile(self._folder, len(rows))
        self.callback(self._events.file.close)
        if self._events.is_first:
            # No list of columns: TensorBoard would apply that of one run to all runs.
            self._events.add(summary=hparams_pb(dict(self._values)))
        for row in rows[self._step :]:
            self._write_scalars(row)
        self._training = training
        # The number of epochs is unknown if a phase is limited by time: write images in every one.
        timed = any(phase.minutes is not None for phase in training.phases.values())
        epochs = 0 if timed else sum(phase.epochs for phase in training.phases.values())
        self._every = max(1, epochs // _IMAGE_EVENTS)
        clean, noisy, _ = training.validation.map(lambda images: images.to(training.device))
        if noisy is None and clean is not None:
            noisy = corrupt(training.noise, clean, training.seed, training.validation_split)
        assert noisy is not None
        self._rows = {} if clean is None else {"clean": as_float(clean[:_MAX_IMAGES])}
        self._rows["noisy"] = as_float(noisy[:_MAX_IMAGES])

    def step(self, status: TrainingStatus) -> None:
        """Do nothing before the end of the epoch."""

    def epoch(self, row: EpochRow) -> None:
        """Write an epoch."""
        self._write_scalars(row)
        if self._step % self._every == 0 or self._step == 1:
            self._write_images()

    def _write_scalars(self, row: EpochRow) -> None:
        self._step += 1
        values = [
            Summary.Value(tag=f"{row.phase}/{name}", simple_value=getattr(row, name))
            for name in ("loss", "val_loss", "learning_rate", "images_per_second")
        ]
        self._events.add(summary=Summary(value=values), step=self._step)

    @torch.no_grad()
    def _write_images(self) -> None:
        denoised = self._training.network.denoise(self._rows["noisy"])
        rows = {**self._rows, "denoised": denoised}
        sheet = _contact_sheet([to_images(row.cpu()) for row in rows.values()])
        image = Image.fromarray((sheet * 255).round().astype(np.uint8).squeeze())
        png = io.BytesIO()
        image.save(png, "png")
        summary = Summary.Image(
            height=image.height,
            width=image.width,
            colorspace=len(image.getbands()),
            encoded_image_string=png.getvalue(),
        )
        value = Summary.Value(tag=", ".join(rows), image=summary)
        self._events.add(summary=Summary(value=[value]), step=self._step)


class _EventFile:
    """The event file of one process.

    TensorBoard reads the files of a folder in the order of their names. Its own writer names them
    by the second, in which one process may end and the next begin; these are numbered.
    """

    def __init__(self, folder: Path, done: int) -> None:
        earlier = sorted(folder.glob(f"{_EVENTS}.*"))
        self.is_first = not earlier
        number = 0 if self.is_first else int(earlier[-1].suffix[1:]) + 1
        self._path = folder / f"{_EVENTS}.{number:010}"
        with self._writing():
            self.file = RecordWriter(self._path.open("xb"))
        self.add(file_version="brain.Event:2")
        if earlier:
            # Supersedes the events from here on.
            self.add(step=done + 1, session_log=SessionLog(status=SessionLog.START))

    def add(self, **fields: object) -> None:
        """Write an event."""
        with self._writing():
            self.file.write(Event(wall_time=time.time(), **fields).SerializeToString())
            self.file.flush()

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise OutputError(f"cannot write {self._path}: {error.strerror}") from None


def _contact_sheet(rows: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Arrange rows of images (N, H, W, C) in one image, (H', W', 3) or (H', W', 1)."""
    shown = np.clip(np.stack(rows), 0, 1)
    shown = shown if shown.shape[-1] == 3 else shown[..., :1]
    # TensorBoard blurs small images when it enlarges them.
    factor = math.ceil(_MIN_SIDE / min(shown.shape[2:4]))
    shown = shown.repeat(factor, axis=2).repeat(factor, axis=3)
    gap = ((0, 0), (0, 0), (0, _GAP), (0, _GAP), (0, 0))
    framed = np.pad(shown, gap, constant_values=1)
    sheet = np.concatenate(np.concatenate(framed, axis=1), axis=1)
    return sheet[:-_GAP, :-_GAP]


def hyperparameters(recipe: Recipe) -> dict[str, bool | int | float | str]:
    """Return the settings of a recipe that affect training, by their path."""
    effective = ("data", "noise", "network", "phase", "validation", "keep", "seed")
    values = {
        path: label(value)
        for path, value in settings_of(recipe).items()
        if path.split(".")[0] in effective
    }
    # Only the names: event files are shared, and paths are private.
    folders = {"data.source": recipe.data.source, "data.targets": recipe.data.targets}
    return {**values, **{key: Path(path).name for key, path in folders.items()}}
