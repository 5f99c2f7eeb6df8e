"""Recipes for people's own pictures: what is known of them decides what can be learnt, and how."""

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

# What a network learns that has learnt before: few steps, and small ones.
_GOING_ON = {
    "epochs": 1,
    "optimizer": {"kind": "muon", "learning_rate": 0.001, "adamw_learning_rate": 3e-4},
}


@dataclass(frozen=True)
class OwnData:
    """Somebody's own pictures.

    Attributes
    ----------
    supervision
        What there is of each scene, see `autodenoise.data.spec.Supervision`.
    source
        A folder, or a file.
    targets
        Of pairs, the folder of clean pictures.
    noise
        Of clean pictures, what is put on them; of noisy ones, what they have, where that is known:
        ``gaussian:25`` in 8-bit units, ``poisson:30`` in photons at white, or the file of a noise
        profile. ``gaussian:0-55`` and the like are drawn for each clean picture. Empty: what the
        recipe says.
    start
        What training goes on from, see `autodenoise.recipes.Recipe`; empty: random weights.
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
        """A name for what is learnt from them: that of the folder or file."""
        source = self.source.resolve()
        return as_name(source.name if source.is_dir() else source.stem)


def template(own: OwnData) -> dict[str, Any]:
    """Give the table of the recipe for pictures of this kind, without the pictures."""
    file = resources.files(__package__).joinpath("own", f"{own.supervision}.toml")
    table = tomllib.loads(file.read_text("utf-8"))
    if own.start:
        card = model_file.read_card(runtime.find_model(own.start))
        inferred = ("channels", "size", "black", "white")
        known = {key: value for key, value in card.arguments.items() if key not in inferred}
        table["network"] = {"name": card.network, **known}
        for phase in table["phase"].values():
            phase |= _GOING_ON
    return {"name": own.name, **table}


def applied(table: Mapping[str, Any], own: OwnData) -> dict[str, Any]:
    """Give the table of a recipe that learns from somebody's own pictures.

    Parameters
    ----------
    table
        Of a recipe, as TOML has it: its network, phases and noise stay. What is learnt from clean
        pictures in it is learnt by the objective for what there is.
    own
        The pictures.
    """
    kept = ("crop", "samples", "normalize", "shrink", "shuffle_channels", "gray", "size", "copies")
    before = table.get("data", {})
    data = {
        **{key: before[key] for key in kept if key in before},
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
    instead, phases = _objective(own), table.get("phase")
    # What is no table is told of when the recipe is checked.
    if instead is not None and isinstance(phases, dict):
        changed["phase"] = {
            name: {**phase, "objective": instead, "loss": "mse"}
            if isinstance(phase, dict)
            else phase
            for name, phase in phases.items()
        }
    return changed


def _objective(own: OwnData) -> str | None:
    """Say by which objective such pictures are learnt from; None: that of the recipe."""
    if own.supervision == "repeats":
        return "noise2noise"
    if own.supervision == "noisy-only":
        return "recorrupted"
    return None


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
