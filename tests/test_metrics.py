from __future__ import annotations

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from autodenoise.metrics import bce, bce_floor, loss_text, psnr, ssim


def pair(seed: int, shape: tuple[int, ...]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    random = np.random.default_rng(seed)
    clean = random.random(shape, np.float32)
    noisy = np.clip(clean + 0.2 * random.standard_normal(shape, np.float32), 0, 1)
    return clean, noisy


@settings(max_examples=25)
@given(st.integers(0, 99), st.integers(11, 32), st.integers(11, 32), st.sampled_from([1, 3]))
def test_psnr_and_ssim_equal_scikit_image(
    seed: int, height: int, width: int, channels: int
) -> None:
    clean, noisy = pair(seed, (2, height, width, channels))
    for index in range(2):
        a, b = clean[index].astype(np.float64), noisy[index].astype(np.float64)
        expected = peak_signal_noise_ratio(a, b, data_range=1)
        assert psnr(clean, noisy)[index] == pytest.approx(expected, rel=1e-9)
        expected = structural_similarity(
            a,
            b,
            data_range=1,
            channel_axis=2,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
        assert ssim(clean, noisy)[index] == pytest.approx(expected, abs=1e-9)


def test_bce_equals_keras() -> None:
    clean, noisy = pair(1, (3, 28, 28, 1))
    # Keras computes in float32, whose 1 - 1e-7 is off by a fifth; it saturates there as we do.
    noisy = noisy.clip(1e-3, 1 - 1e-3)
    noisy[0, :3] = 0
    expected = keras.losses.binary_crossentropy(clean.reshape(3, -1), noisy.reshape(3, -1))
    np.testing.assert_allclose(bce(clean, noisy), expected.numpy(), rtol=1e-5)


def test_floor_is_the_minimum() -> None:
    clean, noisy = pair(2, (4, 16, 16, 1))
    assert (bce(clean, noisy) > bce_floor(clean)).all()
    nudged = np.clip(clean + np.float32(0.01), 0, 1)
    assert (bce(clean, nudged) > bce_floor(clean)).all()
    assert bce_floor(np.full((1, 4, 4, 1), 0.5, np.float32))[0] == pytest.approx(np.log(2))


def test_equal_images_score_infinite_and_one() -> None:
    clean, _ = pair(3, (2, 12, 12, 1))
    assert np.isinf(psnr(clean, clean)).all()
    np.testing.assert_allclose(ssim(clean, clean), 1)


def test_shapes_must_agree_and_be_large_enough() -> None:
    with pytest.raises(ValueError, match="one shape"):
        psnr(np.zeros((1, 4, 4, 1)), np.zeros((1, 4, 5, 1)))
    with pytest.raises(ValueError, match="at least 11"):
        ssim(np.zeros((1, 10, 20, 1)), np.zeros((1, 10, 20, 1)))


@pytest.mark.parametrize(
    ("loss", "text"),
    [
        (0.296512, "0.2965"),
        (12.5, "12.5000"),
        (0.0, "0.0000"),
        (0.0101, "0.0101"),
        (0.00098734, "0.0009873"),
        (0.001, "0.001000"),
        (-0.00098734, "-0.0009873"),
        (0.0000895628, "8.956e-05"),
        (float("nan"), "nan"),
        (float("inf"), "inf"),
    ],
)
def test_loss_text_has_four_significant_digits(loss: float, text: str) -> None:
    assert loss_text(loss) == text
