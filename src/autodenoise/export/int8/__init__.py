"""Model files whose inner convolutions are computed in 8 bits."""
