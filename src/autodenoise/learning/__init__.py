"""Learning: data sets, objectives, optimisers, the training loop, checkpoints, export."""
