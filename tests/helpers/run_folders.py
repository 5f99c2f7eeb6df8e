"""Make run folders without training."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from autodenoise import images, recipes, runtime
from autodenoise.recipes import OwnData
from autodenoise.runs import Run
from tests.helpers.scenes import Images

__all__ = ["make", "stored", "write"]


def stored(scenes: Images) -> Images:
    """Round images as 8-bit files do."""
    return (np.round(255 * scenes.clip(0, 1)) / 255).astype(np.float32)


def write(folder: Path, scenes: Images) -> Path:
    """Write images as PNG files into a new folder."""
    folder.mkdir(parents=True)
    for number, scene in enumerate(scenes):
        images.write(folder / f"{number:02}.png", np.round(255 * scene).astype(np.uint8))
    return folder


def make(own: OwnData, folder: Path) -> Run:
    """Make a run folder as training does, but with a shipped model."""
    recipe = recipes.load(None, ["data.crop=48", "data.share=0.5"], own=own)
    folder.mkdir()
    (folder / "recipe.toml").write_text(recipes.dump(recipe))
    shutil.copy(runtime.find_model("photo-fast-gray"), folder / "model.onnx")
    return Run.open(folder)
