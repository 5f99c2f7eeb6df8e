from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import helper

from autodenoise import images, nets, runtime, weights
from autodenoise.export.to_onnx import export
from tests.helpers.command_line import run
from tests.helpers.model_files import box_blur

CARD = runtime.Card(
    name="small",
    network="unet",
    channels=1,
    parameters=1,
    size_multiple=8,
    noise=[{"kind": "gaussian", "sigma": [0.0, 0.2]}],
    data="photos",
)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("models") / "small.onnx"
    network = nets.build("unet", {"channels": 1}, torch.Generator().manual_seed(0))
    export(network, dataclasses.replace(CARD, halo=nets.halo(network)), path)
    return path.read_bytes()


@pytest.fixture(autouse=True)
def here(small: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    Path("small.onnx").write_bytes(small)
    Path("photos").mkdir()
    draw = np.random.default_rng(0)
    for index, (height, width) in enumerate([(40, 60), (60, 43), (50, 50), (50, 40), (90, 41)]):
        image = draw.integers(0, 256, (height, width, 3), np.uint8)
        images.write(Path(f"photos/{index}.png"), image)


def write_card(path: str, **changes: object) -> None:
    model = onnx.load("small.onnx")
    card = {**json.loads(model.metadata_props[0].value), **changes}
    helper.set_model_props(model, {runtime.CARD_KEY: json.dumps(card)})
    onnx.save(model, path)


def test_quantized_model_is_written_and_listed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ("quantize", "small.onnx", "-o", "fast.onnx")
    assert run(monkeypatch, *command) == 0
    printed = capsys.readouterr().out
    # The last picture is held back; the shortest side there is, as a multiple of 8, is 40.
    assert "4 images of photos, 40x40" in printed
    float32, int8 = (float(word) for word in printed.split() if word[0].isdigit() and "." in word)
    assert abs(float32 - int8) < 0.1
    assert printed.endswith("model file: fast.onnx\n")
    card = runtime.load("fast.onnx").card
    assert (card.name, card.precision) == ("small-int8", "int8")
    assert card.calibration == "4 images of photos, 40x40"
    assert run(monkeypatch, "models") == 0
    shipped = sum(name.endswith("-int8") for name in weights.FILES)
    assert capsys.readouterr().out.split().count("int8") == shipped + 1
    content = Path("fast.onnx").read_bytes()
    assert run(monkeypatch, *command) == 4
    assert "fast.onnx exists already" in capsys.readouterr().err
    assert Path("fast.onnx").read_bytes() == content


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("none.onnx",), 3, "no such model file: none.onnx"),
        (("box.onnx",), 2, "the model's card names no training data; name them with --data"),
        (("box.onnx", "--data", "photos"), 3, "names no training noise"),
        (("small.onnx", "--data", "bsds40"), 2, "did you mean 'bsds400'?"),
        (("small.onnx", "--data", "low"), 3, "must be multiples of 8 pixels"),
        (("colour.onnx", "--data", "grey"), 3, "expects 3 channel(s), the images of grey have 1"),
        (("fixed.onnx", "--data", "grey"), 3, "accepts only 20x20 pixels, the images of grey"),
        (("small.onnx", "-o", "new.jpg"), 4, "expected a name that ends in .onnx"),
        (("strange.onnx",), 3, "does not know the noise in the model's card"),
    ],
)
def test_errors_are_one_message(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    code: int,
    says: str,
) -> None:
    box_blur(Path("box.onnx"))
    box_blur(Path("colour.onnx"), channels=3)
    box_blur(Path("fixed.onnx"), size=(20, 20))
    for folder, shape in (("grey", (24, 30, 1)), ("low", (5, 40, 3))):
        Path(folder).mkdir()
        for index in range(2):
            images.write(Path(f"{folder}/{index}.png"), np.full(shape, 9, np.uint8))
    write_card("strange.onnx", noise=[{"kind": "rain"}])
    output = () if "-o" in arguments else ("-o", "new.onnx")
    assert run(monkeypatch, "quantize", *arguments, *output) == code
    assert says in capsys.readouterr().err
    assert not Path("new.onnx").exists()
