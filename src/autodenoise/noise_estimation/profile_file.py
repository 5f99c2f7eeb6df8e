"""Noise profiles as files, which training reads as noise."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from autodenoise.errors import MissingExtra, OutputError, UsageError
from autodenoise.files import printable, write_text
from autodenoise.noise_estimation.profile import Channel, Profile, measure
from autodenoise.noise_estimation.statistics import pairs
from autodenoise.system import version

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Sequence

    from autodenoise.images import IntensityRange

__all__ = ["Profiled", "as_toml", "profile_noise"]

_DIGITS = 6
_PACKAGES = ("autodenoise", "numpy", "pyvips")


class Profiled(NamedTuple):
    """The result of `profile_noise`.

    Attributes
    ----------
    profile
        The measured noise.
    written
        The files that were written.
    notes
        Files that could not be written, and why.
    """

    profile: Profile
    written: tuple[Path, ...]
    notes: tuple[str, ...]


def profile_noise(
    source: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    flat: bool = False,
    black: float | None = None,
    intensity_range: IntensityRange | None = None,
    on_step: Callable[[str], None] | None = None,
) -> Profiled:
    """Measure the noise of a camera, scanner or microscope, and write a noise profile.

    Parameters
    ----------
    source
        A folder of shots of one view, a folder of such folders or of stacks of shots, or a stack. A
        folder named ``dark`` contains shots without light.
    output
        The ``.toml`` file to write; a figure with the same name is written beside it.
    flat
        Each image is a single shot of a uniformly lit surface.
    black
        The sample value without light, if known.
    intensity_range
        The intensity range; by default that of the files' dtype.
    on_step
        Called with a short description of each step.

    Raises
    ------
    InputError
        Nothing can be measured; the message lists the reasons.
    UsageError
        `output` does not end in ``.toml``.
    OutputError
        A file exists already, or cannot be written.
    """
    folder, target = Path(source), Path(output)
    if target.suffix != ".toml":
        raise UsageError(f"a noise profile ends in .toml; {target} does not")
    plot = target.with_suffix(".png")
    for path in (target, plot):
        if path.exists():
            raise OutputError(f"{path} exists already; choose another name")
    profile = measure(
        folder, flat=flat, black=black, intensity_range=intensity_range, on_step=on_step
    )
    name = printable(folder.resolve().name)
    write_text(target, as_toml(profile, name, printable(target.name)))
    try:
        _plot(profile, name, plot)
    except ModuleNotFoundError as error:
        missing = MissingExtra(error.name or "matplotlib", "baselines")
        return Profiled(profile, (target,), (f"no {plot.name}: {missing}",))
    return Profiled(profile, (target, plot), ())


def _plot(profile: Profile, name: str, target: Path) -> None:
    from autodenoise.noise_estimation.figures import draw_noise_profile
    from autodenoise.plots.figure import save

    save(draw_noise_profile(profile, f"{name}: noise in {profile.shots} shots"), target)


def as_toml(profile: Profile, source: str, file: str) -> str:
    """Return a profile as TOML, whose table ``noise`` can be used in a recipe.

    `source` and `file` are the names of the measured folder and of the profile, one line each.
    """
    channels = [channel.name for channel in profile.channels]
    named = ", ".join(channels)
    both = [
        channels[one] + (" with itself" if one == other else f" with {channels[other]}")
        for one, other in pairs(len(channels))
    ]
    unit = "in the unit of the samples" if profile.own_unit else "black is 0 and white is 1"
    lines = [
        f"# The noise of {source}. To train with it:",
        f"#     autodenoise train --clean photos/ --noise {file}",
        "",
        "[noise]",
        'kind = "measured"',
        f"# Standard deviations at these intensities, {unit}: {named}.",
        f"means = {_row(profile.means)}",
        "sigmas = [",
        *(f"    {_row(sigmas)}," for sigmas in profile.sigmas),
        "]",
        "# Correlation with the noise of neighbors, by rows down and columns across; the center is",
        "# the pixel itself.",
        "correlation = [",
        *_maps(profile, both),
        "]",
        # Files contain clipped values.
        f"clip = {_value(not profile.own_unit)}",
        "",
        "[profile]",
        f"# Measured values, {unit}. variance = gain * mean + floor.",
        *_table(_summary(profile, source)),
    ]
    for channel in (*profile.channels, *([profile.together] if len(channels) > 1 else [])):
        lines += ["", "[[profile.channel]]", *_table(_numbers(channel))]
    for file_skipped in profile.skipped:
        entry = {key: printable(getattr(file_skipped, key)) for key in ("name", "reason")}
        lines += ["", "[[profile.skipped]]", *_table(entry)]
    return "\n".join([*lines, ""])


def _maps(profile: Profile, names: Sequence[str]) -> Iterator[str]:
    for lags, name in zip(profile.correlation_maps, names, strict=True):
        yield f"    [  # {name}"
        for row in lags:
            # Adding 0 removes the sign of negative zeros.
            yield f"        [{', '.join(f'{round(entry, 3) + 0:.3f}' for entry in row)}],"
        yield "    ],"


def _summary(profile: Profile, source: str) -> dict[str, Any]:
    return {
        "source": source,
        "series": profile.series,
        "shots": profile.shots,
        "pixels": profile.pixels,
        "form": profile.form,
        "range": (profile.intensity_range.low, profile.intensity_range.high),
        "own_unit": profile.own_unit,
        "variance_model": profile.variance_model,
        "reason": profile.reason,
        "brightness_drift": profile.drift,
        "correlation_error": profile.correlation.error,
        "warnings": tuple(map(printable, profile.warnings)),
        "versions": ", ".join(f"{package} {version(package)}" for package in _PACKAGES),
    }


def _numbers(channel: Channel) -> dict[str, Any]:
    line = channel.line
    fitted = (
        {}
        if line is None
        else {
            "gain": line.gain,
            "gain_error": line.gain_error,
            "floor": line.floor,
            "floor_error": line.floor_error,
            "r_squared": line.r_squared,
            "deviation": line.deviation,
        }
    )
    return {
        "name": channel.name,
        **fitted,
        "black": channel.black,
        "read_noise": channel.read,
        "fixed_pattern": channel.fixed_pattern,
    }


def _table(values: dict[str, Any]) -> Iterator[str]:
    for key, value in values.items():
        if value is not None:
            yield f"{key} = {_value(value)}"


def _value(value: Any) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(_value, value))}]"
    # TOML and JSON values are the same except for NaN and infinity.
    return _float(value) if isinstance(value, float) else json.dumps(value)


def _row(values: Sequence[float]) -> str:
    return _value(tuple(values))


def _float(value: float) -> str:
    return repr(float(f"{value:.{_DIGITS}g}")) if np.isfinite(value) else str(float(value))
