from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import fourier_shift
from scipy.signal import correlate

from autodenoise import images
from autodenoise.errors import InputError
from autodenoise.images import IntensityRange
from autodenoise.noise_estimation.profile import Profile, measure
from autodenoise.noise_estimation.statistics import REACH, Statistics, correlation, pairs
from tests.helpers.cameras import VIEW, SyntheticCamera, flat, save

GREY = VIEW[..., 1:2]
RAW = SyntheticCamera(gain=3.0, read=30.0, black=1000.0, white=60000.0)


def check(profile: Profile, camera: SyntheticCamera, share: float = 0.05) -> None:
    """Compare with what the camera is, in samples; rounding adds a twelfth to the variance."""
    assert profile.variance_model == "line"
    unit = profile.intensity_range.high - profile.intensity_range.low
    black = (camera.black - profile.intensity_range.low) / unit
    for channel in (*profile.channels, profile.together):
        assert channel.line is not None
        assert channel.line.gain * unit == pytest.approx(camera.gain, rel=share)
        read = np.sqrt(max(channel.line.variance(black), 0)) * unit
        assert read == pytest.approx(np.sqrt(camera.read**2 + 1 / 12), rel=share)


@pytest.mark.parametrize(
    ("camera", "count"),
    [
        (SyntheticCamera(gain=2.0, read=90.0), 2),
        (SyntheticCamera(gain=12.0, read=150.0, black=2000.0, white=50000.0), 4),
        (SyntheticCamera(gain=0.5, read=40.0, black=500.0, white=9000.0), 3),
        (
            SyntheticCamera(0.15, 2.0, black=12.0, white=240.0, full=255.0, dtype=np.uint8),
            6,
        ),
    ],
    ids=["two shots", "black level", "dim", "8 bits"],
)
def test_gain_and_read_noise_are_measured(
    tmp_path: Path, camera: SyntheticCamera, count: int
) -> None:
    save(tmp_path, camera.shoot(GREY, count))
    profile = measure(tmp_path, black=camera.black)
    check(profile, camera)
    assert profile.channels[0].read is not None
    assert profile.correlation_maps.shape == (1, 1, 1)
    assert (profile.series, profile.shots) == (1, count)
    assert profile.warnings == ()


def test_color_channels_are_measured_separately(tmp_path: Path) -> None:
    cameras = [SyntheticCamera(gain, 60.0, 800.0) for gain in (1.0, 2.0, 6.0)]
    shots = [camera.shoot(VIEW[..., n : n + 1], 4, n) for n, camera in enumerate(cameras)]
    save(tmp_path, np.concatenate(shots, axis=3))
    profile = measure(tmp_path)
    assert [channel.name for channel in profile.channels] == ["red", "green", "blue"]
    for channel, camera in zip(profile.channels, cameras, strict=True):
        assert channel.line is not None
        assert channel.line.gain * 65535 == pytest.approx(camera.gain, rel=0.05)
        # The black level is not in the data: the line alone is.
        assert (channel.black, channel.read) == (None, None)
    assert not profile.correlation_maps[[1, 2, 4]].any()


def test_full_sensors_do_not_bend_the_line(tmp_path: Path) -> None:
    # Of 12 bits in 16; much of the picture is full.
    camera = SyntheticCamera(gain=0.9, read=12.0, black=50.0, white=6000.0, full=4095.0)
    save(tmp_path, camera.shoot(GREY, 6))
    profile = measure(tmp_path)
    check(profile, camera)
    assert "the largest sample is 4095" in profile.warnings[0]
    assert "--range 0 4095" in profile.warnings[0]
    ranged = measure(tmp_path, intensity_range=IntensityRange(0, 4095))
    check(ranged, camera)
    assert ranged.warnings == ()


def test_dark_frames_determine_black_and_read_noise(tmp_path: Path) -> None:
    save(tmp_path / "view", RAW.shoot(GREY, 4))
    save(tmp_path / "dark", RAW.shoot(0 * GREY, 4, seed=1))
    profile = measure(tmp_path)
    check(profile, RAW)
    (channel,) = profile.channels
    assert channel.black is not None
    assert channel.read is not None
    assert channel.black * 65535 == pytest.approx(1000, abs=1)
    assert channel.read * 65535 == pytest.approx(30, rel=0.02)
    # The curve that is trained with begins there.
    assert profile.means[0] == pytest.approx(1000 / 65535, rel=0.01)
    assert profile.sigmas[0][0] * 65535 == pytest.approx(30, rel=0.05)


