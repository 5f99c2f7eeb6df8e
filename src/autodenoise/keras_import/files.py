"""Parse files saved by Keras, without Keras: the description of the network, and its weights.

A ``.keras`` file is a zip archive of ``metadata.json``, ``config.json`` and ``model.weights.h5``.
A whole-model ``.h5`` file is HDF5 with the description as JSON in an attribute. Keras can store
Python code and names of other files in either. Here nothing is run or unpacked, no other file is
opened, and the amount of data read is bounded by the size of the file.
"""

from __future__ import annotations

import importlib.util
import io
import json
import math
import re
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from autodenoise.errors import InputError, MissingExtra, extra_of
from autodenoise.files import printable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

__all__ = [
    *("MAX_BYTES", "HDF5Content", "KerasFile", "LayerLocation"),
    *("parse_hdf5_content", "read_file", "read_hdf5"),
]

MAX_BYTES: Final = 512 * 1024**2
"""Of a file, and of its weights once decompressed."""

_MAX_JSON_BYTES = 16 * 1024**2
_MAX_ARCHIVE_ENTRIES = 1000

_ZIP, _HDF5 = b"PK\x03\x04", b"\x89HDF\r\n\x1a\n"
_CONFIG, _METADATA, _WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
_SAVE_WHOLE_MODEL = "save the whole model with model.save('model.keras')"

_HDF5_PROGRAM = Path(__file__).with_name("hdf5.py")
_HDF5_SECONDS: Final = 20
_HDF5_BYTES_PER_SECOND: Final = 25_000_000
"""Time limit: reading half a GiB takes about two seconds, starting less than one."""


class LayerLocation(NamedTuple):
    """A layer within its model.

    `key` is its name in a ``.keras`` file: the class, numbered among layers of that class.
    """

    name: str
    key: str


@dataclass(frozen=True)
class HDF5Content:
    """The relevant content of an HDF5 file.

    Texts are by path and attribute, ``"/conv2d@weight_names"``; arrays, and the reasons why others
    are rejected, by path, ``"/conv2d/kernel:0"``.
    """

    texts: Mapping[str, list[str]]
    arrays: Mapping[str, NDArray[np.float32]]
    rejected: Mapping[str, str]


@dataclass(frozen=True)
class KerasFile:
    """A network in a file.

    `model` is Keras's description of the network, with a ``class_name`` and a ``config``, and
    `version` that of Keras, empty if unknown. `locate` returns the HDF5 paths of a layer's weights
    by their names.
    """

    model: dict[str, Any]
    version: str
    content: HDF5Content
    locate: Callable[[Sequence[LayerLocation], Sequence[str]], dict[str, str]]

    def weights(
        self, path: Sequence[LayerLocation], shapes: Mapping[str, tuple[int, ...]]
    ) -> dict[str, NDArray[np.float32]]:
        """Return the weights of a layer, and check them.

        The path has the models that contain the layer, outermost first, and the layer itself. The
        expected shapes are by Keras's names, in Keras's order.
        """
        layer = printable(path[-1].name)
        locations = self.locate(path, list(shapes))
        weights = {}
        for name, shape in shapes.items():
            what, location = f"the {name} of its layer '{layer}'", locations.get(name, "")
            if reason := self.content.rejected.get(location):
                raise InputError(f"{what} {reason}")
            if location not in self.content.arrays:
                raise InputError(f"{what} is missing; expected {_format_shape(shape)} values")
            values = self.content.arrays[location]
            if values.shape != shape:
                raise InputError(
                    f"{what} is {_format_shape(values.shape)}; the network needs "
                    f"{_format_shape(shape)}"
                )
            if not np.isfinite(values).all():
                raise InputError(
                    f"{what} contains NaN or infinity; the training has probably diverged"
                )
            weights[name] = values
        return weights


def _locate_in_archive(
    content: HDF5Content, path: Sequence[LayerLocation], names: Sequence[str]
) -> dict[str, str]:
    # The second name is that of Keras 2.12.
    for layers in ("layers", "_layer_checkpoint_dependencies"):
        group = "".join(f"/{layers}/{location.key}" for location in path) + "/vars"
        if any(f"{group}/0" in part for part in (content.arrays, content.rejected)):
            return {name: f"{group}/{index}" for index, name in enumerate(names)}
    return {}


def _locate_in_legacy_file(
    content: HDF5Content, path: Sequence[LayerLocation], names: Sequence[str]
) -> dict[str, str]:
    group, layer = f"/model_weights/{path[0].name}", path[-1].name
    locations: dict[str, str] = {}
    for location in content.texts.get(f"{group}@weight_names", []):
        # "conv2d/kernel:0"; Keras 3 omits the number and may prepend the model's name.
        *parents, name = location.partition(":")[0].split("/")
        if name not in names or (len(path) > 1 and parents[-1:] != [layer]):
            continue
        if name in locations:
            raise InputError(
                f"the models in its model '{printable(path[0].name)}' have several layers "
                f"named '{printable(layer)}', which an .h5 file does not distinguish; save it "
                "as a .keras file"
            )
        locations[name] = f"{group}/{location}"
    return locations


