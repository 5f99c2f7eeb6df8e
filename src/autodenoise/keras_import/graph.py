"""What Keras says of a network, unfolded: its layers in the order in which they are computed.

A model may be a ``Sequential``, a functional one, or hold others of either kind inside. Its
description is JSON of whatever origin: nothing of it is run, and what we do not know is refused by
its name.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import Any, Final

from autodenoise.errors import InputError
from autodenoise.files import printable
from autodenoise.keras_import.files import Place
from autodenoise.keras_import.wiring import damaged, end_of, sources

__all__ = ["MOST_LAYERS", "Call", "Graph", "unfold"]

MOST_LAYERS: Final = 256
"""That a network may have."""

_MODELS = ("Functional", "Model", "Sequential")
_PACKAGES = ("keras", "tf_keras")
_INSTEAD = (
    ". Save a model that is made of these alone, such as "
    "keras.Sequential([keras.Input((28, 28, 1)), model.encoder, model.decoder])"
)
_DEEPEST = 8
_LONGEST_NAME = 200


@dataclass(frozen=True)
class Call:
    """A layer at work.

    Attributes
    ----------
    kind
        Its class.
    config
        Its options.
    places
        The layer's, below those of the models that it is in, outermost first.
    of
        The numbers of the calls whose values it takes, counted from 1; 0 is the image.
    """

    kind: str
    config: dict[str, Any]
    places: tuple[Place, ...]
    of: tuple[int, ...]

    @property
    def title(self) -> str:
        """What errors call it."""
        return f"its layer '{printable(self.places[-1].name)}' ({printable(self.kind)})"


@dataclass(frozen=True)
class Graph:
    """A network without the models inside.

    Attributes
    ----------
    shape
        Of what it takes, without the batch; None for a side that is free.
    calls
        Its layers, in order.
    answer
        The number of the call whose value is the answer.
    """

    shape: tuple[int | None, ...]
    calls: tuple[Call, ...]
    answer: int


def unfold(model: dict[str, Any]) -> Graph:
    """Find out which layers a network has, and what each takes.

    Parameters
    ----------
    model
        As `files.KerasFile` has it.

    Raises
    ------
    InputError
        It is of a class of its author's, has several inputs or outputs, shares layers, or the
        description is damaged.
    """
    kind = model.get("class_name")
    if kind not in _MODELS:
        raise InputError(
            f"it is of the class '{printable(str(kind))}', whose Python code is not in the file; "
            f"expected {' or '.join(_MODELS)}{_INSTEAD}"
        )
    _checked(model)
    unfolding = _Unfolding()
    answer = unfolding.model(model, (), 0)
    if unfolding.shape is None:
        raise InputError(
            "it does not tell what images it takes; begin it with keras.Input((height, width, "
            "channels)), or call it once before it is saved"
        )
    return Graph(unfolding.shape, tuple(unfolding.calls), answer)


class _Unfolding:
    """Collects the calls of a model and of those inside, while they are gone through."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.shape: tuple[int | None, ...] | None = None

    def model(self, entry: dict[str, Any], places: tuple[Place, ...], image: int) -> int:
        """Go through a model that takes the value of a call; give the number of its answer."""
        if len(places) > _DEEPEST:
            raise InputError(f"it has models in models, more than {_DEEPEST} deep")
        config = entry.get("config")
        # Before 2018 a Sequential was the list of its layers.
        config = {"layers": config} if isinstance(config, list) else config
        if not isinstance(config, dict):
            raise damaged("a model has no config")
        layers = _placed(config.get("layers"), places)
        if entry["class_name"] != "Sequential":
            return self._functional(config, layers, image)
        self._note_shape(config.get("build_input_shape"), (image,))
        for layer, within in layers:
            image = self._layer(layer, within, (image,))
        return image

    def _functional(self, config: dict[str, Any], layers: list[_Placed], image: int) -> int:
        first, last = (end_of(config.get(f"{end}_layers"), end) for end in ("input", "output"))
        values: dict[str, int] = {}
        waiting = layers
        while waiting:
            # A layer may stand before those whose values it takes.
            later = []
            for layer, places in waiting:
                name = places[-1].name
                if name in values:
                    raise damaged(f"two layers are called '{printable(name)}'")
                taken = sources(layer, name)
                if all(source in values for source in taken):
                    of = (image,) if name == first else tuple(values[one] for one in taken)
                    values[name] = self._layer(layer, places, of)
                else:
                    later.append((layer, places))
            if len(later) == len(waiting):
                raise damaged("its layers take what no layer gives")
            waiting = later
        if first not in values or last not in values:
            raise damaged("its input or its output is no layer of it")
        return values[last]

    def _layer(self, entry: dict[str, Any], places: tuple[Place, ...], of: tuple[int, ...]) -> int:
        kind, name, config = entry["class_name"], printable(places[-1].name), entry.get("config")
        if kind in _MODELS:
            if len(of) != 1:
                raise InputError(f"its model '{name}' takes {len(of)} values; expected 1")
            return self.model(entry, places, *of)
        if not isinstance(config, dict):
            raise damaged(f"the layer '{name}' has no config")
        self._note_shape(config.get("batch_shape") or config.get("batch_input_shape"), of)
        if not of:
            raise InputError(f"it has more than one input: '{name}'; expected the image alone")
        if kind == "InputLayer":
            return of[0]
        if len(self.calls) == MOST_LAYERS:
            raise InputError(f"it has more than {MOST_LAYERS} layers")
        self.calls.append(Call(kind, config, places, of))
        return len(self.calls)

    def _note_shape(self, shape: Any, of: tuple[int, ...]) -> None:
        """Note the shape of the image, where a layer that takes it tells."""
        if self.shape is not None or of != (0,) or not isinstance(shape, list):
            return
        sides = shape[1:]
        if not sides or not all(side is None or (type(side) is int and side > 0) for side in sides):
            raise damaged("its input has no shape")
        self.shape = tuple(sides)


