"""The public names of ``pipeline``, and the import paths of version 0.1."""

import subprocess
import sys

import pytest

import pipeline
from pipeline.old_paths import MOVED

NAMES = {
    "pipeline.spec": ("Study", "Arm", "Stage", "Pruner", "Float", "Categorical", "SearchSpace"),
    "pipeline.space": ("Float", "Categorical", "SearchSpace"),
    "pipeline.hparams": ("HyperParams", "TrainConfig"),
    "pipeline.experiment": ("Experiment",),
    "pipeline.babysitting.evidence": ("Evidence",),
    "pipeline.babysitting.facts": ("Finding",),
}


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


@pytest.mark.parametrize("path", NAMES)
def test_an_old_path_works_with_a_warning(path):
    """A study of version 0.1 gets the same classes from the old path, and a warning that names the new one."""
    names = ", ".join(NAMES[path])
    source = f"""
import warnings
with warnings.catch_warnings(record=True) as warned:
    warnings.simplefilter("always")
    from {path} import {names}
import pipeline
assert [item.category for item in warned] == [FutureWarning]
assert "from pipeline import" in str(warned[0].message)
assert ({names},) == tuple(getattr(pipeline, name) for name in {NAMES[path]!r})
print("same")
"""
    assert run(source) == "same"


def test_each_old_path_is_tried():
    """The table of old paths has no other module with names."""
    assert set(MOVED) - {"pipeline.babysitting"} == set(NAMES)
