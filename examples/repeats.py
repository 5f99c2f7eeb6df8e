"""Write repeated shots by a simulated camera with known noise, as input for ``noise-profile``.

    python examples/repeats.py CLEAN FOLDER

The shots are linear 16-bit images with black at 1024, a gain of 6 per photon and read noise of 60.
The noise of neighboring pixels is slightly correlated, as after demosaicing. The folder ``dark``
contains shots without light.
"""

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from autodenoise import images
from autodenoise.files import make_folder

BLACK, WHITE, GAIN, READ = 1024, 60000, 6, 60
SHOTS = 8


def shoot(light: NDArray[np.float32], random: np.random.Generator) -> NDArray[np.uint16]:
    """Return a shot of light (H, W, C) in [0, 1]."""
    mean = BLACK + light * (WHITE - BLACK)
    noise = random.normal(size=light.shape)
    for axis in (0, 1):
        noise = (noise + 0.3 * np.roll(noise, 1, axis)) / np.hypot(1, 0.3)
    samples = mean + noise * np.sqrt(GAIN * (mean - BLACK) + READ**2)
    return np.rint(samples).clip(0, 65535).astype(np.uint16)


def main() -> None:
    """Write shots from a fixed seed, so that the result is reproducible."""
    clean, folder = Path(sys.argv[1]), Path(sys.argv[2])
    view = images.to_float(images.read(clean))
    random = np.random.default_rng(0)
    for name, light in (("view", view), ("dark", np.zeros_like(view))):
        make_folder(folder / name)
        for number in range(SHOTS):
            images.write(folder / name / f"{number}.png", shoot(light, random))


if __name__ == "__main__":
    main()
