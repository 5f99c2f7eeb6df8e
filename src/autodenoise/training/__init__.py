"""Training: objectives, losses, optimizers, the loop, checkpoints."""
