"""Plot the variance of noise by intensity and its autocorrelation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, MaxNLocator

from autodenoise.noise_estimation.profile import samples
from autodenoise.noise_estimation.statistics import REACH, pairs
from autodenoise.plots.figure import (
    FAINT,
    GRID,
    INK,
    ORANGE,
    TEAL,
    blank,
    set_tooltip,
    style_axes,
    write_title,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike

    from autodenoise.noise_estimation.autocorrelation import Autocorrelation
    from autodenoise.noise_estimation.estimate import QualityEstimate
    from autodenoise.noise_estimation.profile import Profile

__all__ = ["draw_autocorrelation", "draw_noise_profile", "draw_variances"]

# Inches: the axes of curve and map (square, as high as the curve), and the margins.
_WIDE, _TALL, _LEFT, _BETWEEN, _RIGHT, _ABOVE, _BELOW = 4.2, 3.0, 0.95, 0.75, 0.75, 0.95, 0.6
_COLORS = {"red": "#c0392b", "green": "#3d8b3d", "blue": "#2d6fb5"}
_COLOR_MAP = LinearSegmentedColormap.from_list("correlations", [ORANGE, "#ffffff", TEAL])
_MIN_FULL_SCALE = 0.1
# On the report page; most relevant correlations are weaker.
_REPORT_FULL_SCALE = 0.5


def draw_noise_profile(profile: Profile, title: str) -> Figure:
    """Draw the measured variances with errors and fitted curve, and the autocorrelation."""
    width, height = _LEFT + _WIDE + _BETWEEN + _TALL + _RIGHT, _BELOW + _TALL + _ABOVE
    figure = blank(width, height)
    write_title(figure, title)
    reason = f"{profile.reason[0].upper()}{profile.reason[1:]}."
    figure.text(0.12 / width, 1 - 0.5 / height, reason, size=9, color=INK)
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
    low = profile.intensity_range.low
    unit = profile.intensity_range.high - low
    for channel, sigmas in zip(profile.channels, profile.sigmas, strict=True):
        color = _COLORS.get(channel.name, TEAL)
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
        # The variance is interpolated linearly between the means of the profile.
        shown = np.linspace(means[0], means[-1], 200)
        curve = np.interp(shown, profile.means, np.square(sigmas))
        axes.plot(low + unit * shown, unit**2 * curve, color=color, linewidth=1.4)
    axes.set_ylim(bottom=0)
    axes.set_title("variance by brightness, in samples", size=8, color=INK, loc="left")
    if len(profile.channels) > 1:
        axes.legend(frameon=False, fontsize=8, labelcolor=INK)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: samples(value)))
    style_axes(axes, "mean", "variance")


def _draw_lags(axes: Axes, bar: Axes, profile: Profile) -> None:
    same_channel = [one == other for one, other in pairs(len(profile.channels))]
    lags = profile.correlation.maps[same_channel].mean(0)
    lags[REACH, REACH] = 0
    full = max(_MIN_FULL_SCALE, float(np.abs(lags).max()))
    _draw_correlations(axes, lags, full)
    axes.add_patch(Rectangle((-0.5, -0.5), 1, 1, facecolor=GRID))
    axes.text(0, 0, "1", size=8, color=INK, ha="center", va="center")
    axes.set_title("correlation with neighbors", size=8, color=INK, loc="left")
    style_axes(axes, "pixels across", "pixels down")
    axes.grid(visible=False)
    scale = axes.figure.colorbar(
        ScalarMappable(Normalize(-full, full), _COLOR_MAP),
        cax=bar,
        ticks=MaxNLocator(7),
        format=FuncFormatter(lambda value, _: _signed(value)),
    )
    scale.outline.set_visible(False)
    bar.tick_params(labelsize=8, color=FAINT, labelcolor=INK)


def draw_variances(estimate: QualityEstimate) -> Figure:
    """Draw the variances of the noise and of the removed part by intensity, without a title."""
    figure = blank(4.9, 2.9)
    axes = figure.add_axes((0.16, 0.19, 0.82, 0.73))
    for number, curve in enumerate(estimate.level.channels):
        label = "" if number else "noise"
        axes.plot(curve.means, curve.variances, color=TEAL, linewidth=1.4, label=label)
    for number, curve in enumerate(estimate.residual):
        label = "" if number else "removed"
        axes.plot(
            curve.means,
            curve.variances,
            "o",
            color=ORANGE,
            label=label,
            markersize=4,
            gid="removed",
        )
    axes.patch.set_facecolor("none")
    axes.margins(x=0.03, y=0.08)
    axes.set_ylim(bottom=0)
    axes.ticklabel_format(axis="y", scilimits=(-2, 3))
    axes.yaxis.get_offset_text().set(size=8, color=INK)
    axes.legend(frameon=False, fontsize=8, labelcolor=INK)
    style_axes(axes, "brightness", "variance")
    return figure


def draw_autocorrelation(autocorrelation: Autocorrelation) -> Figure:
    """Draw an autocorrelation map without axes, with a tooltip for each lag."""
    figure = blank(2.5, 2.5)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    _draw_correlations(axes, autocorrelation.map, _REPORT_FULL_SCALE)
    return figure


def _draw_correlations(axes: Axes, lags: ArrayLike, full: float) -> None:
    """Draw a square for each lag, teal if positive, orange if negative, opaque at `full`."""
    values = np.asarray(lags)
    reach = len(values) // 2
    for (row, column), value in np.ndenumerate(values):
        down, across = row - reach, column - reach
        color = INK if not (down or across) else TEAL if value > 0 else ORANGE
        corner, alpha = (across - 0.47, down - 0.47), min(1, abs(value) / full)
        square = Rectangle(corner, 0.94, 0.94, facecolor=color, alpha=alpha)
        set_tooltip(square, f"{_position(down, across)}: {_signed(value)}")
        axes.add_patch(square)
    edge = reach + 0.5
    axes.set(xlim=(-edge, edge), ylim=(edge, -edge), aspect="equal")


def _position(down: int, across: int) -> str:
    """Return the position of a pixel relative to another, in words."""
    steps = (down, "below" if down > 0 else "above"), (across, "right" if across > 0 else "left")
    return ", ".join(f"{abs(step)} {side}" for step, side in steps if step) or "the pixel itself"


def _signed(value: float) -> str:
    return f"{value:.2f}".replace("-", "\N{MINUS SIGN}")
