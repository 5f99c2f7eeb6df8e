"""Tables of scores: on folders, pairs and named sets, stopped and gone on with."""

from __future__ import annotations

import csv
import json
import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from autodenoise import images, weights
from autodenoise.benchmark import results_table as sheet
from autodenoise.benchmark import scoring as benchmark
from autodenoise.benchmark.protocol import score_output
from autodenoise.benchmark.results_table import ResultRow
from autodenoise.benchmark.scoring import AddedNoise, BenchmarkDataset, Table, choose, score
from autodenoise.environment import environment
from autodenoise.errors import InputError, Interrupted, OutputError, UsageError
from autodenoise.images import open_image
from tests.helpers.model_files import box_blur, identity, ratio
from tests.helpers.synthetic_images import photo

NOISE = AddedNoise("gaussian", 25)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(weights, "FILES", {})


def pictures(folder: str, count: int = 3, channels: int = 3) -> Path:
    path = Path(folder)
    path.mkdir()
    for number in range(count):
        images.write(path / f"{number}.png", photo((40, 44 + number, channels)))
    return path


def table(folder: Path, *models: str, noise: AddedNoise = NOISE, out: str = "out") -> Table:
    references = BenchmarkDataset.open(folder)
    return score(references, choose(models, [], references), Path(out), [noise])


def rows(out: str = "out") -> list[dict[str, str]]:
    with Path(out, "rows.csv").open() as file:
        return list(csv.DictReader(file))


def test_a_table_has_a_row_for_each_picture_and_denoiser() -> None:
    made = table(pictures("in"), str(box_blur(Path("box.onnx"), channels=3)))
    found = rows()
    assert {(row["image"], row["denoiser"]) for row in found} == {
        (str(number), name)
        for number in range(3)
        for name in ("box.onnx", "noisy", "median", "gaussian-blur")
    }
    # The same by hand, through ONNX Runtime's result written out in NumPy.
    clean = photo((40, 45, 3))
    noisy = NOISE(images.to_float(clean))
    # The model takes multiples of 4, and sees zeros around.
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


def test_what_is_written_can_be_read() -> None:
    pictures("in")
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
    assert "The middle of 1," in report
    assert images.read(Path("out/crops.png")).shape[2] == 3
    assert open_image(Path("out/speed.png")).width > 600


def test_the_crop_shows_what_was_scored() -> None:
    pictures("in")
    table(Path("in"), str(identity(Path("same.onnx"), channels=3)))
    kept = [images.read(file) for file in Path("out/crops").iterdir()]
    assert len(kept) == 4
    noisy = images.from_float(NOISE(images.to_float(photo((40, 45, 3)))), np.dtype(np.uint8))
    # The input's, and the answer of a model that does nothing.
    assert sum(np.array_equal(one, noisy) for one in kept) == 2
    shown = images.read(Path("out/crops.png"))
    # Every pixel of the clean picture is in it, enlarged, as the last of the upper row.
    zoom = 240 // 45
    clean = np.kron(photo((40, 45, 3)), np.ones((zoom, zoom, 1), np.uint8))
    assert any(
        np.array_equal(shown[y : y + clean.shape[0], x : x + clean.shape[1]], clean)
        for y in range(60)
        for x in range(shown.shape[1] - clean.shape[1])
        if np.array_equal(shown[y, x], clean[0, 0])
    )


def test_the_same_again_computes_nothing_and_says_the_same() -> None:
    pictures("in")
    model = str(box_blur(Path("box.onnx"), channels=3))
    first = table(Path("in"), model)
    before = Path("out/rows.csv").read_bytes()
    assert table(Path("in"), model) == first
    assert Path("out/rows.csv").read_bytes() == before


def test_more_noise_and_more_models_add_to_a_table() -> None:
    pictures("in")
    table(Path("in"), str(box_blur(Path("box.onnx"), channels=3)))
    before = Path("out/rows.csv").read_text()
    other = str(identity(Path("same.onnx"), channels=3))
    made = table(Path("in"), other, noise=AddedNoise("poisson", 30))
    assert Path("out/rows.csv").read_text().startswith(before)
    assert {one.noise for one in made.averages} == {"gaussian:25", "poisson:30"}
    names = {one.denoiser for one in made.averages if one.noise == "gaussian:25"}
    assert names == {"box.onnx", "noisy", "median", "gaussian-blur"}


