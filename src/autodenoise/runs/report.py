"""Write the report of a run: one self-contained web page."""

from __future__ import annotations

import dataclasses
import json
import math
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from autodenoise import recipes
from autodenoise.errors import InputError
from autodenoise.evaluation.classifier import Accuracy
from autodenoise.evaluation.outliers import Outliers
from autodenoise.evaluation.scores import Comparison, Evaluation
from autodenoise.files import printable, write_text
from autodenoise.metrics import loss_text
from autodenoise.noise_estimation import summary
from autodenoise.noise_estimation.autocorrelation import REACH
from autodenoise.noise_estimation.estimate import QualityEstimate
from autodenoise.noise_estimation.figures import draw_autocorrelation, draw_variances
from autodenoise.plots.figure import inline_svg
from autodenoise.plots.loss_curves import draw_loss_curve
from autodenoise.recipes import description
from autodenoise.runs import results
from autodenoise.runs.report_images import data_uri, report_images
from autodenoise.runs.run import FIGURES_FOLDER

if TYPE_CHECKING:
    from collections.abc import Callable

    from autodenoise.data.splits import Splits
    from autodenoise.plots.loss_curves import LossCurve
    from autodenoise.recipes import Recipe
    from autodenoise.runs.run import Run
    from autodenoise.training.history import EpochRow

__all__ = ["REPORT_NAME", "write"]

REPORT_NAME = "report.html"

_MAX_FIGURE_BYTES = 2_000_000
_RESULTS: dict[str, type[object]] = {
    results.EVALUATION_NAME: Evaluation,
    results.CLASSIFIER_NAME: Accuracy,
    results.OUTLIERS_NAME: Outliers,
    results.COMPARISON_NAME: Comparison,
    results.ESTIMATE_NAME: QualityEstimate,
}
_MEDIA_TYPES = {".png": "image/png", ".svg": "image/svg+xml"}


def write(run: Run, splits: Splits) -> Path:
    """Write ``report.html`` into a run folder with a model file, from the files in it.

    The page shows the first test images. It embeds its images, styles and script, and loads
    nothing. Equal folders lead to equal bytes.
    """
    model = run.model()
    notes = [_without_folders(note, run.recipe) for note in splits.notes]
    curves, rows, finished = [], [], True
    try:
        curves, rows, finished = run.curves(), run.rows, run.is_finished
    except InputError as error:
        notes.append(f"The losses are skipped: {error}.")
    stored: dict[str, object] = {}
    for name, kind in _RESULTS.items():
        stored[Path(name).stem], note = results.read(run.folder, name, kind)
        notes += [note] if note else []
    gallery, left_out = _gallery(run.folder / FIGURES_FOLDER)
    page = _environment().get_template("report.html.j2")
    content = page.render(
        **stored,
        reach=REACH,
        recipe=run.recipe,
        toml=_toml(run.recipe),
        card=model.card,
        splits=splits,
        images=report_images(run, splits, model),
        phases=_phases(run, rows, curves),
        rows=rows,
        gallery=gallery,
        notes=notes + left_out,
        finished=finished,
        environment=run.environment(),
        folder=printable(str(run.folder)),
    )
    path = run.folder / REPORT_NAME
    write_text(path, content)
    return path


def _gallery(folder: Path) -> tuple[list[dict[str, str]], list[str]]:
    """Return the figures in a folder, and notes about those that are too large."""
    figures, notes = [], []
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    for file in files:
        kind = _MEDIA_TYPES.get(file.suffix.lower())
        if kind is None or not file.is_file():
            continue
        place = f"{FIGURES_FOLDER}/{file.name}"
        if file.stat().st_size > _MAX_FIGURE_BYTES:
            megabytes = file.stat().st_size / 1e6
            notes.append(f"{place} is not shown: it is too large ({megabytes:.1f} MB).")
            continue
        caption = file.stem.replace("-", " ").replace("_", " ")
        address = data_uri(kind, file.read_bytes())
        figures.append({"name": place, "caption": caption, "address": address})
    return figures, notes


def _without_folders(text: str, recipe: Recipe) -> str:
    """Replace the paths of the data by their names: reports are shared, and paths are private."""
    for path in filter(None, (recipe.data.source, recipe.data.targets)):
        text = text.replace(path, Path(path).name)
    return text


def _toml(recipe: Recipe) -> str:
    source, targets = (Path(path).name for path in (recipe.data.source, recipe.data.targets))
    data = dataclasses.replace(recipe.data, source=source, targets=targets)
    start = Path(recipe.start).name
    return recipes.dump(dataclasses.replace(recipe, data=data, start=start))


def _phases(run: Run, rows: list[EpochRow], curves: list[LossCurve]) -> list[dict[str, object]]:
    """Describe the phases of training so far, for the page."""
    drawn = {curve.name: curve for curve in curves}
    phases = []
    for name, phase in run.recipe.phase.items():
        of_phase = [row for row in rows if row.phase == name]
        reached = {row.epoch: row.val_loss for row in of_phase}
        curve = drawn.get(name)
        phases.append(
            {
                "name": name,
                "words": description.phase(phase, run.recipe.data),
                "done": len(of_phase),
                "planned": phase.epochs if phase.minutes is None else None,
                "seconds": sum(row.seconds for row in of_phase),
                "curve": curve,
                "chart": curve and Markup(inline_svg(draw_loss_curve(curve), f"losses-{name}")),
                "printed": [
                    (epoch, loss, reached.get(epoch))
                    for epoch, loss in run.recipe.printed.get(name, {}).items()
                ],
            }
        )
    return phases


# --- formatting -----------------------------------------------------------------------


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("autodenoise.runs", "page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(
        number=_number,
        # A loss, None as a dash.
        loss=lambda value: _data(value, loss_text),
        count=lambda number: f"{number:,}",
        duration=_duration,
        capitalize_first=lambda text: text[:1].upper() + text[1:],
        argument=lambda value: (
            ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
        ),
        noises=description.noises,
        holds=description.supervision,
        headline=summary.headline,
        assumption=summary.assumption,
        cautions=summary.cautions,
        parts=summary.parts,
        taken_out=summary.taken_out,
        variances=lambda estimate: Markup(inline_svg(draw_variances(estimate), "variances")),
        autocorrelation=lambda found, name: Markup(
            inline_svg(draw_autocorrelation(found), f"autocorrelation-{name}")
        ),
        source=description.source,
        shell=shlex.quote,
        literal=lambda text: json.dumps(text, ensure_ascii=False),
    )
    return environment


def _number(value: float | None, digits: int, sign: Literal["", "+"] = "") -> str:
    """Format a number with a fixed number of digits, None as a dash."""
    return _data(value, lambda number: f"{number:{sign}.{digits}f}")


def _data(value: float | None, write: Callable[[float], str]) -> str:
    """Format a number as an element that also holds its exact value."""
    if value is None or not math.isfinite(value):
        return "\N{EN DASH}"
    text = write(value).replace("-", "\N{MINUS SIGN}")
    return Markup('<data value="{}">{}</data>').format(repr(value), text)


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
