"""Run benchmarks on folders and pairs; interrupt, continue and extend them."""

from __future__ import annotations

import csv
import doctest
import importlib
import json
import math
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from numpy.typing import NDArray

from autodenoise import images, weights
from autodenoise.benchmark import (
    AddedNoise,
    BenchmarkDataset,
    ResultRow,
    ResultsTable,
    protocol,
    results_table,
    run_benchmark,
    runner,
)
from autodenoise.benchmark.protocol import PROTOCOL, score_output
from autodenoise.benchmark.runner import REAL_NOISE
from autodenoise.errors import InputError, Interrupted, OutputError, UsageError
from autodenoise.images import open_image
from autodenoise.system import environment
from tests.helpers.benchmark_data import noisy_pairs, photo_folder
from tests.helpers.model_files import box_blur, identity, ratio
from tests.helpers.synthetic_images import photo

NOISE = AddedNoise("gaussian", 25)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(weights, "FILES", {})


def table(folder: Path, *models: str, noise: AddedNoise = NOISE, out: str = "out") -> ResultsTable:
    return run_benchmark(folder, out, models=models, noises=[noise])


def rows(out: str = "out") -> list[dict[str, str]]:
    with Path(out, "rows.csv").open() as file:
        return list(csv.DictReader(file))


def test_table_has_a_row_per_image_and_denoiser() -> None:
    made = table(photo_folder("in"), str(box_blur(Path("box.onnx"), channels=3)))
    found = rows()
    assert {(row["image"], row["denoiser"]) for row in found} == {
        (str(number), name)
        for number in range(3)
        for name in ("box.onnx", "noisy", "median", "gaussian-blur")
    }
    # The same in plain NumPy.
    clean = photo((40, 45, 3))
    noisy = NOISE(images.to_float(clean))
    # The model takes multiples of 4 and pads with zeros.
    whole = np.pad(noisy, ((0, 0), (0, 3), (0, 0)), mode="reflect")
    padded = np.pad(whole, ((1, 1), (1, 1), (0, 0)))
    shifted = [padded[y : y + 40, x : x + 45] for y in range(3) for x in range(3)]
    psnr, ssim = score_output(clean, np.mean(shifted, axis=0))
    row = next(row for row in found if (row["image"], row["denoiser"]) == ("1", "box.onnx"))
    assert float(row["psnr"]) == pytest.approx(psnr, abs=1e-3)
    assert ssim is not None
    assert float(row["ssim"]) == pytest.approx(ssim, abs=1e-3)
    mean = np.mean([float(row["psnr"]) for row in found if row["denoiser"] == "median"])
    average = next(one for one in made.averages if one.denoiser == "median")
    assert average.psnr == pytest.approx(mean, abs=1e-5)
    assert average.images == 3
    assert [one.psnr for one in made.averages] == sorted(
        (one.psnr or 0 for one in made.averages), reverse=True
    )


def test_summary_report_and_figures_are_readable() -> None:
    photo_folder("in")
    made = table(Path("in"), str(box_blur(Path("box.onnx"), channels=3)))
    assert {file.name for file in made.files} == {
        "summary.json",
        "report.md",
        "crops.png",
        "speed.png",
    }
    summary = json.loads(Path("out/summary.json").read_text())
    assert summary["images"] == 3
    assert "RandomState(0)" in summary["protocol"]
    (made_with,) = summary["environments"]
    assert made_with["numpy"] == np.__version__
    box = next(one for one in summary["scores"] if one["denoiser"] == "box.onnx")
    assert box["parameters"] == 9
    assert box["noise_level"] == "blind"
    report = Path("out/report.md").read_text()
    assert f"| box.onnx | {box['psnr']:.2f} | {box['ssim']:.4f} | blind |" in report
    assert "The center 120x120 pixels of 1," in report
    assert images.read(Path("out/crops.png")).shape[2] == 3
    assert open_image(Path("out/speed.png")).width > 600