def test_correlation_of_pixels_and_channels(tmp_path: Path) -> None:
    kernel = ((0.2, 0.5, 0.1), (0.3, 1.0, 0.4), (0.1, 0.2, 0.0))
    camera = SyntheticCamera(20.0, 200.0, 3000.0, 60000.0, kernel=kernel, shared=0.4)
    save(tmp_path, camera.shoot(VIEW, 5))
    profile = measure(tmp_path)
    check(profile, camera)
    expected = correlate(np.array(kernel), np.array(kernel)) / np.square(kernel).sum()
    maps = profile.correlation_maps
    assert maps.shape == (6, 5, 5)
    for number, (one, other) in enumerate(pairs(3)):
        shared = 1.0 if one == other else 0.4
        np.testing.assert_allclose(maps[number], shared * expected, atol=0.02)
    assert "up to 2 pixels away; channels correlate by 0." in profile.correlation_in_words()


@settings(max_examples=10)
@given(seed=st.integers(0, 2**32 - 1), shots=st.integers(2, 4), channels=st.integers(1, 2))
def test_correlation_of_any_filter_is_measured(seed: int, shots: int, channels: int) -> None:
    random = np.random.default_rng(seed)
    kernels = random.normal(size=(channels, channels, 3, 3))
    white = random.normal(size=(shots, channels, 130, 302))
    noise = np.zeros((shots, 128, 300, channels), np.float32)
    for channel, kernel in enumerate(kernels):
        for shot, sources in enumerate(white):
            # What a kernel makes of a source is its correlation with it, mirrored.
            noise[shot, ..., channel] = sum(
                correlate(source, weights, mode="valid")
                for source, weights in zip(sources, kernel, strict=True)
            )
    statistics = Statistics(np.full(channels, -np.inf), np.full(channels, np.inf))
    statistics.add(0.5 + 0.01 * noise)
    found = correlation([statistics])
    norms = np.sqrt(np.square(kernels).sum((1, 2, 3)))
    for number, (one, other) in enumerate(pairs(channels)):
        lags = sum(correlate(a, b) for a, b in zip(kernels[one], kernels[other], strict=True)) / (
            norms[one] * norms[other]
        )
        expected = np.pad(lags, REACH - 2)
        assert np.abs(found.maps[number] - expected).max() < 8 * found.error


def test_single_flat_fields(tmp_path: Path) -> None:
    for level in (0.03, 0.1, 0.25, 0.5, 0.8):
        save(tmp_path / str(level), RAW.shoot(flat(level), 1, int(1000 * level)))
    profile = measure(tmp_path, flat=True, black=1000)
    check(profile, RAW, share=0.1)
    assert profile.channels[0].line is not None
    assert profile.channels[0].line.gain * 65535 == pytest.approx(3.0, rel=0.02)
    assert (profile.series, profile.shots) == (5, 5)
    with pytest.raises(InputError, match="at least 2 shots of the same view"):
        measure(tmp_path)


def test_fixed_pattern_is_separated_from_noise(tmp_path: Path) -> None:
    random = np.random.default_rng(5)
    level = flat(0.4)
    pattern = 1 + 0.01 * random.normal(size=level.shape)
    save(tmp_path / "a", RAW.shoot(level * pattern, 8))
    save(tmp_path / "b", RAW.shoot(flat(0.1) * pattern, 8, 1))
    (channel,) = measure(tmp_path).channels
    assert channel.fixed_pattern is not None
    expected = 0.01 * 59000 * np.sqrt(np.mean([(level**2).mean(), (flat(0.1) ** 2).mean()]))
    assert channel.fixed_pattern * 65535 == pytest.approx(expected, rel=0.05)
    save(tmp_path / "clean" / "a", RAW.shoot(level, 8))
    assert measure(tmp_path / "clean").channels[0].fixed_pattern is None
    # A picture is no pattern.
    save(tmp_path / "view" / "a", RAW.shoot(GREY, 8))
    assert measure(tmp_path / "view").channels[0].fixed_pattern is None


