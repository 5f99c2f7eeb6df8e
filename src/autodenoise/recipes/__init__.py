"""Recipes: TOML files that say what to train, on what, how; and the built-in ones.

A recipe states only what differs from the defaults. It is checked once, here, and becomes frozen
objects; an unknown key is an error that names the nearest known one.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import tomli_w
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError, create_model

from autodenoise.errors import InputError, UsageError, unknown_name
from autodenoise.learning.data import SOURCES, Data
from autodenoise.learning.loop import Phase
from autodenoise.learning.optim import OPTIMIZERS, SCHEDULES
from autodenoise.nets import NETWORKS
from autodenoise.noise import (
    NOISES,
    Blur,
    Gaussian,
    Jpeg,
    Poisson,
    PoissonGaussian,
    SaltPepper,
    Speckle,
    Uniform,
)

__all__ = ["AnyNoise", "FigureName", "Network", "Recipe", "builtin_names", "dump", "load"]

# Strict: "5" is not 5. Forbid: a typo is an error. Holds for the dataclasses inside a recipe too.
_CONFIG = ConfigDict(extra="forbid", strict=True)

AnyNoise = Annotated[
    Blur | Gaussian | Jpeg | Poisson | PoissonGaussian | SaltPepper | Speckle | Uniform,
    Field(discriminator="kind"),
]
"""Any corruption, as recipes write it: a table with a ``kind``."""


FigureName = Literal[
    "pairs",
    "reconstructed",
    "denoised",
    "classes",
    "triptychs",
    "degradation",
    "losses",
    "diagram",
]
"""The figures that can be drawn of a run, see `autodenoise.runs.drawing`."""


@dataclass(frozen=True)
class Network:
    """An architecture of `autodenoise.nets.NETWORKS` and its keywords.

    Channels, and the size where an architecture has one, come from the data unless given.
    """

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.name not in NETWORKS:
            raise unknown_name("network", self.name, NETWORKS)
        # The constructor's signature is the schema.
        signature = inspect.signature(NETWORKS[self.name], eval_str=True)
        fields: dict[str, Any] = {
            keyword.name: (keyword.annotation, keyword.default)
            for keyword in signature.parameters.values()
        }
        model = create_model("network", __config__=_CONFIG, **fields)
        try:
            checked = model.model_validate_json(json.dumps(dict(self.arguments)))
        except ValidationError as error:
            raise UsageError(_explain(error, list(fields), "network")) from None
        arguments = checked.model_dump(exclude_unset=True)
        for key, value in arguments.items():
            counts = value if isinstance(value, tuple) else (value,)
            if not counts or any(isinstance(count, int) and count < 1 for count in counts):
                raise UsageError(f"network.{key} is {value!r}; expected numbers from 1 up")
        object.__setattr__(self, "arguments", arguments)


@dataclass(frozen=True)
class Recipe:
    """All that decides a training run.

    Attributes
    ----------
    title, source
        What it is in a few words, and where it is from.
    data
        The images.
    noise
        Corruptions, one after the other.
    network
        What is trained.
    phase
        The stretches of training by name, in order.
    validation
        Whether the validation loss is of ``noisy`` images or, as one tutorial has it, of ``clean``.
    keep
        Which weights become the model file: the ``last``, or those of the ``best`` validation loss.
        The best of many epochs flatters itself where validation and test images are the same.
    seed
        What every random choice follows from.
    licence
        Of the weights, for the model's card.
    about
        What it is, in some lines.
    printed
        What its source prints: phase to epoch to validation loss.
    figures
        What ``autodenoise figures`` draws of a run.
    name
        Of the recipe; by default that of its file.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _CONFIG

    title: str
    data: Data
    noise: tuple[AnyNoise, ...]
    network: Network
    phase: dict[str, Phase]
    source: str = ""
    validation: Literal["noisy", "clean"] = "noisy"
    keep: Literal["last", "best"] = "last"
    seed: int = 0
    licence: str = ""
    about: str = ""
    printed: dict[str, dict[int, float]] = field(default_factory=dict)
    figures: tuple[FigureName, ...] = ("denoised", "losses")
    name: str = "recipe"

    def __post_init__(self) -> None:
        if not self.noise or not self.phase:
            raise UsageError("a recipe needs at least one noise and one phase")
        if self.seed < 0:
            raise UsageError(f"seed is {self.seed}; expected 0 or more")
        for phase in self.printed:
            if phase not in self.phase:
                raise unknown_name("phase in printed:", phase, self.phase)


