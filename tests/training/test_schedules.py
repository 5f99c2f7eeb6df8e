from __future__ import annotations

import pytest
import torch

from autodenoise.training.schedules import Cosine, OneCycle


def test_one_cycle_equals_torchs() -> None:
    weight = torch.nn.Parameter(torch.zeros(1))
    reference = torch.optim.SGD([weight], lr=1.0)
    theirs = torch.optim.lr_scheduler.OneCycleLR(
        reference, max_lr=1.0, total_steps=101, pct_start=31 / 101, final_div_factor=1e9
    )
    schedule = OneCycle(warmup=0.3)
    for step in range(101):
        assert schedule.factor(step / 100) == pytest.approx(theirs.get_last_lr()[0], abs=1e-7)
        reference.step()
        theirs.step()


def test_cosine_equals_torchs_warm_up_and_annealing() -> None:
    weight = torch.nn.Parameter(torch.zeros(1))
    reference = torch.optim.SGD([weight], lr=1.0)
    theirs = torch.optim.lr_scheduler.SequentialLR(
        reference,
        [
            # It cannot begin at 0.
            torch.optim.lr_scheduler.LinearLR(reference, 1e-9, 1.0, total_iters=10),
            torch.optim.lr_scheduler.CosineAnnealingLR(reference, T_max=90, eta_min=0.1),
        ],
        milestones=[10],
    )
    schedule = Cosine(warmup=0.1, floor=0.1)
    for step in range(101):
        assert schedule.factor(step / 100) == pytest.approx(theirs.get_last_lr()[0], abs=1e-6)
        reference.step()
        theirs.step()
