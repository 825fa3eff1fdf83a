"""The public names of ``pipeline``."""

import subprocess
import sys

import pytest

import pipeline


def run(source):
    """Run a source in a fresh process; what it prints."""
    return subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True).stdout.strip()


def test_every_public_name_is_there():
    """Each name of ``__all__`` can be imported, and ``dir`` lists it."""
    assert set(pipeline.__all__) <= set(dir(pipeline))
    assert all(getattr(pipeline, name).__name__ == name for name in pipeline.__all__)


def test_an_unknown_name_is_an_attribute_error():
    """A name that is not public is refused as Python refuses it."""
    with pytest.raises(AttributeError, match="module 'pipeline' has no attribute 'Nothing'"):
        _ = pipeline.Nothing


def test_public_names_are_loaded_when_they_are_used():
    """Importing the package loads neither NumPy nor Optuna."""
    assert run("import sys, pipeline; print({'numpy', 'optuna', 'mlflow'} & set(sys.modules))") == "set()"
