"""Noise, as a figure: its variance by brightness, and how alike neighbours are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.ticker import FuncFormatter, MaxNLocator

from autodenoise.noise_estimation.profile import samples
from autodenoise.noise_estimation.statistics import REACH, pairs
from autodenoise.plots.images import (
    FAINT,
    INK,
    ORANGE,
    TEAL,
    blank,
    quiet_axes,
    write_title,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from autodenoise.noise_estimation.profile import Profile

__all__ = ["noise_figure"]

# Inches: the axes of the curve, those of the map, and what is around them.
_WIDE, _TALL, _LEFT, _BETWEEN, _RIGHT, _ABOVE, _BELOW = 4.2, 3.0, 0.95, 0.75, 0.75, 0.95, 0.6
_COLOURS = {"red": "#c0392b", "green": "#3d8b3d", "blue": "#2d6fb5"}
_ALIKE = LinearSegmentedColormap.from_list("alike", [ORANGE, "#ffffff", TEAL]).with_extremes(
    bad="#e8e9eb"
)
_LEAST_SHOWN = 0.1


def noise_figure(profile: Profile, title: str) -> Figure:
    """Draw the variance against the mean, with errors and the fit, and the autocorrelation."""
    width, height = _LEFT + _WIDE + _BETWEEN + _TALL + _RIGHT, _BELOW + _TALL + _ABOVE
    figure = blank(width, height)
    write_title(figure, title)
    figure.text(
        0.12 / width,
        1 - 0.5 / height,
        f"{profile.reason[0].upper()}{profile.reason[1:]}.",
        size=9,
        color=INK,
    )
    curve = figure.add_axes((_LEFT / width, _BELOW / height, _WIDE / width, _TALL / height))
    _draw_curve(curve, profile)
    left = _LEFT + _WIDE + _BETWEEN
    lags = figure.add_axes((left / width, _BELOW / height, _TALL / width, _TALL / height))
    bar = figure.add_axes(
        ((left + _TALL + 0.12) / width, _BELOW / height, 0.1 / width, _TALL / height)
    )
    _draw_lags(lags, bar, profile)
    return figure


def _draw_curve(axes: Axes, profile: Profile) -> None:
    low, unit = (
        profile.intensity_range.low,
        profile.intensity_range.high - profile.intensity_range.low,
    )
    for channel, sigmas in zip(profile.channels, profile.sigmas, strict=True):
        color = _COLOURS.get(channel.name, TEAL)
        means, variances, errors, _ = channel.points
        axes.errorbar(
            low + unit * means,
            unit**2 * variances,
            unit**2 * errors,
            fmt="o",
            color=color,
            markersize=3.5,
            elinewidth=1,
            label=channel.name,
        )
        # The curve is linear in the variance between its means.
        shown = np.linspace(means[0], means[-1], 200)
        curve = np.interp(shown, profile.means, np.square(sigmas))
        axes.plot(low + unit * shown, unit**2 * curve, color=color, linewidth=1.2)
    axes.set_ylim(bottom=0)
    axes.set_title("variance by brightness, in samples", size=8, color=INK, loc="left")
    if len(profile.channels) > 1:
        axes.legend(frameon=False, fontsize=8, labelcolor=INK)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: samples(value)))
    quiet_axes(axes, "mean", "variance")


def _draw_lags(axes: Axes, bar: Axes, profile: Profile) -> None:
    own = [
        number for number, (one, other) in enumerate(pairs(len(profile.channels))) if one == other
    ]
    lags = profile.correlation.maps[own].mean(0)
    # Of a value with itself, it would hide all else.
    lags[REACH, REACH] = np.nan
    most = max(_LEAST_SHOWN, float(np.nanmax(np.abs(lags))))
    edge = REACH + 0.5
    shown = axes.imshow(lags, cmap=_ALIKE, vmin=-most, vmax=most, extent=(-edge, edge, edge, -edge))
    axes.text(0, 0, "1", size=8, color=INK, ha="center", va="center")
    axes.set_title("correlation with neighbours", size=8, color=INK, loc="left")
    quiet_axes(axes, "pixels across", "pixels down")
    axes.grid(visible=False)
    scale = axes.figure.colorbar(
        shown, cax=bar, ticks=MaxNLocator(7), format=FuncFormatter(lambda value, _: _signed(value))
    )
    scale.outline.set_visible(False)
    bar.tick_params(labelsize=8, color=FAINT, labelcolor=INK)


def _signed(value: float) -> str:
    return f"{value:.2f}".replace("-", "\N{MINUS SIGN}")
