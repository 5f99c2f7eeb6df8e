"""Write a sheet of a run's test images, noisy, as one larger picture to try ``denoise`` on.

    python examples/held_back_sheet.py RUN [ROWS COLUMNS]

makes ``RUN/sheet.png``, and ``RUN/sheet.clean.png`` to compare with.
"""

import sys
from pathlib import Path

import numpy as np

import autodenoise
from autodenoise import images
from autodenoise.learning import data
from autodenoise.learning.randomness import generator
from autodenoise.noise import Compose


def main() -> None:
    """Draw the noise that the run was trained against onto its first test images."""
    run = autodenoise.Run.open(sys.argv[1])
    rows, columns = map(int, sys.argv[2:4]) if len(sys.argv) > 2 else (6, 12)
    clean = data.as_float(run.data().test.images[: rows * columns])
    noisy = Compose(run.recipe.noise)(clean, generator(run.recipe.seed, "a sheet"))
    for name, tensor in (("sheet.png", noisy), ("sheet.clean.png", clean)):
        _, channels, height, width = tensor.shape
        grid = tensor.numpy().reshape(rows, columns, channels, height, width)
        sheet = grid.transpose(0, 3, 1, 4, 2).reshape(rows * height, columns * width, channels)
        pixels = images.from_float(sheet, np.dtype(np.uint8))
        images.write(Path(run.folder) / name, pixels)


if __name__ == "__main__":
    main()
