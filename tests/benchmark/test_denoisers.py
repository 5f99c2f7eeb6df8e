"""Select models and baselines by name for a dataset."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from autodenoise import weights
from autodenoise.benchmark import BenchmarkDataset
from autodenoise.benchmark.denoisers import select_denoisers
from autodenoise.errors import InputError, UsageError
from tests.helpers.benchmark_data import photo_folder
from tests.helpers.model_files import box_blur


@pytest.fixture
def dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BenchmarkDataset:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(weights, "FILES", {})
    return BenchmarkDataset.open(photo_folder("in"))


def test_unknown_names_are_refused_with_a_suggestion(dataset: BenchmarkDataset) -> None:
    with pytest.raises(UsageError, match="unknown baseline 'bm3b'; did you mean 'bm3d'"):
        select_denoisers(dataset, [], ["bm3b"])
    with pytest.raises(UsageError, match="unknown model 'nothing'"):
        select_denoisers(dataset, ["nothing"], [])


def test_models_that_do_not_fit_are_skipped_and_listed(dataset: BenchmarkDataset) -> None:
    gray = str(box_blur(Path("gray.onnx")))
    box_blur(Path("small.onnx"), size=(20, 20), channels=3)
    Path("broken.onnx").write_bytes(b"")
    # It passes every check of ours, but ONNX Runtime rejects it.
    odd = onnx.load(box_blur(Path("odd.onnx"), channels=3))
    odd.graph.node[0].input[1] = "noisy"
    odd.graph.node[0].attribute.append(onnx.helper.make_attribute("kernel_shape", [7]))
    onnx.save(odd, "odd.onnx")
    fitting = str(box_blur(Path("fits.onnx"), channels=3))
    denoisers, notes = select_denoisers(dataset, ["all"], [])
    assert {one.name for one in denoisers} == {"fits.onnx", "noisy", "median", "gaussian-blur"}
    text = " ".join(notes)
    assert "skipped gray.onnx: it takes gray images, and in is RGB" in text
    assert "skipped small.onnx: it only takes images of 20x20 pixels" in text
    assert "skipped broken.onnx: " in text
    assert "skipped odd.onnx: ONNX Runtime cannot load odd.onnx" in text
    assert len(select_denoisers(dataset, [fitting, gray], [])[0]) == 4
    with pytest.raises(InputError, match=r"no model fits in: skipped gray\.onnx"):
        select_denoisers(dataset, [gray], [])


def test_two_denoisers_of_one_name_are_refused(dataset: BenchmarkDataset) -> None:
    Path("runs/median").mkdir(parents=True)
    box_blur(Path("runs/median/model.onnx"), channels=3)
    with pytest.raises(UsageError, match="two denoisers are named median"):
        select_denoisers(dataset, ["median"], [])
