"""Networks that were trained elsewhere become model files."""

from __future__ import annotations

import math
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from autodenoise import nets, runtime
from autodenoise.errors import InputError, OutputError, UsageError
from autodenoise.export.to_onnx import export
from autodenoise.files import printable
from autodenoise.keras_import import read_network
from autodenoise.nets.summary import Summary, summarise
from autodenoise.runtime import checking

if TYPE_CHECKING:
    import os

    from autodenoise.keras_import import ImportedNetwork, ValueRange

__all__ = ["Imported", "import_keras"]

_LONGEST_NAME = 100


@dataclass(frozen=True)
class Imported:
    """What `import_keras` made.

    Attributes
    ----------
    path
        The model file.
    card
        What it says of itself.
    summary
        Its network, layer for layer, at a size that it takes.
    doubts
        What the file does not tell and the network looks like, in sentences.
    """

    path: Path
    card: runtime.Card
    summary: Summary
    doubts: tuple[str, ...]


def import_keras(
    source: str | os.PathLike[str],
    output: str | os.PathLike[str] | None = None,
    *,
    name: str = "",
    takes: ValueRange = (0.0, 1.0),
    gives: ValueRange | None = None,
) -> Imported:
    """Make a model file of a network that was trained in Keras.

    Neither Keras nor TensorFlow is needed, and nothing of the file is run.

    Parameters
    ----------
    source
        A ``.keras`` file, or an ``.h5`` file of a whole model.
    output
        The file to make, which ends in ``.onnx``; by default beside the source. Must not exist.
    name
        The model's; by default the source's, without its ending.
    takes
        What the network takes for black and for white.
    gives
        What it answers with for black and for white; by default as it takes them.

    Raises
    ------
    InputError
        The file is missing or damaged, or its network holds what we do not know: a
        layer, an option, a second input, Python code.
    OutputError
        The output is there already, is called otherwise, or cannot be written.
    UsageError
        Black and white are the same value, or the name is none.
    """
    path = Path(source)
    target = path.with_suffix(".onnx") if output is None else Path(output)
    gives = takes if gives is None else gives
    for values in (takes, gives):
        if not all(map(math.isfinite, values)) or values[0] == values[1]:
            raise UsageError(
                f"black is {values[0]:g} and white is {values[1]:g}; expected two different numbers"
            )
    if target.suffix != ".onnx":
        raise OutputError(f"model files end in .onnx; {target} does not")
    if target.exists():
        raise OutputError(f"{target} is there already; choose another name, or remove it")
    name = name or printable(path.stem)[:_LONGEST_NAME]
    if not name.isprintable() or {"/", "\\"} & set(name) or len(name) > _LONGEST_NAME:
        raise UsageError(
            f"the name is {name!a}; expected at most {_LONGEST_NAME} characters without / and \\"
        )
    try:
        found = read_network(path, takes, gives)
        card, summary = _card(found, name), summarise(found.network, found.shape)
        export(found.network, card, target)
    except InputError as error:
        raise InputError(f"{path} cannot be imported: {error}") from None
    _, written = checking.read(target)
    return Imported(target, written, summary, _doubts(found, takes, gives))


def _card(found: ImportedNetwork, name: str) -> runtime.Card:
    network = found.network
    return runtime.Card(
        name=name,
        network="layers",
        arguments=network.arguments,
        channels=network.channels,
        size=None if network.multiple else found.shape[1:],
        size_multiple=network.multiple or 1,
        halo=nets.halo(network),
        parameters=nets.parameter_count(network),
        source=f"imported from Keras {found.version}".strip(),
        version=metadata.version("autodenoise"),
    )


def _doubts(found: ImportedNetwork, takes: ValueRange, gives: ValueRange) -> tuple[str, ...]:
    """Say where it looks as if black and white were not 0 and 1."""
    kinds = [layer["kind"] for layer in found.network.arguments["layers"]]
    kinds = [kind for kind in kinds if kind not in ("flatten", "reshape")]
    doubts = []
    if takes == (0, 1) and kinds[0] == "rescale":
        doubts.append(
            "Its first layer changes the scale of the values. If it was trained on images from 0 "
            "to 255, import it with --takes 0 255."
        )
    if gives == (0, 1) and kinds[-1] == "tanh":
        doubts.append(
            "Its last layer is a tanh. If it was trained on images from -1 to 1, import it with "
            "--takes -1 1."
        )
    return tuple(doubts)
