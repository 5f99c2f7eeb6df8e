"""The models' page says what the shipped files say, and shipping changes nothing but the card."""

from __future__ import annotations

import dataclasses
import json
import re
import sys
from pathlib import Path

import models_page
import numpy as np
import pytest
import ship
from PIL import Image

from autodenoise import runtime, weights
from autodenoise.runtime import Model
from tests.helpers.model_files import box_blur


def test_the_committed_page_is_what_the_command_writes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "argv", ["models_page.py", "--check"])
    assert models_page.main() == 0
    monkeypatch.setattr(models_page, "PAGE", tmp_path / "models.md")
    assert models_page.main() == 1


def test_every_shipped_model_has_its_card_on_the_page() -> None:
    page = models_page.page()
    for name in weights.FILES:
        card = runtime.load(name).card
        section = page.split(f"\n## {name}\n")[1].split("\n## ")[0]
        for said in (card.limits, card.license, card.compute):
            assert said in section
        assert f"{card.scores['psnr_25']:.2f}" in page


def test_a_new_card_leaves_the_network_as_it_is(tmp_path: Path) -> None:
    source = box_blur(tmp_path / "box.onnx")
    before = Model(source)
    card = dataclasses.replace(before.card, scores={"psnr_25": 30.0})
    ship.rewrite(source, card, tmp_path / "shipped.onnx")
    after = Model(tmp_path / "shipped.onnx")
    assert after.card == card
    shape = (1, 16, 16, card.channels)
    noisy = np.random.default_rng(0).random(shape, np.float32)
    np.testing.assert_array_equal(after.batch(noisy), before.batch(noisy))


def test_grey_is_judged_on_the_luma_that_pillow_takes() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 30, 3), np.uint8)
    expected = np.asarray(Image.fromarray(pixels).convert("L")).astype(int)
    assert np.abs(ship.luma(pixels)[..., 0] - expected).max() <= 1


@pytest.mark.parametrize(
    ("lost", "megabytes", "said"),
    [(0.06, 0.1, "no: it loses more"), (0.01, 25.0, r"no: all files would be \d+\.\d MB, of 25 ")],
)
def test_why_a_variant_in_8_bits_does_not_ship(lost: float, megabytes: float, said: str) -> None:
    row = {"model": "other", "lost_db": {"25": lost}, "megabytes": megabytes}
    assert re.match(said, models_page.shipped(row))


def test_a_variant_that_could_ship_is_missed() -> None:
    row = {"model": "other", "lost_db": {"25": 0.01}, "megabytes": 0.0}
    with pytest.raises(ValueError, match="other-int8 loses little, and has room"):
        models_page.shipped(row)


def test_results_of_some_strengths_alone_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models_page, "RESULTS", tmp_path)
    for name, sigmas in (("set12", (15, 25, 50)), ("bsd68", (25,))):
        scores = [{"noise": f"gaussian:{s}", "psnr": 30, "denoiser": "fast"} for s in sigmas]
        content = json.dumps({"set": name, "scores": scores})
        (tmp_path / f"scores-{name}.json").write_text(content)
    assert models_page.tested("fast") == ["set12 30.00/30.00/30.00 dB at sigma 15/25/50"]
