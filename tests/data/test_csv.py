from __future__ import annotations

import gzip
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from autodenoise.data.csv import read_table
from autodenoise.data.dataset import DataSpec, load
from autodenoise.errors import InputError

Table = np.ndarray[Any, Any]


def as_text(table: Table, heading: bool = True, ending: str = "\n") -> str:
    head = ["label", *(f"pixel{index}" for index in range(1, table.shape[1]))]
    rows = [",".join(map(str, row)) for row in table]
    return ending.join(([",".join(head)] if heading else []) + rows) + ending


@settings(max_examples=60)
@given(
    table=st.integers(1, 4).flatmap(
        lambda side: arrays(np.uint8, st.tuples(st.integers(1, 9), st.just(side * side + 1)))
    ),
    heading=st.booleans(),
    ending=st.sampled_from(["\n", "\r\n"]),
    packed=st.sampled_from(["", ".gz", ".zip"]),
)
def test_table_equals_loadtxt(
    tmp_path_factory: pytest.TempPathFactory,
    table: Table,
    heading: bool,
    ending: str,
    packed: str,
) -> None:
    folder = tmp_path_factory.mktemp("table")
    text = as_text(table, heading, ending)
    plain = folder / "a.csv"
    plain.write_text(text, newline="")
    path = folder / f"a.csv{packed}"
    if packed == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    elif packed == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("a.csv", text)
    labels, images = read_table(path)
    expected = np.loadtxt(plain, np.uint8, delimiter=",", skiprows=int(heading), ndmin=2)
    np.testing.assert_array_equal(labels, expected[:, 0])
    np.testing.assert_array_equal(images.reshape(len(images), -1), expected[:, 1:])
    assert images.shape[1] == images.shape[2]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "1,2,3,4,5\n6,7,8,9,10\n1,2,3,4\n",
            "line 3: expected 5 values as in the first row, found 4",
        ),
        ("l,a,b,c,d\n1,2,3,4,5\n1,2,3,4,5,6\n", "line 3: expected 5 values .* found 6"),
        ("1,2,3,4,5\n\n1,2,3,4,5\n", "line 2: expected 5 values"),
        ("1,2,3,4\n1,2,3,4\n", "line 1: .* found 4 .*is the label missing"),
        ("1,2,3,4,5\n1,2,256,4,5\n", "line 2: expected whole numbers from 0 to 255, found '256'"),
        ("1,2,3,4,5\n1,-2,3,4,5\n", "line 2: .* found '-2'"),
        ("1,2,3,4,5\n1,2.5,3,4,5\n", "line 2: .* found '2.5'"),
        ("1,2,3,4,5\n,2,3,4,5\n", "line 2: .* found ''"),
        ("1,2,3,4,5\n1,2,3,4,\n", "line 2: .* found ''"),
        ("1,2,3,4,5\n1, 2,3,4,5\n", "line 2: .* found ' 2'"),
        ("1,2,3,4,5\n1,2,3000,4,5\n", "line 2: .* found '3000'"),
        ("1,2,3,4,5\n1,x,3,4,5\n", "line 2: .* found 'x'"),
        ("1,2,3\n", "line 1: .* found 3"),
        ("", "found 0 value"),
        ("label,pixel1\n", "line 2: .* found 0 value"),
    ],
)
def test_errors_name_the_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        read_table(tmp_path / "a.csv")


def test_damaged_archives_are_errors(tmp_path: Path) -> None:
    for name, content in (("a.csv.gz", b"\x1f\x8b and no more"), ("a.zip", b"PK")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match="cannot read"):
            read_table(tmp_path / name)
    whole = gzip.compress(b"label,pixel0\n" * 500)
    (tmp_path / "b.csv.gz").write_bytes(whole[:12] + b"\xff" * 20 + whole[32:])
    with zipfile.ZipFile(tmp_path / "odd.zip", "w") as archive:
        archive.writestr("a.csv", "label")
    # An unknown compression method.
    odd = bytearray((tmp_path / "odd.zip").read_bytes())
    odd[8] = odd[odd.index(b"PK\1\2") + 10] = 99
    (tmp_path / "odd.zip").write_bytes(odd)
    for name in ("b.csv.gz", "odd.zip"):
        with pytest.raises(InputError, match="cannot read"):
            read_table(tmp_path / name)
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        archive.writestr("a.csv", "")
        archive.writestr("b.csv", "")
    with pytest.raises(InputError, match="holds 2"):
        read_table(tmp_path / "two.zip")


def test_load_csv(tmp_path: Path) -> None:
    table = np.random.default_rng(0).integers(0, 256, (10, 17), np.uint8)
    (tmp_path / "train.csv").write_text(as_text(table))
    splits = load(DataSpec(str(tmp_path / "train.csv"), validation="last"))
    np.testing.assert_array_equal(splits.train.images.numpy(), table[:8, 1:].reshape(8, 1, 4, 4))
    assert splits.train.labels is not None
    np.testing.assert_array_equal(splits.train.labels.numpy(), table[:8, 0])
