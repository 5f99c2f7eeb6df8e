"""What denoisers are scored on: which pictures are taken, and what is said of others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from autodenoise import images
from autodenoise.benchmark.datasets import PUBLISHED, BenchmarkDataset
from autodenoise.errors import InputError
from tests.benchmark.test_benchmark import noisy_pairs, pictures
from tests.helpers.synthetic_images import photo


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_pairs_that_are_none_are_told() -> None:
    noisy_pairs()
    images.write(Path("noisy/5.png"), photo())
    images.write(Path("clean/6.png"), photo())
    with pytest.raises(InputError, match="without a partner: 5, 6"):
        BenchmarkDataset.open_pairs(Path("noisy"), Path("clean"))
    Path("noisy/5.png").unlink()
    images.write(Path("noisy/6.png"), photo()[1:])
    with pytest.raises(InputError, match=r"70x60 pixels of 3 channel.*70x59 of 3"):
        BenchmarkDataset.open_pairs(Path("noisy"), Path("clean"))
    images.write(Path("noisy/6.tif"), photo())
    with pytest.raises(InputError, match="2 pictures named 6"):
        BenchmarkDataset.open_pairs(Path("noisy"), Path("clean"))
    with pytest.raises(InputError, match="cannot look into"):
        BenchmarkDataset.open_pairs(Path("nowhere"), Path("clean"))


def test_a_named_set_is_found_or_told_where_to_put(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTODENOISE_DATA", str(Path("data").absolute()))
    monkeypatch.setattr("platformdirs.user_cache_path", lambda _: Path("cache"))
    with pytest.raises(InputError, match=r"12 pictures .*cszn/DnCNN.* into cache/data/set12"):
        BenchmarkDataset.open("set12")
    Path("cache/data").mkdir(parents=True)
    pictures("cache/data/set12", PUBLISHED["set12"].pictures, 1)
    found = BenchmarkDataset.open("set12")
    assert (found.name, len(found.images), found.channels) == ("set12", 12, 1)
    Path("data").mkdir()
    pictures("data/set12", 3, 1)
    with pytest.raises(InputError, match="has 3 pictures; set12 has 12"):
        BenchmarkDataset.open("set12")
    pictures("data/bsds-val32", 32, 1)
    with pytest.raises(InputError, match=r"have 1 channel.*those of bsds-val32 have 3"):
        BenchmarkDataset.open("bsds-val32")


@pytest.mark.usefixtures("test_sets")
def test_the_published_sets_are_whole() -> None:
    for name, channels in (("set12", 1), ("bsd68", 1), ("cbsd68", 3), ("bsds-val32", 3)):
        found = BenchmarkDataset.open(name)
        assert found.channels == channels
        assert len(found.images) == PUBLISHED[name].pictures


def test_pictures_that_cannot_be_scored_are_told_before_any_work() -> None:
    folder = pictures("in")
    bad = folder / "late.tif"
    pages = [Image.fromarray(photo()), Image.fromarray(photo())]
    pages[0].save(bad, save_all=True, append_images=pages[1:])
    with pytest.raises(InputError, match=r"late\.tif has 2 pages"):
        BenchmarkDataset.open(folder)
    for mode in ("RGBA", "CMYK"):
        pages[0].convert(mode).save(bad)
        with pytest.raises(InputError, match=r"late\.tif has 4 channels of uint8; expected gray"):
            BenchmarkDataset.open(folder)
    Image.fromarray(photo()[..., 0].astype(np.float32)).save(bad)
    with pytest.raises(InputError, match=r"late\.tif has 1 channels of float32; expected gray"):
        BenchmarkDataset.open(folder)
