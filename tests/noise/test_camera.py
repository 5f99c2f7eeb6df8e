"""The camera's noise, against what is published of real photos."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.ndimage
import torch
from skimage.data import astronaut

from autodenoise.noise import Camera
from autodenoise.noise.demosaicing import MARGIN, Bayer, demosaic, mosaic

# The filters as the paper's figure 2 has them, times 16: green at red and blue; red at green with
# red beside it; red at green with red above; red at blue.
ALONG = [[0, 0, 1, 0, 0], [0, -2, 0, -2, 0], [-2, 8, 10, 8, -2], [0, -2, 0, -2, 0], [0, 0, 1, 0, 0]]
MALVAR = (
    [[0, 0, -2, 0, 0], [0, 0, 4, 0, 0], [-2, 4, 8, 4, -2], [0, 0, 4, 0, 0], [0, 0, -2, 0, 0]],
    ALONG,
    np.transpose(ALONG),
    [[0, 0, -3, 0, 0], [0, 4, 0, 4, 0], [-3, 0, 12, 0, -3], [0, 4, 0, 4, 0], [0, 0, -3, 0, 0]],
)


def draw(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def bayer(first_row: int, first_column: int, side: int) -> Bayer:
    rows = (torch.arange(side) + first_row) % 2 == 0
    columns = (torch.arange(side) + first_column) % 2 == 0
    return Bayer(rows.view(1, 1, -1, 1), columns.view(1, 1, 1, -1))


def flat(level: float, count: int = 200) -> torch.Tensor:
    return torch.full((count, 3, 48, 48), level)


def statistics(noise: torch.Tensor) -> dict[str, torch.Tensor]:
    """Measure each image's noise: deviation in levels of 255, correlations."""
    noise = (noise - noise.mean((2, 3), keepdim=True)).double()
    variance = noise.square().mean((1, 2, 3))
    one, two = ((noise[..., lag:] * noise[..., :-lag]).mean((1, 2, 3)) / variance for lag in (1, 2))
    unit = noise / noise.square().mean((2, 3), keepdim=True).sqrt()
    pairs = [(unit[:, i] * unit[:, j]).mean((1, 2)) for i, j in ((0, 1), (0, 2), (1, 2))]
    between = torch.stack(pairs).mean(0)
    return {"deviation": variance.sqrt() * 255, "lag 1": one, "lag 2": two, "channels": between}


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("deviation", 4.0, 6.0),
        ("lag 1", 0.6, 0.75),
        ("lag 2", 0.2, 0.45),
        ("channels", 0.4, 0.65),
    ],
)
def test_statistics_of_real_photos_are_within_those_drawn(
    name: str, low: float, high: float
) -> None:
    measured = statistics(Camera()(flat(0.45), draw(1)) - 0.45)[name]
    below, above = measured < low, measured > high
    for part in (below, above, ~(below | above)):
        assert float(part.double().mean()) > 0.1


def test_noise_is_highest_in_the_mid_tones() -> None:
    black, dark, mid, white = (
        float((Camera(log_shot=-2.8)(flat(level), draw(2)) - level).square().mean())
        for level in (0.0, 0.1, 0.45, 1.0)
    )
    assert mid > dark
    assert mid > 2 * black
    assert mid > 2 * white


def test_noise_grows_with_light_as_shot_and_read_noise_do() -> None:
    # No tone curve, no smoothing: the variance of green where it was measured, in linear light.
    camera = Camera(log_shot=-3.0, smoothing=0.0, tone=0.0, chroma=1.0)
    for level in (0.3, 0.7):
        noisy = camera(flat(level, 400), draw(3))[:, 1].double()
        light, base = (_linear(values) for values in (noisy, torch.tensor([level]).double()))
        # Estimated green has less than measured green, which is half of the pixels.
        shot, read = 1e-3 * float(base), 10 ** (2.18 * -3 + 1.2 + 0.26**2 * np.log(10) / 2)
        assert 0.6 * (shot + read) < float(light.var()) < 1.02 * (shot + read)


