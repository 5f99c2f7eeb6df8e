"""Files that Keras has saved, taken apart without Keras: what the network is, and its weights.

There are two kinds. A ``.keras`` file is a zip archive of ``metadata.json``, ``config.json`` and
``model.weights.h5``; whole-model ``.h5`` files are HDF5, with the network as JSON in an attribute.
Keras can put Python code and the names of other files into either; here nothing is run, nothing is
unpacked, no other file is opened, and what is read is bounded by the size of the file.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
import zlib
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from autodenoise.errors import InputError
from autodenoise.files import printable
from autodenoise.keras_import.stored import read as read_stored

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from autodenoise.keras_import.stored import Stored

__all__ = ["LARGEST", "KerasFile", "Place", "read"]

LARGEST: Final = 512 * 1024**2
"""The most bytes that a file may have, and its weights, unpacked."""

_LONGEST_JSON = 16 * 1024**2
_MOST_ENTRIES = 1000

_ZIP, _HDF5 = b"PK\x03\x04", b"\x89HDF\r\n\x1a\n"
_CONFIG, _METADATA, _WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
_AS_A_WHOLE = "save the whole model, with model.save('model.keras')"


class Place(NamedTuple):
    """A layer among those of its model.

    Attributes
    ----------
    name
        The layer's own.
    key
        What a ``.keras`` file calls it: its class, and its number among those of the class.
    """

    name: str
    key: str


class KerasFile(ABC):
    """What a file holds.

    Attributes
    ----------
    model
        The network, as Keras describes it: a ``class_name`` and a ``config``.
    version
        Of the Keras that wrote it; empty if it does not tell.
    """

    def __init__(self, model: dict[str, Any], version: object, stored: Stored) -> None:
        self.model = model
        told = version if isinstance(version, str) else ""
        self.version = told if re.fullmatch(r"[\w.+-]{1,40}", told) else ""
        self._stored = stored

    def weights(
        self, places: Sequence[Place], shapes: Mapping[str, tuple[int, ...]]
    ) -> dict[str, NDArray[np.float32]]:
        """Give the weights of a layer.

        Parameters
        ----------
        places
            The layer's, below those of the models that it is in, outermost first.
        shapes
            What the layer has by Keras's names, in Keras's order.

        Raises
        ------
        InputError
            Some are missing, of another shape, no float32, infinite or no numbers, or lie
            elsewhere.
        """
        layer = printable(places[-1].name)
        found = self._find(places, list(shapes))
        weights = {}
        for name, shape in shapes.items():
            what, path = f"the {name} of its layer '{layer}'", found.get(name, "")
            if reason := self._stored.refused.get(path):
                raise InputError(f"{what} {reason}")
            if path not in self._stored.arrays:
                raise InputError(f"{what} is missing; expected {_sides(shape)} numbers")
            values = self._stored.arrays[path]
            if values.shape != shape:
                raise InputError(
                    f"{what} is {_sides(values.shape)}; by the network it should be {_sides(shape)}"
                )
            if not np.isfinite(values).all():
                raise InputError(
                    f"{what} has values that are infinite or no numbers: its training went astray"
                )
            weights[name] = values
        return weights

    @abstractmethod
    def _find(self, places: Sequence[Place], names: Sequence[str]) -> dict[str, str]:
        """Find where a layer's weights lie, by their names."""


class _Archive(KerasFile):
    """A ``.keras`` file, of Keras 3 or of Keras 2.12 and later."""

    def _find(self, places: Sequence[Place], names: Sequence[str]) -> dict[str, str]:
        # Keras 2.12 had another name for them.
        within = ("layers", "_layer_checkpoint_dependencies")
        for layers in within:
            group = "".join(f"/{layers}/{place.key}" for place in places) + "/vars"
            if any(f"{group}/0" in held for held in (self._stored.arrays, self._stored.refused)):
                return {name: f"{group}/{row}" for row, name in enumerate(names)}
        return {}


