"""``autodenoise denoise`` as a user meets it."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

from autodenoise import images
from autodenoise.cli import main
from autodenoise.cli.denoise import _bytes
from autodenoise.errors import UsageError
from tests.helpers.model_files import box_blur


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    box_blur(Path("box.onnx"))
    return tmp_path


def write_image(name: str) -> None:
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(len(name)).integers(0, 256, (400, 500, 1), np.uint8)
    images.write(Path(name), pixels)


def denoise(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["autodenoise", "denoise", "--model", "box.onnx", *arguments])
    try:
        main()
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def image_files() -> list[str]:
    return sorted(path.as_posix() for path in Path().rglob("*.*g") if path.is_file())


@pytest.mark.parametrize(
    ("arguments", "made"),
    [
        (["a.png"], ["a.denoised.png"]),
        (["a.png", "-o", "b.png"], ["b.png"]),
        (["a.png", "-o", "there"], ["there/a.png"]),
        (["a.png", "-o", "new/"], ["new/a.png"]),
        (["a.png", "b c.jpg"], ["a.denoised.png", "b c.denoised.jpg"]),
        (["a.png", "b c.jpg", "-o", "new"], ["new/a.png", "new/b c.jpg"]),
        (["--", "-x.png"], ["-x.denoised.png"]),
        (["in"], ["in.denoised/d.png"]),
        (["in/", "--recursive", "--jobs", "1"], ["in.denoised/d.png", "in.denoised/sub/e.png"]),
        (["in", "-o", "there/"], ["there/d.png"]),
        (["a.png", "--format", "jpg"], ["a.denoised.jpg"]),
        (["a.png", "b c.jpg", "-o", "new", "--format", ".PNG"], ["new/a.png", "new/b c.png"]),
        (["in", "--format", "jpg"], ["in.denoised/d.jpg"]),
    ],
)
def test_output_paths(
    arguments: list[str],
    made: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("a.png", "b c.jpg", "-x.png", "in/d.png", "in/sub/e.png"):
        write_image(name)
    Path("there").mkdir()
    before = image_files()
    assert denoise(monkeypatch, *arguments) == 0
    assert sorted(set(image_files()) - set(before)) == sorted(made)
    printed = capsys.readouterr()
    assert not printed.err
    last = next(line for line in printed.out.splitlines() if "box" in line)
    assert re.search(r"0\.\d MP with box, strength 1, \d+\.\d\d s, [\d.]+ MP/s$", last)
    assert denoise(monkeypatch, *arguments) == (0 if arguments[0].startswith("in") else 4)


def test_single_image_prints_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_image("a.png")
    assert denoise(monkeypatch, "a.png", "--strength", "0.5", "--memory", "512M") == 0
    printed = capsys.readouterr().out
    assert printed.startswith("a.png -> a.denoised.png: 0.2 MP with box, strength 0.5, ")
    assert printed.count("\n") == 1


def test_folder_prints_a_summary(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in "abc":
        write_image(f"in/{name}.png")
    Path("in/bad\x1b[2J.png").write_text("no picture")
    for number in range(7):
        Path(f"in/{number}.txt").touch()
    assert denoise(monkeypatch, "in", "--jobs", "1") == 3
    printed = capsys.readouterr()
    lines = printed.out.splitlines()
    assert lines[0].startswith("1/4 a.png: 0.2 MP, ")
    assert lines[2].startswith("3/4 bad\\x1b[2J.png: failed: ")
    assert lines[4].startswith("in -> in.denoised: 3 images, 0.6 MP with box, strength 1, ")
    others = ", ".join(f"{number}.txt" for number in range(5))
    assert lines[5] == f"skipped {others} and 2 more: not an image file"
    assert len(lines) == 6
    assert printed.err.startswith("autodenoise: 1 of 4 files could not be denoised:\n  cannot read")
    Path("in/bad\x1b[2J.png").unlink()
    assert denoise(monkeypatch, "in") == 0
    assert capsys.readouterr().out.startswith("3 images unchanged since the last run\n")


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["missing.png"], 3, "no such image: missing.png"),
        (["empty.png"], 3, "empty.png is empty"),
        (["a.png", "-o", "a.png", "--overwrite"], 4, "output a.png is also an input"),
        (["a.png", "-o", "./link.png", "--overwrite"], 4, "link.png is also an input"),
        (["a.png", "-o", "hard.png", "--overwrite"], 4, "hard.png is also an input"),
        (["a.png", "-o", "taken.png"], 4, "taken.png exists already"),
        (["a.png", "-o", "nowhere/b.png"], 4, "cannot write"),
        (["a.png", "in"], 2, "in is a folder; name one folder, or any number of image files"),
        (["in", "-o", "in"], 2, "is the input folder"),
        (["in", "-o", "a.png"], 4, "cannot create the folder a.png"),
        (["a.png", "--strength", "1.5"], 2, "got 1.5"),
        (["a.png", "--strength", "nan"], 2, "got nan"),
        (["a.png", "--range", "5", "5"], 2, "from black to white"),
        (["a.png", "--memory", "lots"], 2, "expected a size such as 512M"),
        (["a.png", "--jobs", "0"], 2, "jobs is 0"),
        ([], 2, "Missing argument"),
    ],
)
def test_errors_are_one_message_and_write_nothing(
    arguments: list[str],
    code: int,
    says: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_image("a.png")
    write_image("taken.png")
    write_image("in/b.png")
    Path("empty.png").touch()
    Path("link.png").symlink_to("a.png")
    Path("hard.png").hardlink_to("a.png")
    before = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}
    assert denoise(monkeypatch, *arguments) == code
    printed = capsys.readouterr()
    assert says in printed.err
    assert not printed.out
    assert {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ("512M", 512 * 2**20),
        ("2G", 2 * 2**30),
        ("1.5GiB", 3 * 2**29),
        ("1 gb", 10**9),
        ("640k", 640 * 2**10),
        ("1000000", 10**6),
    ],
)
def test_memory_sizes_are_parsed(size: str, expected: int) -> None:
    assert _bytes(size) == expected


@pytest.mark.parametrize("size", ["", "G", "-1G", "1X", "1.2.3", "12 monkeys", "1e9"])
def test_invalid_memory_size_is_an_error(size: str) -> None:
    with pytest.raises(UsageError, match="expected a size"):
        _bytes(size)


def test_ctrl_c_keeps_finished_images() -> None:
    for number in range(60):
        write_image(f"in/{number:02}.png")
    command = [sys.executable, "-m", "autodenoise", "denoise", "in", "--model", "box.onnx"]
    pipe = subprocess.PIPE
    process = subprocess.Popen([*command, "--jobs", "1"], stdout=pipe, stderr=pipe, text=True)
    assert process.stdout is not None
    assert process.stdout.readline().startswith("1/60 ")
    process.send_signal(signal.SIGINT)
    printed, complaint = process.communicate()
    assert process.returncode == 130
    done = len(list(Path("in.denoised").glob("*.png")))
    assert f"in -> in.denoised: {done} image" in printed
    assert (
        complaint
        == f"autodenoise: stopped with {done} of 60 done; run the same command to continue\n"
    )
    again = subprocess.run(command, capture_output=True, text=True, check=True)
    assert f"{60 - done} images, " in again.stdout
    assert f"{done} image" in again.stdout
    assert len(list(Path("in.denoised").glob("*.png"))) == 60


def test_terminal_shows_one_live_line_and_a_summary() -> None:
    for number in range(5):
        write_image(f"in/{number}.png")
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "autodenoise", "denoise", "in", "--model", "box.onnx"]
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "80"}
    process = subprocess.Popen(command, stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    printed = b""
    while True:
        try:
            printed += os.read(ours, 4096)
        except OSError:  # the other end is closed
            break
    os.close(ours)
    assert process.wait() == 0
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", printed.decode())
    lines = [line for line in re.split(r"[\r\n]+", shown) if line.strip()]
    assert len(lines) > 1
    assert all(line.startswith("denoising ") for line in lines[:-1])
    assert "5/5" in lines[-2]
    assert lines[-1].startswith("in -> in.denoised: 5 images, 1.0 MP with box, strength 1, ")


def test_help_does_not_import_numpy_or_onnxruntime() -> None:
    program = (
        "import sys\n"
        "for name in ('torch', 'numpy', 'onnxruntime', 'pyvips'): sys.modules[name] = None\n"
        "sys.argv = ['autodenoise', 'denoise', '--help']\n"
        "from autodenoise.cli import main\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "--strength" in done.stdout


def test_denoise_does_not_import_training() -> None:
    write_image("in/a.png")
    program = (
        "import sys\n"
        "for name in ('recipes', 'nets', 'learning'): sys.modules[f'autodenoise.{name}'] = None\n"
        "sys.argv = ['autodenoise', 'denoise', 'in', '--model', 'box.onnx']\n"
        "from autodenoise.cli import main\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_dry_run_prints_a_plan_and_writes_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("in/a.png", "in/sub/b.jpg"):
        write_image(name)
    before = sorted(Path().rglob("*"))
    assert denoise(monkeypatch, "in/a.png", "--dry-run") == 0
    printed = capsys.readouterr().out
    assert re.fullmatch(
        r"in/a\.png: PNG, 500x400, 1 x 8 bits; 1 tile of 500x400, \d+ MiB, about \S+ s\n", printed
    )
    assert denoise(monkeypatch, "in", "--recursive", "--memory", "1M", "--dry-run") == 0
    first, second, last = capsys.readouterr().out.splitlines()
    tiles = re.search(r"; (\d+) tiles of", first)
    assert tiles is not None
    assert int(tiles[1]) > 1
    assert second.startswith("in/sub/b.jpg: JPEG, ")
    assert last.startswith("2 images, about ")
    Path("in/c.png").write_bytes(b"no picture")
    assert denoise(monkeypatch, "in", "--dry-run") == 3
    assert "1 of 2 images could not be denoised" in capsys.readouterr().err
    Path("in/c.png").unlink()
    assert denoise(monkeypatch, "in/a.png", "--dry-run", "--format", "xyz") == 2
    assert sorted(Path().rglob("*")) == before


def test_output_name_and_format_must_agree(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_image("a.png")
    assert denoise(monkeypatch, "a.png", "-o", "b.tif", "--format", "png") == 2
    assert "does not end in the requested" in capsys.readouterr().err
    assert image_files() == ["a.png"]


def test_axes_of_a_stack(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stack = np.random.default_rng(0).integers(0, 256, (3, 20, 30), np.uint8)
    tifffile.imwrite("a.tif", stack, photometric="minisblack")
    assert denoise(monkeypatch, "a.tif", "--axes", "ZYX") == 0
    assert tifffile.imread("a.denoised.tif").shape == (3, 20, 30)
    assert denoise(monkeypatch, "a.tif", "-o", "b.tif", "--axes", "YX") == 2
    assert "do not describe a.tif, which has 3 page(s)" in capsys.readouterr().err
