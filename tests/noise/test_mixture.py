from __future__ import annotations

import pytest
import torch

from autodenoise.errors import UsageError
from autodenoise.noise import Compose, Gaussian, Jpeg, Mixture, MixturePart, SaltPepper, Uniform
from autodenoise.noise.mixture import without_clipping


def draw(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_parts_are_drawn_by_weight() -> None:
    mixture = Mixture(
        (
            MixturePart(1.0),
            MixturePart(2.0, (Uniform(0.4),)),
            MixturePart(0.0, (Gaussian(9.0),)),
            MixturePart(5.0, (SaltPepper(1.0),)),
        )
    )
    noisy = mixture(torch.full((4000, 1, 4, 4), 0.5), draw(1)).flatten(1)
    same = (noisy == 0.5).all(1)
    salted = ((noisy == 0) | (noisy == 1)).all(1)
    raised = ((noisy >= 0.5) & (noisy < 0.9)).all(1) & ~same
    assert int((same | salted | raised).sum()) == 4000
    for found, share in ((same, 1 / 8), (raised, 2 / 8), (salted, 5 / 8)):
        assert float(found.double().mean()) == pytest.approx(share, abs=0.04)


def test_noises_of_a_part_are_applied_in_order() -> None:
    mixture = Mixture((MixturePart(1.0, (SaltPepper(1.0), Uniform(0.1))),))
    noisy = mixture(torch.full((10, 1, 8, 8), 0.5), draw(2))
    assert (((noisy >= 0) & (noisy < 0.1)) | ((noisy >= 1) & (noisy < 1.1))).all()


def test_mixture_inside_a_mixture() -> None:
    inner = Mixture((MixturePart(1.0), MixturePart(1.0, (Uniform(0.1),))))
    noisy = Mixture((MixturePart(1.0, (SaltPepper(1.0, salt=1.0), inner)),))(
        torch.zeros(1000, 1, 4, 4), draw(3)
    )
    assert (noisy >= 1).all()
    assert float((noisy == 1).all(3).all(2).double().mean()) == pytest.approx(0.5, abs=0.08)


@pytest.mark.parametrize("parts", [(), (MixturePart(0.0),)], ids=["no parts", "weights of 0"])
def test_mixture_without_weight_raises(parts: tuple[MixturePart, ...]) -> None:
    with pytest.raises(UsageError, match="at least one part"):
        Mixture(parts)


@pytest.mark.parametrize("weight", [-1.0, float("nan"), float("inf")])
def test_invalid_weights_raise(weight: float) -> None:
    with pytest.raises(UsageError, match="expected 0 or more"):
        MixturePart(weight)


def test_noise_without_clipping_exceeds_black_and_white() -> None:
    cut = Compose((Gaussian(0.3, clip=True), Jpeg(90.0)))
    free = without_clipping(cut)
    assert free == Compose((Gaussian(0.3), Jpeg(90.0)))
    clean = torch.full((1, 1, 40, 40), 0.98)
    noisy = without_clipping(Gaussian(0.3, clip=True))(clean, torch.Generator().manual_seed(0))
    assert noisy.max() > 1.3
    assert float(noisy.mean()) == pytest.approx(0.98, abs=0.03)
