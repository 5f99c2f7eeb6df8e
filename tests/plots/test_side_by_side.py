"""The composed picture: every panel is looked up where it should be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from autodenoise import images
from autodenoise.errors import InputError, OutputError, UsageError
from autodenoise.evaluation.comparison import Pair, measure
from autodenoise.plots.side_by_side import (
    Crop,
    SideBySide,
    compare_files,
    compose,
)
from tests.helpers.synthetic_images import Pixels, noisy_and_clean

MARGIN, GAP, LABEL = 20, 16, 24
BACKGROUND = 36


def panels(composed: SideBySide, top: int, width: int, height: int, column: int) -> list[Pixels]:
    """Cut three panels out of a row of columns whose labels begin at `top`."""
    starts = [MARGIN + number * (column + GAP) + (column - width) // 2 for number in range(3)]
    rows = slice(top + LABEL, top + LABEL + height)
    return [composed.pixels[rows, start : start + width] for start in starts]


def without_frame(panel: Pixels, crop: Crop) -> Pixels:
    """Paint over the frame of two pixels around the detail, and the detail."""
    panel = panel.copy()
    rows = slice(max(crop.y - 2, 0), crop.y + crop.height + 2)
    panel[rows, max(crop.x - 2, 0) : crop.x + crop.width + 2] = 0
    return panel


def shown_difference(before: Pixels, after: Pixels, gain: int) -> Pixels:
    difference = 127.5 + gain * (after.astype(float) - before)
    shown: Pixels = np.rint(difference.clip(0, 255)).astype(np.uint8)
    return shown


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("sigma", [3, 30])
def test_panels_equal_the_images_pixel_by_pixel(sigma: float, channels: int) -> None:
    before, after = noisy_and_clean((200, 300, channels), sigma)
    composed = compose(Pair(before, after), Crop(40, 50, 60, 60))
    assert composed.crop == (40, 50, 60, 60)
    assert composed.zoom == 5
    whole, detail = composed.gains
    assert composed.pixels.shape == (3 * MARGIN + 2 * LABEL + 200 + 300 - 4, 3 * 300 + 72, 3)

    expected = [before, after, shown_difference(before, after, whole)]
    for panel, wanted in zip(panels(composed, MARGIN, 300, 200, 300), expected, strict=True):
        off = np.abs(
            without_frame(panel, composed.crop).astype(int)
            - without_frame(np.broadcast_to(wanted, (200, 300, 3)), composed.crop)
        )
        # The difference's rounding may go either way: at a gain of 1 halves are common.
        assert off.max() <= 1
        assert (off > 0).mean() < 0.6
        frame = np.concatenate([panel[49, 39:101], panel[110, 39:101]])
        assert (frame == 255).all()
        assert (panel[48, 38:102] == 0).all()

    expected = [before, after, shown_difference(before, after, detail)]
    below = panels(composed, MARGIN + LABEL + 200 + GAP, 300, 300, 300)
    for panel, wanted in zip(below, expected, strict=True):
        enlarged = wanted[50:110, 40:100].repeat(5, axis=0).repeat(5, axis=1)
        assert np.abs(panel.astype(int) - enlarged).max() <= 1
    np.testing.assert_array_equal(
        below[0][::5, ::5], np.broadcast_to(before[50:110, 40:100], (60, 60, 3))
    )


def test_gain_is_the_largest_moderate_power_of_two() -> None:
    before, _ = noisy_and_clean((30, 30, 1), 0)
    for step, gain in ((0, 64), (3, 8), (5, 4), (9, 2), (20, 1), (70, 1)):
        composed = compose(Pair(before, before + np.uint8(step)))
        assert composed.gains == (gain,)
        (_, _, difference) = panels(composed, MARGIN, 270, 270, 270)
        expected = 127.5 + gain * step
        assert np.abs(difference - min(expected, 255)).max() <= 0.5


def test_difference_of_equal_images_is_mid_gray() -> None:
    before, _ = noisy_and_clean((160, 150, 3), 30)
    composed = compose(Pair(before, before))
    crop = composed.crop
    (_, _, whole) = panels(composed, MARGIN, 150, 160, 288)
    assert (np.delete(whole, slice(crop.y - 2, crop.y + crop.height + 2), axis=0) == 128).all()
    top = MARGIN + LABEL + 160 + GAP
    (_, _, detail) = panels(composed, top, 4 * crop.width, 4 * crop.height, 288)
    assert (detail == 128).all()


def test_detail_shows_the_change() -> None:
    before, _ = noisy_and_clean((400, 500, 1), 10)
    for x, y in ((20, 20), (260, 340), (488, 10), (480, 388)):
        after = before.copy()
        after[y : y + 12, x : x + 12] ^= 64
        crop = compose(Pair(before, after)).crop
        assert crop.x <= x
        assert crop.y <= y
        assert x + 12 <= crop.x + crop.width <= 500
        assert y + 12 <= crop.y + crop.height <= 400


def test_removed_stain_is_found() -> None:
    after = np.full((400, 500, 1), 120, np.uint8)
    after[:60, :60:2] = 200
    before = after.copy()
    before[300:310, 350:360] = 90
    crop = compose(Pair(before, after)).crop
    assert crop.x <= 350 < 360 <= crop.x + crop.width
    assert crop.y <= 300 < 310 <= crop.y + crop.height


def test_detail_prefers_structure_for_uniform_noise() -> None:
    after = np.full((300, 600, 1), 120, np.uint8)
    after[180:240, 400:480:8] = 200
    noise = np.random.default_rng(0).normal(0, 15, after.shape)
    before = (after + noise).clip(0, 255).astype(np.uint8)
    crop = compose(Pair(before, after)).crop
    across = min(crop.x + crop.width, 480) - max(crop.x, 400)
    down = min(crop.y + crop.height, 240) - max(crop.y, 180)
    assert across >= 70
    assert down >= 50


@pytest.mark.parametrize(
    ("width", "height"),
    [(1, 1), (28, 28), (1, 400), (400, 1), (90, 2000), (2300, 90), (700, 1100), (1999, 501)],
)
def test_images_of_any_shape_are_arranged_on_the_background(width: int, height: int) -> None:
    before, after = noisy_and_clean((height, width, 3), 20)
    composed = compose(Pair(before, after))
    pixels, crop = composed.pixels, composed.crop
    assert pixels.shape[1] <= 1800
    assert crop.x + crop.width <= width
    assert crop.y + crop.height <= height
    margins = [pixels[:MARGIN], pixels[-MARGIN:], pixels[:, :MARGIN], pixels[:, -MARGIN:]]
    assert all((margin == BACKGROUND).all() for margin in margins)
    # The detail is at the foot, real pixels enlarged.
    zoom, tall, wide = composed.zoom, crop.height, crop.width
    column = (pixels.shape[1] - 2 * MARGIN - 2 * GAP) // 3
    (shown, _, _) = panels(
        composed, len(pixels) - MARGIN - LABEL - zoom * tall, zoom * wide, zoom * tall, column
    )
    real = before[crop.y : crop.y + tall, crop.x : crop.x + wide]
    np.testing.assert_array_equal(shown, real.repeat(zoom, axis=0).repeat(zoom, axis=1))
    # Labels are the only light thing in the line above it.
    line = pixels[len(pixels) - MARGIN - LABEL - zoom * tall :][:LABEL]
    assert line.max() > 180
    assert line.min() == BACKGROUND


def test_large_image_is_downscaled() -> None:
    _, clean = noisy_and_clean((1000, 1500, 3), 0)
    clean[:, :750] //= 2
    composed = compose(Pair(clean, clean), Crop(0, 0, 144, 96))
    (shown, _, _) = panels(composed, MARGIN, 576, 384, 576)
    rows = (np.arange(384) + 0.5) * 1000 / 384
    columns = (np.arange(576) + 0.5) * 1500 / 576
    expected = clean[rows.astype(int)][:, columns.astype(int)].astype(int)
    away = np.s_[60:, [*range(70, 280), *range(296, 576)]]
    assert np.abs(shown[away] - expected[away]).max() <= 8
    assert shown[:, :280].mean() < 0.6 * shown[:, 296:].mean()


def test_different_depths_and_alpha_can_be_combined() -> None:
    before, after = noisy_and_clean((40, 50, 3), 20)
    expected = compose(Pair(before, after)).pixels
    deep = before * np.uint16(257)
    np.testing.assert_array_equal(compose(Pair(deep, after)).pixels, expected)
    opaque = np.full((40, 50, 1), 255, np.uint8)
    with_alpha = Pair(np.concatenate([before, opaque], axis=2), after)
    np.testing.assert_array_equal(compose(with_alpha).pixels, expected)


@pytest.mark.parametrize(
    "crop", [(-1, 0, 5, 5), (0, 0, 0, 0), (36, 0, 5, 5), (0, 26, 5, 5), (0, 0, 41, 30)]
)
def test_detail_outside_the_image_is_refused(crop: tuple[int, int, int, int]) -> None:
    picture = np.zeros((30, 40, 1), np.uint8)
    with pytest.raises(UsageError, match="inside the image of 40x30 pixels"):
        compose(Pair(picture, picture), Crop(*crop))
    assert compose(Pair(picture, picture), Crop(35, 25, 5, 5)).crop == (35, 25, 5, 5)
    large = np.zeros((600, 600, 1), np.uint8)
    with pytest.raises(UsageError, match="1 to 576 pixels"):
        compose(Pair(large, large), Crop(0, 0, 577, 577))
    assert compose(Pair(large, large), Crop(0, 0, 576, 576)).zoom == 1


def test_files(tmp_path: Path) -> None:
    before, after = noisy_and_clean((40, 50, 3), 20, np.uint16)
    one, other, target = (tmp_path / f"{name}.png" for name in ("one", "other", "seen"))
    images.write(one, before)
    images.write(other, after)
    change, composed = compare_files(one, other)
    assert composed is None
    assert change == measure(Pair(before, after))
    assert sorted(tmp_path.iterdir()) == [one, other]
    change, composed = compare_files(one, other, target)
    assert composed is not None
    np.testing.assert_array_equal(images.read(target), composed.pixels)

    kept = target.read_bytes()
    with pytest.raises(OutputError, match="exists already"):
        compare_files(one, one, target)
    assert target.read_bytes() == kept
    compare_files(one, one, target, overwrite=True)
    assert target.read_bytes() != kept
    with pytest.raises(UsageError, match="one of the compared"):
        compare_files(one, other, one, overwrite=True)
    np.testing.assert_array_equal(images.read(one), before)
    with pytest.raises(InputError, match="no such image"):
        compare_files(one, tmp_path / "missing.png")
