"""Scores: PSNR, SSIM, binary cross-entropy and its excess over the entropy floor.

Scores take batches of images, float arrays of shape (N, H, W, C) in [0, 1], and return one number
per image, shape (N,), float64. They need only NumPy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Images = NDArray[np.floating]
    Scores = NDArray[np.float64]

__all__ = ["bce", "bce_floor", "loss_text", "psnr", "ssim"]

# Four decimals are too few to show progress of a smaller loss, such as a photo's squared error.
_MIN_FIXED_LOSS = 0.01

# Keras's epsilon(): probabilities are clipped this far from 0 and 1 before the logarithm.
_EPSILON = 1e-7


def _pair(clean: Images, other: Images) -> tuple[Scores, Scores]:
    if clean.shape != other.shape or clean.ndim != 4:
        raise ValueError(
            f"expected two arrays of one shape (N, H, W, C), got {clean.shape} and {other.shape}"
        )
    return clean.astype(np.float64), other.astype(np.float64)


def psnr(clean: Images, other: Images) -> Scores:
    """Peak signal-to-noise ratio in dB, peak 1, squared error pooled over pixels and channels.

    The result is ``inf`` for equal images.
    """
    a, b = _pair(clean, other)
    error = np.mean((a - b) ** 2, axis=(1, 2, 3))
    with np.errstate(divide="ignore"):
        return np.asarray(-10 * np.log10(error))


def ssim(clean: Images, other: Images) -> Scores:
    """Structural similarity with the 11x11 Gaussian window, sigma 1.5, averaged over channels.

    Only windows inside the image count, so both sides need at least 11 pixels.

    References
    ----------
    Wang, Bovik, Sheikh, Simoncelli, "Image quality assessment: from error visibility to structural
    similarity", IEEE TIP 2004. Equal to scikit-image's ``structural_similarity`` with
    ``gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1``.
    """
    a, b = _pair(clean, other)
    if min(a.shape[1:3]) < 11:
        raise ValueError(f"SSIM needs sides of at least 11 pixels, got {a.shape[1:3]}")
    mean_a, mean_b = _window(a), _window(b)
    variance_a = _window(a * a) - mean_a**2
    variance_b = _window(b * b) - mean_b**2
    covariance = _window(a * b) - mean_a * mean_b
    c1, c2 = 0.01**2, 0.03**2
    luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    structure = (2 * covariance + c2) / (variance_a + variance_b + c2)
    return np.asarray(np.mean(luminance * structure, axis=(1, 2, 3)))


def _window(images: Scores) -> Scores:
    """Mean under the Gaussian window, along rows and then columns, valid positions only."""
    taps = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    taps /= taps.sum()
    height, width = images.shape[1] - 10, images.shape[2] - 10
    rows = sum(tap * images[:, k : k + height] for k, tap in enumerate(taps))
    return np.asarray(sum(tap * rows[:, :, k : k + width] for k, tap in enumerate(taps)))


def bce(clean: Images, other: Images) -> Scores:
    """Binary cross-entropy of `other` as probabilities of `clean`, in nats, mean over values."""
    a, b = _pair(clean, other)
    b = np.clip(b, _EPSILON, 1 - _EPSILON)
    return np.asarray(-np.mean(a * np.log(b) + (1 - a) * np.log1p(-b), axis=(1, 2, 3)))


def bce_floor(clean: Images) -> Scores:
    """Return the cross-entropy of a perfect output: the entropy of the clean gray values.

    No denoiser scores lower; ``bce(clean, output) - bce_floor(clean)`` is the excess over it.
    """
    return bce(clean, clean)


def loss_text(loss: float) -> str:
    """Format a loss with four decimals, or a small one with four digits: 0.2965, 0.0009873."""
    return f"{loss:#.4g}" if 0 < abs(loss) < _MIN_FIXED_LOSS else f"{loss:.4f}"
