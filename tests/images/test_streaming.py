from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import pyvips
from hypothesis import given
from hypothesis import strategies as st

from autodenoise import images
from autodenoise.images.streaming import RowStream

Pixels = np.ndarray[Any, Any]


@given(
    dtype=st.sampled_from(
        [np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32, np.float32]
    ),
    shape=st.tuples(st.integers(1, 70), st.integers(1, 40), st.integers(1, 6)),
    cut=st.integers(1, 80),
)
def test_streamed_rows_equal_the_image(dtype: type, shape: tuple[int, int, int], cut: int) -> None:
    pixels: Pixels = np.random.default_rng(cut).integers(0, 100, shape).astype(dtype)
    height, width, bands = pixels.shape
    stream = RowStream(width, height, bands, pixels.dtype)

    def feed() -> None:
        for top in range(0, height, cut):
            assert stream.put(pixels[top : top + cut])
        stream.end()

    with ThreadPoolExecutor(1) as feeder:
        fed = feeder.submit(feed)
        image = stream.image().copy_memory()
        stream.close()
        fed.result()
    np.testing.assert_array_equal(image.numpy().reshape(pixels.shape), pixels)


def test_missing_rows_are_an_error() -> None:
    stream = RowStream(30, 100, 3, np.dtype(np.uint8))
    rows = np.zeros((20, 30, 3), np.uint8)
    with ThreadPoolExecutor(1) as reader:
        read = reader.submit(lambda: stream.image().copy_memory())
        assert stream.put(rows)
        stream.end()
        with pytest.raises(pyvips.Error):
            read.result()
    stream.close()
    assert not stream.put(rows)


def test_prefetch_runs_ahead_and_passes_errors_on() -> None:
    produced = []

    def items() -> Any:
        for number in range(5):
            produced.append(number)
            yield number
        raise ZeroDivisionError

    taken: list[int] = []
    with pytest.raises(ZeroDivisionError):
        taken.extend(images.prefetch(items()))
    assert produced == [0, 1, 2, 3, 4]
    few = images.prefetch(iter(range(5)))
    assert (next(few), next(few)) == (0, 1)
