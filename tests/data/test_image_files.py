from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
import zarr
from numpy.typing import NDArray
from PIL import Image

from autodenoise.data import dataset as datasets
from autodenoise.data import volumes
from autodenoise.data.crops import ImageCrops
from autodenoise.data.dataset import DataSpec, Splits, shape
from autodenoise.data.spec import Supervision
from autodenoise.data.streaming import Patches
from autodenoise.errors import InputError, UsageError
from autodenoise.images import IntensityRange

Array = NDArray[Any]


def places(height: int = 72, width: int = 90, first: int = 0) -> Array:
    """Make a 16-bit image in which the value of a pixel is its position."""
    return (np.arange(height * width) + first).reshape(height, width).astype(np.uint16)


def photo(seed: int, *size: int) -> Array:
    return np.random.default_rng(seed).integers(0, 256, size or (72, 90, 3), np.uint8)


def save(path: Path, pixels: Array) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".tif":
        tifffile.imwrite(path, pixels, photometric="rgb" if pixels.shape[-1] == 3 else "minisblack")
    elif path.suffix == ".npy":
        np.save(path, pixels)
    elif path.suffix == ".zarr":
        chunks = tuple(min(side, 32) for side in pixels.shape)
        zarr.create_array(path, shape=pixels.shape, chunks=chunks, dtype=pixels.dtype)[:] = pixels
    else:
        Image.fromarray(pixels).save(path)
    return path


def own(
    source: Path, supervision: Supervision = "clean", targets: Path | str = "", **others: Any
) -> DataSpec:
    given = {"crop": 16, "validation": "random", "share": 0.1, "normalize": True, **others}
    return DataSpec(str(source), supervision=supervision, targets=str(targets), **given)


def load(
    source: Path, supervision: Supervision = "clean", targets: Path | str = "", **others: Any
) -> Splits:
    return datasets.load(own(source, supervision, targets, **others))


def crops(splits: Splits, supervision: Supervision, count: int = 40) -> Any:
    image_crops = ImageCrops(tuple(splits.train.full_images), 16, supervision=supervision)
    rows = torch.arange(count) % len(image_crops)
    return image_crops.batch(rows, torch.Generator().manual_seed(0))


def whole(tensor: torch.Tensor) -> Array:
    """Convert to int64: PyTorch supports few operations on uint16."""
    return tensor.numpy().astype(np.int64)


def notes_of(splits: Splits) -> str:
    return "\n".join(splits.notes)


# --- each kind ------------------------------------------------------------------------------------


def test_clean_images_of_any_folder_size_and_format(tmp_path: Path) -> None:
    sizes = {"a.png": (70, 90), "b/c.tif": (100, 80), "b/d/e.jpg": (64, 64), "f.webp": (80, 81)}
    pixels = {name: photo(seed, *size, 3) for seed, (name, size) in enumerate(sizes.items())}
    for name, values in pixels.items():
        save(tmp_path / name, values)
    (tmp_path / "notes.txt").write_text("not an image")
    splits = load(tmp_path)
    assert len(splits.train.full_images) == 3
    assert splits.shape == shape(own(tmp_path)) == (3, 64, 64)
    assert splits.validation is splits.test
    assert not splits.has_test
    # 8-bit images are not normalized, so that training can start from weights for such images.
    assert splits.normalization == (0, 1)
    assert splits.intensity_range is None
    assert splits.notes == ()
    held = [name for name, values in pixels.items() if name.endswith(("png", "tif"))]
    training = [image.numpy()[0].transpose(1, 2, 0) for image in splits.train.full_images]
    for name in held:
        found = any(np.array_equal(pixels[name], other) for other in training)
        height, width = sizes[name]
        top, left = (height - 64) // 2, (width - 64) // 2
        middle = pixels[name][top : top + 64, left : left + 64]
        views = splits.validation.images.numpy().transpose(0, 2, 3, 1)
        assert found != any(np.array_equal(middle, view) for view in views)


def test_crops_of_a_pair_are_aligned(tmp_path: Path) -> None:
    for number, name in enumerate(("a", "sub/b", "c", "d")):
        code = places(60 + 10 * number, 90, 1000 * number)
        save(tmp_path / "noisy" / f"{name}.tif", code)
        save(tmp_path / "clean" / f"{name}.png", 65535 - code)
    splits = load(tmp_path / "noisy", "paired", tmp_path / "clean")
    batch = crops(splits, "paired")
    assert batch.clean.shape == (40, 1, 16, 16)
    assert batch.clean.dtype == torch.uint16
    np.testing.assert_array_equal(whole(batch.clean), 65535 - whole(batch.noisy))
    validation = splits.validation
    assert validation.noisy is not None
    np.testing.assert_array_equal(whole(validation.images), 65535 - whole(validation.noisy))


