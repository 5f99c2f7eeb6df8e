from __future__ import annotations

from typing import Any

import pytest
import torch

from autodenoise import nets
from autodenoise.errors import UsageError
from autodenoise.nets.layered import LAYERS, SMALL
from autodenoise.nets.summary import summarize


def conv(channels_in: int, channels_out: int, side: int, **more: Any) -> dict[str, Any]:
    around = [(side - 1) // 2, side // 2] * 2
    sizes = {"channels_in": channels_in, "channels_out": channels_out, "kernel": [side, side]}
    return {"kind": "conv", **sizes, "pads": around, **more}


def build(layers: tuple[dict[str, Any], ...], **arguments: Any) -> nets.Autoencoder:
    whole = {"layers": layers, **arguments}
    return nets.build("layers", whole, torch.Generator().manual_seed(0))


ACTIVATIONS = ("leaky-relu", "elu", "selu", "silu", "sigmoid", "tanh", "relu")
ODD = (
    {"kind": "rescale", "factor": -255.0, "offset": 3.0},
    conv(1, 2, 3, dilation=[2, 2], pads=[2, 2, 2, 2]),
    *({"kind": kind} for kind in ACTIVATIONS),
    {"kind": "relu", "most": 6.0},
    {"kind": "scale", "channels": 2},
    {"kind": "max-pool", "kernel": [3, 3], "stride": [2, 2], "pads": [0, 1, 0, 1]},
    {"kind": "average-pool", "kernel": [3, 3], "stride": [1, 1], "pads": [1, 1]},
    {"kind": "upsample", "factors": [2, 2], "mode": "bilinear"},
    conv(2, 1, 2),
    # Subtracted from the image.
    {"kind": "rescale", "factor": -1.0},
    {"kind": "add", "of": [0, 16]},
)


def test_halo_does_not_depend_on_activations() -> None:
    # 2 for the dilated kernel, 1 behind the image's for a pooling of 3 and 3 of an average at half
    # the size, 1 of it for a line between pixels, 1 for the last.
    network = build(ODD, code=11, multiple=2)
    assert nets.halo(network) == 8
    plain = build((conv(1, 1, 5), {"kind": "sigmoid"}), code=1, multiple=1)
    assert nets.halo(plain) == 2


def test_minimum_side_and_halo_of_unpadded_kernels() -> None:
    unpadded = [conv(1, 1, 3, pads=[0, 0, 0, 0]) for _ in range(13)]
    again = [{"kind": "conv-transpose", "channels_in": 1, "channels_out": 1, "kernel": [3, 3]}] * 13
    assert nets.minimum_side(build((*unpadded, *again), multiple=1)) == 32
    assert nets.halo(build((*unpadded, *again), multiple=1)) == 26
    # Dark at the ends, whatever there was.
    assert nets.halo(build((*unpadded, {"kind": "zeros", "pads": [13] * 4}), multiple=1)) == 13
    smaller = build((*unpadded, {"kind": "add", "of": [13, 0]}), multiple=3)
    with pytest.raises(UsageError, match="no images whose sides are multiples of 3"):
        nets.minimum_side(smaller)


@torch.no_grad()
def test_pixels_beyond_the_halo_do_not_change_the_output() -> None:
    # In doubles: what is far away counts for little.
    network = build(ODD, code=11, multiple=2).double()
    halo = nets.halo(network)
    draw = torch.Generator().manual_seed(1)
    for weight in network.parameters():
        weight.uniform_(-1, 1, generator=draw)
    image = 0.01 * torch.rand(1, 1, 40, 40, generator=draw).double()
    reached = 0
    for axis, offset in ((2, 18), (2, 19), (3, 18), (3, 19)):
        changed = image.clone()
        changed.select(axis, offset).add_(0.01)
        moved = (network(changed) != network(image)).nonzero()[:, axis]
        reached = max(reached, int((moved - offset).abs().max()))
    assert reached == halo


def test_skip_connections_bypass_the_code() -> None:
    layers = (
        conv(1, 4, 3),
        {"kind": "max-pool", "kernel": [2, 2], "stride": [2, 2]},
        {"kind": "upsample", "factors": [2, 2]},
        {"kind": "concatenate", "of": [3, 1, 0]},
        conv(9, 1, 3),
    )
    network = build(layers, code=2, multiple=2)
    image = torch.rand(1, 1, 8, 8)
    handed = network.encoder(image)
    assert [tuple(one.shape[1:]) for one in handed] == [(1, 8, 8), (4, 8, 8), (4, 4, 4)]
    assert nets.code_shape(network, (1, 8, 8)) is None
    assert network(image).shape == image.shape
    rows = summarize(network, (1, 8, 8)).layers
    assert rows[4].operation == "Concatenate"
    assert rows[4].inputs == (3, 1, 0)


def test_encoder_may_be_the_whole_network() -> None:
    network = build((conv(1, 1, 3),), code=1)
    image = torch.rand(1, 1, 8, 8)
    assert torch.equal(network.decoder(network.encoder(image)), network(image))


@pytest.mark.parametrize(
    ("layers", "code", "message"),
    [
        (({"kind": "cnov"},), 1, "unknown kind of layer 'cnov'; did you mean 'conv'?"),
        (({},), 1, "unknown kind of layer ''; known: conv, "),
        (
            ({"kind": "conv", "filters": 3},),
            1,
            "layer 1, conv, cannot be built with {'filters': 3}",
        ),
        (({"kind": "upsample", "factors": [2]},), 1, "layer 1, upsample, cannot be built with"),
        (
            ({"kind": "relu", "of": [1]},),
            1,
            r"layer 1 has inputs \[1\]; expected numbers below its own",
        ),
        (({"kind": "relu", "of": []},), 1, r"layer 1 has inputs \[\]; expected numbers below"),
        (({"kind": "relu"},), 2, "code is 2; expected 1 to 1"),
        ((), 1, "code is 1; expected 1 to 0"),
    ],
)
def test_invalid_layer_lists_raise(layers: Any, code: int, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        build(layers, code=code)


def test_summary_names_every_kind_of_layer() -> None:
    rows = summarize(build(ODD, code=11, multiple=2), (1, 8, 8)).layers
    words = ("LeakyReLU", "ELU", "SELU", "SiLU", "sigmoid", "tanh", "ReLU", "ReLU up to 6")
    assert [row.operation for row in rows] == [
        "Image",
        "Rescaling",
        f"Conv 3x3 dilation 2 same + {' + '.join(words)}",
        "ChannelScale",
        "MaxPool 3x3 stride 2",
        "AveragePool 3x3 stride 1",
        "Upsample x2, bilinear",
        "Conv 2x2 same",
        "Rescaling",
        "Add",
    ]
    used = {layer["kind"] for layer in (*ODD, *SMALL)}
    assert set(LAYERS) - used == {
        *("conv-transpose", "dense", "flatten", "reshape", "zeros", "cut", "concatenate"),
    }
