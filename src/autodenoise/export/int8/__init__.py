"""Model files with 8-bit integer convolutions."""
