"""The README and the guide to recipes show what the program does."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import autodenoise
from autodenoise import images, runtime

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")
RECIPES = (ROOT / "docs" / "writing-recipes.md").read_text("utf-8")


def code_block(text: str, language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", text, re.DOTALL)
    assert found is not None
    return found[1]


def test_example_recipe_trains_on_a_folder_of_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng(0)
    (tmp_path / "letters").mkdir()
    for index in range(10):
        pixels = random.integers(0, 256, (40, 36, 1), np.uint8)
        images.write(tmp_path / "letters" / f"{index}.png", pixels)
    (tmp_path / "my-letters.toml").write_text(code_block(RECIPES, "toml"))
    monkeypatch.chdir(tmp_path)
    run = autodenoise.train("my-letters.toml", epochs=1)
    assert run.folder == Path("runs/my-letters")
    assert run.recipe.title == "My letters"
    assert autodenoise.evaluate(run.folder).images == 2


def test_python_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    noisy = np.random.default_rng(0).integers(0, 256, (40, 48, 3), np.uint8)
    images.write(tmp_path / "photo.jpg", noisy)
    monkeypatch.chdir(tmp_path)
    planes = noisy.transpose(2, 0, 1)
    names: dict[str, Any] = {"autodenoise": autodenoise, "noisy": noisy, "planes": planes}
    exec(code_block(README, "python"), names)
    assert (names["clean"].shape, names["stack"].shape) == ((40, 48, 3), (3, 40, 48))


def test_python_example_uses_models_that_ship() -> None:
    for name in re.findall(r"photo-[a-z-]+(?:gray|color)", README):
        assert runtime.find_model(name).is_file()


def test_readme_stays_short() -> None:
    assert len(README.splitlines()) <= 150
    assert len(README.split()) <= 900


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda page: page.name)
def test_links_lead_to_files(page: Path) -> None:
    for text, folder in ((page.read_text("utf-8"), page.parent), (README, ROOT)):
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text):
            assert target.startswith("http") or (folder / target).exists(), target


def test_tables_have_no_blank_line_before_a_row() -> None:
    assert not re.search(r"\n\n\|[^\n]*\n(?!\| ?:?-)", README)
