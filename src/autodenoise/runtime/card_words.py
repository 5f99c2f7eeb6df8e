"""What a card says, in words for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autodenoise.metrics import loss_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from autodenoise.runtime.card import Card

__all__ = ["images", "noise", "scores"]


def images(card: Card) -> list[str]:
    """Say what may be fed: colours, size, and how far the network looks."""
    colours = {1: "grey", 3: "RGB"}.get(card.channels, f"{card.channels} channels")
    if card.size is not None:
        height, width = card.size
        return [colours, f"{width}x{height} only"]
    # Sides that are no multiple of the card's are extended by whoever runs the model.
    return [colours, "any size", *([] if card.halo is None else [f"halo {card.halo}"])]


def noise(card: Card) -> list[str]:
    """Say what noise it was trained on, a line for each that was put on after another."""
    return [_noise(part) for part in card.noise]


def scores(card: Card) -> list[str]:
    """Say how training ended, a line a score."""
    return [_score(name, score) for name, score in card.scores.items()]


def _score(name: str, score: float) -> str:
    measure, _, what = name.partition("_")
    if measure != "psnr":
        return f"{name} {loss_text(score)}"
    return f"PSNR {score:.2f} dB {'on clean images' if what == 'clean' else f'at sigma {what}'}"


def _noise(part: dict[str, Any]) -> str:
    said = [str(part.get("kind", "noise"))]
    for key, value in part.items():
        if key == "parts":
            said.append(" / ".join(dict.fromkeys(_kinds(value))))
        elif value is True:
            said.append(key)
        elif key != "kind" and value is not False:
            values = value if isinstance(value, list) else [value]
            # What was measured is too much for a line.
            if len(values) <= 2 and not any(isinstance(number, list) for number in values):
                said.append(f"{key} {' to '.join(str(number) for number in values)}")
    return ", ".join(said)


def _kinds(parts: Any) -> Iterator[str]:
    """Name the kinds of noise in a mixture, however deep."""
    if isinstance(parts, list):
        for part in parts:
            yield from _kinds(part)
    elif isinstance(parts, dict):
        if "kind" in parts and "parts" not in parts:
            yield str(parts["kind"])
        for within in parts.values():
            yield from _kinds(within)
