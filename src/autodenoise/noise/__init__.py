"""Corruptions: frozen specs whose only source of randomness is the generator they are given.

A noise is called as ``noise(clean, generator) -> noisy`` on a batch, a float tensor of shape
(B, C, H, W) in [0, 1] on any device, with a generator of that device. Strengths are in units of
that range: the "25" of the literature is ``25 / 255``. A strength given as a pair is drawn for each
image, uniformly between the two. The result is clipped to [0, 1] only if ``clip`` is set, and by
`Camera` and `Jpeg`, which simulate stored files. Inputs and global random state are not changed.

Examples
--------
>>> import torch
>>> noise = Gaussian(25 / 255)
>>> noise(torch.zeros(1, 3, 8, 8), torch.Generator().manual_seed(0)).shape
torch.Size([1, 3, 8, 8])
"""

from autodenoise.noise.basic import Gaussian, Poisson, PoissonGaussian, SaltPepper, Speckle, Uniform
from autodenoise.noise.camera import Camera
from autodenoise.noise.correlated import CorrelatedGaussian, Grain
from autodenoise.noise.jpeg import Jpeg
from autodenoise.noise.measured import Measured
from autodenoise.noise.mixture import (
    NOISES,
    AnyNoise,
    Compose,
    Mixture,
    MixturePart,
    is_fixed_zero_mean,
)
from autodenoise.noise.scan import Scan
from autodenoise.noise.smoothing import Blur
from autodenoise.noise.strength import Noise, Strength

__all__ = [
    "NOISES",
    "AnyNoise",
    "Blur",
    "Camera",
    "Compose",
    "CorrelatedGaussian",
    "Gaussian",
    "Grain",
    "Jpeg",
    "Measured",
    "Mixture",
    "MixturePart",
    "Noise",
    "Poisson",
    "PoissonGaussian",
    "SaltPepper",
    "Scan",
    "Speckle",
    "Strength",
    "Uniform",
    "is_fixed_zero_mean",
]