class _Legacy(KerasFile):
    """A whole-model ``.h5`` file, as Keras 2 and 3 write it."""

    def _find(self, places: Sequence[Place], names: Sequence[str]) -> dict[str, str]:
        group, layer = f"/model_weights/{places[0].name}", places[-1].name
        found: dict[str, str] = {}
        for path in self._stored.texts.get(f"{group}@weight_names", []):
            # "conv2d/kernel:0"; Keras 3 leaves out the number, and may put the model's name first.
            *above, name = path.partition(":")[0].split("/")
            if name not in names or (len(places) > 1 and above[-1:] != [layer]):
                continue
            if name in found:
                raise InputError(
                    f"the models in its model '{printable(places[0].name)}' have several layers "
                    f"called '{printable(layer)}', which an .h5 file does not keep apart; save it "
                    "as a .keras file"
                )
            found[name] = f"{group}/{path}"
        return found


def read(path: Path) -> KerasFile:
    """Read a file that Keras has saved; which kind it is, is seen by its content.

    Raises
    ------
    InputError
        There is no such file, it is too large or damaged, or holds no whole model.
    """
    if path.is_dir():
        raise InputError(f"it is a folder; {_AS_A_WHOLE}")
    if not path.is_file():
        raise InputError("there is no such file")
    try:
        with path.open("rb") as file:
            # One byte too many is enough to tell.
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise InputError(f"it cannot be read: {error.strerror or error}") from None
    if len(content) > LARGEST:
        raise InputError(f"it has more than {LARGEST:,} bytes")
    if content.startswith(_ZIP):
        return _read_archive(content)
    if content.startswith(_HDF5):
        return _read_legacy(content)
    raise InputError("it is neither a .keras file nor an .h5 file")


def _read_archive(content: bytes) -> _Archive:
    # Each entry of the table of contents begins so, and becomes an object before it is looked at.
    if content.count(b"PK\x01\x02") > _MOST_ENTRIES:
        raise InputError(f"it has more than {_MOST_ENTRIES:,} parts")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = archive.namelist()
            for name in (_CONFIG, _WEIGHTS):
                if names.count(name) != 1:
                    raise InputError(f"it has {names.count(name)} of {name}; expected 1")
            config = _entry(archive, _CONFIG, _LONGEST_JSON)
            told = _entry(archive, _METADATA, _LONGEST_JSON) if _METADATA in names else b"{}"
            weights = _entry(archive, _WEIGHTS, LARGEST)
    except (
        *(EOFError, NotImplementedError, OSError, RuntimeError, UnicodeDecodeError, ValueError),
        *(zipfile.BadZipFile, zlib.error),
    ) as error:
        raise InputError(f"it is damaged: {printable(str(error))}") from None
    model, version = _json(config, _CONFIG), _json(told, _METADATA).get("keras_version")
    return _Archive(model, version, read_stored(weights))


def _entry(archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    with archive.open(name) as entry:
        # Whatever the table of contents says, and however well it is packed.
        content = entry.read(most + 1)
    if len(content) > most:
        raise InputError(f"its {name} has more than {most:,} bytes")
    return content


def _read_legacy(content: bytes) -> _Legacy:
    stored = read_stored(content)
    config = stored.texts.get("@model_config")
    if not config:
        raise InputError(f"it holds weights alone, and not what network they are of; {_AS_A_WHOLE}")
    # Keras 2 writes it into both.
    versions = [stored.texts.get(f"{path}@keras_version", [""]) for path in ("", "/model_weights")]
    return _Legacy(_json(config[0], "model_config"), max(versions)[0], stored)


def _json(content: bytes | str, name: str) -> dict[str, Any]:
    if len(content) > _LONGEST_JSON:
        raise InputError(f"its {name} is longer than {_LONGEST_JSON:,}")
    try:
        told = json.loads(content)
    except (RecursionError, ValueError):
        raise InputError(f"it is damaged: its {name} is no JSON that can be read") from None
    if not isinstance(told, dict):
        raise InputError(f"it is damaged: its {name} is no object")
    return told


def _sides(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))
