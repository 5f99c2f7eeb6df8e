from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from autodenoise import images
from autodenoise.evaluation.comparison import Pair, measure
from tests.helpers.command_line import run
from tests.helpers.synthetic_images import noisy_and_clean


@pytest.fixture
def pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pair:
    """Put before.png and after.png into the working folder."""
    monkeypatch.chdir(tmp_path)
    before, after = noisy_and_clean((60, 80, 3), 20)
    images.write(Path("before.png"), before)
    images.write(Path("after.png"), after)
    return Pair(before, after)


def test_measurements_are_printed(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "compare", "before.png", "after.png") == 0
    printed = capsys.readouterr().out
    found = measure(pair)
    assert "80x60" in printed
    for number in (found.psnr, found.mean_change, found.largest_change, found.noise_before):
        assert f"{number:.2f}" in printed
    assert f"{found.ssim:.4f}" in printed
    assert f"{found.changed:.2%}" in printed
    assert sorted(Path().iterdir()) == [Path("after.png"), Path("before.png")]
    assert run(monkeypatch, "compare", "before.png", "before.png") == 0
    assert "equal" in capsys.readouterr().out


def test_json_contains_the_measurements_and_the_image(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    compare = ["compare", "before.png", "after.png", "--json"]
    assert run(monkeypatch, *compare) == 0
    printed = json.loads(capsys.readouterr().out)
    files = {"before": "before.png", "after": "after.png"}
    assert printed == {**files, **dataclasses.asdict(measure(pair))}
    assert run(monkeypatch, *compare, "-o", "seen.png", "--crop", "10,20,30") == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["picture"] == "seen.png"
    assert printed["detail"] == {"x": 10, "y": 20, "width": 30, "height": 30, "zoom": 9}
    assert all(gain in (1, 2, 4) for gain in printed["difference_gains"])
    assert images.read(Path("seen.png")).dtype == np.uint8


@pytest.mark.usefixtures("pair")
def test_legend_shows_gains_and_position(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "compare", "before.png", "after.png", "-o", "a.png") == 0
    legend = "image: a.png (detail 80x60 at 0,0, zoom 3x, difference x2)"
    assert legend in capsys.readouterr().out
    crop = ["--crop", "1,2,30", "--overwrite"]
    assert run(monkeypatch, "compare", "before.png", "after.png", "-o", "a.png", *crop) == 0
    legend = "image: a.png (difference x2; detail 30x30 at 1,2, zoom 9x, difference x2)"
    assert legend in capsys.readouterr().out


@pytest.mark.usefixtures("pair")
def test_errors_are_one_message(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    images.write(Path("small.png"), np.zeros((5, 6, 1), np.uint8))
    Path("damaged.png").write_bytes(Path("before.png").read_bytes()[:300])
    Path("there.png").write_text("keep me")
    for arguments, code, message in (
        (["before.png", "small.png"], 3, "before has 80x60 pixels, after 6x5"),
        (["damaged.png", "after.png"], 3, "damaged.png is damaged or cut off"),
        (["before.png", "missing.png"], 3, "no such image: missing.png"),
        (["before.png", "after.png", "-o", "there.png"], 4, "exists already"),
        (["before.png", "after.png", "-o", "a.xyz"], 4, "cannot tell the format"),
        (["before.png", "after.png", "-o", "b.png", "--crop", "1,2"], 2, "X,Y,SIZE; got '1,2'"),
        (["before.png", "after.png", "-o", "b.png", "--crop", "60,0,30"], 2, "30x30 at 60,0"),
        (["before.png", "after.png", "--range", "9", "3"], 2, "from black to white"),
    ):
        assert run(monkeypatch, "compare", *arguments) == code
        complaint = capsys.readouterr().err
        assert message in complaint
        assert complaint.startswith("autodenoise: ")
    assert Path("there.png").read_text() == "keep me"
    assert not Path("b.png").exists()


@pytest.mark.usefixtures("pair")
def test_compare_works_without_the_train_extra() -> None:
    program = (
        "import sys\n"
        "heavy = ('torch', 'matplotlib', 'sklearn', 'scipy', 'skimage', 'jinja2')\n"
        "for name in heavy: sys.modules[name] = None\n"
        "from autodenoise.cli import main\n"
        "main()\n"
    )
    command = [sys.executable, "-c", program, "compare", "before.png", "after.png", "-o", "a.png"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert Path("a.png").exists()
