"""Classical denoisers to compare with: functions of a noisy image and the sigma of its noise.

No setting was tuned on a test set. Defaults of keyword arguments were tuned on bsds-val32
(``benchmarks/baseline_settings.py``); all others are as published or the library's defaults.
"""

from __future__ import annotations

import functools
import importlib.util
import itertools
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from autodenoise.errors import MissingExtra, UsageError
from autodenoise.images import IntensityRange
from autodenoise.images.libvips import pyvips
from autodenoise.system import version

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Pixels = NDArray[np.float32]

__all__ = ["ALWAYS", "BASELINES", "EXTRA", "INPUT", "Baseline"]

EXTRA = "baselines"
"""The extra that installs what they need."""

_8_BIT = IntensityRange(0, 255)
_PATCH, _WINDOW, _STEP = 7, 31, 12  # of patch_pca, in pixels
_MIN_SIGMA = 0.1 / 255


def median(noisy: Pixels, _: float | None) -> Pixels:
    """Take the median of 3x3 pixels per channel, with replicated borders."""
    # libvips replicates borders too, but rejects images smaller than the window.
    padded = np.pad(noisy, ((1, 1), (1, 1), (0, 0)), mode="edge")
    return _filtered(padded, lambda one: one.median(3))[1:-1, 1:-1]


def gaussian_blur(noisy: Pixels, _: float | None, *, width: float = 0.8) -> Pixels:
    """Blur with a Gaussian of sigma `width` in pixels, with replicated borders."""
    return _filtered(noisy, lambda image: image.gaussblur(width, min_ampl=0.001, precision="float"))


def bilateral(
    noisy: Pixels, sigma: float | None, *, spatial: float = 1.8, value: float = 2.0
) -> Pixels:
    """Average over neighbors that are close in space and value, with replicated borders.

    Implemented here because scikit-image 0.26 computes weights for a window of another size than
    the one it averages over. `spatial` is the sigma of the spatial Gaussian, in pixels; `value`
    that of the Gaussian in value, in units of the noise's sigma. Colors differ by the root mean
    square over channels.

    References
    ----------
    Tomasi, Manduchi, "Bilateral filtering for gray and color images", ICCV 1998.
    """
    radius = round(2.5 * spatial)
    height, width, _ = noisy.shape
    padded = np.pad(noisy, ((radius, radius), (radius, radius), (0, 0)), mode="edge")
    steepness = -0.5 / (value * _sigma_or_estimate(noisy, sigma)) ** 2
    total, weights = np.zeros_like(noisy), np.zeros((height, width, 1), np.float32)
    for y, x in np.ndindex(2 * radius + 1, 2 * radius + 1):
        squared = (y - radius) ** 2 + (x - radius) ** 2
        if squared > radius**2:
            continue
        neighbor = padded[y : y + height, x : x + width]
        difference = np.square(neighbor - noisy).mean(axis=2, keepdims=True)
        weight = np.exp(steepness * difference - 0.5 * squared / spatial**2).astype(np.float32)
        total += weight * neighbor
        weights += weight
    return total / weights


def total_variation(noisy: Pixels, sigma: float | None, *, weight: float = 0.7) -> Pixels:
    """Minimize total variation, weighted by `weight` times the noise's sigma.

    References
    ----------
    Rudin, Osher, Fatemi, "Nonlinear total variation based noise removal algorithms", Physica D
    1992, by the algorithm of Chambolle, J. Math. Imaging Vis. 2004.
    """
    from skimage.restoration import denoise_tv_chambolle

    weight *= _sigma_or_estimate(noisy, sigma)
    return _with_channel_axis(functools.partial(denoise_tv_chambolle, weight=weight), noisy)


def wavelet(noisy: Pixels, sigma: float | None) -> Pixels:
    """Soft-threshold wavelet coefficients, with a BayesShrink threshold per band.

    References
    ----------
    Chang, Yu, Vetterli, "Adaptive wavelet thresholding for image denoising and compression", IEEE
    TIP 2000, with their wavelet (symlet with 8 vanishing moments) and their 4 levels.
    """
    import pywt
    from skimage.restoration import denoise_wavelet

    denoise = functools.partial(
        denoise_wavelet,
        sigma=_sigma_or_estimate(noisy, sigma),
        wavelet="sym8",
        # Small images have fewer levels.
        wavelet_levels=max(1, min(4, pywt.dwt_max_level(min(noisy.shape[:2]), "sym8"))),
        method="BayesShrink",
        mode="soft",
        rescale_sigma=False,
    )
    return _with_channel_axis(denoise, noisy)