def builtin_names() -> list[str]:
    """List the built-in recipes."""
    files = resources.files(__name__).iterdir()
    return sorted(file.name.removesuffix(".toml") for file in files if file.name.endswith(".toml"))


def load(
    recipe: str | Path,
    overrides: Iterable[str] = (),
    *,
    epochs: int | None = None,
    seed: int | None = None,
) -> Recipe:
    """Read a recipe.

    Parameters
    ----------
    recipe
        A built-in name, or the path of a ``.toml`` file.
    overrides
        Settings such as ``"noise.sigma=0.5"`` or ``"phase.denoise.epochs=3"``; the value is TOML,
        or a bare word. A list of one entry needs no index: ``noise.sigma`` is ``noise.0.sigma``.
    epochs
        Train each phase for this many instead.
    seed
        Use this one instead.

    Raises
    ------
    UsageError
        No recipe has this name; a key is unknown, or a value of the wrong type or out of range.
    InputError
        The file is missing or is not TOML.
    """
    name, text = _find(recipe)
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{recipe} is not TOML: {error}") from None
    _find_data(table, Path(recipe).parent)
    resolved = _build({"name": name, **table}, where=str(recipe))
    overrides = tuple(overrides)
    settings = [_setting(override) for override in overrides]
    if epochs is not None:
        if epochs < 1:
            raise UsageError(f"epochs is {epochs}; expected at least 1")
        settings += [(f"phase.{phase}.epochs", epochs) for phase in resolved.phase]
    if seed is not None:
        settings.append(("seed", seed))
    if not settings:
        return resolved
    # Onto the resolved recipe, so that a setting can change one key of a default.
    full = _as_table(resolved)
    if overrides:
        # What the source printed is of the recipe as it was.
        full["printed"] = {}
    for key, value in settings:
        _override(full, key, value)
    _find_data(full, Path())
    return _build(full, where="--set")


def dump(recipe: Recipe) -> str:
    """Write a recipe out in full, as TOML that `load` reads back to an equal one."""
    return tomli_w.dumps(_as_table(recipe))


def _find(recipe: str | Path) -> tuple[str, str]:
    if isinstance(recipe, str) and not recipe.endswith(".toml"):
        if recipe not in builtin_names():
            raise unknown_name("recipe", recipe, builtin_names())
        return recipe, resources.files(__name__).joinpath(f"{recipe}.toml").read_text("utf-8")
    path = Path(recipe)
    try:
        return path.stem, path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise InputError(f"cannot read the recipe {path}: {reason}") from None


def _find_data(table: dict[str, Any], folder: Path) -> None:
    """Make a relative path of the data absolute, so that the run can be moved to and gone on with.

    In a recipe file it is relative to that file, in a setting to the working folder.
    """
    data = table.get("data")
    if not isinstance(data, dict):
        return
    source = data.get("source")
    if isinstance(source, str) and source not in SOURCES and (folder / source).exists():
        data["source"] = str((folder / source).resolve())


def _setting(override: str) -> tuple[str, Any]:
    key, sign, value = override.partition("=")
    if not sign or not key.strip():
        raise UsageError(f"--set {override}: expected key=value, such as noise.sigma=0.5")
    try:
        return key.strip(), tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key.strip(), value.strip()


