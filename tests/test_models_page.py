"""The page of shipped models is up to date, and shipping a model changes only its card."""

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


def test_committed_page_is_up_to_date(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "argv", ["models_page.py", "--check"])
    assert models_page.main() == 0
    monkeypatch.setattr(models_page, "PAGE", tmp_path / "models.md")
    assert models_page.main() == 1


def test_page_contains_the_card_of_every_shipped_model() -> None:
    page = models_page.page()
    for name in weights.FILES:
        card = runtime.load(name).card
        section = page.split(f"\n## {name}\n")[1].split("\n## ")[0]
        for text in (card.limits, card.license, card.compute):
            assert text in section
        assert f"{card.scores['psnr_25']:.2f}" in page


def test_new_card_does_not_change_the_network(tmp_path: Path) -> None:
    source = box_blur(tmp_path / "box.onnx")
    before = Model(source)
    card = dataclasses.replace(before.card, scores={"psnr_25": 30.0})
    ship.rewrite(source, card, tmp_path / "shipped.onnx")
    after = Model(tmp_path / "shipped.onnx")
    assert after.card == card
    shape = (1, 16, 16, card.channels)
    noisy = np.random.default_rng(0).random(shape, np.float32)
    np.testing.assert_array_equal(after.batch(noisy), before.batch(noisy))


def test_gray_images_are_the_luma_of_pillow() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 30, 3), np.uint8)
    expected = np.asarray(Image.fromarray(pixels).convert("L")).astype(int)
    assert np.abs(ship.luma(pixels)[..., 0] - expected).max() <= 1


@pytest.mark.parametrize(
    ("loss", "megabytes", "reason"),
    [
        (0.06, 0.1, r"no: it loses more than 0\.05 dB"),
        (0.01, 25.0, r"no: all files together would have \d+\.\d MB, of at most 25 MB"),
    ],
)
def test_page_says_why_an_int8_variant_is_not_shipped(
    loss: float, megabytes: float, reason: str
) -> None:
    row = {"model": "other", "lost_db": {"25": loss}, "megabytes": megabytes}
    assert re.match(reason, models_page.shipped(row))


def test_int8_variant_that_should_be_shipped_is_an_error() -> None:
    row = {"model": "other", "lost_db": {"25": 0.01}, "megabytes": 0.0}
    with pytest.raises(ValueError, match="other-int8 loses little and fits into the package"):
        models_page.shipped(row)


def test_results_without_all_sigmas_are_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models_page, "RESULTS", tmp_path)
    for name, sigmas in (("set12", (15, 25, 50)), ("bsd68", (25,))):
        scores = [{"noise": f"gaussian:{s}", "psnr": 30, "denoiser": "fast"} for s in sigmas]
        content = json.dumps({"set": name, "scores": scores})
        (tmp_path / f"scores-{name}.json").write_text(content)
    assert models_page.tested("fast") == ["set12 30.00/30.00/30.00 dB at sigma 15/25/50"]
