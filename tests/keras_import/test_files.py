"""Files that are damaged, made in order to do harm, or no whole model."""

from __future__ import annotations

import io
import json
import pickle
import random
import struct
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import keras
import numpy as np
import pytest
from keras import layers

from autodenoise.errors import InputError, MissingExtra
from autodenoise.keras_import import files, read_network
from tests.helpers.keras_models import randomize, save

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with one small network, saved both ways."""
    folder = tmp_path_factory.mktemp("good")
    stack = [layers.Conv2D(2, 3, padding="same", name="one"), layers.Conv2D(1, 1, name="two")]
    model = randomize(keras.Sequential([layers.Input((8, 8, 1)), *stack], name="net"))
    for ending in ("keras", "h5"):
        save(model, folder / f"model.{ending}")
    return folder


Parts = dict[str, bytes]


def parts(folder: Path) -> Parts:
    with zipfile.ZipFile(folder / "model.keras") as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(content: Parts, **options: Any) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", **options) as archive:
        for name, value in content.items():
            archive.writestr(name, value)
    return file.getvalue()


def changed(content: bytes, change: Callable[[h5py.File], None]) -> bytes:
    """Change an HDF5 file."""
    file = io.BytesIO(content)
    with h5py.File(file, "r+") as opened:
        change(opened)
    return file.getvalue()


def refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "model.any"
    path.write_bytes(content)
    with pytest.raises(InputError) as raised:
        read_network(path)
    assert message in str(raised.value)
    assert str(raised.value).isprintable()
    assert [file.name for file in tmp_path.iterdir()] == ["model.any"]


def test_files_that_keras_did_not_write(tmp_path: Path) -> None:
    refused(tmp_path, b"", "neither a .keras nor an .h5 file")
    refused(tmp_path, pickle.dumps({"model": 1}), "neither a .keras nor an .h5 file")
    with pytest.raises(InputError, match="no such file"):
        read_network(tmp_path / "nothing.keras")
    with pytest.raises(InputError, match=r"it is a folder; save the whole model with model\.save"):
        read_network(tmp_path)


def test_kind_of_file_is_detected_from_its_content(good: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.h5"
    path.write_bytes((good / "model.keras").read_bytes())
    assert read_network(path).shape == (1, 8, 8)


def test_truncated_files_are_refused(good: Path, tmp_path: Path) -> None:
    for name in ("model.keras", "model.h5"):
        content = (good / name).read_bytes()
        refused(tmp_path, content[: len(content) // 2], "it is damaged: ")


def test_missing_and_duplicate_entries(good: Path, tmp_path: Path) -> None:
    whole = parts(good)
    for name in ("config.json", "model.weights.h5"):
        rest = {key: value for key, value in whole.items() if key != name}
        refused(tmp_path, zipped(rest), f"it has 0 of {name}; expected 1")
    file = io.BytesIO(zipped(whole))
    with zipfile.ZipFile(file, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("config.json", "{}")
    refused(tmp_path, file.getvalue(), "it has 2 of config.json")
    del whole["metadata.json"]
    path = tmp_path / "model.keras"
    path.write_bytes(zipped(whole))
    assert read_network(path).version == ""


def test_decompression_bombs_are_refused(
    good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "MAX_BYTES", 2**20)
    bomb = {**parts(good), "model.weights.h5": bytes(2**24)}
    content = zipped(bomb, compression=zipfile.ZIP_DEFLATED)
    assert len(content) < 2**16
    refused(tmp_path, content, "its model.weights.h5 has more than 1,048,576 bytes")
    # The directory states a smaller size than the content.
    size = struct.pack("<L", 2**24)
    refused(tmp_path, content.replace(size, struct.pack("<L", 9000)), "it is damaged: ")
    refused(tmp_path, bytes(2**20 + 1), "the file has more than 1,048,576 bytes")


def test_archives_with_too_many_entries_are_refused(good: Path, tmp_path: Path) -> None:
    many = {**parts(good), **{f"assets/{row}": b"" for row in range(1001)}}
    refused(tmp_path, zipped(many), "it has more than 1,000 entries")


def test_archive_entries_are_not_written_to_disk(good: Path, tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    path = tmp_path / "inner" / "model.keras"
    evil = {"../evil.py": b"raise SystemExit", "/etc/evil": b"", "assets/x.pkl": pickle.dumps(1)}
    path.write_bytes(zipped({**parts(good), **evil}))
    assert read_network(path).shape == (1, 8, 8)
    assert [file.name for file in tmp_path.rglob("*")] == ["inner", "model.keras"]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (b"{", "its config.json is not valid JSON"),
        (b"\xff\xfe", "its config.json is not valid JSON"),
        (b"[" * 200_000, "its config.json is not valid JSON"),
        (b'{"a":' * 200_000, "its config.json is not valid JSON"),
        (b"[1]", "its config.json is not a JSON object"),
        (b'{"a": ' + b"1" * 10_000 + b"}", "its config.json is not valid JSON"),
        (b" " * (16 * 1024**2 + 1), "its config.json has more than 16,777,216 bytes"),
        (b"{}", "its class is 'None'"),
    ],
)
def test_invalid_descriptions_are_refused(
    good: Path, tmp_path: Path, config: bytes, message: str
) -> None:
    content = zipped({**parts(good), "config.json": config}, compression=zipfile.ZIP_DEFLATED)
    refused(tmp_path, content, message)


def test_weights_without_a_description_are_refused(good: Path, tmp_path: Path) -> None:
    message = "it contains weights without a description of the network; save the whole model"
    refused(tmp_path, parts(good)["model.weights.h5"], message)
    model = keras.Sequential([layers.Input((8, 8, 1)), layers.Conv2D(1, 1)])
    model.save_weights(tmp_path / "model.weights.h5")
    content = (tmp_path / "model.weights.h5").read_bytes()
    (tmp_path / "model.weights.h5").unlink()
    refused(tmp_path, content, message)


KERNEL = "layers/conv2d/vars/0"


def replaced(**options: Any) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file[KERNEL]
        file.create_dataset(KERNEL, **options)

    return change


def soft_link(file: h5py.File) -> None:
    file.move(KERNEL, "elsewhere")
    file[KERNEL] = h5py.SoftLink("/elsewhere")


def external_link(file: h5py.File) -> None:
    del file["layers/conv2d"]
    file["layers/conv2d"] = h5py.ExternalLink("/etc/passwd", "/")


def virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((3, 3, 1, 2), np.float32)
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", (3, 3, 1, 2))
    del file[KERNEL]
    file.create_virtual_dataset(KERNEL, layout)


def cycle(file: h5py.File) -> None:
    for name in ("again", "and again"):
        file[f"layers/{name}"] = file["layers"]


def repeated(file: h5py.File) -> None:
    file["values"] = np.zeros(1000, np.float32)
    for row in range(100):
        file[f"values {row}"] = file["values"]


def infinite(file: h5py.File) -> None:
    file[KERNEL][0, 0, 0, 0] = np.inf


def not_a_number(file: h5py.File) -> None:
    file[KERNEL][0, 0, 0, 0] = np.nan


def a_group(file: h5py.File) -> None:
    del file[KERNEL]
    file.create_group(KERNEL)


SHAPE = (3, 3, 1, 2)


@pytest.mark.usefixtures("in_this_process")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (soft_link, "the kernel of its layer 'one' is a link"),
        (external_link, "the kernel of its layer 'one' is missing; expected 3x3x1x2 values"),
        (virtual, "is compressed, incomplete or stored externally"),
        (
            replaced(shape=SHAPE, dtype="f4", external="/etc/passwd"),
            "incomplete or stored externally",
        ),
        (replaced(shape=SHAPE, dtype="f4", compression="gzip"), "is compressed, incomplete"),
        (replaced(shape=(10**6, 10**6), dtype="f4"), "is compressed, incomplete"),
        (replaced(shape=SHAPE, dtype="f4"), "is compressed, incomplete or stored externally"),
        (replaced(data=np.zeros(SHAPE)), "has dtype float64; expected float32"),
        (
            replaced(data=np.zeros((5, 5, 1, 2), "f4")),
            "is 5x5x1x2; the network needs 3x3",
        ),
        (replaced(data="text"), "has dtype object; expected float32"),
        (infinite, "contains NaN or infinity; the training"),
        (not_a_number, "contains NaN or infinity; the training"),
        (a_group, "the kernel of its layer 'one' is missing"),
    ],
)
def test_unusual_weights_are_refused(
    good: Path, tmp_path: Path, change: Callable[[h5py.File], None], message: str
) -> None:
    whole = parts(good)
    weights = changed(whole["model.weights.h5"], change)
    refused(tmp_path, zipped({**whole, "model.weights.h5": weights}), message)


@pytest.mark.parametrize("change", [cycle, repeated])
def test_cycles_and_repeated_values_are_refused(
    good: Path, tmp_path: Path, change: Callable[[h5py.File], None]
) -> None:
    whole = parts(good)
    weights = changed(whole["model.weights.h5"], change)
    content = zipped({**whole, "model.weights.h5": weights})
    refused(tmp_path, content, "it is damaged: HDF5 cannot read it")


@pytest.mark.usefixtures("in_this_process")
def test_missing_weights_in_an_h5_file(good: Path, tmp_path: Path) -> None:
    def delete_kernel(file: h5py.File) -> None:
        del file["model_weights/one/net/one/kernel"]

    def delete_names(file: h5py.File) -> None:
        del file["model_weights/one"].attrs["weight_names"]

    content = (good / "model.h5").read_bytes()
    for change in (delete_kernel, delete_names):
        refused(tmp_path, changed(content, change), "the kernel of its layer 'one' is missing")


@pytest.mark.parametrize(
    ("end", "message"), [("hangs", "did not finish"), ("crashes", "cannot read")]
)
def test_hanging_or_crashing_hdf5_is_one_error(
    good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str, message: str
) -> None:
    program = tmp_path / "program.py"
    program.write_text("import os, time\n" + ("time.sleep(60)" if end == "hangs" else "os.abort()"))
    monkeypatch.setattr(files, "_HDF5_PROGRAM", program)
    if end == "hangs":
        monkeypatch.setattr(files, "_HDF5_SECONDS", 1)
    with pytest.raises(InputError, match=message):
        read_network(good / "model.keras")


@pytest.mark.usefixtures("in_this_process")
def test_random_damage_raises_one_error_or_none(good: Path, tmp_path: Path) -> None:
    # Only damage outside HDF5, which would take a process for each file.
    content, worked, messages = (good / "model.keras").read_bytes(), 0, []
    path = tmp_path / "model.keras"
    whole = parts(good)
    for seed in range(300):
        random_ = random.Random(seed)
        if seed % 2:
            damaged = bytearray(whole["config.json"])
            damaged[random_.randrange(len(damaged))] = random_.randrange(32, 127)
            path.write_bytes(zipped({**whole, "config.json": bytes(damaged)}))
        else:
            damaged = bytearray(content)
            damaged[random_.randrange(len(damaged) // 4)] ^= 1 << random_.randrange(8)
            path.write_bytes(damaged)
        try:
            assert read_network(path).shape[0] == 1
            worked += 1
        except InputError as error:
            messages.append(str(error))
    assert all(message.isprintable() for message in messages)
    assert 20 < worked < 280


def test_missing_h5py_names_the_extra(good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(MissingExtra, match=r"h5py is missing.*autodenoise\[keras\]"):
        read_network(good / "model.keras")


def test_control_characters_in_the_version_are_dropped(good: Path, tmp_path: Path) -> None:
    metadata = json.dumps({"keras_version": "\x1b]0;mine\x07"}).encode()
    path = tmp_path / "model.keras"
    path.write_bytes(zipped({**parts(good), "metadata.json": metadata}))
    assert read_network(path).version == ""
