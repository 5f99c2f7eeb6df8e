"""Recipes for a user's own data: the kind of supervision determines the objective."""

from __future__ import annotations

import dataclasses
import re
import tomllib
import warnings
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autodenoise import runtime
from autodenoise.errors import UsageError
from autodenoise.noise import Gaussian, Poisson
from autodenoise.recipes.noise_profile import noise_from
from autodenoise.recipes.renamed import RENAMED_VALUES
from autodenoise.runtime import model_file
from autodenoise.runtime.card import as_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from autodenoise.data.spec import Supervision
    from autodenoise.noise import AnyNoise

__all__ = ["OwnData", "applied", "template"]

_NUMBER = r"\d+(?:\.\d+)?"
_STRENGTH = re.compile(rf"(gaussian|poisson):({_NUMBER})(?:-({_NUMBER}))?")

# The objective by supervision; otherwise the recipe's.
_OBJECTIVES = {"repeats": "noise2noise", "noisy-only": "recorrupted"}

# Settings of a recipe's own data that are kept for other data.
_KEPT = ("crop", "samples", "normalize", "shrink", "shuffle_channels", "gray", "size", "copies")

# A trained network needs few steps, and small ones.
_FINE_TUNING = {
    "epochs": 1,
    "optimizer": {"kind": "muon", "learning_rate": 0.001, "adamw_learning_rate": 3e-4},
}


@dataclass(frozen=True)
class OwnData:
    """A user's own image files, and what is known about them.

    Attributes
    ----------
    supervision
        What the files contain of each sample, see `autodenoise.data.spec.Supervision`.
    source
        A folder or a file.
    targets
        For paired data, the folder of clean images.
    noise
        The noise to add to clean images, or the known noise of noisy ones: ``gaussian:25`` in 8-bit
        units, ``poisson:30`` in photons at white, or the file of a noise profile. A range such as
        ``gaussian:0-55`` is drawn for each clean image. Empty: the recipe's noise.
    start
        The weights to start from, see `autodenoise.recipes.Recipe`; empty: random weights.
    """

    supervision: Supervision
    source: Path
    targets: Path | None = None
    noise: str = ""
    start: str = ""

    def __post_init__(self) -> None:
        current = RENAMED_VALUES["data.supervision"].get(self.supervision)
        if current is not None:
            message = f"OwnData: supervision '{self.supervision}' is now called '{current}'"
            warnings.warn(message, DeprecationWarning, stacklevel=3)
            object.__setattr__(self, "supervision", current)
        if self.noise and self.supervision in ("paired", "repeats"):
            raise UsageError(
                "noise is for clean or noisy-only images, not for supervision = "
                f"'{self.supervision}', which shows the noise"
            )

    @property
    def name(self) -> str:
        """The name of the folder or file, as the name of the run."""
        source = self.source.resolve()
        return as_name(source.name if source.is_dir() else source.stem)


def template(own: OwnData) -> dict[str, Any]:
    """Return the recipe for data of this kind, as a TOML table without the data."""
    file = resources.files(__package__).joinpath("own", f"{own.supervision}.toml")
    table = tomllib.loads(file.read_text("utf-8"))
    if own.start:
        card = model_file.read_card(runtime.find_model(own.start))
        inferred = ("channels", "size", "black", "white")
        known = {key: value for key, value in card.arguments.items() if key not in inferred}
        table["network"] = {"name": card.network, **known}
        for phase in table["phase"].values():
            phase |= _FINE_TUNING
    return {"name": own.name, **table}


def applied(table: Mapping[str, Any], own: OwnData) -> dict[str, Any]:
    """Return a recipe, as a TOML table, changed to train on a user's own data.

    Its network, phases and noise stay; its objective changes to one that suits the supervision.
    """
    before = table.get("data", {})
    data = {
        **{key: before[key] for key in _KEPT if key in before},
        "source": str(own.source.resolve()),
        "supervision": own.supervision,
        "validation": "random",
        "share": 0.1,
    }
    if own.targets is not None:
        data["targets"] = str(own.targets.resolve())
    changed = {**table, "data": data, "printed": {}}
    if own.noise:
        changed["noise"] = [dataclasses.asdict(_noise(own.noise))]
    elif own.supervision != "clean":
        changed["noise"] = []
    if own.start:
        changed["start"] = own.start
    instead, phases = _OBJECTIVES.get(own.supervision), table.get("phase")
    # Validation of the recipe reports values that are not tables.
    if instead is not None and isinstance(phases, dict):
        changed["phase"] = {
            name: {**phase, "objective": instead, "loss": "mse"}
            if isinstance(phase, dict)
            else phase
            for name, phase in phases.items()
        }
    return changed


def _noise(text: str) -> AnyNoise:
    if text.endswith(".toml"):
        return noise_from(Path(text))
    found = _STRENGTH.fullmatch(text)
    if found is None:
        raise UsageError(
            f"noise is '{text}'; expected gaussian:25, gaussian:0-55, poisson:30 (photons at "
            "white), or the .toml file of a noise profile"
        )
    kind, low, high = found.groups()
    unit = 255 if kind == "gaussian" else 1
    ends = [float(end) / unit for end in (low, high) if end is not None]
    strength = ends[0] if len(ends) == 1 else (ends[0], ends[1])
    return Gaussian(strength) if kind == "gaussian" else Poisson(strength)
