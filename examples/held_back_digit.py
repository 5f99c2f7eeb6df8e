"""Write one of a run's test images, noisy, as a picture: something to try ``denoise`` on.

    python examples/held_back_digit.py RUN [INDEX]

makes ``RUN/held-back.png``, and ``RUN/held-back.clean.png`` to compare with.
"""

import sys
from pathlib import Path

import numpy as np

import autodenoise
from autodenoise import images
from autodenoise.data.crops import as_float
from autodenoise.noise import Compose
from autodenoise.training.randomness import generator


def main() -> None:
    """Draw the noise that the run was trained against onto a test image."""
    run = autodenoise.Run.open(sys.argv[1])
    index = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    clean = as_float(run.data().test.images[index : index + 1])
    noisy = Compose(run.recipe.noise)(clean, generator(run.recipe.seed, "an example", index))
    for name, image in (("held-back.png", noisy), ("held-back.clean.png", clean)):
        pixels = images.from_float(image[0].permute(1, 2, 0).numpy(), np.dtype(np.uint8))
        images.write(Path(run.folder) / name, pixels)


if __name__ == "__main__":
    main()
