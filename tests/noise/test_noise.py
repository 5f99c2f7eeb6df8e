from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
import scipy.ndimage
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from skimage.data import astronaut

from autodenoise.errors import UsageError
from autodenoise.noise import (
    NOISES,
    Blur,
    Camera,
    Compose,
    CorrelatedGaussian,
    Gaussian,
    Grain,
    Jpeg,
    Measured,
    Mixture,
    MixturePart,
    Noise,
    Poisson,
    PoissonGaussian,
    SaltPepper,
    Scan,
    Speckle,
    Uniform,
)

WHITE, APART = ((1.0,),), ((0.3,),)
RIPPLE = ((0.0, 0.1, 0.0), (0.4, 1.0, 0.4), (0.0, 0.1, 0.0))
EXAMPLES: list[Noise] = [
    Gaussian(0.4, clip=True),
    Gaussian((0.0, 0.3)),
    Uniform(0.9, clip=True),
    Uniform((0.01, 1.5), symmetric=True),
    Blur((0.0, 2.0)),
    Poisson(30.0),
    PoissonGaussian((20.0, 50.0), 0.02),
    SaltPepper((0.0, 0.2)),
    Speckle(0.2),
    Jpeg((5.0, 95.0)),
    Jpeg(50.0, aligned=False),
    Camera(),
    CorrelatedGaussian((0.0, 0.2), channel_correlation=(0.0, 1.0)),
    Grain((0.01, 0.1)),
    Scan((0.01, 0.1), (0.0, 3.0), (0.0, 0.1)),
    Measured((0.1, 0.5, 0.9), ((0.01, 0.03, 0.02),), (RIPPLE,), (0.5, 2.0), clip=True),
    Measured((0.0,), ((0.02,),) * 3, (WHITE, APART, APART, WHITE, APART, WHITE)),
    Mixture(
        (
            MixturePart(1.0),
            MixturePart(2.0, (Camera(), Jpeg(50.0))),
            MixturePart(1.0, (Gaussian(0.1),)),
        )
    ),
    Compose((Blur((0.0, 2.0)), Uniform((0.01, 1.5), symmetric=True))),
]