def test_crop_shows_the_scored_output() -> None:
    photo_folder("in")
    table(Path("in"), str(identity(Path("same.onnx"), channels=3)))
    saved = [images.read(file) for file in Path("out/crops").iterdir()]
    assert len(saved) == 4
    noisy = images.from_float(NOISE(images.to_float(photo((40, 45, 3)))), np.dtype(np.uint8))
    # The noisy input, and the output of the identity model.
    assert sum(np.array_equal(one, noisy) for one in saved) == 2
    shown = images.read(Path("out/crops.png"))
    # The clean image, enlarged, is the last panel of the upper row.
    zoom = 240 // 45
    clean = np.kron(photo((40, 45, 3)), np.ones((zoom, zoom, 1), np.uint8))
    assert any(
        np.array_equal(shown[y : y + clean.shape[0], x : x + clean.shape[1]], clean)
        for y in range(60)
        for x in range(shown.shape[1] - clean.shape[1])
        if np.array_equal(shown[y, x], clean[0, 0])
    )


def test_repeated_call_computes_nothing_and_returns_the_same() -> None:
    photo_folder("in")
    model = str(box_blur(Path("box.onnx"), channels=3))
    first = table(Path("in"), model)
    before = Path("out/rows.csv").read_bytes()
    assert table(Path("in"), model) == first
    assert Path("out/rows.csv").read_bytes() == before


def test_more_noises_and_models_extend_the_table() -> None:
    photo_folder("in")
    table(Path("in"), str(box_blur(Path("box.onnx"), channels=3)))
    before = Path("out/rows.csv").read_text()
    other = str(identity(Path("same.onnx"), channels=3))
    made = table(Path("in"), other, noise=AddedNoise("poisson", 30))
    assert Path("out/rows.csv").read_text().startswith(before)
    assert {one.noise for one in made.averages} == {"gaussian:25", "poisson:30"}
    names = {one.denoiser for one in made.averages if one.noise == "gaussian:25"}
    assert names == {"box.onnx", "noisy", "median", "gaussian-blur"}


def test_changed_model_file_is_scored_again() -> None:
    photo_folder("in")
    model = box_blur(Path("model.onnx"), channels=3)
    table(Path("in"), str(model))
    shown = Path("out/crops.png").read_bytes()
    identity(model, channels=3)
    made = table(Path("in"), str(model))
    own = [row for row in rows() if row["denoiser"] == "model.onnx"]
    assert len(own) == 6
    assert len({row["identity"] for row in own}) == 2
    (average,) = [one for one in made.averages if one.denoiser == "model.onnx"]
    # The model is now the identity; only clamping changes the score.
    (noisy,) = [one for one in made.averages if one.denoiser == "noisy"]
    assert average.psnr is not None
    assert noisy.psnr is not None
    assert noisy.psnr < average.psnr < noisy.psnr + 1
    # Changing it back finds its old rows, also in calls that name other models.
    box_blur(model, channels=3)
    assert Path("out/crops.png").read_bytes() != shown
    again = table(Path("in"), str(model))
    assert Path("out/crops.png").read_bytes() == shown
    assert len(rows()) == 15
    named_another = table(Path("in"), str(box_blur(Path("other.onnx"), channels=3)))
    saved = {one for one in named_another.averages if one.denoiser != "other.onnx"}
    assert saved == set(again.averages)
    assert [one.psnr for one in again.averages if one.denoiser == "model.onnx"] != [average.psnr]


def test_long_denoiser_names_fit_the_crops() -> None:
    photo_folder("in", 1)
    folder = Path("a" * 90, "b" * 90, "c" * 90)
    folder.mkdir(parents=True)
    model = box_blur(folder / "box.onnx", channels=3)
    for strength in (12.3456, 12.3456789):
        table(Path("in"), str(model), noise=AddedNoise("gaussian", strength))
    assert open_image(Path("out/crops.png")).width > 3 * 240


def test_unprintable_image_names_are_escaped() -> None:
    photo_folder("in", 1)
    images.write(Path("in/a\nb.png"), photo((40, 40, 3)))
    images.write(Path("in/caf\udce9.png"), photo((40, 40, 3)))
    made = table(Path("in"))
    assert {row["image"] for row in rows()} == {"0", "a\\nb", "caf\\udce9"}
    assert {one.images for one in made.averages} == {3}
    assert table(Path("in")) == made


