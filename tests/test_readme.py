"""What the README shows is what the program does."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import autodenoise
from autodenoise import images, recipes, runtime

README = (Path(__file__).parent.parent / "README.md").read_text("utf-8")


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", README, re.DOTALL)
    assert found is not None
    return found[1]


def test_its_recipe_trains_on_a_folder_of_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng(0)
    (tmp_path / "letters").mkdir()
    for index in range(10):
        pixels = random.integers(0, 256, (40, 36, 1), np.uint8)
        images.write(tmp_path / "letters" / f"{index}.png", pixels)
    (tmp_path / "my-letters.toml").write_text(block("toml"))
    monkeypatch.chdir(tmp_path)
    run = autodenoise.train("my-letters.toml", epochs=1)
    assert run.folder == Path("runs/my-letters")
    assert run.recipe.title == "My letters"
    assert autodenoise.evaluate(run.folder).images == 2


def test_its_python_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    noisy = random.integers(0, 256, (40, 48, 3), np.uint8)
    images.write(tmp_path / "photo.jpg", noisy)
    # A run called "mine", as if one had been trained.
    (tmp_path / "runs" / "mine").mkdir(parents=True)
    shutil.copy(runtime.find("photo-fast-gray"), tmp_path / "runs" / "mine" / "model.onnx")
    monkeypatch.chdir(tmp_path)
    planes = noisy.transpose(2, 0, 1)
    names: dict[str, Any] = {"autodenoise": autodenoise, "noisy": noisy, "planes": planes}
    exec(block("python"), names)
    assert (names["clean"].shape, names["stack"].shape) == ((40, 48, 3), (3, 40, 48))


def test_its_tables_are_whole() -> None:
    # A row after an empty line is text.
    assert not re.search(r"\n\n\|[^\n]*\n(?!\| ?:?-)", README)


def test_its_table_has_every_recipe() -> None:
    for name in recipes.builtin_names():
        assert f"`{name}`" in README or name == "digits"
