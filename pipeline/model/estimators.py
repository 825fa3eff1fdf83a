"""The best model of a study of scikit-learn classifiers: fitted again, with the preparation of its rows, without pickle."""

from __future__ import annotations

import importlib
import inspect
import json
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pipeline.data import Dataset, load_block
from pipeline.model.best import example_rows, origin
from pipeline.model.packaging import write_package
from pipeline.report.winner import Winner
from pipeline.search.plan import make_task
from pipeline.study.hparams import TrainConfig
from pipeline.study.models import ModelParams
from pipeline.study.spec import Study
from pipeline.tracking.registry import SavedModel
from pipeline.trials.own_models import find_model, is_function, new_estimator, seeds_of
from pipeline.trials.trainers import OwnModel, scored
from pipeline.trials.trial import Failure

TRUSTED = ("sklearn.", "numpy.", "scipy.")
"""The packages whose types a saved model may hold: loading it creates nothing else."""
REQUIREMENTS = ("scikit-learn", "numpy", "pandas", "skops")
"""The packages that a registered classifier imports, apart from MLflow."""


@contextmanager
def saved_classifier(study: Study, winner: Winner, basis: Mapping[str, Any]) -> Iterator[SavedModel | str]:
    """Fit the best trial's classifier again, and save it for the registry; or give the reason why it cannot be saved.

    Its files exist during the body. It is fitted in a process of its own, as the trial was, under the study's time limit.
    """
    from skops.io import loads  # takes a second to import

    task = make_task(study, [winner.plan])
    data = load_block(task.dataset, task.config, task.split_seed)
    trainer = task.trainer
    assert isinstance(trainer, OwnModel)  # noqa: S101  for the type checker
    answer = trainer.fit(winner.plan, data, task.config, task.order_seed, save=True)
    if isinstance(answer, Failure):
        yield f"fitted again, it {answer.sentence}"
        return
    if isinstance(answer.saved, str):
        yield answer.saved
        return
    if unknown := [name for name in _types(answer.saved) if not name.startswith(TRUSTED)]:
        yield f"it holds {unknown[0]}, which skops does not load"
        return
    with tempfile.TemporaryDirectory() as folder:
        code, module = write_package("pipeline.model.prepared_classifier", Path(folder))
        trusted = [*_types(answer.saved), f"{module}.PreparedClassifier"]
        fitted = loads(answer.saved, trusted=_types(answer.saved))
        classifier = prepared(_carried(folder, module).PreparedClassifier, fitted, data, task.config)
        example = example_rows(study, data.encoding)
        yield SavedModel(
            files=Path(folder),
            code=code,
            loader=module,
            tags=origin(study, winner, scored(answer, data, task.config, 0).scores[study.objective.best_val], basis),
            example=example,
            outputs=classifier.predict(example),
            requirements=[f"{name}=={version(name)}" for name in REQUIREMENTS],
            metric=study.objective,
            estimator=classifier,
            trusted=trusted,
        )


def call_text(path: str, params: ModelParams) -> str:
    """Return the lines of Python that make an estimator, or name what a function gets. Raises :class:`UserError`."""
    module, _, name = path.partition(":")
    model, start = find_model(path), f"from {module} import {name.partition('.')[0]}\n\n"
    if is_function(model):
        return f"{start}params = {dict(params.values)!r}\nseed = {params.seed}"
    settings = {**params.values, **seeds_of(new_estimator(path, model, {}, 0), params.seed)}
    listed = "".join(f"\n    {key}={value!r}," for key, value in settings.items())
    plain = inspect.isclass(model) and not any("__" in key for key in settings)
    return f"{start}classifier = {name}{'' if plain else '().set_params'}({listed}\n)"


def _types(saved: bytes) -> list[str]:
    """Return the types of a saved estimator that skops does not load unasked."""
    from skops.io import get_untrusted_types  # takes a second to import

    types: list[str] = get_untrusted_types(data=saved)
    return types


def _carried(folder: str, module: str) -> Any:
    """Import a module of the package that the model carries, by its name there, which skops writes."""
    sys.path.insert(0, folder)
    try:
        return importlib.import_module(module)
    finally:
        sys.path.remove(folder)


def prepared(kind: type[Any], fitted: Any, data: Dataset, config: TrainConfig) -> Any:
    """Return a :class:`PreparedClassifier`, or one of the class of that name which a model carries, of a fitted classifier."""
    transform, encoding = data.transform, data.encoding
    return kind(
        fitted,
        data.class_names,
        data.features if transform.basis is None else len(transform.basis),
        "" if encoding is None else json.dumps(encoding.to_json(), ensure_ascii=False),
        transform.offset,
        transform.scale,
        transform.basis,
        config.dtype,
    )