_Placed = tuple[dict[str, Any], tuple[Place, ...]]


def _placed(layers: Any, above: tuple[Place, ...]) -> list[_Placed]:
    """Give each layer of a model with its place."""
    if not isinstance(layers, list) or not layers:
        raise damaged("a model has no layers")
    if len(layers) > MOST_LAYERS + 1:  # and the input
        raise InputError(f"it has more than {MOST_LAYERS} layers")
    seen: Counter[str] = Counter()
    placed = []
    for layer in layers:
        kind = _checked(layer)["class_name"]
        config = layer.get("config")
        name = layer.get("name") or (config.get("name") if isinstance(config, dict) else None)
        key = _snake_case(kind)
        number = seen[key]
        seen[key] += 1
        if not isinstance(name, str) or len(name) > _LONGEST_NAME:
            # A Sequential that is the list of its layers has none.
            name = key
        own = Place(name, f"{key}_{number}" if number else key)
        placed.append((layer, (*above, own)))
    return placed


def _checked(entry: Any) -> dict[str, Any]:
    """Check that a layer or a model is of a class of Keras."""
    kind = entry.get("class_name") if isinstance(entry, dict) else None
    if not isinstance(kind, str) or len(kind) > _LONGEST_NAME:
        raise damaged("a layer has no class")
    module, registered = entry.get("module"), entry.get("registered_name")
    foreign = module is not None and str(module).partition(".")[0] not in _PACKAGES
    if foreign or (isinstance(registered, str) and ">" in registered):
        raise InputError(
            f"it has a layer of the class '{printable(kind)}' of its author's, whose "
            f"Python code is not in the file; expected Keras's own layers{_INSTEAD}"
        )
    checked: dict[str, Any] = entry
    return checked


def _snake_case(name: str) -> str:
    # Letter for letter as Keras does it.
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", name))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()
