"""Networks of whole files, as Keras saves them and as we read them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import torch
from keras import layers

from autodenoise import nets
from autodenoise.errors import InputError
from autodenoise.keras_import import read_network
from tests.helpers.keras_models import import_model, outputs, randomize, save
from tests.helpers.keras_networks import KERAS, SAME, to_keras_layout, weighted

ANY_SIZE = {"conv": 4, "bottleneck": 4, "maxnorm": 1}

pytestmark = pytest.mark.usefixtures("in_this_process")


def weights(network: nets.Autoencoder) -> list[torch.Tensor]:
    return [getattr(layer, name) for layer in weighted(network) for name in ("weight", "bias")]


@pytest.mark.parametrize("ending", ["keras", "h5"])
@pytest.mark.parametrize("name", list(KERAS))
def test_tutorial_networks_equal_keras(name: str, ending: str, tmp_path: Path) -> None:
    make, parameters = KERAS[name]
    model = randomize(make())
    imported = import_model(model, tmp_path / f"model.{ending}")
    expected, actual = outputs(model, imported)
    np.testing.assert_allclose(actual, expected, atol=1e-5)
    assert nets.parameter_count(imported.network) == parameters
    assert imported.network.multiple == ANY_SIZE.get(name)
    assert imported.shape == (1, 28, 28)
    assert imported.version == keras.__version__
    # Bit for bit.
    for own, other in zip(weights(imported.network), model.get_weights(), strict=True):
        np.testing.assert_array_equal(to_keras_layout(own), other)
    arguments = imported.network.arguments
    again = nets.build("layers", arguments, torch.Generator().manual_seed(1))
    assert again.state_dict().keys() == imported.network.state_dict().keys()


@pytest.mark.parametrize("name", list(ANY_SIZE))
def test_fully_convolutional_networks_take_other_sizes(name: str, tmp_path: Path) -> None:
    model = randomize(KERAS[name][0]())
    imported = import_model(model, tmp_path / "model.keras")
    anywhere = keras.Sequential([layers.Input((None, None, 1)), *model.layers])
    for sides in ((16, 40), (36, 12)):
        expected, actual = outputs(anywhere, imported, *sides)
        np.testing.assert_allclose(actual, expected, atol=1e-5)
    # So do models without a fixed size.
    free = import_model(anywhere, tmp_path / "free.keras")
    assert free.network.multiple == ANY_SIZE[name]
    assert free.shape == (1, 64, 64)


def encoder_and_decoder() -> tuple[keras.Model, keras.Model]:
    """The network of TensorFlow's own tutorial, with batch normalisation."""
    image, code = layers.Input((28, 28, 1)), layers.Input((7, 7, 8))
    x = layers.Conv2D(16, 3, strides=2, **SAME)(image)
    x = layers.BatchNormalization()(layers.Dropout(0.2)(x, training=False))
    encoder = keras.Model(image, layers.Conv2D(8, 3, strides=2, **SAME)(x), name="encoder")
    decoder = keras.Sequential(
        [
            code,
            layers.Conv2DTranspose(8, 3, strides=2, **SAME),
            layers.Conv2DTranspose(16, 4, strides=2, padding="same"),
            layers.BatchNormalization(),
            layers.LeakyReLU(),
            layers.Conv2D(1, 3, activation="sigmoid", padding="same"),
        ],
        name="decoder",
    )
    return encoder, decoder


def nested() -> keras.Model:
    encoder, decoder = encoder_and_decoder()
    image = layers.Input((28, 28, 1))
    return keras.Model(image, decoder(encoder(image)))


def in_a_row() -> keras.Model:
    return keras.Sequential(encoder_and_decoder())


def deeper() -> keras.Model:
    within = keras.Sequential(encoder_and_decoder(), name="within")
    image = layers.Input((28, 28, 1))
    return keras.Model(image, layers.GaussianNoise(0.1)(within(image)))


def u_net() -> keras.Model:
    """Skip connections by concatenation."""
    image = x = layers.Input((32, 16, 3))
    skips = []
    for filters in (4, 6):
        x = layers.Conv2D(filters, 3, **SAME)(x)
        skips.append(x)
        x = layers.MaxPooling2D()(x)
    x = layers.Conv2D(8, 3, padding="same", activation=layers.LeakyReLU(0.1))(x)
    for filters in (6, 4):
        x = layers.UpSampling2D(interpolation="bilinear")(x)
        x = layers.Concatenate()([skips.pop(), x])
        x = layers.Conv2D(filters, 3, **SAME)(x)
    return keras.Model(image, layers.Dense(3, activation="sigmoid")(x))


