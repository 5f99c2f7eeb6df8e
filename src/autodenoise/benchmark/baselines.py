"""Classical denoisers to compare with: each a function of a noisy image and its noise's strength.

None of their settings was chosen on a test set: keywords are chosen on bsds-val32
(``benchmarks/baseline_settings.py``), what has none is as published or the library's own.
"""

from __future__ import annotations

import functools
import importlib.util
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from autodenoise.environment import version
from autodenoise.errors import MissingExtra, UsageError
from autodenoise.images import IntensityRange
from autodenoise.images.libvips import pyvips

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Pixels = NDArray[np.float32]
    Denoise = Callable[..., Pixels]

__all__ = ["ALWAYS", "BASELINES", "EXTRA", "INPUT", "Baseline"]

EXTRA = "baselines"
"""The extra that brings what they need."""

_BYTES = IntensityRange(0, 255)
_PATCH, _WINDOW, _STEP = 7, 31, 12
_LEAST_SIGMA = 0.1 / 255


def unchanged(noisy: Pixels, _: float | None) -> Pixels:
    """Give the noisy image itself."""
    return noisy


def median(noisy: Pixels, _: float | None) -> Pixels:
    """Take the median of 3x3 pixels, channel by channel; the border is repeated."""
    # libvips repeats the border too, but takes no image that is smaller than the window.
    padded = np.pad(noisy, ((1, 1), (1, 1), (0, 0)), mode="edge")
    return _array(_image(padded).median(3))[1:-1, 1:-1]


def gaussian_blur(noisy: Pixels, _: float | None, *, width: float = 0.8) -> Pixels:
    """Blur with a Gaussian of `width` pixels; the border is repeated."""
    return _array(_image(noisy).gaussblur(width, min_ampl=0.001, precision="float"))


def bilateral(
    noisy: Pixels, sigma: float | None, *, spatial: float = 1.8, value: float = 2.0
) -> Pixels:
    """Average over neighbours that are near in place and in value; the border is repeated.

    Written out here, since scikit-image's (0.26) takes the weights of a window of another side than
    the one that it goes through.

    Parameters
    ----------
    noisy, sigma
        See `Baseline`.
    spatial
        Of the weights' Gaussian in place, in pixels.
    value
        Of that in value, over the noise's sigma; colours differ by the root of their mean square.

    References
    ----------
    Tomasi, Manduchi, "Bilateral filtering for gray and color images", ICCV 1998.
    """
    reach = round(2.5 * spatial)
    height, width, _ = noisy.shape
    padded = np.pad(noisy, ((reach, reach), (reach, reach), (0, 0)), mode="edge")
    steepness = -0.5 / (value * _known(noisy, sigma)) ** 2
    total, weights = np.zeros_like(noisy), np.zeros((height, width, 1), np.float32)
    for y, x in np.ndindex(2 * reach + 1, 2 * reach + 1):
        squared = (y - reach) ** 2 + (x - reach) ** 2
        if squared > reach**2:
            continue
        neighbour = padded[y : y + height, x : x + width]
        apart = np.square(neighbour - noisy).mean(axis=2, keepdims=True)
        weight = np.exp(steepness * apart - 0.5 * squared / spatial**2).astype(np.float32)
        total += weight * neighbour
        weights += weight
    return total / weights


def total_variation(noisy: Pixels, sigma: float | None, *, weight: float = 0.7) -> Pixels:
    """Minimise total variation, with `weight` times the noise's sigma against fidelity.

    References
    ----------
    Rudin, Osher, Fatemi, "Nonlinear total variation based noise removal algorithms", Physica D
    1992, by the algorithm of Chambolle, J. Math. Imaging Vis. 2004.
    """
    from skimage.restoration import denoise_tv_chambolle

    image, axis = _colours(noisy)
    clean = denoise_tv_chambolle(image, weight=weight * _known(noisy, sigma), channel_axis=axis)
    return np.asarray(clean, np.float32).reshape(noisy.shape)


def wavelet(noisy: Pixels, sigma: float | None) -> Pixels:
    """Shrink wavelet coefficients softly, each band by its BayesShrink threshold.

    References
    ----------
    Chang, Yu, Vetterli, "Adaptive wavelet thresholding for image denoising and compression", IEEE
    TIP 2000, with their wavelet, the symlet of 8 vanishing moments, and their 4 levels.
    """
    import pywt
    from skimage.restoration import denoise_wavelet

    image, axis = _colours(noisy)
    clean = denoise_wavelet(
        image,
        sigma=_known(noisy, sigma),
        wavelet="sym8",
        # A small image has fewer.
        wavelet_levels=max(1, min(4, pywt.dwt_max_level(min(noisy.shape[:2]), "sym8"))),
        method="BayesShrink",
        mode="soft",
        rescale_sigma=False,
        channel_axis=axis,
    )
    return np.asarray(clean, np.float32).reshape(noisy.shape)


