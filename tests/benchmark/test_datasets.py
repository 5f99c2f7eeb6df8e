"""Open published datasets, folders and pairs; refuse what cannot be scored."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from autodenoise import images
from autodenoise.benchmark.datasets import PUBLISHED_DATASETS, BenchmarkDataset
from autodenoise.errors import InputError
from tests.helpers.benchmark_data import noisy_pairs, photo_folder
from tests.helpers.synthetic_images import photo


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_files_that_do_not_pair_are_refused() -> None:
    noisy_pairs()
    images.write(Path("noisy/5.png"), photo())
    images.write(Path("clean/6.png"), photo())
    with pytest.raises(InputError, match="without a partner: 5, 6"):
        BenchmarkDataset.open_pairs(Path("noisy"), Path("clean"))
    Path("noisy/5.png").unlink()
    images.write(Path("noisy/6.png"), photo()[1:])
    with pytest.raises(InputError, match=r"70x60 pixels and 3 channel.*70x59 and 3"):
        BenchmarkDataset.open_pairs(Path("noisy"), Path("clean"))
    images.write(Path("noisy/6.tif"), photo())
    with pytest.raises(InputError, match="2 image files named 6"):
        BenchmarkDataset.open_pairs(Path("noisy"), Path("clean"))
    with pytest.raises(InputError, match="cannot read the folder"):
        BenchmarkDataset.open_pairs(Path("nowhere"), Path("clean"))


def test_missing_published_dataset_says_where_to_put_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTODENOISE_DATA", str(Path("data").absolute()))
    monkeypatch.setattr("platformdirs.user_cache_path", lambda _: Path("cache"))
    with pytest.raises(InputError, match=r"12 images .*cszn/DnCNN.* into cache/data/set12"):
        BenchmarkDataset.open("set12")
    Path("cache/data").mkdir(parents=True)
    photo_folder("cache/data/set12", PUBLISHED_DATASETS["set12"].images, 1)
    found = BenchmarkDataset.open("set12")
    assert (found.name, len(found.images), found.channels) == ("set12", 12, 1)
    Path("data").mkdir()
    photo_folder("data/set12", 3, 1)
    with pytest.raises(InputError, match="has 3 images; set12 has 12"):
        BenchmarkDataset.open("set12")
    photo_folder("data/bsds-val32", 32, 1)
    with pytest.raises(InputError, match=r"have 1 channel.*those of bsds-val32 have 3"):
        BenchmarkDataset.open("bsds-val32")


@pytest.mark.usefixtures("test_sets")
def test_published_datasets_are_complete() -> None:
    for name, channels in (("set12", 1), ("bsd68", 1), ("cbsd68", 3), ("bsds-val32", 3)):
        found = BenchmarkDataset.open(name)
        assert found.channels == channels
        assert len(found.images) == PUBLISHED_DATASETS[name].images


def test_unsupported_image_files_are_refused_when_opened() -> None:
    folder = photo_folder("in")
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


def test_outputs_of_denoise_beside_images_are_not_used() -> None:
    noisy_pairs()
    for name in ("noisy/0.denoised.tif", "clean/1.denoised.png", "clean/other.denoised.png"):
        images.write(Path(name), photo((40, 44, 3)))
    names = [one.name for one in BenchmarkDataset.open("clean").images]
    assert names == ["0", "1", "other.denoised"]
    Path("clean/other.denoised.png").unlink()
    pairs = BenchmarkDataset.open_pairs("noisy", "clean")
    assert [one.name for one in pairs.images] == ["0", "1"]


def test_gray_and_rgb_images_in_one_folder_are_refused() -> None:
    folder = photo_folder("in")
    images.write(folder / "gray.png", photo((40, 40, 1)))
    with pytest.raises(InputError, match="mixes gray and RGB"):
        BenchmarkDataset.open(folder)
