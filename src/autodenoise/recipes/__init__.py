"""Recipes: TOML files that say what to train, on what, how; and the built-in ones.

A recipe states only what differs from the defaults. It is checked once, here, and becomes frozen
objects; an unknown key is an error that names the nearest known one.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import itertools
import json
import math
import reprlib
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, ClassVar, Literal

import tomli_w
from pydantic import ConfigDict, TypeAdapter, ValidationError, create_model

from autodenoise.data.arrays import SOURCES
from autodenoise.data.spec import DataSpec
from autodenoise.errors import InputError, UsageError, unknown_name
from autodenoise.nets import NETWORKS
from autodenoise.noise import AnyNoise
from autodenoise.recipes.errors import explain, known_keys
from autodenoise.recipes.overrides import by_path, names_a_kind, parse, put
from autodenoise.recipes.own_data import OwnData, applied, template
from autodenoise.recipes.phase_checks import check_phase
from autodenoise.recipes.renamed import new_key, with_new_keys
from autodenoise.recipes.search_space import Range, Space, check, flatten
from autodenoise.runtime.card import expected
from autodenoise.training.phases import Phase

__all__ = [
    "FigureName",
    "Network",
    "OwnData",
    "Recipe",
    "builtin_names",
    "dump",
    "load",
    "settings_of",
    "with_values",
]

# Strict: "5" is not 5. Forbid: a typo is an error. Holds for the dataclasses inside a recipe too.
_CONFIG = ConfigDict(extra="forbid", strict=True)

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
"""The figures that can be drawn of a run, see `autodenoise.runs.figures`."""


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
            raise UsageError(explain(error, list(fields), "network")) from None
        arguments = checked.model_dump(exclude_unset=True)
        for key, value in arguments.items():
            counts = value if isinstance(value, tuple) else (value,)
            # What is not there unless it is told of may be told not to be there.
            least = 0 if signature.parameters[key].default == 0 else 1
            if not counts or any(type(count) is int and count < least for count in counts):
                raise UsageError(f"network.{key} is {value!r}; expected numbers from {least} up")
        object.__setattr__(self, "arguments", arguments)


@dataclass(frozen=True)
class Recipe:
    """All that decides a training run.

    Attributes
    ----------
    title
        What it is, in a few words.
    source
        Where it is from.
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
    start
        A model file, the name of a shipped model or a run whose weights are gone on from; by
        default they are drawn at random.
    keep
        Which weights become the model file: the ``last``, or those of the ``best`` validation loss.
        The best of many epochs flatters itself where validation and test images are the same.
    seed
        What every random choice follows from.
    license
        Of the weights, for the model's card.
    limits
        What the weights are not for, for the model's card.
    about
        What it is, in some lines.
    printed
        What its source prints: phase to epoch to validation loss.
    figures
        What ``autodenoise figures`` draws of a run.
    search
        What ``autodenoise tune`` tries: a range or choices by the path of a setting.
    name
        By default that of its file.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _CONFIG

    title: str
    data: DataSpec
    noise: tuple[AnyNoise, ...]
    network: Network
    phase: dict[str, Phase]
    source: str = ""
    validation: Literal["noisy", "clean"] = "noisy"
    start: str = ""
    keep: Literal["last", "best"] = "last"
    seed: int = 0
    license: str = ""
    limits: str = ""
    about: str = ""
    printed: dict[str, dict[int, float]] = field(default_factory=dict)
    figures: tuple[FigureName, ...] = ("denoised", "losses")
    search: dict[str, Space] = field(default_factory=dict)
    name: str = "recipe"

    def __post_init__(self) -> None:
        if not self.phase:
            raise UsageError("a recipe needs at least one phase")
        if not self.noise and self.data.supervision == "clean":
            raise UsageError("a recipe needs at least one noise, since its pictures are clean")
        for key in ("name", "source", "license", "limits"):
            # The model file says it in one line.
            said = " ".join(getattr(self, key).split())
            if wanted := expected(key, said):
                raise UsageError(f"{key} is {reprlib.repr(said)}; expected {wanted}")
        if self.seed < 0:
            raise UsageError(f"seed is {self.seed}; expected 0 or more")
        for phase in self.printed:
            if phase not in self.phase:
                raise unknown_name("phase in printed:", phase, self.phase)
        for name, part in self.phase.items():
            check_phase(name, part, self.data, self.noise, self.network.name)
        _check_search(self)


