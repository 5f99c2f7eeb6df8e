"""The recipes' pages say what the recipes and the results say."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pages
import pytest
from keys_page import keys, table

from autodenoise import recipes, runs
from autodenoise.data.spec import DataSpec
from autodenoise.nets import NETWORKS
from autodenoise.noise import NOISES
from autodenoise.recipes.search_space import Range
from autodenoise.training.optimizers import OPTIMIZERS
from autodenoise.training.phases import Phase
from autodenoise.training.schedules import SCHEDULES


def result(**changes: Any) -> dict[str, Any]:
    """What reproduce.py writes, in little."""
    scores = {"bce": 0.25, "bce_excess": 0.125, "psnr": 20.5, "ssim": None}
    rows = [
        {"phase": "denoise", "epoch": epoch, "val_loss": loss, "seconds_since_start": 77.0 * epoch}
        for epoch, loss in ((1, 0.3), (2, 0.26))
    ]
    runs = [
        {
            "seed": 3,
            "epochs": rows,
            "test_scores": {"images": 7, "noisy": scores, "denoised": scores},
        }
    ]
    machine = {"cores": 4, "processor": "P", "system": "S", "python": "3", "torch": "2"}
    return {
        "command": "python benchmarks/reproduce.py this",
        "environment": machine,
        "final_val_loss": [0.26],
        "runs": runs,
        **changes,
    }


def page_of(recipe: str, folder: Path) -> str:
    return pages.page(runs.describe(recipe), pages.results_of(recipe, folder))


def test_committed_pages_are_up_to_date() -> None:
    files = pages.build()
    assert not pages.outdated(files)
    assert {f"{name}.md" for name in recipes.builtin_names()} < set(files)
    assert all(len(text) < 150_000 for text in files.values())


def test_edited_missing_and_superfluous_pages_are_outdated(tmp_path: Path) -> None:
    files = {"a.md": "a", "b.md": "b", "c.md": "c"}
    for name, text in {"a.md": "a", "b.md": "B", "d.md": "d"}.items():
        (tmp_path / name).write_text(text)
    assert pages.outdated(files, tmp_path) == ["b.md", "c.md", "d.md"]


def test_measured_losses_are_next_to_the_published_ones(tmp_path: Path) -> None:
    (tmp_path / "bottleneck-mnist.json").write_text(json.dumps(result()))
    page = page_of("bottleneck-mnist", tmp_path)
    assert "| denoise | 1 | 0.1186 | 0.3000 |\n| denoise | 2 | 0.1103 | 0.2600 |\n" in page
    assert "| denoised | 0.2500 | 0.1250 | 20.50 | - |" in page
    assert "(seed 3) on 4 cores of P" in page


def test_page_without_measurements_says_so(tmp_path: Path) -> None:
    # The other recipe's results begin with the same name.
    (tmp_path / "bottleneck-mnist-program.json").write_text(json.dumps(result()))
    page = page_of("bottleneck-mnist", tmp_path)
    assert "Not yet." in page
    assert "| denoise | 2 | 0.1103 |\n" in page
    assert "0.26" not in page


def test_recipes_of_shipped_models_link_to_their_scores(tmp_path: Path) -> None:
    assert "(../models.md#photo-fast-gray)" in page_of("photo-fast-gray", tmp_path)
    assert "Not yet." not in page_of("photo-fast-gray", tmp_path)
    assert "Not yet." in page_of("photo-best-gray", tmp_path)


def test_page_contains_all_settings_of_a_recipe() -> None:
    page = keys()
    for names in (NOISES, NETWORKS, OPTIMIZERS, SCHEDULES):
        assert all(re.search(f"^###+ `{name}`$", page, re.MULTILINE) for name in names)
    for described in (DataSpec, Phase, Range):
        for field in dataclasses.fields(described):
            (meaning,) = re.findall(
                rf"^\| `{field.name}` \| \S.* \| (.+) \|$", table(described), re.MULTILINE
            )
            assert meaning.endswith("."), field.name
    assert "\n| `batch_size` | `128` | Images per step" in page
    assert '\n| `optimizer` | `{ kind = "adam" }` |' in page
    assert "\n| `sigma` | needed |\n" in page
    assert "\n| `channels` |" not in page


def test_shorter_run_is_marked(tmp_path: Path) -> None:
    (tmp_path / "maxnorm-mnist-2-epochs.json").write_text(json.dumps(result()))
    found = pages.results_of("maxnorm-mnist", tmp_path)
    described = runs.describe("maxnorm-mnist")
    assert "## Measured over 2 of 30 epochs\n" in pages.page(described, found)
    assert "| 0.2600 after 2 of 30 |" in pages.index([described], {"maxnorm-mnist": found})


@pytest.mark.parametrize("alone", [True, False])
def test_times_are_shown_only_for_runs_that_ran_alone(alone: bool, tmp_path: Path) -> None:
    aim = {"aim": 0.28, "first_epoch_below_aim": [2]} if alone else {}
    (tmp_path / "swift-mnist.json").write_text(json.dumps(result(**aim)))
    page = page_of("swift-mnist", tmp_path)
    assert ("154 s" in page) == alone
    assert ("Below 0.28 for the first time after epoch 2." in page) == alone


def test_several_seeds_are_shown_as_a_range() -> None:
    assert pages.span([0.08411, 0.08389, 0.084], 4) == "0.0839 to 0.0841"
    assert pages.span([0.08391, 0.08389], 4) == "0.0839"
    assert pages.span([], 4) == "-"
