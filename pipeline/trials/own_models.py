"""A study's own model: how it is found, and how one trial of it is fitted. It runs in a process of its own."""

from __future__ import annotations

import importlib
import inspect
import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pipeline.errors import UserError, one_line
from pipeline.study.models import SEED
from pipeline.training.metrics import VAL_ACCURACY
from pipeline.trials.predictions import Array, accuracy, all_columns, checked, log_loss, predicted
from pipeline.validation import did_you_mean

REPORTED = re.compile("(train|val)_")
"""A metric that a function reports as ``val_accuracy`` is recorded as ``val/accuracy``; others keep their names."""
METRIC_NAME = re.compile(r"(?!test_|best_|(gap|train_|val_)$)[A-Za-z]\w{0,99}", re.ASCII)
"""The names of metrics that a model may report. Those of its results are left out: this program writes them."""
SEEDS = 2**32
"""The number of seeds that NumPy's older generators take."""


@dataclass(frozen=True)
class ModelData:
    """The rows of one block, as a model gets them: preprocessed, without the labels of the test rows.

    Attributes
    ----------
    x_train, x_val, x_test
        The rows (N, D).
    y_train, y_val
        The classes as whole numbers from 0 (N,).
    classes
        The number of classes, C.
    epochs
        The epochs of the study's ``config``.
    shape
        The shape of a row before it was flattened, such as that of an image; empty if unknown.
    """

    x_train: Array
    y_train: Array
    x_val: Array
    y_val: Array
    x_test: Array
    classes: int
    epochs: int
    shape: tuple[int, ...] = ()


@dataclass
class Curves:
    """The metrics that a model reports by epoch; calling it is the ``report`` of a function.

    ``stop`` decides whether the trial is pruned, given an epoch and the value of the metric with the key ``watched``.
    """

    stop: Callable[[int, float], bool] | None = None
    watched: str = VAL_ACCURACY
    values: dict[str, list[float]] = field(default_factory=dict)
    epochs: int = 0
    stopped: bool = False

    def __call__(self, epoch: int, **metrics: float) -> bool:
        """Record the metrics of an epoch, counted from 1. Return True if the training should stop now: it is pruned.

        Raises :class:`ValueError` for another epoch than the next one, for a name that is not :data:`METRIC_NAME`, and if a
        pruner gets no value of the study's metric.
        """
        if epoch != self.epochs + 1:
            raise ValueError(f"report: got epoch {epoch}; expected {self.epochs + 1}. Report every epoch, from 1")
        epoch = int(epoch)
        if wrong := [name for name in metrics if not METRIC_NAME.fullmatch(name)]:
            raise ValueError(
                f"report: got the metric {wrong[0]!r:.60}; expected a name of letters, digits and _, as in val_loss, that "
                "does not begin with test_ or best_"
            )
        for name, value in metrics.items():
            key = REPORTED.sub(r"\1/", name, count=1) if REPORTED.match(name) else name
            self.values.setdefault(key, [float("nan")] * self.epochs).append(float(value))
        self.epochs = epoch
        for values in self.values.values():
            values.extend([float("nan")] * (epoch - len(values)))
        if self.stop and not self.stopped:
            if self.watched not in self.values:
                raise ValueError(f"report: a pruner needs {self.watched.replace('/', '_')} in every epoch")
            self.stopped = self.stop(epoch, self.values[self.watched][-1])
        return self.stopped


@dataclass(frozen=True)
class Outcome:
    """What a model says of the validation and the test rows: classes (N,) or probabilities (N, C); and its curves.

    ``saved`` is the fitted estimator in the format of skops, or the reason why there is none; empty if it was not asked for.
    """

    val: Array
    test: Array
    curves: Mapping[str, Sequence[float]]
    epochs: int = 0
    stopped: bool = False
    saved: bytes | str = ""


def find_model(path: str) -> Any:
    """Return the class or function of an import path like ``sklearn.svm:SVC``. Raises :class:`UserError`."""
    module_name, _, name = path.partition(":")
    try:
        found: Any = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:  # a user's module may raise anything
        missing = isinstance(error, ModuleNotFoundError) and error.name == module_name.partition(".")[0]
        remedy = "Install its package, or put its file next to the study's" if missing else "Correct it"
        raise UserError(f"model {path!r}: {module_name} cannot be imported ({one_line(error)}). {remedy}") from error
    for part in name.split("."):
        if not hasattr(found, part):
            hint = did_you_mean(part, [known for known in dir(found) if not known.startswith("_")])
            raise UserError(f"model {path!r}: {module_name} has no {part!r}; {hint}expected the name of a model")
        found = getattr(found, part)
    return found


def is_function(model: Any) -> bool:
    """Return True for a function that fits, ``fit(params, data, seed, report)``; a factory needs no arguments."""
    if inspect.isclass(model) or not callable(model):
        return False
    try:
        inspect.signature(model).bind(None, None, None, None)
    except (TypeError, ValueError):
        return False
    return bool(_needs_arguments(model))


def _needs_arguments(model: Any) -> bool:
    try:
        inspect.signature(model).bind()
    except TypeError:
        return True
    return False


