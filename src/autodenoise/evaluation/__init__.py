"""Honest scores of denoisers on images whose clean version is known, and their figures."""
