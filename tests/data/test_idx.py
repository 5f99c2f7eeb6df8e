from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from autodenoise.data.dataset import DataSpec, load
from autodenoise.data.idx import read_idx
from autodenoise.errors import InputError


def idx(images: np.ndarray[Any, Any]) -> bytes:
    sizes = b"".join(size.to_bytes(4, "big") for size in images.shape)
    return b"\0\0\x08" + bytes([images.ndim]) + sizes + images.tobytes()


@settings(max_examples=30)
@given(
    images=arrays(np.uint8, st.tuples(*(st.integers(1, 6),) * 3)),
    packed=st.booleans(),
)
def test_idx_round_trip(
    tmp_path_factory: pytest.TempPathFactory, images: np.ndarray[Any, Any], packed: bool
) -> None:
    path = tmp_path_factory.mktemp("idx") / "images"
    path.write_bytes(gzip.compress(idx(images)) if packed else idx(images))
    np.testing.assert_array_equal(read_idx(path), images)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not an IDX file"),
        (b"PNG and other things", "not an IDX file"),
        (idx(np.zeros((3, 4, 4), np.uint8))[:-1], "damaged"),
        (idx(np.zeros((3, 4, 4), np.uint8)) + b"!", "damaged"),
        (idx(np.zeros((3, 4, 4), np.uint8))[:9], "damaged"),
        (gzip.compress(idx(np.zeros((3, 4, 4), np.uint8)))[:-9], "cannot read"),
        (b"\x1f\x8b and no more", "cannot read"),
    ],
    # What gzip writes has the time in it, and names must be the same in each of pytest's workers.
    ids=["empty", "other", "short", "long", "heading alone", "short gzip", "no gzip"],
)
def test_damaged_idx_is_an_input_error(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_idx(tmp_path / "file")
    with pytest.raises(InputError, match="cannot read"):
        read_idx(tmp_path / "missing")


def test_label_file_as_images_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mnist").mkdir()
    for part in ("train", "t10k"):
        (tmp_path / "mnist" / f"{part}-images-idx3-ubyte").write_bytes(idx(np.zeros(9, np.uint8)))
    monkeypatch.setenv("AUTODENOISE_DATA", str(tmp_path))
    with pytest.raises(InputError, match="Are these labels"):
        load(DataSpec("mnist"))


def test_missing_labels_are_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mnist").mkdir()
    for name, content in (("images-idx3", np.zeros((3, 4, 4))), ("labels-idx1", np.zeros(2))):
        file = tmp_path / "mnist" / f"train-{name}-ubyte"
        file.write_bytes(idx(content.astype(np.uint8)))
    monkeypatch.setenv("AUTODENOISE_DATA", str(tmp_path))
    with pytest.raises(InputError, match="one label for each of the 3 images"):
        load(DataSpec("mnist"))
