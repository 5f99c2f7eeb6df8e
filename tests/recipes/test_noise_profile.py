from __future__ import annotations

import dataclasses
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch

from autodenoise import profile_noise, recipes
from autodenoise.errors import InputError
from autodenoise.noise import Measured
from autodenoise.noise_estimation.profile import measure
from autodenoise.noise_estimation.profile_file import as_toml
from autodenoise.recipes.noise_profile import noise_from
from tests.helpers.cameras import VIEW, SyntheticCamera, save

KERNEL = ((0.1, 0.3, 0.0), (0.4, 1.0, 0.2), (0.0, 0.3, 0.1))
CAMERA = SyntheticCamera(9.0, 150.0, 2000.0, 60000.0, kernel=KERNEL, shared=0.3)


@pytest.fixture(scope="module")
def camera(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("camera")
    save(folder / "repeats", CAMERA.shoot(VIEW, 4))
    profile_noise(folder / "repeats", folder / "camera.toml", black=2000)
    return folder / "camera.toml"


def test_noise_from_a_profile_has_the_measured_statistics(camera: Path, tmp_path: Path) -> None:
    noise = noise_from(camera)
    light = 2000 / 65535 + torch.from_numpy(VIEW).float().permute(2, 0, 1) * 58000 / 65535
    drawn = noise(light.expand(6, -1, -1, -1), torch.Generator().manual_seed(0))
    shots = np.rint(drawn.permute(0, 2, 3, 1).numpy() * 65535).clip(0, 65535).astype(np.uint16)
    save(tmp_path, shots)
    again = measure(tmp_path, black=2000)
    assert again.variance_model == "line"
    for channel in again.channels:
        assert channel.line is not None
        assert channel.read is not None
        assert channel.line.gain * 65535 == pytest.approx(9, rel=0.05)
        assert channel.read * 65535 == pytest.approx(150, rel=0.05)
    np.testing.assert_allclose(again.correlation_maps, noise.correlation, atol=0.03)


def test_recipe_with_a_profile_is_dumped_in_full(camera: Path) -> None:
    noise = noise_from(camera)
    assert noise.clip
    assert len(noise.means) == 2
    recipe = dataclasses.replace(recipes.load("digits"), noise=(noise,))
    written = camera.with_name("recipe.toml")
    written.write_text(recipes.dump(recipe))
    assert recipes.load(written).noise == (noise,)


def test_profile_file_contains_readable_numbers(camera: Path) -> None:
    told = tomllib.loads(camera.read_text())["profile"]
    assert (told["series"], told["shots"], told["variance_model"]) == (1, 4, "line")
    assert told["range"] == [0, 65535]
    assert "numpy" in told["versions"]
    assert [channel["name"] for channel in told["channel"]] == ["red", "green", "blue", "all"]
    for channel in told["channel"]:
        assert channel["gain"] * 65535 == pytest.approx(9, rel=0.05)
        assert channel["read_noise"] * 65535 == pytest.approx(150, rel=0.05)
        assert channel["gain_error"] < 0.05 * channel["gain"]
        assert channel["r_squared"] > 0.99


def test_any_file_name_is_escaped_in_the_profile(tmp_path: Path) -> None:
    folder = tmp_path / 'a"b\x7f\n[c]\\'
    save(folder / "x", CAMERA.shoot(VIEW[:40, :40], 2))
    (folder / 'y"\t.png').write_bytes(b"no picture")
    profile = measure(folder)
    told = tomllib.loads(as_toml(profile, "q", "a.toml"))["profile"]
    assert told["skipped"][0]["name"] == 'y"\\t.png'
    profile_noise(folder, tmp_path / "a.toml")
    assert isinstance(noise_from(tmp_path / "a.toml"), Measured)


NOISE = 'kind = "measured"\nmeans = [0.0]\nsigmas = [[0.1]]\ncorrelation = [[[1.0]]]\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[noise", "is not TOML"),
        ('title = "a recipe"', r"no table \[noise\]. Create one with: autodenoise noise-profile"),
        ('[[noise]]\nkind = "gaussian"', "no table"),
        (f"[noise]\n{NOISE}typo = 1", "unknown key in noise: 'typo'"),
        (f"[noise]\n{NOISE.replace('measured', 'gaussian')}", "noise.kind is 'gaussian'"),
        (f"[noise]\n{NOISE.replace('means = [0.0]', '')}", "noise.means is missing"),
        (f"[noise]\n{NOISE.replace('0.1', '-0.1')}", "numbers of at least 0"),
        (f"[noise]\n{NOISE.replace('0.1', 'nan')}", "a row of sigmas is"),
        (f"[noise]\n{NOISE.replace('0.1', 'true')}", r"noise.sigmas.0.0 is True"),
    ],
)
def test_invalid_profile_names_the_first_error(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "a.toml").write_text(text)
    with pytest.raises(InputError, match=said) as raised:
        noise_from(tmp_path / "a.toml")
    assert "a.toml" in str(raised.value)


def test_unreadable_profile_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot read the noise profile .*a\.toml: No such file"):
        noise_from(tmp_path / "a.toml")
    (tmp_path / "a.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="it is not text"):
        noise_from(tmp_path / "a.toml")
