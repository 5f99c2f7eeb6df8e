from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter
from scipy.ndimage import gaussian_filter

import autodenoise
from autodenoise.evaluation.scores import Denoiser
from autodenoise.noise_estimation import estimate as unsupervised
from autodenoise.noise_estimation import level as noise_level
from autodenoise.noise_estimation import summary
from autodenoise.noise_estimation.estimate import (
    KnownNoise,
    QualityEstimate,
    from_noisy,
    from_repeats,
)
from autodenoise.noise_estimation.level import Curve, NoiseLevel
from tests.helpers.scenes import Images, along_rows, photos, smooth_scenes, white


class Function:
    """A denoiser that is a function."""

    def __init__(self, function: Callable[[Images], Any]) -> None:
        self.batch = function


def blur(sigma: float) -> Function:
    return Function(lambda images: gaussian_filter(images, (0, sigma, sigma, 0)))


IDENTITY = Function(lambda images: images)
DENOISERS: dict[str, Denoiser] = {
    "identity": IDENTITY,
    "clamp": Function(lambda images: images.clip(0, 1)),
    "blur": blur(0.8),
    "strong blur": blur(4),
}


@pytest.fixture(scope="module")
def model() -> Denoiser:
    return autodenoise.load("photo-fast-gray")


def true_psnr(denoiser: Denoiser, noisy: Images, clean: Images) -> float:
    error = np.square(denoiser.batch(noisy).astype(np.float64) - clean).mean()
    return -10 * math.log10(float(error))


def estimate(denoiser: Denoiser, noisy: Images) -> QualityEstimate:
    found = from_noisy(denoiser, noisy, np.random.default_rng(1))
    assert found is not None
    return found


def photons(clean: Images, peak: float = 40, seed: int = 0) -> Images:
    random = np.random.default_rng(seed)
    noisy = random.poisson(peak * clean) / peak + random.normal(0, 0.02, clean.shape)
    return noisy.astype(np.float32)


NOISES: dict[str, Callable[[Images], Images]] = {
    "sigma 25": lambda clean: clean + 25 / 255 * white(clean.shape),
    "sigma 10": lambda clean: clean + 10 / 255 * white(clean.shape),
    "photons": photons,
}


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("name", DENOISERS)
def test_error_is_estimated_without_clean_images(name: str, noise: str) -> None:
    clean = smooth_scenes()
    noisy = NOISES[noise](clean)
    denoiser = DENOISERS[name]
    found = estimate(denoiser, noisy)
    assert found.psnr == pytest.approx(true_psnr(denoiser, noisy, clean), abs=0.4)
    assert found.noisy_psnr == pytest.approx(true_psnr(IDENTITY, noisy, clean), abs=0.2)
    assert found.worth == "likely"


def test_error_of_a_good_network_is_estimated(model: Denoiser) -> None:
    clean = smooth_scenes(4)
    noisy = clean + 25 / 255 * white(clean.shape)
    found = estimate(model, noisy)
    # Of so little error, a percent of the noise is much, and it says so.
    truth = true_psnr(model, noisy, clean)
    assert found.noisy_psnr is not None
    assert found.psnr is not None
    assert found.psnr > found.noisy_psnr + 12
    assert abs(found.psnr - truth) < 2 * found.psnr_deviation


def test_error_on_photos_is_within_a_third_of_a_decibel(real_data: Path, model: Denoiser) -> None:
    clean = photos(real_data, 20)
    noisy = clean + 25 / 255 * white(clean.shape)
    watched, also = noisy[:4], noisy[4:]
    for denoiser in (model, IDENTITY, blur(4)):
        found = from_noisy(denoiser, watched, np.random.default_rng(1), also=also)
        assert found is not None
        assert found.psnr == pytest.approx(true_psnr(denoiser, watched, clean[:4]), abs=0.3)
        assert found.worth == "likely"


def test_remaining_noise_and_lost_structure_are_separated() -> None:
    clean = smooth_scenes()
    noisy = clean + 0.1 * white(clean.shape)
    for sigma in (0.6, 2.0):
        found = estimate(blur(sigma), noisy)
        # A blur does to noise what the squares of its kernel say.
        kernel = gaussian_filter(np.eye(1, 33 * 33, 16 * 33 + 16).reshape(33, 33), sigma)
        assert found.noise_left == pytest.approx(0.01 * np.square(kernel).sum(), rel=0.06)
        lost = np.square(blur(sigma).batch(clean) - clean).mean()
        assert found.structure_lost == pytest.approx(lost, abs=1e-4)
    assert "image structure was removed too" in summary.taken_out(estimate(blur(6), noisy))
    assert "much of the noise is left" in summary.taken_out(estimate(IDENTITY, noisy))


def test_residual_matches_the_noise_at_each_intensity() -> None:
    clean = smooth_scenes()
    noisy = photons(clean)
    found = estimate(Function(lambda images: clean[: len(images)]), noisy)
    (curve,) = found.residual
    expected = np.array(curve.means) / 40 + 0.02**2
    np.testing.assert_allclose(curve.variances, expected, rtol=0.1)
    assert found.removed / found.noise == pytest.approx(1, abs=0.05)


