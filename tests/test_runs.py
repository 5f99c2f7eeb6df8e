from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import autodenoise
from autodenoise import nets, recipes, runs
from autodenoise.data import dataset as data
from autodenoise.data.splits import Part
from autodenoise.errors import OutputError, UsageError
from autodenoise.locks import LockedFile
from autodenoise.runs.networks import fingerprint


def few(count: int, channels: int = 1, side: int = 28) -> torch.Tensor:
    random = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, channels, side, side), dtype=torch.uint8, generator=random)


def small(recipe: recipes.Recipe) -> recipes.Recipe:
    """Give a recipe for photos as one that takes seconds, from random weights."""
    phases = {
        name: dataclasses.replace(phase, batch_size=2, crop=None if phase.crop is None else 48)
        for name, phase in recipe.phase.items()
    }
    data = dataclasses.replace(recipe.data, crop=32, copies=1)
    return dataclasses.replace(recipe, data=data, phase=phases, start="")


@pytest.mark.parametrize("name", recipes.builtin_names())
def test_every_recipe_trains_and_exports_a_model(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = recipes.load(name, epochs=1)
    channels, full_images = 1, ()
    if recipe.data.crop is not None:
        recipe = small(recipe)
        channels = 1 if recipe.data.gray else 3
        full_images = tuple(few(4, channels, 48)[:, None])
    count = 2 * max(phase.batch_size for phase in recipe.phase.values())
    images = few(count // recipe.data.copies, channels, 48 if full_images else 28)
    part = Part(images[:5])
    splits = data.Splits(Part(images, None, full_images), part, part)
    monkeypatch.setattr(data, "load", lambda *_: splits)
    run = autodenoise.train(recipe, tmp_path / "run", device="cpu")
    assert [row.phase for row in run.rows] == list(recipe.phase)
    assert all(np.isfinite([row.loss, row.val_loss]).all() for row in run.rows)
    model = autodenoise.load(run.folder)
    assert model.card.name == name
    untrained = runs.network(recipe, splits.shape)
    assert model.card.parameters == nets.parameter_count(untrained)
    shape = splits.shape[1:] if channels == 1 else (*splits.shape[1:], channels)
    clean = model(np.zeros(shape, np.uint8))
    assert clean.shape == shape


def test_train_and_denoise_in_python(tmp_path: Path) -> None:
    run = autodenoise.train(
        "digits", tmp_path / "run", settings=["data.size=[16, 16]"], epochs=2, seed=4
    )
    scores = autodenoise.evaluate(run.folder)
    assert scores.denoised.bce < scores.noisy.bce
    clean = autodenoise.load(run.folder)(np.zeros((16, 16)))
    assert clean.dtype == np.float64
    assert run.recipe.seed == 4
    assert autodenoise.resume(run.folder).rows == run.rows
    with pytest.raises(OutputError, match="exists already"):
        autodenoise.train("digits", run.folder)


def test_card_rebuilds_the_network(tmp_path: Path) -> None:
    settings = ["data.size=[16, 16]", "network={name = 'dense', widths = [20, 5, 20]}"]
    run = autodenoise.train("digits", tmp_path / "run", settings=settings, epochs=1)
    card = run.model().card
    generator = torch.Generator().manual_seed(0)
    assert (
        nets.parameter_count(nets.build(card.network, card.arguments, generator)) == card.parameters
    )
    assert card.size == (16, 16)
    assert card.license == ""


@pytest.mark.parametrize("count", [1, 10, 600, 2000])
def test_noise_of_test_images_does_not_depend_on_their_number(count: int) -> None:
    random = np.random.default_rng(0)
    clean = torch.from_numpy(random.integers(0, 256, (1200, 1, 4, 4), np.uint8))
    splits = data.Splits(Part(clean), Part(clean[:9]), Part(clean))
    run = runs.Run(Path("nowhere"), recipes.load("blur-mnist"))
    whole, some = run.evaluation_images(splits), run.evaluation_images(splits, count)
    assert len(some.require_clean("a test")) == min(count, 1200)
    np.testing.assert_array_equal(
        some.require_clean("a test"), whole.require_clean("a test")[:count]
    )
    np.testing.assert_array_equal(some.noisy, whole.noisy[:count])


@pytest.mark.parametrize(
    "setting",
    [
        "network={name = 'bottleneck', width = 0}",
        "network={name = 'bottleneck', width = -1}",
        "network={name = 'dense', widths = []}",
        "network.dark=1.5",
        "network={name = 'blur', channels = 3}",
        "phase.denoise.optimizer.weight_decay=-1",
    ],
)
def test_invalid_recipe_leaves_no_folder(tmp_path: Path, setting: str) -> None:
    with pytest.raises(UsageError):
        autodenoise.train("digits", tmp_path / "run", settings=[setting], epochs=1)
    assert not (tmp_path / "run").exists()


def test_neighbor2neighbor_needs_a_network_for_any_size(tmp_path: Path) -> None:
    settings = [
        "network={name = 'dense'}",
        "phase.denoise.objective=neighbor2neighbor",
        "phase.denoise.loss=mse",
        "search={}",
    ]
    with pytest.raises(UsageError, match="trains on images of half the size"):
        autodenoise.train("digits", tmp_path / "run", settings=settings, epochs=1)


@pytest.mark.parametrize(
    ("changed", "matters"),
    [
        ("network.residual=false", True),
        ("network.residual=true", False),
        ("phase.squares.accumulate=2", True),
        ("phase.squares.accumulate=1", False),
        ("phase.squares.optimizer.weight_decay=0.01", False),
        ("phase.squares.optimizer={kind='adam'}", True),
        ("data.validation=random", True),
        ("data.source=fashion-mnist", True),
        ("noise.sigma=0.3", True),
        ("phase.squares.clip=2.0", True),
        ("seed=1", True),
        ("title=Another", False),
        ("figures=[]", False),
        ("search={}", False),
    ],
)
def test_resume_checks_the_fingerprint(tmp_path: Path, changed: str, matters: bool) -> None:
    recipe = recipes.load("photo-fast-gray")
    (tmp_path / "again.toml").write_text(recipes.dump(recipe))
    assert fingerprint(recipes.load(tmp_path / "again.toml")) == fingerprint(recipe)
    other = recipes.load("photo-fast-gray", [changed])
    assert (fingerprint(other) != fingerprint(recipe)) == matters
    moved = dataclasses.replace(recipe, data=dataclasses.replace(recipe.data, source="/a"))
    again = dataclasses.replace(recipe, data=dataclasses.replace(recipe.data, source="/b"))
    assert fingerprint(moved) == fingerprint(again) != fingerprint(recipe)


def test_recipe_object_is_changed_with_replace(tmp_path: Path) -> None:
    recipe = recipes.load("digits", epochs=1)
    with pytest.raises(UsageError, match=r"dataclasses\.replace"):
        autodenoise.train(recipe, tmp_path / "run", epochs=3)
    assert not (tmp_path / "run").exists()
    run = autodenoise.train(dataclasses.replace(recipe, keep="best"), tmp_path / "run")
    assert runs.Run.open(run.folder).recipe.keep == "best"


def test_run_is_trained_by_one_process_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = ["data.size=[16, 16]", "figures=[]", "search={}"]
    run = autodenoise.train("digits", tmp_path / "run", settings=settings, epochs=1)
    with (
        LockedFile(run.folder / ".lock"),
        pytest.raises(OutputError, match=r"another autodenoise process is using .*run"),
    ):
        autodenoise.resume(run.folder)
    assert autodenoise.resume(run.folder).rows == run.rows
    # Another may begin there while the data are read.
    load, late = data.load, tmp_path / "late"

    def load_late(*asked: Any) -> data.Splits:
        late.mkdir()
        (late / "recipe.toml").write_text("the other's")
        return load(*asked)

    monkeypatch.setattr(data, "load", load_late)
    with pytest.raises(OutputError, match=r"another process has begun to train in .*late"):
        autodenoise.train("digits", late, settings=settings, epochs=1)
    assert (late / "recipe.toml").read_text() == "the other's"
