"""What an HDF5 file of Keras's holds, told in plain bytes by a process of its own.

The HDF5 library goes on for ever over some damaged files, and crashes over others. So this file is
run as a program, which may come to any end: it takes an HDF5 file from standard input and writes
to standard output what `autodenoise.keras_import.stored` reads. It imports nothing of ours.
"""

from __future__ import annotations

import io
import json
import math
import sys
from dataclasses import dataclass, field

import h5py
import numpy as np

__all__ = ["dump"]

_MOST_PARTS = 20_000
_DEEPEST = 20
_LONGEST_LIST = 10_000
_TEXTS = ("keras_version", "model_config", "weight_names")
# Three times the weights, and of no use here.
_PASSED_OVER = ("/optimizer", "/optimizer_weights")


def dump(content: bytes) -> bytes:
    """Tell what an HDF5 file holds: its float32 arrays, and the texts that Keras puts there.

    Returns
    -------
    bytes
        The length of what follows in 8 bytes; JSON with the ``texts`` by their path, the ``arrays``
        as path and shape, and the reasons why others are ``refused`` by their path; then the
        arrays' values.

    Raises
    ------
    Exception
        Whatever h5py raises over a damaged file.
    """
    found = _Found(len(content))
    with h5py.File(io.BytesIO(content), "r") as file:
        found.go_through(file, "")
    told = {"texts": found.texts, "arrays": found.arrays, "refused": found.refused}
    header = json.dumps(told).encode()
    return b"".join([len(header).to_bytes(8, "little"), header, *found.values])


@dataclass
class _Found:
    bytes_left: int
    parts_left: int = _MOST_PARTS
    texts: dict[str, list[str]] = field(default_factory=dict)
    arrays: list[tuple[str, tuple[int, ...]]] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    values: list[bytes] = field(default_factory=list)

    def go_through(self, group: h5py.Group, path: str) -> None:
        for name in _TEXTS:
            if texts := _texts(group, name):
                self.texts[f"{path}@{name}"] = texts
        for name in group:
            place = f"{path}/{name}"
            # Groups may hold each other, in circles.
            self.parts_left -= 1
            if self.parts_left < 0 or place.count("/") > _DEEPEST:
                raise ValueError("too many parts")
            if place in _PASSED_OVER:
                continue
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                self.refused[place] = "is a link to elsewhere"
            elif isinstance(part := group[name], h5py.Group):
                self.go_through(part, place)
            elif reason := _reason(part):
                self.refused[place] = reason
            else:
                # Many may be the same bytes of the file.
                self.bytes_left -= part.nbytes
                if self.bytes_left < 0:
                    raise ValueError("more values than bytes")
                self.arrays.append((place, part.shape))
                self.values.append(np.asarray(part[()]).tobytes())


def _texts(group: h5py.Group, name: str) -> list[str]:
    """Give the texts of an attribute; Keras splits a long list over several."""
    keys = [name] if name in group.attrs else []
    while not keys or keys[-1] != name:
        if (key := f"{name}{len(keys)}") not in group.attrs:
            break
        keys.append(key)
    if sum(math.prod(group.attrs.get_id(key).shape) for key in keys) > _LONGEST_LIST:
        raise ValueError("too many texts")
    values = [value for key in keys for value in np.atleast_1d(group.attrs[key]).ravel()]
    return [
        value.decode(errors="replace") if isinstance(value, bytes) else str(value)
        for value in values
    ]


def _reason(dataset: object) -> str:
    """Say why an array is not taken: Keras writes float32, unpacked, into the file itself."""
    if not isinstance(dataset, h5py.Dataset):
        return "is no array"
    if dataset.dtype != np.dtype("<f4"):
        return f"is of type {dataset.dtype}; expected float32"
    made = dataset.id.get_create_plist()
    plain = made.get_layout() in (h5py.h5d.CONTIGUOUS, h5py.h5d.COMPACT)
    whole = dataset.id.get_storage_size() == dataset.nbytes
    if not plain or not whole or made.get_external_count() or made.get_nfilters():
        return "is packed, incomplete or elsewhere, as Keras never writes it"
    return ""


if __name__ == "__main__":
    sys.stdout.buffer.write(dump(sys.stdin.buffer.read()))
