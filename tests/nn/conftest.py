"""The path of ``differences.py``, which several tests of gradients share."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))  # importlib mode leaves a test's own folder out
