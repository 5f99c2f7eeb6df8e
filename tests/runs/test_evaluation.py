from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio
from sklearn.decomposition import PCA

import autodenoise
from autodenoise import runs
from autodenoise.errors import InputError, UsageError
from autodenoise.noise import Compose
from autodenoise.runs.callbacks import CallbackList
from autodenoise.training.history import EpochRow
from autodenoise.training.validation import corrupt


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a run of a dense network with a code of 12 numbers on noisy 8x8 digits."""
    settings = [
        "data.size=[8, 8]",
        "network={name = 'dense', widths = [128, 12, 128]}",
    ]
    out = tmp_path_factory.mktemp("runs") / "run"
    return autodenoise.train("digits", out, settings=settings, epochs=60).folder


def written(folder: Path, name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / name).read_text())
    digest = hashlib.sha256((folder / "model.onnx").read_bytes()).hexdigest()
    assert content.pop("model_sha256") == digest
    return content


def test_denoising_raises_the_accuracy_of_a_classifier(tmp_path: Path) -> None:
    settings = ["data.size=[16, 16]", "noise.sigma=0.8"]
    folder = autodenoise.train("digits", tmp_path / "run", settings=settings, epochs=12).folder
    steps: list[tuple[int, int]] = []
    accuracy = runs.classify(folder, on_step=lambda done, total: steps.append((done, total)))
    assert accuracy.clean > 0.95
    assert accuracy.noisy < 0.45
    assert accuracy.denoised > 0.6
    assert steps[-1] == (len(steps), len(steps))
    assert runs.classify(folder) == accuracy
    assert written(folder, "classifier.json") == {
        "images": 360,
        "clean": accuracy.clean,
        "noisy": accuracy.noisy,
        "denoised": accuracy.denoised,
    }


def test_autoencoder_beats_as_many_principal_components(folder: Path) -> None:
    noisy, own, linear = runs.compare(folder, ["pca"]).rows
    assert linear.name == "pca, 12 numbers"
    assert linear.parameters == 14 * 64
    assert noisy.scores.psnr is not None
    assert own.scores.psnr is not None
    assert linear.scores.psnr is not None
    assert own.scores.psnr > linear.scores.psnr + 1 > noisy.scores.psnr + 4
    assert own.scores.bce < linear.scores.bce < noisy.scores.bce
    rows = written(folder, "comparison.json")["rows"]
    assert [row["name"] for row in rows] == ["noisy", "digits", "pca, 12 numbers"]
    assert rows[1]["scores"]["psnr"] == runs.evaluate(folder).denoised.psnr
    # scikit-learn's own way from image to image, with the noise's mean as the training part has it.
    run = autodenoise.Run.open(folder)
    splits = run.data()
    test = run.evaluation_images(splits)
    flat = splits.train.images.reshape(-1, 64).numpy() / 255
    noise = corrupt(Compose(run.recipe.noise), splits.train.images, 0, "pca").reshape(-1, 64)
    shift = noise.numpy().mean(0) - flat.mean(0)
    pca = PCA(12).fit(flat)
    back = pca.inverse_transform(pca.transform(test.noisy.reshape(-1, 64) - shift)).clip(0, 1)
    clean = test.require_clean("a test").reshape(-1, 64).astype(np.float64)
    peaks = [peak_signal_noise_ratio(a, b, data_range=1) for a, b in zip(clean, back, strict=True)]
    assert linear.scores.psnr == pytest.approx(np.mean(peaks), abs=1e-3)


class EpochRecorder(CallbackList):
    """A report that remembers the last epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.last = 0

    def epoch(self, row: EpochRow) -> None:
        self.last = row.epoch


