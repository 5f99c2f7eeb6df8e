"""``autodenoise tune`` as a user meets it, on real digits."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from autodenoise import recipes
from tests.helpers.command_line import run
from tests.helpers.quick_recipes import DIGITS

SEARCH = """
[search]
phase.denoise.optimizer.learning_rate = { low = 1e-3, high = 1e-1, log = true }
network.width = { low = 4, high = 12, step = 4 }
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "quick.toml").write_text(DIGITS + SEARCH)
    return tmp_path


def test_search_then_train_and_evaluate_the_best_settings(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tune = ["tune", "quick.toml", "--epochs", "1", "--set", "phase.denoise.batch_size=64"]
    assert run(monkeypatch, *tune, "--trials", "3", "--device", "cpu") == 0
    printed = capsys.readouterr().out
    assert "the recipe validates on its test images" in printed
    lines = re.findall(
        r"^trial (\d): val_loss (0\.\d+); best (0\.\d+) \(trial \d\); (.*)", printed, re.M
    )
    assert [number for number, *_ in lines] == ["0", "1", "2"]
    assert all("learning_rate" in tried and "width" in tried for *_, tried in lines)
    lowest = min(value for _, value, *_ in lines)
    assert f"val_loss {lowest}\n" in printed
    assert lines[-1][2] == lowest
    assert "  tensorboard --logdir tune/quick/tensorboard\n" in printed
    assert "  autodenoise train tune/quick/best.toml\n" in printed
    # No word of Optuna's, which speaks on the standard error.
    assert not capsys.readouterr().err

    # The same again has nothing left to do.
    assert run(monkeypatch, *tune, "--trials", "3") == 0
    assert "trial 0:" not in capsys.readouterr().out

    assert run(monkeypatch, "train", "tune/quick/best.toml") == 0
    assert run(monkeypatch, "evaluate", "runs/quick-tuned") == 0
    assert "360 test images" in capsys.readouterr().out
    assert recipes.load("tune/quick/best.toml").phase["denoise"].batch_size == 64


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["tune", "conv-mnits"], 2, "did you mean 'conv-mnist'"),
        (["tune", "quick.toml", "--trials", "0"], 2, "trials is 0"),
        (["tune", "quick.toml", "--set", "search={}"], 2, "[search]\nphase.denoise.optimizer"),
        (["tune", "quick.toml", "--set", "network.widht=3"], 2, "did you mean 'width'"),
        (["tune", "quick.toml", "--storage", "s.txt"], 2, "expected a URL"),
        (["tune", "quick.toml", "--out", "quick.toml"], 4, "is not a study folder"),
        (["tune", "quick.toml", "--out", "/proc/nothing"], 4, "cannot create the folder"),
        (["tune", "missing.toml"], 3, "cannot read the recipe"),
    ],
)
def test_errors_are_one_message_with_an_exit_code(
    arguments: list[str],
    code: int,
    says: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(monkeypatch, *arguments) == code
    printed = capsys.readouterr()
    assert says in printed.err
    assert "Traceback" not in printed.err
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("module", "arguments", "extra"),
    [
        ("optuna", "tune", "search"),
        ("tensorboard", "tune", "tracking"),
        ("tensorboard", "train --tensorboard", "tracking"),
    ],
)
def test_missing_extra_is_named(module: str, arguments: str, extra: str) -> None:
    program = (
        "import sys\n"
        f"sys.modules['{module}'] = None\n"
        f"sys.argv = ['autodenoise', *'{arguments} quick.toml'.split()]\n"
        "from autodenoise.cli import main\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 2
    assert f"pip install 'autodenoise[{extra}]'" in done.stderr
    assert "Traceback" not in done.stderr
    assert [path.name for path in Path().iterdir()] == ["quick.toml"]


def test_tensorboard_is_written_on_request(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "train", "quick.toml", "--epochs", "1", "--tensorboard") == 0
    assert "  tensorboard --logdir runs/quick/tensorboard\n" in capsys.readouterr().out
    assert any(Path("runs/quick/tensorboard").iterdir())