def _override(table: dict[str, Any], key: str, value: Any) -> None:
    *path, last = key.split(".")
    place: Any = table
    for step in path:
        place = _enter(place, step, key)
    if isinstance(place, list) and len(place) == 1 and not last.isdigit():
        place = place[0]
    if not isinstance(place, dict):
        raise UsageError(f"--set {key}: '{last}' is inside something that is no table")
    if last == "kind" and place.get("kind") != value:
        # Another kind has other keys: only what is set after this stays.
        place.clear()
    place[last] = value


def _enter(place: Any, step: str, key: str) -> Any:
    if isinstance(place, list):
        if step.isdigit() and int(step) < len(place):
            return place[int(step)]
        if len(place) == 1:
            return _enter(place[0], step, key)
        raise UsageError(
            f"--set {key}: there are {len(place)} entries; say which by its index, from 0"
        )
    if not isinstance(place, dict) or step not in place:
        known = place if isinstance(place, dict) else {}
        raise unknown_name(f"key in --set {key}:", step, known)
    return place[step]


def _as_table(recipe: Recipe) -> dict[str, Any]:
    table: dict[str, Any] = _plain(dataclasses.asdict(recipe))
    table["network"] = {"name": recipe.network.name, **table["network"]["arguments"]}
    return table


def _plain(value: Any) -> Any:
    """Turn dataclass values into what TOML can say: no None, lists for tuples."""
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items() if entry is not None}
    if isinstance(value, tuple | list):
        return [_plain(entry) for entry in value]
    return value


def _build(table: dict[str, Any], where: str) -> Recipe:
    """Check a table and make the recipe."""
    values = dict(table)
    if isinstance(values.get("noise"), dict):
        values["noise"] = [values["noise"]]
    if isinstance(values.get("network"), dict):
        arguments = dict(values["network"])
        values["network"] = {"name": arguments.pop("name", None), "arguments": arguments}
    try:
        # By way of JSON, whose arrays and objects strict checking takes for tuples and dataclasses.
        return TypeAdapter(Recipe).validate_json(json.dumps(values, default=str))
    except ValidationError as error:
        raise UsageError(f"{where}: {_explain(error, _known_keys(error))}") from None
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from None


def _explain(error: ValidationError, known: list[str], owner: str = "") -> str:
    """Say in one line what the first thing wrong is, and what would be right."""
    first = error.errors()[0]
    place = [owner, *first["loc"]] if owner else [*first["loc"]]
    # The kind of a corruption or optimiser is in pydantic's place, but not in the file's.
    # So are the types of a value that may be of several.
    steps = [
        str(step)
        for step in place
        if step not in _KINDS and step != "float" and not str(step).startswith("tuple[")
    ]
    key = ".".join(steps)
    match first["type"]:
        case "extra_forbidden" | "unexpected_keyword_argument":
            table = ".".join(steps[:-1]) or "the recipe"
            return str(unknown_name(f"key in {table}:", steps[-1], known))
        case "union_tag_invalid":
            return str(unknown_name(f"kind in {key}:", str(first["ctx"]["tag"]), _kinds(steps)))
        case "union_tag_not_found":
            return f"{key} needs a kind, one of: {', '.join(_kinds(steps))}"
        case "missing" | "missing_argument":
            return f"{key} is missing"
        case _:
            return f"{key} is {first['input']!r}: {first['msg'][0].lower()}{first['msg'][1:]}"


_KINDS: dict[str, type] = {**NOISES, **OPTIMIZERS, **SCHEDULES}


def _kinds(steps: list[str]) -> list[str]:
    tables = {"noise": NOISES, "optimizer": OPTIMIZERS, "schedule": SCHEDULES}
    return next((list(tables[step]) for step in reversed(steps) if step in tables), [])


def _known_keys(error: ValidationError) -> list[str]:
    """List the keys of the table in which the first thing is wrong."""
    place = error.errors()[0]["loc"][:-1]
    kind = next((step for step in reversed(place) if step in _KINDS), None)
    owner: type
    if kind is not None:
        owner = _KINDS[str(kind)]
    elif place:
        owner = Data if place[0] == "data" else Phase
    else:
        owner = Recipe
    return [entry.name for entry in dataclasses.fields(owner)]
