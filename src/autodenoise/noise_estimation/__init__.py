"""Noise estimation: noise level, autocorrelation, SURE, and noise profiles from repeats."""
