from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from autodenoise import images
from autodenoise.data.repeats import find_series
from autodenoise.errors import InputError

Pixels = np.ndarray[Any, Any]


def shots(count: int, shape: tuple[int, ...] = (20, 30, 3), dtype: type = np.uint8) -> Pixels:
    random = np.random.default_rng(0)
    return random.integers(0, 200, (count, *shape), dtype)


def save(folder: Path, pixels: Pixels) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number, shot in enumerate(pixels):
        if shot.shape[2] == 4:
            Image.fromarray(shot).save(folder / f"{number}.png")
        else:
            images.write(folder / f"{number}.png", shot)


def test_each_folder_and_each_stack_is_a_series(tmp_path: Path) -> None:
    save(tmp_path, shots(3))
    save(tmp_path / "b" / "c", shots(2, (8, 9, 1), np.uint16))
    tifffile.imwrite(tmp_path / "b" / "stack.tif", shots(4, (10, 11)), photometric="minisblack")
    (tmp_path / "notes.txt").write_text("hello")
    found = find_series(tmp_path)
    assert [(series.name, series.shots) for series in found.samples] == [
        ("b/c", 2),
        ("b/stack.tif", 4),
        (tmp_path.name, 3),
    ]
    assert [file.name for file in found.skipped] == ["notes.txt"]
    (alone,) = find_series(tmp_path / "b" / "stack.tif").samples
    assert (alone.name, alone.shots, alone.info.channels) == ("stack.tif", 4, 1)


def test_rows_equal_the_files(tmp_path: Path) -> None:
    # More rows than are decoded at once, with transparency, which is none of a series's channels.
    pixels = shots(3, (150, 30, 4))
    save(tmp_path / "files", pixels)
    tifffile.imwrite(tmp_path / "stack.tif", pixels[..., 0], photometric="minisblack")
    for path, expected in (
        (tmp_path / "files", pixels[..., :3]),
        (tmp_path / "stack.tif", pixels[..., :1]),
    ):
        (series,) = find_series(path).samples
        seen = np.zeros_like(expected)
        for shot, top, samples in series.rows():
            seen[shot, top : top + len(samples)] = samples
        np.testing.assert_array_equal(seen, expected)


def test_shots_are_upright(tmp_path: Path) -> None:
    for number in range(2):
        image = Image.fromarray(shots(1)[0])
        turned = Image.Exif()
        turned[0x0112] = 6
        image.save(tmp_path / f"{number}.jpg", exif=turned)
    (series,) = find_series(tmp_path).samples
    assert (series.info.width, series.info.height) == (20, 30)


def test_shots_of_other_form_are_skipped_and_listed(tmp_path: Path) -> None:
    save(tmp_path / "a", shots(3))
    images.write(tmp_path / "a" / "size.png", shots(1, (20, 31, 3))[0])
    images.write(tmp_path / "a" / "depth.png", shots(1, dtype=np.uint16)[0])
    images.write(tmp_path / "a" / "grey.png", shots(1, (20, 30, 1))[0])
    (tmp_path / "a" / "corrupt.png").write_bytes(b"not a image")
    save(tmp_path / "lonely", shots(1))
    found = find_series(tmp_path)
    (series,) = found.samples
    assert [file.name for file in series.files] == ["0.png", "1.png", "2.png"]
    reasons = {file.name: file.reason for file in found.skipped}
    assert list(reasons) == [
        *("a/corrupt.png", "a/depth.png", "a/grey.png", "a/size.png", "lonely/0.png")
    ]
    assert "by its first bytes" in reasons["a/corrupt.png"]
    assert reasons["a/size.png"] == (
        "it is 31x20, 3 channel(s), uint8; most shots in its folder are 30x20, 3 channel(s), uint8"
    )
    assert "uint16" in reasons["a/depth.png"]
    assert "at least 2" in reasons["lonely/0.png"]


def test_separate_makes_one_series_per_file(tmp_path: Path) -> None:
    save(tmp_path, shots(2))
    images.write(tmp_path / "z.png", shots(1, (7, 8, 1))[0])
    found = find_series(tmp_path, separate=True)
    assert [(series.name, series.shots) for series in found.samples] == [
        ("0.png", 1),
        ("1.png", 1),
        ("z.png", 1),
    ]


def test_folder_without_repeats_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"contains no repeated shots. Expected at least 2 shots"):
        find_series(tmp_path)
    save(tmp_path / "a", shots(1))
    with pytest.raises(
        InputError,
        match=r"a/0\.png: the only shot of its series with this",
    ):
        find_series(tmp_path)
    with pytest.raises(InputError, match=r"0\.png.*at least 2 shots"):
        find_series(tmp_path / "a" / "0.png")
    with pytest.raises(InputError, match="no such image"):
        find_series(tmp_path / "nowhere")
