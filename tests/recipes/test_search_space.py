from __future__ import annotations

from pathlib import Path

import pytest

from autodenoise.errors import UsageError
from autodenoise.recipes import builtin_names, dump, load, settings_of, with_values
from autodenoise.recipes.overrides import first_difference
from autodenoise.recipes.search_space import Range, label, short_names
from autodenoise.training.optimizers import Adam, Muon

SMALL = """
title = "A small one"
data = { source = "digits", validation = "random" }
noise = { kind = "gaussian", sigma = 0.4 }
network = { name = "dense", widths = [32, 8, 32] }
phase.reconstruct = { epochs = 1, objective = "reconstruction" }
phase.denoise = { epochs = 3 }

[search]
"""


def small(tmp_path: Path, search: str) -> Path:
    path = tmp_path / "small.toml"
    path.write_text(SMALL + search)
    return path


def test_search_survives_dump_and_load(tmp_path: Path) -> None:
    recipe = load(
        small(
            tmp_path,
            """
            phase.denoise.optimizer.learning_rate = { low = 1e-4, high = 1e-2, log = true }
            "phase.denoise.batch_size" = { low = 8, high = 64, step = 8 }
            phase.denoise.schedule.kind = ["constant", "one-cycle"]
            network.widths = [[32, 8, 32], [64, 8, 64]]
            data.copies = [1, 2]
            """,
        )
    )
    assert recipe.search == {
        "phase.denoise.optimizer.learning_rate": Range(1e-4, 1e-2, log=True),
        "phase.denoise.batch_size": Range(8, 64, step=8),
        "phase.denoise.schedule.kind": ("constant", "one-cycle"),
        "network.widths": ([32, 8, 32], [64, 8, 64]),
        "data.copies": (1, 2),
    }
    (tmp_path / "dumped.toml").write_text(dump(recipe))
    assert load(tmp_path / "dumped.toml") == recipe


@pytest.mark.parametrize("name", builtin_names())
def test_builtin_recipes_lie_inside_their_search_space(name: str) -> None:
    recipe = load(name)
    assert len(recipe.search) >= 2
    settings = settings_of(recipe)
    for key, space in recipe.search.items():
        assert settings[key] in space, key


