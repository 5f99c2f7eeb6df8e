"""Drawing: the figures of the tutorials, of any run."""

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
from autodenoise.plots import images as figures
from autodenoise.runs.description import describe
from autodenoise.runs.networks import trained
from autodenoise.runs.report import REPORT_NAME
from autodenoise.runs.report import write as write_report
from autodenoise.runs.run import FIGURES_FOLDER, Run, to_images
from autodenoise.training.randomness import generator

if TYPE_CHECKING:
    import os
    from pathlib import Path

    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from autodenoise.data.download import OnBytes
    from autodenoise.data.splits import Splits
    from autodenoise.runs.run import HeldBack
    from autodenoise.runtime import Model

    Images = NDArray[np.float32]

__all__ = ["Scene", "draw", "draw_scene", "losses"]

_COUNT = 10
_STEPS = 6


def draw(
    folder: str | os.PathLike[str],
    names: Sequence[str] = (),
    *,
    images: Sequence[int] = (),
    seed: int | None = None,
    form: Literal["png", "svg"] = "png",
    on_bytes: OnBytes | None = None,
) -> list[Path]:
    """Draw figures of a run into its folder ``figures``, and show them in its report.

    Parameters
    ----------
    folder
        The run folder.
    names
        Which, of `autodenoise.recipes.FigureName`; by default those of the recipe:

        ==============  =====================================================================
        pairs           ten random images, clean and noisy
        reconstructed   clean, and what the network makes of them untouched by noise
        denoised        clean, noisy and denoised; without clean images, what was taken out
        classes         one image of each class, clean and noisy
        triptychs       one of each class: noisy, clean and denoised beside each other
        degradation     two images blurred and drowned in noise in six steps, and what comes out
        losses          training and validation loss against the epoch
        diagram         the layers and the shapes between them
        ==============  =====================================================================
    images
        Indices of the held-back images to show, from 0; by default drawn with `seed`.
    seed
        Chooses images and noise; by default the recipe's.
    form
        The file format.

    Returns
    -------
    list of Path
        The files, which replace those of an earlier call.

    Raises
    ------
    UsageError
        A figure has no such name, needs class labels that the data lack, or an index is too large.
    InputError
        The folder is no run, its training is not over, or its data are missing.
    OutputError
        The folder cannot be written.
    """
    run = Run.open(folder)
    for name in names:
        if name not in _FIGURES:
            raise unknown_name("figure", name, _FIGURES)
    if form not in ("png", "svg"):
        raise UsageError(f"the format is '{form}'; expected png or svg")
    scene = Scene(run, tuple(images), run.recipe.seed if seed is None else seed, on_bytes)
    files = draw_scene(scene, names or run.recipe.figures, form)
    if (run.folder / REPORT_NAME).exists():
        write_report(run, scene.splits)
    return files


@dataclass
class Scene:
    """What figures are made of, each part read when the first of them needs it.

    Attributes
    ----------
    run
        The run that they are of.
    wanted
        Indices of the images to show; empty: random ones.
    seed
        What every random choice follows from.
    on_bytes
        Hears of a download's progress.
    """

    run: Run
    wanted: tuple[int, ...]
    seed: int
    on_bytes: OnBytes | None

    @cached_property
    def splits(self) -> Splits:
        """The run's data."""
        return self.run.data(self.on_bytes)

    @cached_property
    def held(self) -> HeldBack:
        """The images that it is scored on."""
        return self.run.held_back(self.splits)

    @cached_property
    def model(self) -> Model:
        """Its model file."""
        return self.run.model()

    def chosen(self, count: int) -> NDArray[np.int64]:
        """Give the indices asked for, or `count` random ones."""
        there = len(self.held.noisy)
        if self.wanted:
            missing = [wanted for wanted in self.wanted if not 0 <= wanted < there]
            if missing:
                raise UsageError(
                    f"there is no image {missing[0]}; the {self.held.part} images "
                    f"are numbered from 0 to {there - 1}"
                )
            return np.array(self.wanted)
        return self.random().permutation(there)[:count]

    def visible(self, images: Images) -> Images:
        """Bring images from what the data reach from and to, to black and white."""
        black, white = self.splits.normalization
        return (images - black) / (white - black)

    def random(self) -> np.random.Generator:
        """Begin the same row of random numbers for each figure."""
        return np.random.default_rng(self.seed)

    def one_of_each_class(self, figure: str) -> NDArray[np.int64]:
        """Give the index of one image of each class, in the order of the classes."""
        labels = self.held.labels
        if labels is None:
            raise UsageError(
                f"the figure '{figure}' shows an image of each class, but the data of "
                f"{self.run.folder} have no labels"
            )
        if self.wanted:
            return self.chosen(0)
        order = self.random().permutation(len(labels))
        firsts = {int(labels[row]): row for row in reversed(order)}
        return np.array([firsts[label] for label in sorted(firsts)])

    def class_names(self, rows: NDArray[np.int64]) -> list[str]:
        """Give what each image shows, as lines short enough to stand above it."""
        if self.held.labels is None:
            return []
        return [self.held.classes[label].replace(" ", "\n") for label in self.held.labels[rows]]

    def title(self, what: str) -> str:
        """Put the recipe's name first."""
        return f"{self.run.recipe.name}: {what}"


def draw_scene(
    scene: Scene, names: Sequence[str], form: Literal["png", "svg"] = "png"
) -> list[Path]:
    """Draw some figures of one scene; see `draw`."""
    drawn = [(name, _FIGURES[name](scene)) for name in names]
    folder = scene.run.folder / FIGURES_FOLDER
    make_folder(folder)
    for name, figure in drawn:
        figures.save(figure, folder / f"{name}.{form}")
    return [folder / f"{name}.{form}" for name, _ in drawn]


