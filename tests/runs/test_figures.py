from __future__ import annotations

import base64
import shutil
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import pytest
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

import autodenoise
from autodenoise.errors import InputError, UsageError
from autodenoise.recipes import FigureName
from autodenoise.runs import figures as drawing
from autodenoise.runs.figures import FigureContext, draw

SETTINGS = ["data.size=[16, 16]", "network={name = 'conv', width = 8}"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a run of two phases: to reconstruct, and to denoise."""
    settings = [
        *SETTINGS,
        "phase={reconstruct = {objective = 'reconstruction', epochs = 2}, denoise = {epochs = 2}}",
    ]
    out = tmp_path_factory.mktemp("runs") / "run"
    return autodenoise.train("digits", out, settings=settings).folder


def test_every_figure_can_be_drawn(folder: Path) -> None:
    names = get_args(FigureName)
    files = draw(folder, names)
    assert [file.name for file in files] == [f"{name}.png" for name in names]
    for file in files:
        with Image.open(file) as image:
            assert min(image.size) > 200
            assert len(image.convert("L").getcolors(256) or []) > 10


def test_figures_of_the_recipe_are_drawn_by_default(folder: Path) -> None:
    files = draw(folder)
    assert [file.stem for file in files] == ["denoised", "triptychs", "losses"]
    report = (folder / "report.html").read_text("utf-8")
    for file in files:
        assert base64.b64encode(file.read_bytes()).decode() in report


@pytest.mark.parametrize("form", ["png", "svg"])
def test_figures_depend_on_the_seed_only(folder: Path, form: Literal["png", "svg"]) -> None:
    def content(seed: int | None) -> bytes:
        (file,) = draw(folder, ["pairs"], seed=seed, form=form)
        return file.read_bytes()

    assert content(None) == content(0) == content(0)
    assert content(0) != content(1)


def figure_context(folder: Path, *wanted: int) -> FigureContext:
    return FigureContext(autodenoise.Run.open(folder), wanted, 0, None)


def cells(figure: Figure) -> NDArray[np.float32]:
    return np.stack([np.asarray(axes.images[0].get_array()) for axes in figure.axes])


def test_requested_images_are_shown(folder: Path) -> None:
    made = figure_context(folder, 7, 3)
    test, model = made.test, made.model
    rows = [7, 3]
    expected = [
        test.require_clean("a test")[rows],
        test.noisy[rows].clip(0, 1),
        model.batch(test.noisy[rows]),
    ]
    shown = cells(drawing._denoised(made))
    np.testing.assert_array_equal(shown, np.concatenate(expected)[..., 0])
    triptychs = cells(drawing._triptychs(made)).reshape(2, 3, 16, 16)
    for part, images in zip((1, 0, 2), expected, strict=True):
        np.testing.assert_array_equal(triptychs[:, part], images[..., 0])


def test_one_image_of_each_class_is_shown(folder: Path) -> None:
    made = figure_context(folder)
    labels = made.test.labels
    assert labels is not None
    assert labels[made.one_of_each_class("classes")].tolist() == list(range(10))
    assert made.class_names(made.one_of_each_class("classes")) == list("0123456789")


def test_reconstructions_use_the_weights_of_their_phase(folder: Path, tmp_path: Path) -> None:
    made = figure_context(folder, 1)
    early = cells(drawing._reconstructed(made))[1]
    settings = [*SETTINGS, "phase={reconstruct = {objective = 'reconstruction', epochs = 2}}"]
    alone = autodenoise.train("digits", tmp_path / "run", settings=settings)
    clean = made.test.require_clean("a test")[1:2]
    np.testing.assert_allclose(early, alone.model().batch(clean)[0, ..., 0], atol=1e-5)
    assert np.abs(early - made.model.batch(clean)[0, ..., 0]).max() > 0.01
    np.testing.assert_allclose(
        cells(drawing._reconstructed(figure_context(alone.folder, 1)))[1], early, atol=1e-5
    )


def test_degradation_starts_at_the_clean_image(folder: Path) -> None:
    made = figure_context(folder, 4, 5)
    shown = cells(drawing._degradation(made)).reshape(2, 2, 6, 16, 16)
    for row, (given, _) in zip((4, 5), shown, strict=True):
        clean = made.test.require_clean("a test")[row, ..., 0]
        np.testing.assert_array_equal(given[0], clean)
        errors = [np.square(step - clean).mean() for step in given]
        assert errors == sorted(errors)


def test_figure_of_classes_needs_labels(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    np.save(tmp_path / "a.npy", random.integers(0, 256, (20, 16, 16), np.uint8))
    settings = [*SETTINGS, f"data={{source = '{tmp_path}/a.npy', validation = 'last'}}"]
    run = autodenoise.train("digits", tmp_path / "run", settings=settings, epochs=1)
    for name in ("classes", "triptychs"):
        with pytest.raises(UsageError, match=f"'{name}' shows .* have no labels"):
            draw(run.folder, [name])
    draw(run.folder, ["pairs", "denoised", "degradation"])
    (tmp_path / "a.npy").unlink()
    with pytest.raises(InputError, match="no such file"):
        draw(run.folder, ["pairs"])


def test_invalid_requests_are_errors(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="did you mean 'triptychs'"):
        draw(folder, ["triptych"])
    with pytest.raises(UsageError, match=r"there is no image 360; .* from 0 to 359"):
        draw(folder, ["pairs"], images=[0, 360])
    with pytest.raises(UsageError, match="there is no image -1"):
        draw(folder, ["pairs"], images=[5, -1])
    with pytest.raises(InputError, match="not a run folder"):
        draw(tmp_path / "nothing")
    shutil.copytree(folder, tmp_path / "young")
    (tmp_path / "young" / "metrics.csv").unlink()
    with pytest.raises(UsageError, match="not finished an epoch"):
        draw(tmp_path / "young", ["losses"])