def new_estimator(path: str, model: Any, params: Mapping[str, Any], seed: int) -> Any:
    """Return an unfitted estimator with its parameters and seed. Raises :class:`UserError` if it is none."""
    from sklearn.base import is_regressor  # workers of networks do without scikit-learn

    try:
        estimator = model()
    except (Exception, SystemExit) as error:
        raise UserError(
            f"model {path!r}: {one_line(error)}. Expected a class or a factory that needs no arguments, or a function "
            "fit(params, data, seed, report)"
        ) from error
    if not hasattr(estimator, "get_params") or not hasattr(estimator, "fit"):
        raise UserError(f"model {path!r}: got {type(estimator).__name__}; expected a scikit-learn classifier")
    if is_regressor(estimator):
        raise UserError(f"model {path!r}: {type(estimator).__name__} is a regressor; expected a classifier")
    jobs = {name: 1 for name in estimator.get_params(deep=True) if name.rpartition("__")[2] == "n_jobs"}
    return estimator.set_params(**{**seeds_of(estimator, seed), **jobs, **params})


def seeds_of(estimator: Any, seed: int) -> dict[str, int]:
    """Return the parameters of an estimator, and of those in it, that get a trial's seed."""
    return {name: seed % SEEDS for name in estimator.get_params(deep=True) if name.rpartition("__")[2] == SEED}


def check_parameters(path: str, names: Sequence[str]) -> None:
    """Raise :class:`UserError` unless the model can be imported and, as an estimator, has parameters of these names."""
    model = find_model(path)
    if not is_function(model):
        known = new_estimator(path, model, {}, 0).get_params(deep=True)
        for name in names:
            if name not in known:
                plain = sorted(known)
                raise UserError(
                    f"model {path!r}: unknown parameter {name!r}; {did_you_mean(name, plain)}expected one of {', '.join(plain)}"
                )


def fit_trial(
    path: str, params: Mapping[str, Any], seed: int, data: ModelData, curves: Curves, *, save: bool = False
) -> Outcome:
    """Fit one trial of the model at an import path; with ``save``, the outcome has the estimator."""
    model = find_model(path)
    saved: bytes | str = "a function returns no model" if save else ""
    random.seed(seed)
    np.random.seed(seed % SEEDS)  # noqa: NPY002  for models that have no seed of their own
    if is_function(model):
        returned = model(dict(params), data, seed, curves)
        if not isinstance(returned, (tuple, list)) or len(returned) != 2:
            raise TypeError(
                f"{path} returned {type(returned).__name__}; expected a pair: predictions of x_val and of x_test"
            )
        val, test = returned
    else:
        estimator = fitted(new_estimator(path, model, params, seed), params, data, curves)
        val, test = (predicted(estimator, rows, data.classes) for rows in (data.x_val, data.x_test))
        saved = _saved(estimator) if save else ""
    return Outcome(
        checked("validation", val, len(data.x_val), data.classes),
        checked("test", test, len(data.x_test), data.classes),
        {name: list(values) for name, values in curves.values.items()},
        curves.epochs,
        curves.stopped,
        saved,
    )


def _saved(estimator: Any) -> bytes | str:
    """Return an estimator in the format of skops, without pickle, or the reason why skops cannot write it."""
    from skops.io import dumps  # takes a second to import, and only the best model is saved

    try:
        saved: bytes = dumps(estimator)
    except Exception as error:  # noqa: BLE001  a user's class may raise anything
        return f"skops does not write it: {one_line(error)}"
    return saved


def fitted(estimator: Any, params: Mapping[str, Any], data: ModelData, curves: Curves) -> Any:
    """Fit an estimator on the training rows, and report its curves where it has some.

    An iterative estimator with ``partial_fit`` gets one call for each epoch of the study, unless ``max_iter`` is given.
    After any other fit, the curves are those of ``staged_predict_proba`` or ``staged_predict``, or of ``loss_curve_``.
    """
    if hasattr(estimator, "partial_fit") and "max_iter" in estimator.get_params() and "max_iter" not in params:
        for epoch in range(1, data.epochs + 1):
            estimator.partial_fit(data.x_train, data.y_train, classes=np.arange(data.classes))
            if curves(epoch, **_scores(estimator, data)):
                break
        return estimator
    estimator.fit(data.x_train, data.y_train)
    for epoch, metrics in enumerate(_stages(estimator, data), start=1):
        curves(epoch, **metrics)
    return estimator


def _scores(estimator: Any, data: ModelData) -> dict[str, float]:
    val, train = (predicted(estimator, rows, data.classes) for rows in (data.x_val, data.x_train))
    return _metrics(train, val, data)


def _metrics(train: Array, val: Array, data: ModelData) -> dict[str, float]:
    metrics = {"train_accuracy": accuracy(train, data.y_train), "val_accuracy": accuracy(val, data.y_val)}
    if val.ndim == 2:
        metrics |= {"train_loss": log_loss(train, data.y_train), "val_loss": log_loss(val, data.y_val)}
    return metrics


def _stages(estimator: Any, data: ModelData) -> Iterator[dict[str, float]]:
    steps, x_train, x_val = getattr(estimator, "steps", None), data.x_train, data.x_val
    last = steps[-1][1] if steps else estimator
    staged = getattr(last, "staged_predict_proba", None) or getattr(last, "staged_predict", None)
    if staged:
        if steps and len(steps) > 1:
            x_train, x_val = (estimator[:-1].transform(rows) for rows in (x_train, x_val))
        for train, val in zip(staged(x_train), staged(x_val), strict=True):
            yield _metrics(
                all_columns(train, last.classes_, data.classes), all_columns(val, last.classes_, data.classes), data
            )
    else:
        yield from ({"train_loss": float(loss)} for loss in getattr(last, "loss_curve_", ()))