def draw(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def gray(value: float, shape: tuple[int, ...] = (8, 1, 200, 200)) -> torch.Tensor:
    return torch.full(shape, value)


def test_every_kind_has_an_example() -> None:
    seen = {getattr(noise, "kind", "compose") for noise in EXAMPLES}
    assert seen == {*NOISES, "compose"}


@pytest.mark.parametrize("noise", EXAMPLES, ids=str)
def test_same_generator_same_noise_and_input_is_unchanged(noise: Noise) -> None:
    clean = torch.rand(5, 3, 19, 23, generator=draw(9))
    kept = clean.clone()
    before = torch.get_rng_state()
    once, again, other = noise(clean, draw(1)), noise(clean, draw(1)), noise(clean, draw(2))
    assert torch.equal(once, again)
    assert not torch.equal(once, other)
    assert torch.equal(clean, kept)
    assert torch.equal(torch.get_rng_state(), before)
    assert once.shape == clean.shape
    assert once.dtype == clean.dtype
    assert torch.isfinite(once).all()


@pytest.mark.parametrize("noise", EXAMPLES, ids=str)
@settings(max_examples=8)
@given(
    batch=st.integers(1, 5),
    channels=st.sampled_from([1, 3]),
    height=st.integers(1, 40),
    width=st.integers(1, 40),
)
def test_any_size(noise: Noise, batch: int, channels: int, height: int, width: int) -> None:
    clean = torch.rand(batch, channels, height, width, generator=draw(5)).round(decimals=1)
    noisy = noise(clean.double(), draw(1))
    assert noisy.shape == clean.shape
    assert noisy.dtype == torch.float64
    assert torch.isfinite(noisy).all()


# A photon count takes as many draws as the light needs.
@pytest.mark.parametrize(
    "noise",
    [noise for noise in EXAMPLES if not isinstance(noise, Poisson | PoissonGaussian)],
    ids=str,
)
def test_noise_of_an_image_does_not_depend_on_other_images(noise: Noise) -> None:
    clean = torch.rand(5, 3, 20, 20, generator=draw(9))
    other = clean.clone()
    other[2] = 0.25
    one, two = noise(clean, draw(1)), noise(other, draw(1))
    rest = [0, 1, 3, 4]
    torch.testing.assert_close(one[rest], two[rest])


@pytest.mark.parametrize("noise", EXAMPLES, ids=str)
def test_memory_layout_does_not_change_the_noise_of_one_channel(noise: Noise) -> None:
    clean = torch.rand(4, 1, 16, 16, generator=draw(3))
    plain = noise(clean, draw(1))
    last = noise(clean.contiguous(memory_format=torch.channels_last), draw(1))
    torch.testing.assert_close(plain, last)


# The tolerances are five standard errors of each estimate over 320,000 values.
@pytest.mark.parametrize(
    ("noise", "level", "mean", "variance"),
    [
        (Gaussian(0.4), 0.5, 0.5, 0.16),
        (Uniform(0.9), 0.2, 0.65, 0.81 / 12),
        (Uniform(0.9, symmetric=True), 0.2, 0.2, 4 * 0.81 / 12),
        (Poisson(30.0), 0.5, 0.5, 0.5 / 30),
        (PoissonGaussian(30.0, 0.1), 0.5, 0.5, 0.5 / 30 + 0.01),
        (Speckle(0.3), 0.5, 0.5, 0.09 * 0.25),
        (SaltPepper(0.2), 0.3, 0.8 * 0.3 + 0.1, 0.8 * 0.09 + 0.1 - 0.34**2),
    ],
    ids=str,
)
def test_mean_and_variance(noise: Noise, level: float, mean: float, variance: float) -> None:
    noisy = noise(gray(level), draw()).double()
    count = noisy.numel()
    centered = noisy - noisy.mean()
    fourth = float((centered**4).mean())
    assert float(noisy.mean()) == pytest.approx(mean, abs=5 * (variance / count) ** 0.5)
    error = 5 * ((fourth - variance**2) / count) ** 0.5
    assert float(noisy.var()) == pytest.approx(variance, abs=error)


def test_uniform_stays_in_its_range_and_fills_it() -> None:
    one_sided = Uniform(0.9)(gray(0.0), draw())
    assert 0 <= float(one_sided.min()) < 0.001
    assert 0.899 < float(one_sided.max()) <= 0.9
    symmetric = Uniform(0.9, symmetric=True)(gray(0.0), draw())
    assert -0.9 <= float(symmetric.min()) < -0.899
    assert 0.899 < float(symmetric.max()) <= 0.9


def test_gaussian_noise_is_white() -> None:
    noise = Gaussian(1.0)(gray(0.0), draw())
    for shift, axis in ((1, 2), (1, 3), (5, 3)):
        product = (noise * noise.roll(shift, axis)).double().mean()
        assert abs(float(product)) < 5 / noise.numel() ** 0.5


@pytest.mark.parametrize("make", [lambda c: Gaussian(0.5, clip=c), lambda c: Uniform(0.9, clip=c)])
def test_clips_only_if_clip_is_set(make: Callable[[bool], Noise]) -> None:
    free, clipped = make(False)(gray(0.6), draw()), make(True)(gray(0.6), draw())
    assert float(free.max()) > 1
    assert torch.equal(clipped, free.clamp(0, 1))


def test_range_is_drawn_for_each_image() -> None:
    noisy = Gaussian((0.1, 0.5))(gray(0.0, (400, 1, 40, 40)), draw())
    strengths = noisy.flatten(1).std(1).double()
    assert 0.09 < float(strengths.min()) < 0.12
    assert 0.48 < float(strengths.max()) < 0.53
    assert float(strengths.mean()) == pytest.approx(0.3, abs=5 * 0.4 / (12 * 400) ** 0.5)


def test_salt_and_pepper_replaces_the_given_fraction() -> None:
    noisy = SaltPepper(0.1, salt=0.75)(gray(0.5), draw())
    count = noisy.numel()
    assert float((noisy == 1).sum()) / count == pytest.approx(0.075, abs=0.003)
    assert float((noisy == 0).sum()) / count == pytest.approx(0.025, abs=0.003)
    assert float((noisy == 0.5).sum()) / count == pytest.approx(0.9, abs=0.003)


@settings(max_examples=40)
@given(
    sigma=st.floats(0.0, 6.0),
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    channels=st.integers(1, 3),
)
def test_blur_equals_scipy(sigma: float, height: int, width: int, channels: int) -> None:
    clean = torch.rand(2, channels, height, width, generator=draw(4))
    ours = Blur(sigma)(clean, draw())
    expected = scipy.ndimage.gaussian_filter(clean.double().numpy(), (0, 0, sigma, sigma))
    np.testing.assert_allclose(ours.numpy(), expected, atol=1e-5)


def test_blur_of_a_range_equals_scipy_image_by_image() -> None:
    clean = torch.rand(6, 1, 28, 28, generator=draw(4))
    ours = Blur((0.0, 2.0))(clean, draw(7))
    sigmas = 2 * torch.empty(6, 1, 1, 1).uniform_(generator=draw(7)).flatten()
    for image, sigma, blurred in zip(clean, sigmas, ours, strict=True):
        expected = scipy.ndimage.gaussian_filter(image[0].double().numpy(), float(sigma))
        np.testing.assert_allclose(blurred[0].numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("quality", [10, 49, 50, 75, 95])
@pytest.mark.parametrize("mode", ["gray", "color", "subsampled"])
def test_jpeg_is_close_to_libjpeg(quality: int, mode: str) -> None:
    image = astronaut()[100:228, 150:278]
    if mode == "gray":
        image = image[..., 1]
    buffer = io.BytesIO()
    sampling = 2 if mode == "subsampled" else 0
    Image.fromarray(image).save(buffer, "JPEG", quality=quality, subsampling=sampling)
    theirs = np.atleast_3d(np.asarray(Image.open(buffer)).astype(np.float64))
    image = np.atleast_3d(image)
    clean = torch.from_numpy(image.transpose(2, 0, 1)[None] / np.float32(255))
    ours = Jpeg(float(quality), subsample=mode == "subsampled")(clean, draw())
    levels = ours[0].permute(1, 2, 0).numpy() * 255
    # libjpeg computes in integers and rounds at every station, which moves some coefficients over
    # the border of a quantization step. That is unbiased and below one level of 255 on average.
    assert np.abs(levels - theirs).mean() < 0.75
    assert np.abs((levels - theirs).mean((0, 1))).max() < 0.15
    assert np.abs(levels - theirs).mean() < 0.4 * np.abs(image - theirs).mean()


@pytest.mark.parametrize(
    "make",
    [
        lambda: Gaussian(-0.1),
        lambda: Gaussian((0.5, 0.1)),
        lambda: Gaussian(float("nan")),
        lambda: Uniform(float("inf")),
        lambda: Poisson(0.0),
        lambda: SaltPepper(1.1),
        lambda: SaltPepper(0.1, salt=2.0),
        lambda: Jpeg(0.0),
        lambda: Blur(-1.0),
        lambda: Camera(log_shot=1.0),
        lambda: Camera(chroma=1.5),
        lambda: CorrelatedGaussian(0.1, channel_correlation=-0.1),
        lambda: Grain(0.1, size=0.0),
        lambda: Scan(dust=0.6),
    ],
)
def test_strengths_out_of_range_raise(make: Callable[[], Noise]) -> None:
    with pytest.raises(UsageError, match="expected a number"):
        make()


def test_unaligned_jpeg_shifts_the_blocks() -> None:
    clean = torch.rand(1, 3, 64, 64, generator=draw(3))
    places = set()
    for seed in range(6):
        stored = Jpeg(5.0, aligned=False)(clean, draw(seed))
        # Coarse quantization leaves steps between blocks; the columns where they are say where.
        steps = (stored[..., 1:] - stored[..., :-1]).abs().mean((0, 1, 2))
        places.add(max(range(8), key=lambda phase: float(steps[phase::8].mean())))
    assert len(places) > 2


@pytest.mark.parametrize("channels", [2, 4])
@pytest.mark.parametrize("noise", [Jpeg(50.0), Camera()], ids=str)
def test_other_channel_counts_raise(noise: Noise, channels: int) -> None:
    with pytest.raises(UsageError, match="1 or 3 channels"):
        noise(torch.zeros(1, channels, 8, 8), draw())
