"""Recipes that train in seconds."""

from __future__ import annotations

__all__ = ["DIGITS", "SQUARES"]

# On the 8x8 squares of `set.npz` that the fixture `folder` writes.
SQUARES = """
title = "A quick one"
data = { source = "set.npz", validation = "last" }
noise = { kind = "gaussian", sigma = 0.4, clip = true }
network = { name = "bottleneck", width = 4 }
phase.reconstruct = { epochs = 1, batch_size = 16, objective = "reconstruction" }
phase.denoise = { epochs = 2, batch_size = 16 }

[search]
phase.denoise.optimizer.learning_rate = { low = 1e-4, high = 1e-1, log = true }
network.width = { low = 2, high = 6, step = 2 }
phase.reconstruct.batch_size = [8, 16]
"""

# On scikit-learn's digits.
DIGITS = """
title = "A quick one"
source = "here"
data = { source = "digits", validation = "random", size = [12, 12] }
noise = { kind = "gaussian", sigma = 0.4, clip = true }
network = { name = "bottleneck", width = 8 }
phase.denoise = { epochs = 3, batch_size = 16, optimizer = { kind = "muon" } }
"""