def _linear(image: torch.Tensor) -> torch.Tensor:
    """Invert sRGB's transfer function (IEC 61966-2-1)."""
    return torch.where(image <= 0.04045, image / 12.92, ((image + 0.055) / 1.055) ** 2.4)


@pytest.mark.parametrize("channels", [1, 3])
def test_without_noise_a_photo_passes_unchanged(channels: int) -> None:
    image = torch.from_numpy(astronaut()[:99, 150:277, :channels].transpose(2, 0, 1)[None] / 255)
    clean = torch.cat([image.float()] * 8)
    passed = Camera(log_shot=-10.0)(clean, draw(4))
    assert float((passed - clean).abs().max()) < 2e-4


def test_output_spans_zero_to_one() -> None:
    noisy = Camera(log_shot=-1.0)(torch.rand(4, 3, 40, 40, generator=draw(5)), draw(6))
    assert float(noisy.min()) == pytest.approx(0, abs=1e-6)
    assert float(noisy.max()) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("first_row", [0, 1])
@pytest.mark.parametrize("first_column", [0, 1])
def test_demosaicking_equals_scipy(first_row: int, first_column: int) -> None:
    side = 24
    measured = torch.rand(1, 1, side, side, generator=draw(7), dtype=torch.float64)
    pattern = bayer(first_row, first_column, side)
    plane = measured[0, 0].numpy()
    red = (pattern.red_rows & pattern.red_columns)[0, 0].numpy()
    blue = (~pattern.red_rows & ~pattern.red_columns)[0, 0].numpy()
    green = ~(red | blue)
    cut = (slice(MARGIN, -MARGIN), slice(MARGIN, -MARGIN))

    # The bilinear one as a convolution of each color's own samples with zeros between them.
    tent = np.outer([1, 2, 1], [1, 2, 1]) / 4
    cross = np.array([[0, 1, 0], [1, 4, 1], [0, 1, 0]]) / 4
    simple = demosaic(measured, pattern, torch.zeros(1, 1, 1, 1))[0].numpy()
    for channel, mask, kernel in ((0, red, tent), (1, green, cross), (2, blue, tent)):
        expected = scipy.ndimage.convolve(plane * mask, kernel)[cut]
        np.testing.assert_allclose(simple[channel], expected, atol=1e-12)

    better = demosaic(measured, pattern, torch.ones(1, 1, 1, 1))[0].numpy()
    at_cross, along, across, diagonal = (
        scipy.ndimage.correlate(plane, np.divide(kernel, 16)) for kernel in MALVAR
    )
    rows = np.broadcast_to(pattern.red_rows[0, 0].numpy(), plane.shape)
    beside_red, beside_blue = (np.where(rows == has, along, across) for has in (True, False))
    expected_red = np.select([red, blue], [plane, diagonal], beside_red)
    expected_blue = np.select([red, blue], [diagonal, plane], beside_blue)
    expected_green = np.where(green, plane, at_cross)
    for channel, wanted in enumerate((expected_red, expected_green, expected_blue)):
        np.testing.assert_allclose(better[channel], wanted[cut], atol=1e-12)


def test_demosaic_preserves_measured_values() -> None:
    images = torch.rand(1, 3, 8, 8, generator=draw(8))
    pattern = bayer(0, 1, 8)
    plane = mosaic(images, pattern)
    kept = slice(MARGIN, -MARGIN)
    back = demosaic(plane, pattern, torch.full((1, 1, 1, 1), 0.5))
    same = (back == images[..., kept, kept]).sum(1)
    assert torch.equal(same, torch.ones_like(same))


def test_bayer_phase_is_random() -> None:
    pattern = Bayer.draw(200, 2, 2, draw(9))
    begins = pattern.red_rows[:, 0, 0, 0] * 2 + pattern.red_columns[:, 0, 0, 0]
    assert torch.bincount(begins).min() > 25