def test_unknown_and_damaged_rows_are_ignored() -> None:
    photo_folder("in", 1)
    made = table(Path("in"))
    own = Path("out/rows.csv").read_text()
    other = own.splitlines()[-1].replace("0,", "other,", 1)
    Path("out/rows.csv").write_text(f"{own}{other}\n{'x' * 200_000}\n")
    assert table(Path("in")) == made


def test_summary_lists_all_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    photo_folder("in", 1)
    assert len(table(Path("in")).environments) == 1
    here = environment()
    more = (os.cpu_count() or 1) + 94

    def elsewhere(*_: str) -> dict[str, str | int | None]:
        return {**here, "cores": more}

    monkeypatch.setattr(results_table, "environment", elsewhere)
    # No row was computed by this call.
    assert len(table(Path("in")).environments) == 1
    assert "on different machines" not in Path("out/report.md").read_text()
    made = table(Path("in"), noise=AddedNoise("gaussian", 50))
    assert [one["cores"] for one in made.environments] == [here["cores"], more]
    assert json.loads(Path("out/summary.json").read_text())["environments"] == [*made.environments]
    report = Path("out/report.md").read_text()
    assert f"- {more} cores of" in report
    assert "on different machines" in report
    assert len(table(Path("in")).environments) == 2


def test_folders_with_other_content_are_not_touched() -> None:
    photo_folder("in")
    table(Path("in"))
    images.write(Path("in/1.png"), photo((40, 45, 3))[::-1])
    with pytest.raises(OutputError, match="results for other images"):
        table(Path("in"))
    Path("mine").mkdir()
    Path("mine/report.md").write_text("keep me")
    with pytest.raises(OutputError, match="is not a benchmark's output folder"):
        table(Path("in"), out="mine")
    assert [file.name for file in Path("mine").iterdir()] == ["report.md"]


_KILLED = """
import os, signal, sys
from autodenoise.benchmark import run_benchmark
from autodenoise.errors import Interrupted

def stop(row, done, total):
    if done == 5:
        os.kill(os.getpid(), getattr(signal, sys.argv[1]))

try:
    run_benchmark("in", "out", models=["box.onnx"], noises=["gaussian:25"], on_row=stop)
except Interrupted as error:
    print(error)
    sys.exit(error.exit_code)
"""


@pytest.mark.parametrize("name", ["SIGKILL", "SIGINT"])
def test_interrupted_benchmark_is_continued(name: str) -> None:
    photo_folder("in")
    model = str(box_blur(Path("box.onnx"), channels=3))
    done = subprocess.run(
        [sys.executable, "-c", _KILLED, name],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
    )
    if name == "SIGINT":
        assert done.returncode == Interrupted.exit_code, done.stderr
        assert "5 of 12 rows are done and saved in out; run the same command" in done.stdout
    else:
        assert done.returncode == -signal.SIGKILL
    before = Path("out/rows.csv").read_bytes()
    assert len(rows()) == 5
    # As if the power had failed while a row was written.
    with Path("out/rows.csv").open("ab") as file:
        file.write(b"1,gaussian:25,box.o")
    fresh: list[ResultRow] = []
    made = run_benchmark(
        "in",
        "out",
        models=[model],
        noises=[NOISE],
        on_row=lambda row, *_: fresh.append(row),
    )
    assert Path("out/rows.csv").read_bytes().startswith(before)
    assert len(fresh) == 7
    straight = table(Path("in"), model, out="straight")
    one, other = (
        [(average.denoiser, average.psnr, average.ssim) for average in whole.averages]
        for whole in (made, straight)
    )
    assert one == other


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_pairs_are_scored_with_their_own_noise(dtype: type[np.unsignedinteger]) -> None:
    noisy_pairs(dtype)
    pairs = BenchmarkDataset.open_pairs("noisy", "clean")
    same = str(identity(Path("same.onnx"), channels=3))
    made = run_benchmark(pairs, "out", models=[same], baselines=["tv"])
    by_name = {one.denoiser: one for one in made.averages}
    assert set(by_name) == {"same.onnx", "tv", "noisy", "median", "gaussian-blur"}
    assert by_name["tv"].noise_level == "estimated"
    assert by_name["noisy"].noise == REAL_NOISE
    clean, noisy = pairs.images[0].read()
    assert noisy is not None
    error = np.mean((images.to_float(clean) - images.to_float(noisy)) ** 2)
    assert by_name["noisy"].psnr == pytest.approx(-10 * math.log10(error), abs=0.01)