def builtin_names() -> list[str]:
    """List the built-in recipes."""
    files = resources.files(__name__).iterdir()
    return sorted(file.name.removesuffix(".toml") for file in files if file.name.endswith(".toml"))


def load(
    recipe: str | Path | None,
    overrides: Iterable[str] = (),
    *,
    own: OwnData | None = None,
    epochs: int | None = None,
    minutes: float | None = None,
    seed: int | None = None,
) -> Recipe:
    """Read a recipe.

    Parameters
    ----------
    recipe
        A built-in name, or the path of a ``.toml`` file; None: one for pictures like `own`.
    overrides
        Settings such as ``"noise.sigma=0.5"`` or ``"phase.denoise.epochs=3"``; the value is TOML,
        or a bare word. A list of one entry needs no index: ``noise.sigma`` is ``noise.0.sigma``.
        What is set is no longer searched, and with a ``kind`` or a table all that is beside or in
        it.
    own
        Learn from these pictures rather than from the recipe's.
    epochs
        Train each phase for this many instead.
    minutes
        Train for so long instead, shared out among the phases by what their epochs cost.
    seed
        Use this one instead.

    Raises
    ------
    UsageError
        No recipe has this name; a key is unknown, or a value of the wrong type or out of range.
    InputError
        The file is missing or is not TOML.
    """
    table = _read(recipe) if recipe is not None else template(_given(own))
    if own is not None:
        table = applied(table, own)
    where = str(own.source if recipe is None and own else recipe)
    overrides = tuple(overrides)
    settings = [
        (new_key(key, "--set"), value) for key, value in (parse(override) for override in overrides)
    ]
    try:
        resolved = _build(table, where=where)
    except UsageError:
        if own is None or not overrides:
            raise
        # What a recipe lacks for other pictures than its own may be among the settings.
        for key, value in settings:
            put(table, key, value, "--set")
        resolved = _build(table, where=where)
    if epochs is not None:
        if epochs < 1:
            raise UsageError(f"epochs is {epochs}; expected at least 1")
        if minutes is not None:
            raise UsageError("either epochs or minutes; not both")
        settings += [(f"phase.{phase}.epochs", epochs) for phase in resolved.phase]
    if minutes is not None and not 0 < minutes < math.inf:
        raise UsageError(f"minutes is {minutes}; expected a number above 0")
    if seed is not None:
        settings.append(("seed", seed))
    if not settings and minutes is None:
        return resolved
    # Onto the resolved recipe, so that a setting can change one key of a default.
    full = _as_table(resolved)
    if overrides:
        # What the source printed is of the recipe as it was.
        full["printed"] = {}
    for key, value in settings:
        place = key.rpartition(".")[0] if names_a_kind(key) else key
        for searched in list(full["search"]):
            if searched == key or searched.startswith(f"{place}."):
                del full["search"][searched]
        put(full, key, value, "--set")
    if epochs is not None:
        for table in full["phase"].values():
            table.pop("minutes", None)
    _find_data(full, Path())
    changed = _build(full, where="--set")
    return changed if minutes is None else _lasting(changed, minutes)


def _given(own: OwnData | None) -> OwnData:
    if own is None:
        raise UsageError(
            "name a recipe, as in: autodenoise train conv-mnist, or pictures of yours, as in: "
            "autodenoise train --noisy photos/"
        )
    return own


