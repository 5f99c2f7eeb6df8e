from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from autodenoise.errors import InputError, UsageError
from autodenoise.learning.data import Data, load, read_idx


def idx(images: np.ndarray[Any, Any]) -> bytes:
    sizes = b"".join(size.to_bytes(4, "big") for size in images.shape)
    return b"\0\0\x08" + bytes([images.ndim]) + sizes + images.tobytes()


@settings(max_examples=30)
@given(
    images=arrays(np.uint8, st.tuples(*(st.integers(1, 6),) * 3)),
    packed=st.booleans(),
)
def test_idx_comes_back(
    tmp_path_factory: pytest.TempPathFactory, images: np.ndarray[Any, Any], packed: bool
) -> None:
    path = tmp_path_factory.mktemp("idx") / "images"
    path.write_bytes(gzip.compress(idx(images)) if packed else idx(images))
    np.testing.assert_array_equal(read_idx(path), images)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "not an IDX file"),
        (b"PNG and other things", "not an IDX file"),
        (idx(np.zeros((3, 4, 4), np.uint8))[:-1], "damaged"),
        (idx(np.zeros((3, 4, 4), np.uint8)) + b"!", "damaged"),
        (idx(np.zeros((3, 4, 4), np.uint8))[:9], "damaged"),
        (gzip.compress(idx(np.zeros((3, 4, 4), np.uint8)))[:-9], "cannot read"),
        (b"\x1f\x8b and no more", "cannot read"),
    ],
)
def test_damaged_idx_is_one_error(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(InputError, match=says):
        read_idx(tmp_path / "file")
    with pytest.raises(InputError, match="cannot read"):
        read_idx(tmp_path / "missing")


@pytest.mark.usefixtures("real_data")
def test_mnist_is_the_official_one() -> None:
    splits = load(Data("mnist"))
    assert splits.train.shape == (60_000, 1, 28, 28)
    assert splits.test is splits.validation
    assert splits.test.shape == (10_000, 1, 28, 28)
    # The mean that everybody normalises with.
    assert float(splits.train.float().mean() / 255) == pytest.approx(0.1307, abs=5e-5)


def test_splits_of_the_digits_equal_scikit_learns() -> None:
    images = np.rint(load_digits().images * (255 / 16)).astype(np.uint8)[:, None]
    train, held = train_test_split(images, test_size=0.2, random_state=42)
    splits = load(Data("digits", validation="random"))
    np.testing.assert_array_equal(splits.train.numpy(), train)
    np.testing.assert_array_equal(splits.validation.numpy(), held)
    assert splits.test is splits.validation
    last = load(Data("digits", validation="last", share=0.2))
    border = int(1797 * (1 - 0.2))  # where Keras's validation_split cuts
    np.testing.assert_array_equal(last.train.numpy(), images[:border])
    np.testing.assert_array_equal(last.validation.numpy(), images[border:])


@pytest.mark.usefixtures("real_data")
def test_maxnorms_split_holds_back_the_last_fifth_and_keeps_the_test_part() -> None:
    splits = load(Data("mnist", validation="last"))
    assert [len(part) for part in splits] == [48_000, 12_000, 10_000]
    assert torch.equal(splits.validation, load(Data("mnist")).train[48_000:])


@pytest.mark.usefixtures("real_data")
def test_the_small_fashion_table_is_split_as_its_tutorial_does() -> None:
    splits = load(Data("fashion-mnist", part="test", validation="random"))
    assert [len(part) for part in splits] == [8_000, 2_000, 2_000]


def test_enlarging_is_pillows_bicubic() -> None:
    small = load(Data("digits", validation="random"))
    large = load(Data("digits", validation="random", size=(28, 28)))
    assert large.train.dtype == torch.uint8
    assert large.train.shape == (1437, 1, 28, 28)
    for before, after in zip(small.train[:20, 0], large.train[:20, 0], strict=True):
        # In float, since on bytes Pillow rounds and clips between its two passes.
        picture = Image.fromarray(before.numpy().astype(np.float32))
        theirs = np.asarray(picture.resize((28, 28), Image.Resampling.BICUBIC))
        np.testing.assert_allclose(after.numpy(), theirs.clip(0, 255), atol=0.51)


def test_npz_with_keras_names_and_floats(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (6, 8, 9), np.uint8)
    np.savez(tmp_path / "a.npz", x_train=images, x_test=images[:2], y_train=np.arange(6))
    splits = load(Data(str(tmp_path / "a.npz")))
    np.testing.assert_array_equal(splits.train.numpy()[:, 0], images)
    assert len(splits.test) == 2
    np.save(tmp_path / "b.npy", random.random((10, 8, 9, 3)))
    coloured = load(Data(str(tmp_path / "b.npy"), validation="last"))
    assert coloured.train.shape == (8, 3, 8, 9)
    assert coloured.train.dtype == torch.float32


def test_folders_of_pictures(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    pictures = random.integers(0, 256, (4, 6, 5, 3), np.uint8)
    for part, count in (("train", 4), ("validation", 2), ("test", 1)):
        (tmp_path / part).mkdir()
        for index in range(count):
            Image.fromarray(pictures[index]).save(tmp_path / part / f"{index}.png")
        (tmp_path / part / "notes.txt").write_text("no picture")
    splits = load(Data(str(tmp_path)))
    np.testing.assert_array_equal(splits.train.numpy(), pictures.transpose(0, 3, 1, 2))
    assert [len(part) for part in splits] == [4, 2, 1]


def test_a_folder_of_unlike_pictures_names_the_odd_one(tmp_path: Path) -> None:
    Image.new("L", (5, 5)).save(tmp_path / "a.png")
    Image.new("L", (6, 5)).save(tmp_path / "b.png")
    with pytest.raises(InputError, match=r"b\.png is 6x5, 1 channel"):
        load(Data(str(tmp_path), validation="last"))


@pytest.mark.parametrize(
    ("array", "says"),
    [
        (np.zeros((3, 4), np.uint8), "expected images"),
        (np.zeros((0, 4, 4), np.uint8), "expected images"),
        (np.full((3, 4, 4), 2.0), "must be in"),
        (np.full((3, 4, 4), np.nan), "must be in"),
        (np.zeros((3, 4, 4), np.int64), "expected uint8"),
        (np.array([[[object()]]]), "cannot read"),
    ],
)
def test_arrays_that_are_no_images(tmp_path: Path, array: Any, says: str) -> None:
    np.save(tmp_path / "a.npy", array, allow_pickle=True)
    with pytest.raises(InputError, match=says):
        load(Data(str(tmp_path / "a.npy"), validation="last"))


def test_files_by_another_name(tmp_path: Path) -> None:
    images = np.zeros((3, 4, 4), np.uint8)
    np.save(tmp_path / "a.npy", images)
    np.savez(tmp_path / "b.npz", train=images)
    (tmp_path / "a.npy").rename(tmp_path / "c.npz")
    (tmp_path / "b.npz").rename(tmp_path / "d.npy")
    for name in ("c.npz", "d.npy"):
        with pytest.raises(InputError, match="by another name"):
            load(Data(str(tmp_path / name)))


def test_labels_are_no_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mnist").mkdir()
    for part in ("train", "t10k"):
        (tmp_path / "mnist" / f"{part}-images-idx3-ubyte").write_bytes(idx(np.zeros(9, np.uint8)))
    monkeypatch.setenv("AUTODENOISE_DATA", str(tmp_path))
    with pytest.raises(InputError, match="are these labels"):
        load(Data("mnist"))


def test_wrong_requests(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="did you mean 'mnist'"):
        load(Data("mnits"))
    with pytest.raises(InputError, match="no such file"):
        load(Data("somewhere/else"))
    with pytest.raises(UsageError, match="no images besides"):
        load(Data("digits"))
    np.savez(tmp_path / "a.npz", train=np.zeros((2, 4, 4)), test=np.zeros((2, 4, 5)))
    with pytest.raises(InputError, match=r"'test' has \(1, 4, 5\)"):
        load(Data(str(tmp_path / "a.npz")))
    with pytest.raises(UsageError, match=r"share is 1\.5"):
        Data("digits", share=1.5)
    np.save(tmp_path / "one.npy", np.zeros((1, 4, 4), np.uint8))
    for way in ("last", "random"):
        with pytest.raises(UsageError, match="too few"):
            load(Data(str(tmp_path / "one.npy"), validation=way))
    with pytest.raises(UsageError, match="split_seed is -1"):
        Data("digits", split_seed=-1)
