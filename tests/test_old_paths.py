"""The import paths of version 0.1 work, with a warning."""

import subprocess
import sys

import pytest

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
    """Return what a source prints in a new process."""
    return subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True).stdout.strip()


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
