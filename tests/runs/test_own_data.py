from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

import autodenoise
from autodenoise import runtime
from autodenoise.data import dataset as data
from autodenoise.errors import InputError
from autodenoise.recipes import OwnData

SMALL = [
    "data.crop=16",
    "data.samples=8",
    "phase.denoise.batch_size=4",
    "phase.denoise.objective=neighbor2neighbor",
]


def micrographs(folder: Path, dtype: type[np.generic], low: float, high: float) -> Path:
    """Write noisy pictures of smooth shapes."""
    folder.mkdir()
    random = np.random.default_rng(0)
    for number in range(3):
        coarse = random.uniform(0.1, 0.9, (8, 10))
        smooth = np.kron(coarse, np.ones((8, 8))) + random.normal(0, 0.05, (64, 80))
        tifffile.imwrite(folder / f"{number}.tif", (low + (high - low) * smooth).astype(dtype))
    return folder


def test_model_denoises_floats_in_the_unit_of_the_training_images(tmp_path: Path) -> None:
    folder = micrographs(tmp_path / "in", np.float32, -40, 700)
    run = autodenoise.train(
        None,
        tmp_path / "run",
        own_data=OwnData("noisy-only", folder),
        settings=SMALL,
        epochs=1,
        device="cpu",
    )
    model = autodenoise.load(run.folder)
    assert model.card.range is not None
    low, high = model.card.range
    assert low < 0
    assert high > 600
    noisy = tifffile.imread(folder / "0.tif")
    runtime.denoise_file(model, folder / "0.tif", tmp_path / "clean.tif")
    clean = tifffile.imread(tmp_path / "clean.tif")
    assert clean.dtype == np.float32
    given = ((noisy - low) / (high - low)).astype(np.float32)
    unit = model.batch(given[None, ..., None])[0, ..., 0]
    np.testing.assert_allclose(clean, low + unit * (high - low), atol=1e-2)
    np.testing.assert_allclose(model(noisy), clean, atol=1e-2)
    # The network works on what lies between black and white, wherever in the range that is.
    black, white = (model.card.arguments[name] for name in ("black", "white"))
    assert 0 < black < white < 1


def test_changed_images_are_an_error_when_scoring(
    tmp_path: Path,
) -> None:
    folder = micrographs(tmp_path / "in", np.uint16, 900, 2100)
    own = OwnData("clean", folder)
    settings = ["data.crop=16", "data.samples=8", "phase.denoise.batch_size=4", "figures=[]"]
    run = autodenoise.train(None, tmp_path / "run", own_data=own, settings=settings, epochs=1)
    scores = autodenoise.evaluate(run.folder)
    (folder / "3.tif").write_bytes((folder / "0.tif").read_bytes()[::-1] + b"no picture")
    (folder / "0.denoised.tif").write_bytes((folder / "0.tif").read_bytes())
    assert autodenoise.evaluate(run.folder).denoised == scores.denoised
    (folder / "3.tif").write_bytes((folder / "0.tif").read_bytes())
    for asked in (autodenoise.evaluate, autodenoise.resume):
        with pytest.raises(InputError, match="have changed since"):
            asked(run.folder)
    (folder / "3.tif").rename(folder / "3.old")
    assert autodenoise.evaluate(run.folder).denoised == scores.denoised
    # Where they lie does not matter.
    folder.rename(tmp_path / "moved")
    recipe = (run.folder / "recipe.toml").read_text()
    (run.folder / "recipe.toml").write_text(recipe.replace(str(folder), str(tmp_path / "moved")))
    assert autodenoise.evaluate(run.folder).denoised == scores.denoised


def test_streamed_training_equals_training_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = micrographs(tmp_path / "in", np.uint16, 900, 2100)
    monkeypatch.setattr("autodenoise.runs.training._write_outputs", lambda _: None)
    rows = []
    for name, memory in (("here", 1e9), ("there", 1.0)):
        monkeypatch.setattr(data, "_memory", lambda memory=memory: memory)
        run = autodenoise.train(
            None,
            tmp_path / name,
            own_data=OwnData("noisy-only", folder),
            settings=SMALL,
            epochs=2,
            device="cpu",
        )
        rows.append([(row.loss, row.val_loss) for row in run.rows])
    assert rows[0] == rows[1]
