from __future__ import annotations

import pytest

from autodenoise.plots.images import Curve
from autodenoise.plots.loss_layout import Chart, lay_out


def chart(losses: list[float], printed: dict[int, float] | None = None) -> Chart:
    halved = [loss / 2 for loss in losses]
    return lay_out(Curve("denoise", "binary cross-entropy", losses, halved, printed or {}))


def test_lines_run_through_their_numbers() -> None:
    drawn = chart([0.4, 0.3, 0.2], {2: 0.25, 30: 0.1})
    epochs = [point.x for point in drawn.loss]
    assert epochs[2] - epochs[1] == pytest.approx(epochs[1] - epochs[0], abs=0.02)
    assert drawn.left < epochs[0]
    assert epochs[2] < drawn.right
    # Ticks and points lie on one scale, which is upside down.
    low, high = drawn.losses[0], drawn.losses[-1]
    unit = (low.at - high.at) / (float(high.label) - float(low.label))
    for point, loss in zip(drawn.loss, (0.4, 0.3, 0.2), strict=True):
        assert point.y == pytest.approx(low.at - (loss - float(low.label)) * unit, abs=0.05)
    # What is printed for an epoch that is not reached stays out.
    assert [point.x for point in drawn.printed] == [epochs[1]]
    assert [(tick.at, tick.label) for tick in drawn.epochs] == [
        (at, str(epoch)) for epoch, at in enumerate(epochs, 1)
    ]


@pytest.mark.parametrize("losses", [[0.5], [0.5, 0.5], [0.0], [7e-6, 3e-6], [3e4, 1e4]])
def test_any_losses_stay_in_the_field(losses: list[float]) -> None:
    drawn = chart(losses)
    for point in (*drawn.loss, *drawn.val_loss):
        assert drawn.left <= point.x <= drawn.right
        assert drawn.top <= point.y <= drawn.bottom
    assert len({tick.label for tick in drawn.losses}) == len(drawn.losses) >= 2
    assert drawn.dots


def test_many_epochs_have_few_ticks_from_the_first_on() -> None:
    drawn = chart([1 / epoch for epoch in range(1, 501)])
    labels = [int(tick.label) for tick in drawn.epochs]
    assert labels[0] == 1
    assert labels == sorted(set(labels))
    assert 4 <= len(labels) <= 10
    assert not drawn.dots
    # The first epoch's loss flattens nothing: it runs out of the field.
    assert drawn.loss[0].y < drawn.top
    assert min(point.y for point in drawn.loss[1:]) >= drawn.top