def _valid_version(version: object) -> str:
    text = version if isinstance(version, str) else ""
    return text if re.fullmatch(r"[\w.+-]{1,40}", text) else ""


def read_file(path: Path) -> KerasFile:
    """Read a file saved by Keras; the kind of file is detected from its content."""
    if path.is_dir():
        raise InputError(f"it is a folder; {_SAVE_WHOLE_MODEL}")
    if not path.is_file():
        raise InputError("no such file")
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise InputError(f"the file cannot be read: {error.strerror or error}") from None
    if len(content) > MAX_BYTES:
        raise InputError(f"the file has more than {MAX_BYTES:,} bytes")
    if content.startswith(_ZIP):
        return _read_archive(content)
    if content.startswith(_HDF5):
        return _read_legacy(content)
    raise InputError("it is neither a .keras nor an .h5 file")


def _read_archive(content: bytes) -> KerasFile:
    """Read a ``.keras`` file, written by Keras 3 or by Keras 2.12 and later."""
    # Counted by signature, because zipfile creates an object per entry of the directory.
    if content.count(b"PK\x01\x02") > _MAX_ARCHIVE_ENTRIES:
        raise InputError(f"it has more than {_MAX_ARCHIVE_ENTRIES:,} entries")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = archive.namelist()
            for name in (_CONFIG, _WEIGHTS):
                if names.count(name) != 1:
                    raise InputError(f"it has {names.count(name)} of {name}; expected 1")
            config = _read_entry(archive, _CONFIG, _MAX_JSON_BYTES)
            metadata = (
                _read_entry(archive, _METADATA, _MAX_JSON_BYTES) if _METADATA in names else b"{}"
            )
            weights = _read_entry(archive, _WEIGHTS, MAX_BYTES)
    except (
        *(EOFError, NotImplementedError, OSError, RuntimeError, UnicodeDecodeError, ValueError),
        *(zipfile.BadZipFile, zlib.error),
    ) as error:
        raise InputError(f"it is damaged: {printable(str(error))}") from None
    version = _valid_version(_parse_json(metadata, _METADATA).get("keras_version"))
    model, hdf5 = _parse_json(config, _CONFIG), read_hdf5(weights)
    return KerasFile(model, version, hdf5, partial(_locate_in_archive, hdf5))


def _read_entry(archive: zipfile.ZipFile, name: str, max_bytes: int) -> bytes:
    with archive.open(name) as entry:
        # Limited here, because the size in the directory may be wrong.
        content = entry.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise InputError(f"its {name} has more than {max_bytes:,} bytes")
    return content


def _read_legacy(content: bytes) -> KerasFile:
    """Read a whole-model ``.h5`` file, written by Keras 2 or 3."""
    hdf5 = read_hdf5(content)
    config = hdf5.texts.get("@model_config")
    if not config:
        raise InputError(
            f"it contains weights without a description of the network; {_SAVE_WHOLE_MODEL}"
        )
    # Keras 2 writes the version to both places.
    versions = [hdf5.texts.get(f"{path}@keras_version", [""]) for path in ("", "/model_weights")]
    model, version = _parse_json(config[0], "model_config"), _valid_version(max(versions)[0])
    return KerasFile(model, version, hdf5, partial(_locate_in_legacy_file, hdf5))


def _parse_json(content: bytes | str, name: str) -> dict[str, Any]:
    if len(content) > _MAX_JSON_BYTES:
        raise InputError(f"its {name} is longer than {_MAX_JSON_BYTES:,}")
    try:
        value = json.loads(content)
    except (RecursionError, ValueError):
        raise InputError(f"it is damaged: its {name} is not valid JSON") from None
    if not isinstance(value, dict):
        raise InputError(f"it is damaged: its {name} is not a JSON object")
    return value


def read_hdf5(content: bytes) -> HDF5Content:
    """Read an HDF5 file in a separate process."""
    if importlib.util.find_spec("h5py") is None:
        raise MissingExtra("h5py", extra_of("h5py"))
    try:
        process = subprocess.run(
            # -P keeps the program's folder out of sys.path: its modules have common names.
            [sys.executable, "-P", str(_HDF5_PROGRAM)],
            input=content,
            capture_output=True,
            timeout=_HDF5_SECONDS + len(content) / _HDF5_BYTES_PER_SECOND,
            check=True,
        )
    except subprocess.TimeoutExpired as error:
        raise InputError(
            f"it is damaged: HDF5 did not finish reading it in {error.timeout:.0f} seconds"
        ) from None
    except subprocess.CalledProcessError:
        raise InputError("it is damaged: HDF5 cannot read it") from None
    return parse_hdf5_content(process.stdout)


def parse_hdf5_content(output: bytes) -> HDF5Content:
    """Parse the output of `hdf5.extract`."""
    start = 8 + int.from_bytes(output[:8], "little")
    header = json.loads(output[8:start])
    arrays = {}
    for path, shape in header["arrays"]:
        count = math.prod(shape)
        arrays[path] = np.frombuffer(output, "<f4", count, start).reshape(shape)
        start += 4 * count
    return HDF5Content(header["texts"], arrays, header["rejected"])


def _format_shape(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))
