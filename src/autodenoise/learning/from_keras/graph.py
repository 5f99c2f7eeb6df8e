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
from autodenoise.learning.from_keras.files import Place

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
            raise _damaged("a model has no config")
        layers = _placed(config.get("layers"), places)
        if entry["class_name"] != "Sequential":
            return self._functional(config, layers, image)
        self._note_shape(config.get("build_input_shape"), (image,))
        for layer, within in layers:
            image = self._layer(layer, within, (image,))
        return image

    def _functional(self, config: dict[str, Any], layers: list[_Placed], image: int) -> int:
        first, last = (_end(config.get(f"{end}_layers"), end) for end in ("input", "output"))
        values: dict[str, int] = {}
        waiting = layers
        while waiting:
            # A layer may stand before those whose values it takes.
            later = []
            for layer, places in waiting:
                name = places[-1].name
                if name in values:
                    raise _damaged(f"two layers are called '{printable(name)}'")
                sources = _sources(layer, name)
                if all(source in values for source in sources):
                    of = (image,) if name == first else tuple(values[one] for one in sources)
                    values[name] = self._layer(layer, places, of)
                else:
                    later.append((layer, places))
            if len(later) == len(waiting):
                raise _damaged("its layers take what no layer gives")
            waiting = later
        if first not in values or last not in values:
            raise _damaged("its input or its output is no layer of it")
        return values[last]

    def _layer(self, entry: dict[str, Any], places: tuple[Place, ...], of: tuple[int, ...]) -> int:
        kind, name, config = entry["class_name"], printable(places[-1].name), entry.get("config")
        if kind in _MODELS:
            if len(of) != 1:
                raise InputError(f"its model '{name}' takes {len(of)} values; expected 1")
            return self.model(entry, places, *of)
        if not isinstance(config, dict):
            raise _damaged(f"the layer '{name}' has no config")
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
            raise _damaged("its input has no shape")
        self.shape = tuple(sides)


_Placed = tuple[dict[str, Any], tuple[Place, ...]]


def _placed(layers: Any, above: tuple[Place, ...]) -> list[_Placed]:
    """Give each layer of a model with its place."""
    if not isinstance(layers, list) or not layers:
        raise _damaged("a model has no layers")
    seen: Counter[str] = Counter()
    placed = []
    for layer in layers:
        kind = _checked(layer)["class_name"]
        config = layer.get("config")
        name = layer.get("name") or (config.get("name") if isinstance(config, dict) else None)
        key = _snake_case(kind)
        number = seen[key]
        seen[key] += 1
        # A Sequential that is the list of its layers has no name.
        own = Place(name if isinstance(name, str) else key, f"{key}_{number}" if number else key)
        placed.append((layer, (*above, own)))
    return placed


def _checked(entry: Any) -> dict[str, Any]:
    """Check that a layer or a model is of a class of Keras."""
    kind = entry.get("class_name") if isinstance(entry, dict) else None
    if not isinstance(kind, str):
        raise _damaged("a layer has no class")
    module, registered = entry.get("module"), entry.get("registered_name")
    foreign = module is not None and str(module).partition(".")[0] not in _PACKAGES
    if foreign or (isinstance(registered, str) and ">" in registered):
        raise InputError(
            f"it has a layer of the class '{printable(kind)}' of '{printable(str(module))}', whose "
            f"Python code is not in the file; expected Keras's own layers{_INSTEAD}"
        )
    checked: dict[str, Any] = entry
    return checked


def _snake_case(name: str) -> str:
    # Letter for letter as Keras does it.
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", name))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def _end(told: Any, end: str) -> str:
    """Give the name of the layer that is a model's input or output."""
    found = told if isinstance(told, list) else []
    # One alone may be in a list of its own or not.
    ends = [found] if found and isinstance(found[0], str) else found
    if len(ends) != 1:
        count = len(told) if isinstance(told, list | dict) else 0
        raise InputError(f"it has {count} {end}s; expected 1")
    return _source(ends[0])


def _sources(layer: dict[str, Any], name: str) -> list[str]:
    """Give the names of the layers whose values a layer takes."""
    nodes = layer.get("inbound_nodes", [])
    if not isinstance(nodes, list):
        raise _damaged(f"what the layer '{printable(name)}' takes is not told")
    if len(nodes) > 1:
        raise InputError(
            f"its layer '{printable(name)}' is used {len(nodes)} times; layers that share weights "
            "are not supported"
        )
    if not nodes:
        return []
    (node,) = nodes
    if isinstance(node, dict):  # Keras 3
        taken, options = node.get("args"), node.get("kwargs") or {}
        if isinstance(taken, list) and len(taken) == 1 and isinstance(taken[0], list):
            (taken,) = taken
    else:
        taken, options = node, {}
        if isinstance(taken, list) and taken and isinstance(taken[0], str):
            taken = [taken]
    if not isinstance(taken, list) or not taken:
        raise _damaged(f"what the layer '{printable(name)}' takes is not told")
    given = {key: value for key, value in dict(options).items() if value is not None}
    for one in taken:
        if isinstance(one, list) and len(one) > 3 and isinstance(one[3], dict):
            given |= {key: value for key, value in one[3].items() if value is not None}
    if given:
        raise InputError(
            f"its layer '{printable(name)}' is called with "
            f"{printable(', '.join(map(str, given)))}; expected values of other layers alone"
        )
    return [_source(one, name) for one in taken]


def _source(told: Any, name: str = "") -> str:
    """Give the name of the layer that a value is of."""
    if isinstance(told, dict):
        config = told.get("config")
        told = config.get("keras_history") if isinstance(config, dict) else None
    match told:
        case [str(source), int(), 0, *_]:
            return source
        case [str(source), int(), int(), *_]:
            raise InputError(f"its layer '{printable(source)}' gives several values; expected one")
        case _:
            raise InputError(
                f"its layer '{printable(name)}' takes what is no value of another layer, such as a "
                "number; put keras.layers.Rescaling there"
            )


def _damaged(what: str) -> InputError:
    return InputError(f"its description of the network is damaged: {what}")
