"""What the README shows is what the program does."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import autodenoise
from autodenoise import images, recipes

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


def test_its_python_names_what_there_is() -> None:
    for name in re.findall(r"autodenoise\.(\w+)", block("python")):
        assert hasattr(autodenoise, name)


def test_its_table_has_every_recipe() -> None:
    for name in recipes.builtin_names():
        assert f"`{name}`" in README or name == "digits"
