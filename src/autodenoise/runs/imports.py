"""Convert Keras models into model files."""

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
from autodenoise.nets.summary import NetworkSummary, summarize
from autodenoise.runtime import model_file

if TYPE_CHECKING:
    import os

    from autodenoise.keras_import import ImportedNetwork, ValueRange

__all__ = ["ImportedModel", "import_keras"]

_MAX_NAME_LENGTH = 100


@dataclass(frozen=True)
class ImportedModel:
    """The result of `import_keras`: a model file with its card, and its network layer by layer.

    `warnings` are signs that the intensity range is another one, in sentences.
    """

    path: Path
    card: runtime.Card
    summary: NetworkSummary
    warnings: tuple[str, ...]


def import_keras(
    source: str | os.PathLike[str],
    output: str | os.PathLike[str] | None = None,
    *,
    name: str = "",
    input_range: ValueRange = (0.0, 1.0),
    output_range: ValueRange | None = None,
) -> ImportedModel:
    """Convert a Keras model into a model file.

    Neither Keras nor TensorFlow is needed, and no code in the file is run.

    Parameters
    ----------
    source
        A ``.keras`` file, or an ``.h5`` file that holds a whole model.
    output
        The new ``.onnx`` file; by default next to the source.
    name
        The name of the model; by default that of the file, without suffix.
    input_range
        The values of black and white in the network's input.
    output_range
        The values of black and white in its output; by default the input range.

    Raises
    ------
    InputError
        The file is missing or damaged, or its network has something unsupported: a layer, an
        option, a second input, Python code.
    OutputError
        The output exists already, does not end in ``.onnx``, or cannot be written.
    UsageError
        Black and white are the same value, or the name is invalid.
    """
    path = Path(source)
    target = path.with_suffix(".onnx") if output is None else Path(output)
    output_range = input_range if output_range is None else output_range
    for values in (input_range, output_range):
        if not all(map(math.isfinite, values)) or values[0] == values[1]:
            raise UsageError(
                f"black is {values[0]:g} and white is {values[1]:g}; expected two different numbers"
            )
    if target.suffix != ".onnx":
        raise OutputError(f"the output is {target}; expected a name that ends in .onnx")
    if target.exists():
        raise OutputError(f"{target} exists already; choose another name, or remove it")
    name = name or printable(path.stem)[:_MAX_NAME_LENGTH]
    if not name.isprintable() or {"/", "\\"} & set(name) or len(name) > _MAX_NAME_LENGTH:
        raise UsageError(
            f"the name is {name!a}; expected at most {_MAX_NAME_LENGTH} characters without / and \\"
        )
    try:
        found = read_network(path, input_range, output_range)
        network, summary = found.network, summarize(found.network, found.shape)
        card = runtime.Card(
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
        export(network, card, target)
    except InputError as error:
        raise InputError(f"{path} cannot be imported: {error}") from None
    warnings = _range_warnings(found, input_range, output_range)
    return ImportedModel(target, model_file.read_card(target), summary, warnings)


def _range_warnings(
    found: ImportedNetwork, input_range: ValueRange, output_range: ValueRange
) -> tuple[str, ...]:
    """Warn if the layers suggest that black and white are not 0 and 1."""
    kinds = [layer["kind"] for layer in found.network.arguments["layers"]]
    kinds = [kind for kind in kinds if kind not in ("flatten", "reshape")]
    warnings = []
    if input_range == (0, 1) and kinds[0] == "rescale":
        warnings.append(
            "The first layer rescales its input. If the network was trained on images from 0 to "
            "255, import it with --input-range 0 255."
        )
    if output_range == (0, 1) and kinds[-1] == "tanh":
        warnings.append(
            "The last layer is a tanh. If the network was trained on images from -1 to 1, import "
            "it with --input-range -1 1."
        )
    return tuple(warnings)
