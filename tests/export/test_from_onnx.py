from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch

import autodenoise
from autodenoise import nets, recipes, runtime
from autodenoise.errors import InputError, UsageError
from autodenoise.export.from_onnx import initialize_from
from autodenoise.nets.residual_unet import change_channels, grow
from autodenoise.training.checkpoint import load_state

SMALL = [
    "network={name = 'unet'}",
    "phase={denoise = {epochs = 1, loss = 'mse', optimizer = {kind = 'adam'}}}",
    "data.size=[16, 16]",
    "figures=[]",
    "search={}",
]


def unet(channels: int, seed: int, preset: str = "fast", deep: int = 0) -> nets.Autoencoder:
    arguments = {"channels": channels, "preset": preset, "deep": deep}
    network = nets.build("unet", arguments, torch.Generator().manual_seed(seed)).eval()
    # Initial residuals are small.
    for parameter in network.parameters():
        parameter.data.mul_(3)
    return network.double()


@pytest.mark.parametrize(("given", "wanted"), [(3, 1), (1, 3), (3, 3), (2, 4)])
@torch.no_grad()
def test_other_number_of_channels_keeps_the_output_for_gray_images(given: int, wanted: int) -> None:
    old, new = unet(given, 0), unet(wanted, 1)
    new.load_state_dict(change_channels(old.state_dict(), given, wanted))
    draw = torch.Generator().manual_seed(2)
    gray = torch.rand(2, 1, 24, 16, dtype=torch.double, generator=draw)
    expected = old(gray.expand(-1, given, -1, -1)).mean(1, keepdim=True)
    output = new(gray.expand(-1, wanted, -1, -1))
    if given != wanted:
        torch.testing.assert_close(output, expected.expand_as(output))
    assert torch.equal(output, old(gray.expand(-1, given, -1, -1))) == (given == wanted)


@pytest.mark.parametrize(
    ("size", "larger"),
    [
        (("fast",), ("balanced",)),
        (("fast",), ("best",)),
        (("balanced",), ("best",)),
        (("fast",), ("fast", 8)),
        (("fast", 8), ("fast", 12)),
        (("fast", 8), ("balanced", 12)),
    ],
)
def test_larger_network_starts_with_the_output_of_a_smaller_one(
    size: tuple[Any, ...], larger: tuple[Any, ...]
) -> None:
    old, new = unet(2, 0, *size), unet(2, 1, *larger)
    new.load_state_dict(grow(old.state_dict(), new.state_dict()))
    draw = torch.Generator().manual_seed(2)
    noisy = torch.rand(2, 2, 32, 16, dtype=torch.double, generator=draw)
    torch.testing.assert_close(new(noisy), old(noisy))
    # A few steps of gradient descent change every weight, the new ones included.
    before = {name: weight.clone() for name, weight in new.named_parameters()}
    optimizer = torch.optim.SGD(new.parameters(), lr=1e-3)
    for _ in range(4):
        optimizer.zero_grad()
        new(noisy).square().mean().backward()
        optimizer.step()
    for name, weight in new.named_parameters():
        assert (weight != before[name]).all(), name


def test_weights_of_the_same_size_are_copied() -> None:
    old, new = unet(3, 0).state_dict(), unet(3, 1).state_dict()
    taken = grow(old, new)
    assert taken.keys() == old.keys()
    assert all(torch.equal(taken[name], old[name]) for name in old)


@pytest.mark.parametrize(("size", "smaller"), [("balanced", "fast"), ("best", "balanced")])
def test_smaller_network_cannot_start_from_a_larger_one(size: str, smaller: str) -> None:
    with pytest.raises(ValueError, match="larger"):
        grow(unet(1, 0, size).state_dict(), unet(1, 1, smaller).state_dict())


@pytest.mark.parametrize("maps", [0, 4])
def test_missing_deep_level_is_named_in_the_error(maps: int) -> None:
    with pytest.raises(ValueError, match=r"set network\.deep to 8 or more"):
        grow(unet(1, 0, deep=8).state_dict(), unet(1, 1, deep=maps).state_dict())


def test_run_starts_from_the_weights_of_another(tmp_path: Path) -> None:
    first = autodenoise.train("digits", tmp_path / "first", settings=SMALL)
    still = [
        *SMALL,
        f"start={first.folder}",
        "phase.denoise.optimizer={kind = 'adam', learning_rate = 1e-12}",
    ]
    second = autodenoise.train("digits", tmp_path / "second", settings=still, seed=5)
    _, weights = load_state(first.folder / "checkpoint.safetensors")
    _, others = load_state(second.folder / "checkpoint.safetensors")
    for name, value in weights.items():
        if name.startswith("network."):
            torch.testing.assert_close(others[name], value)
    spent = runtime.load(first.folder).card.compute
    assert runtime.load(second.folder).card.compute.endswith(f", begun from digits ({spent})")
    # The run resumes without the model that it started from.
    (first.folder / "model.onnx").rename(tmp_path / "elsewhere.onnx")
    assert autodenoise.resume(second.folder).rows == second.rows


def test_long_histories_of_training_are_shortened_on_the_card(tmp_path: Path) -> None:
    run = autodenoise.train("digits", tmp_path / "run", settings=SMALL)
    path, card = run.folder / "model.onnx", runtime.load(run.folder).card
    model = onnx.load(path)
    changed = dataclasses.replace(card, compute="begun from digits " * 50)
    onnx.helper.set_model_props(model, {runtime.CARD_KEY: changed.to_json()})
    onnx.save(model, path)
    again = autodenoise.train("digits", tmp_path / "again", settings=[*SMALL, f"start={path}"])
    assert runtime.load(again.folder).card.compute.endswith(", begun from digits")


def test_unusable_starts_are_refused(tmp_path: Path) -> None:
    settings = ["phase.denoise.epochs=1", "data.size=[16, 16]"]
    run = autodenoise.train("digits", tmp_path / "digits", settings=settings)
    with pytest.raises(InputError, match="cannot start from"):
        initialize_from(run.folder / "model.onnx", unet(1, 0))
    for start, expected in (("nothing.onnx", InputError), ("nothing", UsageError)):
        with pytest.raises(expected, match="nothing"):
            autodenoise.train("digits", tmp_path / "second", settings=[*settings, f"start={start}"])
        assert not (tmp_path / "second").exists()
    assert recipes.load("photo-real-color").start == "photo-fast-color"
