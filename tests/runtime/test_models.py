from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from autodenoise import runtime, weights
from autodenoise.errors import InputError, UsageError
from autodenoise.images import IntensityRange
from autodenoise.runtime import models
from tests.helpers.model_files import box_blur, identity


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the current folder, which is empty."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run_folder(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return box_blur(folder / runtime.MODEL_NAME)


@pytest.fixture
def shipped(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Replace the shipped models by two others; return their folder."""
    folder = tmp_path_factory.mktemp("weights")
    identity(folder / "first.onnx")
    box_blur(folder / "second.onnx")
    monkeypatch.setattr(models, "_SHIPPED", folder)
    files = {"photos": "first.onnx", "scans": "second.onnx"}
    monkeypatch.setattr(weights, "FILES", files)
    return folder


@pytest.mark.parametrize("name", weights.FILES)
def test_shipped_model_matches_its_card(name: str) -> None:
    model = runtime.load(name)
    card = model.card
    assert card.name == name
    assert card.precision == ("int8" if name.endswith("-int8") else "float32")
    for text in (card.compute, card.limits, card.license, card.data, card.noise):
        assert text
    assert card.scores["psnr_15"] > card.scores["psnr_25"] > card.scores["psnr_50"] > 24
    # On a flat image, only a small part of the noise remains.
    flat = np.full((96, 88, card.channels), 0.5, np.float32)
    noise = np.random.RandomState(0).normal(0, 25 / 255, flat.shape)
    remaining = (
        model.denoise((flat + noise).astype(np.float32), intensity_range=IntensityRange(0, 1))
        - flat
    )
    assert np.sqrt(np.mean(remaining**2)) < 0.2 * 25 / 255


def test_shipped_models_are_small_and_the_default_is_for_real_photos() -> None:
    files = [runtime.find_model(name) for name in weights.FILES]
    assert {file.name for file in files} == {file.name for file in files[0].parent.glob("*.onnx")}
    assert sum(file.stat().st_size for file in files) < 25e6
    assert runtime.load().card.name == "photo-real-color"
    # A clean gray ramp is left as it is.
    clean = np.repeat(np.linspace(0, 255, 96).astype(np.uint8)[None, :, None], 64, 0)
    output = runtime.load().denoise(np.repeat(clean, 3, 2))
    assert np.abs(output.astype(int) - clean).max() <= 3


@pytest.mark.usefixtures("here")
def test_find_model_accepts_files_run_folders_and_run_names() -> None:
    file = run_folder(Path("runs/digits"))
    assert runtime.find_model("runs/digits") == file
    assert runtime.find_model("digits") == file
    assert runtime.find_model("runs/digits/model.onnx") == file
    assert runtime.find_model(Path("runs/digits").resolve()) == file.resolve()
    assert runtime.load("digits").card.name == "box"
    box_blur(Path("digits"))
    assert runtime.find_model("digits") == file


@pytest.mark.usefixtures("here")
def test_folder_with_the_name_of_a_run_does_not_hide_it() -> None:
    file = run_folder(Path("runs/digits"))
    Path("digits").mkdir()
    assert runtime.find_model("digits") == file
    run_folder(Path("digits/deeper"))
    shutil.copy(file, "digits")
    assert runtime.find_model("digits") == Path("digits/model.onnx")


@pytest.mark.usefixtures("here")
def test_run_folder_without_model_file_says_how_to_finish_training() -> None:
    Path("runs/half").mkdir(parents=True)
    for name in ("half", "runs/half"):
        with pytest.raises(InputError, match=r"runs/half has no model\.onnx.*--resume runs/half"):
            runtime.find_model(name)


@pytest.mark.usefixtures("here")
def test_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(UsageError, match="unknown model 'digits'"):
        runtime.find_model("digits")
    run_folder(Path("runs/digits"))
    with pytest.raises(UsageError, match="unknown model 'digit'; did you mean 'digits'"):
        runtime.find_model("digit")
    for path in ("missing.onnx", "runs/missing/model.onnx"):
        with pytest.raises(InputError, match=f"no such model file: {path}"):
            runtime.load(path)


@pytest.mark.usefixtures("here")
def test_shipped_models_are_found_by_name(shipped: Path) -> None:
    assert runtime.find_model() == runtime.find_model("photos") == shipped / "first.onnx"
    assert runtime.load("scans").card.name == "box"
    with pytest.raises(UsageError, match="did you mean 'scans'"):
        runtime.find_model("scan")
    # With a folder or a suffix, the name is a path.
    assert runtime.find_model("./scans.onnx") == Path("scans.onnx")


@pytest.mark.usefixtures("shipped")
def test_listing_contains_all_models_and_reports_unusable_files(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_folder(Path("runs/b"))
    run_folder(Path("runs/a"))
    Path("runs/unfinished").mkdir()
    box_blur(Path("mine.onnx"))
    Path("broken.onnx").write_bytes(b"\x3a\xff")
    Path("folder.onnx").mkdir()
    Path("dangling.onnx").symlink_to("nowhere")

    def session(*_: object, **__: object) -> None:
        raise AssertionError("a listing ran a model")

    monkeypatch.setattr("onnxruntime.InferenceSession", session)
    found = {entry.name: entry for entry in runtime.list_models()}
    unusable = ["broken.onnx", "dangling.onnx", "folder.onnx"]
    usable = ["mine.onnx", "a", "b"]
    assert list(found) == ["photos", "scans", *sorted([*unusable, "mine.onnx"]), *usable[1:]]
    for name in unusable:
        assert found[name].card is None
        assert name in found[name].problem
    assert "damaged" in found["broken.onnx"].problem
    for name in usable:
        card = found[name].card
        assert card is not None
        assert (card.name, found[name].problem) == ("box", "")
        assert runtime.find_model(name) == found[name].path
    # Runs whose name is taken are listed with their folder.
    run_folder(Path("runs/scans"))
    run_folder(Path("a"))
    for entry in runtime.list_models()[2:]:
        assert entry.problem or runtime.find_model(entry.name) == entry.path
    shutil.rmtree("runs/scans")
    # A run whose model file is a folder is listed with its problem.
    Path("runs/odd/model.onnx").mkdir(parents=True)
    (odd,) = [entry for entry in runtime.list_models() if entry.name == "odd"]
    assert odd.problem
    shutil.rmtree("runs/odd")
    elsewhere = runtime.list_models([here / "runs", here / "runs"])
    assert [entry.name for entry in elsewhere[2:]] == [str(here / "runs" / run) for run in "ab"]
    with pytest.raises(InputError, match="no such folder: gone"):
        runtime.list_models(["gone"])
