"""The best model of a study: its best trial, trained again to the same bits, and saved without pickle."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.data import load_block
from pipeline.data.columns import raw_rows
from pipeline.data.dataset import load_rows
from pipeline.data.encoding import Encoding
from pipeline.estimator import NumpyNetworkClassifier
from pipeline.estimator.trial_training import curves_of, retrain_trial
from pipeline.model.packaging import write_package
from pipeline.model.serving import ARRAYS, COLUMNS, PLAIN, ServedModel, read_state
from pipeline.report.figures.network import network_figures
from pipeline.report.style import Plot
from pipeline.report.winner import Winner
from pipeline.search.plan import make_task
from pipeline.study.metrics import ACCURACY, Metric
from pipeline.study.spec import Study
from pipeline.tracking.registry import SavedModel

REQUIREMENTS = ("numpy", "pandas", "scipy")
"""The packages that a served model imports, apart from MLflow."""
EXAMPLE_ROWS = 2


@dataclass(frozen=True)
class BestModel:
    """A classifier, raw rows to try it on, tags of its origin, figures of its network, its curves, and a table's encoding."""

    classifier: NumpyNetworkClassifier
    example: np.ndarray | pd.DataFrame
    tags: dict[str, str]
    figures: Sequence[Plot] = ()
    curves: Mapping[str, Sequence[float]] = field(default_factory=dict)
    encoding: Encoding | None = None
    metric: Metric = ACCURACY


def train_again(study: Study, winner: Winner, basis: Mapping[str, Any]) -> BestModel:
    """Return the model of the best trial. ``basis`` has the network's version and the data's hash, and becomes tags."""
    trial = winner.plan
    task = make_task(study, [trial])
    data = load_block(task.dataset, task.config, task.split_seed)
    trained = retrain_trial(trial.hparams, data, task.config, task.order_seed)
    classifier = NumpyNetworkClassifier.of_record(trained, trial.hparams, data, task.config)
    return BestModel(
        classifier,
        example_rows(study, data.encoding),
        origin(study, winner, float(trained.best[0]), basis),
        network_figures(trained, data),
        curves_of(trained),
        data.encoding,
        study.objective,
    )


def origin(study: Study, winner: Winner, score: float, basis: Mapping[str, Any]) -> dict[str, str]:
    """Return where a model comes from, as tags; ``score`` is the validation value that its new training has."""
    record, metric = winner.record, study.objective
    tags = {
        "study": study.name,
        "study_hash": study.hash,
        "dataset": study.dataset,
        "trial": winner.name,
        "trial_run": record["run_id"],
        f"val_{metric.name}": repr(score),
        "val_rows": record["n_val"],
        f"test_{metric.name}": repr(float(record[metric.test])),
        "same_as_recorded": bool(score == record[metric.best_val]),
        **basis,
    }
    return {key: str(value) for key, value in tags.items()}


def example_rows(study: Study, encoding: Encoding | None) -> np.ndarray | pd.DataFrame:
    """Return raw rows to try a model on."""
    example = np.asarray(load_rows(study.source).inputs[:EXAMPLE_ROWS], "float64")
    return example if encoding is None else raw_rows(encoding.schema, example)


@contextmanager
def saved_model(best: BestModel) -> Iterator[SavedModel]:
    """Save a model for the registry. Its files exist during the body."""
    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder) / "classifier"
        files.mkdir()
        save(best.classifier, files)
        if best.encoding is not None:
            (files / COLUMNS).write_text(
                json.dumps(best.encoding.to_json(), ensure_ascii=False, indent=1), encoding="utf-8"
            )
        code, loader = write_package("pipeline.model.serving", Path(folder))
        yield SavedModel(
            files=files,
            code=code,
            loader=loader,
            tags=best.tags,
            example=best.example,
            outputs=ServedModel(files).predict(best.example),
            requirements=[f"{name}=={version(name)}" for name in REQUIREMENTS],
            metric=best.metric,
        )


def save(classifier: NumpyNetworkClassifier, folder: Path) -> list[Path]:
    """Write a fitted classifier's state: its arrays, without Python objects, and the rest as JSON. Return both files."""
    state = vars(classifier)
    arrays = {name: value for name, value in state.items() if isinstance(value, np.ndarray)}
    rest = {name: value for name, value in state.items() if name not in arrays and not name.startswith("_")}
    np.savez(folder / ARRAYS, allow_pickle=False, **arrays)
    (folder / PLAIN).write_text(json.dumps({name: value for name, value in rest.items() if _is_plain(value)}))
    return [folder / ARRAYS, folder / PLAIN]


def load(arrays: Path | str, plain: Path | str) -> NumpyNetworkClassifier:
    """Return a saved classifier. ``partial_fit`` resumes with new velocities and a new order. Neither file can run code."""
    classifier = NumpyNetworkClassifier()
    classifier.__setstate__(read_state(arrays, plain))
    classifier.renew()
    return classifier


def _is_plain(value: Any) -> bool:
    """Return True if JSON can hold the value. It cannot hold a random generator, which only further training needs."""
    try:
        json.dumps(value)
    except TypeError:
        return False
    return True
