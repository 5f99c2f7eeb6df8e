from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from autodenoise import images
from autodenoise.data.crops import ImageCrops, as_float, center_crops
from autodenoise.data.dataset import DataSpec, load
from autodenoise.errors import InputError, UsageError


def ramp(channels: int, height: int, width: int, first: float = 0) -> torch.Tensor:
    """Make an image in which all values differ."""
    values = torch.arange(first, first + channels * height * width)
    return values.reshape(channels, height, width) / 1e6


def draw(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def views(square: np.ndarray) -> list[np.ndarray]:
    """Return a (C, side, side) array in its eight orientations."""
    turned = [np.rot90(square, quarter, (1, 2)) for quarter in range(4)]
    return [*turned, *(view[:, :, ::-1] for view in turned)]


@settings(max_examples=60)
@given(
    sizes=st.lists(st.tuples(st.integers(1, 12), st.integers(1, 12)), min_size=1, max_size=4),
    side=st.integers(1, 14),
    channels=st.integers(1, 4),
    seed=st.integers(0, 1000),
)
def test_crop_is_a_window_of_its_image_in_one_of_eight_orientations(
    sizes: list[tuple[int, int]], side: int, channels: int, seed: int
) -> None:
    whole = [ramp(channels, *size, first=100_000 * n) for n, size in enumerate(sizes)]
    rows = torch.arange(len(whole)).repeat(3)
    crops = ImageCrops([one[None] for one in whole], side).crops(rows, draw(seed))[0]
    assert crops.shape == (len(rows), channels, side, side)
    for row, crop in zip(rows.tolist(), crops.numpy(), strict=True):
        # NumPy's symmetric padding defines the image beyond its edge.
        around = [(0, 0), (0, side), (0, side)]
        padded = np.pad(whole[row].numpy(), around, mode="symmetric")
        found = any(
            view[0, 0, 0] == padded[0, top, left]
            and np.array_equal(view, padded[:, top : top + side, left : left + side])
            for view in views(crop)
            for top in range(max(1, sizes[row][0] - side + 1))
            for left in range(max(1, sizes[row][1] - side + 1))
        )
        assert found


def test_all_positions_and_orientations_are_drawn() -> None:
    rows = torch.zeros(4000, dtype=torch.int64)
    crops = ImageCrops([ramp(1, 3, 4)[None]], 2).crops(rows, draw(0))[0]
    counts = np.unique(crops.numpy().reshape(4000, -1), axis=0, return_counts=True)[1]
    # Two rows and three columns of places, eight orientations each; 83 times each on average.
    assert len(counts) == 6 * 8
    assert counts.min() > 40
    assert counts.max() < 140


def test_crops_follow_from_the_generator_for_any_side() -> None:
    image_crops = ImageCrops(
        [ramp(3, 20, 30)[None], ramp(3, 25, 9, 5000)[None]], 8, shuffle_channels=True
    )
    rows = torch.tensor([0, 1, 1])
    assert torch.equal(image_crops.crops(rows, draw(1)), image_crops.crops(rows, draw(1)))
    assert not torch.equal(image_crops.crops(rows, draw(1)), image_crops.crops(rows, draw(2)))
    assert image_crops.crops(rows, draw(1), 12).shape == (1, 3, 3, 12, 12)


@pytest.mark.parametrize("count", [3, 7, 10, 14])
def test_epoch_of_any_length_uses_all_images_evenly(count: int) -> None:
    image_crops = ImageCrops(list(torch.zeros(7, 1, 1, 16, 16)), 8)
    assert len(image_crops) == 7
    total = torch.zeros(7, dtype=torch.int64)
    for epoch in range(200):
        order = image_crops.order(count, torch.Generator().manual_seed(epoch))
        taken = torch.bincount(order, minlength=7)
        assert taken.sum() == count
        assert taken.max() - taken.min() <= (count % 7 != 0)
        total += taken
    # The position of an image does not matter.
    assert (total - 200 * count / 7).abs().max() < 5 * (200 * count / 7) ** 0.5


def test_shuffled_channels_are_permuted_as_a_whole() -> None:
    flat = torch.tensor([0.1, 0.2, 0.3])[:, None, None].expand(3, 9, 9)
    rows = torch.zeros(300, dtype=torch.int64)
    crops = ImageCrops([flat[None]], 4, shuffle_channels=True).crops(rows, draw(0))[0]
    assert torch.equal(crops, crops[:, :, :1, :1].expand_as(crops))
    orders = crops[:, :, 0, 0].unique(dim=0)
    assert len(orders) == 6
    np.testing.assert_allclose(orders.sum(1), 0.6, rtol=1e-6)


def test_shrink_adds_crops_of_smaller_versions() -> None:
    # Stripes of one pixel disappear when the image is shrunk to half its sides.
    stripes = torch.zeros(1, 64, 64, dtype=torch.uint8)
    stripes[:, ::2] = 255
    rows = torch.zeros(200, dtype=torch.int64)
    contrast = ImageCrops([stripes[None]], 16, shrink=0.5).crops(rows, draw(0))[0]
    spread = contrast.float().std((1, 2, 3))
    assert 20 < int((spread > 120).sum()) < 70  # a fifth of 200 are of the full-size image
    assert spread.min() < 20


def test_center_crops_fit_the_smallest_image() -> None:
    whole = [ramp(1, 10, 14), ramp(1, 9, 30, 1000)]
    centers = center_crops(whole, 256)
    assert centers.shape == (2, 1, 9, 9)
    assert torch.equal(centers[0], whole[0][:, :9, 2:11])
    assert center_crops(whole, 4).shape == (2, 1, 4, 4)


@pytest.mark.usefixtures("real_data")
def test_photos_of_both_orientations_load() -> None:
    splits = load(DataSpec("bsds400", crop=96))
    assert splits.shape == (3, 256, 256)
    assert len(splits.train.full_images) == 400
    assert len(splits.validation.images) == 32
    assert splits.test is splits.validation
    assert {tuple(image.shape) for image in splits.train.full_images} == {
        (1, 3, 321, 481),
        (1, 3, 481, 321),
    }


def test_gray_equals_pillows_luma(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (6, 12, 14, 3), np.uint8)
    np.save(tmp_path / "some.npy", pixels)
    gray = load(DataSpec(str(tmp_path / "some.npy"), validation="last", gray=True)).train.images
    expected = np.stack([np.asarray(Image.fromarray(image).convert("L")) for image in pixels])
    # Pillow computes in 16 bits of fixed point.
    np.testing.assert_allclose(gray[:, 0].numpy(), expected[: len(gray)], atol=1)


def test_images_of_different_sizes_need_crop(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    images.write(tmp_path / "a.png", random.integers(0, 256, (30, 40, 3), np.uint8))
    images.write(tmp_path / "b.png", random.integers(0, 256, (50, 20, 3), np.uint8))
    assert load(DataSpec(str(tmp_path), crop=16, validation="random", share=0.5)).shape == (
        3,
        16,
        16,
    )
    with pytest.raises(InputError, match="crop = 96"):
        load(DataSpec(str(tmp_path), validation="random", share=0.5))


def test_16_bit_images_stay_uint16() -> None:
    values = torch.arange(3 * 20 * 30).reshape(3, 20, 30).to(torch.uint16)
    rows = torch.zeros(50, dtype=torch.int64)
    image_crops = ImageCrops([values[None]], 8, shuffle_channels=True)
    cut = image_crops.crops(rows, draw(0))[0]
    wide = ImageCrops([values[None].float()], 8, shuffle_channels=True).crops(rows, draw(0))[0]
    assert cut.dtype == torch.uint16
    assert torch.equal(cut.float(), wide)
    torch.testing.assert_close(as_float(cut), wide / 65535)
    # Shrunk they are rounded, and stay within what 16 bits hold.
    high = torch.full((1, 1, 40, 40), 65535.0)
    high[..., ::2] = 65000
    shrunk = ImageCrops([high.to(torch.uint16)], 8, shrink=0.5).crops(rows, draw(0))
    assert 65000 <= int(shrunk.to(torch.int64).min()) <= int(shrunk.to(torch.int64).max()) <= 65535


def test_validation_side_is_the_same_for_all_parts_and_fits_networks(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for part, size in (("train", (61, 90)), ("validation", (130, 120))):
        (tmp_path / part).mkdir()
        for name in "ab":
            pixels = random.integers(0, 256, (*size, 3), np.uint8)
            images.write(tmp_path / part / f"{name}.png", pixels)
    splits = load(DataSpec(str(tmp_path), crop=16))
    assert splits.shape == splits.validation.images.shape[1:] == (3, 48, 48)
    assert not splits.has_test


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"crop": 0}, "crop is 0"),
        ({"crop": 8, "size": (8, 8)}, "set only one"),
        ({"shrink": 0.5}, "set crop too"),
        ({"crop": 8, "shrink": 0.0}, "shrink is 0"),
    ],
)
def test_contradicting_settings_are_errors(values: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        DataSpec("digits", **values)  # type: ignore[arg-type]
