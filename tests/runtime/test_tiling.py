from __future__ import annotations

import itertools
import threading
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from autodenoise import runtime
from autodenoise.errors import InputError, UsageError
from autodenoise.images import IntensityRange
from autodenoise.runtime.tiling import Plan, denoise_rows, plan
from tests.helpers.model_files import box_blur, gains, identity, mosaic, ratio

PLENTY = 2**40

Pick = Callable[..., runtime.Model]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Pick:
    """Give a way to a model of a kind, each made once."""
    folder = tmp_path_factory.mktemp("models")
    made: dict[str, runtime.Model] = {}

    def pick(kind: Callable[..., Path], *arguments: Any, **keywords: Any) -> runtime.Model:
        name = f"{kind.__name__}-{arguments}-{keywords}.onnx"
        if name not in made:
            made[name] = runtime.load(kind(folder / f"{len(made)}.onnx", *arguments, **keywords))
        return made[name]

    return pick


def card(**keywords: Any) -> runtime.Card:
    return runtime.Card(name="a", network="a", channels=1, parameters=0, **keywords)


def least(of: runtime.Card, height: int, width: int, sample_bytes: int) -> int:
    """Find the least memory for which there is a plan."""
    low, high = 0, plan(of, height, width, sample_bytes=sample_bytes, memory=PLENTY).memory
    while high - low > 1:
        middle = (low + high) // 2
        try:
            plan(of, height, width, sample_bytes=sample_bytes, memory=middle)
            high = middle
        except InputError:
            low = middle
    return high


def tight(of: runtime.Card, height: int, width: int, sample_bytes: int, share: float) -> Plan:
    """Plan with a share of the memory between too little and enough for one tile."""
    whole = plan(of, height, width, sample_bytes=sample_bytes, memory=PLENTY).memory
    low = least(of, height, width, sample_bytes)
    memory = low + int(share * (whole - low))
    found = plan(of, height, width, sample_bytes=sample_bytes, memory=memory)
    assert found.memory <= memory
    return found


def chunks(picture: NDArray[Any], sizes: Sequence[int]) -> Iterator[NDArray[Any]]:
    """Cut a picture into chunks of these numbers of rows, over and over."""
    row = 0
    for size in itertools.cycle(sizes):
        yield picture[row : row + size]
        row += size
        if row >= len(picture):
            return


def run(
    denoiser: runtime.Model,
    cut: Plan,
    picture: NDArray[Any],
    sizes: Sequence[int] = (1000,),
    *,
    intensity_range: IntensityRange | None = None,
    strength: float = 1.0,
    channels: int | None = None,
) -> NDArray[Any]:
    rows = denoise_rows(
        denoiser,
        cut,
        chunks(picture, sizes),
        intensity_range=intensity_range
        or IntensityRange.for_dtype(picture.dtype)
        or IntensityRange(0, 1),
        strength=strength,
        channels=picture.shape[2] if channels is None else channels,
    )
    return np.concatenate(list(rows))


sides = st.integers(1, 80)
multiples = st.sampled_from([1, 2, 4, 8])
shares = st.floats(0, 1)
# With the least memory, thousands of tiles of one pixel: slow, and no other than dozens of some.
some = st.floats(0.03, 1)
sizes = st.lists(st.integers(1, 30), min_size=1, max_size=4)


