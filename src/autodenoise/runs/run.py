"""A run folder and what can be read from it."""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from autodenoise import recipes, runtime
from autodenoise.data import dataset as datasets
from autodenoise.errors import InputError, UsageError
from autodenoise.files import quoted
from autodenoise.images import to_float
from autodenoise.noise import Compose
from autodenoise.plots.images import Curve
from autodenoise.recipes import description as words
from autodenoise.training.history import EpochRow, read_metrics
from autodenoise.training.loop import METRICS_NAME
from autodenoise.training.phases import is_over
from autodenoise.training.validation import corrupt

if TYPE_CHECKING:
    import os

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from autodenoise.data.download import OnBytes
    from autodenoise.recipes import Recipe

__all__ = ["ENVIRONMENT_NAME", "FIGURES_FOLDER", "RECIPE_NAME", "HeldBack", "Run", "to_images"]

RECIPE_NAME = "recipe.toml"
ENVIRONMENT_NAME = "environment.json"
FIGURES_FOLDER = "figures"


@dataclass(frozen=True)
class HeldBack:
    """The images that a run is scored on.

    Attributes
    ----------
    clean
        (N, H, W, C) in [0, 1]; None where nobody has them.
    noisy
        The noisy version that the data bring; else `clean` with the recipe's noise, drawn as
        validation drew it where both are the same images. May reach outside [0, 1].
    labels
        (N,); None where the data set has none.
    classes
        What the labels 0, 1, ... mean.
    part
        ``"test"``; ``"validation"`` where the data set has no test part of its own.
    again, others
        Of repeats, a second shot, and the mean of all shots but the first, which is `noisy`.
    """

    clean: NDArray[np.float32] | None
    noisy: NDArray[np.float32]
    labels: NDArray[np.int64] | None
    classes: tuple[str, ...]
    part: Literal["test", "validation"]
    again: NDArray[np.float32] | None = None
    others: NDArray[np.float32] | None = None

    def known(self, what: str) -> NDArray[np.float32]:
        """Give the clean images to what cannot do without.

        Raises
        ------
        UsageError
            Nobody has them; `what` says what would need them.
        """
        if self.clean is None:
            raise UsageError(
                f"{what} needs clean images, and this run's data hold none; autodenoise evaluate "
                "alone says how good the run is likely to be"
            )
        return self.clean


@dataclass(frozen=True)
class Run:
    """A run folder.

    Attributes
    ----------
    folder
        Where it is.
    recipe
        What was, or is being, trained.
    """

    folder: Path
    recipe: Recipe

    @classmethod
    def open(cls, folder: str | os.PathLike[str]) -> Run:
        """Open an existing run folder.

        Raises
        ------
        InputError
            It is none.
        """
        path = Path(folder)
        if not (path / RECIPE_NAME).is_file():
            raise InputError(f"{path} is no run folder: it has no {RECIPE_NAME}")
        with warnings.catch_warnings():
            # Runs of earlier versions have keys that were renamed since.
            warnings.simplefilter("ignore", DeprecationWarning)
            return cls(path, recipes.load(path / RECIPE_NAME))

    @property
    def rows(self) -> list[EpochRow]:
        """The epochs that are done."""
        metrics = self.folder / METRICS_NAME
        return read_metrics(metrics) if metrics.exists() else []

    @property
    def has_clean(self) -> bool:
        """Whether there are clean images to score it on."""
        return self.recipe.data.supervision in ("clean", "paired")

    @property
    def is_over(self) -> bool:
        """Whether every phase has had all its epochs, or has run out of patience."""
        rows = self.rows
        return all(is_over(rows, name, phase) for name, phase in self.recipe.phase.items())

    def curves(self) -> list[Curve]:
        """Give the losses of each phase that has finished an epoch."""
        rows = self.rows
        return [
            Curve(
                name=name,
                unit=words.LOSS_NAMES[phase.loss],
                loss=[row.loss for row in own],
                val_loss=[row.val_loss for row in own],
                printed=self.recipe.printed.get(name, {}),
            )
            for name, phase in self.recipe.phase.items()
            if (own := [row for row in rows if row.phase == name])
        ]

    def environment(self) -> dict[str, str | int]:
        """Read the versions and the machine that it was begun with; empty if nobody can tell."""
        try:
            told = json.loads((self.folder / ENVIRONMENT_NAME).read_text())
        except (OSError, ValueError):
            return {}
        return told if isinstance(told, dict) else {}

    def model(self) -> runtime.Model:
        """Load the model file."""
        return runtime.load(self.folder)

    def data(self, on_bytes: OnBytes | None = None) -> datasets.Splits:
        """Read the images that it was trained, watched and is scored on.

        Raises
        ------
        InputError
            They are missing or damaged, or there are others now: what was learnt from could be
            among those that are held back.
        """
        splits = datasets.load(self.recipe.data, on_bytes)
        if splits.digest != self.environment().get("division", splits.digest):
            raise InputError(
                f"{self.recipe.data.source} holds other pictures than when {self.folder} began, "
                "so what it has learnt from could be among those held back. Put them back, or "
                "score it on pictures that it has never seen: autodenoise evaluate --data FOLDER "
                f"--models {quoted(self.folder)}"
            )
        return splits

    def held_back(self, splits: datasets.Splits, count: int | None = None) -> HeldBack:
        """Give the images that it is scored on, or the first so many, with their noise."""
        part = splits.test.take(slice(count))
        clean = to_images(part.images) if self.has_clean else None
        if part.noisy is not None:
            noisy = to_images(part.noisy)
        elif clean is None:
            noisy = to_images(part.images)
        else:
            noise, seed = Compose(self.recipe.noise), self.recipe.seed
            noisy = to_images(corrupt(noise, splits.test.images, seed, "test", count))
        return HeldBack(
            clean=clean,
            noisy=noisy,
            labels=None if part.labels is None else part.labels.numpy(),
            classes=splits.classes,
            part="test" if splits.has_test else "validation",
            again=None if part.again is None else to_images(part.again),
            others=to_images(part.images) if part.again is not None else None,
        )


def to_images(tensor: Tensor) -> NDArray[np.float32]:
    """Turn (N, C, H, W), bytes or floats, into float32 images (N, H, W, C)."""
    samples = tensor.permute(0, 2, 3, 1).numpy()
    return samples if tensor.is_floating_point() else to_float(samples)
