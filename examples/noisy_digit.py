"""Write one of a run's test images with noise, as an input for ``denoise``.

    python examples/noisy_digit.py RUN [INDEX]

writes ``RUN/noisy.png``, and ``RUN/clean.png`` to compare with.
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
    """Add the noise of the run's recipe to a test image."""
    run = autodenoise.Run.open(sys.argv[1])
    index = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    clean = as_float(run.data().test.images[index : index + 1])
    noisy = Compose(run.recipe.noise)(clean, generator(run.recipe.seed, "an example", index))
    for name, image in (("noisy.png", noisy), ("clean.png", clean)):
        pixels = images.from_float(image[0].permute(1, 2, 0).numpy(), np.dtype(np.uint8))
        images.write(Path(run.folder) / name, pixels)


if __name__ == "__main__":
    main()
