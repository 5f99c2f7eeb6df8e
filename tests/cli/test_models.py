from __future__ import annotations

import json
from pathlib import Path

import pytest

from autodenoise import runtime, weights
from tests.helpers.command_line import run
from tests.helpers.model_files import box_blur


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(weights, "FILES", {})
    monkeypatch.setenv("COLUMNS", "80")


def listed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str
) -> str:
    assert run(monkeypatch, "models", *arguments) == 0
    return capsys.readouterr().out


def test_models_are_listed_in_a_table(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("runs/letters").mkdir(parents=True)
    box_blur(Path("runs/letters/model.onnx"), size=(28, 40))
    box_blur(Path("photos[bold]:smile:.onnx"), channels=3)
    Path("broken\x1b[2J.onnx").write_bytes(b"")
    printed = listed(monkeypatch, capsys)
    words = " ".join(printed.split())
    for phrase in (
        "model network images trained on",
        "letters box gray 9 parameters 40x28 only",
        "photos[bold]:smile:.onnx box RGB",
        "any size",
        "halo 1",
        r"broken\x1b[2J.onnx is not a usable model file: it has no autodenoise card",
    ):
        assert phrase in words
    assert "\x1b" not in printed
    table = printed[: printed.index("'broken")].splitlines()
    assert max(len(line) for line in table) <= 80


def test_names_can_be_copied_from_narrow_terminals(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    box_blur(Path("photo-balanced-color-int8.onnx"), channels=3)
    assert "photo-balanced-color-int8.onnx" in listed(monkeypatch, capsys)


def test_table_describes_the_training_of_a_model(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    card = runtime.Card(
        "a",
        "unet",
        3,
        1_234_567,
        noise=[
            {"kind": "gaussian", "sigma": [0.1, 0.4], "clip": True},
            {"kind": "jpeg", "quality": 30.0, "symmetric": False},
            {
                "kind": "mixture",
                "parts": [
                    {"noise": [], "weight": 0.1},
                    {"noise": [{"kind": "blur"}, {"kind": "jpeg"}], "weight": 0.4},
                    {
                        "noise": [{"kind": "mixture", "parts": [{"noise": [{"kind": "jpeg"}]}]}],
                        "weight": 0.5,
                    },
                ],
            },
        ],
        data="photos",
        scores={"val_loss": 0.084371, "psnr_25": 30.256},
        license="CC0-1.0",
    )
    entry = runtime.ModelEntry("a.onnx", Path("a.onnx"), card)
    monkeypatch.setattr("autodenoise.runtime.list_models", lambda _: [entry])
    rows = [line.split() for line in listed(monkeypatch, capsys).splitlines() if line.strip()]
    noise = ["gaussian,", "sigma", "0.1", "to", "0.4,", "clip"]
    assert rows[1:] == [
        ["a.onnx", "unet", "RGB", "photos"],
        ["CC0-1.0", "1,234,567", "parameters", "any", "size", *noise],
        ["jpeg,", "quality", "30.0"],
        ["mixture,", "blur", "/", "jpeg"],
        ["val_loss", "0.0844"],
        ["PSNR", "30.26", "dB", "at", "sigma", "25"],
    ]


def test_json_contains_all_fields(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("runs/letters").mkdir(parents=True)
    path = box_blur(Path("runs/letters/model.onnx"), size=(28, 40))
    Path("broken.onnx").write_bytes(b"")
    broken, letters = json.loads(listed(monkeypatch, capsys, "--json"))
    assert (letters["name"], letters["path"]) == ("letters", str(path))
    card = runtime.Card.from_json(json.dumps(letters["card"]))
    assert card == runtime.load(path).card
    assert letters["problem"] == ""
    assert broken["card"] is None
    assert "broken.onnx" in broken["problem"]
