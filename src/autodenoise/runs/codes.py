"""Encode images into the bottleneck of a network, and decode them."""

from __future__ import annotations

import hashlib
import io
import math
import zipfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from autodenoise import images as image_files
from autodenoise import nets
from autodenoise.data import dataset as datasets
from autodenoise.data.arrays import read_images
from autodenoise.data.crops import as_float
from autodenoise.data.splits import Part
from autodenoise.errors import InputError, OutputError, UsageError
from autodenoise.export.from_onnx import load_network
from autodenoise.files import make_folder, write_bytes
from autodenoise.plots import figure as figures
from autodenoise.plots.code_map import code_map
from autodenoise.runs.networks import trained
from autodenoise.runs.run import Run, to_images
from autodenoise.runtime.tiling import check_size

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from numpy.typing import NDArray

    from autodenoise.data.download import OnBytes
    from autodenoise.nets import Autoencoder
    from autodenoise.runtime import Card

__all__ = ["Codes", "decode", "encode"]

_BATCH_SIZE = 500

_Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Codes:
    """The result of `encode`: `count` float32 codes of shape `code`, of images (C, H, W)."""

    count: int
    code: tuple[int, ...]
    image: tuple[int, int, int]
    file_bytes: int

    @property
    def ratio(self) -> float:
        """The number of values in an image per number in its code."""
        return math.prod(self.image) / math.prod(self.code)


@dataclass(frozen=True)
class _Coder:
    """A run folder or a model file that encodes images."""

    source: Path
    name: str
    size: tuple[int, int] | None
    network: Callable[[_Shape], Autoencoder]

    @classmethod
    def open(cls, source: str | os.PathLike[str]) -> _Coder:
        path = Path(source)
        if path.is_file():
            network, card = load_network(path)
            return cls(path, card.name, card.size, partial(_fitting, network, card))
        run = Run.open(path)
        return cls(run.folder, run.recipe.name, run.recipe.data.size, partial(trained, run))


def _fitting(network: Autoencoder, card: Card, shape: _Shape) -> Autoencoder:
    channels, height, width = shape
    if channels != card.channels:
        raise InputError(
            f"the model {card.name} expects {card.channels} channel(s), the images have {channels}"
        )
    check_size(card, height, width)
    if height % card.size_multiple or width % card.size_multiple:
        raise InputError(
            f"the model {card.name} encodes images whose sides are multiples of "
            f"{card.size_multiple}; these have {width}x{height} pixels"
        )
    return network


def encode(
    folder: str | os.PathLike[str],
    source: str,
    out: str | os.PathLike[str],
    *,
    chart: str | os.PathLike[str] | None = None,
    on_bytes: OnBytes | None = None,
) -> Codes:
    """Encode images, and write their codes to a file.

    The file is a compressed ``.npz`` with the arrays ``codes`` (N, ...) float32, ``names`` (N,),
    ``shape`` (channels, height, width), ``network``, the digest of the weights, and ``labels`` (N,)
    if the images have labels.

    Parameters
    ----------
    folder
        The run folder, or a model file.
    source
        A folder of images, or a dataset as in a recipe, whose test images are used. They are
        resized to the size in the recipe or the model file.
    out
        The file to write.
    chart
        Draw a map of the codes into this ``.png`` or ``.svg``.
    on_bytes
        Callback for the progress of downloads.

    Raises
    ------
    UsageError
        The network has no bottleneck: its code is as large as the image, or consists of several
        tensors.
    InputError
        There are no images, or they do not fit the network.
    OutputError
        A file to write exists already or cannot be written.
    """
    coder = _Coder.open(folder)
    targets = [_free(Path(out), ".npz")]
    if chart is not None:
        targets.append(_free(Path(chart), ".png", ".svg"))
    names, part, classes = _read(coder.size, source, on_bytes)
    channels, height, width = part.images.shape[1:]
    shape = (channels, height, width)
    network, code = _with_bottleneck(coder, shape)
    batches = torch.split(part.images, _BATCH_SIZE)
    codes = torch.cat([network.encoder(as_float(batch)) for batch in batches]).numpy()
    labels = None if part.labels is None else part.labels.numpy()
    arrays: dict[str, Any] = {
        "codes": codes,
        "names": np.array(names),
        "shape": np.array(shape),
        "network": np.array(_digest(network)),
    }
    if labels is not None:
        arrays["labels"] = labels
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)
    if chart is not None:
        # Before the codes, so that an error leaves no file.
        figure = code_map(codes, to_images(part.images), labels, classes, coder.name)
        figures.save(figure, targets[1])
    write_bytes(targets[0], content.getvalue())
    return Codes(len(codes), code, shape, len(content.getvalue()))


