"""The card of a model file: what the network is, what it may be fed, and what it was taught."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any

from autodenoise.errors import InputError

__all__ = ["CARD_KEY", "Card"]

CARD_KEY = "autodenoise.card"
"""The metadata key of the ONNX file under which the card lies, as JSON."""


@dataclass(frozen=True)
class Card:
    """Everything there is to know about a model file but its weights.

    Attributes
    ----------
    name
        The recipe's name.
    network, arguments
        Architecture and the keywords it was made with.
    channels
        Of the image, in and out.
    size
        The only (height, width) that fits; None where any multiple of `size_multiple` does.
    size_multiple
        Sides must be multiples of this.
    halo
        How many pixels away an input can still change an output; None where all may.
    bytes_per_pixel
        Most memory that running it holds at once, for each pixel of its input; None if not known.
    parameters
        Count of trained numbers.
    noise
        What it was trained on, as the recipe says it.
    data
        The data set trained on.
    scores
        Losses at the end of training, by name.
    source, licence, version
        Where the method is from, the weights' licence if their owner gave one, and the autodenoise
        that wrote the file.
    """

    name: str
    network: str
    channels: int
    parameters: int
    arguments: dict[str, Any] = field(default_factory=dict)
    size: tuple[int, int] | None = None
    size_multiple: int = 1
    halo: int | None = None
    bytes_per_pixel: int | None = None
    noise: list[dict[str, Any]] = field(default_factory=list)
    data: str = ""
    scores: dict[str, float] = field(default_factory=dict)
    source: str = ""
    licence: str = ""
    version: str = ""

    def to_json(self) -> str:
        """Write the card as JSON text."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Card:
        """Read a card; keys of a newer version are passed over.

        Raises
        ------
        InputError
            It is no card, or lacks what running the model needs.
        """
        known = {entry.name for entry in dataclasses.fields(cls)}
        try:
            values = {key: value for key, value in json.loads(text).items() if key in known}
            if values.get("size") is not None:
                height, width = values["size"]
                values["size"] = (int(height), int(width))
            card = cls(**values)
        except (ValueError, TypeError, AttributeError) as error:
            raise InputError(f"the model's card cannot be read: {error}") from None
        if card.channels < 1 or card.size_multiple < 1:
            raise InputError(
                f"the model's card has {card.channels} channels and a size multiple of "
                f"{card.size_multiple}; both must be at least 1"
            )
        return card
