"""The training loop."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

import torch
from torch import Tensor

from autodenoise.errors import InputError, Interrupted, TrainingDiverged, UsageError
from autodenoise.learning.checkpoint import (
    State,
    load_state,
    restore,
    save_state,
    save_weights,
)
from autodenoise.learning.data import as_float
from autodenoise.learning.history import Row, write_metrics
from autodenoise.learning.objectives import LOSSES, OBJECTIVES, Batch, Objective
from autodenoise.learning.optim import Adam, Constant, Optimizer, Schedule, set_learning_rate
from autodenoise.learning.process import keep_freed_memory
from autodenoise.learning.randomness import generator
from autodenoise.nets import Autoencoder
from autodenoise.noise import Noise
from autodenoise.stopping import stop_requests

__all__ = [
    "BEST_NAME",
    "CHECKPOINT_NAME",
    "METRICS_NAME",
    "Phase",
    "Report",
    "Status",
    "Training",
    "corrupt",
    "fit",
    "is_over",
    "weights_name",
]

CHECKPOINT_NAME = "checkpoint.safetensors"
BEST_NAME = "best.safetensors"
METRICS_NAME = "metrics.csv"

_VALIDATION_BATCH = 500
_CHECKPOINT_SECONDS = 120.0
_REPORT_SECONDS = 0.2


@dataclass(frozen=True)
class Phase:
    """One stretch of training with one objective; a later phase goes on with the same weights.

    Attributes
    ----------
    epochs, batch_size
        How long, and how many images a step; the last step of an epoch takes what is left.
    objective
        ``supervised``: noisy to clean. ``reconstruction``: clean to clean.
    loss
        ``bce`` or ``mse``.
    noise
        ``once``: every image keeps one noisy version, as the tutorials do. ``fresh``: each time it
        is seen it gets another.
    optimizer, schedule
        See `autodenoise.learning.optim`.
    patience
        Stop the phase after this many epochs without a lower validation loss; None: never.
    """

    epochs: int
    batch_size: int = 128
    objective: Literal["supervised", "reconstruction"] = "supervised"
    loss: Literal["bce", "mse"] = "bce"
    noise: Literal["once", "fresh"] = "fresh"
    optimizer: Optimizer = field(default_factory=Adam)
    schedule: Schedule = field(default_factory=Constant)
    patience: int | None = None

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "patience"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UsageError(f"phase: {name} is {value}; expected at least 1")


@dataclass(frozen=True)
class Training:
    """All that `fit` trains with.

    Attributes
    ----------
    network
        Changed in place.
    phases
        By name, in order.
    noise
        The corruption of the training images and, where `noisy_validation`, of the others.
    train, validation
        Clean images (N, C, H, W), uint8 or float32 in [0, 1], on any device.
    validation_part
        ``"validation"`` or ``"test"``: which images those are. Names the noise they get, so that a
        later evaluation of the same part draws the same.
    copies
        How many times over each training image is taken in an epoch.
    seed
        What every random choice follows from.
    device
        Where to train.
    """

    network: Autoencoder
    phases: Mapping[str, Phase]
    noise: Noise
    train: Tensor
    validation: Tensor
    validation_part: str
    noisy_validation: bool
    copies: int
    seed: int
    device: torch.device


@dataclass(frozen=True)
class Status:
    """How training goes, between two steps; `epoch` and `step` count what is done."""

    phase: str
    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    images_per_second: float
    eta: float


class Report(Protocol):
    """Hears how training goes."""

    def begin(self, training: Training, rows: tuple[Row, ...]) -> None:
        """Take what is about to be trained, and the epochs that earlier sittings did."""
        ...

    def step(self, status: Status) -> None:
        """Take the state of things, a few times a second."""
        ...

    def epoch(self, row: Row) -> None:
        """Take a finished epoch; the network is as validation has just seen it."""
        ...


def fit(training: Training, folder: Path, report: Report) -> list[Row]:
    """Train, from the folder's checkpoint if it has one.

    The checkpoint is written after each epoch, every two minutes, and when SIGINT or SIGTERM asks
    to stop. Going on from it is bit-exact on the same machine's CPU: every random number follows
    from the seed and its place, see `autodenoise.learning.randomness`.

    Parameters
    ----------
    training
        What to train, on what, how.
    folder
        The run folder, which exists. Gets ``checkpoint.safetensors``, ``best.safetensors`` (the
        last phase's weights of the lowest validation loss), ``metrics.csv``, and the weights at the
        end of each phase but the last, under `weights_name`.
    report
        Hears of steps and epochs.

    Returns
    -------
    list of Row
        An entry an epoch, the earlier sittings' included.

    Raises
    ------
    Interrupted
        A signal asked to stop; the state is saved.
    InputError
        The checkpoint is damaged, or was written by another recipe.
    TrainingDiverged
        The loss is no longer a number. The checkpoint is that of the last good epoch.
    """
    if training.device.type == "cpu":
        keep_freed_memory()
    else:
        # TensorFloat-32 products: ten bits of mantissa, float32 sums.
        torch.set_float32_matmul_precision("high")
    network = training.network.to(training.device)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    checkpoint = folder / CHECKPOINT_NAME
    state, tensors = State(fingerprint=_fingerprint(training)), None
    if checkpoint.exists():
        state, tensors = load_state(checkpoint)
        if state.fingerprint != _fingerprint(training):
            raise InputError(
                f"{checkpoint} was written by another recipe than {folder} now has; put the old "
                "recipe back, or start a new run"
            )
        if state.phase == len(training.phases):
            restore(checkpoint, tensors, network, None)
    report.begin(training, tuple(state.rows))
    watched = _Validation(training)
    with stop_requests() as stop:
        for index, (name, phase) in enumerate(training.phases.items()):
            if index < state.phase:
                continue
            optimizers = phase.optimizer.build(network)
            if tensors is not None:
                restore(checkpoint, tensors, network, optimizers)
                tensors = None
            epochs = _Epochs(training, index, name, state, report)
            while not is_over(state.rows, name, phase):
                for _ in epochs.steps(optimizers):
                    if stop.is_set() or epochs.checkpoint_is_due():
                        epochs.settle()
                        save_state(checkpoint, state, network, optimizers)
                    if stop.is_set():
                        raise Interrupted(
                            f"stopped in phase {name}, epoch {state.epoch + 1}; go on with: "
                            f"autodenoise train --resume {folder}"
                        )
                row = epochs.finish(watched.loss(phase))
                state.rows.append(row)
                if row.val_loss == min(r.val_loss for r in state.rows if r.phase == name):
                    save_weights(folder / BEST_NAME, network)
                write_metrics(folder / METRICS_NAME, state.rows)
                save_state(checkpoint, state, network, optimizers)
                report.epoch(row)
            if index + 1 < len(training.phases):
                save_weights(folder / weights_name(name), network)
            state.phase, state.epoch = index + 1, 0
            save_state(checkpoint, state, network, [])
    return state.rows


def weights_name(phase: str) -> str:
    """Give the name of the file that keeps the weights at the end of a phase."""
    return f"{phase}.safetensors"


def _fingerprint(training: Training) -> str:
    """Sum up all that the next step depends on and that a checkpoint does not hold."""
    network = [(name, tuple(value.shape)) for name, value in training.network.named_parameters()]
    data = (tuple(training.train.shape), training.copies, training.seed)
    said = repr((network, dict(training.phases), training.noise, data))
    return hashlib.sha256(said.encode()).hexdigest()[:16]


class _Epochs:
    """Runs the epochs of one phase, keeping `state` up to date as it goes."""

    def __init__(
        self, training: Training, index: int, name: str, state: State, report: Report
    ) -> None:
        self.training, self.index, self.name = training, index, name
        self.phase, self.state, self.report = training.phases[name], state, report
        self.images = training.train.to(training.device)
        self.count = len(self.images) * training.copies
        self.step_count = math.ceil(self.count / self.phase.batch_size)
        self.objective: Objective = OBJECTIVES[self.phase.objective](
            training.noise, LOSSES[self.phase.loss]
        )
        self.noisy = self._draw_once() if self.phase.noise == "once" else None
        # Summed on the device: reading it there would make every step wait for the last.
        self.loss_sum = torch.tensor(state.loss_sum, dtype=torch.float64, device=self.images.device)
        self.saved_at = time.monotonic()

    def _draw_once(self) -> Tensor | None:
        """Give every copy of every image its one noisy version, if the objective wants any."""
        if self.phase.objective != "supervised":
            return None
        noisy = torch.empty(self.count, *self.images.shape[1:], device=self.images.device)
        for start in range(0, self.count, 1000):
            rows = torch.arange(start, min(start + 1000, self.count), device=noisy.device)
            draw = self._generator("noise once", start)
            noisy[rows] = self.training.noise(as_float(self.images[rows % len(self.images)]), draw)
        return noisy

    def _generator(self, purpose: str, *place: int) -> torch.Generator:
        device = self.images.device
        return generator(self.training.seed, purpose, self.index, *place, device=device)

    def _batch(self, rows: Tensor) -> Batch:
        clean = as_float(self.images[rows % len(self.images)])
        if self.noisy is None:
            return Batch(clean)
        return Batch(clean, self.noisy[rows].contiguous(memory_format=torch.channels_last))

    def steps(self, optimizers: list[torch.optim.Optimizer]) -> Iterator[None]:
        """Train for the rest of an epoch, giving way after every step."""
        state, phase, network = self.state, self.phase, self.training.network
        order = torch.randperm(
            self.count, generator=generator(self.training.seed, "order", self.index, state.epoch)
        ).to(self.images.device)
        begun, earlier, seen = time.monotonic(), state.seconds, 0
        reported = -math.inf
        network.train()
        while state.step < self.step_count:
            rows = order[state.step * phase.batch_size : (state.step + 1) * phase.batch_size]
            done = (state.epoch + state.step / self.step_count) / phase.epochs
            set_learning_rate(optimizers, phase.schedule.factor(done))
            loss = self.objective(
                network, self._batch(rows), self._generator("noise", state.epoch, state.step)
            )
            for optimizer in optimizers:
                optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            for optimizer in optimizers:
                optimizer.step()
            network.constrain()

            self.loss_sum += loss.detach() * len(rows)
            state.step += 1
            seen += len(rows)
            now = time.monotonic()
            state.seconds = earlier + now - begun
            if now - reported > _REPORT_SECONDS or state.step == self.step_count:
                reported = now
                self.settle()
                self.report.step(self._status(seen / (now - begun)))
            yield

    def settle(self) -> None:
        """Bring the state's loss up to date.

        Raises
        ------
        TrainingDiverged
            It is no longer a number.
        """
        self.state.loss_sum = self.loss_sum.item()
        if not math.isfinite(self.state.loss_sum):
            raise TrainingDiverged(self._advice("loss", self.state.loss_sum))

    def finish(self, val_loss: float) -> Row:
        """Close the epoch: make its row and move the state to the next.

        Raises
        ------
        TrainingDiverged
            The validation loss is no number.
        """
        if not math.isfinite(val_loss):
            raise TrainingDiverged(self._advice("validation loss", val_loss))
        state = self.state
        self.loss_sum.zero_()
        last_step = (state.epoch + (self.step_count - 1) / self.step_count) / self.phase.epochs
        row = Row(
            phase=self.name,
            epoch=state.epoch + 1,
            loss=state.loss_sum / self.count,
            val_loss=val_loss,
            learning_rate=self.phase.optimizer.learning_rate
            * self.phase.schedule.factor(last_step),
            seconds=state.seconds,
            images_per_second=self.count / state.seconds,
        )
        state.epoch, state.step, state.loss_sum, state.seconds = state.epoch + 1, 0, 0.0, 0.0
        return row

    def checkpoint_is_due(self) -> bool:
        """Tell whether the last one is more than two minutes old, at most once for each."""
        if time.monotonic() - self.saved_at < _CHECKPOINT_SECONDS:
            return False
        self.saved_at = time.monotonic()
        return True

    def _status(self, images_per_second: float) -> Status:
        state = self.state
        phases = list(self.training.phases.values())
        later = sum(phase.epochs for phase in phases[self.index + 1 :])
        epochs = self.phase.epochs - state.epoch - state.step / self.step_count + later
        return Status(
            phase=self.name,
            epoch=state.epoch,
            epochs=self.phase.epochs,
            step=state.step,
            steps=self.step_count,
            loss=state.loss_sum / min(state.step * self.phase.batch_size, self.count),
            images_per_second=images_per_second,
            eta=epochs * self.count / images_per_second,
        )

    def _advice(self, what: str, value: float) -> str:
        rate = self.phase.optimizer.learning_rate
        return (
            f"the {what} became {value} in phase {self.name}, epoch "
            f"{self.state.epoch + 1}, step {self.state.step}. The learning rate is likely too "
            f"high: try --set phase.{self.name}.optimizer.learning_rate={rate / 10:g} in a new run"
        )


class _Validation:
    """The validation images, with noise that is drawn once and the same in every sitting."""

    def __init__(self, training: Training) -> None:
        self.training = training
        self.clean = training.validation.to(training.device)
        self.noisy = corrupt(training.noise, self.clean, training.seed, training.validation_part)

    @torch.no_grad()
    def loss(self, phase: Phase) -> float:
        """Give the mean loss of the phase's own task on them."""
        network, loss = self.training.network, LOSSES[phase.loss]
        noisy = self.training.noisy_validation and phase.objective == "supervised"
        network.eval()
        total = 0.0
        for start in range(0, len(self.clean), _VALIDATION_BATCH):
            rows = slice(start, start + _VALIDATION_BATCH)
            clean = as_float(self.clean[rows])
            given = self.noisy[rows].contiguous(memory_format=torch.channels_last)
            total += loss(network, given if noisy else clean, clean).item() * len(clean)
        return total / len(self.clean)


def corrupt(noise: Noise, clean: Tensor, seed: int, part: str, count: int | None = None) -> Tensor:
    """Give one part's images, uint8 or float32, the noise that this seed draws for that part.

    With `count`, only the first so many: they get the noise that they have among all.
    """
    count = len(clean) if count is None else min(count, len(clean))
    noisy = torch.empty(count, *clean.shape[1:], device=clean.device)
    for start in range(0, count, _VALIDATION_BATCH):
        rows = slice(start, start + _VALIDATION_BATCH)
        draw = generator(seed, f"noise of {part}", start, device=clean.device)
        noisy[rows] = noise(as_float(clean[rows]), draw)[: count - start]
    return noisy


def is_over(rows: list[Row], name: str, phase: Phase) -> bool:
    """Tell whether a phase has had its epochs, or has run out of patience."""
    losses = [row.val_loss for row in rows if row.phase == name]
    if not losses or phase.patience is None:
        return len(losses) >= phase.epochs
    waited = len(losses) - 1 - losses.index(min(losses))
    return len(losses) >= phase.epochs or waited >= phase.patience
