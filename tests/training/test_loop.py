from __future__ import annotations

import csv
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from autodenoise import nets
from autodenoise.data.crops import Batch, ImageCrops
from autodenoise.errors import InputError, TrainingDiverged, UsageError
from autodenoise.nets.tutorials import BottleneckAutoencoder
from autodenoise.noise import Gaussian, Noise
from autodenoise.training.checkpoint import (
    load_state,
    load_weights,
    restore,
    restore_trained,
    save_state,
    save_weights,
)
from autodenoise.training.ema import EMA
from autodenoise.training.history import EpochRow
from autodenoise.training.loop import CHECKPOINT_NAME, fit
from autodenoise.training.losses import charbonnier, loss_for, mean_squared_error
from autodenoise.training.optimizers import Adadelta, Adam, Muon
from autodenoise.training.phases import Phase, is_over
from autodenoise.training.randomness import generator
from autodenoise.training.schedules import Cosine, OneCycle
from autodenoise.training.state import Training, TrainingState, TrainingStatus
from autodenoise.training.validation import Validation


class Heard:
    def __init__(self) -> None:
        self.steps: list[TrainingStatus] = []
        self.rows: list[EpochRow] = []

    def begin(self, training: Training, rows: tuple[EpochRow, ...]) -> None:
        self.began, self.earlier = training, rows

    def step(self, status: TrainingStatus) -> None:
        self.steps.append(status)

    def epoch(self, row: EpochRow) -> None:
        self.rows.append(row)


def squares(count: int, seed: int) -> torch.Tensor:
    """Draw bright squares on black: a data set that a small network learns in seconds."""
    place = torch.randint(2, 18, (count, 2), generator=torch.Generator().manual_seed(seed))
    images = torch.zeros(count, 1, 28, 28, dtype=torch.uint8)
    for image, (row, column) in zip(images, place.tolist(), strict=True):
        image[0, row : row + 8, column : column + 8] = 255
    return images


def training(phases: dict[str, Phase], **changes: Any) -> Training:
    values: dict[str, Any] = {
        "network": nets.build("bottleneck", {"width": 8}, torch.Generator().manual_seed(0)),
        "phases": phases,
        "noise": Gaussian(0.4, clip=True),
        "train": squares(150, 0),
        "validation": Batch(squares(50, 1)),
        "validation_split": "test",
        "noisy_validation": True,
        "seed": 3,
        "device": torch.device("cpu"),
    }
    values |= changes
    return Training(**{"samples": len(values["train"]), **values})


AVERAGED = Phase(
    epochs=4, batch_size=32, optimizer=Adam(0.01), schedule=Cosine(), ema=0.9, clip=0.3
)
PHASES = [
    {"denoise": AVERAGED, "more": dataclasses.replace(AVERAGED, epochs=1, loss="charbonnier")},
    {"denoise": Phase(epochs=4, batch_size=32, optimizer=Muon(), schedule=OneCycle())},
    {"denoise": Phase(epochs=4, batch_size=32, noise="once", optimizer=Adam())},
    {
        "reconstruct": Phase(epochs=2, batch_size=32, objective="reconstruction"),
        "denoise": Phase(epochs=2, batch_size=40, optimizer=Adadelta(), loss="mse"),
    },
]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    _, tensors = load_state(folder / CHECKPOINT_NAME)
    return {name: value for name, value in tensors.items() if name.startswith("network.")}


def losses(rows: list[EpochRow]) -> list[tuple[str, int, float, float, float]]:
    return [(row.phase, row.epoch, row.loss, row.val_loss, row.learning_rate) for row in rows]


class StopNow(Exception):
    pass


@pytest.mark.parametrize("phases", PHASES, ids=["average", "muon", "adam", "two phases"])
@pytest.mark.parametrize("whole_epochs", [1, 2, 3])
def test_a_run_that_died_ends_bit_for_bit_as_one_that_did_not(
    tmp_path: Path, phases: dict[str, Phase], whole_epochs: int
) -> None:
    straight, broken = tmp_path / "straight", tmp_path / "broken"
    straight.mkdir()
    broken.mkdir()
    expected = fit(training(phases, samples=300), straight, Heard())

    class Dies(Heard):
        def step(self, status: TrainingStatus) -> None:
            super().step(status)
            if len(self.rows) == whole_epochs:
                raise StopNow

    with pytest.raises(StopNow):
        fit(training(phases, samples=300), broken, Dies())
    # Another network object with other weights: all must come from the checkpoint.
    other = nets.build("bottleneck", {"width": 8}, torch.Generator().manual_seed(99))
    rows = fit(training(phases, samples=300, network=other), broken, Heard())
    assert losses(rows) == losses(expected)
    for name, value in weights(straight).items():
        assert torch.equal(value, weights(broken)[name]), name


