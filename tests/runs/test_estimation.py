from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import autodenoise
from autodenoise import images, runs, runtime
from autodenoise.data import dataset as data
from autodenoise.data.splits import Part
from autodenoise.errors import InputError, UsageError
from autodenoise.noise import Gaussian, Measured
from autodenoise.noise_estimation import summary
from autodenoise.noise_estimation.estimate import QualityEstimate
from autodenoise.recipes import OwnData, description
from autodenoise.runs import Run, report
from autodenoise.runs import estimation as likely
from autodenoise.runs.figures import draw
from autodenoise.runs.run import to_images
from autodenoise.runs.training import PreparedRun
from tests.helpers.command_line import run as run_command
from tests.helpers.report_pages import Page, pixels, text
from tests.helpers.run_folders import make, stored, write
from tests.helpers.scenes import Images, along_rows, smooth_scenes, white

COUNT, SIDE = 12, 96
CLEAN = smooth_scenes(COUNT, SIDE)


def noisy(seed: int, kind: str = "white") -> Images:
    noise = along_rows(CLEAN.shape, 0.5) if kind == "rows" else white(CLEAN.shape, seed)
    return stored(CLEAN + 0.1 * noise)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("secret-place")
    write(home / "noisy", noisy(1))
    write(home / "scans", noisy(1, "rows"))
    write(home / "targets", stored(CLEAN))
    for scene in range(COUNT):
        write(home / "series" / f"{scene:02}", np.stack([noisy(seed)[scene] for seed in (1, 2, 3)]))
    make(OwnData("noisy-only", home / "noisy"), home / "of-noisy")
    make(OwnData("noisy-only", home / "scans"), home / "of-scans")
    make(OwnData("repeats", home / "series"), home / "of-repeats")
    make(OwnData("paired", home / "noisy", home / "targets"), home / "of-pairs")
    return home


def truth(run: Run) -> float:
    """Give the PSNR against the clean scenes, which no run but that of the pairs knows."""
    test = run.evaluation_images(run.data())
    # Each held-back image is the middle of the scene that it is least unlike.
    side = test.noisy.shape[1]
    edge = (SIDE - side) // 2
    middles = CLEAN[:, edge : edge + side, edge : edge + side]
    clean = np.stack([min(middles, key=lambda m: np.abs(m - image).sum()) for image in test.noisy])
    return float(-10 * np.log10(np.square(run.model().batch(test.noisy) - clean).mean()))


def written(run: Run, name: str = "estimate.json") -> dict[str, Any]:
    content: dict[str, Any] = json.loads((run.folder / name).read_text())
    return content


@pytest.mark.parametrize("name", ["of-noisy", "of-repeats"])
def test_quality_is_estimated_without_clean_images(home: Path, name: str) -> None:
    run = Run.open(home / name)
    found = autodenoise.estimate(run.folder)
    assert found.psnr is not None
    assert abs(found.psnr - truth(run)) < max(0.3, 2 * found.psnr_deviation)
    assert found.noisy_psnr == pytest.approx(20, abs=0.3)
    assert written(run)["error"] == found.error
    assert (run.folder / "figures/denoised.png").stat().st_size > 5000
    assert not (run.folder / "evaluation.json").exists()
    page = Page(run.folder / "report.html")
    section = page.one("section[@aria-labelledby='estimate-title']")
    assert f"Likely {found.psnr:.1f} dB" in text(section)
    assert page.values("section[@aria-labelledby='estimate-title']//tbody/tr[2]")[1] == (
        pytest.approx(found.psnr)
    )
    svg = page.text.split('aria-labelledby="estimate-title"', 1)[1]
    assert svg.count("<g><title>") == 2 * 13 * 13
    points = svg.split('<g class="removed">', 1)[1].split("</defs>", 1)[1].split("</g>", 1)[0]
    assert points.count("<use") == len(found.residual[0].means)
    assert not page.all("section[@aria-labelledby='scores-title']")
    assert "PSNR, likely" in text(page.one("dl[@class='tiles']"))


def test_report_without_clean_images_shows_the_removed_noise(home: Path) -> None:
    run = Run.open(home / "of-noisy")
    splits = run.data()
    page = Page(report.write(run, splits))
    test = run.evaluation_images(splits)
    assert test.clean is None
    denoised = run.model().batch(test.noisy)
    assert not page.all("img[@id='clean']")
    columns = page.all("fieldset//label")
    assert len(columns) == len(test.noisy)
    for index, column in enumerate(columns):
        first, second, third = (pixels(image.get("src")) for image in column.findall("img"))
        black, white = splits.normalization
        shown = [
            (image - black) / (white - black) for image in (test.noisy[index], denoised[index])
        ]
        byte = np.dtype(np.uint8)
        np.testing.assert_array_equal(first, images.from_float(shown[0], byte))
        assert np.abs(second - images.from_float(shown[1], byte).astype(int)).max() <= 1
        removed = 0.5 + (shown[0] - shown[1]) * 1
        assert np.abs(third - images.from_float(removed, byte).astype(int)).max() <= 1
    body = text(page.root.find("body"))
    assert "Your noisy images, without clean ones" in body
    assert "The noise of the images themselves" in body
    assert "An image gets new noise" not in body
    assert "secret-place" not in text(page.one("section[@aria-labelledby='recipe-title']"))