def test_equal_images_count_as_100_db() -> None:
    noisy_pairs()
    Path("noisy/0.tif").unlink()
    images.write(Path("noisy/0.png"), photo((40, 44, 3)))
    same = str(identity(Path("same.onnx"), channels=3))
    made = run_benchmark(BenchmarkDataset.open_pairs("noisy", "clean"), "out", models=[same])
    (own,) = [one for one in made.averages if one.denoiser == "same.onnx"]
    equal, other = (float(row["psnr"]) for row in rows() if row["denoiser"] == "same.onnx")
    assert equal == math.inf
    assert own.psnr == pytest.approx((100 + other) / 2, abs=1e-5)


def test_table_of_equal_images_only() -> None:
    for folder in ("noisy", "clean"):
        Path(folder).mkdir()
        images.write(Path(f"{folder}/flat.png"), np.full((40, 44, 3), 99, np.uint8))
    made = run_benchmark(BenchmarkDataset.open_pairs("noisy", "clean"), "out", models=[])
    assert [one.psnr for one in made.averages] == [100, 100, 100]
    assert open_image(Path("out/speed.png")).width > 600


def test_missing_or_superfluous_noise_is_refused_before_any_work() -> None:
    noisy_pairs()
    with pytest.raises(UsageError, match="clean images need noise"):
        run_benchmark("clean", "out", models=[])
    with pytest.raises(UsageError, match="pairs bring their own noise"):
        run_benchmark(BenchmarkDataset.open_pairs("noisy", "clean"), "out", noises=[NOISE])
    assert not Path("out").exists()


def test_folders_with_the_earlier_wording_of_the_protocol_are_continued() -> None:
    photo_folder("in", 1)
    made = table(Path("in"))
    file = Path("out/protocol.json")
    content = json.loads(file.read_text())
    results = Path(__file__).parents[2] / "benchmarks" / "results" / "scores-set12.json"
    earlier = json.loads(results.read_text())["protocol"]
    assert earlier != PROTOCOL
    file.write_text(json.dumps({**content, "protocol": earlier}))
    assert table(Path("in")) == made
    file.write_text(json.dumps({**content, "protocol": "other noise"}))
    with pytest.raises(OutputError, match="by another protocol"):
        table(Path("in"))


def test_nan_output_names_model_and_image(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(_: object, image: NDArray[np.float32], **__: object) -> NDArray[np.float32]:
        return np.full_like(image, np.nan)

    monkeypatch.setattr("autodenoise.runtime.Model.denoise", nothing)
    folder = photo_folder("in", channels=1)
    with pytest.raises(InputError, match=r"ratio\.onnx on 0: the output contains NaN"):
        table(folder, str(ratio(Path("ratio.onnx"))))


@pytest.mark.parametrize("module", [protocol, runner])
def test_examples_in_docstrings_run(module: ModuleType) -> None:
    assert doctest.testmod(module).failed == 0
    assert doctest.testmod(module).attempted > 0


def test_former_module_still_works_with_a_warning() -> None:
    photo_folder("in", 1)
    with pytest.warns(DeprecationWarning, match="use autodenoise.benchmark.run_benchmark"):
        former = importlib.import_module("autodenoise.evaluation.benchmark")
    dataset = former.ReferenceSet.open("in")
    chosen = former.choose([], ["tv"], dataset)
    made = former.score(dataset, chosen, Path("out"), [former.AddedNoise("gaussian", 25)])
    assert made == run_benchmark("in", "out", models=[], baselines=["tv"], noises=[NOISE])