def test_risk_at_hidden_pixels_is_error_plus_noise() -> None:
    clean = smooth_scenes()
    noisy = clean + 0.1 * white(clean.shape)
    random = np.random.default_rng(1)
    perfect = Function(lambda images: clean[: len(images)])
    assert unsupervised.hidden_risk(perfect, noisy, random) == pytest.approx(0.01, rel=0.03)
    # One that repeats what it is given repeats the median of eight: of variance 0.01 * 1.57 / 8.
    repeated = unsupervised.hidden_risk(IDENTITY, noisy, random)
    assert repeated == pytest.approx(0.01 * (1 + 1.57 / 8), rel=0.1)
    found = estimate(perfect, noisy)
    assert found.hidden == pytest.approx(0, abs=5e-4)


@pytest.mark.parametrize("shots", [2, 5])
@pytest.mark.parametrize("kind", ["photons", "rows"])
def test_repeats_estimate_the_error_for_any_noise(shots: int, kind: str) -> None:
    clean = smooth_scenes()
    if kind == "photons":
        taken = np.stack([photons(clean, seed=seed) for seed in range(shots)])
    else:
        one = along_rows((shots * len(clean), *clean.shape[1:]), 0.6)
        taken = clean + 0.1 * one.reshape(shots, *clean.shape)
    for denoiser in DENOISERS.values():
        found = from_repeats(denoiser, taken[0], taken[1], taken[1:].mean(0))
        truth = true_psnr(denoiser, taken[0], clean)
        assert found.psnr == pytest.approx(truth, abs=0.4 if shots == 2 else 0.3)
        assert found.noisy_psnr == pytest.approx(true_psnr(IDENTITY, taken[0], clean), abs=0.05)
        assert found.worth == "likely"
    assert found.before is not None
    assert found.before.direction == (None if kind == "photons" else "rows")


def test_correlated_noise_makes_the_estimate_unreliable(model: Denoiser) -> None:
    clean = smooth_scenes(6, 128)
    noisy = clean + 0.1 * along_rows(clean.shape, 0.5)
    found = estimate(model, noisy)
    # It would be said to be better than it is.
    assert found.psnr is not None
    assert found.psnr > true_psnr(model, noisy, clean) + 1
    assert found.worth == "none"
    assert summary.headline(found).startswith("The quality cannot be estimated")
    assert "along rows" in summary.headline(found)
    assert "noise2void2" in summary.cautions(found)[0]
    # Known noise may correlate.
    level = NoiseLevel((Curve((0.0,), (0.01,)),), ((1.0,),))
    known = KnownNoise(level, lambda images: 0.1 * along_rows(images.shape, 0.5)[:, ::-1])
    told = from_noisy(model, noisy, np.random.default_rng(1), known=known)
    assert told is not None
    assert told.psnr == pytest.approx(true_psnr(model, noisy, clean), abs=0.3)
    assert told.worth == "likely"


def test_gray_images_in_three_channels() -> None:
    clean = smooth_scenes(4).repeat(3, axis=3)
    noisy = clean + 0.1 * white((*clean.shape[:3], 1))
    grey = Function(lambda images: np.repeat(images.mean(3, keepdims=True), 3, axis=3))
    # It does nothing here, which only who knows that the channels' noise is one can tell.
    assert estimate(grey, noisy).psnr == pytest.approx(20, abs=0.2)


def test_clipped_noise_is_reported() -> None:
    clean = smooth_scenes()
    noisy = (clean + 0.3 * white(clean.shape)).clip(0, 1)
    found = estimate(IDENTITY, noisy)
    assert found.cut_off == pytest.approx(np.isin(noisy, (0, 1)).mean())
    assert any("clipped at black or white" in said for said in summary.cautions(found))
    assert not summary.cautions(estimate(IDENTITY, clean + 0.1 * white(clean.shape)))


def test_more_images_reduce_the_error() -> None:
    clean = smooth_scenes()
    noisy = clean + 0.1 * white(clean.shape)
    random = np.random.default_rng(1)
    alone = from_noisy(IDENTITY, noisy[:1, :24, :24], random)
    both = from_noisy(IDENTITY, noisy[:1, :24, :24], random, also=noisy[1:, :24, :24])
    assert alone is None
    assert both is not None
    assert both.images == 1
    assert both.noise == pytest.approx(0.01, rel=0.25)


def test_other_intensity_range() -> None:
    clean = smooth_scenes()
    noisy = clean + 0.1 * white(clean.shape)
    small = (0.2 + 0.01 * noisy).astype(np.float32)
    whole, part = (estimate(blur(1), images) for images in (noisy, small))
    narrow = from_noisy(blur(1), small, np.random.default_rng(1), span=0.01)
    assert narrow is not None
    assert part.psnr == pytest.approx((whole.psnr or 0) + 40, abs=0.2)
    assert narrow.psnr == pytest.approx(whole.psnr, abs=0.2)
    percents = [[part.percent for part in summary.parts(found)] for found in (whole, narrow)]
    assert percents[0] == pytest.approx(percents[1], rel=0.05)


def test_estimate_survives_json() -> None:
    clean = smooth_scenes(2)
    found = estimate(blur(1), clean + 0.1 * white(clean.shape))
    adapter = TypeAdapter(QualityEstimate)
    assert adapter.validate_json(adapter.dump_json(found)) == found


def test_images_without_noise() -> None:
    clean = np.full((3, 64, 64, 1), 0.5, np.float32)
    clean[:, ::2, 1::3] += 1e-3
    level = noise_level.from_images(clean)
    assert level is None or level.variance(clean).mean() < 1e-6
    shot = smooth_scenes(2)
    found = from_repeats(IDENTITY, shot, shot, shot)
    assert found.psnr is None
    assert summary.headline(found) == "No noise was found in the images."
    assert summary.taken_out(found).startswith("There is no noise")
    assert summary.parts(found)[0].psnr is None
