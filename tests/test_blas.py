"""The BLAS library that trials are trained on: recorded with their study, and told where there are several."""

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import optuna
import pytest
from mlflow import MlflowClient

from pipeline.report.trials_table import read_table
from pipeline.report.writer import write_report
from pipeline.search.plan import make_task, plan
from pipeline.storage.optuna_store import OptunaStore
from pipeline.study.loading import find_study
from pipeline.training.blas import blas
from pipeline.trials.task import run_task

KERNELS = ("Haswell", "Sandybridge")


def babysit(verb, study, kernel, *flags):
    """What a command prints whose OpenBLAS takes that kernel."""
    command = [sys.executable, "-m", "pipeline", verb, str(study), *flags]
    environment = os.environ | {"OPENBLAS_CORETYPE": kernel}
    return subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout


def test_blas_is_named_with_its_version_and_numpys():
    """The words have the library's threads as they are limited, and the version of NumPy."""
    assert blas().endswith(f"NumPy {np.__version__}")


def test_a_study_records_each_library_once(tiny_study, tmp_path):
    """Every trial has its library, a study the list of them; trials of an older version, which have none, add nothing."""
    study = find_study(str(tiny_study), {})
    optuna_store = OptunaStore(study, str(tmp_path / "optuna.log"))
    optuna_store.open("run", {})
    first, *_ = run_task(make_task(study, [plan(study)[0]]))
    assert ", 1 thread," in first.blas
    for name in ("", first.blas, "another", first.blas):
        optuna_store.note_blas([replace(first, blas=name)])
    assert OptunaStore(study, str(tmp_path / "optuna.log")).blas == [first.blas, "another"]


@pytest.mark.slow
@pytest.mark.skipif("openblas" not in blas(), reason="another BLAS takes no kernel from OPENBLAS_CORETYPE")
def test_a_study_that_is_resumed_on_another_kernel_says_so(tiny_study, tracking_uri, tmp_path):
    """One line on the console, a note in the report, the same from trials.parquet alone, an attribute and a tag name both."""
    first, second = KERNELS
    warning = "warning: trained on 2 BLAS set-ups"
    assert warning not in babysit("search", tiny_study, first, "--workers", "1", "--blocks", "1")
    (line,) = [line for line in babysit("search", tiny_study, second).splitlines() if warning in line]
    assert first in line
    assert second in line
    babysit("report", tiny_study, second, "--no-model")
    folder, again = tmp_path / "reports" / "tiny", tmp_path / "again"
    assert "The trials were trained on 2 BLAS set-ups" in (folder / "report.md").read_text()
    write_report(read_table(folder / "trials.parquet"), again)
    assert (again / "report.md").read_bytes() == (folder / "report.md").read_bytes()
    optuna_store = OptunaStore(find_study(str(tiny_study), {}), str(tmp_path / "optuna.log"))
    assert [kernel in words for kernel, words in zip(KERNELS, optuna_store.blas, strict=True)] == [True, True]
    summaries = optuna.get_all_study_summaries(optuna_store.storage)
    assert optuna_store.blas in [summary.user_attrs.get("blas") for summary in summaries]
    tags = MlflowClient(tracking_uri=tracking_uri).get_run(optuna_store.parent_run).data.tags
    assert tags["blas"] == "; ".join(optuna_store.blas)