def nlm(noisy: Pixels, sigma: float | None, *, h: float = 0.6) -> Pixels:
    """Average pixels with similar 5x5 patches within 6 pixels (non-local means).

    The weights decay with the patch distance relative to `h` times the noise's sigma.

    References
    ----------
    Buades, Coll, Morel, "A non-local algorithm for image denoising", CVPR 2005; fast variant of
    Darbon et al., ISBI 2008.
    """
    from skimage.restoration import denoise_nl_means

    sigma = _sigma_or_estimate(noisy, sigma)
    denoise = functools.partial(
        denoise_nl_means, patch_size=5, patch_distance=6, h=h * sigma, sigma=sigma, fast_mode=True
    )
    return _with_channel_axis(denoise, noisy)


def opencv_nlm(noisy: Pixels, sigma: float | None, *, h: float = 0.8) -> Pixels:
    """Run OpenCV's fastNlMeansDenoising with `h` times the noise's sigma.

    It only takes 8-bit images, so the input is clipped and rounded. Patches of 7x7 and search
    windows of 21x21 pixels are OpenCV's defaults.
    """
    import cv2

    strength = h * 255 * _sigma_or_estimate(noisy, sigma)
    samples = _8_BIT.from_float(noisy, np.dtype(np.uint8))
    if samples.shape[2] == 1:
        clean = cv2.fastNlMeansDenoising(samples[..., 0], None, strength, 7, 21)[..., None]
    else:
        # OpenCV orders channels blue, green, red.
        clean = cv2.fastNlMeansDenoisingColored(
            np.ascontiguousarray(samples[..., ::-1]), None, strength, strength, 7, 21
        )[..., ::-1]
    return _8_BIT.to_float(clean)


def patch_pca(noisy: Pixels, sigma: float | None) -> Pixels:
    """Remove small principal components from the patches of each neighborhood.

    In windows of 31x31 pixels, 12 apart, all 7x7 patches (with all channels) are expressed in their
    own principal components, and coefficients below 2.75 sigma are set to zero. Each pixel is the
    mean over all patches that contain it.

    References
    ----------
    Deledalle, Salmon, Dalalyan, "Image denoising with patch based PCA: local versus global", BMVC
    2011 (their PLPCA), after Muresan, Parks, "Adaptive principal components and image denoising",
    ICIP 2003.
    """
    threshold = 2.75 * _sigma_or_estimate(noisy, sigma)
    height, width, channels = noisy.shape
    # A small image is one window, and patches are no larger than the image.
    tall, wide = min(_PATCH, height), min(_PATCH, width)
    total = np.zeros(noisy.shape, np.float32)
    counts = np.zeros((height, width, 1), np.float32)
    # Windows are one step apart, the last at the border.
    ends = [max(side - _WINDOW, 0) for side in (height, width)]
    for top, left in itertools.product(*([*range(0, end, _STEP), end] for end in ends)):
        window = np.s_[top : top + _WINDOW, left : left + _WINDOW]
        views = sliding_window_view(noisy[window], (tall, wide), (0, 1))
        down, across = views.shape[:2]
        patches = views.reshape(down * across, -1)
        mean = patches.mean(axis=0)
        centered = patches - mean
        _, axes = np.linalg.eigh(centered.T @ centered)
        coefficients = centered @ axes
        coefficients[np.abs(coefficients) < threshold] = 0
        denoised = (coefficients @ axes.T + mean).reshape(down, across, channels, tall, wide)
        for y, x in np.ndindex(tall, wide):
            total[window][y : y + down, x : x + across] += denoised[..., y, x]
            counts[window][y : y + down, x : x + across] += 1
    return total / counts


def bm3d(noisy: Pixels, sigma: float | None) -> Pixels:
    """Filter groups of similar patches jointly (BM3D), by the authors' package.

    References
    ----------
    Dabov, Foi, Katkovnik, Egiazarian, "Image denoising by sparse 3-D transform-domain collaborative
    filtering", IEEE TIP 2007.
    """
    import bm3d as authors

    sigma = _sigma_or_estimate(noisy, sigma)
    gray = noisy.shape[2] == 1
    clean = authors.bm3d(noisy[..., 0], sigma) if gray else authors.bm3d_rgb(noisy, sigma)
    return np.asarray(clean, np.float32).reshape(noisy.shape)


