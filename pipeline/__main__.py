"""``python -m pipeline`` is ``gazet``."""

from pipeline.cli import main

main()