def dn_cnn() -> keras.Model:
    """Predict the noise and subtract it."""
    image = layers.Input((None, None, 1))
    x = layers.Conv2D(8, 3, **SAME)(image)
    for _ in range(2):
        x = layers.Conv2D(8, 3, padding="same", use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
    return keras.Model(image, layers.Subtract()([image, layers.Conv2D(1, 3, padding="same")(x)]))


def operators() -> keras.Model:
    image = layers.Input((10, 10, 1))
    x = keras.ops.relu(layers.Conv2D(1, 3, padding="same")(image))
    return keras.Model(image, keras.ops.sigmoid(layers.Add()([x, image, x]) + image))


def without_channels() -> keras.Model:
    """Selu and images of two axes."""
    return keras.Sequential(
        [
            layers.Input((12, 8)),
            layers.Reshape((12, 8, 1)),
            layers.Conv2D(4, 3, padding="same", activation="selu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(10, activation="elu"),
            layers.BatchNormalization(),
            layers.Dense(96, activation="sigmoid"),
            layers.Reshape((12, -1)),
        ]
    )


def of_vectors() -> keras.Model:
    """The first network of the Keras blog: images are rows of 784 values."""
    image = layers.Input((784,))
    code = layers.Dense(32, activation="relu")(image)
    return keras.Model(image, layers.Dense(784, activation="sigmoid")(code))


def of_color_vectors() -> keras.Model:
    return keras.Sequential(
        [layers.Input((6 * 6 * 3,)), layers.Dense(9), layers.Dense(108), layers.Reshape((6, 6, 3))]
    )


@pytest.mark.parametrize("ending", ["keras", "h5"])
@pytest.mark.parametrize(
    ("make", "multiple"),
    [
        (nested, 4),
        (in_a_row, 4),
        (deeper, 4),
        (u_net, 4),
        (dn_cnn, 1),
        (operators, 1),
        (without_channels, None),
        (of_vectors, None),
        (of_color_vectors, None),
    ],
)
def test_other_networks_equal_keras(
    make: Any, multiple: int | None, ending: str, tmp_path: Path
) -> None:
    model = randomize(make())
    imported = import_model(model, tmp_path / f"model.{ending}")
    assert imported.network.multiple == multiple
    expected, actual = outputs(model, imported)
    np.testing.assert_allclose(actual, expected, atol=1e-5)
    assert expected.std() > 1e-3


@pytest.mark.parametrize(
    ("make", "shape"), [(nested, (8, 7, 7)), (of_vectors, (32,)), (without_channels, (10,))]
)
def test_code_is_the_narrowest_layer(make: Any, shape: tuple[int, ...], tmp_path: Path) -> None:
    imported = import_model(make(), tmp_path / "model.keras")
    assert nets.code_shape(imported.network, imported.shape) == shape


def test_other_value_ranges_are_converted(tmp_path: Path) -> None:
    model = randomize(
        keras.Sequential([layers.Input((6, 6, 1)), layers.Conv2D(1, 3, padding="same")])
    )
    imported = import_model(
        model, tmp_path / "model.keras", input_range=(-1, 1), output_range=(0, 255)
    )
    images = np.random.default_rng(0).random((2, 6, 6, 1), np.float32)
    expected = model(2 * images - 1).detach().numpy() / 255
    with torch.no_grad():
        actual = imported.network.denoise(torch.from_numpy(images).permute(0, 3, 1, 2))
    np.testing.assert_allclose(actual.permute(0, 2, 3, 1).numpy(), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("shape", "stack", "message"),
    [
        ((28, 28, 1), [layers.Conv2D(1, 3)], "output has 26x26 pixels and its input 28x28"),
        ((None, None, 1), [layers.Conv2D(1, 3)], "outputs differ in size from its inputs"),
        ((28, None, 1), [layers.Conv2D(1, 3)], "outputs differ in size from its inputs"),
        (
            (28, 28, 3),
            [layers.Conv2D(1, 3, padding="same")],
            "3 channel(s), but its output is",
        ),
        ((28, 28, 1), [layers.Flatten(), layers.Dense(10)], "but its output is not"),
        ((28, 28, 65), [layers.Conv2D(65, 1)], "have 65 channels; expected 1 or 3"),
        ((10,), [layers.Dense(10)], "shape 10; expected height, width and channels"),
        ((200_000,), [layers.Dense(1)], "of 200,000; the limit is 100,000"),
        ((4, 4, 4, 1), [layers.Flatten()], "shape 4x4x4x1; expected height"),
        ((28, 28, 1), [layers.Dropout(0.5)], "no layer has weights"),
        ((28, 28), [layers.Dense(28)], "(Dense) is an image without a channel axis"),
        (
            (784,),
            [layers.Reshape((28, 28, 1)), layers.Dense(1), layers.Reshape((7, 112, 1))],
            "112x7",
        ),
    ],
)
def test_networks_that_are_not_denoisers_are_refused(
    shape: tuple[int | None, ...], stack: list[Any], message: str, tmp_path: Path
) -> None:
    model = keras.Sequential([layers.Input(shape), *stack])
    with pytest.raises(InputError) as raised:
        read_network(save(model, tmp_path / "model.keras"))
    assert message in str(raised.value)