@given(sides, sides, multiples, st.integers(0, 6), st.integers(0, 8), shares)
def test_each_pixel_comes_from_one_tile_with_its_halo(
    height: int, width: int, multiple: int, halo: int, sample_bytes: int, share: float
) -> None:
    of = card(size_multiple=multiple, halo=halo)
    cut = tight(of, height, width, sample_bytes, share)
    assert cut.tiles == len(cut.bands) * len(cut.columns)
    assert cut.input_pixels == cut.tiles * cut.tile[0] * cut.tile[1]
    for length, side, cuts in ((height, cut.tile[0], cut.bands), (width, cut.tile[1], cut.columns)):
        extended = -(-length // multiple) * multiple
        assert side % multiple == 0
        taken = [pixel for one in cuts for pixel in range(one.start, one.stop)]
        assert taken == list(range(length))
        for one in cuts:
            assert one.start < one.stop
            assert one.first % multiple == 0
            assert 0 <= one.first <= extended - side
            assert one.first == 0 or one.start - one.first >= halo
            assert one.first + side == extended or one.first + side - one.stop >= halo


@given(sides, sides, multiples, st.integers(0, 5), st.integers(1, 3000))
def test_plan_has_the_least_computation(
    height: int, width: int, multiple: int, halo: int, pixels: int
) -> None:
    of = card(size_multiple=multiple, halo=halo, bytes_per_pixel=1)
    margin = -(-halo // multiple) * multiple

    def counted(length: int) -> list[tuple[int, int]]:
        """Give each side that tiles may have, and lay them out to see how many it takes."""
        extended = -(-length // multiple) * multiple
        found = [(extended, 1)]
        for side in range(2 * margin + multiple, extended, multiple):
            fed, count = 0, 1
            while fed + side < extended:
                fed, count = fed + side - 2 * margin, count + 1
            found.append((side, count))
        return found

    # Of one channel and no samples, a pixel takes its one byte and four floats.
    possible = [
        a * b * m * n
        for (a, m), (b, n) in itertools.product(counted(height), counted(width))
        if a * b <= pixels
    ]
    if possible:
        cut = plan(of, height, width, sample_bytes=0, memory=17 * pixels)
        assert cut.input_pixels == min(possible)
        assert cut.memory <= 17 * pixels
    else:
        with pytest.raises(InputError, match="--memory"):
            plan(of, height, width, sample_bytes=0, memory=17 * pixels)


@given(sides, sides, multiples, st.integers(0, 5), shares, shares)
def test_more_memory_never_needs_more_computation(
    height: int, width: int, multiple: int, halo: int, less: float, more: float
) -> None:
    of = card(size_multiple=multiple, halo=halo)
    less, more = sorted((less, more))
    frugal, lavish = (tight(of, height, width, 3, share) for share in (less, more))
    assert lavish.input_pixels <= frugal.input_pixels
    assert tight(of, height, width, 3, 1).tiles == 1


@given(st.data(), sides, sides, multiples, st.integers(0, 5), st.sampled_from([1, 3]), sizes, some)
def test_tiled_result_equals_the_whole(
    model: Pick,
    data: st.DataObject,
    height: int,
    width: int,
    multiple: int,
    radius: int,
    channels: int,
    sizes: list[int],
    share: float,
) -> None:
    blur = model(box_blur, multiple=multiple, channels=channels, radius=radius)
    coarse = model(mosaic, multiple=multiple, channels=channels)
    denoiser = data.draw(st.sampled_from([blur, coarse]))
    seed = data.draw(st.integers(0, 2**32 - 1))
    picture = np.random.default_rng(seed).random((height, width, channels), np.float32)
    whole = denoiser.batch(picture[None])[0]
    cut = tight(denoiser.card, height, width, 4 * channels, share)
    np.testing.assert_allclose(run(denoiser, cut, picture, sizes), whole, atol=1e-4)

    deep = np.rint(picture * 255).astype(np.uint8)
    expected = denoiser.batch(IntensityRange(0, 255).to_float(deep[None]))[0] * 255
    # Less than half a level from the exact value, but for its own rounding.
    assert np.abs(run(denoiser, cut, deep, sizes) - expected).max() < 0.51


@given(
    sides,
    sides,
    multiples,
    st.integers(1, 5),
    st.sampled_from([np.uint8, np.uint16, np.int16, np.float32]),
    sizes,
    some,
    st.floats(0, 1),
)
def test_identity_returns_each_sample_for_any_tiles(
    model: Pick,
    height: int,
    width: int,
    multiple: int,
    bands: int,
    dtype: type,
    sizes: list[int],
    share: float,
    strength: float,
) -> None:
    same = model(identity, multiple=multiple)
    # No two samples near each other are alike: one from a wrong tile or band would show.
    count = height * width * bands
    if np.issubdtype(dtype, np.integer):
        picture: NDArray[Any] = (
            (np.arange(count) * 40503 % 2**16).astype(dtype).reshape(height, width, bands)
        )
        low, high = int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)
        intensity_range = IntensityRange(low, high)
    else:
        picture = (np.arange(count, dtype=dtype) / count).reshape(height, width, bands)
        intensity_range = IntensityRange(0, 1)
    before = picture.copy()
    cut = tight(same.card, height, width, picture.itemsize * bands, share)
    clean = run(same, cut, picture, sizes, intensity_range=intensity_range, strength=strength)
    assert clean.dtype == picture.dtype
    np.testing.assert_array_equal(clean, picture)
    np.testing.assert_array_equal(picture, before)


@given(sides, sides, multiples, sizes, some, st.integers(0, 255))
def test_constant_image_has_no_seams(
    model: Pick,
    height: int,
    width: int,
    multiple: int,
    sizes: list[int],
    share: float,
    level: int,
) -> None:
    coarse = model(mosaic, multiple=multiple, channels=3)
    picture = np.full((height, width, 3), level, np.uint8)
    cut = tight(coarse.card, height, width, 3, share)
    np.testing.assert_array_equal(run(coarse, cut, picture, sizes), picture)


@given(sides, sides, multiples, st.integers(0, 5), some)
def test_every_tile_has_the_planned_shape(
    model: Pick, height: int, width: int, multiple: int, radius: int, share: float
) -> None:
    blur = model(box_blur, multiple=multiple, radius=radius)
    session, fed = blur._session, []

    class Recorder:
        def run(self, names: None, given: dict[str, NDArray[np.float32]]) -> Any:
            fed.append(given["noisy"].shape)
            return session.run(names, given)

    cut = tight(blur.card, height, width, 1, share)
    try:
        blur._session = Recorder()
        run(blur, cut, np.zeros((height, width, 1), np.uint8))
    finally:
        blur._session = session
    assert fed == [(1, 1, *cut.tile)] * cut.tiles


def test_transparency_is_copied(model: Pick) -> None:
    blur = model(box_blur, channels=3)
    picture = np.random.default_rng(0).random((50, 40, 4))
    picture[3, 4, 3] = np.nan
    cut = tight(blur.card, 50, 40, 32, 0.1)
    assert cut.tiles > 1
    clean = run(blur, cut, picture, [7], channels=3)
    np.testing.assert_array_equal(clean[..., 3], picture[..., 3])
    alone = run(blur, cut, picture[..., :3], [7])
    np.testing.assert_array_equal(clean[..., :3], alone)


def test_other_channel_counts(model: Pick) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (20, 30, 4), np.uint8)
    grey = model(box_blur)
    cut = plan(grey.card, 20, 30, sample_bytes=4, memory=PLENTY)
    singly = [run(grey, cut, picture[..., band, None]) for band in range(4)]
    np.testing.assert_array_equal(run(grey, cut, picture), np.concatenate(singly, axis=2))
    # A model of 3 sees each as grey; its three answers, of 0, 1/2 and 1 times, are averaged.
    uneven = model(gains, (0.0, 0.5, 1.0))
    np.testing.assert_allclose(run(uneven, cut, picture), picture / 2, atol=0.51)
    np.testing.assert_allclose(
        run(uneven, cut, picture[..., :3]), picture[..., :3] * [0, 0.5, 1], atol=0.51
    )
    with pytest.raises(InputError, match="accepts 2 channels, the image has 4"):
        run(model(identity, channels=2), cut, picture)


def test_strength_blends_input_and_output(model: Pick) -> None:
    dark = model(gains, (0.0,))
    picture = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    cut = plan(dark.card, 16, 16, sample_bytes=1, memory=PLENTY)
    np.testing.assert_array_equal(run(dark, cut, picture, strength=0), picture)
    np.testing.assert_array_equal(run(dark, cut, picture), 0)
    np.testing.assert_allclose(run(dark, cut, picture, strength=0.25), 0.75 * picture, atol=0.51)
    for strength in (-0.1, 1.1, float("nan")):
        with pytest.raises(UsageError, match="from 0, which leaves the image unchanged, to 1"):
            run(dark, cut, picture, strength=strength)


def test_samples_beyond_the_range_do_not_wrap(model: Pick) -> None:
    same = model(identity)
    picture = np.array([[[0], [100], [4095], [65535]]], np.uint16)
    cut = plan(same.card, 1, 4, sample_bytes=2, memory=PLENTY)
    for strength, expected in ((1, [100, 100, 4095, 4095]), (0, [0, 100, 4095, 65535])):
        clean = run(
            same, cut, picture, intensity_range=IntensityRange(100, 4095), strength=strength
        )
        np.testing.assert_array_equal(clean.ravel(), expected)


def test_nan_is_an_error_with_its_position(model: Pick) -> None:
    same = model(identity, channels=3)
    cut = plan(same.card, 20, 10, sample_bytes=12, memory=PLENTY)
    picture = np.zeros((20, 10, 3), np.float32)
    picture[13, 4, 1] = np.nan
    picture[14, 2, 2] = np.inf
    said = "2 samples in the rows from 12 to 15 are NaN or infinite, the first at row 13, column 4"
    with pytest.raises(InputError, match=said):
        run(same, cut, picture, [4])
    broken = model(ratio)
    with pytest.raises(InputError, match="contains NaN or infinity"):
        run(broken, cut, np.zeros((20, 10, 1), np.uint8))


def test_missing_rows_are_an_error(model: Pick) -> None:
    same = model(identity)
    cut = plan(same.card, 20, 10, sample_bytes=1, memory=PLENTY)
    with pytest.raises(InputError, match="ends after 12 of 20 rows"):
        run(same, cut, np.zeros((12, 10, 1), np.uint8), [5])


def test_rows_are_read_and_buffered_only_when_needed(model: Pick) -> None:
    blur = model(box_blur, multiple=4, channels=3)
    height, width, chunk = 600, 4000, 10
    cut = plan(blur.card, height, width, sample_bytes=3, memory=8_000_000)
    asked = 0

    def rows() -> Iterator[NDArray[Any]]:
        nonlocal asked
        for row in range(0, height, chunk):
            asked = row + chunk
            yield np.full((chunk, width, 3), row % 251, np.uint8)

    done, most = 0, 0
    intensity_range = IntensityRange(0, 255)
    tracemalloc.start()
    clean = denoise_rows(blur, cut, rows(), intensity_range=intensity_range, strength=1, channels=3)
    for band, part in zip(cut.bands, clean, strict=True):
        done += len(part)
        assert done == band.stop
        assert asked < min(band.first + cut.tile[0], height) + chunk
        most = max(most, tracemalloc.get_traced_memory()[1])
    tracemalloc.stop()
    assert done == height
    # All but the network's own maps, which are not NumPy's; and far from the whole picture.
    assert most < cut.memory - 1024 * cut.tile[0] * cut.tile[1] + 2 * chunk * width * 3
    assert most < height * width * 3


def test_wide_images_get_flat_tiles_within_memory() -> None:
    # The residual U-Net's "fast" size.
    network = card(size_multiple=8, halo=51, bytes_per_pixel=217)
    budget = 400 * 2**20
    photo = plan(network, 3000, 4000, sample_bytes=3, memory=budget)
    wide = plan(network, 25_000, 40_000, sample_bytes=6, memory=budget)
    assert wide.memory <= budget
    assert wide.tile[0] < photo.tile[0]
    for cut in (photo, wide):
        assert cut.input_pixels < 1.6 * cut.height * cut.width
    # Whoever has more gets no larger tiles than those that are fast.
    lavish = plan(network, 3000, 4000, sample_bytes=3, memory=PLENTY)
    assert 2**20 < lavish.tile[0] * lavish.tile[1] <= 2**21


def test_networks_without_halo_need_the_whole_image() -> None:
    everywhere = card(size_multiple=4, bytes_per_pixel=1000)
    assert plan(everywhere, 2001, 1501, sample_bytes=1, memory=PLENTY).tile == (2004, 1504)
    with pytest.raises(
        InputError, match=r"needs 2,\d{3} MiB .* 1501x2001 pixels, which it cannot process in tiles"
    ):
        plan(everywhere, 2001, 1501, sample_bytes=1, memory=100 * 2**20)
    fixed = card(size=(28, 20))
    assert plan(fixed, 28, 20, sample_bytes=1, memory=PLENTY).tiles == 1
    with pytest.raises(InputError, match="accepts images of 20x28 pixels, this one has 28x20"):
        plan(fixed, 20, 28, sample_bytes=1, memory=PLENTY)


def test_threads_can_share_a_model(model: Pick) -> None:
    blur = model(box_blur, channels=3)
    pictures = [np.random.default_rng(seed).random((70, 60, 3), np.float32) for seed in range(4)]
    expected = [blur(picture) for picture in pictures]
    given: list[NDArray[Any] | None] = [None] * 4

    def work(place: int) -> None:
        for _ in range(5):
            given[place] = blur.denoise(pictures[place], memory=5_000_000)

    threads = [threading.Thread(target=work, args=(place,)) for place in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one, other in zip(given, expected, strict=True):
        assert one is not None
        np.testing.assert_allclose(one, other, atol=1e-6)
