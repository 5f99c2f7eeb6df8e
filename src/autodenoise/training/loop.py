"""The training loop."""

from __future__ import annotations

import contextlib
import hashlib
import math
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn

from autodenoise.data.batch import Batch
from autodenoise.data.crops import Crops
from autodenoise.errors import InputError, Interrupted, TrainingDiverged
from autodenoise.files import quoted
from autodenoise.nets import Autoencoder
from autodenoise.noise import Noise
from autodenoise.signals import stop_requests
from autodenoise.training.batches import Batches
from autodenoise.training.checkpoint import (
    State,
    load_state,
    restore,
    restore_average,
    save_state,
    save_weights,
)
from autodenoise.training.distributed import SINGLE_PROCESS, World
from autodenoise.training.ema import EMA
from autodenoise.training.gradients import Gradients
from autodenoise.training.history import EpochRow, write_metrics
from autodenoise.training.optimizers import set_learning_rate
from autodenoise.training.phases import Phase, is_over
from autodenoise.training.process import keep_freed_memory
from autodenoise.training.randomness import generator
from autodenoise.training.validation import Validation

__all__ = [
    "BEST_NAME",
    "CHECKPOINT_NAME",
    "METRICS_NAME",
    "Training",
    "TrainingCallback",
    "TrainingStatus",
    "fit",
    "weights_name",
]

CHECKPOINT_NAME = "checkpoint.safetensors"
BEST_NAME = "best.safetensors"
METRICS_NAME = "metrics.csv"

