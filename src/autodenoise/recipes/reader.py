"""Read recipes, TOML files that say what to train, on which data and how.

A recipe states only what differs from the defaults. It is validated once, here, into frozen
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
    "Recipe",
    "builtin_names",
    "dump",
    "load",
    "settings_of",
    "with_values",
]

# Strict: "5" is not 5. Forbid: a typo is an error. Also applies to dataclasses in a recipe.
_CONFIG = ConfigDict(extra="forbid", strict=True)

FigureName = Literal[
    "pairs", "reconstructed", "denoised", "classes", "triptychs", "degradation", "losses", "diagram"
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
            # An option that is off by default (0) may be set to 0.
            least = 0 if signature.parameters[key].default == 0 else 1
            if not counts or any(type(count) is int and count < least for count in counts):
                raise UsageError(
                    f"network.{key} is {value!r}; expected numbers of at least {least}"
                )
        object.__setattr__(self, "arguments", arguments)


@dataclass(frozen=True)
class Recipe:
    """Everything that determines a training run.

    Attributes
    ----------
    title
        A short title.
    source
        Where the method is from.
    data
        The images to train on.
    noise
        Corruptions, applied in order.
    network
        The network.
    phase
        The phases of training by name, in order.
    validation
        Whether validation uses ``noisy`` images or, as in one tutorial, ``clean`` ones.
    start
        A model file, the name of a shipped model or a run whose weights training starts from; by
        default they are random.
    keep
        Which weights become the model file: the ``last`` or those with the ``best`` validation
        loss. The best of many epochs is biased if validation and test images are the same.
    seed
        Random seed.
    license
        License of the weights, for the model's card.
    limits
        Limits of the weights, for the model's card.
    about
        A description of a few lines.
    printed
        The validation losses that the source reports: phase to epoch to loss.
    figures
        The figures that ``autodenoise figures`` draws of a run.
    search
        What ``autodenoise tune`` searches: a range or a list of choices by dotted key.
    name
        By default the name of its file.
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
            raise UsageError("a recipe needs at least one noise, since its images are clean")
        for key in ("name", "source", "license", "limits"):
            # The card keeps it on one line.
            text = " ".join(getattr(self, key).split())
            if wanted := expected(key, text):
                raise UsageError(f"{key} is {reprlib.repr(text)}; expected {wanted}")
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
    files = resources.files(__package__).iterdir()
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
    """Read a recipe by built-in name or from a ``.toml`` file; None: the one for data like `own`.

    `overrides` are settings such as ``"noise.sigma=0.5"``; the value is TOML, or a bare word. A
    list of one entry needs no index: ``noise.sigma`` is ``noise.0.sigma``. A setting that is set is
    no longer searched by `tune`; setting a ``kind`` or a table also removes the settings beside or
    inside it from the search. `own` files replace the recipe's data. `epochs` is for each phase;
    `minutes` are divided among the phases by the cost of their epochs instead. Raises `UsageError`
    if a name, key or value is wrong, `InputError` if the file is missing or is not TOML.
    """
    if recipe is not None:
        table = _read(recipe)
    elif own is not None:
        table = template(own)
    else:
        raise UsageError(
            "name a recipe, as in: autodenoise train conv-mnist, or your images, as in: "
            "autodenoise train --noisy photos/"
        )
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
        # The settings may supply what the recipe lacks for other data than its own.
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
        # The source's losses belong to the unchanged recipe.
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


def _lasting(recipe: Recipe, minutes: float) -> Recipe:
    """Divide minutes among the phases by the cost of their epochs."""
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
    """Return a recipe with other values of some settings, by dotted key."""
    full = {**_as_table(recipe), "printed": {}}
    # Kinds come first, since each kind has its own keys.
    for key in sorted(values, key=lambda key: not names_a_kind(key)):
        put(full, key, values[key], "search")
    return _build(full, where="search")


def settings_of(recipe: Recipe) -> dict[str, Any]:
    """Return every setting by dotted key, including the network's defaults."""
    table = _as_table(recipe)
    signature = inspect.signature(NETWORKS[recipe.network.name])
    defaults = {
        # Channels and size follow from the data.
        name: keyword.default
        for name, keyword in signature.parameters.items()
        if name not in ("channels", "size")
    }
    table["network"] = _plain({**defaults, **table["network"]})
    return by_path(table)


def _check_search(recipe: Recipe) -> None:
    """Validate every bound and choice of a recipe's search, one at a time."""
    if not recipe.search:
        return
    plain = dataclasses.replace(recipe, search={})
    last = list(recipe.phase)[-1]
    values = {}
    for key, space in recipe.search.items():
        check(key, space)
        values[key] = (space.low, space.high) if isinstance(space, Range) else space
    kinds = {key: choices for key, choices in values.items() if names_a_kind(key)}
    # A setting of one kind only may be searched together with the kind.
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
                f"search: {key} changes the meaning of the validation loss, so trials "
                "could not be compared; search the network, the phases and data.copies"
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
    """Return the complete recipe as TOML, which `load` reads back to an equal one."""
    return tomli_w.dumps(_as_table(recipe))


def _read(recipe: str | Path) -> dict[str, Any]:
    path, name = Path(recipe), str(recipe)
    try:
        if isinstance(recipe, Path) or recipe.endswith(".toml"):
            name, text = path.stem, path.read_text("utf-8")
        elif recipe in builtin_names():
            text = resources.files(__package__).joinpath(f"{recipe}.toml").read_text("utf-8")
        else:
            raise unknown_name("recipe", recipe, builtin_names())
        table = {"name": name, **tomllib.loads(text)}
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{recipe} is not TOML: {error}") from None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise InputError(f"cannot read the recipe {path}: {reason}") from None
    _find_data(table, path.parent)
    return table


def _find_data(table: dict[str, Any], folder: Path) -> None:
    """Make relative data paths absolute, so that a run can be resumed from anywhere.

    In a recipe file they are relative to the file, in a setting to the working folder.
    """
    data = table.get("data")
    if not isinstance(data, dict):
        return
    for key in ("source", "targets"):
        place = data.get(key)
        if isinstance(place, str) and place not in ("", *SOURCES) and (folder / place).exists():
            data[key] = str((folder / place).resolve())


def _as_table(recipe: Recipe) -> dict[str, Any]:
    table: dict[str, Any] = _plain(dataclasses.asdict(recipe))
    table["network"] = {"name": recipe.network.name, **table["network"]["arguments"]}
    return table


def _plain(value: Any) -> Any:
    """Convert dataclass values to TOML values: no None, lists for tuples."""
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items() if entry is not None}
    if isinstance(value, tuple | list):
        return [_plain(entry) for entry in value]
    return value


def _build(table: dict[str, Any], where: str) -> Recipe:
    """Validate a table and return the recipe."""
    values = with_new_keys(table, where)
    if isinstance(values.get("noise"), dict):
        values["noise"] = [values["noise"]]
    if isinstance(values.get("network"), dict):
        arguments = dict(values["network"])
        values["network"] = {"name": arguments.pop("name", None), "arguments": arguments}
    try:
        if isinstance(values.get("search"), dict):
            values["search"] = flatten(values["search"])
        # Through JSON: strict validation accepts its arrays as tuples and objects as dataclasses.
        return _adapter().validate_json(json.dumps(values, default=str))
    except ValidationError as error:
        raise UsageError(f"{where}: {explain(error, known_keys(error, Recipe))}") from None
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from None


@functools.cache
def _adapter() -> TypeAdapter[Recipe]:
    return TypeAdapter(Recipe)