def test_a_changed_model_is_scored_anew() -> None:
    pictures("in")
    model = box_blur(Path("model.onnx"), channels=3)
    table(Path("in"), str(model))
    shown = Path("out/crops.png").read_bytes()
    identity(model, channels=3)
    made = table(Path("in"), str(model))
    own = [row for row in rows() if row["denoiser"] == "model.onnx"]
    assert len(own) == 6
    assert len({row["identity"] for row in own}) == 2
    (average,) = [one for one in made.averages if one.denoiser == "model.onnx"]
    # Which does nothing by now, but for being clamped.
    (noisy,) = [one for one in made.averages if one.denoiser == "noisy"]
    assert average.psnr is not None
    assert noisy.psnr is not None
    assert noisy.psnr < average.psnr < noisy.psnr + 1
    # And back again: those rows are there, also for a call that names another.
    box_blur(model, channels=3)
    assert Path("out/crops.png").read_bytes() != shown
    again = table(Path("in"), str(model))
    assert Path("out/crops.png").read_bytes() == shown
    assert len(rows()) == 15
    named_another = table(Path("in"), str(box_blur(Path("other.onnx"), channels=3)))
    kept = {one for one in named_another.averages if one.denoiser != "other.onnx"}
    assert kept == set(again.averages)
    assert [one.psnr for one in again.averages if one.denoiser == "model.onnx"] != [average.psnr]


def test_names_of_any_length_are_shown() -> None:
    pictures("in", 1)
    folder = Path("a" * 90, "b" * 90, "c" * 90)
    folder.mkdir(parents=True)
    model = box_blur(folder / "box.onnx", channels=3)
    for strength in (12.3456, 12.3456789):
        table(Path("in"), str(model), noise=AddedNoise("gaussian", strength))
    assert open_image(Path("out/crops.png")).width > 3 * 240


def test_names_that_are_no_text_are_escaped() -> None:
    pictures("in", 1)
    images.write(Path("in/a\nb.png"), photo((40, 40, 3)))
    images.write(Path("in/caf\udce9.png"), photo((40, 40, 3)))
    made = table(Path("in"))
    assert {row["image"] for row in rows()} == {"0", "a\\nb", "caf\\udce9"}
    assert {one.images for one in made.averages} == {3}
    assert table(Path("in")) == made


def test_lines_that_are_of_nothing_here_are_passed_over() -> None:
    pictures("in", 1)
    made = table(Path("in"))
    own = Path("out/rows.csv").read_text()
    other = own.splitlines()[-1].replace("0,", "other,", 1)
    Path("out/rows.csv").write_text(f"{own}{other}\n{'x' * 200_000}\n")
    assert table(Path("in")) == made


def test_a_table_tells_of_all_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    pictures("in", 1)
    assert len(table(Path("in")).environments) == 1
    here = environment()
    more = (os.cpu_count() or 1) + 94

    def elsewhere(*_: str) -> dict[str, str | int | None]:
        return {**here, "cores": more}

    monkeypatch.setattr(sheet, "environment", elsewhere)
    # What is only shown was not computed there.
    assert len(table(Path("in")).environments) == 1
    assert "differ in their machine" not in Path("out/report.md").read_text()
    made = table(Path("in"), noise=AddedNoise("gaussian", 50))
    assert [one["cores"] for one in made.environments] == [here["cores"], more]
    assert json.loads(Path("out/summary.json").read_text())["environments"] == [*made.environments]
    report = Path("out/report.md").read_text()
    assert f"- {more} cores of" in report
    assert "differ in their machine" in report
    assert len(table(Path("in")).environments) == 2


def test_other_pictures_and_other_folders_are_left_alone() -> None:
    pictures("in")
    table(Path("in"))
    images.write(Path("in/1.png"), photo((40, 45, 3))[::-1])
    with pytest.raises(OutputError, match="a table of other pictures"):
        table(Path("in"))
    Path("mine").mkdir()
    Path("mine/report.md").write_text("keep me")
    with pytest.raises(OutputError, match="not empty and holds no table"):
        table(Path("in"), out="mine")
    assert [file.name for file in Path("mine").iterdir()] == ["report.md"]


