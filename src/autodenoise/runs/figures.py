"""Draw the figures of a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from autodenoise.data.crops import as_float
from autodenoise.errors import UsageError, unknown_name
from autodenoise.evaluation.comparison import gain
from autodenoise.files import make_folder
from autodenoise.metrics import psnr
from autodenoise.noise import Blur, Uniform
from autodenoise.plots import figure as figures
from autodenoise.plots import image_grid
from autodenoise.plots.loss_curves import draw_loss_curves
from autodenoise.runs.description import describe
from autodenoise.runs.networks import trained
from autodenoise.runs.report import REPORT_NAME
from autodenoise.runs.report import write as write_report
from autodenoise.runs.report_images import visible
from autodenoise.runs.run import FIGURES_FOLDER, Run, to_images
from autodenoise.training.randomness import generator

if TYPE_CHECKING:
    import os
    from pathlib import Path

    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from autodenoise.data.download import OnBytes
    from autodenoise.data.splits import Splits
    from autodenoise.runs.run import EvaluationImages
    from autodenoise.runtime import Model

    Images = NDArray[np.float32]

__all__ = ["FigureContext", "draw", "draw_figures"]

_IMAGES = 10
_DEGRADATION_STEPS = 6


def draw(
    folder: str | os.PathLike[str],
    names: Sequence[str] = (),
    *,
    images: Sequence[int] = (),
    seed: int | None = None,
    form: Literal["png", "svg"] = "png",
    on_bytes: OnBytes | None = None,
) -> list[Path]:
    """Draw figures of a run into its folder ``figures``, and add them to its report.

    Parameters
    ----------
    folder
        The run folder.
    names
        The figures to draw, by default those of the recipe:

        ==============  =====================================================================
        pairs           ten random images, clean and noisy
        reconstructed   clean images, and the output of the network for them
        denoised        clean, noisy and denoised images; the removed noise without clean ones
        classes         one image of each class, clean and noisy
        triptychs       one image of each class: noisy, clean and denoised side by side
        degradation     two images with blur and noise in six steps, and the denoised images
        losses          training and validation loss by epoch
        diagram         the layers of the network and their output shapes
        ==============  =====================================================================
    images
        Indices of the test images to show, from 0; by default chosen at random.
    seed
        Random seed of the choice; by default that of the recipe.
    form
        The file format.

    Returns
    -------
    list of Path
        The files; existing ones are replaced.

    Raises
    ------
    UsageError
        A name is unknown, a figure needs class labels that the data lack, or an index is too large.
    InputError
        The folder is not a run folder, has no model file yet, or its data are missing.
    OutputError
        The folder cannot be written.
    """
    run = Run.open(folder)
    for name in names:
        if name not in _FIGURES:
            raise unknown_name("figure", name, _FIGURES)
    if form not in ("png", "svg"):
        raise UsageError(f"the format is '{form}'; expected png or svg")
    context = FigureContext(run, tuple(images), run.recipe.seed if seed is None else seed, on_bytes)
    files = draw_figures(context, names or run.recipe.figures, form)
    if (run.folder / REPORT_NAME).exists():
        write_report(run, context.splits)
    return files


@dataclass
class FigureContext:
    """A run and the data of its figures, loaded on first use.

    `indices` are those of the images to show; by default they are chosen at random by `seed`.
    """

    run: Run
    indices: tuple[int, ...]
    seed: int
    on_bytes: OnBytes | None

    @cached_property
    def splits(self) -> Splits:
        """The data of the run."""
        return self.run.data(self.on_bytes)

    @cached_property
    def test(self) -> EvaluationImages:
        """The test images."""
        return self.run.evaluation_images(self.splits)

    @cached_property
    def model(self) -> Model:
        """The model file."""
        return self.run.model()

    def chosen(self, count: int) -> NDArray[np.int64]:
        """Return the requested indices, or `count` random ones."""
        total = len(self.test.noisy)
        if self.indices:
            missing = [index for index in self.indices if not 0 <= index < total]
            if missing:
                raise UsageError(
                    f"there is no image {missing[0]}; the {self.test.split} images have indices "
                    f"from 0 to {total - 1}"
                )
            return np.array(self.indices)
        return self.random().permutation(total)[:count]

    def random(self) -> np.random.Generator:
        """Return the same new generator for each figure."""
        return np.random.default_rng(self.seed)

    def one_of_each_class(self, figure: str) -> NDArray[np.int64]:
        """Return the index of one image of each class, in the order of the classes."""
        labels = self.test.labels
        if labels is None:
            raise UsageError(
                f"the figure '{figure}' shows an image of each class, but the data of "
                f"{self.run.folder} have no labels"
            )
        if self.indices:
            return self.chosen(0)
        order = self.random().permutation(len(labels))
        firsts = {int(labels[row]): row for row in reversed(order)}
        return np.array([firsts[label] for label in sorted(firsts)])

    def class_names(self, rows: NDArray[np.int64]) -> list[str]:
        """Return the class name of each image, with line breaks to fit above it."""
        if self.test.labels is None:
            return []
        return [self.test.classes[label].replace(" ", "\n") for label in self.test.labels[rows]]

    def image_rows(self, rows: NDArray[np.int64], shown: dict[str, Images], what: str) -> Figure:
        """Draw one row for each name in `shown`, with the class names as headings."""
        title, headings = f"{self.run.recipe.name}: {what}", self.class_names(rows)
        return image_grid.image_rows(shown, title, headings=headings)


def draw_figures(
    context: FigureContext, names: Sequence[str], form: Literal["png", "svg"] = "png"
) -> list[Path]:
    """Draw figures; see `draw`."""
    folder = context.run.folder / FIGURES_FOLDER
    drawn = [(_FIGURES[name](context), folder / f"{name}.{form}") for name in names]
    make_folder(folder)
    for figure, file in drawn:
        figures.save(figure, file)
    return [file for _, file in drawn]


def _pairs(context: FigureContext) -> Figure:
    rows, test = context.chosen(_IMAGES), context.test
    clean = test.require_clean("the figure 'pairs'")[rows]
    shown = {"clean": clean, "noisy": test.noisy[rows]}
    return context.image_rows(rows, shown, f"{test.split} images and their noise")


def _reconstructed(context: FigureContext) -> Figure:
    """Use the weights after the last reconstruction phase, else the final ones."""
    rows, test = context.chosen(_IMAGES), context.test
    clean = test.require_clean("the figure 'reconstructed'")[rows]
    phases = context.run.recipe.phase
    reconstructing = [name for name, phase in phases.items() if phase.objective == "reconstruction"]
    if reconstructing and reconstructing[-1] != list(phases)[-1]:
        splits = context.splits
        network = trained(context.run, splits.shape, reconstructing[-1], splits.normalization)
        with torch.no_grad():
            output = to_images(network.denoise(as_float(splits.test.images[rows])))
        what = f"reconstructions after the phase {reconstructing[-1]}"
    else:
        output = context.model.batch(clean)
        what = "reconstructions of clean images"
    shown = {"clean": clean, _label("reconstructed", clean, output): output}
    return context.image_rows(rows, shown, what)


def _denoised(context: FigureContext) -> Figure:
    rows, test = context.chosen(_IMAGES), context.test
    noisy = test.noisy[rows]
    output = context.model.batch(noisy)
    noisy_shown, output_shown = (visible(images, context.splits) for images in (noisy, output))
    if test.clean is None:
        removed = noisy_shown - output_shown
        factor = gain(removed)
        amplified = f",\namplified {factor}x" if factor > 1 else ""
        shown = {
            "noisy": noisy_shown,
            "denoised": output_shown,
            f"removed noise{amplified}": 0.5 + factor * removed,
        }
    else:
        clean = test.clean[rows]
        shown = {
            "clean": visible(clean, context.splits),
            _label("noisy", clean, noisy): noisy_shown,
            _label("denoised", clean, output): output_shown,
        }
    return context.image_rows(rows, shown, f"{len(rows)} {test.split} images")


def _classes(context: FigureContext) -> Figure:
    rows, test = context.one_of_each_class("classes"), context.test
    clean = test.require_clean("the figure 'classes'")[rows]
    shown = {"clean": clean, "noisy": test.noisy[rows]}
    return context.image_rows(rows, shown, "one image of each class")


def _triptychs(context: FigureContext) -> Figure:
    rows, test = context.one_of_each_class("triptychs"), context.test
    output = context.model.batch(test.noisy[rows])
    clean = test.require_clean("the figure 'triptychs'")[rows]
    parts = np.stack([test.noisy[rows], clean, output], 1)
    return image_grid.image_groups(
        parts,
        f"{context.run.recipe.name}: noisy, clean and denoised",
        headings=[name.replace("\n", " ") for name in context.class_names(rows)],
        captions=("noisy", "clean", "denoised"),
    )


def _degradation(context: FigureContext) -> Figure:
    """Draw step i with a blur of sigma 0.5 i and then noise U(-0.4 i, 0.4 i), i from 0."""
    shown: dict[str, Images] = {}
    chosen = context.chosen(2)
    context.test.require_clean("the figure 'degradation'")
    for row in chosen:
        clean = as_float(context.splits.test.images[row : row + 1])
        steps = []
        for step in range(_DEGRADATION_STEPS):
            draw = generator(context.seed, "degradation", int(row), step)
            blurred = Blur(0.5 * step)(clean, draw) if step else clean
            steps.append(Uniform(0.4 * step, symmetric=True)(blurred, draw) if step else blurred)
        noisy = to_images(torch.cat(steps))
        gap = "\n" if shown else ""
        names = context.class_names(np.array([row]))
        name = f"{names[0]} (image {row})" if names else f"image {row}"
        shown[f"{gap}{name}"] = noisy
        shown[f"denoised ({row})"] = context.model.batch(noisy)
    headings = [
        f"blur {0.5 * step:.1f}\nnoise ±{0.4 * step:.1f}" for step in range(_DEGRADATION_STEPS)
    ]
    title = f"{context.run.recipe.name}: six steps of blur and noise"
    return image_grid.image_rows(shown, title, headings=headings)


def _losses(context: FigureContext) -> Figure:
    """Draw the loss curves so far, with the values that the source published."""
    run = context.run
    if not (curves := run.curves()):
        raise UsageError(f"{run.folder} has not finished an epoch yet, so there is no loss curve")
    return draw_loss_curves(curves, f"{run.recipe.name}: losses")


def _diagram(context: FigureContext) -> Figure:
    return describe(context.run.recipe, on_bytes=context.on_bytes).diagram()


def _label(name: str, clean: Images, other: Images) -> str:
    """Return a row's name with the mean PSNR of its images, if that is finite."""
    mean = float(psnr(clean, np.clip(other, 0, 1)).mean())
    return f"{name}\n{mean:.1f} dB" if np.isfinite(mean) else name


_FIGURES: dict[str, Callable[[FigureContext], Figure]] = {
    "pairs": _pairs,
    "reconstructed": _reconstructed,
    "denoised": _denoised,
    "classes": _classes,
    "triptychs": _triptychs,
    "degradation": _degradation,
    "losses": _losses,
    "diagram": _diagram,
}
