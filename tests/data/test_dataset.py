from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from autodenoise.data.arrays import PHOTO_SETS, SOURCES
from autodenoise.data.dataset import DataSpec, load, shape
from autodenoise.data.idx import read_idx
from autodenoise.errors import InputError, UsageError


@pytest.mark.usefixtures("real_data")
def test_mnist_matches_its_published_digest() -> None:
    splits = load(DataSpec("mnist"))
    assert splits.train.images.shape == (60_000, 1, 28, 28)
    assert splits.test is splits.validation
    assert splits.test.images.shape == (10_000, 1, 28, 28)
    assert splits.train.labels is not None
    assert splits.train.labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert splits.classes == tuple("0123456789")
    # The mean that everybody normalises with.
    assert float(splits.train.images.float().mean() / 255) == pytest.approx(0.1307, abs=5e-5)


def test_random_split_equals_scikit_learn() -> None:
    images = np.rint(load_digits().images * (255 / 16)).astype(np.uint8)[:, None]
    train, held = train_test_split(images, test_size=0.2, random_state=42)
    splits = load(DataSpec("digits", validation="random"))
    np.testing.assert_array_equal(splits.train.images.numpy(), train)
    np.testing.assert_array_equal(splits.validation.images.numpy(), held)
    assert splits.test is splits.validation
    last = load(DataSpec("digits", validation="last", share=0.2))
    border = int(1797 * (1 - 0.2))  # where Keras's validation_split cuts
    np.testing.assert_array_equal(last.train.images.numpy(), images[:border])
    np.testing.assert_array_equal(last.validation.images.numpy(), images[border:])


@pytest.mark.usefixtures("real_data")
def test_last_split_holds_out_the_last_fifth_and_keeps_the_test_part() -> None:
    splits = load(DataSpec("mnist", validation="last"))
    assert [len(part.images) for part in splits[:3]] == [48_000, 12_000, 10_000]
    assert torch.equal(splits.validation.images, load(DataSpec("mnist")).train.images[48_000:])


def test_small_fashion_table_is_split_as_in_its_tutorial(real_data: Path) -> None:
    splits = load(DataSpec("fashion-mnist", part="test", validation="random"))
    assert [len(part.images) for part in splits[:3]] == [8_000, 2_000, 2_000]
    assert splits.test.labels is not None
    # scikit-learn's split of the published labels, as the guide makes it.
    labels = read_idx(real_data / "fashion-mnist" / "t10k-labels-idx1-ubyte.gz")
    held = train_test_split(labels, test_size=0.2, random_state=42)[1]
    np.testing.assert_array_equal(splits.test.labels.numpy(), held)
    assert splits.classes[9] == "ankle boot"


def test_resize_equals_pillows_bicubic() -> None:
    small = load(DataSpec("digits", validation="random"))
    large = load(DataSpec("digits", validation="random", size=(28, 28)))
    assert large.train.images.dtype == torch.uint8
    assert large.train.images.shape == (1437, 1, 28, 28)
    for before, after in zip(small.train.images[:20, 0], large.train.images[:20, 0], strict=True):
        # In float, since on bytes Pillow rounds and clips between its two passes.
        image = Image.fromarray(before.numpy().astype(np.float32))
        theirs = np.asarray(image.resize((28, 28), Image.Resampling.BICUBIC))
        np.testing.assert_allclose(after.numpy(), theirs.clip(0, 255), atol=0.51)


def test_npz_with_keras_names_and_floats(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (6, 8, 9), np.uint8)
    np.savez(tmp_path / "a.npz", x_train=images, x_test=images[:2], y_train=np.arange(6))
    splits = load(DataSpec(str(tmp_path / "a.npz")))
    np.testing.assert_array_equal(splits.train.images.numpy()[:, 0], images)
    assert splits.train.labels is not None
    assert splits.train.labels.tolist() == list(range(6))
    assert splits.classes == tuple("012345")
    assert len(splits.test.images) == 2
    assert splits.test.labels is None
    np.save(tmp_path / "b.npy", random.random((10, 8, 9, 3)))
    coloured = load(DataSpec(str(tmp_path / "b.npy"), validation="last"))
    assert coloured.train.images.shape == (8, 3, 8, 9)
    assert coloured.train.images.dtype == torch.float32


