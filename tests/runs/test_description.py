from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from autodenoise import nets, recipes, runs
from autodenoise.data import dataset as datasets
from autodenoise.errors import InputError, OutputError, UsageError


@pytest.mark.parametrize("name", recipes.builtin_names())
def test_every_recipe_can_be_described(name: str) -> None:
    described = runs.describe(name)
    recipe = recipes.load(name)
    assert described.recipe == recipe
    built = runs.network(recipe, datasets.shape(recipe.data))
    assert described.summary.parameters == nets.parameter_count(built)
    assert (described.multiple, described.halo) == (built.multiple, nets.halo(built))


def test_run_folder_is_described_by_its_recipe(tmp_path: Path) -> None:
    settings = ["data.size=[12, 12]", "network={name = 'bottleneck', width = 4}"]
    run = runs.train("digits", tmp_path / "run", settings=settings, epochs=1, device="cpu")
    described = runs.describe(str(run.folder))
    assert described.recipe == run.recipe
    assert described.summary.layers[0].shape == (1, 12, 12)
    assert described.summary.parameters == run.model().card.parameters
    assert described.halo == run.model().card.halo
    # The figure of that name is the same drawing.
    (figure,) = runs.draw(run.folder, ["diagram"], form="svg")
    described.save_diagram(tmp_path / "mine.svg")
    assert figure.read_bytes() == (tmp_path / "mine.svg").read_bytes()


def test_built_in_recipe_takes_precedence_over_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("digits").mkdir()
    assert runs.describe("digits").recipe.name == "digits"
    with pytest.raises(InputError, match="not a run folder"):
        runs.describe("./digits")


def test_layers_depend_on_the_image_size(tmp_path: Path) -> None:
    np.savez(tmp_path / "tiny.npz", train=np.zeros((4, 16, 24, 3), np.uint8))
    (tmp_path / "mine.toml").write_text(
        'title = "Mine"\n'
        'data = { source = "tiny.npz", validation = "last" }\n'
        'noise = { kind = "gaussian", sigma = 0.1 }\n'
        'network = { name = "conv" }\n'
        "phase.denoise = { epochs = 1 }\n"
    )
    described = runs.describe(tmp_path / "mine.toml")
    assert described.summary.layers[-1].shape == (3, 16, 24)


def test_diagram_does_not_overwrite_a_file(tmp_path: Path) -> None:
    described = runs.describe("digits")
    (tmp_path / "net.png").write_text("mine")
    with pytest.raises(OutputError, match="exists already"):
        described.save_diagram(tmp_path / "net.png")
    assert (tmp_path / "net.png").read_text() == "mine"
    with pytest.raises(UsageError, match=r"end in \.png, \.svg, \.pdf"):
        described.save_diagram(tmp_path / "net.jpg")
    assert [path.name for path in tmp_path.iterdir()] == ["net.png"]
