"""The report in a real browser, where there is one."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import autodenoise
from autodenoise.images import from_float
from autodenoise.recipes import OwnData
from autodenoise.runs import Run
from tests.helpers.run_folders import make, stored, write
from tests.helpers.scenes import smooth_scenes, white

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

# Collects what the page complains of, before its own program runs.
LISTEN = """<script>
const faults = [];
addEventListener("error", (event) => faults.push(event.message));
addEventListener("securitypolicyviolation", (event) => faults.push(event.violatedDirective));
</script>
</head>"""

# Does what a visitor does, then writes down what there is to see.
VISIT = """<pre id="outcome"></pre>
<script>
{
  const divider = document.querySelector("#divider");
  const slide = (to) => {
    divider.value = to;
    divider.dispatchEvent(new Event("input"));
  };
  const shown = () => ({
    cut: getComputedStyle(document.querySelector("#denoised")).clipPath,
    told: divider.getAttribute("aria-valuetext"),
    images: ["noisy", "denoised", "clean"].map((id) => document.querySelector(`#${id}`).src),
    chosen: document.querySelector("#chosen").textContent,
  });
  const seen = [shown()];
  for (const to of [0, 100, 30]) {
    slide(to);
    seen.push(shown());
  }
  document.querySelectorAll(".strip input")[%(image)d].click();
  seen.push(shown());
  const drawing = document.querySelector(".chart svg");
  const field = drawing.getBoundingClientRect();
  const readout = document.querySelector(".readout");
  const readouts = [readout.textContent];
  for (const share of [0.13, 0.96]) {
    const clientX = field.left + share * field.width;
    drawing.dispatchEvent(new PointerEvent("pointermove", { clientX, clientY: field.top + 9 }));
    readouts.push(readout.textContent);
  }
  drawing.dispatchEvent(new PointerEvent("pointerleave"));
  readouts.push(readout.textContent);
  const place = document.querySelector(".stage").getBoundingClientRect();
  const stage = [place.left, place.top, place.width, place.height];
  const wide = document.documentElement.scrollWidth;
  const outcome = { faults, seen, readouts, stage, wide };
  document.querySelector("#outcome").textContent = JSON.stringify(outcome);
}
</script>
</body>"""


@pytest.fixture(scope="module")
def browser() -> str:
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip(f"none of {', '.join(BROWSERS)} is installed")
    return found


@pytest.fixture(scope="module")
def run(browser: str, tmp_path_factory: pytest.TempPathFactory) -> Run:
    del browser
    run = autodenoise.train(
        "digits",
        tmp_path_factory.mktemp("browser") / "run",
        settings=["data.size=[16, 16]", "network={name = 'conv', width = 8}"],
        epochs=3,
    )
    autodenoise.evaluate(run.folder)
    return run


# What there is to see of a run without clean images.
GLANCE = """<pre id="outcome"></pre>
<script>
{
  const images = () => ["noisy", "denoised", "removed"].map(
    (id) => document.querySelector(`#${id}`).src,
  );
  const begun = images();
  document.querySelectorAll(".strip input")[%(image)d].click();
  const map = document.querySelector(".maps svg").getBoundingClientRect();
  const wide = document.documentElement.scrollWidth;
  const outcome = { faults, begun, chosen: images(), map: [map.width, map.height], wide };
  document.querySelector("#outcome").textContent = JSON.stringify(outcome);
}
</script>
</body>"""


def visit(
    browser: str, page: Path, width: int, image: int = 2, program: str = VISIT
) -> tuple[Any, Image.Image]:
    """Give what the visitor's program saw, and a picture of the page as it left it."""
    text = page.read_text("utf-8")
    visited = page.parent / f"visited-{width}.html"
    text = text.replace("</head>", LISTEN, 1).replace("</body>", program % {"image": image})
    visited.write_text(text, "utf-8")
    screenshot_file = page.parent / f"visited-{width}.png"
    command = [
        browser,
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--hide-scrollbars",
        "--disable-dev-shm-usage",
        "--force-device-scale-factor=1",
        "--enable-logging=stderr",
        f"--user-data-dir={page.parent / 'profile'}",
        f"--window-size={width},1400",
    ]
    address = visited.as_uri()
    dumped = subprocess.run(
        [*command, "--dump-dom", address], capture_output=True, text=True, timeout=300
    )
    found = re.search(r'<pre id="outcome">(.+?)</pre>', dumped.stdout, re.DOTALL)
    assert found is not None, dumped.stderr
    assert "CONSOLE" not in dumped.stderr
    subprocess.run(
        [*command, f"--screenshot={screenshot_file}", address],
        capture_output=True,
        check=True,
        timeout=300,
    )
    with Image.open(screenshot_file) as screenshot:
        return json.loads(html.unescape(found[1])), screenshot.convert("L")


@pytest.mark.parametrize("width", [1200, 520])
def test_divider_and_image_choice_change_the_page(browser: str, run: Run, width: int) -> None:
    image = 2
    outcome, screenshot = visit(browser, run.folder / "report.html", width, image)
    assert outcome["faults"] == []
    assert outcome["wide"] <= width
    begun, denoised, noisy, third, other = outcome["seen"]
    cuts = [state["cut"] for state in (begun, denoised, noisy, third)]
    assert cuts == [f"inset(0px 0px 0px {at}%)" for at in (50, 0, 100, 30)]
    assert third["told"] == "left 30 % noisy, right 70 % denoised"
    assert other["chosen"].startswith(f"Image {image + 1} (")
    assert begun["images"] == third["images"]
    assert not set(other["images"]) & set(begun["images"])
    # To the pixel: noisy left of the divider, denoised right of it.
    test = run.evaluation_images(run.data(), image + 1)
    clean = run.model().batch(test.noisy)[image]
    byte = np.dtype(np.uint8)
    left, right = (from_float(array, byte)[..., 0] for array in (test.noisy[image], clean))
    x, y, wide, tall = outcome["stage"]
    screen = np.asarray(screenshot).astype(int)
    for column in (0, 2, 3, 6, 9, 12, 15):
        for row in (3, 5, 10, 13):
            at = screen[int(y + (row + 0.5) * tall / 16), int(x + (column + 0.5) * wide / 16)]
            expected = left if column < 0.3 * 16 else right
            assert abs(at - int(expected[row, column])) <= 2, (row, column)


def test_chart_shows_the_epoch_under_the_pointer(browser: str, run: Run) -> None:
    outcome, _ = visit(browser, run.folder / "report.html", 900)
    resting, first, last, left = outcome["readouts"]
    rows = run.rows
    assert first == f"Epoch 1: training {rows[0].loss:.4f}, validation {rows[0].val_loss:.4f}"
    assert last == f"Epoch 3: training {rows[2].loss:.4f}, validation {rows[2].val_loss:.4f}"
    assert resting == left


@pytest.mark.parametrize("width", [1200, 520])
def test_page_without_clean_images(browser: str, tmp_path: Path, width: int) -> None:
    scenes = stored(smooth_scenes(6, 96) + 0.1 * white((6, 96, 96, 1)))
    run = make(OwnData("noisy-only", write(tmp_path / "noisy", scenes)), tmp_path / "run")
    autodenoise.estimate(run.folder)
    outcome, _ = visit(browser, run.folder / "report.html", width, image=1, program=GLANCE)
    assert outcome["faults"] == []
    assert outcome["wide"] <= width
    assert not set(outcome["begun"]) & set(outcome["chosen"])
    across, down = outcome["map"]
    assert across == pytest.approx(down, abs=1)
    assert 100 < across < 260