@pytest.mark.parametrize(
    ("search", "says"),
    [
        ("phase.denoise.epoch = [1, 2]", "did you mean 'epochs'?"),
        ("phase.denois.epochs = [1, 2]", "did you mean 'denoise'?"),
        ("network.width = [[1], [2]]", "did you mean 'widths'?"),
        ("phase.denoise.optimizer.rho = [0.9, 0.8]", "phase.denoise.optimizer"),
        ("phase.denoise.epochs = { low = 3, high = 2 }", "low is 3 and high is 2"),
        ("phase.denoise.epochs = { low = 3, high = 3 }", "expected low below high"),
        ("phase.denoise.epochs = { low = 1 }", "high is missing"),
        ("phase.denoise.epochs = { low = 1, high = 2, stepp = 1 }", "did you mean 'step'?"),
        ("phase.denoise.epochs = { low = 1, high = 4, step = 2 }", "do not reach high = 4, but 3"),
        ("phase.denoise.epochs = { low = 1, high = 4, step = 0 }", "step is 0"),
        ("phase.denoise.epochs = { low = 0, high = 4 }", "epochs is 0"),
        ("phase.denoise.epochs = { low = 1.5, high = 4 }", "phase.denoise.epochs is 1.5"),
        ("phase.denoise.epochs = { low = 'a', high = 4 }", "search.phase.denoise.epochs.low"),
        ("phase.denoise.epochs = { from = 1, to = 4 }", "expected a range such as"),
        ("phase.denoise.epochs = 5", "expected a range such as"),
        ("phase.denoise.epochs = []", "an empty list"),
        ("phase.denoise.epochs = [1, 2, 1]", "the choice 1 appears twice"),
        ("phase.denoise.epochs = [1, { a = 1 }]", "cannot be a choice"),
        ("phase.denoise.epochs = [1, 0]", "epochs is 0"),
        ("phase.denoise.batch_size = { low = 1, high = inf }", "finite"),
        (
            "phase.denoise.optimizer.learning_rate = { low = 0, high = 1, log = true }",
            "expected above 0",
        ),
        (
            "phase.denoise.optimizer.learning_rate = { low = 1, high = 2, step = 1, log = true }",
            "step and log are both set",
        ),
        ("phase.denoise.optimizer.kind = ['adam', 'adan']", "did you mean 'adam'?"),
        ("network.widths = [[32], [0]]", "expected numbers of at least 1"),
        # Trials must be comparable.
        ("noise.sigma = { low = 0.1, high = 0.5 }", "could not be compared"),
        ("data.share = { low = 0.1, high = 0.5 }", "could not be compared"),
        ("phase.denoise.loss = ['bce', 'mse']", "could not be compared"),
        ("seed = [1, 2]", "could not be compared"),
    ],
)
def test_invalid_searches_say_what_was_expected(tmp_path: Path, search: str, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        load(small(tmp_path, search))
    assert says in str(caught.value)
    assert str(caught.value).startswith(f"{tmp_path / 'small.toml'}: ")
    assert "\n" not in str(caught.value)


def test_setting_of_one_kind_can_be_searched_with_the_kind(tmp_path: Path) -> None:
    search = """
    phase.denoise.optimizer.adamw_learning_rate = [1e-3, 2e-3]
    phase.denoise.optimizer.kind = ["adam", "muon"]
    """
    recipe = load(small(tmp_path, search))
    optimizer = "phase.denoise.optimizer"
    muon = with_values(
        recipe, {f"{optimizer}.adamw_learning_rate": 2e-3, f"{optimizer}.kind": "muon"}
    )
    assert muon.phase["denoise"].optimizer == Muon(adamw_learning_rate=2e-3)
    assert muon.phase["reconstruct"] == recipe.phase["reconstruct"]
    assert with_values(recipe, {f"{optimizer}.kind": "adam"}).phase["denoise"].optimizer == Adam()
    with pytest.raises(UsageError, match="adamw_learning_rate"):
        with_values(recipe, {f"{optimizer}.adamw_learning_rate": 2e-3})


def test_overridden_setting_is_no_longer_searched(tmp_path: Path) -> None:
    search = """
    phase.reconstruct.epochs = [1, 2]
    phase.denoise.epochs = [1, 2]
    phase.denoise.batch_size = [32, 64]
    """
    path = small(tmp_path, search)
    assert list(load(path, epochs=5).search) == ["phase.denoise.batch_size"]
    kept = load(path, ["phase.denoise.batch_size=7"]).search
    assert list(kept) == ["phase.reconstruct.epochs", "phase.denoise.epochs"]
    # Another optimiser has other settings, and so has another network.
    for setting in ("optimizer.kind=adam", "optimizer={kind = 'adam', learning_rate = 0.1}"):
        kept = load("digits", [f"phase.denoise.{setting}"]).search
        assert list(kept) == ["phase.denoise.batch_size", "network.widths"]
    for setting in ("network={name = 'conv'}", "search={}"):
        assert "network.widths" not in load("digits", [setting]).search


def test_range_membership() -> None:
    assert 24 in Range(8, 64, step=8)
    assert 25 not in Range(8, 64, step=8)
    assert 72 not in Range(8, 64, step=8)
    assert 24.0 not in Range(8, 64)
    assert 0.3 in Range(0.1, 0.5, step=0.1)
    assert 0.35 not in Range(0.1, 0.5, step=0.1)
    assert "a" not in Range(1, 2)


def test_short_names_are_the_shortest_unique_endings() -> None:
    keys = [
        "phase.reconstruct.epochs",
        "phase.denoise.epochs",
        "phase.denoise.optimizer.kind",
        "network.width",
    ]
    assert list(short_names(keys).values()) == [
        "reconstruct.epochs",
        "denoise.epochs",
        "optimizer.kind",
        "width",
    ]
    assert label([32, 8]) == "[32, 8]"
    assert label(0.5) == 0.5


def test_settings_by_dotted_key_and_first_difference() -> None:
    recipe = load("digits")
    settings = settings_of(recipe)
    assert settings["noise.sigma"] == 0.4
    assert settings["network.dark"] == 0.3
    assert settings["network.widths"] == [16, 24, 22]  # the network's own default
    assert settings["phase.denoise.optimizer.kind"] == "muon"
    other = load("digits", ["phase.denoise.batch_size=8"])
    said = first_difference(dump(recipe), dump(other))
    assert said.startswith(" (search.phase.denoise.batch_size is") or "64 there, 8 here" in said
    assert first_difference(dump(recipe), dump(recipe)) == ""
