from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from autodenoise.images.metadata.jpeg import jpeg_quality


@pytest.mark.parametrize("quality", range(1, 101, 3))
def test_jpeg_quality_matches_libjpeg(tmp_path: Path, quality: int) -> None:
    Image.new("L", (8, 8), 99).save(tmp_path / "a.jpg", quality=quality)
    with Image.open(tmp_path / "a.jpg") as image:
        table = image.quantization[0]  # type: ignore[attr-defined]
    found = jpeg_quality(tmp_path / "a.jpg")
    assert found is not None
    Image.new("L", (8, 8), 99).save(tmp_path / "b.jpg", quality=found)
    with Image.open(tmp_path / "b.jpg") as image:
        assert image.quantization[0] == table  # type: ignore[attr-defined]
