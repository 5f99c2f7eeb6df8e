"""Recipes with keys of earlier versions."""

from __future__ import annotations

import dataclasses
import tomllib
from pathlib import Path

import pytest

from autodenoise.errors import UsageError
from autodenoise.recipes import OwnData, dump, load
from autodenoise.recipes.overrides import first_difference
from autodenoise.recipes.renamed import RENAMED, same_settings, with_new_keys, with_old_keys
from tests.helpers.command_line import run

OLD = """
title = "An old one"
data = { source = "digits", validation = "random" }
noise = { kind = "gaussian", sigma = 0.1 }
network = { name = "dense" }
phase.denoise = { epochs = 3, average = 0.9 }
search.phase.denoise.average = [0.9, 0.99]
"""


def test_renamed_keys_differ_only_in_their_last_part() -> None:
    for old, new in RENAMED.items():
        assert old.rpartition(".")[0] == new.rpartition(".")[0]
        assert old != new


def test_old_keys_load_with_one_warning(tmp_path: Path) -> None:
    path = tmp_path / "old.toml"
    path.write_text(OLD)
    with pytest.warns(DeprecationWarning, match=r"old\.toml: .*phase\.\*\.average is now") as seen:
        recipe = load(path)
    assert len(seen) == 1
    assert recipe.phase["denoise"].ema == 0.9
    assert list(recipe.search) == ["phase.denoise.ema"]
    assert "average" not in dump(recipe)
    assert same_settings(dump(recipe), dump(recipe).replace("ema", "average"))
    assert not same_settings(dump(recipe), dump(recipe).replace("0.99", "0.98"))


def test_old_keys_in_settings_replace_new_ones(tmp_path: Path) -> None:
    path = tmp_path / "new.toml"
    path.write_text(OLD.replace("average", "ema"))
    with pytest.warns(DeprecationWarning, match="--set: "):
        recipe = load(path, ["phase.denoise.average=0.5"])
    assert recipe.phase["denoise"].ema == 0.5


def test_a_key_under_both_names_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "both.toml"
    path.write_text(OLD.replace("average = 0.9 ", "average = 0.9, ema = 0.9 "))
    with (
        pytest.warns(DeprecationWarning, match="both"),
        pytest.raises(UsageError, match="'average'"),
    ):
        load(path)


def test_old_and_new_keys_are_inverse_and_keep_their_order() -> None:
    table = {"phase": {"a": {"epochs": 1, "ema": 0.9, "clip": 1.0}}, "noise": [{"kind": "blur"}]}
    old = with_old_keys(table)
    assert list(old["phase"]["a"]) == ["epochs", "average", "clip"]
    assert with_new_keys(old) == table


def test_old_values_load_with_one_warning(tmp_path: Path) -> None:
    path = tmp_path / "old.toml"
    own = OwnData("paired", tmp_path / "noisy", tmp_path / "clean")
    current = dump(load(None, own=own))
    old = current.replace('supervision = "paired"', 'holds = "pairs"')
    old = old.replace("normalize =", "normalise =").replace("gray =", "grey =")
    path.write_text(old)
    with pytest.warns(DeprecationWarning, match="data") as seen:
        recipe = load(path)
    values = "pairs is now paired, noisy is now noisy-only"
    assert [str(warning.message).partition(";")[0] for warning in seen] == [
        f"{path}: the key data.holds is now called data.supervision",
        f"{path}: the key data.normalise is now called data.normalize",
        f"{path}: the key data.grey is now called data.gray",
        f"{path}: the values of data.supervision have new names ({values})",
    ]
    assert dump(recipe) == current
    assert same_settings(old, current)
    assert with_old_keys(tomllib.loads(current))["data"]["holds"] == "pairs"


def test_own_data_accepts_old_values(tmp_path: Path) -> None:
    with pytest.warns(DeprecationWarning, match="'noisy' is now called 'noisy-only'"):
        own = OwnData("noisy", tmp_path)  # type: ignore[arg-type]
    assert own == OwnData("noisy-only", tmp_path)


def test_command_line_prints_one_line_for_an_old_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "old.toml"
    path.write_text(OLD)
    assert run(monkeypatch, "describe", str(path)) == 0
    assert capsys.readouterr().err == (
        f"autodenoise: warning: {path}: the key phase.*.average is now called phase.*.ema; "
        "the old name will stop working\n"
    )


def test_recipes_that_differ_only_in_their_description_train_the_same() -> None:
    recipe = load("conv-mnist")
    text = dump(recipe)
    assert same_settings(text, dump(dataclasses.replace(recipe, title="Another", about="Another.")))
    assert not same_settings(text, dump(dataclasses.replace(recipe, seed=recipe.seed + 1)))
    reordered = dict(reversed(recipe.phase.items()))
    assert not same_settings(text, dump(dataclasses.replace(recipe, phase=reordered)))


def test_difference_of_a_renamed_key_is_not_reported() -> None:
    text = dump(load("conv-mnist"))
    old = text.replace("gray =", "grey =").replace("license =", "licence =")
    assert first_difference(old, text) == ""
    assert "seed is 0 there, 7 here" in first_difference(old, dump(load("conv-mnist", seed=7)))
