"""The fixtures of the report's tests: tables of trials whose truth is known, from ``synthetic.py``."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))  # importlib mode leaves a test's own folder out

from synthetic import make_table


@pytest.fixture(scope="session")
def table():
    """The table that most tests read."""
    return make_table()
