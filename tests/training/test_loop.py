from __future__ import annotations

import csv
import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch

from autodenoise import nets
from autodenoise.data.crops import Batch, ImageCrops
from autodenoise.errors import InputError, TrainingDiverged
from autodenoise.nets.tutorials import BottleneckAutoencoder
from autodenoise.noise import Gaussian, Noise
from autodenoise.training.checkpoint import (
    load_trained,
    load_weights,
    save_state,
)
from autodenoise.training.loop import CHECKPOINT_NAME, fit
from autodenoise.training.optimizers import Adadelta, Adam, Muon
from autodenoise.training.phases import Phase, is_over
from autodenoise.training.schedules import Cosine, OneCycle
from autodenoise.training.state import TrainingState, TrainingStatus
from autodenoise.training.validation import Validation
from tests.helpers.training_runs import (
    RecordingCallback,
    StopNow,
    crash_after_checkpoint,
    losses,
    squares,
    training,
    weights,
)

WITH_EMA = Phase(
    epochs=4, batch_size=32, optimizer=Adam(0.01), schedule=Cosine(), ema=0.9, clip=0.3
)
PHASES = [
    {"denoise": WITH_EMA, "more": dataclasses.replace(WITH_EMA, epochs=1, loss="charbonnier")},
    {"denoise": Phase(epochs=4, batch_size=32, optimizer=Muon(), schedule=OneCycle())},
    {"denoise": Phase(epochs=4, batch_size=32, noise="once", optimizer=Adam())},
    {
        "reconstruct": Phase(epochs=2, batch_size=32, objective="reconstruction"),
        "denoise": Phase(epochs=2, batch_size=40, optimizer=Adadelta(), loss="mse"),
    },
]


@pytest.mark.parametrize("phases", PHASES, ids=["average", "muon", "adam", "two phases"])
@pytest.mark.parametrize("whole_epochs", [1, 2, 3])
def test_resume_after_a_crash_between_checkpoints_is_bit_exact(
    tmp_path: Path, phases: dict[str, Phase], whole_epochs: int
) -> None:
    uninterrupted, interrupted = tmp_path / "uninterrupted", tmp_path / "interrupted"
    uninterrupted.mkdir()
    interrupted.mkdir()
    expected = fit(training(phases, samples=300), uninterrupted, RecordingCallback())

    class Dies(RecordingCallback):
        def step(self, status: TrainingStatus) -> None:
            super().step(status)
            if len(self.rows) == whole_epochs:
                raise StopNow

    with pytest.raises(StopNow):
        fit(training(phases, samples=300), interrupted, Dies())
    # Another network with other weights: everything must come from the checkpoint.
    other = nets.build("bottleneck", {"width": 8}, torch.Generator().manual_seed(99))
    rows = fit(training(phases, samples=300, network=other), interrupted, RecordingCallback())
    assert losses(rows) == losses(expected)
    for name, value in weights(uninterrupted).items():
        assert torch.equal(value, weights(interrupted)[name]), name


