from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from autodenoise.learning import data as datasets
from autodenoise.learning.data import Data


def test_what_denoise_left_beside_a_picture_is_not_learnt_from(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    for name in ("a.png", "b.png", "a.denoised.png", "b.denoised.tif", "alone.denoised.png"):
        Image.fromarray(draw.integers(0, 256, (48, 48), np.uint8)).save(tmp_path / name)
    splits = datasets.load(Data(str(tmp_path), holds="noisy", crop=16, validation="random"))
    assert splits.train.size + splits.validation.size == 3
    (note,) = splits.notes
    assert "2 left out" in note
    assert "a.denoised.png: denoise made it of another here" in note
