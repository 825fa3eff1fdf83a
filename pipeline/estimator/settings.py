"""The parameters of the classifier, the settings of training that follow from them, and those that layers depend on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from math import inf, prod
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from pipeline.errors import UserError
from pipeline.study.hparams import CLASS_WEIGHTS, HyperParams, TrainConfig
from pipeline.validation import check_flag, check_integer, check_number, check_sizes

HYPERPARAMETERS = tuple(f.name for f in fields(HyperParams) if f.name not in ("seed", "batch_size", "preprocessing"))
SHAPING = ("hidden", "activation", "batch_norm", "layer_norm", "dropout", "conv")
"""The hyperparameters that the layers depend on."""
PATIENCE = 10
"""The epochs of ``n_iter_no_change="auto"`` with early stopping."""
LARGEST_BATCH = 64
"""The batch size of ``batch_size="auto"``, unless there are fewer rows."""

Built = Mapping[str, Any]
"""The settings that a network was built with: ``SHAPING``, ``image_shape``, ``dtype`` and ``preprocessing``."""


@dataclass(repr=False, eq=False)
class Settings(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Parameters by scikit-learn's convention: the constructor stores them as they are, and :meth:`fit` checks them."""

    hidden: Any = (50,)
    learning_rate: float = 0.1
    l2: float = 0.0
    momentum: float = 0.0
    activation: str = "relu"
    init: str | float = "he"
    batch_norm: bool = False
    layer_norm: bool = False
    dropout: float = 0.0
    l1: float = 0.0
    max_norm: float = 0.0
    label_smoothing: float = 0.0
    optimizer: str = "sgd"
    beta1: float = 0.9
    beta2: float = 0.999
    rho: float = 0.99
    epsilon: float = 1e-8
    clip: float = 0.0
    schedule: str = "constant"
    warmup: int = 0
    step_factor: float = 0.5
    step_epochs: int = 5
    decay_rate: float = 0.1
    conv: Any = ()
    class_weight: Any = None
    init_scale: float = 1.0
    init_distribution: str = "normal"
    t0: float = 0.0
    max_iter: int = 20
    batch_size: int | str = "auto"
    preprocessing: str = "standardise"
    image_shape: tuple[int, ...] = ()
    dtype: str = "float32"
    early_stopping: bool = False
    validation_fraction: float = 0.1
    n_iter_no_change: float | str = "auto"
    tol: float = 1e-4
    random_state: Any = 0
    warm_start: bool = False
    verbose: bool | int = False

    def _hyperparams(self) -> HyperParams:
        values = {name: plain(getattr(self, name)) for name in HYPERPARAMETERS}
        if self.class_weight is None or isinstance(self.class_weight, Mapping):
            values["class_weight"] = CLASS_WEIGHTS[0]  # the weights of a mapping are those of the rows
        return HyperParams(**values, seed=self.seed_)

    def _class_weights(self, classes: Sequence[Any]) -> np.ndarray | None:
        """Return the weight of each class, (C,), of a mapping that may leave out classes; None if it is no mapping."""
        given = self.class_weight
        if not isinstance(given, Mapping):
            return None
        unknown = [label for label in given if label not in classes]
        if unknown and len(given) - len(unknown) < len(classes):
            raise UserError(f"class_weight: got {plain(unknown[0])!r}; expected one of the classes {list(classes)!r}")
        weights = [plain(given.get(label, 1.0)) for label in classes]
        for label, weight in zip(classes, weights, strict=True):
            check_number(f"class_weight: {label!r}", weight, low=0.0)
        return np.array(weights, "float64")

    def _patience(self) -> tuple[float, float]:
        """Return the epochs without change after which training stops, perhaps infinite, and the least change."""
        for name in ("early_stopping", "warm_start"):
            check_flag(name, plain(getattr(self, name)))
        tol, epochs = plain(self.tol), plain(self.n_iter_no_change)
        check_number("tol", tol, low=0.0)
        if epochs == "auto":
            epochs = PATIENCE if self.early_stopping else inf
        if epochs != inf:
            check_integer("n_iter_no_change", epochs, low=1)
        return epochs, tol

    def _shape(self) -> tuple[int, ...]:
        """Return the shape of a row that is an image, or (). Raises :class:`UserError` if rows have another width."""
        shape = plain(self.image_shape)
        check_sizes("image_shape", shape)
        if shape and prod(shape) != self.n_features_in_:
            raise UserError(
                f"image_shape: got {shape!r}, of {prod(shape)} numbers; rows have {self.n_features_in_}. Make them equal"
            )
        return tuple(shape)

    def _build(self) -> dict[str, Any]:
        """Return the settings that a network is built with now, as plain values."""
        hparams = self._hyperparams()
        values = {name: getattr(hparams, name) for name in SHAPING} | {"image_shape": self._shape()}
        lists = {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
        return {**lists, "dtype": self.dtype, "preprocessing": self.preprocessing}

    def _config(self, rows: int) -> TrainConfig:
        """Return the settings of training for a number of rows. Raises :class:`UserError` for a wrong one."""
        check_integer("max_iter", plain(self.max_iter), low=1)
        size = min(LARGEST_BATCH, rows) if self.batch_size == "auto" else plain(self.batch_size)
        config = TrainConfig(plain(self.max_iter), size, self.preprocessing, dtype=self.dtype)
        if size > rows:
            raise UserError(f"batch_size: got {size}; there are {rows} rows to train on. Give fewer, or 'auto'")
        return config


def check_same(then: Built, now: Built) -> None:
    """Raise :class:`UserError` if a network built with ``then`` cannot continue with ``now``.

    Dropout may change, but not from or to 0, since its layers would appear or vanish.
    """
    for name, value in now.items():
        before = then[name]
        if bool(value) != bool(before) if name == "dropout" else value != before:
            raise UserError(
                f"{name}: got {value!r}; the network in training was built with {before!r}. Put it back, or call fit without warm_start"
            )


def plain(value: Any) -> Any:
    """Return a NumPy value, or a list or tuple of such, as values of Python's own types."""
    if isinstance(value, (list, tuple)):
        return type(value)(plain(item) for item in value)
    return value.tolist() if isinstance(value, (np.generic, np.ndarray)) else value
