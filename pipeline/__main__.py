"""Runs the command line: ``python -m pipeline``."""

import gc
import sys

from pipeline.cli.main import main

YOUNG_OBJECTS = 50_000
"""The objects that are made before Python looks for cycles among them; with its 700, imports take a third longer."""

if __name__ == "__main__":
    gc.set_threshold(YOUNG_OBJECTS, 20, 20)
    code = main()
    gc.freeze()  # else Python looks for cycles in all libraries before it ends, which takes two seconds
    sys.exit(code)
