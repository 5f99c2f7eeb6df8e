from __future__ import annotations

import keras
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from autodenoise import nets
from autodenoise.nets.summary import NetworkSummary, format_shape, summarize
from tests.helpers.keras_networks import KERAS

MNIST = (1, 28, 28)
# The nearest that it takes.
SHAPES = {"unet": (1, 32, 32)}


def network(name: str) -> nets.Autoencoder:
    return nets.build(name, {}, torch.Generator().manual_seed(0))


def summary(name: str) -> NetworkSummary:
    return summarize(network(name), SHAPES.get(name, MNIST))


def in_our_words(layer: keras.Layer) -> str:
    """What a layer of Keras does, but for its activation."""
    match type(layer).__name__:
        case "Conv2D" | "Conv2DTranspose":
            side, stride = layer.kernel_size[0], layer.strides[0]
            kind = "ConvTranspose" if "Transpose" in type(layer).__name__ else "Conv"
            steps = f" stride {stride}" if stride > 1 else ""
            return f"{kind} {side}x{side}{steps} {layer.padding}"
        case "MaxPooling2D":
            return f"MaxPool {layer.pool_size[0]}x{layer.pool_size[1]}"
        case "UpSampling2D":
            return f"Upsample x{layer.size[0]}, {layer.interpolation}"
        case name:
            return name


@pytest.mark.parametrize("name", list(KERAS))
def test_layers_shapes_and_counts_equal_keras(name: str) -> None:
    # An enlargement by 1 is nothing, and ours leave it out.
    theirs = [layer for layer in KERAS[name][0]().layers if getattr(layer, "size", 0) != (1, 1)]
    image, *ours = summary(name).layers
    assert image.shape == MNIST
    for layer, other in zip(ours, theirs, strict=True):
        assert layer.operation.split(" + ")[0] == in_our_words(other)
        assert format_shape(layer.shape) == "x".join(str(size) for size in other.output.shape[1:])
        assert layer.parameters == other.count_params()
    functions = [getattr(layer, "activation", None) for layer in theirs]
    rectified = sum(function is keras.activations.relu for function in functions)
    assert sum(layer.operation.endswith(" + ReLU") for layer in ours) == rectified
    assert [layer.operation.endswith(" + sigmoid") for layer in ours].index(True) == len(ours) - 1


@pytest.mark.parametrize("name", list(nets.NETWORKS))
def test_multiply_adds_are_half_of_torchs_flop_count(name: str) -> None:
    built = network(name).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        built(torch.zeros(1, *SHAPES.get(name, MNIST)))
    assert summary(name).multiply_adds == counter.get_total_flops() / 2


@pytest.mark.parametrize("name", list(nets.NETWORKS))
def test_every_layer_is_linked_and_the_last_is_the_image(name: str) -> None:
    found = summary(name)
    assert found.parameters == nets.parameter_count(network(name))
    assert found.layers[-1].shape == SHAPES.get(name, MNIST)
    taken: set[int] = set()
    for row, layer in enumerate(found.layers):
        assert bool(layer.inputs) == (row > 0)
        assert all(source < row for source in layer.inputs)
        taken.update(layer.inputs)
    assert taken == set(range(len(found.layers) - 1))


def test_skip_connections_join_maps_of_one_shape() -> None:
    found = summary("swift")
    joins = [layer for layer in found.layers if layer.operation.startswith("Add")]
    assert len(joins) == 2
    skips = set()
    for join in joins:
        assert all(found.layers[source].shape == join.shape for source in join.inputs)
        skips.add(min(join.inputs))
    assert {*skips, found.code[-1]} == set(found.code)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("deep-bottleneck", "2x2x4 = 16 numbers for 784 pixels"),
        ("blur", "4x4x8 = 128 numbers for 784 pixels"),
        ("dense", "64 numbers for 784 pixels"),
        ("conv", "7x7x32 = 1,568 numbers for 784 pixels, no bottleneck"),
    ],
)
def test_code_description_compares_with_the_image(name: str, words: str) -> None:
    assert summary(name).code_description == words


def test_code_is_the_encoder_output() -> None:
    for name in nets.NETWORKS:
        built = network(name)
        side = 32 if name in ("swift", "unet") else 28
        given = built.encoder(torch.zeros(1, 1, side, side))
        maps = given if isinstance(given, list) else [given]
        found = summary(name)
        assert [found.layers[row].shape for row in found.code] == [one.shape[1:] for one in maps]
        assert found.code_size == sum(one.numel() for one in maps)


def test_color_and_other_sizes() -> None:
    built = nets.build("conv", {"channels": 3, "width": 8}, torch.Generator().manual_seed(0))
    found = summarize(built, (3, 20, 36))
    assert [format_shape(layer.shape) for layer in found.layers][:3] == [
        "20x36x3",
        "20x36x8",
        "10x18x8",
    ]
    assert found.code_description == "5x9x8 = 360 numbers for 2,160 values"


def test_summarize_does_not_change_the_network() -> None:
    built = network("swift")
    before = {key: value.clone() for key, value in built.state_dict().items()}
    assert summarize(built, MNIST) == summarize(built, MNIST)
    assert built.training
    for key, value in built.state_dict().items():
        assert torch.equal(value, before[key])
    for module in built.modules():
        assert not module._forward_hooks
    assert all(weight.grad is None for weight in built.parameters())
