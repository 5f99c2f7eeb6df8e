from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from autodenoise import nets, noise
from autodenoise.errors import InputError, UsageError
from autodenoise.recipes import Network, Recipe, builtin_names, dump, load
from autodenoise.training.optimizers import Adam, Muon
from autodenoise.training.schedules import OneCycle

SMALL = """
title = "A small one"
data = { source = "digits", validation = "random" }
noise = { kind = "gaussian", sigma = [0.1, 0.5] }
network = { name = "dense", widths = [32, 8, 32] }
phase.denoise = { epochs = 3 }
"""


def small(tmp_path: Path, text: str = SMALL) -> Path:
    path = tmp_path / "small.toml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("name", builtin_names())
def test_builtin_recipes_survive_dump_and_load(name: str, tmp_path: Path) -> None:
    recipe = load(name)
    assert recipe.name == name
    assert recipe.source
    (tmp_path / "dumped.toml").write_text(dump(recipe))
    assert load(tmp_path / "dumped.toml") == recipe


def test_conv_mnist_matches_its_tutorial() -> None:
    recipe = load("conv-mnist")
    assert recipe.noise == (noise.Gaussian(0.4, clip=True),)
    assert [phase.epochs for phase in recipe.phase.values()] == [50, 100]
    assert [phase.objective for phase in recipe.phase.values()] == ["reconstruction", "supervised"]
    for phase in recipe.phase.values():
        assert phase.batch_size == 128
        assert phase.optimizer == Adam(1e-3)
    assert recipe.phase["denoise"].noise == "once"
    assert recipe.data.validation == "test"


def test_defaults_complete_a_recipe_file(tmp_path: Path) -> None:
    recipe = load(small(tmp_path))
    assert recipe.name == "small"
    assert recipe.noise == (noise.Gaussian((0.1, 0.5)),)
    assert recipe.network == Network("dense", {"widths": (32, 8, 32)})
    assert recipe.phase["denoise"].batch_size == 128
    assert recipe.seed == 0


def test_changing_a_kind_resets_its_defaults() -> None:
    recipe = load(
        "digits", ["phase.denoise.optimizer.kind=adam", "noise.kind=speckle", "noise.sigma=1"]
    )
    assert recipe.phase["denoise"].optimizer == Adam()
    assert recipe.noise == (noise.Speckle(1),)


def test_data_path_is_relative_to_the_recipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "letters").mkdir()
    (tmp_path / "digits").mkdir()
    path = small(tmp_path, SMALL.replace('source = "digits"', 'source = "letters"'))
    assert load(path).data.source == str(tmp_path / "letters")
    # A data set that has a name keeps it, whatever lies around.
    assert load(small(tmp_path)).data.source == "digits"
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "mine").mkdir(parents=True)
    monkeypatch.chdir(elsewhere)
    assert load(path, ["data.source=mine"]).data.source == str(elsewhere / "mine")


def test_list_of_noises_is_read(tmp_path: Path) -> None:
    text = SMALL.replace(
        'noise = { kind = "gaussian", sigma = [0.1, 0.5] }',
        'noise = [{ kind = "blur", sigma = [0, 2.0] }, { kind = "uniform", amplitude = 1 }]',
    )
    recipe = load(small(tmp_path, text), ["noise.1.amplitude=0.5"])
    assert recipe.noise == (noise.Blur((0, 2.0)), noise.Uniform(0.5))


MIXED = SMALL.replace(
    'noise = { kind = "gaussian", sigma = [0.1, 0.5] }',
    """
noise.kind = "mixture"
noise.parts = [
    { weight = 1 },
    { weight = 2, noise = [
        { kind = "gaussian", sigma = 0.1 },
        { kind = "mixture", parts = [{ weight = 1, noise = [{ kind = "jpeg", quality = 50 }] }] },
    ] },
]""",
)