def decode(
    folder: str | os.PathLike[str], codes: str | os.PathLike[str], out: str | os.PathLike[str]
) -> list[Path]:
    """Decode codes into image files.

    Parameters
    ----------
    folder
        The run folder or model file that encoded the images.
    codes
        A file that `encode` wrote.
    out
        The folder for the images: 8-bit PNG files with the names of the originals.

    Returns
    -------
    list of Path
        The files.

    Raises
    ------
    InputError
        The file is damaged, or another network wrote it.
    OutputError
        A file exists already or cannot be written.
    """
    coder = _Coder.open(folder)
    path = Path(codes)
    arrays = _load(path)
    channels, height, width = (int(side) for side in arrays["shape"])
    network, code = _with_bottleneck(coder, (channels, height, width))
    values = arrays["codes"]
    if str(arrays["network"]) != _digest(network) or values.shape[1:] != code:
        raise InputError(
            f"{path} was written by another network than {coder.source}, or before more training; "
            "decode with the run that encoded the images"
        )
    # Names are untrusted: use only their last component.
    stems = [Path(str(name)).name for name in arrays["names"]]
    if len(set(stems)) != len(values) or not all(stems):
        raise InputError(f"the names of the {len(values)} images in {path} are not unique")
    targets = [_free(Path(out) / f"{stem}.png", ".png") for stem in stems]
    make_folder(Path(out))
    for start in range(0, len(values), _BATCH_SIZE):
        output = network.decoder(torch.from_numpy(values[start : start + _BATCH_SIZE]))
        image = torch.sigmoid(output) if network.answers == "logits" else output.clamp(0, 1)
        decoded = to_images(image.float())
        for target, image in zip(targets[start : start + _BATCH_SIZE], decoded, strict=True):
            image_files.write(target, image_files.from_float(image, np.dtype(np.uint8)))
    return targets


def _free(path: Path, *suffixes: str) -> Path:
    if path.suffix not in suffixes:
        raise UsageError(f"{path} must end in {' or '.join(suffixes)}")
    if path.exists():
        raise OutputError(f"{path} exists already; choose another name")
    return path


def _read(
    size: tuple[int, int] | None, source: str, on_bytes: OnBytes | None
) -> tuple[list[str], Part, tuple[str, ...]]:
    """Return the names, the images with their labels, and the classes of a source."""
    if Path(source).is_dir() and not (Path(source) / "train").is_dir():
        files, part = read_images(Path(source), size)
        # Files with the same stem keep their suffixes.
        stems = [file.stem for file in files]
        unique = len(set(stems)) == len(stems)
        return stems if unique else [file.name for file in files], part, ()
    splits = datasets.load(datasets.DataSpec(source, validation="last", size=size), on_bytes)
    digits = len(str(len(splits.test.images) - 1))
    names = [f"{index:0{digits}}" for index in range(len(splits.test.images))]
    return names, splits.test, splits.classes


@torch.no_grad()
def _with_bottleneck(coder: _Coder, shape: _Shape) -> tuple[Autoencoder, tuple[int, ...]]:
    network = coder.network(shape).requires_grad_(requires_grad=False)
    code = nets.code_shape(network, shape)
    values = math.prod(shape)
    if code is None or math.prod(code) >= values:
        found = "has several outputs"
        if code is not None:
            found = f"outputs {'x'.join(map(str, code))} = {math.prod(code):,} numbers"
        raise UsageError(
            f"the network of {coder.source} has no bottleneck: its encoder {found} for an image of "
            f"{values:,} values, so codes would not be smaller. Use a run of dense-mnist, "
            "dense-fashion, blur-mnist or bottleneck-mnist-program, or of another recipe whose "
            "network has a bottleneck"
        )
    return network, code


def _digest(network: Autoencoder) -> str:
    digest = hashlib.sha256()
    for name, value in network.state_dict().items():
        digest.update(name.encode() + value.numpy().tobytes())
    return digest.hexdigest()


def _load(path: Path) -> dict[str, NDArray[Any]]:
    try:
        # Read the whole file first, since NumPy leaves a damaged file open.
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as archive:
            arrays = dict(archive)
    except (OSError, EOFError, ValueError, TypeError, zipfile.BadZipFile) as error:
        raise InputError(f"cannot read {path}: {error}") from None
    shapes = {name: array.shape for name, array in arrays.items()}
    count = shapes.get("codes", (0,))[:1]
    if (
        shapes.get("names") != count
        or shapes.get("shape") != (3,)
        or shapes.get("network") != ()
        or arrays["codes"].dtype != np.float32
    ):
        raise InputError(f"{path} is not a file that autodenoise encode wrote")
    return arrays