def test_correlated_noise_is_warned_about_before_and_after_training(home: Path) -> None:
    run = Run.open(home / "of-scans")
    splits = run.data()
    blind = dataclasses.replace(run.recipe.phase["denoise"], objective="neighbor2neighbor")
    for phase in (run.recipe.phase["denoise"], blind):
        recipe = dataclasses.replace(run.recipe, phase={"denoise": phase})
        (printed,) = likely.noise_warnings(recipe, splits)
        assert printed.startswith("the noise is correlated along rows (0.")
        assert 'lines = "rows"' in printed
    assert likely.estimate_quality(run, splits) is not None
    page = Page(report.write(run, splits))
    section = text(page.one("section[@aria-labelledby='estimate-title']"))
    assert "cannot be estimated" in section
    assert "dB" not in section
    assert likely.noise_warnings(run.recipe, Run.open(home / "of-noisy").data()) == ()
    # Who hides lines, or has repeats, need not be told.
    phase = dataclasses.replace(run.recipe.phase["denoise"], objective="noise2void2", lines="rows")
    assert likely.noise_warnings(dataclasses.replace(run.recipe, phase={"a": phase}), splits) == ()
    with_repeats = Run.open(home / "of-repeats")
    assert likely.noise_warnings(with_repeats.recipe, with_repeats.data()) == ()


@pytest.mark.parametrize(("name", "kind"), [("of-repeats", "white"), ("of-pairs", "rows")])
def test_all_noise_of_repeats_and_pairs_is_analyzed(home: Path, name: str, kind: str) -> None:
    # Whatever the images show: here, texture everywhere.
    texture = 0.5 + 0.3 * along_rows(CLEAN.shape, 0.9).transpose(0, 2, 1, 3)
    noise = white(CLEAN.shape, 5) if kind == "white" else along_rows(CLEAN.shape, 0.5)
    scenes, shot, again = (
        torch.from_numpy(part.transpose(0, 3, 1, 2).copy())
        for part in (texture, texture + 0.1 * noise, texture + 0.1 * white(CLEAN.shape, 6))
    )
    repeats = name == "of-repeats"
    part = Part(again, noisy=shot, again=again) if repeats else Part(scenes, noisy=shot)
    recipe = Run.open(home / name).recipe
    phase = dataclasses.replace(recipe.phase["denoise"], objective="neighbor2neighbor")
    blind = dataclasses.replace(recipe, phase={"denoise": phase})
    printed = likely.noise_warnings(blind, data.Splits(part, part, part))
    assert len(printed) == (kind == "rows")
    assert all("along rows (0.5" in sentence for sentence in printed)


def test_pairs_are_scored_on_their_noise(home: Path) -> None:
    run = Run.open(home / "of-pairs")
    splits = run.data()
    test = run.evaluation_images(splits)
    assert test.clean is not None
    assert splits.test.noisy is not None
    np.testing.assert_array_equal(test.noisy, to_images(splits.test.noisy))
    scores = autodenoise.evaluate(run.folder)
    assert scores.noisy.psnr == pytest.approx(20, abs=0.3)
    assert scores.denoised.psnr is not None
    assert scores.denoised.psnr > 30
    assert likely.estimate_quality(run, splits) is None
    with pytest.raises(UsageError, match="include clean images"):
        autodenoise.estimate(run.folder)
    noisy_scores = runs.compare(run.folder, ["pca"]).rows[0].scores
    assert noisy_scores.psnr == scores.noisy.psnr
    page = Page(run.folder / "report.html")
    assert "noisy and targets" not in text(page.root.find("body"))
    assert "pairs of a noisy and a clean image" in text(page.root.find("body"))
    assert "secret-place" not in text(page.one("section[@aria-labelledby='recipe-title']"))


def test_scores_need_clean_images(home: Path) -> None:
    folder = home / "of-noisy"
    for ask in (
        lambda: autodenoise.evaluate(folder),
        lambda: runs.compare(folder, ["pca"]),
        lambda: runs.find_outliers(folder, "digits"),
        lambda: draw(folder, ["pairs"]),
        lambda: draw(folder, ["degradation"]),
    ):
        with pytest.raises(UsageError, match="needs clean images"):
            ask()


