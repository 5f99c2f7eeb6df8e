from __future__ import annotations

import ast
import base64
import json
import re
import shlex
import signal
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

import autodenoise
from autodenoise import recipes
from autodenoise.errors import Interrupted
from autodenoise.evaluation.classifier import Accuracy
from autodenoise.evaluation.outliers import Outliers
from autodenoise.evaluation.scores import Comparison, Method, Scores
from autodenoise.images import from_float
from autodenoise.runs import Run, report, results
from autodenoise.runs.callbacks import CallbackList
from autodenoise.training.history import EpochRow
from tests.helpers.report_pages import Page, pixels, text

TITLE = "<script>alert(1)</script> & \"others'"
RECIPE = f"""
title = '''{TITLE}'''
about = "</style><b>bold</b>"
source = "a <i>book</i>"
data = {{ source = "digits", validation = "random", size = [16, 16] }}
noise = {{ kind = "gaussian", sigma = 0.4, clip = true }}
network = {{ name = "conv", width = 8 }}
phase.denoise = {{ epochs = 3, batch_size = 64 }}
printed.denoise = {{ 1 = 0.5, 3 = 0.25, 7 = 0.125 }}
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Run:
    home = tmp_path_factory.mktemp("report")
    (home / "mine.toml").write_text(RECIPE)
    return autodenoise.train(home / "mine.toml", home / 'it\'s "here" & <there>')


@pytest.fixture
def run(trained: Run) -> Run:
    """Give the trained run with nothing in its folder that a test left there."""
    for name in ("evaluation.json", "classifier.json", "outliers.json", "comparison.json"):
        (trained.folder / name).unlink(missing_ok=True)
    for figure in trained.folder.glob("figures/*"):
        figure.unlink()
    report.write(trained, trained.data())
    return trained


def page_of(run: Run) -> Page:
    return Page(report.write(run, run.data()))


def test_report_loads_nothing(run: Run) -> None:
    autodenoise.evaluate(run.folder)
    page = page_of(run)
    for element in page.root.iter():
        for name, value in element.attrib.items():
            if name in ("src", "href", "srcset", "action", "data", "poster"):
                assert value.startswith(("data:", "#"))
            if "url(" in value:
                assert value.startswith("url(#")
    style = "".join(text(element) for element in page.all("style"))
    assert all(address.startswith("data:") for address in re.findall(r'url\("?([^)]*)', style))
    assert "@import" not in style
    policy = page.one("meta[@http-equiv='Content-Security-Policy']").get("content")
    assert "default-src 'none'" in policy


def test_markup_in_texts_is_escaped(run: Run) -> None:
    page = page_of(run)
    assert text(page.one("h1")) == TITLE
    assert len(page.all("script")) == 1
    assert not page.all("b")
    assert not page.all("header//i")
    assert "a <i>book</i>" in text(page.one("header"))
    command, program = (text(block) for block in page.all("div[@class='commands']//pre"))
    assert shlex.split(command.replace("\\ ", ""))[-1] == str(run.folder)
    path = re.search(r"load\((.*)\) clean", program)
    assert path is not None
    assert ast.literal_eval(path[1]) == str(run.folder)


def test_report_before_evaluation_says_how_to_get_scores(run: Run) -> None:
    page = page_of(run)
    section = page.one("section[@aria-labelledby='scores-title']")
    assert f"autodenoise evaluate {shlex.quote(str(run.folder))}" in text(section)
    assert section.find(".//table") is None
    assert not page.all("p[@class='note']")


def test_report_shows_the_numbers_of_the_run_folder(run: Run) -> None:
    autodenoise.evaluate(run.folder)
    page = Page(run.folder / "report.html")
    scores = json.loads((run.folder / "evaluation.json").read_text())
    expected = [
        scores[kind][key]
        for kind in ("noisy", "denoised")
        for key in ("psnr", "ssim", "bce", "bce_excess")
    ]
    assert page.values("table[@class='scores']") == expected
    shown = page.values("div[@class='phase']//details")
    lines = (run.folder / "metrics.csv").read_text().splitlines()[1:]
    losses = [[float(value) for value in line.split(",")[2:4]] for line in lines]
    assert shown == [*losses[0], 0.5, *losses[1], *losses[2], 0.25]
    printed = page.values("table[@class='dense']")
    first, last = losses[0][1], losses[2][1]
    assert printed == [0.5, first, first - 0.5, 0.25, last, last - 0.25, 0.125]


def test_report_shows_the_scored_images(run: Run) -> None:
    page = page_of(run)
    test = run.evaluation_images(run.data())
    denoised = run.model().batch(test.noisy)
    byte = np.dtype(np.uint8)
    columns = page.all("fieldset//label")
    assert len(columns) == 10
    assert test.labels is not None
    for index, column in enumerate(columns):
        noisy, network, clean = (pixels(image.get("src")) for image in column.findall("img"))
        np.testing.assert_array_equal(clean, from_float(test.require_clean("a test")[index], byte))
        np.testing.assert_array_equal(noisy, from_float(test.noisy[index], byte))
        # ONNX Runtime's sums depend on the size of a batch.
        levels = from_float(denoised[index], byte).astype(int) - network
        assert np.abs(levels).max() <= 1
        assert text(column) == f"Image {index + 1} ({test.labels[index]})"
    for kind in ("noisy", "denoised", "clean"):
        first = page.one(f"img[@id='{kind}']")
        assert first.get("src") == columns[0].find(f"img[@class='{kind} pixels']").get("src")
        assert first.get("alt") == f"{kind}: image 1 ({test.labels[0]})"


def test_elements_of_the_page_are_labeled(run: Run) -> None:
    autodenoise.evaluate(run.folder)
    page = page_of(run)
    divider = page.one("input[@type='range']")
    assert text(page.one(f"label[@for='{divider.get('id')}']"))
    identifiers = [element.get("id") for element in page.root.iter() if element.get("id")]
    assert len(set(identifiers)) == len(identifiers)
    for element in page.root.iter():
        if element.get("aria-labelledby"):
            assert element.get("aria-labelledby") in identifiers
    assert all(image.get("alt") is not None for image in page.all("img"))
    assert page.root.get("lang") == "en"


def test_report_is_deterministic(run: Run) -> None:
    autodenoise.evaluate(run.folder)
    once = (run.folder / "report.html").read_bytes()
    autodenoise.evaluate(run.folder)
    assert (run.folder / "report.html").read_bytes() == once
    autodenoise.resume(run.folder)
    assert (run.folder / "report.html").read_bytes() == once


CLASSIFIER = Accuracy(images=100, clean=0.99, noisy=0.8, denoised=0.95)
OUTLIERS = Outliers("fashion-mnist", images=100, outliers=50, auc=0.97, brightness_auc=0.8)
COMPARISON = Comparison(
    images=100,
    rows=(
        Method("<none>", None, Scores(bce=0.5, bce_excess=0.4, psnr=11.0, ssim=None)),
        Method("PCA", 1234, Scores(bce=0.2, bce_excess=0.1, psnr=None, ssim=None)),
    ),
)


def test_report_shows_other_results(run: Run) -> None:
    results.write(run.folder, "classifier.json", CLASSIFIER)
    results.write(run.folder, "outliers.json", OUTLIERS)
    results.write(run.folder, "comparison.json", COMPARISON)
    page = page_of(run)
    shares = page.values("section[@aria-labelledby='classifier-title']")
    assert shares == pytest.approx([99, 80, 95])
    assert page.values("section[@aria-labelledby='outliers-title']") == [0.97, 0.8]
    assert "Fashion-MNIST" in text(page.one("section[@aria-labelledby='outliers-title']"))
    table = page.one("section[@aria-labelledby='comparison-title']//table")
    names = [text(heading) for heading in table.findall("tbody/tr/th")]
    assert names == ["<none>", "PCA"]
    best = [text(cell) for cell in table.iterfind(".//td[@class='best']")]
    assert best == ["11.00", "0.2000", "0.1000"]
    assert not page.all("ul[@class='note']")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "cannot be read"),
        ("[]", "cannot be read"),
        (json.dumps({**asdict(CLASSIFIER), "images": "many"}), "cannot be read"),
        (json.dumps({**asdict(CLASSIFIER), "images": float("nan")}), "cannot be read"),
        (json.dumps(asdict(CLASSIFIER)), "outdated"),
        (json.dumps({**asdict(CLASSIFIER), "model_sha256": "0" * 64}), "outdated"),
    ],
)
def test_damaged_or_outdated_result_is_a_note(run: Run, content: str, says: str) -> None:
    (run.folder / "classifier.json").write_text(content)
    page = page_of(run)
    note = text(page.one("ul[@class='note']"))
    assert note.startswith("classifier.json is skipped")
    assert says in note
    assert not page.all("section[@aria-labelledby='classifier-title']")


@pytest.mark.parametrize(("old", "new"), [("epoch", "time"), ("0.", "a."), ("0.", "nan,0.")])
def test_damaged_metrics_are_a_note(run: Run, old: str, new: str) -> None:
    metrics = run.folder / "metrics.csv"
    whole = metrics.read_bytes()
    metrics.write_text(whole.decode().replace(old, new))
    page = page_of(run)
    metrics.write_bytes(whole)
    assert "The losses are skipped" in text(page.one("ul[@class='note']"))
    assert not page.all("div[@class='chart']")


def test_gallery_contains_every_figure(run: Run) -> None:
    autodenoise.runs.draw(run.folder, ["losses"], form="svg")
    autodenoise.runs.draw(run.folder, ["pairs"], form="png")
    (run.folder / "figures/huge.png").write_bytes(bytes(2_100_000))
    (run.folder / "figures/notes.txt").write_text("nothing to see")
    page = page_of(run)
    images = page.all("div[@class='gallery']//img")
    assert [image.get("alt") for image in images] == ["Losses", "Pairs"]
    for image, name in zip(images, ("losses.svg", "pairs.png"), strict=True):
        content = base64.b64decode(image.get("src").partition(",")[2])
        assert content == (run.folder / "figures" / name).read_bytes()
    assert "figures/huge.png is not shown" in text(page.one("ul[@class='note']"))


class StopAfterTheFirstEpoch(CallbackList):
    def epoch(self, row: EpochRow) -> None:
        super().epoch(row)
        signal.raise_signal(signal.SIGINT)


def test_report_of_a_stopped_run_says_how_to_resume(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(RECIPE.replace("[16, 16]", "[8, 8]"))
    with pytest.raises(Interrupted):
        autodenoise.train(tmp_path / "mine.toml", tmp_path / "run", report=StopAfterTheFirstEpoch())
    note = text(Page(tmp_path / "run/report.html").one("p[@class='note']"))
    assert "denoise has 1 of 3 epochs" in note
    assert f"autodenoise train --resume {tmp_path / 'run'}" in note
    autodenoise.resume(tmp_path / "run")
    assert not Page(tmp_path / "run/report.html").all("p[@class='note']")


def test_report_contains_the_recipe_without_folders(tmp_path: Path) -> None:
    np.save(tmp_path / "pictures.npy", np.zeros((8, 8, 8), np.uint8))
    recipe = RECIPE.replace('"digits"', '"pictures.npy"')
    (tmp_path / "mine.toml").write_text(recipe)
    run = autodenoise.train(tmp_path / "mine.toml", tmp_path / "run", epochs=1)
    page = Page(tmp_path / "run/report.html")
    section = page.one("section[@aria-labelledby='recipe-title']")
    assert str(tmp_path) not in text(section)
    (tmp_path / "again.toml").write_text("".join(section.find(".//pre").itertext()))
    assert recipes.load(tmp_path / "again.toml") == run.recipe


@pytest.mark.parametrize(
    ("shape", "network", "floats"),
    [
        ((1, 1), "dense", False),
        ((1, 1, 1), "dense", True),
        ((8, 4, 2), "conv", False),
        ((4, 40, 4), "conv", True),
        ((48, 4, 3), "conv", True),
    ],
)
def test_unusual_images_have_a_report(
    tmp_path: Path, shape: tuple[int, ...], network: str, floats: bool
) -> None:
    random = np.random.default_rng(0)
    samples = random.random((6, *shape))
    np.save(tmp_path / "odd.npy", samples if floats else (samples * 255).astype(np.uint8))
    (tmp_path / "odd.toml").write_text(
        'title = "Odd"\ndata = { source = "odd.npy", validation = "last" }\n'
        f'noise = {{ kind = "salt-pepper", amount = 0.0 }}\nnetwork = {{ name = "{network}" }}\n'
        "phase.denoise = { epochs = 1 }\n"
    )
    run = autodenoise.train(tmp_path / "odd.toml", tmp_path / "run")
    autodenoise.evaluate(run.folder)
    page = Page(run.folder / "report.html")
    printed = text(page.root.find("body"))
    assert not re.search(r"\b(nan|inf|None|undefined)\b", printed)
    shown = pixels(page.one("img[@id='clean']").get("src"))
    channels = shape[2] if len(shape) == 3 else 1
    assert shown.shape == (*shape[:2], 3 if channels == 3 else 1)
    assert ("Only the first of" in printed) == (channels in (2, 4))


def test_large_images_are_cropped_to_limit_the_size_of_the_report(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    clean = random.integers(0, 256, (10, 300, 400, 3), np.uint8)
    np.savez(tmp_path / "large.npz", train=clean[:2], test=clean)
    (tmp_path / "large.toml").write_text(
        'title = "Large"\ndata = { source = "large.npz" }\n'
        'noise = { kind = "gaussian", sigma = 0.1 }\nnetwork = { name = "conv", width = 2 }\n'
        "phase.denoise = { epochs = 1 }\n"
    )
    run = autodenoise.train(tmp_path / "large.toml", tmp_path / "run")
    path = run.folder / "report.html"
    assert path.stat().st_size < 5_000_000
    page = Page(path)
    assert 1 <= len(page.all("fieldset//label")) < 10
    shown = pixels(page.one("img[@id='clean']").get("src"))
    np.testing.assert_array_equal(shown, clean[0, 22:278, 72:328])
    assert "256\N{MULTIPLICATION SIGN}256" in text(page.one("main"))
