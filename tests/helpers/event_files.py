"""Read TensorBoard's event files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import metadata

__all__ = ["curve", "events", "hyperparameters"]


def events(folder: Path) -> Any:
    """Return the events of a folder."""
    accumulator = EventAccumulator(str(folder), size_guidance={"images": 0, "scalars": 0})
    accumulator.Reload()
    return accumulator


def curve(folder: Path, tag: str) -> list[tuple[int, float]]:
    """Return the (step, value) points of a curve."""
    return [(point.step, point.value) for point in events(folder).Scalars(tag)]


def hyperparameters(folder: Path) -> dict[str, Any]:
    """Return the hyperparameters by name."""
    content = events(folder).PluginTagToContent("hparams")["_hparams_/session_start_info"]
    stored = metadata.parse_session_start_info_plugin_data(content).hparams
    return {name: getattr(value, value.WhichOneof("kind")) for name, value in stored.items()}
