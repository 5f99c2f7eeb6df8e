"""Tuning: many runs of one recipe with different settings, by Optuna."""
