"""Write the page of all recipe keys from the classes that define them."""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
from typing import Any

from autodenoise.data.spec import DataSpec
from autodenoise.nets import NETWORKS
from autodenoise.noise import NOISES
from autodenoise.noise.mixture import MixturePart
from autodenoise.recipes import Recipe
from autodenoise.recipes.search_space import Range
from autodenoise.training.optimizers import OPTIMIZERS, Adam
from autodenoise.training.phases import Phase
from autodenoise.training.schedules import SCHEDULES, Constant

_NEEDED = inspect.Parameter.empty

# Tables have headings of their own.
_TABLES = ("data", "noise", "network", "phase", "search", "printed")
# Arguments of networks that follow from the data.
_FOLLOWING = ("channels", "size", "black", "white")

_INTRODUCTION = """\
# All keys of a recipe

A recipe is a TOML file with the tables `[data]`, `[[noise]]`, `[network]` and `[phase.NAME]`, and
a few keys above them. `autodenoise train my.toml` runs it; `--set noise.sigma=0.1` changes one key
of any recipe; `autodenoise describe my.toml` describes it in plain English. The [built-in
recipes](README.md) are examples. A dash means no default value.
"""

_NOISES = """\
## Noise

Each `[[noise]]` has a `kind`; several are applied in order. Strengths are in units of the intensity
range: 0 is black, 1 is white. A strength is one number, or `[low, high]`, drawn uniformly for each
image. `clip = true` clips the noisy image to the intensity range.
"""

_NETWORKS = """\
## Network

`[network]` has a `name`. The number of channels, and the image size if it matters, follow from the
data. The [pages of the built-in recipes](README.md) show their networks.
"""

_PHASES = """\
## Phases

One table `[phase.NAME]` per phase, in order; each continues with the weights of the previous one.
"""


def keys() -> str:
    """Return the page."""
    parts = [
        _INTRODUCTION,
        "## Top-level keys\n",
        table(Recipe, without=_TABLES),
        "## Data\n",
        table(DataSpec),
        _NOISES,
        *(section(f"`{kind}`", noise) for kind, noise in NOISES.items()),
        section("A part of a mixture", MixturePart),
        _NETWORKS,
        *(section(f"`{name}`", network, without=_FOLLOWING) for name, network in NETWORKS.items()),
        _PHASES,
        table(Phase),
        "### Optimizers\n",
        *(section(f"`{kind}`", optimizer, level=4) for kind, optimizer in OPTIMIZERS.items()),
        "### Schedules\n",
        *(section(f"`{kind}`", schedule, level=4) for kind, schedule in SCHEDULES.items()),
        "## Search\n",
        "`[search]` lists what `autodenoise tune` varies, by dotted key: choices or a range.\n",
        table(Range),
        "[All recipes](README.md)\n",
    ]
    return "\n".join(parts)


def section(title: str, described: type, level: int = 3, without: tuple[str, ...] = ()) -> str:
    """Write of one class what it is, and its keys."""
    said = _in_markdown(_sections(described)[""])
    return "\n".join([f"{'#' * level} {title}\n", f"{said}\n", table(described, without)])


def table(described: type, without: tuple[str, ...] = ()) -> str:
    """Write a class's keys with their defaults and what its docstring says of each, if it does."""
    told = _told(described)
    rows = [["key", "default", "meaning"], ["---"] * 3]
    for key, default in _defaults(described).items():
        if key not in ("kind", *without):
            rows.append([f"`{key}`", _default(default), told.get(key, "")])
    columns = 3 if told else 2
    lines = (f"| {' | '.join(row[:columns])} |\n" for row in rows)
    return "".join(lines) if len(rows) > 2 else ""


def _defaults(described: type) -> dict[str, Any]:
    if dataclasses.is_dataclass(described):
        return {
            field.name: (
                field.default_factory()
                if field.default_factory is not dataclasses.MISSING
                else _NEEDED
                if field.default is dataclasses.MISSING
                else field.default
            )
            for field in dataclasses.fields(described)
        }
    parameters = inspect.signature(described).parameters.values()
    return {parameter.name: parameter.default for parameter in parameters}


def _default(value: Any) -> str:
    if value is _NEEDED:
        return "needed"
    if value is None or value == "":
        return "-"
    if isinstance(value, Adam | Constant):
        return f'`{{ kind = "{value.kind}" }}`'
    text = json.dumps(value)
    return f"`{text}`" if len(text) < 40 else "a small one"


def _sections(described: type) -> dict[str, str]:
    """Take a numpydoc text apart by its headings; what stands before the first is under ``""``."""
    pieces = re.split(r"^(\w+)\n-+$", inspect.getdoc(described) or "", flags=re.MULTILINE)
    return {"": pieces[0], **dict(zip(pieces[1::2], pieces[2::2], strict=True))}


def _told(described: type) -> dict[str, str]:
    sections = _sections(described)
    entries = sections.get("Attributes", sections.get("Parameters", ""))
    told = {}
    for names, text in re.findall(r"^(\S.*)\n((?:    .*\n?|\n)+)", entries, flags=re.MULTILINE):
        for name in names.split(", "):
            told[name] = _in_markdown(text)
    return told


def _in_markdown(text: str) -> str:
    paragraphs = re.split(r"\n\s*\n", text.strip())
    return "\n\n".join(" ".join(part.split()) for part in paragraphs).replace("``", "`")
