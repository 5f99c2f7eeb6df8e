from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from skimage.restoration import estimate_sigma

from autodenoise import images
from autodenoise.errors import InputError
from autodenoise.evaluation import comparison as change
from autodenoise.evaluation.comparison import Pair, measure
from autodenoise.images import IntensityRange
from tests.helpers.synthetic_images import noisy_and_clean


@pytest.mark.parametrize("batch", [1, 700, 1 << 18])
@pytest.mark.parametrize("shape", [(60, 47, 3), (47, 60, 1), (11, 200, 3), (64, 11, 1)])
def test_scores_equal_scikit_image_for_any_strips(
    shape: tuple[int, int, int], batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(change, "_BATCH", batch)
    before, after = noisy_and_clean(shape, 20)
    found = measure(Pair(before, after))
    assert (found.width, found.height) == (shape[1], shape[0])
    difference = after.astype(float) - before
    assert found.mean_change == pytest.approx(np.abs(difference).mean(), rel=1e-6)
    assert found.largest_change == pytest.approx(np.abs(difference).max(), rel=1e-6)
    assert found.brightness_shift == pytest.approx(difference.mean(), rel=1e-4)
    assert found.changed == pytest.approx(difference.any(axis=2).mean())
    assert found.psnr == pytest.approx(peak_signal_noise_ratio(before, after), rel=1e-6)
    expected = structural_similarity(
        before,
        after,
        channel_axis=2,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    assert found.ssim == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("batch", [10_000, 1 << 18])
@pytest.mark.parametrize("sigma", [2, 10, 40])
def test_noise_equals_the_added_noise_and_scikit_image(
    sigma: float, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(change, "_BATCH", batch)
    noisy, clean = noisy_and_clean((501, 604, 1), sigma, np.uint16)
    found = measure(Pair(noisy, clean))
    assert found.noise_before == pytest.approx(sigma, rel=0.05)
    # Theirs has a ring of coefficients at the borders that are of mirrored samples.
    theirs = 255 * estimate_sigma(noisy[..., 0] / 65535)
    assert found.noise_before == pytest.approx(theirs, rel=0.01)
    assert found.noise_after is not None
    assert found.noise_after < 0.1


def test_strips_count_each_coefficient_once(monkeypatch: pytest.MonkeyPatch) -> None:
    noisy, clean = noisy_and_clean((61, 45, 3), 20)
    whole = measure(Pair(noisy, clean))
    for rows in (1, 3, 20):
        monkeypatch.setattr(change, "_BATCH", rows * 45)
        found = measure(Pair(noisy, clean))
        assert (found.noise_before, found.noise_after) == (whole.noise_before, whole.noise_after)


def test_painted_areas_are_ignored_for_noise() -> None:
    noisy, _ = noisy_and_clean((120, 160, 1), 10)
    noisy[:, :120] = 255
    found = measure(Pair(noisy, np.full_like(noisy, 255)))
    assert found.noise_before == pytest.approx(10, rel=0.1)
    assert found.noise_after == 0


def test_equal_images_of_any_depth_have_no_change() -> None:
    shallow = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    for other in (shallow, shallow * np.uint16(257), shallow.astype(np.float64) / 255):
        found = measure(Pair(shallow, other))
        assert found.psnr is None
        assert found.changed == 0
        assert found.ssim == pytest.approx(1)
        assert found.largest_change < 1e-4


def test_one_changed_pixel() -> None:
    before = np.full((20, 30, 3), 100, np.uint8)
    after = before.copy()
    after[4, 5, 1] = 130
    found = measure(Pair(before, after))
    assert found.changed == 1 / 600
    assert found.largest_change == pytest.approx(30, rel=1e-5)
    assert found.mean_change == pytest.approx(30 / 1800, rel=1e-5)
    assert found.brightness_shift == pytest.approx(30 / 1800, rel=1e-5)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (3, 500), (500, 3), (10, 12)])
def test_small_images_have_no_ssim_or_noise(height: int, width: int) -> None:
    before, after = noisy_and_clean((height, width, 1), 30)
    found = measure(Pair(before, after))
    assert found.ssim is None
    assert found.psnr is not None
    assert (found.noise_before is None) == (min(height, width) < 4)


def test_gray_is_compared_with_color() -> None:
    grey = np.full((5, 5, 1), 80, np.uint8)
    red = np.concatenate([grey + np.uint8(30), grey, grey], axis=2)
    found = measure(Pair(grey, red))
    assert found.mean_change == pytest.approx(10, rel=1e-5)
    assert found.changed == 1


def test_changes_under_full_transparency_are_ignored() -> None:
    before = np.random.default_rng(0).integers(0, 256, (12, 12, 4), np.uint8)
    before[..., 3] = 255
    before[:6, :, 3] = 0
    after = before.copy()
    after[:6, :, :3] = 0
    assert measure(Pair(before, after)).psnr is None
    after[8, 8, :3] ^= 255
    assert measure(Pair(before, after)).changed == 1 / 144
    # The lower half is opaque: it equals a picture that has no alpha.
    found = measure(Pair(before[6:], before[6:, :, :3]))
    assert (found.psnr, found.changed) == (None, 0)
    # Transparent is mid-grey, half transparent half of it.
    grey = np.array([[[0, 0], [0, 255], [255, 51]]], np.uint8)
    image, _ = Pair(grey, grey).part(slice(None))
    np.testing.assert_allclose(image.ravel(), [0.5, 0, 0.6], atol=1e-6)


def test_samples_of_other_ranges() -> None:
    before = np.full((4, 4, 1), 1000, np.uint16)
    after = before + np.uint16(400)
    scale = IntensityRange(0, 4000)
    found = measure(Pair(before, after, scale, scale))
    assert found.brightness_shift == pytest.approx(25.5, rel=1e-5)
    for dtype in (np.float32, np.float64, np.int16, np.uint32):
        other = Pair(before.astype(dtype), after.astype(dtype), scale, scale)
        assert measure(other).mean_change == pytest.approx(25.5, rel=1e-5)
    with pytest.raises(InputError, match=r"samples from 1000 to 1000; .* --range"):
        measure(Pair(before.astype(np.float32), after))
    with pytest.raises(InputError, match=r"after has int32 samples .* --range"):
        Pair(before, after.astype(np.int32))
    broken = before.astype(np.float32)
    broken[1, 2] = np.nan
    with pytest.raises(InputError, match="contains NaN or infinity"):
        measure(Pair(broken, after, scale, scale))
    # Where the owner says so, noise may reach below black.
    noisy = Pair(
        np.full((4, 4, 1), -0.1), np.zeros((4, 4, 1)), IntensityRange(0, 1), IntensityRange(0, 1)
    )
    assert measure(noisy).brightness_shift == pytest.approx(25.5)


def test_incompatible_images_are_refused() -> None:
    with pytest.raises(InputError, match="before has 40x30 pixels, after 30x40"):
        Pair(np.zeros((30, 40, 1), np.uint8), np.zeros((40, 30, 1), np.uint8))
    with pytest.raises(InputError, match="the image after has 5 channels"):
        Pair(np.zeros((3, 4, 1), np.uint8), np.zeros((3, 4, 5), np.uint8))


def test_huge_files_are_refused_before_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = tmp_path / "large.png"
    images.write(large, np.zeros((1200, 1000, 1), np.uint8))
    monkeypatch.setattr(change, "MAX_PIXELS", 1_000_000)

    def rows(picture: images.ImageFile) -> None:
        raise AssertionError(picture.path)

    monkeypatch.setattr(images.ImageFile, "rows", rows)
    with pytest.raises(InputError, match=r"large.png has 1000x1200 pixels, and at most 1 million"):
        Pair.read(large, large)


def test_extra_channel_is_not_transparency(tmp_path: Path) -> None:
    shots = np.random.default_rng(0).integers(0, 256, (2, 20, 30, 4), np.uint8)
    for name, shot in zip("ab", shots, strict=True):
        path = tmp_path / f"{name}.tif"
        tifffile.imwrite(path, shot, photometric="rgb", extrasamples=["unspecified"])
    found = measure(Pair.read(tmp_path / "a.tif", tmp_path / "b.tif"))
    expected = peak_signal_noise_ratio(shots[0, ..., :3], shots[1, ..., :3])
    assert found.psnr == pytest.approx(expected, rel=1e-6)


def test_files_of_all_kinds(tmp_path: Path) -> None:
    colours = np.random.default_rng(0).integers(0, 256, (8, 9, 4), np.uint8)
    whole, turned, stack, floats, cmyk = (
        tmp_path / name for name in ("a.png", "b.png", "c.tif", "d.tif", "e.tif")
    )
    Image.fromarray(colours).save(whole)
    tags = Image.Exif()
    tags[0x0112] = 3  # turn by half to view
    Image.fromarray(np.ascontiguousarray(colours[::-1, ::-1])).save(turned, exif=tags)
    assert measure(Pair.read(whole, turned)).psnr is None
    page = Image.new("L", (9, 8), 51)
    page.save(stack, save_all=True, append_images=[page])
    with pytest.raises(InputError, match=r"c.tif has 2 page\(s\)"):
        Pair.read(whole, stack)
    page.save(whole)
    Image.new("F", (9, 8), 800).save(floats)
    assert measure(Pair.read(floats, floats, IntensityRange(0, 4000))).psnr is None
    with pytest.raises(InputError, match="--range"):
        measure(Pair.read(whole, floats))
    Image.new("CMYK", (9, 8)).save(cmyk)
    assert measure(Pair.read(whole, cmyk)).brightness_shift == pytest.approx(204, abs=2)
