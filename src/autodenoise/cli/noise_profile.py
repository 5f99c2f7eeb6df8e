"""``autodenoise noise-profile``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from autodenoise.noise_estimation.profile import Channel, Profile

__all__ = ["noise_profile"]


def noise_profile(
    source: Annotated[
        Path,
        typer.Argument(
            help="Shots of one view: a folder of them, a folder of such folders, or a stack.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path,
        typer.Option("-o", "--output", help="The .toml file to make; a figure goes beside it."),
    ],
    flat: Annotated[
        bool,
        typer.Option(
            "--flat", help="Each picture is a flat field, evenly lit, that was shot once."
        ),
    ] = False,
    black: Annotated[
        float | None,
        typer.Option(
            help="The sample value without light.  "
            r"\[default: that of shots in a folder called dark]",
            show_default=False,
        ),
    ] = None,
    limits: Annotated[
        tuple[float, float] | None,
        typer.Option(
            "--range",
            metavar="BLACK WHITE",
            help="The sample values that stand for black and white.  "
            r"\[default: by the files' types]",
        ),
    ] = None,
) -> None:
    """Measure the noise of a camera, scanner or microscope, to train with it."""
    from rich.console import Console

    from autodenoise.files import quoted
    from autodenoise.images import IntensityRange
    from autodenoise.noise_estimation.profile_file import profile_noise

    with Console(stderr=True).status("looking for scenes") as status:
        profile, written, notes = profile_noise(
            source,
            output,
            flat=flat,
            black=black,
            intensity_range=None if limits is None else IntensityRange(*limits),
            on_step=status.update,
        )
    _print(profile)
    for warning in (*profile.warnings, *notes):
        typer.echo(f"note: {warning}", err=True)
    for passed in profile.passed_over:
        typer.echo(f"passed over: {passed.name}: {passed.reason}", err=True)
    names = ", ".join(map(str, written))
    if profile.own_unit:
        typer.echo(f"written: {names}; to train with it, measure anew with --range LOW HIGH")
    else:
        typer.echo(f"written: {names}; train with it:")
        typer.echo(f"  autodenoise train --clean photos/ --noise {quoted(output)}")


def _print(profile: Profile) -> None:
    from rich.console import Console
    from rich.table import Table

    from autodenoise.noise_estimation.profile import samples

    low, high = profile.intensity_range.low, profile.intensity_range.high
    scenes = "1 scene" if profile.scenes == 1 else f"{profile.scenes:,} scenes"
    typer.echo(f"{profile.shots:,} shots of {scenes}, {profile.form}; {profile.reason}.")
    unit = "of the files' own unit" if profile.own_unit else f"of {low:g} to {high:g}"
    typer.echo(f"{profile.correlation_in_words().capitalize()}.")
    law = "; variance = gain * mean + floor" if profile.law == "line" else ""
    typer.echo(f"Standard deviations in samples {unit}{law}:")

    def told(value: float | None, start: float = 0) -> str:
        return "-" if value is None else samples(start + (high - low) * value)

    def fitted(channel: Channel, name: str) -> str:
        if channel.line is None or profile.law != "line":
            return "-"
        line = channel.line.in_samples(profile.intensity_range)
        value, error = getattr(line, name), getattr(line, f"{name}_error")
        return f"{samples(value)} ± {samples(float(f'{error:.2g}'))}"

    channels = profile.channels
    rows = {
        "noise": [f"{told(min(row))} to {told(max(row))}" for row in profile.sigmas],
        "gain": [fitted(channel, "gain") for channel in channels],
        "floor": [fitted(channel, "floor") for channel in channels],
        "R²": [
            "-"
            if channel.line is None or profile.law != "line"
            else f"{channel.line.r_squared:.4f}"
            for channel in channels
        ],
        "black": [told(channel.black, low) for channel in channels],
        "read noise": [told(channel.read) for channel in channels],
        "fixed pattern": [told(channel.fixed_pattern) for channel in channels],
    }
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    for channel in channels:
        table.add_column(channel.name, justify="right")
    for name, cells in rows.items():
        if set(cells) != {"-"}:
            table.add_row(name, *cells)
    Console(highlight=False).print(table)
