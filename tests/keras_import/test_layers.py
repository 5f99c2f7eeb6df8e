"""Layers and their options, in chains that chance has put together, against Keras."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from keras import layers

from autodenoise.errors import InputError
from autodenoise.keras_import import read_network
from tests.helpers.keras_models import import_model, outputs, randomize, save

pytestmark = pytest.mark.usefixtures("in_this_process")

FEW = settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])

small = st.integers(1, 3)
paddings = st.sampled_from(["same", "valid"])
activations = st.sampled_from(
    ["linear", "relu", "relu6", "leaky_relu", "elu", "selu", "silu", "sigmoid", "tanh"]
)


Plan = tuple[str, dict[str, Any]]
"""A layer that is not made yet: Keras draws random numbers when it makes one."""


def make(*plans: Plan) -> list[keras.Layer]:
    return [getattr(layers, kind)(**options) for kind, options in plans]


@st.composite
def any_layer(draw: st.DrawFn) -> Plan:
    """Draw a layer that maps a map of two channels to another."""
    rows, columns, steps = draw(small), draw(small), (draw(small), draw(small))
    conv: Any = {"filters": 2, "padding": draw(paddings), "activation": draw(activations)}
    pool: Any = {"pool_size": (rows, columns), "strides": steps}
    plan: Plan = draw(
        st.sampled_from(
            [
                ("Conv2D", {**conv, "kernel_size": (rows, columns), "strides": steps}),
                ("Conv2D", {**conv, "kernel_size": (columns, rows), "dilation_rate": steps}),
                ("Conv2D", {**conv, "kernel_size": 3, "groups": 2, "use_bias": False}),
                ("Conv2DTranspose", {**conv, "kernel_size": (rows + 1, columns), "strides": steps}),
                (
                    "Conv2DTranspose",
                    {**conv, "kernel_size": 1, "strides": steps, "use_bias": False},
                ),
                ("MaxPooling2D", {**pool, "padding": conv["padding"]}),
                ("AveragePooling2D", pool),
                ("AveragePooling2D", {"pool_size": 3, "strides": 1, "padding": "same"}),
                ("UpSampling2D", {"size": steps}),
                ("UpSampling2D", {"size": steps, "interpolation": "bilinear"}),
                ("ZeroPadding2D", {"padding": ((rows, 0), (1, columns))}),
                ("Cropping2D", {"cropping": ((0, 1), (1, 0))}),
                ("BatchNormalization", {"center": draw(st.booleans()), "epsilon": 0.01}),
                ("BatchNormalization", {"scale": False}),
                ("Rescaling", {"scale": [2.0, -0.5], "offset": 0.1}),
                ("LeakyReLU", {"negative_slope": 0.4}),
                ("ReLU", {"max_value": 0.5}),
                ("ELU", {"alpha": 0.5}),
                ("Dense", {"units": 2, "activation": conv["activation"]}),
            ]
        )
    )
    return plan


@FEW
@given(st.lists(any_layer(), min_size=1, max_size=4), st.integers(9, 14), st.integers(9, 14))
def test_any_chain_of_layers_equals_keras(chain: list[Plan], height: int, width: int) -> None:
    stack = [layers.Input((height, width, 1)), layers.Conv2D(2, 3, padding="same")]
    try:
        model = keras.Sequential([*stack, *make(*chain), layers.Flatten()])
    except ValueError:
        return  # the image has become empty
    if model.output_shape[1] > 5000:
        return
    model.add(layers.Dense(height * width, activation="sigmoid"))
    model.add(layers.Reshape((height, width, 1)))
    with tempfile.TemporaryDirectory() as folder:
        imported = import_model(randomize(model), Path(folder) / "model.keras")
    expected, actual = outputs(model, imported)
    np.testing.assert_allclose(actual, expected, atol=1e-5)


@st.composite
def down_and_up(draw: st.DrawFn) -> tuple[list[Plan], list[Plan], int]:
    """Draw layers that downsample, layers that upsample again, and the factor."""
    factor = draw(small)
    conv: Any = {"filters": 2, "padding": "same", "activation": draw(activations)}
    strided: Any = {**conv, "strides": factor}
    downs: list[Plan] = [
        ("MaxPooling2D", {"pool_size": factor, "padding": draw(paddings)}),
        ("AveragePooling2D", {"pool_size": factor}),
        ("Conv2D", {**strided, "kernel_size": draw(small)}),
    ]
    ups: list[Plan] = [
        ("UpSampling2D", {"size": factor}),
        ("UpSampling2D", {"size": factor, "interpolation": "bilinear"}),
        ("Conv2DTranspose", {**strided, "kernel_size": draw(small)}),
    ]
    kernel, spread = (draw(small), draw(small)), draw(small)
    between: Plan = ("Conv2D", {**conv, "kernel_size": kernel, "dilation_rate": spread})
    down, up = draw(st.sampled_from(downs)), draw(st.sampled_from(ups))
    return [("BatchNormalization", {}), down], [between, up], factor


@FEW
@given(st.lists(down_and_up(), min_size=1, max_size=2))
def test_networks_that_preserve_the_size_take_any_size(
    steps: list[tuple[list[Plan], list[Plan], int]],
) -> None:
    multiple = int(np.prod([factor for *_, factor in steps]))
    downs = [plan for down, _, _ in steps for plan in down]
    ups = [plan for _, up, _ in reversed(steps) for plan in up]
    ends = layers.Conv2D(2, 3, padding="same"), layers.Conv2D(1, 3, padding="same")
    side = 4 * multiple
    stack = [ends[0], *make(*downs, *ups), ends[1]]
    model = randomize(keras.Sequential([layers.Input((side, side, 1)), *stack]))
    with tempfile.TemporaryDirectory() as folder:
        imported = import_model(model, Path(folder) / "model.keras")
    assert imported.network.multiple == multiple
    anywhere = keras.Sequential([layers.Input((None, None, 1)), *model.layers])
    expected, actual = outputs(anywhere, imported, 3 * multiple, 7 * multiple)
    np.testing.assert_allclose(actual, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (
            layers.GlobalAveragePooling2D(keepdims=True),
            "(GlobalAveragePooling2D) is not supported. Supp",
        ),
        (layers.LayerNormalization(), "(LayerNormalization) is not supported"),
        (
            layers.Lambda(lambda x: 2 * x),
            "(Lambda) is not supported and contains Python code, which is",
        ),
        (
            layers.Conv2D(1, 3, activation="gelu"),
            "has activation = gelu; expected one of linear, relu",
        ),
        (layers.Conv2D(1, 3, activation=layers.PReLU()), "has activation = PReLU; expected one of"),
        (
            layers.UpSampling2D(2, data_format="channels_first"),
            "channels_first; expected channels_last",
        ),
        (layers.Conv2D(1, 65, padding="same"), "has kernel_size = [65, 65]; expected two integers"),
        (
            layers.Conv2D(1, 3, strides=17, padding="same"),
            "has strides = [17, 17]; expected two integers",
        ),
        (layers.Conv2DTranspose(1, 3, dilation_rate=2), "has dilation_rate = [2, 2]; expected two"),
        (
            layers.Conv2DTranspose(1, 3, 2, output_padding=1),
            "output_padding = [1, 1]; expected nothing",
        ),
        (
            layers.UpSampling2D(2, interpolation="bicubic"),
            "= bicubic; expected nearest or bilinear",
        ),
        (layers.ReLU(threshold=0.5), "has threshold = 0.5; expected 0"),
        (layers.ReLU(negative_slope=0.5), "has negative_slope = 0.5; expected 0"),
        (layers.BatchNormalization(axis=1), "has axis = 1; expected -1, the channels"),
        (layers.AveragePooling2D(2, strides=1, padding="same"), "Keras's own backends disagree"),
        (layers.Rescaling(np.array([1.0, 2.0])), "expected a number, or one per channel"),
        (
            layers.Dense(1, dtype="float64"),
            "has dtype = float64; expected float32 or mixed_float16",
        ),
        (layers.UpSampling2D((2000, 2000)), "has size = [2000, 2000]; expected two integers"),
        (layers.Conv2D(40_000, 1), "per image; at most 134,217,728 are"),
    ],
)
def test_unsupported_layers_and_options_are_named(
    layer: keras.Layer, message: str, tmp_path: Path
) -> None:
    image = layers.Input((28, 28, 1))
    model = keras.Model(image, layers.Dense(1)(layer(image)))
    with pytest.raises(InputError) as raised:
        read_network(save(model, tmp_path / "model.keras"))
    assert message in str(raised.value)
    if "at most" not in message and "is not supported" not in message:
        assert f"its layer '{layer.name}' ({type(layer).__name__})" in str(raised.value)


def test_training_only_layers_are_dropped(tmp_path: Path) -> None:
    model = keras.Sequential(
        [
            layers.Input((8, 8, 1)),
            layers.GaussianNoise(0.1),
            layers.GaussianDropout(0.5),
            layers.Conv2D(
                1,
                3,
                padding="same",
                kernel_regularizer="l2",
                bias_constraint="non_neg",
                kernel_initializer="he_normal",
            ),
            layers.SpatialDropout2D(0.2),
            layers.ActivityRegularization(l1=0.1),
            layers.AlphaDropout(0.1),
            layers.Dropout(0.1, noise_shape=(None, 1, 1, 1), seed=4),
            layers.UpSampling2D(1),
        ]
    )
    model.trainable = False
    imported = import_model(randomize(model), tmp_path / "model.keras")
    assert [layer["kind"] for layer in imported.network.arguments["layers"]] == ["conv"]
    expected, actual = outputs(model, imported)
    np.testing.assert_allclose(actual, expected, atol=1e-6)


def test_mixed_precision_models_have_float32_weights(tmp_path: Path) -> None:
    stack = [layers.Conv2D(4, 3, padding="same"), layers.Conv2D(1, 3, padding="same")]
    for layer in stack:
        layer.dtype_policy = keras.DTypePolicy("mixed_float16")
    model = randomize(keras.Sequential([layers.Input((8, 8, 1)), *stack]))
    imported = import_model(model, tmp_path / "model.keras")
    plain = keras.models.clone_model(
        model,
        clone_function=lambda layer: type(layer).from_config(
            {**layer.get_config(), "dtype": "float32"}
        ),
    )
    plain.set_weights(model.get_weights())
    expected, actual = outputs(plain, imported)
    np.testing.assert_allclose(actual, expected, atol=1e-6)