def nlm(noisy: Pixels, sigma: float | None, *, h: float = 0.6) -> Pixels:
    """Average over pixels whose surroundings look alike: patches of 5x5 within 6 pixels.

    The weights fall with the distance over `h` times the noise's sigma.

    References
    ----------
    Buades, Coll, Morel, "A non-local algorithm for image denoising", CVPR 2005, in the fast variant
    of Darbon et al., ISBI 2008.
    """
    from skimage.restoration import denoise_nl_means

    known = _known(noisy, sigma)
    image, axis = _colours(noisy)
    clean = denoise_nl_means(
        image,
        patch_size=5,
        patch_distance=6,
        h=h * known,
        sigma=known,
        fast_mode=True,
        channel_axis=axis,
    )
    return np.asarray(clean, np.float32).reshape(noisy.shape)


def opencv_nlm(noisy: Pixels, sigma: float | None, *, h: float = 0.8) -> Pixels:
    """Do as OpenCV's fastNlMeansDenoising with `h` times the noise's sigma.

    It takes 8 bits alone, so the noise is clipped and rounded first. Patches are of 7x7 within
    windows of 21x21, its own defaults.
    """
    import cv2

    strength = h * 255 * _known(noisy, sigma)
    samples = _BYTES.from_float(noisy, np.dtype(np.uint8))
    if samples.shape[2] == 1:
        clean = cv2.fastNlMeansDenoising(samples[..., 0], None, strength, 7, 21)[..., None]
    else:
        # Its colours are blue, green, red.
        clean = cv2.fastNlMeansDenoisingColored(
            np.ascontiguousarray(samples[..., ::-1]), None, strength, strength, 7, 21
        )[..., ::-1]
    return _BYTES.to_float(clean)


def patch_pca(noisy: Pixels, sigma: float | None) -> Pixels:
    """Cut the small principal components off the patches of each neighbourhood.

    In windows of 31x31 pixels, 12 apart, all patches of 7x7 pixels and all colours are written in
    their own principal components; coefficients below 2.75 sigma go; a pixel is the mean over all
    patches that it is in.

    References
    ----------
    Deledalle, Salmon, Dalalyan, "Image denoising with patch based PCA: local versus global", BMVC
    2011 (their PLPCA), after Muresan, Parks, "Adaptive principal components and image denoising",
    ICIP 2003.
    """
    threshold = 2.75 * _known(noisy, sigma)
    height, width, channels = noisy.shape
    # Small images are one window, with patches that are no larger than it.
    tall, wide = min(_PATCH, height), min(_PATCH, width)
    total = np.zeros(noisy.shape, np.float32)
    counts = np.zeros((height, width, 1), np.float32)
    for top in _starts(height):
        for left in _starts(width):
            window = np.s_[top : top + _WINDOW, left : left + _WINDOW]
            part = sliding_window_view(noisy[window], (tall, wide), (0, 1))
            down, across = part.shape[:2]
            patches = part.reshape(down * across, -1)
            mean = patches.mean(axis=0)
            centred = patches - mean
            _, axes = np.linalg.eigh(centred.T @ centred)
            coefficients = centred @ axes
            coefficients[np.abs(coefficients) < threshold] = 0
            kept = (coefficients @ axes.T + mean).reshape(down, across, channels, tall, wide)
            for y in range(tall):
                for x in range(wide):
                    total[window][y : y + down, x : x + across] += kept[..., y, x]
                    counts[window][y : y + down, x : x + across] += 1
    return total / counts


def bm3d(noisy: Pixels, sigma: float | None) -> Pixels:
    """Filter groups of similar patches together, with the authors' own package.

    References
    ----------
    Dabov, Foi, Katkovnik, Egiazarian, "Image denoising by sparse 3-D transform-domain collaborative
    filtering", IEEE TIP 2007.
    """
    import bm3d as authors

    image, axis = _colours(noisy)
    clean = (authors.bm3d if axis is None else authors.bm3d_rgb)(image, _known(noisy, sigma))
    return np.asarray(clean, np.float32).reshape(noisy.shape)