def test_mixture_is_read(tmp_path: Path) -> None:
    inner = noise.Mixture((noise.MixturePart(1, (noise.Jpeg(50),)),))
    expected = noise.Mixture(
        (noise.MixturePart(1), noise.MixturePart(2, (noise.Gaussian(0.1), inner)))
    )
    recipe = load(small(tmp_path, MIXED))
    assert recipe.noise == (expected,)
    assert load(small(tmp_path, dump(recipe))) == recipe
    again = load(small(tmp_path, MIXED), ["noise.parts.1.noise.1.parts.noise.quality=70"])
    assert again.noise != recipe.noise
    assert "quality = 70" in dump(again)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (("weight = 2", "wait = 2"), "noise.0.parts.1.weight is missing"),
        (("weight = 1 }", "weight = 1, noize = [] }"), "key in noise.0.parts.0: 'noize'; did you"),
        (("sigma = 0.1", "sigma = 0.1, sgima = 1"), "key in noise.0.parts.1.noise.0: 'sgima'; did"),
        (('"jpeg"', '"jpg"'), "kind in noise.0.parts.1.noise.1.parts.0.noise.0: 'jpg'; did you"),
        (('kind = "jpeg", ', ""), "noise.0.parts.1.noise.1.parts.0.noise.0 needs a kind, one of:"),
        (("quality = 50", "quality = 0"), "jpeg noise: quality is 0"),
        (("weight = 2", "weight = -2"), "a weight is -2"),
        (("weight = 2", "weight = 'often'"), "noise.0.parts.1.weight is 'often'"),
    ],
)
def test_errors_in_a_mixture_name_the_key(
    tmp_path: Path, wrong: tuple[str, str], says: str
) -> None:
    assert wrong[0] in MIXED
    with pytest.raises(UsageError) as caught:
        load(small(tmp_path, MIXED.replace(*wrong, 1)))
    assert says in str(caught.value)


def test_overrides(tmp_path: Path) -> None:
    recipe = load(
        small(tmp_path),
        [
            "noise.sigma=0.25",
            "phase.denoise.optimizer={kind = 'muon', learning_rate = 0.1}",
            "phase.denoise.schedule.kind=one-cycle",
            "data.share=0.5",
        ],
        epochs=7,
        seed=11,
    )
    assert recipe.noise == (noise.Gaussian(0.25),)
    assert recipe.phase["denoise"].optimizer == Muon(0.1)
    assert recipe.phase["denoise"].schedule == OneCycle()
    assert recipe.data.share == 0.5
    assert (recipe.phase["denoise"].epochs, recipe.seed) == (7, 11)


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("noise.sgima=0.5", "unknown key in noise.0: 'sgima'; did you mean 'sigma'?"),
        ("noise.sigma=-1", "gaussian noise: sigma is -1"),
        ("noise.sigma=high", "noise.0.sigma"),
        ("noise.kind=gausian", "unknown kind in noise.0: 'gausian'; did you mean 'gaussian'?"),
        ("network.name=convv", "unknown network 'convv'; did you mean 'conv'?"),
        ("network.width=[1]", "unknown key in network: 'width'; did you mean 'widths'?"),
        ("network.widths=wide", "network.widths"),
        ("data.soruce=x", "unknown key in data: 'soruce'; did you mean 'source'?"),
        ("data.copies=0", "data: copies is 0"),
        ("phase.denoise.epochs=2.5", "phase.denoise.epochs is 2.5"),
        ("phase.denoise.epochs='2'", "phase.denoise.epochs is '2'"),
        ("phase.denoise.optimizer.learning_rat=1", "did you mean 'learning_rate'?"),
        ("phase.denoise.optimizer.kind=adan", "did you mean 'adam'?"),
        ("phase.denoise.optimizer.learning_rate=0", "learning_rate is 0"),
        ("phase.denoise.schedule.warmup=2", "unknown key in phase.denoise.schedule"),
        ("phase.denois.epochs=2", "did you mean 'denoise'?"),
        ("sed=1", "unknown key in the recipe: 'sed'; did you mean 'seed'?"),
        ("seed=-1", "seed is -1"),
        ("noise.sigma", "expected key=value"),
        ("title.x=1", "not a table"),
    ],
)
def test_invalid_overrides_say_what_was_expected(tmp_path: Path, setting: str, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        load(small(tmp_path), [setting])
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (["phase={'warm/up' = {epochs = 1}}"], "a phase is called 'warm/up'"),
        (["phase={best = {epochs = 1}}"], "not one of best, checkpoint, start"),
        (["data.shots=2"], "supervised, which does not support repeats"),
        (
            ["data.shots=1", "phase.squares.objective=noise2noise"],
            "noise2noise, which does not support noisy-only images; expected one of: recorrupted",
        ),
        (["noise.sigma=[0.1, 0.2]", "phase.squares.objective=recorrupted"], "one strength"),
        (
            ["noise={kind = 'uniform', amplitude = 0.3}", "phase.squares.objective=recorrupted"],
            "with mean 0",
        ),
        (
            [
                "noise={kind='mixture', parts=[{weight=1, noise=[{kind='gaussian', sigma=0.1}]}]}",
                "phase.squares.objective=recorrupted",
            ],
            "with mean 0",
        ),
    ],
)
def test_phases_incompatible_with_the_recipe_are_refused(settings: list[str], says: str) -> None:
    with pytest.raises(UsageError) as caught:
        load("photo-fast-gray", ["search={}", *settings])
    assert says in str(caught.value)