@dataclass(frozen=True)
class Baseline:
    """A classical denoiser.

    ``denoise(noisy, sigma)`` takes an image (H, W, C), nominally in [0, 1], and the standard
    deviation of its noise (None if unknown), and returns the clean image. `about` is one line for
    the report, and part of the identity: rows are recomputed if it changes. `package` is a required
    one that is not in autodenoise's extras. `takes_sigma` says whether the noise level matters.
    """

    denoise: Callable[..., Pixels]
    about: str
    modules: tuple[str, ...] = ()
    package: str = ""
    takes_sigma: bool = True

    @property
    def missing(self) -> str | None:
        """The first required module that is not installed."""
        return next((name for name in self.modules if importlib.util.find_spec(name) is None), None)

    @property
    def identity(self) -> str:
        """What its outputs depend on: settings and the versions of the required packages."""
        return "; ".join([self.about, *map(_version, self.modules)])

    def check(self) -> None:
        """Check that the required modules are installed; errors contain the pip command."""
        if self.missing is None:
            return
        if self.package:
            raise UsageError(
                f"this needs {self.missing}, which is not installed. Install it with: "
                f"pip install {self.package}"
            )
        raise MissingExtra(self.missing, EXTRA)


INPUT = "noisy"
"""Name of the noisy input, scored as it is."""

ALWAYS = (INPUT, "median", "gaussian-blur")
"""Baselines in every table: a useful denoiser scores higher than these."""

_LIBVIPS = ("pyvips",)
_SKIMAGE = ("skimage", "pywt")
_OURS = ("autodenoise", "numpy", *_SKIMAGE)

BASELINES: dict[str, Baseline] = {
    INPUT: Baseline(
        lambda noisy, _: noisy, "the input as it is, neither clipped nor rounded", takes_sigma=False
    ),
    "median": Baseline(median, "median of 3x3 pixels", _LIBVIPS, takes_sigma=False),
    "gaussian-blur": Baseline(gaussian_blur, "Gaussian of 0.8 pixels", _LIBVIPS, takes_sigma=False),
    "bilateral": Baseline(bilateral, "bilateral filter: 1.8 pixels, 2 sigma in value", _OURS),
    "tv": Baseline(total_variation, "total variation by Chambolle, weight 0.7 sigma", _SKIMAGE),
    "wavelet": Baseline(wavelet, "BayesShrink, sym8, 4 levels, soft, each channel", _SKIMAGE),
    "nlm": Baseline(
        nlm, "non-local means: patches 5x5, distance 6, h = 0.6 sigma, fast variant", _SKIMAGE
    ),
    "opencv-nlm": Baseline(
        opencv_nlm,
        "OpenCV's fastNlMeansDenoising: patches 7x7, search 21x21, h = 0.8 sigma; input "
        "clipped to 8 bits",
        ("cv2", *_SKIMAGE),
        "opencv-python-headless",
    ),
    "pca": Baseline(
        patch_pca,
        "local PCA of 7x7 patches in windows of 31x31, threshold 2.75 sigma (PLPCA)",
        _OURS,
    ),
    "bm3d": Baseline(
        bm3d,
        "BM3D by its authors' package, whose licence is for non-commercial use only",
        ("bm3d", *_SKIMAGE),
        "bm3d",
    ),
}
"""Baselines by name."""

_packages_of = functools.cache(metadata.packages_distributions)


def _version(module: str) -> str:
    """Return name and version of the packages that provide a module: OpenCV has several."""
    if module == "pyvips":
        return "libvips " + ".".join(str(pyvips.version(part)) for part in range(3))
    packages = sorted(set(_packages_of().get(module, [module])))
    return ", ".join(f"{name} {version(name) or 'of unknown version'}" for name in packages)


def _sigma_or_estimate(noisy: Pixels, sigma: float | None) -> float:
    """Return sigma if known, else the estimate of Donoho and Johnstone 1994."""
    if sigma is not None:
        return sigma
    from skimage.restoration import estimate_sigma

    image, axis = _channel_axis(noisy)
    estimate = float(estimate_sigma(image, average_sigmas=True, channel_axis=axis))
    # Some baselines divide by sigma.
    return max(estimate, _MIN_SIGMA)


def _channel_axis(noisy: Pixels) -> tuple[Pixels, int | None]:
    """Return an image and its channel axis for scikit-image; gray images have none."""
    return (noisy, -1) if noisy.shape[2] > 1 else (noisy[..., 0], None)


def _with_channel_axis(denoise: Callable[..., Any], noisy: Pixels) -> Pixels:
    """Call a denoiser of scikit-image."""
    image, axis = _channel_axis(noisy)
    return np.asarray(denoise(image, channel_axis=axis), np.float32).reshape(noisy.shape)


def _filtered(array: Pixels, run: Callable[[pyvips.Image], pyvips.Image]) -> Pixels:
    """Filter with libvips."""
    image = run(pyvips.Image.new_from_array(np.ascontiguousarray(array)))
    return np.asarray(image.numpy().reshape(image.height, image.width, -1))
