from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autodenoise.data.crops import Crops, ImageCrops
from autodenoise.data.samples import Sample, list_planes
from autodenoise.data.streaming import Patches, StreamedCrops, crops_of
from autodenoise.errors import InputError

SIZES = [(20, 30), (8, 50), (33, 12), (5, 6), (24, 24), (40, 10), (16, 16), (9, 31), (25, 20)]


def draw(*seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(int(np.random.SeedSequence(seed).generate_state(1)[0]))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make stacks of several sizes, in which every pixel of every page is another one."""
    path = tmp_path_factory.mktemp("stacks")
    for number, size in enumerate(SIZES):
        values = 5000 * number + np.arange(3 * size[0] * size[1]).reshape(3, *size)
        tifffile.imwrite(path / f"{number}.tif", values.astype(np.uint16), photometric="minisblack")
    return path


def patches_in(folder: Path, dtype: torch.dtype = torch.uint16) -> Patches:
    files = sorted(folder.iterdir())
    return Patches(tuple(Sample.of(file.name, list_planes(file)) for file in files), dtype)


def epochs(crops: Crops, count: int, batch: int, skip: int = 0) -> list[torch.Tensor]:
    """Take two epochs of batches as the loop does, the first of them from a step on."""
    taken = []
    for epoch in range(2):
        order = crops.order(count, draw(epoch))
        steps = range(0 if epoch else skip, -(-count // batch))
        for step in steps:
            rows = order[step * batch : (step + 1) * batch]
            taken.append(crops.crops(rows, draw(epoch, step)))
    return taken


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    window=st.integers(1, 12_000),
    threads=st.integers(1, 4),
    count=st.integers(1, 60),
    batch=st.integers(1, 20),
    skip=st.integers(0, 4),
    shrink=st.sampled_from([1.0, 0.5]),
)
def test_streamed_crops_equal_crops_in_memory(
    folder: Path, window: int, threads: int, count: int, batch: int, skip: int, shrink: float
) -> None:
    patches = patches_in(folder)
    here = ImageCrops(tuple(patches), 8, supervision="repeats", shrink=shrink, window_bytes=window)
    there = StreamedCrops(
        patches, 8, supervision="repeats", shrink=shrink, window_bytes=window, threads=threads
    )
    assert here.shape == there.shape
    skip = min(skip, -(-count // batch))
    whole = epochs(here, count, batch)
    # Resume in the middle of an epoch, with a new object.
    for one, other in zip(whole[skip:], epochs(there, count, batch, skip), strict=True):
        assert torch.equal(one, other)


@settings(max_examples=50)
@given(
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=30),
    window=st.integers(10, 400),
    count=st.integers(1, 400),
    seed=st.integers(0, 100),
)
def test_window_is_used_up_before_the_next(
    sizes: list[int], window: int, count: int, seed: int
) -> None:
    image_crops = ImageCrops(
        [torch.zeros(1, 1, 1, size, dtype=torch.uint8) for size in sizes], 1, window_bytes=window
    )
    order = image_crops.order(count, draw(seed)).tolist()
    assert len(order) == count
    assert {*order} <= {*range(len(sizes))}
    times = [order.count(piece) for piece in {*order}]
    # As evenly as may be, but for the last image.
    assert len({*times} - {min(times)}) <= 1
    if sum(sizes) <= window:
        assert max(times) - min(times) <= 1
        return
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    for place, piece in enumerate(order):
        first.setdefault(piece, place)
        last[piece] = place
    for place in range(count):
        held = sum(sizes[piece] for piece in first if first[piece] <= place <= last[piece])
        assert held <= window + max(sizes)


def test_every_image_is_used() -> None:
    image_crops = ImageCrops([torch.zeros(1, 1, 4, 4)] * 50, 2, window_bytes=5 * 64)
    orders = [image_crops.order(160, draw(epoch)) for epoch in range(40)]
    assert {len(order.unique()) for order in orders} == {10}
    counts = torch.cat(orders).bincount(minlength=50)
    assert counts.min() > 0


def test_few_images_are_in_memory_at_a_time(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    patches = patches_in(folder)
    read: list[int] = []
    before = Patches.read

    def watched(self: Patches, index: int, reader: object) -> torch.Tensor:
        read.append(index)
        return before(self, index, reader)  # type: ignore[arg-type]

    monkeypatch.setattr(Patches, "read", watched)
    stream = StreamedCrops(patches, 8, supervision="repeats", window_bytes=4000, threads=1)
    order = stream.order(160, draw(0))
    most = 0
    for step in range(40):
        stream.crops(order[step * 4 : step * 4 + 4], draw(0, step))
        most = max(most, len(stream._pending))
    # Each is read once, and none waits in memory for longer than two windows.
    assert sorted(read) == sorted(order.unique().tolist())
    assert most < len(patches)
    used = [order.tolist().index(piece) for piece in dict.fromkeys(order.tolist())]
    assert all(one < other for one, other in pairwise(used))


def test_damaged_image_is_replaced_by_another(tmp_path: Path) -> None:
    for number in range(6):
        values = np.full((16, 16), 1000 * number, np.uint16)
        tifffile.imwrite(tmp_path / f"{number}.tif", values, compression="deflate")
    patches = patches_in(tmp_path)
    for number in (2, 3):
        content = (tmp_path / f"{number}.tif").read_bytes()
        (tmp_path / f"{number}.tif").write_bytes(
            content.replace(content[8:24], bytes(16)) if number == 2 else b""
        )
    crops = []
    for threads in (1, 3):
        stream = StreamedCrops(patches, 4, threads=threads)
        crops.append(stream.crops(torch.arange(6), draw(0)))
        (note,) = stream.notes
        assert "2 cannot be decoded and were replaced by others" in note
        assert "2.tif" in note
        assert "3.tif: the file is empty" in note
    assert torch.equal(*crops)
    assert crops[0][0, :, 0, 0, 0].to(torch.int64).tolist() == [0, 1000, 4000, 4000, 4000, 5000]


def test_only_damaged_images_are_an_error_while_streaming(tmp_path: Path) -> None:
    for number in range(2):
        tifffile.imwrite(tmp_path / f"{number}.tif", np.zeros((8, 8), np.uint16))
    patches = patches_in(tmp_path)
    for number in range(2):
        (tmp_path / f"{number}.tif").write_bytes(b"")
    with pytest.raises(InputError, match="none of the 2 images can be decoded"):
        StreamedCrops(patches, 4).crops(torch.arange(2), draw(0))


def test_crops_of_patches_on_disk_are_streamed(folder: Path) -> None:
    patches = patches_in(folder)
    options = {"shrink": 1.0, "shuffle_channels": False, "device": torch.device("cpu")}
    there = crops_of(patches, 8, supervision="repeats", **options)  # type: ignore[arg-type]
    here = crops_of(tuple(patches), 8, supervision="repeats", **options)  # type: ignore[arg-type]
    assert isinstance(there, StreamedCrops)
    assert isinstance(here, ImageCrops)
    rows = torch.arange(len(SIZES))
    one, other = (crops.batch(rows, draw(1)) for crops in (here, there))
    assert one.noisy is not None
    assert other.noisy is not None
    assert torch.equal(one.noisy, other.noisy)
    assert one.noisy.stride() == other.noisy.stride()
