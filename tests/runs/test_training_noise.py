from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import autodenoise
from autodenoise.data.splits import Part, Splits
from autodenoise.errors import UsageError
from autodenoise.noise import Gaussian, Measured, Noise, PoissonGaussian
from autodenoise.recipes import OwnData, load
from autodenoise.runs.training_noise import training_noise


def smooth(count: int, channels: int, side: int, seed: int) -> torch.Tensor:
    draw = torch.Generator().manual_seed(seed)
    values = torch.rand(count, channels, side // 16, side // 16, generator=draw)
    whole = torch.nn.functional.interpolate(values, (side, side), mode="bicubic")
    return 0.1 + 0.8 * whole.clamp(0, 1)


def splits(noise: Noise, clean: torch.Tensor) -> Splits:
    part = Part(noise(clean, torch.Generator().manual_seed(4)))
    return Splits(part, part, part)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("noise", [Gaussian(0.08), PoissonGaussian(100.0, 0.02)])
def test_noise_of_noisy_images_is_measured(noise: Noise, channels: int, tmp_path: Path) -> None:
    recipe = load(None, own=OwnData("noisy-only", tmp_path))
    (found,) = training_noise(recipe, splits(noise, smooth(6, channels, 256, 0)))
    assert isinstance(found, Measured)
    for level in (0.25, 0.75):
        flat = torch.full((1, channels, 200, 200), level)
        drawn, true = (
            one(flat, torch.Generator().manual_seed(seed)).std(dim=(0, 2, 3))
            for seed, one in enumerate((found, noise))
        )
        np.testing.assert_allclose(drawn, true, rtol=0.1)


def test_noise_of_pairs_is_measured_on_the_noisy_images(tmp_path: Path) -> None:
    own = OwnData("paired", tmp_path, tmp_path / "clean")
    recipe = load(None, own=own, overrides=["phase.denoise.objective=recorrupted"])
    clean = smooth(12, 1, 256, 0)
    noisy = Gaussian(0.1)(clean, torch.Generator().manual_seed(4))
    part = Part(clean, noisy=noisy)
    (found,) = training_noise(recipe, Splits(part, part, part))
    assert isinstance(found, Measured)
    assert 0.08 < min(found.sigmas[0]) <= max(found.sigmas[0]) < 0.12


def test_noise_of_the_recipe_is_not_measured(tmp_path: Path) -> None:
    recipe = load(None, own=OwnData("noisy-only", tmp_path, noise="gaussian:25"))
    assert training_noise(recipe, splits(Gaussian(0.3), smooth(1, 1, 64, 0))) == recipe.noise


def test_too_few_pixels_to_measure_noise_is_an_error(tmp_path: Path) -> None:
    recipe = load(None, own=OwnData("noisy-only", tmp_path))
    with pytest.raises(UsageError, match="--noise gaussian:25"):
        training_noise(recipe, splits(Gaussian(0.1), smooth(1, 1, 160, 0)))


def test_training_on_one_noisy_image_denoises_it(tmp_path: Path) -> None:
    clean = smooth(1, 1, 320, 3)
    noisy = PoissonGaussian(15.0, 0.05)(clean, torch.Generator().manual_seed(1))[0, 0].numpy()
    np.save(tmp_path / "one.npy", noisy)
    own = OwnData("noisy-only", tmp_path / "one.npy", start="photo-fast-gray")
    run = autodenoise.train(None, tmp_path / "run", own_data=own, settings=["data.samples=480"])
    model = run.model()
    assert [part["kind"] for part in model.card.noise] == ["measured"]
    truth = clean[0, 0].numpy()
    shipped = autodenoise.load("photo-fast-gray").denoise(
        noisy, intensity_range=autodenoise.IntensityRange(0, 1)
    )

    def error(image: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> float:
        return float(np.square(image - truth).mean())

    assert error(model.denoise(noisy)) < 0.9 * error(shipped)
    assert error(shipped) < 0.2 * error(noisy)
