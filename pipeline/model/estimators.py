"""The best model of a study of scikit-learn classifiers: fitted again, with the preparation of its inputs, without pickle."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from pipeline.data import load_block
from pipeline.data.dataset import load_rows
from pipeline.data.transform import Transform
from pipeline.report.winner import Winner
from pipeline.search.plan import make_task
from pipeline.study.spec import Study
from pipeline.tracking.registry import SavedModel
from pipeline.training.metrics import BEST_VAL_ACCURACY, TEST_ACCURACY
from pipeline.trials.own_models import (
    Curves,
    accuracy,
    find_model,
    fitted,
    is_function,
    new_estimator,
    predicted,
)
from pipeline.trials.trainers import model_data

EXAMPLE_ROWS = 2
TRUSTED = ("sklearn.", "numpy.", "scipy.")
"""The packages whose types a saved model may hold: loading it creates nothing else."""


def fit_again(study: Study, winner: Winner, basis: Mapping[str, Any]) -> SavedModel | str:
    """Return the best trial's classifier, ready to be registered, or the reason why it cannot be saved."""
    trial, task = winner.plan, make_task(study, [winner.plan])
    model, params = find_model(study.model), trial.hparams
    if is_function(model):
        return "a function returns no model"
    data = load_block(task.dataset, task.config, task.split_seed)
    if data.encoding is not None or data.transform.basis is not None:
        return "a table with text, dates or empty cells, PCA and whitening are prepared outside of the model"
    with threadpool_limits(1):
        rows = model_data(data, task.config)
        estimator = fitted(new_estimator(study.model, model, params.values, params.seed), params.values, rows, Curves())
        val_accuracy = accuracy(predicted(estimator, rows.x_val, data.classes), data.val.labels)
    pipeline = prepared(estimator, data.transform, data.features)
    if untrusted := _untrusted(pipeline):
        return f"it holds {untrusted[0]}, which skops does not load"
    example = np.asarray(load_rows(study.source).inputs[:EXAMPLE_ROWS], "float64")
    objective = study.objective
    tags = {
        "study": study.name,
        "study_hash": study.hash,
        "dataset": study.dataset,
        "trial": trial.name,
        "trial_run": winner.record["run_id"],
        "val_accuracy": repr(val_accuracy),
        f"val_{objective.name}": repr(float(winner.record[objective.best_val])),
        "same_as_recorded": val_accuracy == winner.record[BEST_VAL_ACCURACY],
        "val_rows": len(data.val),
        "test_accuracy": repr(float(winner.record[TEST_ACCURACY])),
        "classes": ", ".join(map(str, data.class_names)),
        **basis,
    }
    predictions = predicted(pipeline, example, data.classes)
    return SavedModel(
        files=Path(),
        code=Path(),
        loader="",
        tags={key: str(value) for key, value in tags.items()},
        example=example,
        probabilities=predictions.reshape(len(example), -1),
        classes=[str(k) for k in range(data.classes)] if predictions.ndim == 2 else ["class"],
        requirements=[f"{name}=={version(name)}" for name in ("scikit-learn", "numpy", "skops")],
        metric=objective,
        estimator=pipeline,
        trusted=tuple(_types(pipeline)),
    )


def prepared(estimator: Any, transform: Transform, features: int) -> Any:
    """Return a pipeline that centres and scales raw rows (N, D) as the trial's were, then asks the fitted estimator."""
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import StandardScaler

    centred, scaled = transform.offset is not None, transform.scale is not None
    scaler = StandardScaler(with_mean=centred, with_std=scaled)
    scaler.mean_, scaler.scale_ = transform.offset, transform.scale
    scaler.n_features_in_, scaler.n_samples_seen_ = features, 1
    return Pipeline([*([("prepare", scaler)] if centred or scaled else []), ("model", estimator)])


def _types(pipeline: Any) -> list[str]:
    from skops.io import dumps, get_untrusted_types

    types: list[str] = get_untrusted_types(data=dumps(pipeline))
    return types


def _untrusted(pipeline: Any) -> list[str]:
    return [name for name in _types(pipeline) if not name.startswith(TRUSTED)]
