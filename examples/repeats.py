"""Write shots of one view by a camera whose noise is known, to try ``noise-profile`` on.

    python examples/repeats.py CLEAN FOLDER

The shots are linear, of 16 bits, black at 1024: photons at 6 samples each, read noise of 60, and
neighbours that correlate a little, as after demosaicing. A folder ``dark`` is shot without light.
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
    """Give what the camera makes of light from 0 to 1, (H, W, C)."""
    mean = BLACK + light * (WHITE - BLACK)
    noise = random.normal(size=light.shape)
    for axis in (0, 1):
        noise = (noise + 0.3 * np.roll(noise, 1, axis)) / np.hypot(1, 0.3)
    samples = mean + noise * np.sqrt(GAIN * (mean - BLACK) + READ**2)
    return np.rint(samples).clip(0, 65535).astype(np.uint16)


def main() -> None:
    """Draw from a fixed seed, so that the same photo always gives the same shots."""
    clean, folder = Path(sys.argv[1]), Path(sys.argv[2])
    view = images.to_float(images.read(clean))
    random = np.random.default_rng(0)
    for name, light in (("view", view), ("dark", np.zeros_like(view))):
        make_folder(folder / name)
        for number in range(SHOTS):
            images.write(folder / name / f"{number}.png", shoot(light, random))


if __name__ == "__main__":
    main()
