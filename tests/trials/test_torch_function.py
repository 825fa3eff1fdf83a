"""The function of the page on extending, which trains a network in PyTorch; skipped where that is not installed."""

import re
from pathlib import Path

import numpy as np
import pytest

from pipeline.data import load_block
from pipeline.search.plan import make_task, planned_trial
from pipeline.study.loading import find_study
from pipeline.trials.task import run_task

pytest.importorskip("torch", reason="PyTorch is not installed")
PAGE = Path(__file__).parents[2] / "docs" / "extending.md"


def test_the_function_of_the_page_learns_and_repeats(tmp_path):
    """A trial of the page's study learns the digits, has a curve for each epoch, and repeats to the last bit."""
    (source,) = re.findall(r"```python\n(# perceptron\.py\n.*?)```", PAGE.read_text(), re.DOTALL)
    (tmp_path / "perceptron.py").write_text(source)
    study = find_study(str(tmp_path / "perceptron.py"), {})
    task = make_task(study, [planned_trial(study, study.arms[0], 0, 0, {"rate": 0.1, "width": 32})])
    data = load_block(task.dataset, task.config, task.split_seed)
    (first,), (again,) = run_task(task, data), run_task(task, data)
    assert first.result.failure is None
    assert first.result.scores["best/val_accuracy"] > 0.9
    assert np.isfinite(first.result.curves["train/loss"]).all()
    assert len(first.result.curves["val/accuracy"]) == 5
    assert (first.result.curves, first.result.test_correct) == (again.result.curves, again.result.test_correct)