def test_pair_may_have_two_depths(tmp_path: Path) -> None:
    for seed, name in enumerate("abc"):
        clean = photo(seed, 64, 64)
        save(tmp_path / "noisy" / f"{name}.png", clean)
        save(tmp_path / "clean" / f"{name}.tif", (clean / 255 * 0.5).astype(np.float32))
    splits = load(tmp_path / "noisy", "paired", tmp_path / "clean")
    batch = crops(splits, "paired")
    torch.testing.assert_close(batch.clean, 0.5 * batch.noisy)
    assert splits.intensity_range == IntensityRange(0, 1)


def test_two_files_are_a_pair_regardless_of_names(tmp_path: Path) -> None:
    code = np.stack([places(first=5000 * page) for page in range(3)])
    noisy, clean = save(tmp_path / "n.tif", code), save(tmp_path / "c.npy", 65535 - code)
    batch = crops(load(noisy, "paired", clean), "paired")
    np.testing.assert_array_equal(whole(batch.clean), 65535 - whole(batch.noisy))
    with pytest.raises(UsageError, match="in two folders, or in two files"):
        load(noisy, "paired", tmp_path)
    with pytest.raises(UsageError, match="name two folders"):
        load(noisy, "paired", noisy)


def test_repeats_are_folders_stacks_and_arrays(tmp_path: Path) -> None:
    # The last decimal is the shot, and the others are the position.
    scenes = [10 * places(64, 80, 7 * number) for number in range(5)]
    shots = [[scene + shot for shot in range(3)] for scene in scenes]
    for number in (0, 1):
        for shot, pixels in enumerate(shots[number]):
            save(tmp_path / f"scene{number}" / f"{shot}.png", pixels)
    save(tmp_path / "scene2.tif", np.stack(shots[2]))
    save(tmp_path / "scene3.npy", np.stack(shots[3]))
    save(tmp_path / "scene4.zarr", np.stack(shots[4]))
    splits = load(tmp_path, "repeats")
    assert [len(image) for image in splits.train.full_images] == [3] * 4
    batch = crops(splits, "repeats")
    one, other = whole(batch.noisy), whole(batch.again)
    np.testing.assert_array_equal(one // 10, other // 10)
    assert (one % 10 != other % 10).all()
    validation = splits.validation
    assert validation.noisy is not None
    assert validation.again is not None
    first = whole(validation.noisy)
    np.testing.assert_array_equal(whole(validation.again), first + 1)
    # What is nearest to clean is the mean of all shots but the first.
    np.testing.assert_allclose(validation.images.numpy() * 65535, first + 1.5, atol=0.01)


@pytest.mark.parametrize("name", ["stack.tif", "stack.npy", "stack.zarr"])
def test_planes_of_a_stack_are_separate_samples(tmp_path: Path, name: str) -> None:
    pages = np.stack([places(64, 64, 3000 * page) for page in range(11)])
    splits = load(save(tmp_path / name, pages), "noisy-only")
    assert len(splits.train.full_images) == 9
    known = {page.tobytes() for page in pages}
    assert {image.numpy()[0, 0].tobytes() for image in splits.train.full_images} <= known
    assert splits.train.full_images[0].dtype == torch.uint16
    assert splits.validation.noisy is splits.validation.images
    assert crops(splits, "noisy-only").noisy.dtype == torch.uint16


def test_last_axes_of_a_volume_are_rows_and_columns(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 256, (2, 3, 40, 48, 4), np.uint8)
    splits = load(save(tmp_path / "a.zarr", values))
    # Two leading axes make six planes, and transparency is dropped.
    assert len(splits.train.full_images) == 5
    known = {plane[..., :3].tobytes() for plane in values.reshape(6, 40, 48, 4)}
    for image in splits.train.full_images:
        assert image.numpy()[0].transpose(1, 2, 0).tobytes() in known


def test_ome_zarr_is_read_at_full_resolution(tmp_path: Path) -> None:
    group = zarr.open_group(tmp_path / "image.zarr", mode="w")
    large = np.random.default_rng(0).integers(0, 65536, (5, 64, 64), np.uint16)
    group.create_array("0", data=large)
    group.create_array("1", data=large[:, ::2, ::2])
    group.attrs["ome"] = {"multiscales": [{"datasets": [{"path": "0"}, {"path": "1"}]}]}
    splits = load(tmp_path / "image.zarr", "noisy-only")
    assert [tuple(image.shape) for image in splits.train.full_images] == [(1, 1, 64, 64)] * 4


def test_folder_with_a_folder_per_split(tmp_path: Path) -> None:
    for part, count in (("train", 3), ("validation", 2), ("test", 4)):
        for number in range(count):
            save(tmp_path / part / f"{number}.png", photo(number))
    splits = load(tmp_path, validation="test")
    assert len(splits.train.full_images) == 3
    assert splits.has_test
    assert splits.validation is not splits.test
    held = load(tmp_path)
    assert len(held.train.full_images) == 2


# --- splits ---------------------------------------------------------------------------------------


def test_single_image_is_split_into_bands(tmp_path: Path) -> None:
    code = places(120, 300)
    splits = load(save(tmp_path / "one.tif", code), "noisy-only")
    (image,) = splits.train.full_images
    assert image.shape == (1, 1, 120, 260)
    squares = splits.validation.images
    assert squares.shape == (3, 1, 40, 40)
    # No pixel is in both splits.
    assert not set(image.numpy().ravel().tolist()) & set(squares.numpy().ravel().tolist())
    assert "only one image" in notes_of(splits)
    high = load(save(tmp_path / "high.tif", code.T), "noisy-only")
    assert high.train.full_images[0].shape == (1, 1, 260, 120)


def test_held_out_band_is_at_least_as_wide_as_a_crop_if_possible(tmp_path: Path) -> None:
    path = save(tmp_path / "one.tif", places(200, 256))
    assert load(path, "noisy-only", crop=64).train.full_images[0].shape == (1, 1, 200, 192)
    assert load(path, "noisy-only", crop=128).train.full_images[0].shape == (1, 1, 200, 192)


def test_too_few_images_error_says_how_many_are_needed(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="at least 2 images are needed, or 64 pixels a side"):
        load(save(tmp_path / "one.tif", places(50, 300)), "noisy-only")


def test_number_of_validation_squares_is_limited(tmp_path: Path) -> None:
    pages = np.random.default_rng(0).integers(0, 256, (200, 64, 64), np.uint8)
    splits = load(save(tmp_path / "many.npy", pages), share=0.5)
    assert len(splits.train.full_images) == 100
    assert len(splits.validation.images) == 64
    few = load(save(tmp_path / "few.npy", pages[:10].repeat(2, 1).repeat(3, 2)), share=0.2)
    # Two are held out, with several squares each, as large as the others are high.
    assert few.validation.images.shape == (2, 1, 128, 128)


def test_one_tiny_image_does_not_shrink_the_validation_squares(tmp_path: Path) -> None:
    for number in range(12):
        save(tmp_path / f"{number:02}.png", photo(number, *((9, 9) if number == 3 else (80, 90))))
    splits = load(tmp_path, share=0.3)
    assert splits.shape == (1, 80, 80)


# --- black and white ------------------------------------------------------------------------------


def test_normalization_is_measured_on_16_bit_images(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    stack = random.uniform(1000, 3000, (8, 100, 100)).astype(np.uint16)
    stack[:, 5, 5] = 65000  # a hot pixel
    splits = load(save(tmp_path / "dim.tif", stack), "noisy-only")
    black, white = splits.normalization
    assert black * 65535 == pytest.approx(1002, abs=3)
    assert white * 65535 == pytest.approx(2998, abs=3)
    assert load(tmp_path / "dim.tif", "noisy-only", normalize=False).normalization == (0, 1)


def test_flat_images_are_not_normalized(tmp_path: Path) -> None:
    splits = load(save(tmp_path / "flat.tif", np.full((4, 64, 64), 700, np.uint16)), "noisy-only")
    assert splits.normalization == (0, 1)
    assert "flat" in notes_of(splits)


@pytest.mark.parametrize(
    ("low", "high", "dtype"), [(-800, 3100, np.int16), (5, 900, np.float32), (0, 1, np.float64)]
)
def test_undeclared_intensity_range_is_estimated(
    tmp_path: Path, low: float, high: float, dtype: Any
) -> None:
    values = np.random.default_rng(0).uniform(low, high, (6, 64, 64)).astype(dtype)
    splits = load(save(tmp_path / "a.npy", values), "noisy-only")
    intensity_range = splits.intensity_range
    assert intensity_range is not None
    assert intensity_range.low <= values.min()
    assert intensity_range.high >= values.max()
    assert intensity_range.high - intensity_range.low <= 1.3 * (high - low)
    if high == 1:
        assert intensity_range == IntensityRange(0, 1)
    if low >= 0:
        assert intensity_range.low >= 0
    assert f"{intensity_range.low:g} to {intensity_range.high:g} is assumed" in notes_of(splits)
    assert all(0 <= float(p.min()) < float(p.max()) <= 1 for p in splits.train.full_images)
    black, white = splits.normalization
    assert intensity_range.low + black * (
        intensity_range.high - intensity_range.low
    ) == pytest.approx(low, abs=(high - low) / 99)
    assert intensity_range.low + white * (
        intensity_range.high - intensity_range.low
    ) == pytest.approx(high, abs=(high - low) / 99)


def test_declared_intensity_range_is_used(tmp_path: Path) -> None:
    values = np.random.default_rng(0).uniform(0, 50, (64, 64)).astype(np.float32)
    for name in "ab":
        tifffile.imwrite(
            tmp_path / f"{name}.tif",
            values,
            extratags=[(340, "f", 1, 0.0, True), (341, "f", 1, 100.0, True)],
        )
    splits = load(tmp_path, "noisy-only")
    assert splits.intensity_range is None
    np.testing.assert_allclose(splits.train.full_images[0].numpy()[0, 0], values / 100, rtol=1e-6)


def test_images_of_different_depths_are_scaled_separately(tmp_path: Path) -> None:
    gray = photo(0, 64, 64)
    save(tmp_path / "a.png", gray)
    save(tmp_path / "b.png", gray.astype(np.uint16) * 257)
    splits = load(tmp_path)
    assert "1 of uint8, 1 of uint16" in notes_of(splits)
    values = [whole(splits.train.full_images[0])[0, 0], whole(splits.validation.images)[0, 0]]
    np.testing.assert_array_equal(values[0], values[1])
    assert values[0].max() > 60_000
    assert splits.normalization == (0, 1)


# --- bad input ------------------------------------------------------------------------------------


def test_damaged_files_are_skipped_and_listed(tmp_path: Path) -> None:
    for number in range(12):
        save(tmp_path / f"{number:02}.png", photo(number))
    (tmp_path / "20.png").write_bytes(b"")
    (tmp_path / "21.tif").write_bytes(b"II*\0 no more")
    (tmp_path / "22.jpg").write_text("a letter")
    (tmp_path / "23.npy").write_text("a letter")
    content = (tmp_path / "05.png").read_bytes()
    (tmp_path / "05.png").write_bytes(content[: len(content) // 2])
    splits = load(tmp_path)
    assert len(splits.train.full_images) + len(splits.validation.images) == 11
    notes = notes_of(splits)
    assert "skipped 4" in notes
    assert "20.png: the file is empty" in notes
    assert "and 1 more" in notes
    assert "1 cannot be decoded" in notes
    assert "05.png is damaged or cut off" in notes


def test_split_is_repeated_if_all_held_out_images_are_damaged(tmp_path: Path) -> None:
    for number in range(4):
        save(tmp_path / f"{number}.png", photo(number))
    whole_ones = load(tmp_path)
    (held,) = (
        path
        for path in sorted(tmp_path.iterdir())
        if not any(
            np.array_equal(np.asarray(Image.open(path)), image.numpy()[0].transpose(1, 2, 0))
            for image in whole_ones.train.full_images
        )
    )
    content = held.read_bytes()
    held.write_bytes(content[: len(content) // 2])
    splits = load(tmp_path)
    assert len(splits.train.full_images) == 2
    assert f"{held.name} is damaged" in notes_of(splits)


def test_named_datasets_and_archives_are_clean(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", train=photo(0, 4, 64, 64))
    for source in ("digits", tmp_path / "a.npz"):
        with pytest.raises(UsageError, match="only contain clean images; supervision"):
            datasets.load(
                DataSpec(str(source), supervision="noisy-only", crop=8, validation="random")
            )
    splits = datasets.load(
        DataSpec(str(tmp_path / "a.npz"), crop=8, validation="random", share=0.5)
    )
    assert [tuple(image.shape) for image in splits.train.full_images] == [(1, 1, 64, 64)] * 2


@pytest.mark.parametrize("names", ["a", "ab"])
def test_truncated_images_are_skipped(tmp_path: Path, names: str) -> None:
    # The centers of the JPEG files can be decoded, and so can the second image.
    for name in names:
        Image.fromarray(photo(0, 300, 400, 3)).save(tmp_path / f"{name}.jpg", quality=95)
    content = (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "a.jpg").write_bytes(content[: int(0.95 * len(content))])
    if names == "a":
        with pytest.raises(InputError, match="can be decoded"):
            load(tmp_path)
    else:
        assert len(load(tmp_path).train.full_images) == 1


def test_held_out_band_leaves_enough_to_train_on(tmp_path: Path) -> None:
    save(tmp_path / "a.png", photo(0, 96, 70))
    splits = load(tmp_path / "a.png", share=0.9999)
    assert [tuple(image.shape[2:]) for image in splits.train.full_images] == [(32, 70)]


def test_missing_target_folder_is_an_error(tmp_path: Path) -> None:
    save(tmp_path / "a.png", photo(0))
    data = DataSpec(str(tmp_path), supervision="paired", targets=str(tmp_path / "claen"), crop=8)
    with pytest.raises(InputError, match=r"no such file or folder: .*claen"):
        datasets.load(data)


@pytest.mark.parametrize("side", [24, 40, 100, 200, 256])
def test_validation_side_fits_networks(tmp_path: Path, side: int) -> None:
    for name in "abcd":
        save(tmp_path / f"{name}.png", photo(0, side, side + 9))
    height, width = load(tmp_path).validation.images.shape[2:]
    assert (height, width) == ({24: 24, 40: 40, 100: 96, 200: 192, 256: 256}[side],) * 2


def test_only_damaged_images_are_an_error(tmp_path: Path) -> None:
    for name in "ab":
        path = save(tmp_path / f"{name}.png", photo(0))
        path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(InputError, match="can be decoded"):
        load(tmp_path)
    for name in "ab":
        (tmp_path / f"{name}.png").write_bytes(b"")
    with pytest.raises(InputError, match=r"nothing to train on. Skipped:\n.*the file is empty"):
        load(tmp_path)


def test_empty_folder_error_lists_supported_suffixes(tmp_path: Path) -> None:
    (tmp_path / "a.cr2").write_text("raw")
    for supervision in ("clean", "noisy-only"):
        with pytest.raises(InputError, match=r"contains no images; .* \.npy, .*\.tif.*\.zarr"):
            load(tmp_path, supervision)
    with pytest.raises(InputError, match="no such file"):
        load(tmp_path / "nowhere.tif", "noisy-only")
    (tmp_path / "a.npz").write_text("")
    with pytest.raises(InputError, match="cannot read"):
        load(tmp_path / "a.npz")


def test_warning_if_most_files_are_not_images(tmp_path: Path) -> None:
    for number in range(3):
        save(tmp_path / f"{number}.png", photo(number))
        (tmp_path / f"{number}.cr2").write_text("raw")
    assert "not images: .cr2 (3)" in notes_of(load(tmp_path))


def test_most_common_number_of_channels_wins(tmp_path: Path) -> None:
    for number in range(4):
        save(tmp_path / f"{number}.png", photo(number))
    save(tmp_path / "grey.png", photo(9, 72, 90))
    splits = load(tmp_path)
    assert splits.shape[0] == 3
    assert "grey.png: it has 1 channel(s), most have 3" in notes_of(splits)
    # With luma, all images are used.
    gray = load(tmp_path, gray=True)
    assert gray.shape[0] == 1
    assert len(gray.train.full_images) == 4
    assert gray.notes == ()


def test_unmatched_files_are_listed(tmp_path: Path) -> None:
    def pair(name: str, noisy: Array, clean: Array) -> None:
        save(tmp_path / "noisy" / name, noisy)
        save(tmp_path / "clean" / name, clean)

    for number in range(3):
        pair(f"{number}.png", photo(number), photo(number + 50))
    save(tmp_path / "noisy" / "alone.png", photo(0))
    save(tmp_path / "clean" / "other.png", photo(0))
    splits = load(tmp_path / "noisy", "paired", tmp_path / "clean")
    assert "noisy/alone.png: there is no clean/alone.*" in notes_of(splits)
    assert "clean/other.png: there is no noisy/other.*" in notes_of(splits)
    for name in ("noisy/alone.png", "clean/other.png"):
        (tmp_path / name).unlink()
    pair("size.png", photo(0, 60, 70, 3), photo(1, 70, 60, 3))
    pair("pages.tif", photo(0, 2, 64, 64), photo(1, 3, 64, 64))
    pair("kind.png", photo(0), photo(0, 72, 90))
    splits = load(tmp_path / "noisy", "paired", tmp_path / "clean")
    assert "noisy/size.png: it is 70x60, its clean counterpart 60x70" in notes_of(splits)
    assert "noisy/pages.tif: it has 2 pages, its clean counterpart 3" in notes_of(splits)
    assert "noisy/kind.png: it has 3 channel(s), its clean counterpart 1" in notes_of(splits)
    assert len(splits.train.full_images) == 2


def test_no_pairs_is_an_error(tmp_path: Path) -> None:
    save(tmp_path / "noisy" / "a_noisy.png", photo(0))
    save(tmp_path / "clean" / "a.png", photo(0))
    with pytest.raises(InputError, match=r"noisy/a_noisy\.png: there is no clean/a_noisy\.\*"):
        load(tmp_path / "noisy", "paired", tmp_path / "clean")


def test_identical_versions_are_an_error(tmp_path: Path) -> None:
    for number in range(4):
        save(tmp_path / "noisy" / f"{number}.png", photo(number))
        save(tmp_path / "clean" / f"{number}.tif", photo(number))
    with pytest.raises(InputError, match="identical"):
        load(tmp_path / "noisy", "paired", tmp_path / "clean")
    for number in range(4):
        save(tmp_path / "noisy" / f"{number + 4}.png", photo(number))
        save(tmp_path / "clean" / f"{number + 4}.tif", photo(number + 50))
    assert "identical" in notes_of(load(tmp_path / "noisy", "paired", tmp_path / "clean"))


@pytest.mark.parametrize("supervision", ["paired", "repeats"])
def test_misaligned_versions_are_warned_about(tmp_path: Path, supervision: Supervision) -> None:
    random = np.random.default_rng(0)
    view = np.kron(random.integers(40, 210, (30, 30)), np.ones((5, 5)))
    for number in range(3):
        moved = np.roll(view, (2, -3), (0, 1)) if number == 1 else view
        for name, pixels in (("noisy", view), ("clean", moved)):
            noisy = (pixels + random.normal(0, 5, view.shape)).astype(np.uint8)
            place = f"{name}/{number}" if supervision == "paired" else f"{number}/{name}"
            save(tmp_path / f"{place}.png", noisy)
    both = (tmp_path / "noisy", tmp_path / "clean") if supervision == "paired" else (tmp_path, "")
    # Any sample may be held out, and held-out samples are not inspected.
    notes_by_seed = [
        notes_of(load(both[0], supervision, both[1], split_seed=seed)) for seed in range(4)
    ]
    assert any("2.00 down" in notes and "3.00 across" in notes for notes in notes_by_seed)
    assert all(notes.count("not aligned with") <= 1 for notes in notes_by_seed)


def test_unusable_shots_are_listed(tmp_path: Path) -> None:
    for number in range(3):
        for shot in range(2):
            save(tmp_path / f"{number}" / f"{shot}.png", photo(10 * number + shot))
    save(tmp_path / "0" / "odd.png", photo(1, 30, 40, 3))
    save(tmp_path / "alone" / "a.png", photo(1))
    notes = notes_of(load(tmp_path, "repeats"))
    assert "0/odd.png: it is 40x30" in notes
    assert "alone/a.png: the only shot" in notes


def test_warning_if_most_images_are_smaller_than_crops(tmp_path: Path) -> None:
    pages = np.random.default_rng(0).integers(0, 256, (9, 40, 50), np.uint8)
    path = save(tmp_path / "a.npy", pages)
    assert "9 of 9 images are smaller than the crops of 64 pixels" in notes_of(load(path, crop=64))
    assert not load(path, crop=32).notes


def test_images_with_nan_are_skipped(tmp_path: Path) -> None:
    pages = np.random.default_rng(0).uniform(0, 1, (8, 64, 64)).astype(np.float32)
    pages[2, 3, 4] = np.nan
    splits = load(save(tmp_path / "a.npy", pages), "noisy-only")
    assert "a.npy, page 3" in notes_of(splits)
    assert "NaN or infinite" in notes_of(splits)
    assert all(bool(image.isfinite().all()) for image in splits.train.full_images)


# --- volumes --------------------------------------------------------------------------------------


def emptied(path: Path) -> None:
    (path / "zarr.json").write_text("{}")


def nonsense(path: Path) -> None:
    (path / "zarr.json").write_text('{"zarr_format": 3, "node_type": "array", "shape": ["a"]}')


def without(path: Path) -> None:
    (path / "zarr.json").unlink()


@pytest.mark.parametrize("damage", [emptied, nonsense, without])
def test_damaged_volumes_are_input_errors(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    path = save(tmp_path / "a.zarr", photo(0, 4, 64, 64))
    damage(path)
    with pytest.raises(InputError, match=r"cannot read .*a\.zarr|contains no arrays"):
        load(path, "noisy-only")


def test_damaged_chunk_skips_its_plane(tmp_path: Path) -> None:
    path = tmp_path / "a.zarr"
    pages = np.random.default_rng(0).integers(0, 256, (8, 64, 64), np.uint8)
    zarr.create_array(path, shape=pages.shape, chunks=(1, 64, 64), dtype=pages.dtype)[:] = pages
    chunk = path / "c" / "2" / "0" / "0"
    chunk.write_bytes(chunk.read_bytes()[:40])
    splits = load(path, "noisy-only")
    assert "a.zarr, page 3" in notes_of(splits)


def test_volume_with_huge_chunks_is_rejected(tmp_path: Path) -> None:
    zarr.create_array(
        tmp_path / "a.zarr", shape=(2, 2**20, 2**20), chunks=(1, 2**20, 2**20), dtype="uint8"
    )
    with pytest.raises(InputError, match="too large to read"):
        load(tmp_path / "a.zarr", "noisy-only")


def test_array_of_other_types_is_an_error(tmp_path: Path) -> None:
    for values in (np.zeros(5), np.zeros((0, 4, 4)), np.array([["a"]]), np.zeros((4, 4), bool)):
        with pytest.raises(InputError, match="expected numbers"):
            load(save(tmp_path / "a.npy", values), "noisy-only")


def test_zarr_is_optional(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path / "a.zarr", photo(0, 4, 64, 64))
    monkeypatch.setitem(sys.modules, "zarr", None)
    with pytest.raises(UsageError, match=r"pip install 'autodenoise\[volumes\]'"):
        volumes.open_volumes(path)


# --- larger than memory ---------------------------------------------------------------------------


def test_large_image_is_cut_into_patches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = places(250, 260)
    tifffile.imwrite(tmp_path / "a.tif", code, tile=(32, 32), photometric="minisblack")
    monkeypatch.setattr("autodenoise.data.dataset.MAX_PATCH_BYTES", 10_000)
    for memory in (1e9, 1e4):
        splits = datasets.load(own(tmp_path / "a.tif", "noisy-only"), memory=memory)
        parts = [image.numpy() for image in splits.train.full_images]
        assert all(part.nbytes <= 11_000 for part in parts)
        # Together they contain each pixel that was not held out once.
        training = np.concatenate([part.ravel() for part in parts])
        assert sorted(training.tolist()) == sorted(code[:, :228].ravel().tolist())


def test_dataset_larger_than_memory_stays_on_disk(tmp_path: Path) -> None:
    pages = np.random.default_rng(0).integers(0, 65536, (20, 64, 64), np.uint16)
    data = own(save(tmp_path / "a.tif", pages), "noisy-only")
    here, there = datasets.load(data), datasets.load(data, memory=100_000)
    assert isinstance(there.train.full_images, Patches)
    assert "read from their files during training" in notes_of(there)
    assert here.normalization == there.normalization
    assert len(here.train.full_images) == len(there.train.full_images) == 18
    for one, other in zip(here.train.full_images, there.train.full_images, strict=True):
        assert torch.equal(one, other)
    assert torch.equal(here.validation.images, there.validation.images)
    with pytest.raises(UsageError, match="fit into memory"):
        datasets.load(dataclasses.replace(data, supervision="clean", shots=2), memory=100_000)