def test_load_folders_of_images(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (4, 6, 5, 3), np.uint8)
    for part, count in (("train", 4), ("validation", 2), ("test", 1)):
        (tmp_path / part).mkdir()
        for index in range(count):
            Image.fromarray(pixels[index]).save(tmp_path / part / f"{index}.png")
        (tmp_path / part / "notes.txt").write_text("not an image")
    splits = load(DataSpec(str(tmp_path)))
    np.testing.assert_array_equal(splits.train.images.numpy(), pixels.transpose(0, 3, 1, 2))
    assert [len(part.images) for part in splits[:3]] == [4, 2, 1]


def test_error_names_the_image_of_a_different_size(tmp_path: Path) -> None:
    Image.new("L", (5, 5)).save(tmp_path / "a.png")
    Image.new("L", (6, 5)).save(tmp_path / "b.png")
    with pytest.raises(InputError, match=r"b\.png is 6x5, 1 channel"):
        load(DataSpec(str(tmp_path), validation="last"))


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((3, 4), np.uint8), "expected images"),
        (np.zeros((0, 4, 4), np.uint8), "expected images"),
        (np.full((3, 4, 4), 2.0), r"in \[0, 1\], got values"),
        (np.full((3, 4, 4), np.nan), r"in \[0, 1\], got values"),
        (np.zeros((3, 4, 4), np.int64), "expected uint8"),
        (np.array([[[object()]]]), "cannot read"),
    ],
)
def test_arrays_without_images_are_errors(tmp_path: Path, array: Any, message: str) -> None:
    np.save(tmp_path / "a.npy", array, allow_pickle=True)
    with pytest.raises(InputError, match=message):
        load(DataSpec(str(tmp_path / "a.npy"), validation="last"))


def test_wrong_numpy_suffix_is_an_error(tmp_path: Path) -> None:
    images = np.zeros((3, 4, 4), np.uint8)
    np.save(tmp_path / "a.npy", images)
    np.savez(tmp_path / "b.npz", train=images)
    (tmp_path / "a.npy").rename(tmp_path / "c.npz")
    (tmp_path / "b.npz").rename(tmp_path / "d.npy")
    for name in ("c.npz", "d.npy"):
        with pytest.raises(InputError, match="rename it"):
            load(DataSpec(str(tmp_path / name)))


def test_unknown_sources_and_parts_are_errors(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="did you mean 'mnist'"):
        load(DataSpec("mnits"))
    with pytest.raises(InputError, match="no such file"):
        load(DataSpec("somewhere/else"))
    with pytest.raises(UsageError, match="no images besides"):
        load(DataSpec("digits"))
    np.savez(tmp_path / "a.npz", train=np.zeros((2, 4, 4)), test=np.zeros((2, 4, 5)))
    with pytest.raises(InputError, match=r"'test' has \(1, 4, 5\)"):
        load(DataSpec(str(tmp_path / "a.npz")))
    with pytest.raises(UsageError, match=r"share is 1\.5"):
        DataSpec("digits", share=1.5)
    np.save(tmp_path / "one.npy", np.zeros((1, 4, 4), np.uint8))
    for way in ("last", "random"):
        with pytest.raises(UsageError, match="too few"):
            load(DataSpec(str(tmp_path / "one.npy"), validation=way))
    with pytest.raises(UsageError, match="split_seed is -1"):
        DataSpec("digits", split_seed=-1)


@pytest.mark.parametrize(
    "labels", [np.arange(5), np.zeros(6), np.full(6, -1), np.zeros((6, 2), np.int64)]
)
def test_invalid_labels_are_errors(tmp_path: Path, labels: Any) -> None:
    np.savez(tmp_path / "a.npz", x_train=np.zeros((6, 4, 4), np.uint8), y_train=labels)
    with pytest.raises(InputError, match="one label, 0 or more, for each of 6 images"):
        load(DataSpec(str(tmp_path / "a.npz"), validation="last"))


@pytest.mark.usefixtures("real_data")
@pytest.mark.parametrize("source", sorted(set(SOURCES) - set(PHOTO_SETS)))
@pytest.mark.parametrize("size", [None, (20, 24)])
def test_shape_of_named_datasets_needs_no_files(source: str, size: tuple[int, int] | None) -> None:
    data = DataSpec(source, validation="last", size=size)
    assert shape(data) == tuple(load(data).train.images.shape[1:])
