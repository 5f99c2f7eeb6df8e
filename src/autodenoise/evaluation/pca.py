"""Denoising by principal components, the linear baseline for autoencoders."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from sklearn.decomposition import PCA

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Images = NDArray[np.float32]

__all__ = ["LinearDenoiser"]


class LinearDenoiser:
    """Projection of noisy images, minus their mean, onto principal components of clean images.

    Subtracting the mean of the noisy images removes the mean of one-sided or clipped noise. The
    images are (N, H, W, C) in [0, 1]; `noisy` are versions of the first of `clean`. `components` is
    the size of the code, by default the one with the least squared error on `noisy`; `parameters`
    counts two means and the components.

    References
    ----------
    Hinton and Salakhutdinov, "Reducing the dimensionality of data with neural networks", Science
    2006, compares autoencoders with it in the same way.
    """

    def __init__(self, clean: Images, noisy: Images, components: int | None) -> None:
        flat = clean.reshape(len(clean), -1)
        most = min(flat.shape)
        pca = PCA(most if components is None else min(components, most)).fit(flat)
        self._clean_mean = pca.mean_
        self._noisy_mean = noisy.reshape(len(noisy), -1).mean(0, dtype=np.float64)
        self._basis = pca.components_
        if components is None:
            self._basis = self._basis[: self._best(clean[: len(noisy)], noisy)]
        self.components, values = self._basis.shape
        self.parameters: int = values * (self.components + 2)

    def _codes(self, images: Images, mean: NDArray[np.float64]) -> NDArray[np.float64]:
        codes: NDArray[np.float64] = (images.reshape(len(images), -1) - mean) @ self._basis.T
        return codes

    def _best(self, clean: Images, noisy: Images) -> int:
        # The components are orthonormal, so that keeping component j changes the squared error by
        # b_j^2 - 2 a_j b_j, with a and b the coefficients of the clean and the noisy image.
        a, b = self._codes(clean, self._clean_mean), self._codes(noisy, self._noisy_mean)
        return int(np.argmin(np.cumsum((b * b - 2 * a * b).mean(0)))) + 1

    def batch(self, images: Images) -> Images:
        """Return the denoised version of images (N, H, W, C), in [0, 1]."""
        back = self._codes(images, self._noisy_mean) @ self._basis + self._clean_mean
        clean: Images = np.clip(back, 0, 1).astype(np.float32).reshape(images.shape)
        return clean