def test_on_the_command_line(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    assert run_command(monkeypatch, "evaluate", str(home / "of-noisy")) == 0
    printed = capsys.readouterr().out
    found = written(Run.open(home / "of-noisy"))
    assert f"{found['images']} noisy images" in printed
    assert "\nLikely 3" in printed
    assert "lost structure" in printed
    assert "estimate.json" in printed


def test_images_too_small_for_an_estimate(tmp_path: Path) -> None:
    write(tmp_path / "small", noisy(1)[:, :7, :7])
    run = make(OwnData("noisy-only", tmp_path / "small"), tmp_path / "run")
    assert likely.estimate_quality(run, run.data()) is None
    with pytest.raises(InputError, match="too small or too few"):
        autodenoise.estimate(run.folder)
    page = Page(report.write(run, run.data()))
    section = text(page.one("section[@aria-labelledby='estimate-title']"))
    assert "has not been estimated yet" in section


def test_noise_of_the_recipe_is_used_and_compared_with_the_images(home: Path) -> None:
    def estimated(name: str, noise: Gaussian | Measured) -> QualityEstimate:
        run = Run.open(home / name)
        phases = {
            key: dataclasses.replace(phase, objective="neighbor2neighbor")
            for key, phase in run.recipe.phase.items()
        }
        run = Run(run.folder, dataclasses.replace(run.recipe, noise=(noise,), phase=phases))
        found = likely.estimate_quality(run, run.data())
        assert found is not None
        return found

    rows = [[0.5 ** abs(x) if y == 0 else 0.0 for x in range(-4, 5)] for y in range(-4, 5)]
    lags = tuple(map(tuple, rows))
    found = estimated("of-scans", Measured((0.0, 1.0), ((0.1, 0.1),), (lags,)))
    assert found.known_from == "recipe"
    assert found.worth == "likely"
    assert found.psnr == pytest.approx(truth(Run.open(home / "of-scans")), abs=0.5)
    assert found.noise == pytest.approx(0.01, rel=0.02)
    assert not any("times as strong" in printed for printed in summary.cautions(found))
    right, wrong = estimated("of-noisy", Gaussian(0.1)), estimated("of-noisy", Gaussian(0.2))
    assert (right.known_from, wrong.known_from) == ("recipe", "recipe")
    assert not summary.cautions(right)
    assert "seems to be 0.5" in summary.cautions(wrong)[0]
    # One that is drawn for each image says nothing of any.
    assert estimated("of-noisy", Gaussian((0.0, 0.2))).known_from == "images"


def test_training_prints_the_estimated_quality(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def export(prepared: PreparedRun) -> None:
        shutil.copy(runtime.find_model("photo-fast-gray"), prepared.run.folder / "model.onnx")

    # The network that takes longer to export than all else here does not matter.
    monkeypatch.setattr("autodenoise.runs.training._export", export)
    settings = ["data.crop=16", "data.samples=8", "phase.denoise.batch_size=4", "data.share=0.5"]
    run = autodenoise.train(
        None,
        tmp_path / "run",
        own_data=OwnData("repeats", home / "series"),
        settings=settings,
        epochs=1,
        tensorboard=True,
    )
    assert written(run)["known_from"] == "shots"
    assert "Estimated quality" in (run.folder / "report.html").read_text("utf-8")
    events = EventAccumulator(str(run.folder / "tensorboard"))
    events.Reload()
    assert events.Tags()["images"] == ["noisy, denoised"]


def test_recipe_for_paired_data_is_described(home: Path) -> None:
    recipe = Run.open(home / "of-pairs").recipe
    assert description.data(recipe) == (
        "noisy and targets, pairs of a noisy and a clean image, random crops of 48x48 pixels, "
        "flipped and rotated, 2,000 per epoch, normalized to the range of their values; validated "
        "on a random 50%"
    )
    assert description.noises(recipe) == ["The noise of the images themselves"]


def test_recipe_with_synthetic_repeats_is_described(home: Path) -> None:
    recipe = Run.open(home / "of-pairs").recipe
    drawn = dataclasses.replace(recipe.data, supervision="clean", targets="", shots=2)
    phases = {"denoise": dataclasses.replace(recipe.phase["denoise"], objective="noise2noise")}
    synthetic = dataclasses.replace(recipe, data=drawn, noise=(Gaussian(0.1),), phase=phases)
    assert description.data(synthetic).startswith("noisy, 2 noisy versions of each image, random")
    assert description.noises(synthetic) == ["Gaussian noise of sigma 0.1"]


def test_noise_is_drawn_only_on_clean_images(home: Path) -> None:
    recipe = Run.open(home / "of-pairs").recipe
    phase = dataclasses.replace(recipe.phase["denoise"], objective="noise2void2", lines="rows")
    sentences = description.phase(phase, recipe.data)
    assert "hiding the pixels beside them in rows too" in sentences[0]
    assert not any("drawn anew" in sentence for sentence in sentences)
    assert any("drawn anew" in sentence for sentence in description.phase(phase))
