from __future__ import annotations

import pytest
import scipy.ndimage
import torch

from autodenoise.noise import Scan


def draw(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def gray(count: int = 100) -> torch.Tensor:
    return torch.full((count, 3, 96, 96), 0.5)


def test_scan_without_defects_is_unchanged() -> None:
    clean = torch.rand(3, 3, 20, 20, generator=draw(1))
    assert torch.equal(Scan()(clean, draw(2)), clean)


def test_dust_covers_the_given_fraction() -> None:
    covered = (Scan(dust=0.004)(gray(), draw(3)) - 0.5).abs() > 0.1
    assert float(covered.double().mean()) == pytest.approx(0.004, rel=0.25)
    for image in covered:
        # A speck is opaque to all channels, and larger than a pixel.
        assert torch.equal(image[0], image[1])
    specks = sum(scipy.ndimage.label(image[0].numpy())[1] for image in covered)
    assert 2 < float(covered[:, 0].sum()) / specks < 20


def test_dirt_is_dark_or_light_per_image() -> None:
    change = Scan(dust=0.02, scratches=2.0)(gray(), draw(4)) - 0.5
    lighter, darker = (change > 0.05).flatten(1).any(1), (change < -0.05).flatten(1).any(1)
    assert not (lighter & darker).any()
    assert 25 < int(lighter.sum()) < 75


def test_number_and_area_of_scratches() -> None:
    covered = (Scan(scratches=1.0)(gray(200), draw(5)) - 0.5).abs() > 0.05
    lines = covered[:, 0].double().mean((1, 2))
    assert int((lines > 0).sum()) > 180
    assert float(lines.max()) < 0.05
    many = (Scan(scratches=4.0)(gray(200), draw(5)) - 0.5).abs() > 0.05
    assert float(many.double().mean()) > 3 * float(covered.double().mean())


def test_bands_are_rows_or_columns() -> None:
    change = Scan(banding=0.02)(gray(), draw(6)) - 0.5
    rows, columns = change.std(3).mean((1, 2)), change.std(2).mean((1, 2))
    assert ((rows < 1e-6) ^ (columns < 1e-6)).all()
    assert 25 < int((rows < 1e-6).sum()) < 75
    assert float(change.double().std()) == pytest.approx(0.02, rel=0.05)