def test_gamma_results_in_a_table(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    light = GREY**2.2
    sigma = np.sqrt(0.002 * light + 1e-5)
    encoded = (light + sigma * random.normal(size=(8, *light.shape))).clip(0, 1) ** (1 / 2.2)
    save(tmp_path, np.rint(255 * encoded).astype(np.uint8))
    profile = measure(tmp_path)
    assert profile.variance_model == "table"
    assert "as after gamma" in profile.reason
    for mean in (0.3, 0.5, 0.7, 0.85):
        variance = np.interp(mean, profile.means, np.square(profile.sigmas[0]))
        slope = mean / (2.2 * mean**2.2)
        expected = slope**2 * (0.002 * mean**2.2 + 1e-5) + 1 / 12 / 255**2
        assert np.sqrt(variance) == pytest.approx(np.sqrt(expected), rel=0.05)


def test_one_intensity_does_not_determine_a_line(tmp_path: Path) -> None:
    save(tmp_path, RAW.shoot(flat(0.3) * 0 + 0.3, 4))
    profile = measure(tmp_path)
    assert profile.variance_model == "table"
    expected = np.sqrt(3 * 0.3 * 59000 + 900)
    assert np.array(profile.sigmas) * 65535 == pytest.approx(expected, rel=0.05)


def test_flickering_lamp_is_not_noise(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    camera = SyntheticCamera(gain=0.5, read=40.0, white=50000.0)
    flickering = [
        camera.shoot(GREY * brightness, 1, seed)[0]
        for seed, brightness in enumerate(1 + 0.03 * random.normal(size=8))
    ]
    save(tmp_path, np.stack(flickering))
    profile = measure(tmp_path)
    check(profile, camera)
    assert 0.015 < profile.drift < 0.05
    assert "differ in brightness by" in profile.warnings[0]


def test_motion_in_one_shot_is_ignored(tmp_path: Path) -> None:
    shots = RAW.shoot(GREY, 4)
    shots[2, 100:180, 50:120] = 40000
    shots[3, 5, 7] = 65000
    save(tmp_path, shots)
    check(measure(tmp_path), RAW)


def test_shots_half_a_pixel_apart_cause_a_warning(tmp_path: Path) -> None:
    spectrum = np.fft.fft2(GREY[..., 0])
    moved = np.fft.ifft2(fourier_shift(spectrum, (0.5, 0))).real.clip(0, 1)[..., None]
    save(tmp_path / "view", np.concatenate([RAW.shoot(GREY, 2), RAW.shoot(moved, 1, 1)]))
    (warning,) = measure(tmp_path / "view").warnings
    assert warning.startswith(
        "view: 1 of 2 shots are not aligned with the first one: shifted by up to 0.50 pixels"
    )


def test_damaged_and_unusual_files_are_skipped_and_listed(tmp_path: Path) -> None:
    save(tmp_path / "a", RAW.shoot(GREY, 5))
    cut_off = tmp_path / "a" / "03.png"
    cut_off.write_bytes(cut_off.read_bytes()[:-5000])
    save(tmp_path / "b", RAW.shoot(GREY[:200, :100], 2, 1))
    save(tmp_path / "bytes", SyntheticCamera(0.1, 1.0, full=255, dtype=np.uint8).shoot(GREY, 2))
    images.write(tmp_path / "a" / "odd.png", RAW.shoot(GREY[:99], 1)[0])
    save(tmp_path / "lonely", RAW.shoot(GREY, 1))
    profile = measure(tmp_path)
    check(profile, RAW)
    assert (profile.series, profile.shots) == (2, 6)
    reasons = {passed.name: passed.reason for passed in profile.skipped}
    assert list(reasons) == ["a/03.png", "a/odd.png", "bytes", "lonely/00.png"]
    assert "damaged or cut off" in reasons["a/03.png"]
    assert "uint8; most series are like a" in reasons["bytes"]


def test_series_with_one_intact_shot_is_not_measured(tmp_path: Path) -> None:
    save(tmp_path, RAW.shoot(GREY, 2))
    (tmp_path / "01.png").write_bytes((tmp_path / "01.png").read_bytes()[:-5000])
    with pytest.raises(InputError, match=r"it has 1 intact shots; at least 2 are needed"):
        measure(tmp_path)


def test_series_of_clipped_samples_is_an_error(tmp_path: Path) -> None:
    save(tmp_path, np.full((3, 64, 64, 1), 255, np.uint8))
    with pytest.raises(InputError, match="samples that are not clipped"):
        measure(tmp_path)


def test_clipped_samples_do_not_count_as_intensity(tmp_path: Path) -> None:
    flickering = [RAW.shoot(GREY * each, 1, seed)[0] for seed, each in enumerate((1, 0.9, 0.95))]
    shots = np.stack(flickering)
    clipped = shots.copy()
    # All but a sixteenth is black.
    clipped[:, 80:] = clipped[:, :, 80:] = 0
    found = []
    for name, each in (("whole", shots[:, :80, :80]), ("clipped", clipped)):
        save(tmp_path / name, each)
        found.append(measure(tmp_path / name).drift)
    assert found[0] > 0.02
    assert found[1] == pytest.approx(found[0], rel=0.2)


def test_correlation_at_lag_zero_is_one_for_few_samples(tmp_path: Path) -> None:
    shots = np.zeros((4, 200, 200, 1), np.uint16)
    shots[:, 95:105, 95:105] = RAW.shoot(GREY, 4)[:, :10, :10]
    save(tmp_path, shots)
    assert measure(tmp_path).correlation_maps.tolist() == [[[1]]]


def test_copies_of_one_shot_raise(tmp_path: Path) -> None:
    save(tmp_path, np.repeat(RAW.shoot(GREY, 1), 3, axis=0))
    with pytest.raises(InputError, match="copies of one shot"):
        measure(tmp_path)


@settings(max_examples=20)
@given(
    shots=st.integers(1, 3),
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    channels=st.integers(1, 2),
)
def test_result_does_not_depend_on_strip_size(
    shots: int, height: int, width: int, channels: int
) -> None:
    statistics = Statistics(np.zeros(channels), np.ones(channels))
    random = np.random.default_rng(0)
    for _ in range(2):
        strip = random.normal(0.5, 0.1, (shots, height, width, channels))
        statistics.add(strip.astype(np.float32))
    for channel in range(channels):
        points = statistics.points(channel)
        assert (points.variances >= 0).all()
        assert np.isfinite(points).all()
    assert np.isfinite(correlation([statistics]).maps).all()
    assert np.isfinite(statistics.flatness()).all()


def test_floats_are_measured_in_their_unit_or_a_given_range(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    light = 200 + 1000 * GREY[..., 0]
    shots = light + np.sqrt(2 * light) * random.normal(size=(5, *light.shape))
    tifffile.imwrite(tmp_path / "a.tif", shots.astype(np.float32), photometric="minisblack")
    own, ranged = measure(tmp_path), measure(tmp_path, intensity_range=IntensityRange(0, 2000))
    for profile, unit in ((own, 1), (ranged, 2000)):
        assert profile.own_unit == (unit == 1)
        assert profile.channels[0].line is not None
        assert profile.channels[0].line.gain * unit == pytest.approx(2, rel=0.05)
    assert own.means[-1] > 1000
    assert "set --range BLACK WHITE" in own.warnings[0]
    assert ranged.warnings == ()
    assert ranged.means[-1] == 1.0
    shots[3, 10, 10] = np.nan
    tifffile.imwrite(tmp_path / "a.tif", shots.astype(np.float32), photometric="minisblack")
    with pytest.raises(InputError, match="contains NaN or infinity"):
        measure(tmp_path)


def test_stack_equals_its_pages_as_files(tmp_path: Path) -> None:
    shots = RAW.shoot(GREY[:100, :90], 35)
    save(tmp_path / "files", shots)
    tifffile.imwrite(tmp_path / "stack.tif", shots[..., 0], photometric="minisblack")
    apart, together = measure(tmp_path / "files"), measure(tmp_path / "stack.tif")
    assert together.shots == 35
    assert together.means == apart.means
    assert together.sigmas == apart.sigmas
    np.testing.assert_array_equal(together.correlation.maps, apart.correlation.maps)


def test_unreliable_measurements_have_warnings(tmp_path: Path) -> None:
    save(tmp_path, RAW.shoot(GREY[:9, :14], 2))
    assert any("few pixels" in warning for warning in measure(tmp_path).warnings)
    coarse = SyntheticCamera(gain=0.0, read=0.2, full=255, white=200, dtype=np.uint8)
    save(tmp_path / "coarse", coarse.shoot(GREY, 4))
    warnings = measure(tmp_path / "coarse").warnings
    assert any("below half a step" in warning for warning in warnings)