@pytest.mark.parametrize("key", ["title", "data", "noise", "network", "phase"])
def test_required_keys(tmp_path: Path, key: str) -> None:
    lines = [line for line in SMALL.splitlines() if not line.startswith(key)]
    with pytest.raises(UsageError, match=f"{key} is missing"):
        load(small(tmp_path, "\n".join(lines)))


def test_files_that_are_not_recipes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="did you mean 'conv-mnist'"):
        load("conv-mnits")
    with pytest.raises(InputError, match="cannot read the recipe"):
        load(tmp_path / "missing.toml")
    with pytest.raises(InputError, match="not TOML"):
        load(small(tmp_path, "title = "))
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="it is not text"):
        load(tmp_path / "binary.toml")


def test_recipe_built_in_python_is_validated() -> None:
    given: dict[str, Any] = tomllib.loads(dump(load("digits")))
    assert given["network"] == {"name": "swift", "dark": 0.3}
    with pytest.raises(UsageError, match="did you mean 'widths'"):
        Network("dense", {"width": 3})
    recipe = load("digits")
    with pytest.raises(UsageError, match="at least one noise"):
        Recipe("x", recipe.data, (), recipe.network, recipe.phase)


def test_every_network_works_in_a_recipe() -> None:
    assert all(Network(name).arguments == {} for name in nets.NETWORKS)


def test_optional_network_level_can_be_zero() -> None:
    recipe = load("photo-fast-gray", ["search={}", "network.deep=0"])
    assert recipe.network.arguments == {"preset": "fast", "deep": 0}
    for wrong, least in (("network.deep=-1", 0), ("network={name='swift', widths=[0, 1, 1]}", 1)):
        with pytest.raises(UsageError, match=f"expected numbers of at least {least}"):
            load("photo-fast-gray", ["search={}", wrong])


def test_bce_is_refused_for_networks_that_output_images() -> None:
    with pytest.raises(UsageError, match=r"loss is bce.*unet.*use mse"):
        load("conv-mnist", ["network={name='unet'}"])
    settings = [f"phase.{phase}.loss=mse" for phase in ("reconstruct", "denoise")]
    recipe = load("conv-mnist", ["network={name='unet', preset='best'}", *settings])
    assert recipe.network.arguments == {"preset": "best"}


def written(recipe: Recipe, folder: Path) -> Path:
    path = folder / "recipe.toml"
    path.write_text(dump(recipe))
    return path


def test_minutes_are_divided_by_the_cost_of_epochs(tmp_path: Path) -> None:
    recipe = load("photo-fast-color", minutes=70)
    minutes = {name: phase.minutes for name, phase in recipe.phase.items()}
    # 24 epochs of squares of 96 pixels cost six times as much as one of 192.
    assert minutes == pytest.approx({"squares": 60, "large": 10})
    assert load("digits", minutes=0.5).phase["denoise"].minutes == 0.5
    changed = load(
        "photo-fast-color", ["phase.large.epochs=6", "phase.squares.epochs=12"], minutes=9
    )
    minutes = {name: phase.minutes for name, phase in changed.phase.items()}
    assert minutes == pytest.approx({"squares": 3, "large": 6})
    with pytest.raises(UsageError, match="not both"):
        load("digits", epochs=3, minutes=5)
    again = load(written(changed, tmp_path), epochs=2)
    assert {phase.minutes for phase in again.phase.values()} == {None}
    for wrong in (0, -1, float("nan"), float("inf")):
        with pytest.raises(UsageError, match="minutes"):
            load("digits", minutes=wrong)


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("phase.squares.noise=once", "no crop is used twice"),
        ("phase.squares.crop=0", "crop is 0"),
        ("phase.squares.clip=0", "clip is 0"),
        ("phase.squares.ema=1", "ema is 1"),
        ("phase.squares.minutes=-2", "minutes is -2"),
        ("phase.squares.precision=float16", "precision"),
        ("data.size=[64, 64]", "set only one"),
        ("phase.squares.schedule.floor=2", "floor is 2"),
    ],
)
def test_settings_invalid_for_crops_are_refused(setting: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        load("photo-fast-color", [setting])


def test_crop_of_a_phase_needs_crops_in_data() -> None:
    with pytest.raises(UsageError, match=r"phase\.denoise\.crop needs crop in \[data\]"):
        load("digits", ["phase.denoise.crop=8"])
