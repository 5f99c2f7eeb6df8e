"""Files that Keras has saved, taken apart without Keras: what the network is, and its weights.

There are two kinds. A ``.keras`` file is a zip archive of ``metadata.json``, ``config.json`` and
``model.weights.h5``; whole-model ``.h5`` files are HDF5, with the network as JSON in an attribute.
Keras can put Python code and the names of other files into either; here nothing is run, nothing is
unpacked, no other file is opened, and what is read is bounded by the size of the file.
"""

from __future__ import annotations

import io
import json
import math
import re
import zipfile
import zlib
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

import h5py
import numpy as np

from autodenoise.errors import InputError
from autodenoise.files import printable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["LARGEST", "KerasFile", "Place", "read"]

LARGEST: Final = 512 * 1024**2
"""The most bytes that a file may have, and its weights, unpacked."""

_LONGEST_JSON = 16 * 1024**2
_MOST_ENTRIES = 1000
_MOST_NAMES = 10_000

_ZIP, _HDF5 = b"PK\x03\x04", b"\x89HDF\r\n\x1a\n"
_CONFIG, _METADATA, _WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
_AS_A_WHOLE = "save the whole model, with model.save('model.keras')"

# What h5py raises for a file that is damaged, or was made to be.
_UNREADABLE = (KeyError, MemoryError, OSError, OverflowError, RuntimeError, TypeError, ValueError)

_Kind = TypeVar("_Kind", h5py.Group, h5py.Dataset)


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
    """An open file.

    Attributes
    ----------
    model
        The network, as Keras describes it: a ``class_name`` and a ``config``.
    version
        Of the Keras that wrote it; empty if it does not tell.
    """

    def __init__(self, model: dict[str, Any], version: str, stored: h5py.File) -> None:
        self.model = model
        self.version = version if re.fullmatch(r"[\w.+-]{1,40}", version) else ""
        self._stored = stored

    def weights(
        self, places: Sequence[Place], shapes: Mapping[str, tuple[int, ...]]
    ) -> dict[str, NDArray[np.float32]]:
        """Read the weights of a layer.

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
        layer = f"the layer '{printable(places[-1].name)}'"
        try:
            found = self._find(places, list(shapes))
            return {
                name: _read(dataset, f"the {name} of {layer}", shapes[name])
                for name, dataset in found.items()
            }
        except _UNREADABLE:
            needed = " and ".join(
                f"{name} {'x'.join(map(str, shape))}" for name, shape in shapes.items()
            )
            raise InputError(
                f"the weights of {layer} are missing or damaged; expected {needed}"
            ) from None

    def close(self) -> None:
        """Close it."""
        self._stored.close()

    @abstractmethod
    def _find(self, places: Sequence[Place], names: Sequence[str]) -> dict[str, h5py.Dataset]:
        """Find the weights of a layer by their names; `KeyError` where there are none."""


class _Archive(KerasFile):
    """A ``.keras`` file, of Keras 3 or of Keras 2.12 and later."""

    def _find(self, places: Sequence[Place], names: Sequence[str]) -> dict[str, h5py.Dataset]:
        group: h5py.Group = self._stored
        for place in places:
            # The name that Keras 2.12 used.
            within = "layers" if "layers" in group else "_layer_checkpoint_dependencies"
            group = _get(_get(group, within, h5py.Group), place.key, h5py.Group)
        held = _get(group, "vars", h5py.Group)
        if len(held) != len(names):
            raise KeyError(names)
        return {name: _get(held, str(row), h5py.Dataset) for row, name in enumerate(names)}


class _Legacy(KerasFile):
    """A whole-model ``.h5`` file, as Keras 2 and 3 write it."""

    def _find(self, places: Sequence[Place], names: Sequence[str]) -> dict[str, h5py.Dataset]:
        outermost, layer = places[0], places[-1]
        group = _get(_get(self._stored, "model_weights", h5py.Group), outermost.name, h5py.Group)
        found: dict[str, h5py.Dataset] = {}
        for path in _texts(group, "weight_names"):
            # "conv2d/kernel:0"; Keras 3 leaves out the number, and may put the model's name first.
            *above, name = path.partition(":")[0].split("/")
            inside = len(places) > 1
            if name not in names or (inside and above[-1:] != [layer.name]):
                continue
            if name in found:
                raise InputError(
                    f"two layers are called '{printable(layer.name)}' in the model "
                    f"'{printable(outermost.name)}', and share their names of weights; "
                    f"{_AS_A_WHOLE} instead"
                )
            *groups, last = path.split("/")
            holder = group
            for step in groups:
                holder = _get(holder, step, h5py.Group)
            found[name] = _get(holder, last, h5py.Dataset)
        return {name: found[name] for name in names}


def read(path: Path) -> KerasFile:
    """Open a file that Keras has saved; which kind it is, is seen by its content.

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
    return _Archive(model, version if isinstance(version, str) else "", _open(weights))


