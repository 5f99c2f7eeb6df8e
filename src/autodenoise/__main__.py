"""``python -m autodenoise``."""

from autodenoise.cli import main

main()
