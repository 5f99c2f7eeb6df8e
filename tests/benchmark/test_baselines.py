from __future__ import annotations

import inspect
import json
from importlib import metadata
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy import ndimage
from skimage.restoration import estimate_sigma

from autodenoise.benchmark import baselines
from autodenoise.benchmark.baselines import ALWAYS, BASELINES, Baseline
from autodenoise.benchmark.protocol import AddedNoise
from autodenoise.errors import MissingExtra, UsageError
from autodenoise.images import to_float
from autodenoise.images.libvips import pyvips
from tests.helpers.synthetic_images import photo

SETTINGS = Path(__file__).parents[2] / "benchmarks" / "results" / "baseline-settings.json"
USABLE = [name for name, baseline in BASELINES.items() if baseline.missing is None]


def noisy_photo(channels: int) -> tuple[np.ndarray, np.ndarray]:
    clean = to_float(photo((48, 56, channels)))
    return clean, AddedNoise("gaussian", 25)(clean)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", [name for name in USABLE if name not in ("noisy", "bm3d")])
def test_every_baseline_reduces_the_error(name: str, channels: int) -> None:
    clean, noisy = noisy_photo(channels)
    before = noisy.copy()
    for sigma in (25 / 255, None):
        output = BASELINES[name].denoise(noisy, sigma)
        assert output.shape == noisy.shape
        assert output.dtype == np.float32
        assert np.mean((output - clean) ** 2) < 0.8 * np.mean((noisy - clean) ** 2)
    assert np.array_equal(noisy, before)


@pytest.mark.parametrize("name", [name for name in USABLE if name != "bm3d"])
@pytest.mark.parametrize("shape", [(1, 1, 1), (5, 40, 3)])
@pytest.mark.filterwarnings("ignore:Level value:UserWarning")
def test_baselines_accept_small_images(name: str, shape: tuple[int, int, int]) -> None:
    output = BASELINES[name].denoise(np.full(shape, 0.5, np.float32), 0.1)
    assert output.shape == shape
    assert np.allclose(output, 0.5, atol=0.01)


@pytest.mark.parametrize("channels", [1, 3])
def test_median_and_blur_equal_those_of_scipy(channels: int) -> None:
    _, noisy = noisy_photo(channels)
    output = BASELINES["median"].denoise(noisy, None)
    assert np.array_equal(output, ndimage.median_filter(noisy, (3, 3, 1), mode="nearest"))
    output = BASELINES["gaussian-blur"].denoise(noisy, None)
    expected = ndimage.gaussian_filter(noisy, (0.8, 0.8, 0), mode="nearest", truncate=5)
    assert np.allclose(output, expected, atol=2e-3)


def test_bilateral_filter_equals_that_of_opencv() -> None:
    _, noisy = noisy_photo(1)
    radius = round(2.5 * 1.8)
    expected = cv2.bilateralFilter(
        noisy[..., 0], 2 * radius + 1, 2 * 0.1, 1.8, borderType=cv2.BORDER_REPLICATE
    )
    output = BASELINES["bilateral"].denoise(noisy, 0.1)
    assert np.allclose(output[..., 0], expected, atol=1e-3)


def test_unknown_sigma_is_estimated() -> None:
    _, noisy = noisy_photo(3)
    estimate = estimate_sigma(noisy, average_sigmas=True, channel_axis=-1)
    assert estimate == pytest.approx(25 / 255, rel=0.2)
    for name in ("tv", "pca"):
        denoise = BASELINES[name].denoise
        assert np.allclose(denoise(noisy, None), denoise(noisy, estimate), atol=1e-6)


def test_patch_pca_preserves_structure_above_the_noise() -> None:
    clean, _ = noisy_photo(3)
    assert np.allclose(BASELINES["pca"].denoise(clean, 1e-6), clean, atol=1e-4)
    # All coefficients are below the threshold; only the mean patches remain.
    flat = BASELINES["pca"].denoise(clean, 10.0)
    assert flat.std() < 0.6 * clean.std()


def test_default_settings_are_the_best_on_the_validation_images() -> None:
    found = json.loads(SETTINGS.read_text())["baselines"]
    assert {"gaussian-blur", "bilateral", "tv", "nlm", "opencv-nlm"} == set(found)
    for name, tried in found.items():
        parameters = inspect.signature(BASELINES[name].denoise).parameters.values()
        defaults = {one.name: one.default for one in parameters if one.kind is one.KEYWORD_ONLY}
        assert defaults == tried["best"]
        # `about` is part of the identity of rows, so it has to name the settings.
        assert all(f"{value:g}" in BASELINES[name].about for value in defaults.values())


def test_missing_module_is_reported_with_its_pip_command() -> None:
    with pytest.raises(MissingExtra, match=r"pip install 'autodenoise\[baselines\]'"):
        Baseline(baselines.median, "", ("no_such_module",)).check()
    other = Baseline(baselines.median, "", ("no_such_module",), package="such-a-package")
    with pytest.raises(UsageError, match="pip install such-a-package"):
        other.check()


def test_identity_includes_package_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    identities = {name: BASELINES[name].identity for name in USABLE}
    for name, packages in (
        ("median", ["libvips"]),
        ("gaussian-blur", ["libvips"]),
        ("bilateral", ["autodenoise", "numpy", "scikit-image"]),
        ("pca", ["autodenoise", "numpy", "scikit-image"]),
        ("wavelet", ["scikit-image", "PyWavelets"]),
        ("opencv-nlm", ["opencv-python-headless"]),
    ):
        for package in packages:
            known = ".".join(str(pyvips.version(part)) for part in range(3))
            version = known if package == "libvips" else metadata.version(package)
            assert f"{package} {version}" in identities[name]
    # Several packages provide OpenCV's module.
    other = {"cv2": ["opencv-contrib-python"]}
    monkeypatch.setattr(baselines, "_packages_of", lambda: other)
    assert "opencv-contrib-python" in BASELINES["opencv-nlm"].identity


def test_license_of_bm3d_is_stated() -> None:
    assert "non-commercial" in BASELINES["bm3d"].about
    assert set(ALWAYS) <= set(BASELINES)
