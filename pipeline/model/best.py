"""The best model of a study: chosen on validation rows, trained once more to the same bits, and kept without a pickle."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.data import load_block
from pipeline.data.dataset import load_rows
from pipeline.estimator import NumpyNetworkClassifier
from pipeline.estimator.trial_training import retrain_trial
from pipeline.model.packaging import write_package
from pipeline.model.serving import ARRAYS, PLAIN, read_state
from pipeline.report.figures.network import network_figures
from pipeline.report.style import Plot
from pipeline.search.plan import make_task, planned_trial
from pipeline.study.spec import Study
from pipeline.training.metrics import BEST_VAL_ACCURACY, TEST_ACCURACY
from pipeline.trials.trial import PlannedTrial

REQUIREMENTS = ("numpy", "pandas", "scipy")
"""What a served model imports, beside MLflow."""
EXAMPLE_ROWS = 2


@dataclass(frozen=True)
class BestModel:
    """A fitted classifier, rows (2, D) to try it on, where it comes from, as words for a registry's tags, and its portrait."""

    classifier: NumpyNetworkClassifier
    example: np.ndarray
    evidence: dict[str, str]
    pictures: Sequence[Plot] = ()

    @property
    def val_accuracy(self) -> float:
        """What it was chosen by."""
        return float(self.evidence["val_accuracy"])


def best_trial(trials: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The record of the trial with the highest validation accuracy, the first if several tie; None if all diverged.

    Trials that were pruned are left out, since they were not trained to the end. The test split plays no part.
    """
    whole = [trial for trial in trials if not trial["diverged"] and not trial.get("pruned")]
    return max(whole, key=lambda trial: float(trial[BEST_VAL_ACCURACY]), default=None)


def planned(study: Study, record: Mapping[str, Any]) -> PlannedTrial:
    """The trial of the plan that was recorded so."""
    (arm,) = (arm for arm in study.arms if arm.name == record["arm"])
    point = {name: record[name] for name in study.space}
    return planned_trial(study, arm, int(record["block"]), int(record["trial"]), point)


def train_again(study: Study, record: Mapping[str, Any], basis: Mapping[str, Any]) -> BestModel:
    """The model of a recorded trial. ``basis`` is what it stands on: the network's version and the data's hash."""
    trial = planned(study, record)
    task = make_task(study, [trial])
    data = load_block(task.dataset, task.config, task.split_seed)
    again = retrain_trial(trial.hparams, data, task.config, task.order_seed)
    classifier = NumpyNetworkClassifier.of_record(again, trial.hparams, data, task.config)
    reached = max(classifier.validation_scores_ or [0.0])
    evidence = {
        "study": study.name,
        "study_hash": study.hash,
        "dataset": study.dataset,
        "trial": trial.name,
        "trial_run": record["run_id"],
        "val_accuracy": repr(float(reached)),
        "val_rows": len(data.val),
        "test_accuracy": repr(float(record[TEST_ACCURACY])),
        "same_as_recorded": bool(reached == record[BEST_VAL_ACCURACY]),
        **basis,
    }
    example = np.asarray(load_rows(study.dataset).inputs[:EXAMPLE_ROWS], "float64")
    words = {key: str(value) for key, value in evidence.items()}
    return BestModel(classifier, example, words, network_figures(again, data))


@contextmanager
def keeping(best: BestModel) -> Iterator[dict[str, Any]]:
    """What a registry keeps of a model, its files among it, for as long as the body takes."""
    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder) / "classifier"
        files.mkdir()
        save(best.classifier, files)
        code, loader = write_package("pipeline.model.serving", Path(folder))
        yield {
            "files": str(files),
            "code": str(code),
            "loader": loader,
            "evidence": best.evidence,
            "example": best.example,
            "probabilities": best.classifier.predict_proba(best.example),
            "classes": [str(name) for name in best.classifier.classes_],
            "requirements": requirements(),
        }


def save(classifier: NumpyNetworkClassifier, folder: Path) -> list[Path]:
    """Write a fitted classifier's state: its arrays, which hold no objects, and the rest as JSON."""
    state = vars(classifier)
    arrays = {name: value for name, value in state.items() if isinstance(value, np.ndarray)}
    rest = {name: value for name, value in state.items() if name not in arrays and not name.startswith("_")}
    np.savez(folder / ARRAYS, allow_pickle=False, **arrays)
    (folder / PLAIN).write_text(json.dumps({name: value for name, value in rest.items() if _is_plain(value)}))
    return [folder / ARRAYS, folder / PLAIN]


def load(arrays: Path | str, plain: Path | str) -> NumpyNetworkClassifier:
    """The classifier that was saved, which trains on from a new memory and order; nothing in either file can run code."""
    classifier = NumpyNetworkClassifier()
    classifier.__setstate__(read_state(arrays, plain))
    classifier.renew()
    return classifier


def requirements() -> list[str]:
    """The packages that a kept model needs, at the versions it was made with."""
    return [f"{name}=={version(name)}" for name in REQUIREMENTS]


def _is_plain(value: Any) -> bool:
    """Whether JSON holds it; a random generator, which only further training needs, is not."""
    try:
        json.dumps(value)
    except TypeError:
        return False
    return True
