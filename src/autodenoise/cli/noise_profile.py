"""``autodenoise noise-profile``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autodenoise.cli.options import SampleRange
from autodenoise.cli.tables import optional, print_table

if TYPE_CHECKING:
    from autodenoise.noise_estimation.curve import Line
    from autodenoise.noise_estimation.profile import Profile

__all__ = ["noise_profile"]


def noise_profile(
    source: Annotated[
        Path,
        typer.Argument(
            help="Shots of a static scene: a folder, a folder of such folders, or a stack.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "-o", "--output", help="The .toml file to write; a figure is written next to it."
        ),
    ],
    flat: Annotated[
        bool, typer.Option("--flat", help="Each image is a flat field: evenly lit, and shot once.")
    ] = False,
    black: Annotated[
        float | None,
        typer.Option(
            help="The sample value without light.",
            show_default="measured on the shots in a folder named dark",
        ),
    ] = None,
    intensity_range: SampleRange = None,
) -> None:
    """Measure the noise of a camera, scanner or microscope, for training."""
    from rich.console import Console

    from autodenoise.files import quoted
    from autodenoise.images import IntensityRange
    from autodenoise.noise_estimation.profile_file import profile_noise

    with Console(stderr=True).status("finding series") as status:
        profile, written, notes = profile_noise(
            source,
            output,
            flat=flat,
            black=black,
            intensity_range=None if intensity_range is None else IntensityRange(*intensity_range),
            on_step=status.update,
        )
    _print(profile)
    for warning in (*profile.warnings, *notes):
        typer.echo(f"note: {warning}", err=True)
    for skipped in profile.skipped:
        typer.echo(f"skipped {skipped.name}: {skipped.reason}", err=True)
    names = ", ".join(map(str, written))
    if profile.own_unit:
        typer.echo(f"written: {names}; to train with it, measure it again with --range LOW HIGH")
    else:
        typer.echo(f"written: {names}; train with it:")
        typer.echo(f"  autodenoise train --clean photos/ --noise {quoted(output)}")


def _print(profile: Profile) -> None:
    from rich.console import Console

    from autodenoise.noise_estimation.profile import samples

    low, high = profile.intensity_range.low, profile.intensity_range.high
    series = "1 series" if profile.series == 1 else f"{profile.series:,} series"
    typer.echo(f"{profile.shots:,} shots in {series}, {profile.form}; {profile.reason}.")
    unit = "of the files' own unit" if profile.own_unit else f"of {low:g} to {high:g}"
    typer.echo(f"{profile.correlation_in_words().capitalize()}.")
    law = "; variance = gain * mean + floor" if profile.variance_model == "line" else ""
    typer.echo(f"Standard deviations in samples {unit}{law}:")

    def in_samples(value: float | None, start: float = 0) -> str:
        return "-" if value is None else samples(start + (high - low) * value)

    def fitted(fit: Line | None, name: str) -> str:
        if fit is None:
            return "-"
        line = fit.in_samples(profile.intensity_range)
        value, error = getattr(line, name), getattr(line, f"{name}_error")
        return f"{samples(value)} ± {samples(float(f'{error:.2g}'))}"

    channels = profile.channels
    lines = [channel.line if profile.variance_model == "line" else None for channel in channels]
    rows = {
        "noise": [f"{in_samples(min(row))} to {in_samples(max(row))}" for row in profile.sigmas],
        "gain": [fitted(line, "gain") for line in lines],
        "floor": [fitted(line, "floor") for line in lines],
        "R²": [optional(None if line is None else line.r_squared, ".4f") for line in lines],
        "black": [in_samples(channel.black, low) for channel in channels],
        "read noise": [in_samples(channel.read) for channel in channels],
        "fixed pattern": [in_samples(channel.fixed_pattern) for channel in channels],
    }
    print_table(
        Console(highlight=False),
        ["", *(channel.name for channel in channels)],
        ([name, *cells] for name, cells in rows.items() if set(cells) != {"-"}),
    )