def test_compared_recipe_is_trained_once_on_the_data_and_noise_of_the_run(
    folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "rival.toml").write_text(
        "title = 'A rival'\n"
        "data = { source = 'mnist' }\n"
        "noise = { kind = 'blur', sigma = 1.0 }\n"
        "network = { name = 'dense', widths = [16, 4, 16] }\n"
        "phase.denoise = { epochs = 2 }\n"
    )
    recorder = EpochRecorder()
    names = [str(tmp_path / "rival.toml"), str(folder)]
    first = runs.compare(folder, names, report=recorder).rows
    assert [row.name for row in first] == ["noisy", "digits", "rival", str(folder)]
    assert recorder.last == 2
    recorder.last = 0
    rival, own = autodenoise.Run.open(folder / "against" / "rival").recipe, first[1]
    mine = autodenoise.Run.open(folder).recipe
    assert (rival.data, rival.noise, rival.seed) == (mine.data, mine.noise, mine.seed)
    assert first[3].scores == own.scores
    assert first[3].parameters == own.parameters
    assert own.scores.bce < first[2].scores.bce
    # It is there now.
    assert runs.compare(folder, names, report=recorder).rows == first
    assert recorder.last == 0
    # Another of the same name is not taken for it.
    recipe = tmp_path / "rival.toml"
    recipe.write_text(recipe.read_text().replace("[16, 4, 16]", "[32, 4, 32]"))
    with pytest.raises(UsageError, match=r"rival holds another recipe .*\[16, 4, 16\] there"):
        runs.compare(folder, names)


def test_without_a_bottleneck_the_best_number_of_components_is_used(tmp_path: Path) -> None:
    settings = ["data.size=[8, 8]", "network={name = 'conv', width = 32}"]
    run = autodenoise.train("digits", tmp_path / "run", settings=settings, epochs=1)
    linear = runs.compare(run.folder, ["pca"]).rows[2]
    chosen = int(linear.name.split()[1])
    splits = run.data()
    test = run.evaluation_images(splits)
    flat = splits.train.images.reshape(-1, 64).numpy() / 255
    clean, noisy = (images.reshape(-1, 64) for images in (test.require_clean("a test"), test.noisy))

    noise = corrupt(Compose(run.recipe.noise), splits.train.images, 0, "pca").reshape(-1, 64)
    shift = noise.numpy().mean(0) - flat.mean(0)

    def error(count: int) -> float:
        pca = PCA(count).fit(flat)
        back = pca.inverse_transform(pca.transform(noisy - shift))
        return float(np.square(back - clean).mean())

    errors = {count: error(count) for count in range(1, 65)}
    # Chosen on training images, it is near the best on images that it was not chosen on.
    assert errors[chosen] < 1.02 * min(errors.values())


@pytest.mark.usefixtures("real_data")
def test_clothes_are_outliers_among_digits(tmp_path: Path) -> None:
    settings = ["data.source=mnist", "data.validation=test", "phase.denoise.epochs=1"]
    settings += ["phase.denoise.batch_size=512"]
    run = autodenoise.train("swift-mnist", tmp_path / "run", settings=settings)
    found = runs.find_outliers(run.folder, "fashion-mnist")
    assert found.auc >= 0.95
    assert found.auc > found.brightness_auc
    assert (found.images, found.outliers) == (10_000, 10_000)
    assert written(run.folder, "outliers.json")["auc"] == found.auc
    for name in ("outliers.png", "unfamiliar.png"):
        assert (run.folder / "figures" / name).stat().st_size > 5000
    # Its own kind is none.
    assert runs.find_outliers(run.folder, "mnist").auc == pytest.approx(0.5)


def test_invalid_requests_are_errors(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="did you mean 'pca'"):
        runs.compare(folder, ["pcs"])
    with pytest.raises(UsageError, match="did you mean 'mnist'"):
        runs.find_outliers(folder, "mnits")
    random = np.random.default_rng(0)
    np.save(tmp_path / "a.npy", random.integers(0, 256, (20, 8, 8, 3), np.uint8))
    with pytest.raises(InputError, match=r"3 channel\(s\), .* trained on 1"):
        runs.find_outliers(folder, str(tmp_path / "a.npy"))
    settings = ["data.size=[8, 8]", f"data={{source = '{tmp_path}/a.npy', validation = 'last'}}"]
    run = autodenoise.train("digits", tmp_path / "run", settings=settings, epochs=1)
    with pytest.raises(UsageError, match="have no labels"):
        runs.classify(run.folder)
    with pytest.raises(InputError, match="3 channel"):
        runs.compare(folder, [str(run.folder)])