_KILLED = """
import os, signal, sys
from pathlib import Path
from autodenoise.errors import Interrupted
from autodenoise.benchmark.scoring import AddedNoise, ReferenceSet, choose, score

def stop(row, done, total):
    if done == 5:
        os.kill(os.getpid(), getattr(signal, sys.argv[1]))

references = ReferenceSet.open("in")
try:
    score(references, choose(["box.onnx"], [], references), Path("out"),
          [AddedNoise("gaussian", 25)], on_row=stop)
except Interrupted as error:
    print(error)
    sys.exit(error.exit_code)
"""


@pytest.mark.parametrize("name", ["SIGKILL", "SIGINT"])
def test_a_table_that_was_stopped_is_gone_on_with(name: str) -> None:
    pictures("in")
    model = str(box_blur(Path("box.onnx"), channels=3))
    done = subprocess.run(
        [sys.executable, "-c", _KILLED, name],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
    )
    if name == "SIGINT":
        assert done.returncode == Interrupted.exit_code, done.stderr
        assert "5 of 12 rows are done and kept in out; the same command goes on" in done.stdout
    else:
        assert done.returncode == -signal.SIGKILL
    before = Path("out/rows.csv").read_bytes()
    assert len(rows()) == 5
    # And the power went in the middle of a line.
    with Path("out/rows.csv").open("ab") as file:
        file.write(b"1,gaussian:25,box.o")
    fresh: list[ResultRow] = []
    references = BenchmarkDataset.open("in")
    made = score(
        references,
        choose([model], [], references),
        Path("out"),
        [NOISE],
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


def noisy_pairs(dtype: type[np.unsignedinteger] = np.uint8) -> None:
    factor = np.iinfo(dtype).max // 255
    for folder in ("noisy", "clean"):
        Path(folder).mkdir()
    for number in range(2):
        clean = photo((40, 44, 3))
        noisy = images.from_float(AddedNoise("gaussian", 10)(images.to_float(clean)), clean.dtype)
        images.write(Path(f"clean/{number}.png"), clean.astype(dtype) * dtype(factor))
        images.write(Path(f"noisy/{number}.tif"), noisy.astype(dtype) * dtype(factor))


def test_what_denoise_has_put_beside_pictures_is_no_reference() -> None:
    noisy_pairs()
    for name in ("noisy/0.denoised.tif", "clean/1.denoised.png", "clean/other.denoised.png"):
        images.write(Path(name), photo((40, 44, 3)))
    names = [one.name for one in BenchmarkDataset.open("clean").images]
    assert names == ["0", "1", "other.denoised"]
    Path("clean/other.denoised.png").unlink()
    assert [
        one.name for one in BenchmarkDataset.open_pairs(Path("noisy"), Path("clean")).images
    ] == [
        "0",
        "1",
    ]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_pairs_bring_their_noise(dtype: type[np.unsignedinteger]) -> None:
    noisy_pairs(dtype)
    references = BenchmarkDataset.open_pairs(Path("noisy"), Path("clean"))
    chosen = choose([str(identity(Path("same.onnx"), channels=3))], ["tv"], references)
    made = score(references, chosen, Path("out"))
    by_name = {one.denoiser: one for one in made.averages}
    assert set(by_name) == {"same.onnx", "tv", "noisy", "median", "gaussian-blur"}
    assert by_name["tv"].noise_level == "estimated"
    assert by_name["noisy"].noise == benchmark.REAL
    clean, noisy = references.images[0].read()
    assert noisy is not None
    error = np.mean((images.to_float(clean) - images.to_float(noisy)) ** 2)
    assert by_name["noisy"].psnr == pytest.approx(-10 * math.log10(error), abs=0.01)
    with pytest.raises(UsageError, match="pairs bring their own noise"):
        score(references, chosen, Path("out"), [NOISE])


def test_equal_pictures_count_as_100_db() -> None:
    noisy_pairs()
    Path("noisy/0.tif").unlink()
    images.write(Path("noisy/0.png"), photo((40, 44, 3)))
    same = str(identity(Path("same.onnx"), channels=3))
    references = BenchmarkDataset.open_pairs(Path("noisy"), Path("clean"))
    made = score(references, choose([same], [], references), Path("out"))
    (own,) = [one for one in made.averages if one.denoiser == "same.onnx"]
    equal, other = (float(row["psnr"]) for row in rows() if row["denoiser"] == "same.onnx")
    assert equal == math.inf
    assert own.psnr == pytest.approx((100 + other) / 2, abs=1e-5)


def test_a_table_of_nothing_but_equal_pictures_is_a_table() -> None:
    for folder in ("noisy", "clean"):
        Path(folder).mkdir()
        images.write(Path(f"{folder}/flat.png"), np.full((40, 44, 3), 99, np.uint8))
    references = BenchmarkDataset.open_pairs(Path("noisy"), Path("clean"))
    made = score(references, choose([], [], references), Path("out"))
    assert [one.psnr for one in made.averages] == [100, 100, 100]
    assert open_image(Path("out/speed.png")).width > 600


def test_what_cannot_be_scored_is_told() -> None:
    pictures("in")
    references = BenchmarkDataset.open("in")
    with pytest.raises(UsageError, match="clean pictures need noise"):
        score(references, choose([], [], references), Path("out"))
    with pytest.raises(UsageError, match="unknown baseline 'bm3b'; did you mean 'bm3d'"):
        choose([], ["bm3b"], references)
    with pytest.raises(UsageError, match="unknown model 'nothing'"):
        choose(["nothing"], [], references)
    images.write(Path("in/grey.png"), photo((40, 40, 1)))
    with pytest.raises(InputError, match="grey and RGB"):
        BenchmarkDataset.open("in")
    assert not Path("out").exists()


def test_models_for_other_pictures_are_passed_over() -> None:
    pictures("in")
    references = BenchmarkDataset.open("in")
    grey = str(box_blur(Path("grey.onnx")))
    box_blur(Path("small.onnx"), size=(20, 20), channels=3)
    Path("broken.onnx").write_bytes(b"")
    # It passes every check, and ONNX Runtime refuses it.
    odd = onnx.load(box_blur(Path("odd.onnx"), channels=3))
    odd.graph.node[0].input[1] = "noisy"
    odd.graph.node[0].attribute.append(onnx.helper.make_attribute("kernel_shape", [7]))
    onnx.save(odd, "odd.onnx")
    fitting = str(box_blur(Path("fits.onnx"), channels=3))
    chosen = choose(["all"], [], references)
    assert {one.name for one in chosen.candidates} == {
        "fits.onnx",
        "noisy",
        "median",
        "gaussian-blur",
    }
    notes = " ".join(chosen.notes)
    assert "grey.onnx is passed over: it is for grey, in is RGB" in notes
    assert "small.onnx is passed over: it takes 20x20 pixels alone" in notes
    assert "broken.onnx is passed over" in notes
    assert "odd.onnx is passed over: odd.onnx is not a model file that can be run" in notes
    assert len(choose([fitting, grey], [], references).candidates) == 4
    with pytest.raises(InputError, match=r"no model fits in: grey\.onnx"):
        choose([grey], [], references)


def test_two_of_one_name_are_refused() -> None:
    pictures("in")
    Path("runs/median").mkdir(parents=True)
    box_blur(Path("runs/median/model.onnx"), channels=3)
    with pytest.raises(UsageError, match="two denoisers are called median"):
        choose(["median"], [], BenchmarkDataset.open("in"))


def test_a_model_that_answers_no_numbers_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(_: object, image: NDArray[np.float32], **__: object) -> NDArray[np.float32]:
        return np.full_like(image, np.nan)

    monkeypatch.setattr("autodenoise.runtime.Model.denoise", nothing)
    folder = pictures("in", channels=1)
    with pytest.raises(InputError, match=r"ratio\.onnx on 0: it answers with values that are no"):
        table(folder, str(ratio(Path("ratio.onnx"))))
