"""The Keras side of `throughput.py`: conv-mnist's second phase as its tutorial runs it.

Runs in a separate environment with TensorFlow. Reads the images from the ``.npy`` file given as the
argument; for each line on standard input it trains one epoch and then prints a line.
"""

import sys

import keras
import numpy as np
from keras import layers


def main() -> None:
    """Train one epoch per line of input."""
    clean = np.load(sys.argv[1])[..., None].astype("float32") / 255
    noisy = np.clip(clean + 0.4 * np.random.default_rng(0).normal(size=clean.shape), 0, 1)
    noisy = noisy.astype("float32")
    same = {"activation": "relu", "padding": "same"}
    model = keras.Sequential(
        [
            layers.Input((28, 28, 1)),
            layers.Conv2D(32, 3, **same),
            layers.MaxPooling2D(2, padding="same"),
            layers.Conv2D(32, 3, **same),
            layers.MaxPooling2D(2, padding="same"),
            layers.Conv2DTranspose(32, 3, strides=2, **same),
            layers.Conv2DTranspose(32, 3, strides=2, **same),
            layers.Conv2D(1, 3, activation="sigmoid", padding="same"),
        ]
    )
    model.compile(optimizer="adam", loss="binary_crossentropy")
    print(f"keras {keras.__version__} on {keras.backend.backend()}", flush=True)
    for _ in sys.stdin:
        model.fit(noisy, clean, epochs=1, batch_size=128, shuffle=True, verbose=0)
        print("done", flush=True)


if __name__ == "__main__":
    main()
