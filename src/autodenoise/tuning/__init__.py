"""Tuning: train a recipe with different settings, proposed by Optuna."""
