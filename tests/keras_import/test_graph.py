"""Flatten descriptions of networks: those of Keras 2, and unsupported ones."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest
from keras import layers

from autodenoise.errors import InputError
from autodenoise.keras_import import read_network
from autodenoise.keras_import.graph import flatten
from tests.helpers.keras_models import outputs, randomize, save

pytestmark = pytest.mark.usefixtures("in_this_process")


def twin() -> keras.Model:
    """In Keras 3, what `keras_2` writes as Keras 2 did."""
    image, code = layers.Input((8, 12, 1)), layers.Input((4, 6, 3))
    x = layers.UpSampling2D()(code)
    decoder = keras.Model(code, layers.Conv2D(1, 3, padding="same", activation="sigmoid")(x))
    x = layers.Conv2D(3, 3, padding="same")(image)
    x = layers.LeakyReLU(0.3)(layers.BatchNormalization()(x))
    return keras.Model(image, decoder(layers.MaxPooling2D()(x)))


def entry(kind: str, name: str, *sources: str, **config: Any) -> dict[str, Any]:
    """Describe a layer as Keras 2 did."""
    nodes = [[[source, 0, 0, {}] for source in sources]] if sources else []
    config = {"name": name, "trainable": True, "dtype": "float32", **config}
    return {"class_name": kind, "config": config, "name": name, "inbound_nodes": nodes}


def conv(name: str, source: str, filters: int, activation: str) -> dict[str, Any]:
    return entry(
        *("Conv2D", name, source),
        filters=filters,
        kernel_size=[3, 3],
        strides=[1, 1],
        padding="same",
        data_format="channels_last",
        dilation_rate=[1, 1],
        groups=1,
        activation=activation,
        use_bias=True,
        kernel_initializer={"class_name": "GlorotUniform", "config": {"seed": None}},
        kernel_regularizer=None,
    )


def model(name: str, stack: list[dict[str, Any]], kind: str = "Functional") -> dict[str, Any]:
    ends = {
        "input_layers": [[stack[0]["name"], 0, 0]],
        "output_layers": [[stack[-1]["name"], 0, 0]],
    }
    return {"class_name": kind, "config": {"name": name, "layers": stack, **ends}}


def keras_2() -> dict[str, Any]:
    decoder = model(
        "decoder",
        [
            entry("InputLayer", "input_2", batch_input_shape=[None, 4, 6, 3], sparse=False),
            entry("UpSampling2D", "up", "input_2", size=[2, 2], interpolation="nearest"),
            conv("conv2d", "up", 1, "sigmoid"),
        ],
    )
    image = entry("InputLayer", "input_1", batch_input_shape=[None, 8, 12, 1], ragged=False)
    pool = {"pool_size": [2, 2], "strides": [2, 2], "padding": "valid"}
    # A model inside has a call of its own already, and layers may stand in any order.
    stack = [
        image,
        entry("MaxPooling2D", "pool", "leaky", **pool, data_format="channels_last"),
        {**decoder, "name": "decoder", "inbound_nodes": [[["pool", 0, 0, {}]]]},
        conv("conv2d", "input_1", 3, "linear"),
        entry("BatchNormalization", "norm", "conv2d", axis=[3], momentum=0.99, epsilon=0.001),
        entry("LeakyReLU", "leaky", "norm", alpha=0.30000001192092896),
    ]
    whole = model("model", stack)
    whole["config"]["output_layers"] = [["decoder", 1, 0]]
    return whole


NAMES = {
    "conv2d": ["conv2d/kernel:0", "conv2d/bias:0"],
    "norm": [f"norm/{name}:0" for name in ("gamma", "beta", "moving_mean", "moving_variance")],
    "decoder": ["conv2d/kernel:0", "conv2d/bias:0"],
}


def written(path: Path, config: dict[str, Any], weights: list[Any]) -> Path:
    """Write an .h5 file as Keras 2 did: texts of a fixed length, long lists in pieces."""
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(config).encode()
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = [name.encode() for name in NAMES]
        group.attrs["keras_version"] = b"2.15.0"
        left = list(weights)
        for layer, names in NAMES.items():
            inner = group.create_group(layer)
            if layer == "norm":
                for row, name in enumerate(names):
                    inner.attrs[f"weight_names{row}"] = np.array([name], "S")
            else:
                inner.attrs["weight_names"] = np.array(names, "S")
            for name in names:
                inner.create_dataset(name, data=left.pop(0))
        file.create_group("optimizer_weights").attrs["weight_names"] = np.array(["x"], "S")
    return path


def test_file_of_keras_2_equals_its_keras_3_twin(tmp_path: Path) -> None:
    model = randomize(twin())
    imported = read_network(written(tmp_path / "model.h5", keras_2(), model.get_weights()))
    assert imported.version == "2.15.0"
    assert imported.shape == (1, 8, 12)
    expected, actual = outputs(model, imported)
    np.testing.assert_allclose(actual, expected, atol=1e-6)


def test_archive_of_keras_2_equals_its_keras_3_twin(tmp_path: Path) -> None:
    model = randomize(twin())
    values = iter(model.get_weights())
    weights = io.BytesIO()
    within = "_layer_checkpoint_dependencies"
    with h5py.File(weights, "w") as file:
        for layer in ("conv2d", "batch_normalization", f"functional/{within}/conv2d"):
            for row in range(4 if layer == "batch_normalization" else 2):
                file[f"{within}/{layer}/vars/{row}"] = next(values)
    config = {"module": "keras.src.engine.functional", **keras_2()}
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("metadata.json", json.dumps({"keras_version": "2.12.0"}))
        archive.writestr("model.weights.h5", weights.getvalue())
    imported = read_network(path)
    expected, actual = outputs(model, imported)
    np.testing.assert_allclose(actual, expected, atol=1e-6)


def test_sequential_can_be_a_list_of_layers(tmp_path: Path) -> None:
    model = randomize(
        keras.Sequential([layers.Input((8, 12, 1)), layers.Conv2D(1, 3, padding="same")])
    )
    layer = conv("conv2d", "", 1, "linear")
    layer["config"]["batch_input_shape"] = [None, 8, 12, 1]
    del layer["inbound_nodes"], layer["name"]
    config = {"class_name": "Sequential", "config": [layer]}
    with h5py.File(tmp_path / "model.h5", "w") as file:
        file.attrs["model_config"] = json.dumps(config)
        inner = file.create_group("model_weights/conv2d")
        inner.attrs["weight_names"] = ["conv2d/kernel:0", "conv2d/bias:0"]
        for name, value in zip(inner.attrs["weight_names"], model.get_weights(), strict=True):
            inner[name] = value
    imported = read_network(tmp_path / "model.h5")
    expected, actual = outputs(model, imported)
    np.testing.assert_allclose(actual, expected, atol=1e-6)


def mine(_self: Any, image: Any) -> Any:
    return layers.Conv2D(1, 1)(image)


# Custom classes, made with type() because Keras's classes are untyped.
Mine = keras.saving.register_keras_serializable("mine")(type("Mine", (layers.Conv2D,), {}))
Whole = type("Whole", (keras.Model,), {"call": mine})


def with_a_custom_layer() -> keras.Model:
    return keras.Sequential([layers.Input((8, 8, 1)), Mine(1, 3, padding="same")])


def of_a_custom_class() -> keras.Model:
    whole = Whole()
    whole(np.zeros((1, 8, 8, 1)))
    return whole


def two_inputs() -> keras.Model:
    both = [layers.Input((8, 8, 1)), layers.Input((8, 8, 1))]
    return keras.Model(both, layers.Conv2D(1, 1)(layers.Add()(both)))


def named_inputs() -> keras.Model:
    both = {"a": layers.Input((8, 8, 1), name="a"), "b": layers.Input((8, 8, 1), name="b")}
    return keras.Model(both, layers.Conv2D(1, 1)(layers.Add()([both["a"], both["b"]])))


def two_outputs() -> keras.Model:
    image = layers.Input((8, 8, 1))
    return keras.Model(image, [layers.Conv2D(1, 1)(image), layers.Conv2D(1, 1)(image)])


def shared() -> keras.Model:
    image, layer = layers.Input((8, 8, 1)), layers.Conv2D(1, 3, padding="same", name="twice")
    return keras.Model(image, layer(layer(image)))


def with_a_number() -> keras.Model:
    image = layers.Input((8, 8, 1))
    return keras.Model(image, layers.Conv2D(1, 1)(image) * 0.5 + 1.0)


def in_training() -> keras.Model:
    image = layers.Input((8, 8, 1))
    return keras.Model(
        image, layers.Conv2D(1, 1)(layers.Dropout(0.5, name="d")(image, training=True))
    )


def without_a_size() -> keras.Model:
    return keras.Sequential([layers.Conv2D(1, 3, padding="same")])


def of_several_sizes() -> keras.Model:
    image = layers.Input((8, 8, 1))
    pooled = layers.Conv2D(1, 3, strides=2, padding="same")(image)
    return keras.Model(
        image, layers.UpSampling2D()(layers.Add()([pooled, layers.MaxPooling2D()(image)]))
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            with_a_custom_layer,
            "a layer of the custom class 'Mine', whose Python code",
        ),
        (
            of_a_custom_class,
            "its class is 'Whole', whose Python code is not in the file",
        ),
        (two_inputs, "it has 2 inputs; expected 1"),
        (named_inputs, "it has 2 inputs; expected 1"),
        (two_outputs, "it has 2 outputs; expected 1"),
        (shared, "its layer 'twice' is used 2 times; layers that share weights are not supported"),
        (
            with_a_number,
            "'multiply' takes an input that is not the output of another layer",
        ),
        (
            in_training,
            "its layer 'd' is called with training; expected only outputs of other layers",
        ),
        (
            without_a_size,
            "the shape of its input is unknown; start it with keras.Input((height",
        ),
    ],
)
def test_unsupported_structure_is_named(make: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as raised:
        read_network(save(make(), tmp_path / "model.keras"))
    assert message in str(raised.value)


def without(config: dict[str, Any], *path: Any) -> dict[str, Any]:
    """Return a copy without one entry."""
    copy: dict[str, Any] = json.loads(json.dumps(config))
    inner = copy
    for key in path[:-1]:
        inner = inner[key]
    del inner[path[-1]]
    return copy


def nests(depth: int) -> dict[str, Any]:
    inner = {"class_name": "Sequential", "config": {"layers": [entry("Flatten", "f")]}}
    for _ in range(depth):
        inner = {"class_name": "Sequential", "config": {"layers": [inner]}}
    return inner


def long_chain(count: int) -> dict[str, Any]:
    image = entry("InputLayer", "image", batch_input_shape=[None, 8, 8, 1])
    return {
        "class_name": "Sequential",
        "config": {"layers": [image, *(entry("ReLU", f"relu{row}") for row in range(count))]},
    }


GOOD = keras_2()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (without(GOOD, "config"), "a model has no config"),
        (without(GOOD, "config", "layers"), "a model has no layers"),
        (without(GOOD, "config", "layers", 0), "layers take inputs that no layer computes"),
        (without(GOOD, "config", "layers", 1, "class_name"), "a layer has no class"),
        (without(GOOD, "config", "layers", 1, "config"), "the layer 'pool' has no config"),
        (
            without(GOOD, "config", "layers", 2, "inbound_nodes"),
            "its model 'decoder' has 0 inputs",
        ),
        (without(GOOD, "config", "layers", 1, "inbound_nodes"), "more than one input: 'pool'"),
        (
            without(GOOD, "config", "layers", 1, "inbound_nodes", 0, 0, 1),
            "is not the output of another",
        ),
        (
            without(GOOD, "config", "layers", 1, "inbound_nodes", 0, 0),
            "layer 'pool' are missing",
        ),
        (without(GOOD, "config", "output_layers"), "it has 0 outputs; expected 1"),
        (without(GOOD, "config", "input_layers", 0), "it has 0 inputs; expected 1"),
        (model("m", [entry("InputLayer", "a", batch_input_shape=[None, 0, 8, 1])]), "has no shape"),
        (model("m", [GOOD["config"]["layers"][0]] * 2), "two layers are named 'input_1'"),
        (nests(9), "its models are nested more than 8 deep"),
        (long_chain(257), "it has more than 256 layers"),
    ],
)
def test_damaged_descriptions_are_refused(config: dict[str, Any], message: str) -> None:
    flatten(GOOD)
    with pytest.raises(InputError) as raised:
        flatten(config)
    assert message in str(raised.value)


def test_feature_maps_of_different_sizes_are_not_added(tmp_path: Path) -> None:
    # Keras refuses such a model, so the sizes are changed in its file.
    path = save(of_several_sizes(), tmp_path / "model.keras")
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    parts["config.json"] = parts["config.json"].replace(
        b'"pool_size": [2, 2]', b'"pool_size": [3, 3]'
    )
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    with pytest.raises(InputError, match=r"its layer 'add(_\d+)?' \(Add\) differ in shape"):
        read_network(path)
