from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from autodenoise.data import dataset as datasets
from autodenoise.data.dataset import DataSpec
from autodenoise.data.repeats import find_scenes, originals


def test_what_denoise_left_beside_a_picture_is_not_learnt_from(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    for name in ("a.png", "b.png", "a.denoised.png", "b.denoised.tif", "alone.denoised.png"):
        Image.fromarray(draw.integers(0, 256, (48, 48), np.uint8)).save(tmp_path / name)
    splits = datasets.load(DataSpec(str(tmp_path), holds="noisy", crop=16, validation="random"))
    assert splits.train.size + splits.validation.size == 3
    (note,) = splits.notes
    assert "2 left out" in note
    assert "a.denoised.png: denoise made it of another here" in note


def test_nor_is_it_a_shot_of_a_scene(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    for name in ("a.png", "b.png", "a.denoised.png"):
        Image.fromarray(draw.integers(0, 256, (48, 48), np.uint8)).save(tmp_path / name)
    found = find_scenes(tmp_path)
    assert [scene.shots for scene in found.scenes] == [2]
    assert [passed.name for passed in found.passed_over] == ["a.denoised.png"]


def test_names_that_are_no_text_can_be_told(tmp_path: Path) -> None:
    name = os.fsdecode(b"\xe9t\xe9.png")
    try:
        (tmp_path / name).write_bytes(b"no picture")
    except OSError:
        pytest.skip("this file system takes text alone")
    for other in ("a.png", "b.png"):
        noise = np.random.default_rng(len(other)).integers(0, 256, (48, 48), np.uint8)
        Image.fromarray(noise).save(tmp_path / other)
    splits = datasets.load(DataSpec(str(tmp_path), holds="noisy", crop=16, validation="random"))
    (note,) = (note for note in splits.notes if "left out" in note)
    assert r"\udce9t\udce9.png" in note
    assert note.encode()


def test_what_training_drew_is_no_picture_to_learn_from(tmp_path: Path) -> None:
    for name in ("a.png", "runs/one/figures/denoised.png", "runs/two/a.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (48, 48)).save(tmp_path / name)
    for name in ("recipe.toml", "environment.json"):
        (tmp_path / "runs/one" / name).write_text("")
    # One that learnt from a part of this folder, or from another, may be shown inside it.
    (tmp_path / "runs/two/recipe.toml").write_text("")
    found = originals(tmp_path)
    assert [str(name) for name in found.pictures] == ["a.png", "runs/two/a.png"]
    reasons = {passed.name: passed.reason for passed in found.passed_over}
    assert reasons["runs/one/figures/denoised.png"] == "a training run drew it"