def _pairs(scene: Scene) -> Figure:
    rows, held = scene.chosen(_COUNT), scene.held
    return figures.image_rows(
        {"clean": held.known("the figure 'pairs'")[rows], "noisy": held.noisy[rows]},
        scene.title(f"{held.part} images and their noise"),
        headings=scene.class_names(rows),
    )


def _reconstructed(scene: Scene) -> Figure:
    """Show the network at the end of its last phase of reconstruction; else as it is now."""
    rows, held = scene.chosen(_COUNT), scene.held
    clean = held.known("the figure 'reconstructed'")[rows]
    phases = scene.run.recipe.phase
    learnt = [name for name, phase in phases.items() if phase.objective == "reconstruction"]
    if learnt and learnt[-1] != list(phases)[-1]:
        tensor = scene.splits.test.images[rows]
        network = trained(scene.run, scene.splits.shape, learnt[-1], scene.splits.normalization)
        with torch.no_grad():
            output = to_images(network.denoise(as_float(tensor)))
        what = f"reconstructions after the phase {learnt[-1]}"
    else:
        output = scene.model.batch(clean)
        what = "what the network makes of clean images"
    return figures.image_rows(
        {"clean": clean, _label("reconstructed", clean, output): output},
        scene.title(what),
        headings=scene.class_names(rows),
    )


def _denoised(scene: Scene) -> Figure:
    rows, held = scene.chosen(_COUNT), scene.held
    noisy = held.noisy[rows]
    output = scene.model.batch(noisy)
    if held.clean is None:
        removed = scene.visible(noisy) - scene.visible(output)
        times = gain(removed)
        stronger = f",\n{times} times as strong" if times > 1 else ""
        shown = {
            "noisy": scene.visible(noisy),
            "denoised": scene.visible(output),
            f"taken out{stronger}": 0.5 + times * removed,
        }
    else:
        clean = held.clean[rows]
        shown = {
            "clean": scene.visible(clean),
            _label("noisy", clean, noisy): scene.visible(noisy),
            _label("denoised", clean, output): scene.visible(output),
        }
    return figures.image_rows(
        shown,
        scene.title(f"{len(rows)} {held.part} images"),
        headings=scene.class_names(rows),
    )


def _classes(scene: Scene) -> Figure:
    rows, held = scene.one_of_each_class("classes"), scene.held
    return figures.image_rows(
        {"clean": held.known("the figure 'classes'")[rows], "noisy": held.noisy[rows]},
        scene.title("one image of each class"),
        headings=scene.class_names(rows),
    )


def _triptychs(scene: Scene) -> Figure:
    rows, held = scene.one_of_each_class("triptychs"), scene.held
    output = scene.model.batch(held.noisy[rows])
    clean = held.known("the figure 'triptychs'")[rows]
    parts = np.stack([held.noisy[rows], clean, output], 1)
    return figures.image_groups(
        parts,
        scene.title("noisy, clean and denoised"),
        headings=[name.replace("\n", " ") for name in scene.class_names(rows)],
        captions=("noisy", "clean", "denoised"),
    )


def _degradation(scene: Scene) -> Figure:
    """Draw what "denoise example" draws: blur of sigma 0.5 i, then U(-0.4 i, 0.4 i), i from 0."""
    shown: dict[str, Images] = {}
    chosen = scene.chosen(2)
    scene.held.known("the figure 'degradation'")
    for row in chosen:
        clean = as_float(scene.splits.test.images[row : row + 1])
        steps = []
        for step in range(_STEPS):
            draw = generator(scene.seed, "degradation", int(row), step)
            blurred = Blur(0.5 * step)(clean, draw) if step else clean
            steps.append(Uniform(0.4 * step, symmetric=True)(blurred, draw) if step else blurred)
        noisy = to_images(torch.cat(steps))
        gap = "\n" if shown else ""
        names = scene.class_names(np.array([row]))
        name = f"{names[0]} (image {row})" if names else f"image {row}"
        shown[f"{gap}{name}"] = noisy
        shown[f"denoised ({row})"] = scene.model.batch(noisy)
    headings = [f"blur {0.5 * step:.1f}\nnoise ±{0.4 * step:.1f}" for step in range(_STEPS)]
    return figures.image_rows(shown, scene.title("six steps into the noise"), headings=headings)


def _losses(scene: Scene) -> Figure:
    return losses(scene.run)


def losses(run: Run) -> Figure:
    """Draw the loss curves of a run as far as it has come, its source's printed values beside."""
    curves = run.curves()
    if not curves:
        raise UsageError(f"{run.folder} has not finished an epoch yet: there is no curve to draw")
    return figures.curves(curves, f"{run.recipe.name}: losses")


def _diagram(scene: Scene) -> Figure:
    return describe(scene.run.recipe, on_bytes=scene.on_bytes).diagram()


def _label(name: str, clean: Images, other: Images) -> str:
    """Put the mean PSNR of these images under a row's name, where it is finite."""
    peaks = psnr(clean, np.clip(other, 0, 1))
    mean = float(peaks.mean())
    return f"{name}\n{mean:.1f} dB" if np.isfinite(mean) else name


_FIGURES: dict[str, Callable[[Scene], Figure]] = {
    "pairs": _pairs,
    "reconstructed": _reconstructed,
    "denoised": _denoised,
    "classes": _classes,
    "triptychs": _triptychs,
    "degradation": _degradation,
    "losses": _losses,
    "diagram": _diagram,
}
