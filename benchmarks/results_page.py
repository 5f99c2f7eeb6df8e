"""Write docs/results.md: our models, the baselines measured here, and published scores.

    python benchmarks/results_page.py
    python benchmarks/results_page.py --check    # exits with 1 if the page is out of date

Measured scores come from ``results/scores-*.json``, which ``scores.py`` writes; published scores
from ``published.toml``.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from _results import FOLDER as RESULTS

from autodenoise.benchmark.baselines import BASELINES, INPUT
from autodenoise.benchmark.report import markdown_table
from autodenoise.plots import figure as figures
from autodenoise.plots.score_plot import Point, quality_against_speed

DOCS = Path(__file__).parent.parent / "docs"
PUBLISHED = Path(__file__).with_name("published.toml")
PAGE, FIGURE = "results.md", "figures/quality-against-speed.svg"
DATASETS = {
    "set12": "Set12, 12 gray images",
    "bsd68": "BSD68, 68 gray images",
    "cbsd68": "CBSD68, 68 color images",
    "kodak24": "Kodak24, 24 color images",
    "mcmaster": "McMaster, 18 color images",
}
SIGMAS = (15, 25, 50)

# Earlier result files call a known noise level "told".
_LEVELS = {"told": "known"}

_MARK = "<!-- Written by: python benchmarks/results_page.py -->\n"

_INTRODUCTION = """\
PSNR in dB for white Gaussian noise of sigma 15, 25 and 50 (of 255), sorted by the score at 25.
**Ours** (our models) and **here** (classical baselines) were measured with `autodenoise` by the
[protocol](#the-protocol) that the papers follow. **Published** scores are quoted from the papers;
~ marks those quoted from memory. The noise level is **blind** for one denoiser that handles all
noise levels without being given any, and **known** for one that is given the true sigma, or for a
network trained for that sigma only, which is an advantage.
"""

_LIMITATIONS = """\
## Limitations

- **Cameras do not produce white Gaussian noise.** Their noise depends on the brightness, passes
  through demosaicing and JPEG compression, and is correlated between neighboring pixels. A network
  trained on white noise leaves much of it in the image, so a higher score here does not imply a
  better photograph. If you have noisy images and clean versions of them, measure on those:
  `autodenoise benchmark --pairs noisy/ clean/ --baselines all`. On real noise a 3x3 median beats
  several published methods, which is why every table includes it.
- **PSNR favors smooth images.** It rewards averaging over unknown detail, so sharper images may
  score lower. The result files also contain SSIM, and the crops of a report show what both numbers
  hide.
- **Small differences mean little.** Papers that drew their noise in MATLAB have other noise than
  NumPy's, which alone changes scores by 0.01 to 0.03 dB. The datasets are small, and the Berkeley
  images were stored as JPEG, so no clean image is perfectly clean.
- **These datasets have been used for years.** Our models were neither trained nor tuned on them,
  and the baselines were tuned on bsds-val32 (`benchmarks/baseline_settings.py`). But the field has
  selected its methods by their scores on these datasets.
- **Speed was measured on one machine**, on small images, one at a time, without a GPU, and possibly
  with other load. Multiply-adds are independent of that, but they are not a time.
"""

_PROTOCOL = """\
## The protocol

For each image, a new `RandomState(0)` of NumPy draws `normal(0, sigma/255, (H, W, C))`, which is
added to the image in [0, 1], in RGB order. The noisy image is neither clipped nor rounded. A
denoiser's output is clamped to [0, 1] and rounded to 8 bits. PSNR has a peak of 255, pools squared
errors over pixels and channels, and includes borders; scores are averaged over images. Gray
datasets are scored on their gray files, color datasets in RGB. The noisy image itself is scored
without clamping and rounding. To measure such a table yourself:

    autodenoise benchmark set12 --noise gaussian:25 --models all --baselines all -o report/
"""


@dataclass(frozen=True)
class TableRow:
    """A row of a dataset's table.

    Attributes
    ----------
    name
        Name of the method.
    kind
        ``ours``, ``here`` or ``published``.
    level
        What it knows about the noise level.
    psnr
        In dB, for each of `SIGMAS`.
    mark
        Prefix of each score.
    parameters, macs, speed
        Formatted.
    """

    name: str
    kind: str
    level: str
    psnr: tuple[float, ...]
    mark: str = ""
    parameters: str = "-"
    macs: str = "-"
    speed: str = "-"

    def cells(self) -> list[str]:
        """Return the formatted cells."""
        name = f"**{self.name}**" if self.kind == "ours" else self.name
        scores = [f"{self.mark}{psnr:.2f}" for psnr in self.psnr]
        return [name, self.kind, self.level, *scores, self.parameters, self.macs, self.speed]


def measured(result: dict[str, Any]) -> list[TableRow]:
    """Return the rows of a result file."""
    scores: dict[str, dict[str, dict[str, Any]]] = {}
    for one in result["scores"]:
        scores.setdefault(one["denoiser"], {})[one["noise"]] = one
    table = []
    for name, by_noise in scores.items():
        model = result["models"].get(name)
        rows = [by_noise[f"gaussian:{sigma}"] for sigma in SIGMAS]
        table.append(
            TableRow(
                name=name,
                kind="ours" if model else "here",
                level=_LEVELS.get(rows[0]["noise_level"], rows[0]["noise_level"]) or "-",
                psnr=tuple(row["psnr"] for row in rows),
                parameters=_millions(model["parameters"]) if model else "-",
                macs=f"{model['macs_per_pixel'] / 1000:.1f}k" if model else "-",
                speed="-" if name == INPUT else f"{rows[1]['mp_per_s']:.2g}",
            )
        )
    return table


def published(content: dict[str, Any], name: str) -> list[TableRow]:
    """Return the published rows of a dataset."""
    rows = []
    for method in content["method"]:
        recalled = method.get("recalled", [])
        if name in method:
            rows.append(
                TableRow(
                    name=method["name"],
                    kind="published",
                    level=method["level"],
                    psnr=tuple(method[name]),
                    mark="~" if name in recalled else "",
                    parameters=method.get("parameters", "-"),
                    macs=("~" if "macs" in recalled else "") + method.get("macs", "-"),
                )
            )
    return rows


def build(results: Path = RESULTS) -> dict[str, str]:
    """Return the content of all files by their path in docs/."""
    content = tomllib.loads(PUBLISHED.read_text("utf-8"))
    found = {
        name: json.loads(path.read_text("utf-8"))
        for name in DATASETS
        if (path := results / f"scores-{name}.json").exists()
    }
    parts = [_MARK, "# Results\n", _INTRODUCTION]
    if found:
        parts.append(
            f"![PSNR at sigma 25 against megapixels per second]({FIGURE})\n",
        )
    for name, title in DATASETS.items():
        parts.append(section(title, published(content, name), found.get(name)))
    parts += [
        without_clean(content, results / "objectives.json"),
        _LIMITATIONS,
        _PROTOCOL,
        _baselines() if found else "",
        _sources(content),
    ]
    files = {PAGE: "\n".join(part for part in parts if part)}
    if found:
        files[FIGURE] = draw(found)
    return files


def section(title: str, rows: list[TableRow], result: dict[str, Any] | None) -> str:
    """Return the section of a dataset."""
    rows = rows + (measured(result) if result else [])
    rows.sort(key=lambda row: -row.psnr[SIGMAS.index(25)])
    headings = ["method", "from", "noise level", *(f"sigma {sigma}" for sigma in SIGMAS)]
    headings += ["parameters", "MAC/pixel", "MP/s here"]
    source = "All of these are published; nothing was measured here yet.\n"
    if result:
        machines = " and ".join(
            f"{one['cores']} cores of {one['processor']}, {one['system']}, "
            f"ONNX Runtime {one['onnxruntime']}"
            for one in result["environments"]
        )
        file = f"scores-{result['set']}.json"
        source = (
            f"Measured by `{result['command']}` on {machines}; SSIM and seconds are in "
            f"[{file}](../benchmarks/results/{file}).\n"
        )
    return f"## {title}\n\n{markdown_table(headings, [row.cells() for row in rows])}\n{source}"


def without_clean(content: dict[str, Any], file: Path) -> str:
    """Return the section on training without clean images."""
    rows = [
        [
            one["name"],
            "published",
            one["set"],
            f"{'~' if one.get('recalled') else ''}{one['psnr']:.2f}",
        ]
        for one in content["without_clean"]
    ]
    runs = json.loads(file.read_text("utf-8"))["runs"] if file.exists() else []
    for run in runs:
        for name, psnr in run["psnr"].items():
            rows.append(
                [f"**{run['objective']}**", "ours", DATASETS[name].split(",")[0], f"{psnr:.2f}"]
            )
    rows.sort(key=lambda row: (row[2], -float(row[3].strip("~"))))
    table = markdown_table(["method", "from", "set", "sigma 25"], rows)
    return f"## Trained without clean images\n\n{table}{_WITHOUT_CLEAN if runs else ''}"


_WITHOUT_CLEAN = """
**Ours**: the fast network, trained for noise of sigma 25 only, with the same number of steps on the
same photos (far fewer than in the papers), by `python benchmarks/objectives.py`
([objectives.json](../benchmarks/results/objectives.json)). Except for *supervised*, training uses
no clean pixel: noise was added to each photo once (twice for *noise2noise*), and the clean photo
was discarded. *recorrupted* is given the noise level. [Training objectives](objectives.md) explains
each.
"""


def draw(found: dict[str, dict[str, Any]]) -> str:
    """Draw PSNR against speed at sigma 25 as SVG, one panel per dataset."""
    panels: dict[str, list[Point]] = {}
    for key, result in found.items():
        for one in result["scores"]:
            name = one["denoiser"]
            if one["noise"] == "gaussian:25" and name != INPUT:
                point = Point(name, one["mp_per_s"], one["psnr"], name in result["models"])
                panels.setdefault(DATASETS[key], []).append(point)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "figure.svg"
        figures.save(quality_against_speed(panels, "Quality against speed at sigma 25"), file)
        return file.read_text("utf-8")


def outdated(files: dict[str, str], folder: Path = DOCS) -> list[str]:
    """Return the files that are missing, outdated or no longer written."""
    existing = {
        name: (folder / name).read_text("utf-8")
        for name in (PAGE, FIGURE)
        if (folder / name).exists()
    }
    return sorted(name for name in {*files, *existing} if files.get(name) != existing.get(name))


def _millions(count: int) -> str:
    return f"{count / 1e6:.2f} M"


def _baselines() -> str:
    lines = [f"- {name}: {one.about}\n" for name, one in BASELINES.items()]
    return f"## Baselines measured here\n\n{''.join(lines)}"


def _sources(content: dict[str, Any]) -> str:
    methods: dict[str, list[str]] = {}
    for one in [*content["method"], *content["without_clean"]]:
        names = methods.setdefault(one["source"], [])
        if one["name"] not in names:
            names.append(one["name"])
    lines = [f"- {'; '.join(names)}: {source}\n" for source, names in methods.items()]
    return f"## Sources of the published scores\n\n{''.join(lines)}"


def main() -> None:
    """Write the page, or check it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    files = build()
    if not options.check:
        for name, text in files.items():
            (DOCS / name).write_text(text, "utf-8")
    stale = outdated(files)
    if stale:
        sys.exit(f"out of date in docs: {', '.join(stale)}")


if __name__ == "__main__":
    main()
