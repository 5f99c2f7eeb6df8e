"""Compare the published protocol with plain NumPy and scikit-image."""

from __future__ import annotations

import hashlib
import math

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from autodenoise.benchmark import BenchmarkDataset
from autodenoise.benchmark.protocol import AddedNoise, score_input, score_output
from autodenoise.errors import InputError, UsageError
from autodenoise.images import to_float
from tests.helpers.synthetic_images import photo

SHAPE = (321, 481, 3)


def test_noise_is_the_published_one_bit_for_bit() -> None:
    drawn = np.random.RandomState(0).normal(0, 25 / 255, SHAPE)
    # Digest of the float64 array, to detect another generator or order of draws.
    assert hashlib.sha256(drawn.tobytes()).hexdigest() == (
        "3af1dcf1ff42e4d782400d0a3e3b1e9159568cc1304812a0b70bacd578d31db4"
    )
    clean = np.zeros(SHAPE, np.float32)
    added = AddedNoise.parse("gaussian:25")(clean)
    assert np.array_equal(added, drawn.astype(np.float32))
    assert added.min() < -0.3


def test_every_image_gets_the_same_noise_and_is_not_mutated() -> None:
    noise = AddedNoise("gaussian", 25)
    clean = to_float(photo())
    before = clean.copy()
    first = noise(clean)
    assert np.array_equal(first, noise(clean))
    assert np.array_equal(clean, before)


def test_poisson_noise_counts_photons() -> None:
    clean = to_float(photo())
    noisy = AddedNoise.parse("poisson:30")(clean)
    expected = np.random.RandomState(0).poisson(clean.astype(np.float64) * 30) / 30
    assert np.allclose(noisy, expected)
    assert AddedNoise.parse("poisson:30").sigma is None


@pytest.mark.parametrize(
    "text",
    [
        "gaussian",
        "gaussian:",
        "gaussian:x",
        "gaussian:0",
        "gaussian:-5",
        "gaussian:nan",
        "gaussian:inf",
        "gaussian:1000001",
        "poisson:1e20",
        "25",
        "salt:3",
        "",
    ],
)
def test_unknown_noise_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="expected gaussian:SIGMA"):
        AddedNoise.parse(text)


def test_name_can_be_parsed_again() -> None:
    for text in ("gaussian:25", "gaussian:7.5", "gaussian:25.0000001", "poisson:30"):
        assert AddedNoise.parse(text).name == text
    assert AddedNoise.parse("gaussian:25.0") == AddedNoise.parse("gaussian:25")


@pytest.mark.parametrize("channels", [1, 3])
def test_scores_equal_those_of_scikit_image(channels: int) -> None:
    clean = photo((60, 70, channels))
    noisy = AddedNoise("gaussian", 25)(to_float(clean))
    eight_bits = np.rint(np.clip(noisy, 0, 1) * 255).astype(np.uint8)
    psnr, ssim = score_output(clean, noisy)
    assert psnr == pytest.approx(peak_signal_noise_ratio(clean, eight_bits, data_range=255), 1e-6)
    expected = structural_similarity(
        clean.astype(np.float64),
        eight_bits.astype(np.float64),
        channel_axis=2,
        data_range=255,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    assert ssim == pytest.approx(expected, abs=1e-4)
    # The input is scored without clamping, which would remove noise.
    unclipped, _ = score_input(clean, noisy)
    assert unclipped == pytest.approx(
        peak_signal_noise_ratio(to_float(clean), noisy, data_range=1), 1e-5
    )
    assert unclipped < psnr - 0.05


def test_equal_images_and_images_smaller_than_the_ssim_window() -> None:
    clean = photo((8, 9, 3))
    assert score_output(clean, to_float(clean)) == (math.inf, None)
    deep = (photo().astype(np.uint16)) * 257
    psnr, ssim = score_output(deep, to_float(deep))
    assert (psnr, ssim) == (math.inf, 1)


def test_outputs_of_other_shape_or_with_nan_are_refused() -> None:
    clean = photo()
    with pytest.raises(InputError, match="the output has shape"):
        score_output(clean, to_float(clean)[:-1])
    broken = to_float(clean)
    broken[3, 4, 0] = np.nan
    with pytest.raises(InputError, match="NaN or infinity"):
        score_output(clean, broken)


@pytest.mark.usefixtures("test_sets")
def test_noisy_input_scores_as_published() -> None:
    noise = AddedNoise("gaussian", 25)
    scores = []
    for image in BenchmarkDataset.open("cbsd68").images[::4]:
        clean, _ = image.read()
        scores.append(score_input(clean, noise(to_float(clean)))[0])
    assert 20.17 <= min(scores) <= max(scores) <= 20.2
