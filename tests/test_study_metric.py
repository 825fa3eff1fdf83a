"""A study that is judged by another metric than accuracy, from the command to both stores and the report."""

import json
import re
from pathlib import Path

import optuna
import pytest
from mlflow import MlflowClient
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from pipeline.cli.main import main

SOURCE = """
from pipeline import Arm, Float, Pruner, SearchSpace, Stage, Study, TrainConfig

STUDY = Study(
    name="judged",
    question="Is it judged by its metric?",
    dataset="{dataset}",
    metric="{metric}",
    space=SearchSpace(learning_rate=Float(1e-3, 1e4, log=True)),
    config=TrainConfig(epochs=3),
    {rest},
    confirm=2,
)
"""
COMPARED = 'arms=(Arm("random"), Arm("tpe")), blocks=2, trials=5'
PRUNED = 'arms=(Arm("random"),), blocks=1, trials=12, pruner=Pruner("median", wave=6)'


def run(tmp_path, metric, rest, verb="run", dataset="breast_cancer"):
    """Run a verb on the study, and return the exit code."""
    path = tmp_path / "judged.py"
    path.write_text(SOURCE.format(dataset=dataset, metric=metric, rest=rest))
    flags = {"run": ["--skip-checks", "--workers", "1"], "search": ["--workers", "1"]}
    return main([verb, str(path), *flags.get(verb, [])])


def optuna_studies():
    """The Optuna studies of arms and blocks, by name."""
    storage = JournalStorage(JournalFileBackend("optuna.log"))
    names = [name for name in optuna.get_all_study_names(storage) if not name.endswith("all blocks")]
    return [optuna.load_study(study_name=name, storage=storage) for name in names]


def test_a_comparison_is_judged_by_its_metric_in_both_stores_and_the_report(tmp_path, tracking_uri, capsys):
    """Values, keys, curves, the registered model and every sentence are of the AUC, and a second search trains nothing."""
    assert run(tmp_path, "roc_auc", COMPARED) == 0
    assert "best val AUC: random 0.9" in capsys.readouterr().out
    for study in optuna_studies():
        assert study.metric_names == ["best/val_roc_auc"]
        for trial in study.trials:
            assert trial.value == trial.user_attrs["best/val_roc_auc"]
            curve = list(trial.intermediate_values.values())
            assert trial.value == (0.5 if trial.user_attrs["diverged"] else max(curve))
    client = MlflowClient(tracking_uri=tracking_uri)
    by_kind = {
        kind: client.search_runs(["0"], f"tags.kind = '{kind}'") for kind in ("study", "arm", "trial", "confirmation")
    }
    assert {kind: len(runs) for kind, runs in by_kind.items()} == {"study": 1, "arm": 4, "trial": 20, "confirmation": 8}
    (parent,) = by_kind["study"]
    assert parent.data.tags["metric"] == "roc_auc"
    assert {"report/random/test_roc_auc", "report/tpe/confirmed_test_roc_auc"} <= set(parent.data.metrics)
    keys = {"best_so_far/val_roc_auc", "best_so_far/test_roc_auc", "expected/test_roc_auc", "spread/val_roc_auc"}
    assert all(keys <= set(arm.data.metrics) for arm in by_kind["arm"])
    trained = [trial.data.metrics for trial in by_kind["trial"] if trial.data.tags["diverged"] == "False"]
    assert all({"val/roc_auc", "val/accuracy", "best/val_roc_auc", "test/roc_auc"} <= set(m) for m in trained)
    best = max(metrics["best/val_roc_auc"] for metrics in trained)
    version = client.get_model_version_by_alias("babysit-judged", "champion")
    assert (float(version.tags["val_roc_auc"]), version.tags["same_as_recorded"]) == (best, "True")
    folder = Path("reports/judged")
    text, verdict = (folder / "report.md").read_text(), json.loads((folder / "verdict.json").read_text())
    assert verdict["metric"] == "roc_auc"
    assert re.search(r"[Tt]est AUC \d\d\.\d+% \(95% CI \d\d\.\d+ to \d+\.\d+; 114 rows\)", text)
    assert not re.findall(r"(?:test|validation|expected) accurac\w+", text)
    assert run(tmp_path, "roc_auc", COMPARED, "search") == 0
    assert "nothing to train, all 20 trials are recorded" in capsys.readouterr().out


def test_pruning_refinement_and_report_take_a_metric_that_is_no_share(tmp_path, tracking_uri, capsys):
    """Negative log-losses prune, rank and refine trials, and are shown as plain numbers."""
    assert run(tmp_path, "neg_log_loss", PRUNED) == 0
    (study,) = optuna_studies()
    pruned = [trial for trial in study.trials if trial.state == optuna.trial.TrialState.PRUNED]
    assert pruned
    for trial in study.trials:
        assert trial.value <= 0
        curve = list(trial.intermediate_values.values())
        expected = curve[-1] if trial in pruned else trial.user_attrs["best/val_neg_log_loss"]
        assert trial.value == expected
    shown = capsys.readouterr().out.replace("\N{MINUS SIGN}", "-")
    assert re.search(r"test negative log-loss of -0\.\d+ \(95% CI -\d\.\d+ to -0\.\d+; 114 rows\)", shown)
    assert run(tmp_path, "neg_log_loss", PRUNED, "refine") == 0
    assert "metric='neg_log_loss'" in capsys.readouterr().out


@pytest.mark.parametrize("verb", ["run", "search", "train", "check"])
def test_an_auc_of_ten_classes_is_refused_before_anything_is_written(verb, tmp_path, tracking_uri, capsys):
    """The line names the metric for more classes, and no store is made."""
    assert run(tmp_path, "roc_auc", COMPARED, verb, dataset="digits") == 2
    assert "metric: got 'roc_auc' for 10 classes; expected 2. Give 'roc_auc_ovr'" in capsys.readouterr().err
    assert not Path("optuna.log").exists()
    assert not MlflowClient(tracking_uri=tracking_uri).search_runs(["0"])
