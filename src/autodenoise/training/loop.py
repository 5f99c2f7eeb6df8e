"""The training loop."""

from __future__ import annotations

import contextlib
import hashlib
import math
import time
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor, nn

from autodenoise.errors import InputError, Interrupted, TrainingDiverged
from autodenoise.files import quoted
from autodenoise.nets import Autoencoder
from autodenoise.signals import stop_requests
from autodenoise.training.batches import Batches
from autodenoise.training.checkpoint import load_state, restore, save_state, save_weights
from autodenoise.training.ema import EMA
from autodenoise.training.gradients import Gradients
from autodenoise.training.history import EpochRow, write_metrics
from autodenoise.training.optimizers import set_learning_rate
from autodenoise.training.phases import Phase, is_over
from autodenoise.training.process import keep_freed_memory
from autodenoise.training.randomness import generator
from autodenoise.training.state import Training, TrainingCallback, TrainingState, TrainingStatus
from autodenoise.training.validation import Validation

__all__ = ["BEST_NAME", "CHECKPOINT_NAME", "METRICS_NAME", "fit", "weights_name"]

CHECKPOINT_NAME = "checkpoint.safetensors"
BEST_NAME = "best.safetensors"
METRICS_NAME = "metrics.csv"

_CHECKPOINT_SECONDS = 120.0
_STATUS_SECONDS = 0.2


def fit(training: Training, folder: Path, callback: TrainingCallback) -> list[EpochRow]:
    """Train, from the folder's checkpoint if there is one; return a row for each epoch.

    A checkpoint is written after each epoch, every two minutes, and when SIGINT or SIGTERM asks to
    stop. Resuming from it with the same number of processes is bit-exact on the same machine's CPU,
    because every random number depends only on the seed and its place in the run; see
    `autodenoise.training.randomness`. Phases that are limited in minutes are an exception: their
    schedule follows the clock.

    The folder, which exists, receives ``checkpoint.safetensors``, ``best.safetensors`` (the weights
    with the lowest validation loss of the last phase), ``metrics.csv``, and the weights at the end
    of each phase but the last; see `weights_name`.

    Raise Interrupted after a signal, when the checkpoint is saved; InputError if the checkpoint is
    damaged or belongs to another recipe, or the processes differ in what they train;
    TrainingDiverged if the loss became infinite or NaN, with the checkpoint of the last good epoch;
    ProcessLost if another process has disappeared.
    """
    network, world = _to_device(training), training.world
    checkpoint = folder / CHECKPOINT_NAME
    state, saved = _load_or_begin(training, checkpoint)
    callback.begin(training, tuple(state.rows))
    validation = Validation(training)

    with stop_requests(repeated=world.size > 1) as stop:
        for index, (name, phase) in islice(enumerate(training.phases.items()), state.phase, None):
            optimizers = phase.optimizer.build(network)
            ema = None if phase.ema is None else EMA(network, phase.ema)
            averaged = contextlib.nullcontext if ema is None else ema.applied
            if saved is not None:
                restore(checkpoint, saved, network, optimizers, ema)
                saved = None
            batches, gradients = Batches(training, index), Gradients(training, phase)
            steps, saved_at = training.steps(phase), time.monotonic()
            # On the device: reading it at every step would make the step wait for its loss.
            loss_sum = torch.tensor(state.loss_sum, dtype=torch.float64, device=training.device)

            while not is_over(state.rows, name, phase):
                network.train()
                order = batches.order(state.epoch)
                epoch_began, shown_at = time.monotonic() - state.seconds, -math.inf

                # A phase limited in minutes may end in the middle of an epoch, after a step.
                while state.step < steps and not (state.step and _progress(training, state) == 1):
                    place = (state.epoch, state.step)
                    rows = order[state.step * phase.batch_size :][: phase.batch_size]
                    batch = batches.batch(rows, *place)
                    draws = generator(training.seed, "noise", index, *place, device=training.device)

                    state.factor = phase.schedule.factor(_progress(training, state))
                    set_learning_rate(optimizers, state.factor)
                    loss = gradients.compute(batch, draws)
                    if phase.clip is not None:
                        nn.utils.clip_grad_norm_(network.parameters(), phase.clip)
                    for optimizer in optimizers:
                        optimizer.step()
                    network.constrain()
                    if ema is not None:
                        ema.update()

                    loss_sum += loss * len(rows)
                    state.step += 1
                    now = time.monotonic()
                    state.seconds, stopped = world.all_max(now - epoch_began, stop.is_set())

                    if now - shown_at > _STATUS_SECONDS or state.step == steps:
                        shown_at = now
                        _read_loss(training, state, loss_sum)
                        callback.step(_status(training, state))
                    if world.is_main and (stopped or now - saved_at >= _CHECKPOINT_SECONDS):
                        saved_at = now
                        _read_loss(training, state, loss_sum)
                        save_state(checkpoint, state, network, optimizers, ema)
                    if stopped:
                        if ema is not None:
                            ema.copy_to_network()
                        raise Interrupted(
                            f"stopped in phase {name}, epoch {state.epoch + 1}; resume with: "
                            f"autodenoise train --resume {quoted(folder)}"
                        )

                _read_loss(training, state, loss_sum)
                loss_sum.zero_()
                with averaged():
                    val_loss = validation.loss(network, phase)
                    row = _finish_epoch(training, state, val_loss)
                    best = min(other.val_loss for other in state.rows if other.phase == name)
                    if world.is_main and val_loss == best:
                        save_weights(folder / BEST_NAME, network)
                if world.is_main:
                    write_metrics(folder / METRICS_NAME, state.rows)
                    save_state(checkpoint, state, network, optimizers, ema)
                with averaged():
                    callback.epoch(row)

            if ema is not None:
                ema.copy_to_network()
            state.phase, state.epoch = index + 1, 0
            if world.is_main:
                if state.phase < len(training.phases):
                    save_weights(folder / weights_name(name), network)
                save_state(checkpoint, state, network, [])
    return state.rows


