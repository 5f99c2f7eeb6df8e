from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from autodenoise import images
from tests.helpers.cameras import VIEW, SyntheticCamera, save
from tests.helpers.command_line import run

CAMERA = SyntheticCamera(gain=4.0, read=50.0, black=1000.0)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    save(Path("repeats"), CAMERA.shoot(VIEW, 3))
    Path("repeats", "broken.png").write_bytes(b"no picture")


def test_noise_is_measured_printed_and_drawn(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ("noise-profile", "repeats", "-o", "camera.toml")
    assert run(monkeypatch, *command, "--black", "1000") == 0
    printed = capsys.readouterr()
    lines = printed.out.splitlines()
    assert lines[0].startswith("3 shots in 1 series, 320x320, 3 channel(s), uint16; a line ")
    assert lines[1] == "Neighbors are not correlated."
    assert lines[2] == (
        "Standard deviations in samples of 0 to 65535; variance = gain * mean + floor:"
    )
    assert lines[3].split() == ["red", "green", "blue"]
    table = {line.split("  ")[0]: line for line in lines[4:-2]}
    assert list(table) == ["noise", "gain", "floor", "R²", "black", "read noise"]
    for gain in table["gain"].removeprefix("gain").split("±")[:3]:
        assert float(gain.split()[-1]) == pytest.approx(4, rel=0.05)
    assert max(map(len, lines)) <= 110
    assert lines[-2] == "written: camera.toml, camera.png; train with it:"
    assert lines[-1] == "  autodenoise train --clean photos/ --noise camera.toml"
    assert "skipped broken.png: cannot read repeats/broken.png: by its first" in printed.err
    with Image.open("camera.png") as figure:
        assert figure.size[0] > 1000
    # Nothing of the user's is overwritten.
    assert run(monkeypatch, *command) == 4
    assert "camera.toml exists already; choose another name" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "printed"),
    [
        (("nowhere", "-o", "a.toml"), 3, "no such image: nowhere"),
        (("repeats", "-o", "a.yaml"), 2, "a noise profile ends in .toml; a.yaml does not"),
        (("repeats", "-o", "nowhere/a.toml"), 4, "cannot write nowhere/a.toml"),
        (("repeats", "-o", "a.toml", "--range", "9", "3"), 2, "black to white"),
        (
            ("one", "-o", "a.toml"),
            3,
            "00.png: the only shot of its series with this size and depth; at least 2",
        ),
    ],
)
def test_errors_are_one_message(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    code: int,
    printed: str,
) -> None:
    save(Path("one"), CAMERA.shoot(VIEW[:40, :40], 1))
    assert run(monkeypatch, "noise-profile", *arguments) == code
    assert printed in capsys.readouterr().err
    assert not list(Path().glob("a.*"))


def test_existing_figure_is_not_overwritten(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    images.write(Path("camera.png"), np.zeros((2, 2, 1), np.uint8))
    before = Path("camera.png").read_bytes()
    assert run(monkeypatch, "noise-profile", "repeats", "-o", "camera.toml") == 4
    assert "camera.png exists already" in capsys.readouterr().err
    assert Path("camera.png").read_bytes() == before
    assert not Path("camera.toml").exists()


def test_profile_without_a_range_is_not_for_training(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("floats").mkdir()
    for number, shot in enumerate(CAMERA.shoot(VIEW, 3)):
        tifffile.imwrite(f"floats/{number}.tif", shot.astype(np.float32), photometric="rgb")
    for options, printed in (
        ((), "own.toml, own.png; to train with it, measure it again with --range LOW HIGH"),
        (("--range", "0", "65535"), "train --clean photos/ --noise own.toml"),
    ):
        assert run(monkeypatch, "noise-profile", "floats", "-o", "own.toml", *options) == 0
        assert printed in capsys.readouterr().out.splitlines()[-1]
        for name in ("own.toml", "own.png"):
            Path(name).unlink()


def test_noise_profile_works_without_extras() -> None:
    program = (
        "import sys\n"
        "heavy = ('torch', 'matplotlib', 'tomli_w', 'scipy', 'skimage', 'sklearn')\n"
        "for name in heavy: sys.modules[name] = None\n"
        "sys.argv = ['autodenoise', 'noise-profile', 'repeats', '-o', 'camera.toml']\n"
        "from autodenoise.cli import main\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "written: camera.toml; train with it:" in done.stdout
    assert "note: no camera.png: this needs an optional part" in done.stderr
    assert Path("camera.toml").exists()
