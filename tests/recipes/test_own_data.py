from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from autodenoise.errors import InputError, UsageError
from autodenoise.noise import Gaussian, Poisson
from autodenoise.recipes import OwnData, dump, load


@pytest.mark.parametrize(
    ("supervision", "objective"),
    [
        ("clean", "supervised"),
        ("paired", "supervised"),
        ("repeats", "noise2noise"),
        ("noisy-only", "recorrupted"),
    ],
)
def test_supervision_determines_the_objective(
    supervision: Any, objective: str, tmp_path: Path
) -> None:
    folder = tmp_path / "series"
    folder.mkdir()
    own = OwnData(supervision, folder, tmp_path / "clean" if supervision == "paired" else None)
    recipe = load(None, own=own)
    assert recipe.name == "series"
    assert recipe.data.source == str(folder)
    assert recipe.data.supervision == supervision
    assert {phase.objective for phase in recipe.phase.values()} == {objective}
    assert bool(recipe.noise) == (supervision == "clean")
    (tmp_path / "again.toml").write_text(dump(recipe))
    assert load(tmp_path / "again.toml") == recipe


def test_settings_can_supply_what_a_recipe_lacks(tmp_path: Path) -> None:
    own = OwnData("noisy-only", tmp_path)
    with pytest.raises(UsageError, match="trains on crops; set crop too"):
        load("swift-mnist", own=own)
    recipe = load("swift-mnist", ["data.crop=28", "phase.denoise.noise=fresh"], own=own)
    assert (recipe.data.crop, recipe.network.name) == (28, "swift")


@pytest.mark.parametrize(
    ("text", "noise"),
    [
        ("gaussian:25", Gaussian(25 / 255)),
        ("gaussian:0-55", Gaussian((0.0, 55 / 255))),
        ("poisson:30", Poisson(30.0)),
        ("poisson:2.5-100", Poisson((2.5, 100.0))),
    ],
)
def test_noise_strength_uses_published_units(text: str, noise: object, tmp_path: Path) -> None:
    assert load(None, own=OwnData("clean", tmp_path, noise=text)).noise == (noise,)


@pytest.mark.parametrize("text", ["25", "gaussian", "gaussian:x", "blur:2", "gaussian:25-"])
def test_unknown_noise_is_refused_with_the_choices(text: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"gaussian:25, gaussian:0-55, poisson:30"):
        load(None, own=OwnData("clean", tmp_path, noise=text))


def test_known_noise_of_noisy_images_is_used(tmp_path: Path) -> None:
    recipe = load(None, own=OwnData("noisy-only", tmp_path, noise="gaussian:25"))
    assert recipe.noise == (Gaussian(25 / 255),)
    assert recipe.phase["denoise"].objective == "recorrupted"


def test_noise_is_refused_for_pairs_and_repeats(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not for supervision = 'repeats'"):
        OwnData("repeats", tmp_path, noise="gaussian:25")


def test_recipe_keeps_its_network_and_phases(tmp_path: Path) -> None:
    named = load("photo-balanced-gray")
    recipe = load("photo-balanced-gray", own=OwnData("repeats", tmp_path))
    assert recipe.network == named.network
    assert recipe.data.crop == named.data.crop
    assert recipe.data.gray
    assert recipe.noise == ()
    for name, phase in recipe.phase.items():
        assert phase.objective == "noise2noise"
        assert phase.optimizer == named.phase[name].optimizer


def test_starting_from_a_model_uses_its_network(tmp_path: Path) -> None:
    recipe = load(None, own=OwnData("noisy-only", tmp_path, start="photo-fast-gray"))
    assert recipe.start == "photo-fast-gray"
    assert recipe.network.name == "unet"
    assert recipe.network.arguments == {"preset": "fast", "deep": 128}
    (phase,) = recipe.phase.values()
    (anew,) = load(None, own=OwnData("noisy-only", tmp_path)).phase.values()
    assert phase.epochs < anew.epochs
    assert 100 <= recipe.data.samples * phase.epochs / phase.batch_size <= 300  # type: ignore[operator]


def test_unusable_start_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="photo-fast-gray"):
        load(None, own=OwnData("noisy-only", tmp_path, start="photo-fast-grey"))
    with pytest.raises(InputError):
        load(None, own=OwnData("noisy-only", tmp_path, start=str(tmp_path / "no.onnx")))


def test_missing_recipe_and_data_name_the_options() -> None:
    with pytest.raises(UsageError, match="name a recipe"):
        load(None)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("phase.denoise.objective=supervised", "does not support noisy-only"),
        ("phase.denoise.lines=rows", "lines is for noise2void"),
        ("data.shots=2", "shots needs clean images"),
        ("data.crop=0", "crop is 0"),
    ],
)
def test_incompatible_settings_are_refused(setting: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=message):
        load(None, [setting], own=OwnData("noisy-only", tmp_path))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Screenshot 3.05\u202fPM.png", "Screenshot 3.05_PM"),
        ("a\tb\nc.tif", "a_b_c"),
        ("写真.tif", "写真"),
        (r"a\b.tif", "a_b"),
    ],
)
def test_run_names_are_valid_in_cards(name: str, expected: str, tmp_path: Path) -> None:
    (tmp_path / name).touch()
    recipe = load(None, own=OwnData("noisy-only", tmp_path / name))
    assert recipe.name == expected


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("name='exp/one'", "name is 'exp/one'; expected a name of 1 to 255 printable characters"),
        ("name=''", "name is ''; expected a name of 1 to 255"),
        (f"limits='{'a ' * 600}'", "limits is 'a a .* expected a line of at most 1,000"),
    ],
)
def test_names_invalid_in_cards_are_refused_before_training(setting: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        load("digits", [setting])


@pytest.mark.parametrize("phase", ["3", "{denoise = 3}"])
def test_phase_that_is_not_a_table_is_refused_with_own_data(phase: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(f"title = 'T'\nphase = {phase}\n[data]\nsource = 'a'\n[network]\nname = 'unet'")
    with pytest.raises(UsageError, match="phase"):
        load(path, own=OwnData("noisy-only", tmp_path))


def test_profile_key_that_is_not_a_table_is_ignored(tmp_path: Path) -> None:
    path = tmp_path / "noise.toml"
    path.write_text("profile = 3\n[noise]\nkind = 'gaussian'\nsigma = 0.1")
    with pytest.raises(InputError, match="means is missing"):
        load(None, own=OwnData("clean", tmp_path, noise=str(path)))