def _lasting(recipe: Recipe, minutes: float) -> Recipe:
    """Share minutes out among the phases by what their epochs cost."""
    costs = {
        name: phase.epochs * (phase.crop or recipe.data.crop or 1) ** 2
        for name, phase in recipe.phase.items()
    }
    phases = {
        name: dataclasses.replace(phase, minutes=minutes * costs[name] / sum(costs.values()))
        for name, phase in recipe.phase.items()
    }
    return dataclasses.replace(recipe, phase=phases)


def with_values(recipe: Recipe, values: Mapping[str, Any]) -> Recipe:
    """Give a recipe with other values of some settings, by their paths.

    Raises
    ------
    UsageError
        A setting is unknown, or cannot have this value.
    """
    full = {**_as_table(recipe), "printed": {}}
    # Another kind has other keys, so it comes before them.
    for key in sorted(values, key=lambda key: not names_a_kind(key)):
        put(full, key, values[key], "search")
    return _build(full, where="search")


def settings_of(recipe: Recipe) -> dict[str, Any]:
    """Give every setting by its path, those of the network that have a default included."""
    table = _as_table(recipe)
    signature = inspect.signature(NETWORKS[recipe.network.name])
    defaults = {
        # The data decide on channels and size.
        name: keyword.default
        for name, keyword in signature.parameters.items()
        if name not in ("channels", "size")
    }
    table["network"] = _plain({**defaults, **table["network"]})
    return by_path(table)


def _check_search(recipe: Recipe) -> None:
    """Try every bound and choice of a recipe's search, each by itself."""
    if not recipe.search:
        return
    plain = dataclasses.replace(recipe, search={})
    last = list(recipe.phase)[-1]
    values = {}
    for key, space in recipe.search.items():
        check(key, space)
        values[key] = (space.low, space.high) if isinstance(space, Range) else space
    kinds = {key: choices for key, choices in values.items() if names_a_kind(key)}
    # A setting that only one kind has may be searched beside the kind.
    contexts = [
        dict(zip(kinds, chosen, strict=True)) for chosen in itertools.product(*kinds.values())
    ]
    for key, tried in values.items():
        for value in tried:
            _accept(plain, [{**context, key: value} for context in contexts])
        if not (key.startswith(("network.", "phase.")) or key == "data.copies") or key in (
            f"phase.{last}.loss",
            f"phase.{last}.objective",
        ):
            raise UsageError(
                f"search: with another {key} the validation loss means something else, and trials "
                "cannot be compared; search the network, the phases and data.copies"
            )


def _accept(recipe: Recipe, contexts: list[dict[str, Any]]) -> None:
    errors = []
    for values in contexts:
        try:
            with_values(recipe, values)
        except UsageError as error:
            errors.append(error)
        else:
            return
    raise errors[0]


def dump(recipe: Recipe) -> str:
    """Write a recipe out in full, as TOML that `load` reads back to an equal one."""
    return tomli_w.dumps(_as_table(recipe))


def _read(recipe: str | Path) -> dict[str, Any]:
    name, text = _find(recipe)
    try:
        table = {"name": name, **tomllib.loads(text)}
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{recipe} is not TOML: {error}") from None
    _find_data(table, Path(recipe).parent)
    return table


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
    for key in ("source", "targets"):
        place = data.get(key)
        if not isinstance(place, str) or place in ("", *SOURCES) or not (folder / place).exists():
            continue
        data[key] = str((folder / place).resolve())


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
    values = with_new_keys(table, where)
    if isinstance(values.get("noise"), dict):
        values["noise"] = [values["noise"]]
    if isinstance(values.get("network"), dict):
        arguments = dict(values["network"])
        values["network"] = {"name": arguments.pop("name", None), "arguments": arguments}
    try:
        if isinstance(values.get("search"), dict):
            values["search"] = flatten(values["search"])
        # By way of JSON, whose arrays and objects strict checking takes for tuples and dataclasses.
        return _adapter().validate_json(json.dumps(values, default=str))
    except ValidationError as error:
        raise UsageError(f"{where}: {explain(error, known_keys(error, Recipe))}") from None
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from None


@functools.cache
def _adapter() -> TypeAdapter[Recipe]:
    return TypeAdapter(Recipe)
