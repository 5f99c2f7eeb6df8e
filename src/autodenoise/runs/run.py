"""A run folder, and the objects in it."""

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
from autodenoise.plots.loss_curves import LossCurve
from autodenoise.recipes import description
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

__all__ = [
    "ENVIRONMENT_NAME",
    "FIGURES_FOLDER",
    "RECIPE_NAME",
    "EvaluationImages",
    "Run",
    "to_images",
]

RECIPE_NAME = "recipe.toml"
ENVIRONMENT_NAME = "environment.json"
FIGURES_FOLDER = "figures"


@dataclass(frozen=True)
class EvaluationImages:
    """The images (N, H, W, C) that a run is scored on, those for validation if there are no others.

    `clean` is in [0, 1]. `noisy` may exceed this range; it is from the data, or `clean` with the
    recipe's noise: the same noise as in validation if these are the validation images. `classes` is
    the meaning of labels 0, 1, ... For repeats, where `noisy` is the first shot, there are the
    second, and the mean of all others.
    """

    clean: NDArray[np.float32] | None
    noisy: NDArray[np.float32]
    labels: NDArray[np.int64] | None
    classes: tuple[str, ...]
    split: Literal["test", "validation"]
    second_shot: NDArray[np.float32] | None = None
    mean_of_others: NDArray[np.float32] | None = None

    def require_clean(self, purpose: str) -> NDArray[np.float32]:
        """Return the clean images; if there are none, the error names the purpose."""
        if self.clean is None:
            raise UsageError(
                f"{purpose} needs clean images, but the data of this run include none; autodenoise "
                "evaluate without options estimates the quality of the run"
            )
        return self.clean


@dataclass(frozen=True)
class Run:
    """A run folder.

    Attributes
    ----------
    folder
        Its path.
    recipe
        Its recipe.
    """

    folder: Path
    recipe: Recipe

    @classmethod
    def open(cls, folder: str | os.PathLike[str]) -> Run:
        """Open an existing run folder.

        Raises
        ------
        InputError
            It is not a run folder.
        """
        path = Path(folder)
        if not (path / RECIPE_NAME).is_file():
            raise InputError(f"{path} is not a run folder: it has no {RECIPE_NAME}")
        with warnings.catch_warnings():
            # Runs of earlier versions have keys that were renamed since.
            warnings.simplefilter("ignore", DeprecationWarning)
            return cls(path, recipes.load(path / RECIPE_NAME))

    @property
    def rows(self) -> list[EpochRow]:
        """The finished epochs."""
        metrics = self.folder / METRICS_NAME
        return read_metrics(metrics) if metrics.exists() else []

    @property
    def has_clean(self) -> bool:
        """Whether its data include clean images."""
        return self.recipe.data.supervision in ("clean", "paired")

    @property
    def is_finished(self) -> bool:
        """Whether every phase has trained all its epochs or was stopped early."""
        rows = self.rows
        return all(is_over(rows, name, phase) for name, phase in self.recipe.phase.items())

    def curves(self) -> list[LossCurve]:
        """Return the losses of each phase that has finished an epoch."""
        rows = self.rows
        return [
            LossCurve(
                name=name,
                unit=description.LOSS_NAMES[phase.loss],
                loss=[row.loss for row in of_phase],
                val_loss=[row.val_loss for row in of_phase],
                printed=self.recipe.printed.get(name, {}),
            )
            for name, phase in self.recipe.phase.items()
            if (of_phase := [row for row in rows if row.phase == name])
        ]

    def environment(self) -> dict[str, str | int]:
        """Return the package versions and the machine; empty if they were not recorded."""
        try:
            content = json.loads((self.folder / ENVIRONMENT_NAME).read_text())
        except (OSError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}

    def model(self) -> runtime.Model:
        """Load the model file."""
        return runtime.load(self.folder)

    def data(self, on_bytes: OnBytes | None = None) -> datasets.Splits:
        """Load the training, validation and test images.

        Raises
        ------
        InputError
            They are missing or damaged, or the files have changed since the run began: training
            images could now be among the test images.
        """
        splits = datasets.load(self.recipe.data, on_bytes)
        if splits.digest != self.environment().get("division", splits.digest):
            raise InputError(
                f"the images in {self.recipe.data.source} have changed since {self.folder} began, "
                "so training images could be among the test images. Restore them, or score the run "
                "on images that it was not trained on: autodenoise benchmark FOLDER "
                f"--models {quoted(self.folder)}"
            )
        return splits

    def evaluation_images(
        self, splits: datasets.Splits, count: int | None = None
    ) -> EvaluationImages:
        """Return the test images, or the first `count` of them, with their noise."""
        part = splits.test.take(slice(count))
        clean = to_images(part.images) if self.has_clean else None
        if part.noisy is not None:
            noisy = to_images(part.noisy)
        elif clean is None:
            noisy = to_images(part.images)
        else:
            noise, seed = Compose(self.recipe.noise), self.recipe.seed
            noisy = to_images(corrupt(noise, splits.test.images, seed, "test", count))
        return EvaluationImages(
            clean=clean,
            noisy=noisy,
            labels=None if part.labels is None else part.labels.numpy(),
            classes=splits.classes,
            split="test" if splits.has_test else "validation",
            second_shot=None if part.again is None else to_images(part.again),
            mean_of_others=to_images(part.images) if part.again is not None else None,
        )


def to_images(tensor: Tensor) -> NDArray[np.float32]:
    """Convert (N, C, H, W), bytes or floats, to float32 images (N, H, W, C)."""
    samples = tensor.permute(0, 2, 3, 1).numpy()
    return samples if tensor.is_floating_point() else to_float(samples)