_CHECKPOINT_SECONDS = 120.0
_REPORT_SECONDS = 0.2


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
    train
        Clean images (N, C, H, W), uint8 or float32 in [0, 1], on any device; or crops of pictures,
        clean or not.
    validation
        Images (N, C, H, W): clean ones where there are any, else what is learnt from.
    validation_part
        ``"validation"`` or ``"test"``: which images those are. Names the noise they get, so that a
        later evaluation of the same part draws the same.
    samples
        How many images or crops are taken in an epoch, as evenly from all as may be.
    seed
        What every random choice follows from.
    device
        Where to train.
    origin
        The recipe that all this follows from: a checkpoint is gone on with by no other. By default
        phases and noise stand for it; noise that was measured differs in its last digits from one
        processor to another.
    notes
        What people should know of what is learnt from.
    world
        Those that train it together; all have all of the above. The first one alone writes.
    """

    network: Autoencoder
    phases: Mapping[str, Phase]
    noise: Noise
    train: Tensor | Crops
    validation: Batch
    validation_part: str
    noisy_validation: bool
    samples: int
    seed: int
    device: torch.device
    origin: str = ""
    notes: tuple[str, ...] = ()
    world: World = SINGLE_PROCESS


@dataclass(frozen=True)
class TrainingStatus:
    """How training goes, between two steps; `epoch` and `step` count what is done.

    In a phase that is given minutes, `epochs` is a guess.
    """

    phase: str
    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    images_per_second: float
    eta: float


class TrainingCallback(Protocol):
    """Hears how training goes."""

    def begin(self, training: Training, rows: tuple[EpochRow, ...]) -> None:
        """Take what is about to be trained, and the epochs that earlier sittings did."""
        ...

    def step(self, status: TrainingStatus) -> None:
        """Take the state of things, a few times a second."""
        ...

    def epoch(self, row: EpochRow) -> None:
        """Take a finished epoch; the network is as validation has just seen it."""
        ...


def fit(training: Training, folder: Path, report: TrainingCallback) -> list[EpochRow]:
    """Train, from the folder's checkpoint if it has one.

    The checkpoint is written after each epoch, every two minutes, and when SIGINT or SIGTERM asks
    to stop. Going on from it, with as many processes, is bit-exact on the same machine's CPU: every
    random number follows from the seed and its place, see `autodenoise.training.randomness`. Not so
    where a phase is given minutes: its schedule follows the clock.

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
        The checkpoint is damaged, or was written by another recipe; or the processes do not have
        the same.
    TrainingDiverged
        The loss is no longer a number. The checkpoint is that of the last good epoch.
    ProcessLost
        Another of the processes is gone.
    """
    if training.device.type == "cpu":
        keep_freed_memory()
    else:
        # TensorFloat-32 products: ten bits of mantissa, float32 sums.
        torch.set_float32_matmul_precision("high")
    network, world = training.network.to(training.device), training.world
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
            restore(checkpoint, tensors, network, [])
    if not world.agree(f"{state.fingerprint} {state.phase} {state.epoch} {state.step}"):
        raise InputError(
            "the processes do not train the same: give all the same recipe, settings and data, and "
            "to go on, a run folder that all can see"
        )
    report.begin(training, tuple(state.rows))
    watched = Validation(
        training.validation.map(lambda images: images.to(training.device)),
        training.noise,
        training.seed,
        training.validation_part,
        noisy=training.noisy_validation,
    )
    with stop_requests(repeated=world.count > 1) as stop:
        for index, (name, phase) in enumerate(training.phases.items()):
            if index < state.phase:
                continue
            optimizers = phase.optimizer.build(network)
            if tensors is not None:
                restore(checkpoint, tensors, network, optimizers)
            average = None if phase.ema is None else EMA(network, phase.ema)
            if tensors is not None and average is not None:
                restore_average(tensors, average)
            tensors = None
            epochs = _Epochs(training, index, name, state, report)
            while not is_over(state.rows, name, phase):
                for stopped in epochs.steps(optimizers, average, stop):
                    if world.is_first and (stopped or epochs.checkpoint_is_due()):
                        epochs.settle()
                        save_state(checkpoint, state, network, optimizers, average)
                    if stopped:
                        if average is not None:
                            average.settle()
                        raise Interrupted(
                            f"stopped in phase {name}, epoch {state.epoch + 1}; go on with: "
                            f"autodenoise train --resume {quoted(folder)}"
                        )
                with _shown(average):
                    row = epochs.finish(watched.loss(network, phase, world))
                    state.rows.append(row)
                    best = min(r.val_loss for r in state.rows if r.phase == name)
                    if world.is_first and row.val_loss == best:
                        save_weights(folder / BEST_NAME, network)
                if world.is_first:
                    write_metrics(folder / METRICS_NAME, state.rows)
                    save_state(checkpoint, state, network, optimizers, average)
                with _shown(average):
                    report.epoch(row)
            if average is not None:
                average.settle()
            state.phase, state.epoch = index + 1, 0
            if world.is_first:
                if state.phase < len(training.phases):
                    save_weights(folder / weights_name(name), network)
                save_state(checkpoint, state, network, [])
    return state.rows


def weights_name(phase: str) -> str:
    """Give the name of the file that keeps the weights at the end of a phase."""
    return f"{phase}.safetensors"


def _shown(average: EMA | None) -> contextlib.AbstractContextManager[None]:
    return contextlib.nullcontext() if average is None else average.shown()


def _fingerprint(training: Training) -> str:
    """Sum up all that the next step depends on and that a checkpoint does not hold."""
    network = [(name, tuple(value.shape)) for name, value in training.network.named_parameters()]
    data = (tuple(training.train.shape), training.samples, training.seed)
    followed = training.origin or repr((dict(training.phases), training.noise))
    said = repr((network, followed, data))
    return hashlib.sha256(said.encode()).hexdigest()[:16]


class _Epochs:
    """Runs the epochs of one phase, keeping `state` up to date as it goes."""

    def __init__(
        self, training: Training, index: int, name: str, state: State, report: TrainingCallback
    ) -> None:
        self.training, self.index, self.name = training, index, name
        self.phase, self.state, self.report = training.phases[name], state, report
        self.batches = Batches(training, index, name)
        self.count = len(self.batches)
        self.step_count = math.ceil(self.count / self.phase.batch_size)
        self.gradients = Gradients(training, self.phase)
        # Summed on the device: reading it there would make every step wait for the last.
        self.loss_sum = torch.tensor(state.loss_sum, dtype=torch.float64, device=training.device)
        self.saved_at = time.monotonic()

    def _done(self) -> float:
        """Give the share of the phase that is over."""
        state, phase = self.state, self.phase
        if phase.minutes is None:
            return (state.epoch + state.step / self.step_count) / phase.epochs
        spent = sum(row.seconds for row in state.rows if row.phase == self.name) + state.seconds
        return min(1.0, spent / (60 * phase.minutes))

    def steps(
        self,
        optimizers: list[torch.optim.Optimizer],
        average: EMA | None,
        stop: threading.Event,
    ) -> Iterator[bool]:
        """Train for the rest of an epoch; give way after every step, saying whether to stop."""
        state, phase, training = self.state, self.phase, self.training
        network, weights = training.network, list(training.network.parameters())
        order = self.batches.order(state.epoch)
        begun, earlier, seen = time.monotonic(), state.seconds, 0
        reported = -math.inf
        network.train()
        # With minutes given, an epoch may end early, but never before its first step.
        while state.step < self.step_count and not (state.step and self._done() == 1):
            rows = order[state.step * phase.batch_size : (state.step + 1) * phase.batch_size]
            state.factor = phase.schedule.factor(self._done())
            set_learning_rate(optimizers, state.factor)
            place = (state.epoch, state.step)
            draw = generator(training.seed, "noise", self.index, *place, device=training.device)
            loss = self.gradients.find(self.batches.batch(rows, *place), draw)
            if phase.clip is not None:
                nn.utils.clip_grad_norm_(weights, phase.clip)
            for optimizer in optimizers:
                optimizer.step()
            network.constrain()
            if average is not None:
                average.update()

            self.loss_sum += loss * len(rows)
            state.step += 1
            seen += len(rows)
            now = time.monotonic()
            state.seconds, stopped = training.world.largest(earlier + now - begun, stop.is_set())
            if now - reported > _REPORT_SECONDS or state.step == self.step_count:
                reported = now
                self.settle()
                self.report.step(self._status(seen / (now - begun)))
            yield bool(stopped)

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

    def finish(self, val_loss: float) -> EpochRow:
        """Close the epoch: make its row and move the state to the next.

        Raises
        ------
        TrainingDiverged
            The validation loss is no number.
        """
        self.settle()
        if not math.isfinite(val_loss):
            raise TrainingDiverged(self._advice("validation loss", val_loss))
        state = self.state
        self.loss_sum.zero_()
        seen = min(state.step * self.phase.batch_size, self.count)
        row = EpochRow(
            phase=self.name,
            epoch=state.epoch + 1,
            loss=state.loss_sum / seen,
            val_loss=val_loss,
            learning_rate=self.phase.optimizer.learning_rate * state.factor,
            seconds=state.seconds,
            images_per_second=seen / state.seconds,
        )
        state.epoch, state.step, state.loss_sum, state.seconds = state.epoch + 1, 0, 0.0, 0.0
        return row

    def checkpoint_is_due(self) -> bool:
        """Tell whether the last one is more than two minutes old, at most once for each."""
        if time.monotonic() - self.saved_at < _CHECKPOINT_SECONDS:
            return False
        self.saved_at = time.monotonic()
        return True

    def _status(self, images_per_second: float) -> TrainingStatus:
        state, phase = self.state, self.phase
        done, begun = self._done(), state.epoch + state.step / self.step_count
        epochs = phase.epochs if phase.minutes is None else max(1, round(begun / done))
        an_epoch = self.count / images_per_second
        phases = list(self.training.phases.values())
        eta = sum(_seconds(later, an_epoch) for later in phases[self.index + 1 :])
        return TrainingStatus(
            phase=self.name,
            epoch=state.epoch,
            epochs=max(epochs, state.epoch + 1),
            step=state.step,
            steps=self.step_count,
            loss=state.loss_sum / min(state.step * phase.batch_size, self.count),
            images_per_second=images_per_second,
            eta=eta + (1 - done) * _seconds(phase, an_epoch),
        )

    def _advice(self, what: str, value: float) -> str:
        rate = self.phase.optimizer.learning_rate
        return (
            f"the {what} became {value} in phase {self.name}, epoch "
            f"{self.state.epoch + 1}, step {self.state.step}. The learning rate is likely too "
            f"high: try --set phase.{self.name}.optimizer.learning_rate={rate / 10:g} in a new run"
        )


def _seconds(phase: Phase, an_epoch: float) -> float:
    return phase.epochs * an_epoch if phase.minutes is None else 60 * phase.minutes
