"""Principal components: the linear method that an autoencoder has to beat."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from sklearn.decomposition import PCA

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Images = NDArray[np.float32]

__all__ = ["LinearDenoiser"]


class LinearDenoiser:
    """Projects a noisy image onto the principal components of clean ones.

    Parameters
    ----------
    clean
        Images to learn from, (N, H, W, C) in [0, 1].
    components
        How many numbers the code has. None: the number that leaves the least squared error on
        `noisy`. Never more than the images have values, or than there are images.
    noisy
        Noisy versions of the first of `clean`; only needed to choose the number.

    Attributes
    ----------
    components
        The number that was taken.
    parameters
        How many numbers were learnt: the mean and the components.

    References
    ----------
    Hinton and Salakhutdinov, "Reducing the dimensionality of data with neural networks", Science
    2006, compares autoencoders with it in the same way.
    """

    def __init__(self, clean: Images, components: int | None, noisy: Images | None = None) -> None:
        flat = clean.reshape(len(clean), -1)
        most = min(flat.shape)
        self._pca = PCA(most if components is None else min(components, most)).fit(flat)
        if components is None:
            assert noisy is not None
            kept = self._best(flat[: len(noisy)], noisy.reshape(len(noisy), -1))
            self._pca.components_ = self._pca.components_[:kept]
        self.components, values = self._pca.components_.shape
        self.parameters: int = values * (self.components + 1)

    def _best(self, clean: Images, noisy: Images) -> int:
        # The components are orthonormal, so that keeping component j changes the squared error by
        # b_j^2 - 2 a_j b_j, with a and b the coefficients of the clean and the noisy image.
        basis, mean = self._pca.components_.T, self._pca.mean_
        a, b = (clean - mean) @ basis, (noisy - mean) @ basis
        change = np.cumsum((b * b - 2 * a * b).mean(0, dtype=np.float64))
        return int(np.argmin(change)) + 1

    def batch(self, images: Images) -> Images:
        """Give the clean version of (N, H, W, C) images, in [0, 1]."""
        flat = images.reshape(len(images), -1) - self._pca.mean_
        back = flat @ self._pca.components_.T @ self._pca.components_ + self._pca.mean_
        clean: Images = np.clip(back, 0, 1).astype(np.float32).reshape(images.shape)
        return clean
