"""A program that extracts weights and texts from an HDF5 file written by Keras.

The HDF5 library loops forever on some damaged files and crashes on others. This file therefore
runs as a separate process, which may end in any way: it takes an HDF5 file on standard input and
writes to standard output what `autodenoise.keras_import.files` parses. It imports nothing of ours.
"""

from __future__ import annotations

import io
import json
import math
import sys
from dataclasses import dataclass, field

import h5py
import numpy as np

__all__ = ["extract"]

_MAX_ENTRIES = 20_000
_MAX_DEPTH = 20
_MAX_TEXTS = 10_000
_TEXT_ATTRIBUTES = ("keras_version", "model_config", "weight_names")
# Up to twice the size of the weights, and not needed.
_SKIPPED_GROUPS = ("/optimizer", "/optimizer_weights")


def extract(content: bytes) -> bytes:
    """Extract the float32 arrays of an HDF5 file and the texts that Keras stores there.

    Return the length of the header (8 bytes); the header as JSON with the ``texts`` by path, the
    ``arrays`` as pairs of path and shape, and the reasons for ``rejected`` arrays by path; the
    values of the arrays. Raise whatever h5py raises for a damaged file.
    """
    reader = _HdfReader(len(content))
    with h5py.File(io.BytesIO(content), "r") as file:
        reader.visit(file, "")
    header = json.dumps(
        {"texts": reader.texts, "arrays": reader.arrays, "rejected": reader.rejected}
    ).encode()
    return b"".join([len(header).to_bytes(8, "little"), header, *reader.values])


@dataclass
class _HdfReader:
    bytes_left: int
    entries_left: int = _MAX_ENTRIES
    texts: dict[str, list[str]] = field(default_factory=dict)
    arrays: list[tuple[str, tuple[int, ...]]] = field(default_factory=list)
    rejected: dict[str, str] = field(default_factory=dict)
    values: list[bytes] = field(default_factory=list)

    def visit(self, group: h5py.Group, path: str) -> None:
        for name in _TEXT_ATTRIBUTES:
            if texts := _texts(group, name):
                self.texts[f"{path}@{name}"] = texts
        for name in group:
            entry_path = f"{path}/{name}"
            # Groups can contain each other in cycles.
            self.entries_left -= 1
            if self.entries_left < 0 or entry_path.count("/") > _MAX_DEPTH:
                raise ValueError("too many entries")
            if entry_path in _SKIPPED_GROUPS:
                continue
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                self.rejected[entry_path] = "is a link"
            elif isinstance(entry := group[name], h5py.Group):
                self.visit(entry, entry_path)
            elif reason := _reject(entry):
                self.rejected[entry_path] = reason
            else:
                # Several entries can refer to the same bytes of the file.
                self.bytes_left -= entry.nbytes
                if self.bytes_left < 0:
                    raise ValueError("more values than bytes")
                self.arrays.append((entry_path, entry.shape))
                self.values.append(np.asarray(entry[()]).tobytes())


def _texts(group: h5py.Group, name: str) -> list[str]:
    """Return the texts of an attribute; Keras splits a long list over several attributes."""
    keys = [name] if name in group.attrs else []
    while not keys or keys[-1] != name:
        if (key := f"{name}{len(keys)}") not in group.attrs:
            break
        keys.append(key)
    if sum(math.prod(group.attrs.get_id(key).shape) for key in keys) > _MAX_TEXTS:
        raise ValueError("too many texts")
    values = [value for key in keys for value in np.atleast_1d(group.attrs[key]).ravel()]
    return [
        value.decode(errors="replace") if isinstance(value, bytes) else str(value)
        for value in values
    ]


def _reject(dataset: object) -> str:
    """Return why an array is rejected: Keras stores plain float32 in the file itself."""
    if not isinstance(dataset, h5py.Dataset):
        return "is not an array"
    if dataset.dtype != np.dtype("<f4"):
        return f"has dtype {dataset.dtype}; expected float32"
    properties = dataset.id.get_create_plist()
    plain = properties.get_layout() in (h5py.h5d.CONTIGUOUS, h5py.h5d.COMPACT)
    complete = dataset.id.get_storage_size() == dataset.nbytes
    if not (plain and complete) or properties.get_external_count() or properties.get_nfilters():
        return "is compressed, incomplete or stored externally, which Keras never does"
    return ""


if __name__ == "__main__":
    sys.stdout.buffer.write(extract(sys.stdin.buffer.read()))