def weights_name(phase: str) -> str:
    """Return the name of the file with the weights at the end of a phase."""
    return f"{phase}.safetensors"


def _to_device(training: Training) -> Autoencoder:
    """Move the network to its device, and set the process up to be fast there."""
    if training.device.type == "cpu":
        keep_freed_memory()
    else:
        # TensorFloat-32 products: ten bits of mantissa, float32 sums.
        torch.set_float32_matmul_precision("high")
    network = training.network.to(training.device)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


def _load_or_begin(
    training: Training, checkpoint: Path
) -> tuple[TrainingState, dict[str, Tensor] | None]:
    """Return the checkpoint's state and tensors, or a new state, the same in all processes."""
    fingerprint = _fingerprint(training)
    state, saved = TrainingState(fingerprint=fingerprint), None
    if checkpoint.exists():
        state, saved = load_state(checkpoint)
        if state.fingerprint != fingerprint:
            raise InputError(
                f"{checkpoint} was written with another recipe than {checkpoint.parent} has now; "
                "restore the old recipe, or start a new run"
            )
        if state.phase == len(training.phases):
            restore(checkpoint, saved, training.network, [])
    if not training.world.all_agree(f"{fingerprint} {state.phase} {state.epoch} {state.step}"):
        raise InputError(
            "the processes do not train the same thing: start all with the same recipe, settings "
            "and data; to resume, all need access to the same run folder"
        )
    return state, saved


def _fingerprint(training: Training) -> str:
    """Return a digest of all that the next step depends on and a checkpoint does not contain."""
    network = [(name, tuple(value.shape)) for name, value in training.network.named_parameters()]
    data = (tuple(training.train.shape), training.samples, training.seed)
    recipe = training.recipe_text or repr((dict(training.phases), training.noise))
    return hashlib.sha256(repr((network, recipe, data)).encode()).hexdigest()[:16]


def _progress(training: Training, state: TrainingState) -> float:
    """Return the finished share of the current phase, from 0 to 1."""
    name, phase = training.phase(state.phase)
    if phase.minutes is None:
        return (state.epoch + state.step / training.steps(phase)) / phase.epochs
    spent = sum(row.seconds for row in state.rows if row.phase == name) + state.seconds
    return min(1.0, spent / (60 * phase.minutes))


def _images_seen(training: Training, state: TrainingState) -> int:
    _, phase = training.phase(state.phase)
    return min(state.step * phase.batch_size, training.samples)


def _read_loss(training: Training, state: TrainingState, loss_sum: Tensor) -> None:
    """Copy the sum of losses from the device to the state."""
    state.loss_sum = loss_sum.item()
    _check_finite(training, state, "loss", state.loss_sum)


def _check_finite(training: Training, state: TrainingState, what: str, value: float) -> None:
    if not math.isfinite(value):
        name, phase = training.phase(state.phase)
        rate = phase.optimizer.learning_rate / 10
        raise TrainingDiverged(
            f"the {what} became {value} in phase {name}, epoch {state.epoch + 1}, step "
            f"{state.step}. The learning rate is probably too high: try "
            f"--set phase.{name}.optimizer.learning_rate={rate:g} in a new run"
        )


def _finish_epoch(training: Training, state: TrainingState, val_loss: float) -> EpochRow:
    """Append the epoch's row to the state, and move the state to the next epoch."""
    _check_finite(training, state, "validation loss", val_loss)
    name, phase = training.phase(state.phase)
    images = _images_seen(training, state)
    row = EpochRow(
        phase=name,
        epoch=state.epoch + 1,
        loss=state.loss_sum / images,
        val_loss=val_loss,
        learning_rate=phase.optimizer.learning_rate * state.factor,
        seconds=state.seconds,
        images_per_second=images / state.seconds,
    )
    state.rows.append(row)
    state.epoch, state.step, state.loss_sum, state.seconds = state.epoch + 1, 0, 0.0, 0.0
    return row


def _status(training: Training, state: TrainingState) -> TrainingStatus:
    name, phase = training.phase(state.phase)
    steps, progress = training.steps(phase), _progress(training, state)
    images = _images_seen(training, state)
    images_per_second = images / state.seconds
    epochs = phase.epochs
    if phase.minutes is not None:
        epochs = max(1, round((state.epoch + state.step / steps) / progress))

    def duration(phase: Phase) -> float:
        if phase.minutes is not None:
            return 60 * phase.minutes
        return phase.epochs * training.samples / images_per_second

    later = list(training.phases.values())[state.phase + 1 :]
    return TrainingStatus(
        phase=name,
        epoch=state.epoch,
        epochs=max(epochs, state.epoch + 1),
        step=state.step,
        steps=steps,
        loss=state.loss_sum / images,
        images_per_second=images_per_second,
        eta=(1 - progress) * duration(phase) + sum(map(duration, later)),
    )
