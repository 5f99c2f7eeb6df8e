"""Figures: image grids, loss curves, network diagrams, side-by-side comparisons."""
