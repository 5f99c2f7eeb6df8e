from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from autodenoise import metrics
from autodenoise.evaluation.scores import evaluate
from autodenoise.plots import figure as figures
from autodenoise.plots import image_grid
from autodenoise.plots.loss_curves import LossCurve, draw_loss_curves


class Known:
    """A denoiser that gives the clean images, some of them dimmed."""

    def __init__(self, clean: NDArray[np.float32]) -> None:
        self.left = clean * np.float32(0.9)
        self.sizes: list[int] = []

    def batch(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        self.sizes.append(len(images))
        given, self.left = self.left[: len(images)], self.left[len(images) :]
        return given


def images(count: int, side: int = 16) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    random = np.random.default_rng(0)
    clean = random.random((count, side, side, 1), np.float32)
    return clean, clean + np.float32(0.4) * random.standard_normal(clean.shape, np.float32)


def test_scores_are_means_over_all_images_in_order() -> None:
    clean, noisy = images(1203)
    known = Known(clean)
    evaluation, denoised = evaluate(known, noisy, clean)
    np.testing.assert_array_equal(denoised, clean * np.float32(0.9))
    assert sum(known.sizes) == evaluation.images == 1203
    assert max(known.sizes) <= 500
    clipped = noisy.clip(0, 1)
    assert evaluation.noisy.psnr == pytest.approx(metrics.psnr(clean, clipped).mean())
    assert evaluation.denoised.psnr == pytest.approx(metrics.psnr(clean, denoised).mean())
    assert evaluation.denoised.ssim == pytest.approx(metrics.ssim(clean, denoised).mean())
    excess = metrics.bce(clean, denoised) - metrics.bce_floor(clean)
    assert evaluation.denoised.bce_excess == pytest.approx(excess.mean())


def test_images_without_error_do_not_make_the_mean_infinite() -> None:
    clean, noisy = images(4)
    noisy[1] = clean[1]
    evaluation, _ = evaluate(Known(clean), noisy, clean)
    touched = [0, 2, 3]
    expected = metrics.psnr(clean[touched], noisy[touched].clip(0, 1)).mean()
    assert evaluation.noisy.psnr == pytest.approx(expected)
    evaluation, _ = evaluate(Known(clean), clean, clean)
    assert evaluation.noisy.psnr is None


def test_images_too_small_for_ssim_have_none() -> None:
    clean, noisy = images(3, side=8)
    evaluation, _ = evaluate(Known(clean), noisy, clean)
    assert evaluation.denoised.ssim is None


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_equal_figures_are_saved_as_equal_bytes(tmp_path: Path, suffix: str) -> None:
    clean, noisy = images(4)
    for name in ("a", "b"):
        figure = image_grid.image_rows({"clean": clean, "noisy": noisy}, "Four")
        figures.save(figure, tmp_path / f"{name}{suffix}")
    assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_any_number_of_channels_can_be_drawn(channels: int) -> None:
    image_grid.image_rows({"a": np.zeros((2, 8, 9, channels), np.float32)}, "")


def test_row_shows_its_pixels(tmp_path: Path) -> None:
    black, white = np.zeros((2, 8, 8, 1), np.float32), np.ones((2, 8, 8, 3), np.float32)
    figures.save(image_grid.image_rows({"b": black}, ""), tmp_path / "b.png")
    figures.save(image_grid.image_rows({"w": white}, ""), tmp_path / "w.png")
    dark = np.asarray(Image.open(tmp_path / "b.png").convert("L"))
    assert dark[dark.shape[0] * 3 // 4, dark.shape[1] * 3 // 4] == 0
    assert np.asarray(Image.open(tmp_path / "w.png").convert("L"))[-40, -40] == 255


def cells(figure: Figure) -> list[NDArray[np.float32]]:
    return [np.asarray(axes.images[0].get_array()) for axes in figure.axes]


def test_rows_show_their_images_in_order() -> None:
    clean, noisy = images(3)
    figure = image_grid.image_rows({"clean": clean, "noisy": noisy}, "", headings=["a", "b", "c"])
    for cell, image in zip(cells(figure), [*clean, *noisy.clip(0, 1)], strict=True):
        np.testing.assert_array_equal(cell, image[..., 0])
    assert {"clean", "noisy", "a", "b", "c"} <= {text.get_text() for text in figure.texts}


@pytest.mark.parametrize("count", [1, 2, 5])
def test_groups_show_their_images_side_by_side(count: int) -> None:
    clean, noisy = images(count)
    names = [f"class {n}" for n in range(count)]
    groups = np.stack([noisy, clean], 1)
    figure = image_grid.image_groups(groups, "", captions=("noisy", "clean"), headings=names)
    order = groups.reshape(-1, *clean.shape[1:]).clip(0, 1)
    for cell, image in zip(cells(figure), order, strict=True):
        np.testing.assert_array_equal(cell, image[..., 0])
    figure.draw_without_rendering()
    for index in range(count):
        first, second = (figure.axes[2 * index + n].get_window_extent() for n in (0, 1))
        assert first.x1 < second.x0
        assert first.y0 == pytest.approx(second.y0)


@pytest.mark.parametrize("wide", [False, True])
def test_texts_do_not_overlap(wide: bool) -> None:
    clean, _ = images(6)
    if wide:
        clean = np.concatenate([clean, clean], 2)
    headings = ["ankle\nboot", "T-shirt", "trousers", "pullover", "sandal", "sneaker"]
    rows = {"clean": clean, "denoised\n20.1 dB": clean, "\nankle boot (image 6001)": clean}
    for figure in (
        image_grid.image_rows(rows, "A long title of a small figure", headings=headings),
        image_grid.image_groups(
            clean[:, None], "Six", captions=["noisy"], headings=["ankle boot"] * 6
        ),
        image_grid.image_rows({"a": clean[:1]}, "A title that is wider than one image"),
    ):
        figure.draw_without_rendering()
        page = figure.bbox
        boxes = [text.get_window_extent() for text in figure.texts]
        boxes += [axes.get_window_extent() for axes in figure.axes]
        for index, box in enumerate(boxes):
            assert page.x0 <= box.x0 < box.x1 <= page.x1
            assert page.y0 <= box.y0 < box.y1 <= page.y1
            assert not any(box.overlaps(other) for other in boxes[:index])


def test_curves_show_losses_and_reported_values() -> None:
    curve = LossCurve("denoise", "bce", [3.0, 2.0], [2.5, 1.5], {2: 1.6, 84: 0.1})
    figure = draw_loss_curves([curve, curve], "Two phases")
    assert len(figure.axes) == 2
    training, validation, printed = figure.axes[0].lines
    np.testing.assert_array_equal(training.get_ydata(), [3.0, 2.0])
    np.testing.assert_array_equal(validation.get_ydata(), [2.5, 1.5])
    # What was printed of later epochs waits until they are there.
    np.testing.assert_array_equal(printed.get_xydata(), [[2, 1.6]])
    low, high = figure.axes[0].get_ylim()
    assert low < 1.5
    assert high > 3


def test_names_are_drawn_without_markup(tmp_path: Path) -> None:
    clean, _ = images(1)
    name = r"$\nosuchcommand$"
    figure = image_grid.image_rows({name: clean}, name, headings=[name])
    figures.save(figure, tmp_path / "a.svg")
    assert (tmp_path / "a.svg").read_text().count(name) == 3
