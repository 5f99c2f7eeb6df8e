"""Benchmarks: denoisers scored by a published protocol on images whose clean version is known."""