@pytest.mark.parametrize(
    ("phases", "saved"),
    [
        *((phases, saved) for phases in PHASES for saved in (2, 5, 7, 13)),
        (PHASES[0], 25),  # the end of its first phase
    ],
)
def test_resume_after_a_crash_at_any_checkpoint_is_bit_exact(
    tmp_path: Path, phases: dict[str, Phase], saved: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    uninterrupted, interrupted = tmp_path / "uninterrupted", tmp_path / "interrupted"
    uninterrupted.mkdir()
    interrupted.mkdir()
    expected = fit(training(phases), uninterrupted, RecordingCallback())
    crash_after_checkpoint(training(phases), interrupted, saved, monkeypatch)
    assert losses(fit(training(phases), interrupted, RecordingCallback())) == losses(expected)
    for name, value in weights(uninterrupted).items():
        assert torch.equal(value, weights(interrupted)[name]), name


def test_resume_after_the_last_checkpoint_restores_the_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = training(PHASES[2])

    def save_and_die(path: Path, state: TrainingState, *others: Any) -> None:
        save_state(path, state, *others)
        if state.phase == 1:
            raise StopNow

    with monkeypatch.context() as patch:
        patch.setattr("autodenoise.training.loop.save_state", save_and_die)
        with pytest.raises(StopNow):
            fit(given, tmp_path, RecordingCallback())
    fresh = training(PHASES[2])
    fit(fresh, tmp_path, RecordingCallback())
    for one, other in zip(given.network.parameters(), fresh.network.parameters(), strict=True):
        assert torch.equal(one, other)


def test_checkpoints_of_other_recipes_are_refused(tmp_path: Path) -> None:
    fit(training(PHASES[2]), tmp_path, RecordingCallback())
    for changed in (
        training(PHASES[1]),
        training(PHASES[2], noise=Gaussian(0.5)),
        training(PHASES[2], seed=4),
    ):
        with pytest.raises(InputError, match="another recipe"):
            fit(changed, tmp_path, RecordingCallback())


def test_recipe_text_replaces_measured_noise_in_the_fingerprint(
    tmp_path: Path,
) -> None:
    rows = fit(training(PHASES[2], recipe_text="noisy crops"), tmp_path, RecordingCallback())
    measured = training(PHASES[2], noise=Gaussian(0.4 + 1e-9, clip=True), recipe_text="noisy crops")
    assert losses(fit(measured, tmp_path, RecordingCallback())) == losses(rows)
    with pytest.raises(InputError, match="another recipe"):
        fit(training(PHASES[2], recipe_text="others"), tmp_path, RecordingCallback())


def test_ema_is_validated_saved_and_returned(tmp_path: Path) -> None:
    phase = dataclasses.replace(WITH_EMA, ema=0.999, epochs=2)
    given = training({"denoise": phase})
    rows = fit(given, tmp_path, RecordingCallback())
    validation = Validation(given)
    assert validation.loss(given.network, phase) == pytest.approx(rows[-1].val_loss, rel=1e-5)
    other = nets.build("bottleneck", {"width": 8}, torch.Generator().manual_seed(9))
    load_trained(tmp_path / CHECKPOINT_NAME, other)
    assert validation.loss(other, phase) == pytest.approx(rows[-1].val_loss, rel=1e-5)


def test_clip_limits_the_gradient_norm(tmp_path: Path) -> None:
    seen: list[float] = []

    class Spy(BottleneckAutoencoder):
        def constrain(self) -> None:
            gradients = [p.grad for p in self.parameters() if p.grad is not None]
            seen.append(float(torch.stack([g.norm() for g in gradients]).norm()))

    network = Spy(width=4)
    network.initialize(torch.Generator().manual_seed(0))
    fit(
        training({"a": Phase(epochs=1, batch_size=50)}, network=network),
        tmp_path,
        RecordingCallback(),
    )
    longest = max(seen)
    seen.clear()
    folder = tmp_path / "clipped"
    folder.mkdir()
    clipped = Phase(epochs=1, batch_size=50, clip=longest / 10)
    fit(training({"a": clipped}, network=network), folder, RecordingCallback())
    assert max(seen) <= longest / 10 * 1.001


def test_minutes_end_a_phase_before_its_epochs(tmp_path: Path) -> None:
    phases = {
        "a": Phase(epochs=10**6, batch_size=50, minutes=0.01, schedule=Cosine(warmup=0.0)),
        "b": Phase(
            epochs=10**6, batch_size=50, minutes=0.002, schedule=Cosine(warmup=0.0, floor=0.5)
        ),
    }
    callback = RecordingCallback()
    rows = fit(training(phases), tmp_path, callback)
    for name, phase in phases.items():
        own = [row for row in rows if row.phase == name]
        assert 60 * (phase.minutes or 0) <= sum(row.seconds for row in own)
        assert is_over(rows, name, phase)
        assert not is_over(own[:-1], name, phase)
    assert 0.49e-3 < rows[-1].learning_rate <= 1e-3  # how low depends on how long a step takes
    assert all(status.eta >= 0 for status in callback.steps)
    # Resumed, its time is used up.
    again = RecordingCallback()
    assert fit(training(phases), tmp_path, again) == rows
    assert not again.steps


def test_loss_of_an_epoch_cut_short_is_the_mean_over_seen_images(tmp_path: Path) -> None:
    # The weights do not change, so training and validation have the same loss but for the images.
    phase = Phase(epochs=1, batch_size=1, minutes=5e-4, optimizer=Adam(1e-30), loss="mse")
    rows = fit(training({"a": phase}), tmp_path, RecordingCallback())
    assert rows[0].loss == pytest.approx(rows[0].val_loss, rel=0.3)


def test_training_on_crops_in_bfloat16_denoises(tmp_path: Path) -> None:
    random = torch.Generator().manual_seed(0)
    # Smooth images: only the noise has detail.
    coarse = torch.rand(12, 3, 6, 7, generator=random)
    smooth = torch.nn.functional.interpolate(coarse, scale_factor=8, mode="bicubic").clamp(0, 1)
    scenes = [*smooth[:6, None], *smooth[6:, None].transpose(3, 4)]
    crops = ImageCrops(scenes, 24, shuffle_channels=True)
    network = nets.build("unet", {"channels": 3}, torch.Generator().manual_seed(0))
    phase = Phase(
        epochs=1,
        batch_size=6,
        loss="charbonnier",
        optimizer=Muon(0.02, 5e-3),
        schedule=Cosine(),
        clip=1.0,
        ema=0.9,
        precision="bfloat16",
    )
    given = training(
        {"squares": phase, "large": dataclasses.replace(phase, crop=40, loss="mse")},
        network=network,
        train=crops,
        validation=Batch(smooth[:, :, :40, :40].contiguous()),
        samples=3005,
        noise=Gaussian(0.2),
    )
    rows = fit(given, tmp_path, RecordingCallback())
    # Doing nothing leaves 0.04.
    assert rows[-1].val_loss < 0.012


def test_nonfinite_validation_loss_stops_training(tmp_path: Path) -> None:
    # One step of any size: the training loss is the last good one.
    phases = {"denoise": Phase(epochs=1, batch_size=150, optimizer=Adadelta(1e38))}
    with pytest.raises(TrainingDiverged, match="validation loss became"):
        fit(training(phases), tmp_path, RecordingCallback())
    assert not list(tmp_path.iterdir())


def test_training_learns_to_denoise(tmp_path: Path) -> None:
    phases = {"denoise": Phase(epochs=12, batch_size=16, optimizer=Muon(), schedule=OneCycle())}
    rows = fit(training(phases, train=squares(400, 0)), tmp_path, RecordingCallback())
    # A perfect output scores 0 here; answering each pixel's mean brightness scores 0.28.
    assert rows[-1].val_loss < 0.06
    assert rows[-1].val_loss < rows[0].val_loss / 2


def test_metrics_file_has_a_row_per_epoch(tmp_path: Path) -> None:
    callback = RecordingCallback()
    rows = fit(training(PHASES[3]), tmp_path, callback)
    with (tmp_path / "metrics.csv").open() as file:
        table = list(csv.DictReader(file))
    assert [(line["phase"], int(line["epoch"])) for line in table] == [
        ("reconstruct", 1),
        ("reconstruct", 2),
        ("denoise", 1),
        ("denoise", 2),
    ]
    assert [float(line["val_loss"]) for line in table] == [row.val_loss for row in rows]
    assert callback.rows == rows
    assert callback.steps[-1].step == callback.steps[-1].steps
    assert callback.steps[-1].eta == pytest.approx(0, abs=1e-6)


def test_finished_run_is_not_trained_again(tmp_path: Path) -> None:
    rows = fit(training(PHASES[2]), tmp_path, RecordingCallback())
    callback = RecordingCallback()
    assert fit(training(PHASES[2]), tmp_path, callback) == rows
    assert not callback.steps


def test_best_weights_have_the_lowest_validation_loss(tmp_path: Path) -> None:
    phase = Phase(epochs=6, batch_size=16, optimizer=Adam(0.03))
    given = training({"denoise": phase})
    rows = fit(given, tmp_path, RecordingCallback())
    best = min(row.val_loss for row in rows)
    load_weights(tmp_path / "best.safetensors", given.network)
    folder = tmp_path / "again"
    folder.mkdir()
    # One step of vanishing size validates the weights as they are.
    still = dataclasses.replace(phase, epochs=1, batch_size=150, optimizer=Adam(1e-30))
    again = fit(dataclasses.replace(given, phases={"denoise": still}), folder, RecordingCallback())
    assert again[0].val_loss == pytest.approx(best, rel=1e-6)


def test_patience_ends_a_phase_early(tmp_path: Path) -> None:
    phases = {
        "denoise": Phase(epochs=50, batch_size=75, optimizer=Adam(1e-30), patience=3),
        "more": Phase(epochs=1, batch_size=75),
    }
    rows = fit(training(phases), tmp_path, RecordingCallback())
    # The weights do not change: the first epoch stays the best and three more follow.
    assert [row.phase for row in rows] == ["denoise"] * 4 + ["more"]


def test_nonfinite_loss_stops_with_advice(tmp_path: Path) -> None:
    class Broken:
        def __call__(self, clean: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
            del generator
            return clean * float("nan")

        def describe(self) -> str:
            return "NaN"

    noise: Noise = Broken()
    phases = {"denoise": Phase(epochs=2, batch_size=32, optimizer=Adam(0.5))}
    with pytest.raises(TrainingDiverged, match=r"phase\.denoise\.optimizer\.learning_rate=0\.05"):
        fit(training(phases, noise=noise), tmp_path, RecordingCallback())
    assert not (tmp_path / "metrics.csv").exists()


def test_noise_drawn_once_stays_and_fresh_noise_changes(tmp_path: Path) -> None:
    seen: dict[str, list[torch.Tensor]] = {"once": [], "fresh": []}
    for kind, given in seen.items():

        class Spy(BottleneckAutoencoder):
            def forward(self, x: torch.Tensor, inputs: list[torch.Tensor] = given) -> torch.Tensor:
                if self.training:
                    inputs.append(x.detach().clone())
                return super().forward(x)

        folder = tmp_path / kind
        folder.mkdir()
        phases = {"denoise": Phase(epochs=2, batch_size=60, noise=kind)}  # type: ignore[arg-type]
        fit(
            training(phases, network=Spy(width=4), train=squares(60, 0)),
            folder,
            RecordingCallback(),
        )
    for kind, (first, second) in seen.items():
        # Epochs are in another order each, so compare as sets: by sorted sums.
        one, other = (batch.sum((1, 2, 3)).sort().values for batch in (first, second))
        assert torch.allclose(one, other) == (kind == "once")