@pytest.mark.parametrize(
    ("phases", "saved"),
    [
        *((phases, saved) for phases in PHASES for saved in (2, 5, 7, 13)),
        (PHASES[0], 25),  # the end of its first phase
    ],
)
def test_so_does_one_that_died_anywhere_after_a_checkpoint(
    tmp_path: Path, phases: dict[str, Phase], saved: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    straight, broken = tmp_path / "straight", tmp_path / "broken"
    straight.mkdir()
    broken.mkdir()
    expected = fit(training(phases), straight, Heard())
    left = saved

    def save_and_die(*arguments: Any) -> None:
        nonlocal left
        save_state(*arguments)
        left -= 1
        if left == 0:
            raise StopNow

    with monkeypatch.context() as patch:
        # Every step is a checkpoint, and the process dies right after one of them.
        patch.setattr("autodenoise.training.loop._CHECKPOINT_SECONDS", 0.0)
        patch.setattr("autodenoise.training.loop.save_state", save_and_die)
        with pytest.raises(StopNow):
            fit(training(phases), broken, Heard())
    assert losses(fit(training(phases), broken, Heard())) == losses(expected)
    for name, value in weights(straight).items():
        assert torch.equal(value, weights(broken)[name]), name


def test_so_does_one_that_died_after_its_very_last_save(
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
            fit(given, tmp_path, Heard())
    fresh = training(PHASES[2])
    fit(fresh, tmp_path, Heard())
    for one, other in zip(given.network.parameters(), fresh.network.parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_checkpoint_fits_no_other_recipe(tmp_path: Path) -> None:
    fit(training(PHASES[2]), tmp_path, Heard())
    for changed in (
        training(PHASES[1]),
        training(PHASES[2], noise=Gaussian(0.5)),
        training(PHASES[2], seed=4),
    ):
        with pytest.raises(InputError, match="another recipe"):
            fit(changed, tmp_path, Heard())


def test_a_recipe_stands_for_noise_that_another_processor_measures_otherwise(
    tmp_path: Path,
) -> None:
    rows = fit(training(PHASES[2], recipe_text="noisy pictures"), tmp_path, Heard())
    measured = training(
        PHASES[2], noise=Gaussian(0.4 + 1e-9, clip=True), recipe_text="noisy pictures"
    )
    assert losses(fit(measured, tmp_path, Heard())) == losses(rows)
    with pytest.raises(InputError, match="another recipe"):
        fit(training(PHASES[2], recipe_text="others"), tmp_path, Heard())


def test_the_average_is_the_mean_that_its_decay_says() -> None:
    layer = torch.nn.Linear(1, 1, bias=False)
    values = [0.7, -1.0, 2.0, 5.0, 0.25]
    layer.weight.data.fill_(values[0])
    average = EMA(layer, 0.5)
    expected = values[0]
    for count, value in enumerate(values[1:], 1):
        layer.weight.data.fill_(value)
        average.update()
        kept = min(0.5, (1 + count) / (10 + count))
        expected = kept * expected + (1 - kept) * value
    with average.applied():
        assert layer.weight.item() == pytest.approx(expected)
    assert layer.weight.item() == values[-1]
    average.copy_to_network()
    assert layer.weight.item() == pytest.approx(expected)


def test_what_is_validated_kept_and_handed_over_is_the_average(tmp_path: Path) -> None:
    phase = dataclasses.replace(AVERAGED, ema=0.999, epochs=2)
    given = training({"denoise": phase})
    rows = fit(given, tmp_path, Heard())
    watched = Validation(given)
    assert watched.loss(given.network, phase) == pytest.approx(rows[-1].val_loss, rel=1e-5)
    _, tensors = load_state(tmp_path / CHECKPOINT_NAME)
    other = nets.build("bottleneck", {"width": 8}, torch.Generator().manual_seed(9))
    restore_trained(tmp_path / CHECKPOINT_NAME, tensors, other)
    assert watched.loss(other, phase) == pytest.approx(rows[-1].val_loss, rel=1e-5)


def test_a_clipped_step_is_no_longer_than_asked(tmp_path: Path) -> None:
    seen: list[float] = []

    class Watched(BottleneckAutoencoder):
        def constrain(self) -> None:
            gradients = [p.grad for p in self.parameters() if p.grad is not None]
            seen.append(float(torch.stack([g.norm() for g in gradients]).norm()))

    network = Watched(width=4)
    network.initialise(torch.Generator().manual_seed(0))
    fit(training({"a": Phase(epochs=1, batch_size=50)}, network=network), tmp_path, Heard())
    longest = max(seen)
    seen.clear()
    folder = tmp_path / "clipped"
    folder.mkdir()
    clipped = Phase(epochs=1, batch_size=50, clip=longest / 10)
    fit(training({"a": clipped}, network=network), folder, Heard())
    assert max(seen) <= longest / 10 * 1.001


def test_minutes_end_a_phase_whatever_its_epochs(tmp_path: Path) -> None:
    phases = {
        "a": Phase(epochs=10**6, batch_size=50, minutes=0.01, schedule=Cosine(warmup=0.0)),
        "b": Phase(
            epochs=10**6, batch_size=50, minutes=0.002, schedule=Cosine(warmup=0.0, floor=0.5)
        ),
    }
    heard = Heard()
    rows = fit(training(phases), tmp_path, heard)
    for name, phase in phases.items():
        own = [row for row in rows if row.phase == name]
        assert 60 * (phase.minutes or 0) <= sum(row.seconds for row in own)
        assert is_over(rows, name, phase)
        assert not is_over(own[:-1], name, phase)
    assert 0.49e-3 < rows[-1].learning_rate <= 1e-3  # how low depends on how long a step takes
    assert all(status.eta >= 0 for status in heard.steps)
    # Gone on with, it has had its time.
    again = Heard()
    assert fit(training(phases), tmp_path, again) == rows
    assert not again.steps


def test_the_loss_of_an_epoch_that_time_cuts_is_that_of_what_was_seen(tmp_path: Path) -> None:
    # Nothing is learnt, so training and validation have the same loss but for the images.
    phase = Phase(epochs=1, batch_size=1, minutes=5e-4, optimizer=Adam(1e-30), loss="mse")
    rows = fit(training({"a": phase}), tmp_path, Heard())
    assert rows[0].loss == pytest.approx(rows[0].val_loss, rel=0.3)


def test_on_a_gpu_the_loss_is_compiled_with_the_network_in_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    graphs: list[torch.fx.GraphModule] = []

    def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
        def count(graph: torch.fx.GraphModule, _: list[torch.Tensor]) -> Callable[..., Any]:
            graphs.append(graph)
            return graph.forward

        return torch_compile(function, backend=count)

    torch_compile = torch.compile
    monkeypatch.setattr(torch, "compile", compiled)
    phase = Phase(epochs=1, loss="charbonnier", precision="bfloat16")
    network = nets.build("unet", {}, torch.Generator().manual_seed(0))
    noisy, clean = torch.rand(2, 1, 1, 16, 16)
    loss = loss_for(phase, torch.device("cuda"))
    expected = charbonnier(network, noisy, clean)
    torch.testing.assert_close(loss(network, noisy, clean), expected)
    convolutions = [node for graph in graphs for node in graph.graph.nodes if "conv" in node.name]
    assert len(convolutions) >= 16
    assert loss_for(phase, torch.device("cpu")) is charbonnier


def test_what_cannot_be_compiled_is_trained_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    torch_compile = torch.compile

    def without_a_compiler(*_: Any) -> Callable[..., Any]:
        raise RuntimeError("Failed to find C compiler")

    monkeypatch.setattr(
        torch, "compile", lambda function: torch_compile(function, backend=without_a_compiler)
    )
    phase = Phase(epochs=1, loss="mse", precision="bfloat16")
    network = nets.build("unet", {}, torch.Generator().manual_seed(0))
    noisy, clean = torch.rand(2, 1, 1, 16, 16)
    loss = loss_for(phase, torch.device("cuda"))
    with pytest.warns(UserWarning, match="uncompiled.*Failed to find C compiler"):
        first = loss(network, noisy, clean)
    # Once is enough.
    assert torch.equal(first, loss(network, noisy, clean))
    assert torch.equal(first, mean_squared_error(network, noisy, clean))


def test_it_learns_from_crops_in_bfloat16(tmp_path: Path) -> None:
    random = torch.Generator().manual_seed(0)
    # Smooth pictures: noise is what has detail.
    coarse = torch.rand(12, 3, 6, 7, generator=random)
    smooth = torch.nn.functional.interpolate(coarse, scale_factor=8, mode="bicubic").clamp(0, 1)
    scenes = [*smooth[:6, None], *smooth[6:, None].transpose(3, 4)]
    pictures = ImageCrops(scenes, 24, shuffle_channels=True)
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
        train=pictures,
        validation=Batch(smooth[:, :, :40, :40].contiguous()),
        samples=3005,
        noise=Gaussian(0.2),
    )
    rows = fit(given, tmp_path, Heard())
    # Doing nothing leaves 0.04.
    assert rows[-1].val_loss < 0.012


def test_a_validation_loss_that_is_no_number_stops_too(tmp_path: Path) -> None:
    # One step of any size: the training loss is the last good one.
    phases = {"denoise": Phase(epochs=1, batch_size=150, optimizer=Adadelta(1e38))}
    with pytest.raises(TrainingDiverged, match="validation loss became"):
        fit(training(phases), tmp_path, Heard())
    assert not list(tmp_path.iterdir())


def test_it_learns_to_denoise(tmp_path: Path) -> None:
    phases = {"denoise": Phase(epochs=12, batch_size=16, optimizer=Muon(), schedule=OneCycle())}
    rows = fit(training(phases, train=squares(400, 0)), tmp_path, Heard())
    # A perfect output scores 0 here; answering each pixel's mean brightness scores 0.28.
    assert rows[-1].val_loss < 0.06
    assert rows[-1].val_loss < rows[0].val_loss / 2


def test_the_metrics_file_tells_each_epoch(tmp_path: Path) -> None:
    heard = Heard()
    rows = fit(training(PHASES[3]), tmp_path, heard)
    with (tmp_path / "metrics.csv").open() as file:
        table = list(csv.DictReader(file))
    assert [(line["phase"], int(line["epoch"])) for line in table] == [
        ("reconstruct", 1),
        ("reconstruct", 2),
        ("denoise", 1),
        ("denoise", 2),
    ]
    assert [float(line["val_loss"]) for line in table] == [row.val_loss for row in rows]
    assert heard.rows == rows
    assert heard.steps[-1].step == heard.steps[-1].steps
    assert heard.steps[-1].eta == pytest.approx(0, abs=1e-6)


def test_a_finished_run_is_not_trained_again(tmp_path: Path) -> None:
    rows = fit(training(PHASES[2]), tmp_path, Heard())
    heard = Heard()
    assert fit(training(PHASES[2]), tmp_path, heard) == rows
    assert not heard.steps


def test_best_weights_are_those_of_the_lowest_validation_loss(tmp_path: Path) -> None:
    phase = Phase(epochs=6, batch_size=16, optimizer=Adam(0.03))
    given = training({"denoise": phase})
    rows = fit(given, tmp_path, Heard())
    best = min(row.val_loss for row in rows)
    load_weights(tmp_path / "best.safetensors", given.network)
    folder = tmp_path / "again"
    folder.mkdir()
    # One step of vanishing size validates the weights as they are.
    still = dataclasses.replace(phase, epochs=1, batch_size=150, optimizer=Adam(1e-30))
    again = fit(dataclasses.replace(given, phases={"denoise": still}), folder, Heard())
    assert again[0].val_loss == pytest.approx(best, rel=1e-6)


def test_patience_ends_a_phase_early(tmp_path: Path) -> None:
    phases = {
        "denoise": Phase(epochs=50, batch_size=75, optimizer=Adam(1e-30), patience=3),
        "more": Phase(epochs=1, batch_size=75),
    }
    rows = fit(training(phases), tmp_path, Heard())
    # Nothing is learnt, so that the first epoch stays the best and three more follow.
    assert [row.phase for row in rows] == ["denoise"] * 4 + ["more"]


def test_a_loss_that_is_no_number_stops_with_advice(tmp_path: Path) -> None:
    class Broken:
        def __call__(self, clean: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
            del generator
            return clean * float("nan")

    noise: Noise = Broken()
    phases = {"denoise": Phase(epochs=2, batch_size=32, optimizer=Adam(0.5))}
    with pytest.raises(TrainingDiverged, match=r"phase\.denoise\.optimizer\.learning_rate=0\.05"):
        fit(training(phases, noise=noise), tmp_path, Heard())
    assert not (tmp_path / "metrics.csv").exists()


def test_noise_drawn_once_stays_and_fresh_noise_does_not(tmp_path: Path) -> None:
    seen: dict[str, list[torch.Tensor]] = {"once": [], "fresh": []}
    for kind, given in seen.items():

        class Watched(BottleneckAutoencoder):
            def forward(self, x: torch.Tensor, kept: list[torch.Tensor] = given) -> torch.Tensor:
                if self.training:
                    kept.append(x.detach().clone())
                return super().forward(x)

        folder = tmp_path / kind
        folder.mkdir()
        phases = {"denoise": Phase(epochs=2, batch_size=60, noise=kind)}  # type: ignore[arg-type]
        fit(training(phases, network=Watched(width=4), train=squares(60, 0)), folder, Heard())
    for kind, (first, second) in seen.items():
        # Epochs are in another order each, so compare as sets: by sorted sums.
        one, other = (batch.sum((1, 2, 3)).sort().values for batch in (first, second))
        assert torch.allclose(one, other) == (kind == "once")


def test_generators_differ_by_purpose_and_place() -> None:
    def number(*where: Any) -> float:
        return float(torch.rand(1, generator=generator(*where), dtype=torch.float64))

    places = [(0, "a"), (1, "a"), (0, "b"), (0, "a", 0), (0, "a", 1), (0, "a", 0, 1)]
    assert len({number(*place) for place in places}) == len(places)
    assert number(7, "order", 3) == number(7, "order", 3)


def test_damaged_checkpoints_are_one_error(tmp_path: Path) -> None:
    network = nets.build("conv", {}, torch.Generator().manual_seed(0))
    path = tmp_path / "checkpoint.safetensors"
    save_state(path, TrainingState(), network, Adam().build(network))
    whole = path.read_bytes()
    for damaged in (b"", whole[:100], whole[:-10], b"\0" * 100):
        path.write_bytes(damaged)
        with pytest.raises(InputError):
            load_state(path)
    both = Muon().build(network)
    network(torch.rand(2, 1, 28, 28)).square().mean().backward()
    for optimizer in both:
        optimizer.step()
    save_state(path, TrainingState(), network, both)
    _, tensors = load_state(path)
    with pytest.raises(InputError, match="another optimizer"):
        restore(path, tensors, network, Adam().build(network))
    save_weights(path, network)
    with pytest.raises(InputError, match="not a checkpoint"):
        load_state(path)
    other = nets.build("blur", {}, torch.Generator().manual_seed(0))
    with pytest.raises(InputError, match="another network"):
        load_weights(path, other)
    with pytest.raises(InputError, match="no such checkpoint"):
        load_weights(tmp_path / "none", network)


def test_optimizer_state_survives_a_round_trip(tmp_path: Path) -> None:
    network = nets.build("conv", {}, torch.Generator().manual_seed(0))
    optimizers = Muon().build(network)
    network(torch.rand(2, 1, 28, 28)).square().mean().backward()
    for optimizer in optimizers:
        optimizer.step()
    path = tmp_path / "checkpoint.safetensors"
    save_state(path, TrainingState(phase=1, step=4, loss_sum=0.1), network, optimizers)
    state, tensors = load_state(path)
    assert (state.phase, state.step, state.loss_sum) == (1, 4, 0.1)
    fresh = nets.build("conv", {}, torch.Generator().manual_seed(1))
    again = Muon().build(fresh)
    restore(path, tensors, fresh, again)
    for one, other in zip(optimizers, again, strict=True):
        for a, b in zip(one.state.values(), other.state.values(), strict=True):
            assert a.keys() == b.keys()
            assert all(torch.equal(a[slot], b[slot]) for slot in a)


@pytest.mark.parametrize("change", [{"epochs": 0}, {"batch_size": 0}, {"patience": 0}])
def test_phases_that_mean_nothing_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="expected at least 1"):
        Phase(**({"epochs": 1} | change))
