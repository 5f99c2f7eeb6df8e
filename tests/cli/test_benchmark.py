"""``autodenoise benchmark``, and ``evaluate`` as it was spelled formerly."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from autodenoise import images, weights
from autodenoise.benchmark.protocol import AddedNoise
from tests.helpers.command_line import run
from tests.helpers.model_files import box_blur, identity
from tests.helpers.synthetic_images import photo


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(weights, "FILES", {})
    monkeypatch.setenv("COLUMNS", "100")
    for folder in ("clean", "noisy"):
        Path(folder).mkdir()
    for number in range(2):
        image = photo((40, 44 + number, 3))
        noisy = AddedNoise("gaussian", 10)(images.to_float(image))
        images.write(Path(f"clean/{number}.png"), image)
        images.write(Path(f"noisy/{number}.png"), images.from_float(noisy, image.dtype))
    box_blur(Path("box.onnx"), channels=3)


def test_options_accept_lists(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # Nothing in a name is a picture of a cat.
    identity(Path(":cat:.onnx"), channels=3)
    lists = ["--noise", "gaussian:15", "gaussian:25", "--models", "box.onnx", ":cat:.onnx"]
    lists += ["--baselines", "tv", "wavelet", "--noise", "poisson:30"]
    assert run(monkeypatch, "benchmark", "clean", *lists, "-o", "table") == 0
    printed = capsys.readouterr().out
    for noise in ("gaussian:15", "gaussian:25", "poisson:30"):
        assert f"clean, 2 images, {noise}" in printed
    for name in ("box.onnx", ":cat:.onnx", "tv", "wavelet", "noisy", "median", "gaussian-blur"):
        assert printed.count(f"\n{name} ") == 3
    assert "table/report.md" in printed
    assert len(Path("table/rows.csv").read_text().splitlines()) == 1 + 3 * 7 * 2


def test_pairs_and_all_models(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    box_blur(Path("gray.onnx"))
    assert run(monkeypatch, "benchmark", "--pairs", "noisy", "clean") == 0
    printed = capsys.readouterr().out
    assert "noisy and clean, 2 images, real" in printed
    assert "skipped gray.onnx: it takes gray images" in printed
    assert Path("report/report.md").exists()
    # The same command again prints the same table.
    assert run(monkeypatch, "benchmark", "--pairs", "noisy", "clean") == 0
    assert capsys.readouterr().out == printed


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["evaluate"], 2, "name a run folder"),
        (["evaluate", "--classifier"], 2, "name a run folder"),
        (["evaluate", "runs/x", "--data", "clean"], 2, "use autodenoise benchmark"),
        (["evaluate", "runs/x", "--models", "box.onnx"], 2, "use autodenoise benchmark"),
        (["benchmark"], 2, "name what to score on"),
        (["benchmark", "clean", "--pairs", "noisy", "clean"], 2, "name what to score on"),
        (["benchmark", "", "--noise", "gaussian:25"], 2, "name what to score on"),
        (["benchmark", "clean"], 2, "noise"),
        (["benchmark", "clean", "--noise", "gaussian"], 2, "noise is 'gaussian'; expected"),
        (["benchmark", "--pairs", "noisy", "clean", "--noise", "gaussian:3"], 2, "noise"),
        (["benchmark", "nowhere", "--noise", "gaussian:25"], 3, "nowhere"),
        (
            ["benchmark", "clean", "--noise", "gaussian:25", "--models", "n.onnx"],
            3,
            "no such model",
        ),
        (["benchmark", "clean", "--noise", "gaussian:25", "--baselines", "nln"], 2, "mean 'nlm'"),
        (["benchmark", "clean", "--noise", "gaussian:25", "-o", "noisy"], 4, "noisy"),
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
    assert printed.err.startswith("autodenoise: ")
    assert not printed.out
    assert sorted(Path.cwd().rglob("*")) == before


def test_former_spelling_is_accepted_with_a_note(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lists = ["--noise", "gaussian:15", "poisson:30", "--models", "box.onnx"]
    assert run(monkeypatch, "evaluate", "--data", "clean", *lists, "-o", "table") == 0
    printed = capsys.readouterr()
    assert printed.err == "note: evaluate --data is deprecated; use autodenoise benchmark\n"
    assert "clean, 2 images, poisson:30" in printed.out
    assert Path("table/report.md").exists()


_NOT_INSTALLED = """
import sys
for name in {names}: sys.modules[name] = None
from autodenoise.cli import main
main()
"""

# Others ask whether it is loaded, and would stumble over None.
_NEVER_LOADED = """
import sys
class Refusing:
    def find_spec(self, name, *_):
        if name.partition(".")[0] in {names}:
            raise RuntimeError(name + " is loaded")
sys.meta_path.insert(0, Refusing())
from autodenoise.cli import main
main()
"""


def without(
    names: tuple[str, ...], *arguments: str, how: str = _NOT_INSTALLED
) -> subprocess.CompletedProcess[str]:
    """Run the command line where some modules are not installed."""
    program = how.format(names=names)
    return subprocess.run(
        [sys.executable, "-c", program, "benchmark", *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
    )


def test_models_are_scored_without_extras() -> None:
    heavy = ("torch", "matplotlib", "sklearn", "scipy", "skimage", "pywt", "cv2")
    pairs = ["--pairs", "noisy", "clean", "--models", "box.onnx"]
    done = without(heavy, *pairs)
    assert done.returncode == 0, done.stderr
    assert "box.onnx" in done.stdout
    assert "no speed.png: this needs an optional part" in done.stdout
    assert not Path("report/speed.png").exists()
    assert Path("report/crops.png").exists()
    done = without(heavy, *pairs, "--baselines", "nlm", "-o", "other")
    assert done.returncode == 2
    assert "pip install 'autodenoise[baselines]'" in done.stderr
    assert not Path("other").exists()


def test_baselines_need_no_torch() -> None:
    lists = ["--noise", "gaussian:25", "--models", "box.onnx", "--baselines", "wavelet"]
    done = without(("torch",), "clean", *lists, how=_NEVER_LOADED)
    assert done.returncode == 0, done.stderr
    assert Path("report/speed.png").exists()
