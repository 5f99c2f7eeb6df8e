"""The image sizes that a network accepts, and how far away an input can change an output."""

from __future__ import annotations

import contextlib
import copy

import torch
from torch import nn

from autodenoise.errors import UsageError
from autodenoise.nets.autoencoder import Autoencoder
from autodenoise.nets.keras_layers import ACTIVATIONS, Rescaling

__all__ = ["halo", "minimum_side"]

# Far more than useful kernels need; larger images take minutes.
_MAX_SIDE = 2048


@torch.no_grad()
def minimum_side(network: Autoencoder) -> int:
    """Return a side that is long enough for unpadded kernels, not always the shortest.

    Raise UsageError if the network accepts no image whose sides are multiples of its `multiple`.
    """
    weight = next(network.parameters())
    side = multiple = network.multiple or 1
    while side <= max(_MAX_SIDE, 2 * multiple):
        # torch raises RuntimeError for a feature map smaller than the kernel.
        with contextlib.suppress(RuntimeError):
            if side >= 8:
                network(weight.new_zeros(1, network.channels, side, side))
                return side
        side *= 2
    raise UsageError(f"the network works on no images whose sides are multiples of {multiple}")


@torch.no_grad()
def halo(network: Autoencoder) -> int | None:
    """Return how many pixels away an input can change an output; None if the size is fixed.

    Found by probing: with all weights positive and biases zero, every layer here (convolution,
    pooling, ReLU, upsampling, sum) is monotonic, so a single bright line on black changes exactly
    the outputs that depend on it. Activations and rescaling act on each value alone and are
    removed, since they may be flat or map black to nonzero. Each offset within one size multiple is
    tried, since strided layers treat them differently.
    """
    multiple = network.multiple
    if multiple is None:
        return None
    # float64, since values grow a hundredfold per layer.
    probe = copy.deepcopy(network).double().cpu()
    probe.black, probe.white = 0.0, 1.0
    for name, parameter in probe.named_parameters():
        parameter.fill_(0.0 if name.endswith("bias") else 1.0)
    for module in list(probe.modules()):
        for name, child in module.named_children():
            if isinstance(child, (*ACTIVATIONS, Rescaling)):
                setattr(module, name, nn.Identity())
    width = minimum_side(network)
    side = 16 * multiple + 2 * width
    # If the response comes near the end of the strip, it may have been cut off there; unpadded
    # kernels remove up to `width` pixels more.
    while (reach := _reach(probe, multiple, side, width)) >= side // 2 - multiple - width:
        side *= 2
    return reach


def _reach(probe: Autoencoder, multiple: int, side: int, width: int) -> int:
    reach = 0
    # One offset at a time: the feature maps of a deep network for all would need gigabytes.
    for offset in range(side // 2, side // 2 + multiple):
        # A strip shows as much as a square.
        line = torch.zeros(1, probe.channels, side, width, dtype=torch.double)
        line[:, :, offset] = 1
        response = probe(line).sum((0, 1, 3)) + probe(line.transpose(2, 3)).sum((0, 1, 2))
        reach = max(reach, int((response.nonzero() - offset).abs().max()))
    return reach
