"""Add the noise of a camera to a photo, as an input for ``denoise``.

    python examples/photo_with_noise.py CLEAN NOISY

The noise is that of a sensor in dim light after demosaicing, gamma and JPEG compression: it is
correlated between pixels, and weaker in bright areas.
"""

import sys
from pathlib import Path

import numpy as np
import torch

from autodenoise import images
from autodenoise.noise import Camera, Compose, Jpeg

NOISE = Compose((Camera(log_shot=-2.3, smoothing=0.6), Jpeg(90)))


def main() -> None:
    """Add noise from a fixed seed, so that the result is reproducible."""
    clean, noisy = Path(sys.argv[1]), Path(sys.argv[2])
    pixels = images.to_float(images.read(clean))
    batch = torch.from_numpy(pixels).permute(2, 0, 1)[None]
    drawn = NOISE(batch, torch.Generator().manual_seed(0))[0].permute(1, 2, 0).numpy()
    images.write(noisy, images.from_float(np.ascontiguousarray(drawn), np.dtype(np.uint8)))


if __name__ == "__main__":
    main()
