"""The command line as a user meets it: what it prints, writes and exits with."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import torch

from autodenoise import images
from autodenoise.recipes import builtin_names
from autodenoise.training.checkpoint import load_state
from tests.helpers.command_line import run
from tests.helpers.quick_recipes import DIGITS


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "quick.toml").write_text(DIGITS)
    return tmp_path


def start(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "autodenoise", *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True)


def tensors(run_folder: str) -> dict[str, torch.Tensor]:
    return load_state(Path(run_folder) / "checkpoint.safetensors")[1]


def assert_equal_runs(one: str, other: str) -> None:
    a, b = tensors(one), tensors(other)
    assert a.keys() == b.keys()
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_train_evaluate_and_denoise(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "train", "quick.toml", "--set", "noise.sigma=0.3") == 0
    printed = capsys.readouterr().out
    assert printed.count("val_loss") == 3
    assert "autodenoise evaluate runs/quick" in printed
    assert run(monkeypatch, "evaluate", "runs/quick") == 0
    printed = capsys.readouterr().out
    assert "360 test images" in printed
    scores = json.loads((folder / "runs/quick/evaluation.json").read_text())
    assert scores["denoised"]["psnr"] > scores["noisy"]["psnr"] + 3
    assert scores["denoised"]["bce_excess"] > 0
    assert f"{scores['denoised']['psnr']:.2f}" in printed
    assert (folder / "runs/quick/figures/denoised.png").stat().st_size > 5000
    noisy = np.random.default_rng(0).integers(0, 256, (30, 17, 1), np.uint8)
    images.write(folder / "noisy.png", noisy)
    assert run(monkeypatch, "denoise", "noisy.png", "-o", "clean.png", "--model", "runs/quick") == 0
    clean = images.read(folder / "clean.png")
    assert clean.shape == noisy.shape
    assert clean.dtype == noisy.dtype
    assert (clean != noisy).any()


def test_validation_loss_equals_that_of_evaluation(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(monkeypatch, "train", "quick.toml", "--epochs", "1") == 0
    assert run(monkeypatch, "evaluate", "runs/quick") == 0
    scores = json.loads((folder / "runs/quick/evaluation.json").read_text())
    last = (folder / "runs/quick/metrics.csv").read_text().splitlines()[-1].split(",")
    assert scores["denoised"]["bce"] == pytest.approx(float(last[3]), abs=2e-6)


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_resume_after_a_signal_is_bit_exact(
    number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(monkeypatch, "train", "quick.toml", "--out", "straight") == 0
    process = start("train", "quick.toml", "--out", "broken")
    assert process.stdout is not None
    first = process.stdout.readline()
    assert "epoch 1" in first
    process.send_signal(number)
    _, complaint = process.communicate()
    if number == signal.SIGKILL:
        assert process.returncode == -signal.SIGKILL
    else:
        assert process.returncode == 130
        assert "autodenoise train --resume broken" in complaint
        assert "Traceback" not in complaint
        # What was learnt so far can be used.
        assert run(monkeypatch, "evaluate", "broken") == 0
    assert run(monkeypatch, "train", "--resume", "broken") == 0
    assert_equal_runs("straight", "broken")
    one, other = Path("straight/model.onnx"), Path("broken/model.onnx")
    assert one.read_bytes() == other.read_bytes()


def test_recipes_are_listed_one_per_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "recipes") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == builtin_names()
    conv = next(line for line in lines if line.startswith("conv-mnist "))
    assert "28,353" in conv
    assert "Keras example" in conv


@pytest.mark.usefixtures("folder")
def test_describe_explains_a_recipe_and_draws_its_network(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "describe", "conv-mnist", "--diagram", "net.svg") == 0
    printed = capsys.readouterr().out
    for words in (
        "Keras example",
        "sigma 0.4, clipped",
        "plain autoencoder). Trains for 50 epochs in batches of 128.",
        "18: 0.0867",
        "84: 0.0846",
        "28,353 parameters, 110.8 KiB; 4.52 million",
        "7x7x32 = 1,568 numbers for 784 pixels",
        "an output pixel depends on inputs up to 10 pixels away",
    ):
        assert words in " ".join(printed.split())
    rows = [line.split() for line in printed.splitlines()]
    assert ["3", "Conv", "3x3", "same", "14x14x32", "9,248"] in rows
    assert ["4", "MaxPool", "2x2", "+", "ReLU", "7x7x32", "0", "code"] in rows
    assert ["total", "28,353"] in rows
    assert printed.endswith("\ndiagram: net.svg\n")
    assert "ConvTranspose 3x3 stride 2 same + ReLU" in Path("net.svg").read_text()
    assert run(monkeypatch, "describe", "swift-mnist") == 0
    printed = capsys.readouterr().out
    rows = [line.split() for line in printed.splitlines()]
    assert ["13", "Add", "+", "ReLU", "16x16x16", "0", "of", "12", "and", "4"] in rows
    assert "28x28 pixels only" in printed
    assert "diagram" not in printed


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["train", "conv-mnits"], 2, "did you mean 'conv-mnist'"),
        (["train"], 2, "name a recipe"),
        (["train", "digits", "--resume", "x"], 2, "remove all options but"),
        (["train", "--resume", "x", "--epochs", "2"], 2, "remove all options"),
        (["train", "--resume", "nothing"], 3, "not a run folder"),
        (["train", "digits", "--set", "noise.sgma=1"], 2, "did you mean 'sigma'"),
        (["train", "digits", "--epochs", "0"], 2, "epochs is 0"),
        (["train", "digits", "--device", "tpu"], 2, "expected cpu or cuda"),
        (
            ["train", "digits", "--set", "network.name=blur", "--set", "data.size=[20, 20]"],
            2,
            "dark",
        ),
        (["train", "missing.toml"], 3, "cannot read the recipe"),
        (["train", "quick.toml", "--set", "data.source=none.npz"], 3, "no such file"),
        (["train", "quick.toml", "--set", "data.size=[13, 12]"], 2, "multiples of 4"),
        (["train", "quick.toml", "--out", "/proc/nothing"], 4, "cannot create the folder"),
        (["train", "quick.toml", "--out", "quick.toml"], 4, "exists already"),
        (["evaluate", "nothing"], 3, "not a run folder"),
        (["describe", "conv-mnits"], 2, "did you mean 'conv-mnist'"),
        (["describe", "missing.toml"], 3, "cannot read the recipe"),
        (["describe", "."], 3, "not a run folder"),
        (["describe", "digits", "--diagram", "net.jpg"], 2, "end in .png, .svg, .pdf"),
        (["describe", "digits", "--diagram", "quick.toml"], 4, "exists already"),
        (["describe", "digits", "--diagram", "nowhere/net.png"], 4, "cannot write"),
        (["evaluate", "nothing", "pca"], 2, "unexpected extra argument"),
        (["figures", "nothing"], 3, "not a run folder"),
        (["encode", "nothing", "digits", "-o", "codes.npz"], 3, "not a run folder"),
        (["decode", "nothing", "codes.npz", "-o", "out"], 3, "not a run folder"),
        (["denoise", "a.png", "-o", "b.png", "--model", "nothing"], 2, "unknown model 'nothing'"),
        (["denoise", "a.png", "-o", "b.png", "--model", "no.onnx"], 3, "no such model"),
        (["models", "nowhere"], 3, "no such folder: nowhere"),
        (["train", "quick.toml", "--out", "x" * 300], 3, "File name too long"),
        (["train", "quick.toml", "--set", "data.size=[400000, 400000]"], 1, "not enough memory"),
        (["paint"], 2, "No such command"),
        (["train", "digits", "--epochs", "many"], 2, "Invalid value"),
    ],
)
def test_errors_are_one_message_with_an_exit_code(
    arguments: list[str],
    code: int,
    says: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = sorted(Path.cwd().rglob("*"))
    assert run(monkeypatch, *arguments) == code
    printed = capsys.readouterr()
    assert says in printed.err
    assert "Traceback" not in printed.err
    assert not printed.out
    assert sorted(Path.cwd().rglob("*")) == before


def test_evaluate_encode_and_decode_a_run(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    network = "network={name = 'dense', widths = [64, 10, 64]}"
    assert run(monkeypatch, "train", "quick.toml", "--set", network) == 0
    shutil.copytree("runs/quick", "runs/other")
    capsys.readouterr()
    asked = ["--classifier", "--outliers", "digits", "--against", "pca", "runs/other"]
    assert run(monkeypatch, "evaluate", "runs/quick", *asked) == 0
    printed = capsys.readouterr().out
    accuracy = json.loads(Path("runs/quick/classifier.json").read_text())
    for kind in ("clean", "noisy", "denoised"):
        assert f"{accuracy[kind]:.2%} of the {kind}" in printed
    auc = json.loads(Path("runs/quick/outliers.json").read_text())["auc"]
    assert f"digits as outliers: ROC AUC {auc:.4f} by" in printed
    for row in json.loads(Path("runs/quick/comparison.json").read_text())["rows"]:
        assert row["name"] in printed
        assert f"{row['scores']['psnr']:.2f}" in printed

    assert run(monkeypatch, "figures", "runs/quick", "pairs", "losses", "--format", "svg") == 0
    files = capsys.readouterr().out.split()
    assert files == ["runs/quick/figures/pairs.svg", "runs/quick/figures/losses.svg"]
    assert all(ElementTree.parse(file).getroot().tag.endswith("svg") for file in files)

    encode = ["encode", "runs/quick", "digits", "-o", "codes.npz", "--map", "map.png"]
    assert run(monkeypatch, *encode) == 0
    printed = capsys.readouterr().out
    assert "360 images of 144 values -> codes of 10 numbers, 14.4 to 1" in printed
    assert "144 of 8-bit pixels -> 40 of 32-bit numbers per image, 3.6 to 1" in printed
    assert run(monkeypatch, "decode", "runs/quick", "codes.npz", "-o", "back") == 0
    assert "360 images in back" in capsys.readouterr().out
    assert len(list((folder / "back").iterdir())) == 360
    assert run(monkeypatch, *encode) == 4


@pytest.mark.usefixtures("folder")
def test_figures_are_opened_in_a_viewer(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "train", "quick.toml", "--epochs", "1") == 0
    opened: list[str] = []

    def launch(file: str) -> int:
        opened.append(file)
        return 0

    monkeypatch.setattr("typer.launch", launch)
    monkeypatch.setenv("DISPLAY", ":0")
    assert run(monkeypatch, "figures", "runs/quick", "losses", "--show") == 0
    assert opened == ["runs/quick/figures/losses.png"]
    monkeypatch.setattr("typer.launch", lambda _: 1)
    assert run(monkeypatch, "figures", "runs/quick", "losses", "--show") == 2
    assert "no viewer could be started" in capsys.readouterr().err
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.delenv("DISPLAY")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert run(monkeypatch, "figures", "runs/quick", "losses", "--show") == 2
    assert "no display" in capsys.readouterr().err


@pytest.mark.usefixtures("folder")
def test_names_are_printed_unchanged(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "runs/a[bold]x[/b] " + "long " * 20
    assert run(monkeypatch, "train", "quick.toml", "--epochs", "1", "--out", name) == 0
    assert f"  autodenoise evaluate '{name}'\n" in capsys.readouterr().out


@pytest.mark.usefixtures("folder")
def test_full_disk_during_training_is_one_message() -> None:
    program = (
        "import resource, signal, sys\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))\n"
        "sys.argv = ['autodenoise', 'train', 'quick.toml']\n"
        "from autodenoise.cli import main\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 4
    assert done.stderr.startswith("autodenoise: cannot write runs/quick/")
    assert "Traceback" not in done.stderr
    # Whole files, and no temporary ones.
    left = {path.name for path in Path("runs/quick").iterdir()}
    assert left <= {"recipe.toml", "environment.json", "metrics.csv", ".lock"}


@pytest.mark.usefixtures("folder")
def test_train_does_not_overwrite_a_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "train", "quick.toml", "--epochs", "1") == 0
    before = {path: path.read_bytes() for path in Path("runs").rglob("*") if path.is_file()}
    assert run(monkeypatch, "train", "quick.toml") == 4
    assert "autodenoise train --resume runs/quick" in capsys.readouterr().err
    after = {path: path.read_bytes() for path in Path("runs").rglob("*") if path.is_file()}
    assert after == before


@pytest.mark.usefixtures("folder")
def test_run_without_a_model_file_cannot_be_scored(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "train", "quick.toml", "--epochs", "1") == 0
    model = Path("runs/quick/model.onnx")
    before = model.read_bytes()
    model.unlink()
    assert run(monkeypatch, "evaluate", "runs/quick") == 3
    assert "autodenoise train --resume runs/quick" in capsys.readouterr().err
    # Going on with a run whose training is over makes the model file again.
    assert run(monkeypatch, "train", "--resume", "runs/quick") == 0
    assert model.read_bytes() == before


@pytest.mark.usefixtures("folder")
def test_diverged_training_ends_with_advice(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = ["--set", "phase.denoise.optimizer={kind = 'adadelta', learning_rate = 1e30}"]
    assert run(monkeypatch, "train", "quick.toml", *settings) == 5
    assert "learning_rate=1e+29" in capsys.readouterr().err


def test_internal_error_is_one_message_by_default(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken() -> list[str]:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("autodenoise.recipes.builtin_names", broken)
    assert run(monkeypatch, "recipes") == 70
    assert "internal error: ZeroDivisionError: a bug" in capsys.readouterr().err
    monkeypatch.setenv("AUTODENOISE_TRACEBACK", "1")
    with pytest.raises(ZeroDivisionError):
        run(monkeypatch, "recipes")


def test_help_and_version_do_not_import_torch() -> None:
    program = (
        "import sys\n"
        "for name in ('torch', 'numpy', 'onnxruntime', 'pyvips'): sys.modules[name] = None\n"
        "from autodenoise.cli import main\n"
        "main()\n"
    )
    for argument, says in (("--help", "train"), ("--version", "0.")):
        done = subprocess.run(
            [sys.executable, "-c", program, argument], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        assert says in done.stdout


@pytest.mark.usefixtures("folder")
def test_closed_pipe_is_not_an_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "autodenoise", "recipes"], stdout=writing, stderr=subprocess.PIPE
    )
    os.close(writing)
    assert b"Traceback" not in done.stderr
    assert b"internal error" not in done.stderr


def test_printed_commands_are_quoted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    quick = ("--epochs", "1", "--set", "data.size=[16, 16]", "--set", "figures=[]")
    assert run(monkeypatch, "train", "digits", "--out", "runs/my first", *quick) == 0
    assert "  autodenoise evaluate 'runs/my first'\n" in capsys.readouterr().out
    assert run(monkeypatch, "train", "digits", "--out", "runs/my first", *quick) == 4
    assert "autodenoise train --resume 'runs/my first'; or" in capsys.readouterr().err


def test_start_model_may_have_any_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, "train", "digits", "--from", "runs/\N{GRINNING FACE}") == 3
    assert "no such model file: runs/\N{GRINNING FACE}" in capsys.readouterr().err
