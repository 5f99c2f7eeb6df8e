"""From a network in Keras to a model file, and what can be done with that."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import pytest
from keras import layers
from numpy.typing import NDArray
from onnx import helper

import autodenoise
from autodenoise import images, nets, runs, runtime
from autodenoise.errors import InputError, OutputError, UsageError
from autodenoise.export.from_onnx import load_network
from tests.helpers.command_line import run
from tests.helpers.keras_models import randomize, save
from tests.helpers.keras_networks import SAME


def small() -> keras.Model:
    """Any size of picture, some activations, a scale, and a bias of zeros."""
    return keras.Sequential(
        [
            layers.Input((28, 28, 1)),
            layers.Conv2D(4, 3, padding="same", activation="leaky_relu"),
            layers.BatchNormalization(),
            layers.MaxPooling2D(2),
            layers.Conv2D(4, 3, **SAME, use_bias=False),
            layers.Conv2DTranspose(4, 3, strides=2, padding="same", activation="tanh"),
            layers.Conv2D(1, 3, padding="same", activation="sigmoid"),
        ]
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[keras.Model, Path]:
    """Give a network in Keras, and a folder with its file and the model file that it became."""
    folder, model = tmp_path_factory.mktemp("made"), randomize(small())
    # As where batch normalisation follows. The exporter leaves it out.
    model.layers[0].bias.assign(np.zeros(4))
    save(model, folder / "net.keras")
    autodenoise.import_keras(folder / "net.keras")
    return model, folder


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")


def narrow() -> keras.Model:
    stack = [
        layers.Input((12, 12, 1)),
        layers.Rescaling(0.5, -1),
        layers.Flatten(),
        layers.Dense(9, activation="selu"),
        layers.Dense(144, activation="tanh"),
        layers.Reshape((12, 12, 1)),
    ]
    return keras.Sequential(stack)


def predicted(model: keras.Model, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    answer: NDArray[np.float32] = model(pixels[None].astype(np.float32) / 255).detach().numpy()[0]
    return answer


def test_output_equals_that_of_keras(
    made: tuple[keras.Model, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, folder = made
    file = str(folder / "net.onnx")
    # Larger than it was trained on.
    pixels = np.random.default_rng(0).integers(0, 256, (40, 62, 1), np.uint8)
    images.write(Path("noisy.png"), pixels)
    assert run(monkeypatch, "denoise", "noisy.png", "-o", "clean.png", "--model", file) == 0
    clean = images.read(Path("clean.png")).astype(np.float64)
    anywhere = keras.Sequential([layers.Input((None, None, 1)), *model.layers])
    expected = predicted(anywhere, pixels)
    assert expected.std() > 0.02
    np.testing.assert_allclose(clean / 255, expected, atol=0.501 / 255)
    loaded = autodenoise.load(file)
    noisy = (pixels[None] / 255).astype(np.float32)
    np.testing.assert_allclose(loaded.batch(noisy)[0], expected, atol=1e-5)
    # In tiles, which do not show.
    tiled = loaded.denoise(pixels, memory=400_000)
    assert np.abs(tiled.astype(int) - clean).max() <= 1


def test_imported_model_encodes_and_decodes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model = randomize(narrow())
    save(model, Path("narrow.h5"))
    assert run(monkeypatch, "import", "narrow.h5", "--name", "mine") == 0
    printed = capsys.readouterr().out
    for words in (
        f"mine: imported from Keras {keras.__version__}\n",
        f"{model.count_params():,} parameters, ",
        "12x12 pixels only\n",
        "Dense + SELU",
        "The first layer rescales its input",
        "The last layer is a tanh",
        "\nmodel file: narrow.onnx\n",
    ):
        assert words in printed
    assert printed.endswith("try it: autodenoise denoise IMAGE --model narrow.onnx\n")
    card = autodenoise.load("narrow.onnx").card
    assert (card.name, card.network, card.size, card.halo) == ("mine", "layers", (12, 12), None)
    assert (card.data, card.noise, card.license) == ("", [], "")
    assert card.parameters == model.count_params()

    pixels = np.random.default_rng(0).integers(0, 256, (3, 12, 12, 1), np.uint8)
    Path("in").mkdir()
    for index, image in enumerate(pixels):
        images.write(Path(f"in/{index}.png"), image)
    assert run(monkeypatch, "encode", "narrow.onnx", "in", "-o", "codes.npz") == 0
    coder = keras.Sequential([layers.Input((12, 12, 1)), *model.layers[:3]])
    with np.load("codes.npz") as arrays:
        codes = arrays["codes"]
    np.testing.assert_allclose(codes, coder(pixels / 255).detach().numpy(), atol=1e-5)
    assert run(monkeypatch, "decode", "narrow.onnx", "codes.npz", "-o", "back") == 0
    for index, image in enumerate(pixels):
        back = images.read(Path(f"back/{index}.png")).astype(np.float64)
        expected = predicted(model, image).clip(0, 1)
        np.testing.assert_allclose(back / 255, expected, atol=0.501 / 255)
    Path("other").mkdir()
    images.write(Path("other/0.png"), np.zeros((12, 12, 3), np.uint8))
    with pytest.raises(InputError, match=r"mine expects 1 channel\(s\), the images have 3"):
        runs.encode("narrow.onnx", "other", "other.npz")

    # Nothing of the user's is written over.
    before = Path("narrow.onnx").read_bytes()
    assert run(monkeypatch, "import", "narrow.h5") == 4
    printed = capsys.readouterr().err
    assert "narrow.onnx exists already; choose another name, or remove it" in printed
    assert Path("narrow.onnx").read_bytes() == before


def changed(source: Path, **changes: object) -> Path:
    """Write a model file with another card."""
    model, path = onnx.load(source), Path("spoilt.onnx")
    card = {**json.loads(model.metadata_props[0].value), **changes}
    helper.set_model_props(model, {runtime.CARD_KEY: json.dumps(card)})
    onnx.save(model, path)
    return path


def test_card_of_another_network_is_an_error(
    made: tuple[keras.Model, Path],
) -> None:
    source = made[1] / "net.onnx"
    network, card = load_network(source)
    assert network.arguments == card.arguments
    assert nets.parameter_count(network) == card.parameters
    told_layers = card.arguments["layers"]
    wide = [{**told_layers[0], "channels_out": 10**9}, *told_layers[1:]]
    flat = [*told_layers[:-1], {"kind": "tanh"}]
    for changes, says in (
        ({"network": "none"}, "has an unknown network: none"),
        ({"arguments": {"layers": wide}}, "its weights do not fit the network on its card"),
        (
            {"arguments": {**card.arguments, "layers": flat}},
            "its output is not that of the network on its card",
        ),
        ({"arguments": {"layers": 5}}, "object is not iterable"),
        ({"arguments": {"width": 5}}, "unexpected keyword argument 'width'"),
    ):
        with pytest.raises(InputError, match=f"spoilt.onnx .*{says}"):
            load_network(changed(source, **changes))


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        (
            {"input_range": (1, 1)},
            UsageError,
            "black is 1 and white is 1; expected two different numbers",
        ),
        ({"output_range": (0, float("inf"))}, UsageError, "expected two different numbers"),
        ({"name": "a/b"}, UsageError, "the name is 'a/b'; expected at most 100 characters"),
        ({"name": "\x1b"}, UsageError, "expected at most 100 characters"),
        ({"output": "net.pt"}, OutputError, r"net\.pt; expected a name that ends in \.onnx"),
        ({"output": "net.keras"}, OutputError, r"ends in \.onnx"),
    ],
)
def test_invalid_options_are_errors(options: dict[str, Any], error: type, says: str) -> None:
    save(keras.Sequential([layers.Input((4, 4, 1)), layers.Conv2D(1, 1)]), Path("net.keras"))
    with pytest.raises(error, match=says):
        autodenoise.import_keras("net.keras", **options)
    assert [file.name for file in Path().iterdir()] == ["net.keras"]


@pytest.mark.parametrize("kind", ["missing", "weights", "lambda", "text"])
def test_invalid_file_is_one_message_and_exit_code_3(
    kind: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model = keras.Sequential([layers.Input((4, 4, 1)), layers.Lambda(lambda x: x, name="mine")])
    model.save_weights("weights.weights.h5")
    save(model, Path("lambda.keras"))
    Path("text.keras").write_text("a text")
    source, says = {
        "missing": ("missing.keras", "no such file"),
        "weights": ("weights.weights.h5", "it contains weights without a description"),
        "lambda": ("lambda.keras", "its layer 'mine' (Lambda) is not supported and contains P"),
        "text": ("text.keras", "it is neither a .keras nor an .h5 file"),
    }[kind]
    before = sorted(Path().iterdir())
    assert run(monkeypatch, "import", source, "-o", "made.onnx") == 3
    printed = capsys.readouterr()
    assert printed.err.startswith(f"autodenoise: {source} cannot be imported: {says}")
    assert "Traceback" not in printed.err
    assert not printed.out
    assert sorted(Path().iterdir()) == before