@dataclass(frozen=True)
class Baseline:
    """A classical denoiser.

    Attributes
    ----------
    denoise
        ``denoise(noisy, sigma)`` with (H, W, C) in [0, 1] nominally and the standard deviation of
        its noise, None where nobody knows it. Gives the clean image, of the same shape.
    about
        One line for the report.
    modules
        What does the work, and has to be installed.
    package
        Of its own, which autodenoise's extras do not bring; empty where they bring all.
    takes_sigma
        Whether it works with the noise's strength, given or estimated.
    """

    denoise: Denoise
    about: str
    modules: tuple[str, ...] = ()
    package: str = ""
    takes_sigma: bool = False

    @property
    def missing(self) -> str | None:
        """The first of its modules that is not installed."""
        return next((name for name in self.modules if importlib.util.find_spec(name) is None), None)

    @property
    def identity(self) -> str:
        """What decides its answers: its settings, and the versions of what does the work."""
        return "; ".join([self.about, *map(_version, self.modules)])

    def check(self) -> None:
        """Check that it can be used here.

        Raises
        ------
        UsageError
            It needs something that is not installed; the message gives the pip command.
        """
        if self.missing is None:
            return
        if self.package:
            raise UsageError(
                f"this needs {self.missing}, which is not installed. Install it with: "
                f"pip install {self.package}"
            )
        raise MissingExtra(self.missing, EXTRA)


INPUT = "noisy"
"""The input as it is, whose score is that of doing nothing."""

ALWAYS = (INPUT, "median", "gaussian-blur")
"""What stands in every table, so that nothing is praised that these do as well."""

_LIBVIPS = ("pyvips",)
_SKIMAGE = ("skimage", "pywt")
_OURS = ("autodenoise", "numpy", *_SKIMAGE)

BASELINES: dict[str, Baseline] = {
    INPUT: Baseline(unchanged, "the input as it is, neither clipped nor rounded"),
    "median": Baseline(median, "median of 3x3 pixels", _LIBVIPS),
    "gaussian-blur": Baseline(gaussian_blur, "Gaussian of 0.8 pixels", _LIBVIPS),
    "bilateral": Baseline(
        bilateral,
        "bilateral filter: 1.8 pixels, 2 sigma in value",
        _OURS,
        takes_sigma=True,
    ),
    "tv": Baseline(
        total_variation,
        "total variation by Chambolle, weight 0.7 sigma",
        _SKIMAGE,
        takes_sigma=True,
    ),
    "wavelet": Baseline(
        wavelet, "BayesShrink, sym8, 4 levels, soft, each channel", _SKIMAGE, takes_sigma=True
    ),
    "nlm": Baseline(
        nlm,
        "non-local means: patches 5x5, distance 6, h = 0.6 sigma, fast variant",
        _SKIMAGE,
        takes_sigma=True,
    ),
    "opencv-nlm": Baseline(
        opencv_nlm,
        "OpenCV's fastNlMeansDenoising: patches 7x7, search 21x21, h = 0.8 sigma; input "
        "clipped to 8 bits",
        ("cv2", *_SKIMAGE),
        "opencv-python-headless",
        takes_sigma=True,
    ),
    "pca": Baseline(
        patch_pca,
        "local PCA of 7x7 patches in windows of 31x31, threshold 2.75 sigma (PLPCA)",
        _OURS,
        takes_sigma=True,
    ),
    "bm3d": Baseline(
        bm3d,
        "BM3D by its authors' package, whose licence is for non-commercial use only",
        ("bm3d", *_SKIMAGE),
        "bm3d",
        takes_sigma=True,
    ),
}
"""The baselines by name."""


_packages_of = functools.cache(metadata.packages_distributions)


def _version(module: str) -> str:
    """Give the version of a module, by the packages that it is from: OpenCV comes in several."""
    if module == "pyvips":
        return "libvips " + ".".join(str(pyvips.version(part)) for part in range(3))
    packages = sorted(set(_packages_of().get(module, [module])))
    return ", ".join(f"{name} {version(name) or 'of unknown version'}" for name in packages)


def _starts(side: int) -> list[int]:
    """Give where windows begin: a step apart, the last at the border."""
    last = max(side - _WINDOW, 0)
    return [*range(0, last, _STEP), last]


def _known(noisy: Pixels, sigma: float | None) -> float:
    """Give the noise's sigma; where nobody knows it, the estimate of Donoho and Johnstone 1994."""
    if sigma is not None:
        return sigma
    from skimage.restoration import estimate_sigma

    image, axis = _colours(noisy)
    estimate = float(estimate_sigma(image, average_sigmas=True, channel_axis=axis))
    # Some cannot work with none at all.
    return max(estimate, _LEAST_SIGMA)


def _colours(noisy: Pixels) -> tuple[Pixels, int | None]:
    """Give an image as scikit-image wants it, and the axis of its colours: grey has none."""
    return (noisy, -1) if noisy.shape[2] > 1 else (noisy[..., 0], None)


def _image(array: Pixels) -> pyvips.Image:
    return pyvips.Image.new_from_array(np.ascontiguousarray(array))


def _array(image: pyvips.Image) -> Pixels:
    pixels: Pixels = image.numpy().reshape(image.height, image.width, -1)
    return pixels