def _entry(archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    with archive.open(name) as entry:
        # Whatever the table of contents says, and however well it is packed.
        content = entry.read(most + 1)
    if len(content) > most:
        raise InputError(f"its {name} has more than {most:,} bytes")
    return content


def _read_legacy(content: bytes) -> _Legacy:
    stored = _open(content)
    try:
        if "model_config" not in stored.attrs:
            raise InputError(
                f"it holds weights alone, and not what network they are of; {_AS_A_WHOLE}"
            )
        (config,) = _texts(stored, "model_config")
        weights = _get(stored, "model_weights", h5py.Group)
        # Keras 2 writes it into both.
        holder = next((part for part in (stored, weights) if "keras_version" in part.attrs), None)
        (version,) = ("",) if holder is None else _texts(holder, "keras_version")
    except _UNREADABLE:
        raise InputError("it is damaged: its description of the network cannot be read") from None
    return _Legacy(_json(config.encode(), "model_config"), version, stored)


def _open(content: bytes) -> h5py.File:
    try:
        return h5py.File(io.BytesIO(content), "r")
    except _UNREADABLE:
        raise InputError("it is damaged: its weights are no HDF5 file that can be read") from None


def _json(content: bytes, name: str) -> dict[str, Any]:
    if len(content) > _LONGEST_JSON:
        raise InputError(f"its {name} has more than {_LONGEST_JSON:,} bytes")
    try:
        told = json.loads(content)
    except (RecursionError, ValueError):
        raise InputError(f"it is damaged: its {name} is no JSON that can be read") from None
    if not isinstance(told, dict):
        raise InputError(f"it is damaged: its {name} is no object")
    return told


def _get(group: h5py.Group, name: str, kind: type[_Kind]) -> _Kind:
    """Give what lies in a group under a name: in this file, and of this kind."""
    link = group.get(name, getlink=True)
    if isinstance(link, h5py.ExternalLink | h5py.SoftLink):
        raise InputError(f"its '{printable(name)}' is a link to elsewhere, which Keras never makes")
    found = group[name]
    if not isinstance(found, kind):
        raise KeyError(name)
    return found


def _texts(holder: h5py.Group, name: str) -> list[str]:
    """Give the texts of an attribute; Keras splits a long list over several."""
    if name not in holder.attrs and f"{name}0" in holder.attrs:
        parts = [key for row in range(_MOST_NAMES) if (key := f"{name}{row}") in holder.attrs]
        return [text for part in parts for text in _texts(holder, part)]
    if math.prod(holder.attrs.get_id(name).shape) > _MOST_NAMES:
        raise ValueError(name)
    value = np.atleast_1d(holder.attrs[name])
    return [item.decode() if isinstance(item, bytes) else str(item) for item in value.ravel()]


def _read(dataset: h5py.Dataset, what: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Read weights that lie in the file as they are: Keras packs none, and leaves none out."""
    if dataset.shape != shape:
        expected, found = ("x".join(map(str, sides)) for sides in (shape, dataset.shape))
        raise InputError(f"{what} is {found}; by the network it should be {expected}")
    if dataset.dtype != np.float32:
        raise InputError(f"{what} is of type {dataset.dtype}; expected float32")
    made = dataset.id.get_create_plist()
    plain = made.get_layout() in (h5py.h5d.CONTIGUOUS, h5py.h5d.COMPACT)
    stored = dataset.id.get_storage_size()
    if not plain or made.get_external_count() or made.get_nfilters() or stored != dataset.nbytes:
        raise InputError(f"{what} is packed, incomplete or elsewhere, as Keras never writes it")
    values: NDArray[np.float32] = dataset[()]
    if not np.isfinite(values).all():
        raise InputError(
            f"{what} has values that are infinite or no numbers: its training went astray"
        )
    return values.astype(np.float32, copy=False)
