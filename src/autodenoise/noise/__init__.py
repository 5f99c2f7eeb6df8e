"""Corruptions: frozen, declarative, and random only through the generator they are given.

A noise is called as ``noise(clean, generator) -> noisy`` on a whole batch, a float tensor of shape
(B, C, H, W) in [0, 1] on any device, with a generator of that device. Strengths are in pixel units
of that range: the "25" of the literature is ``25 / 255``. A strength given as a pair is drawn for
each image from the uniform distribution between the two. The result is clipped to [0, 1] only where
``clip`` says so, and by `Camera` and `Jpeg`, which make what is stored in a file. Nothing here
changes its input or touches global random state.
"""

from autodenoise.noise.basic import (
    Gaussian,
    Poisson,
    PoissonGaussian,
    SaltPepper,
    Speckle,
    Uniform,
)
from autodenoise.noise.camera import Camera
from autodenoise.noise.correlated import CorrelatedGaussian, Grain
from autodenoise.noise.jpeg import Jpeg
from autodenoise.noise.measured import Measured
from autodenoise.noise.mixture import AnyNoise, Compose, Mixture, MixturePart, is_fixed_zero_mean
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

NOISES = {
    "gaussian": Gaussian,
    "uniform": Uniform,
    "blur": Blur,
    "poisson": Poisson,
    "poisson-gaussian": PoissonGaussian,
    "salt-pepper": SaltPepper,
    "speckle": Speckle,
    "jpeg": Jpeg,
    "camera": Camera,
    "correlated-gaussian": CorrelatedGaussian,
    "grain": Grain,
    "scan": Scan,
    "measured": Measured,
    "mixture": Mixture,
}
"""The name of each corruption, as recipes write it in ``kind``."""
