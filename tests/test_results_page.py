"""Build the results page from result files and published tables."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import _results
import pytest
import results_page
import scores
import torch

from autodenoise import images, nets, runtime, weights
from autodenoise.benchmark.results_table import ResultAverage
from tests.helpers.model_files import box_blur
from tests.helpers.synthetic_images import photo


def result(**changes: Any) -> dict[str, Any]:
    """Return a small result file as scores.py writes it."""
    psnr = {"fast": 30.5, "tv": 28.0, "noisy": 20.18}
    rows = [
        {
            "noise": f"gaussian:{sigma}",
            "denoiser": name,
            "psnr": value - sigma / 100,
            "mp_per_s": 2.345,
            "noise_level": {"fast": "blind", "tv": "told", "noisy": ""}[name],
        }
        for sigma in (15, 25, 50)
        for name, value in psnr.items()
    ]
    machine = {"cores": 4, "processor": "P", "system": "S", "onnxruntime": "9.9"}
    return {
        "command": "python benchmarks/scores.py",
        "environments": [machine, {**machine, "cores": 8}],
        "set": "set12",
        "models": {"fast": {"parameters": 422_656, "macs_per_pixel": 24_512}},
        "scores": rows,
        **changes,
    }


def test_committed_page_is_up_to_date() -> None:
    assert not results_page.outdated(results_page.build())


def test_edited_and_superfluous_files_are_outdated(tmp_path: Path) -> None:
    files = results_page.build(tmp_path)
    (tmp_path / "figures").mkdir()
    (tmp_path / results_page.PAGE).write_text("edited")
    (tmp_path / results_page.FIGURE).write_text("left over")
    stale = results_page.outdated(files, tmp_path)
    assert stale == [results_page.FIGURE, results_page.PAGE]


def test_measured_and_published_scores_share_a_table(tmp_path: Path) -> None:
    (tmp_path / "scores-set12.json").write_text(json.dumps(result()))
    files = results_page.build(tmp_path)
    page = files[results_page.PAGE]
    ours = "| **fast** | ours | blind | 30.35 | 30.25 | 30.00 | 0.42 M | 24.5k | 2.3 |"
    here = "| tv | here | known | 27.85 | 27.75 | 27.50 | - | - | 2.3 |"
    recalled = "| DnCNN-B | published | blind | ~32.68 | ~30.36 | ~27.21 | 0.67 M | 667k | - |"
    bm3d = "| BM3D | published | known | 32.37 | 29.97 | 26.72 | - | - | - |"
    places = [page.index(line) for line in (recalled, ours, bm3d, here, "| noisy | here | - |")]
    assert places == sorted(places)
    assert "on 4 cores of P, S, ONNX Runtime 9.9 and 8 cores of P" in page
    assert "non-commercial" in page
    figure = files[results_page.FIGURE]
    for text in ("fast", "tv", "Set12, 12 gray images"):
        assert text in figure
    assert ">noisy<" not in figure


def test_datasets_without_measurements_say_so(tmp_path: Path) -> None:
    files = results_page.build(tmp_path)
    assert list(files) == [results_page.PAGE]
    assert files[results_page.PAGE].count("nothing was measured here yet") == 5
    assert "ours |" not in files[results_page.PAGE]


def test_only_shipped_models_scored_at_all_noise_levels_are_listed() -> None:
    def one(name: str, sigma: int) -> ResultAverage:
        return ResultAverage(f"gaussian:{sigma}", name, "", None, 12, 30, 0.9, 1, 1)

    whole = [one("tv", sigma) for sigma in (15, 25, 50)]
    removed = [one("gone", sigma) for sigma in (15, 25, 50)]
    part = [one("nlm", sigma) for sigma in (15, 25)]
    assert scores.complete((*whole, *part, *removed), {"tv", "nlm"}) == whole


def test_from_image_files_to_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "set12").mkdir()
    for number in range(12):
        images.write(tmp_path / f"set12/{number:02}.png", photo((40, 44, 1)))
    box_blur(tmp_path / "box.onnx")
    box_blur(tmp_path / "color.onnx", channels=3)
    files = {name: str(tmp_path / f"{name}.onnx") for name in ("box", "color")}
    monkeypatch.setenv("AUTODENOISE_DATA", str(tmp_path))
    monkeypatch.setattr(weights, "FILES", files)
    monkeypatch.setattr(scores, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(_results, "FOLDER", tmp_path)
    monkeypatch.setattr(scores, "about", lambda _: {"parameters": 9, "macs_per_pixel": 9})
    for baseline in ("tv", "wavelet"):
        monkeypatch.setattr(sys, "argv", ["scores.py", "--sets", "set12", "--baselines", baseline])
        scores.main()
    page = results_page.build(tmp_path)[results_page.PAGE]
    for line in (
        "| **box** | ours | blind |",
        "| tv | here | known |",
        "| wavelet | here | known |",
    ):
        assert page.count(line) == 1
    assert "color |" not in page.partition("## CBSD68")[0]
    # The rows come from two calls with different arguments.
    assert "Measured by `python benchmarks/scores.py` on" in page


def test_model_costs_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = runtime.load(box_blur(tmp_path / "box.onnx", channels=3))
    model.card = runtime.Card("fast", "unet", 3, 422_656, arguments={"channels": 3})
    monkeypatch.setattr(runtime, "load", lambda _: model)
    costs = scores.about("fast")
    network = nets.build("unet", {"channels": 3}, torch.Generator())
    assert costs["parameters"] == nets.parameter_count(network)
    # The results page lists 24.5 thousand.
    assert costs["macs_per_pixel"] == pytest.approx(24_500, rel=0.03)
