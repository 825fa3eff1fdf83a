"""The parameters of the estimator, and what training makes of them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from math import prod
from typing import Any

from sklearn.base import BaseEstimator

from pipeline.errors import UserError
from pipeline.estimator.built import built_of
from pipeline.estimator.state import plain
from pipeline.study.hparams import HyperParams, TrainConfig
from pipeline.validation import check_integer, check_sizes

HYPERPARAMETERS = tuple(f.name for f in fields(HyperParams) if f.name != "seed")
LARGEST_BATCH = 64
"""What ``batch_size="auto"`` takes of larger data."""


@dataclass(repr=False, eq=False)
class Settings(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Parameters as scikit-learn wants them, set as they are given; they are looked at when they are used."""

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
    max_iter: int = 20
    batch_size: int | str = "auto"
    preprocessing: str = "standardise"
    image_shape: tuple[int, ...] = ()
    dtype: str = "float32"
    early_stopping: bool = False
    validation_fraction: float = 0.1
    n_iter_no_change: int = 10
    tol: float = 1e-4
    random_state: Any = 0

    def _hyperparams(self) -> HyperParams:
        return HyperParams(**{name: plain(getattr(self, name)) for name in HYPERPARAMETERS}, seed=self.seed_)

    def _shape(self) -> tuple[int, ...]:
        """The shape of a row that is an image, or none; ``ValueError`` if rows have another number of columns."""
        shape = plain(self.image_shape)
        check_sizes("image_shape", shape)
        if shape and prod(shape) != self.n_features_in_:
            raise UserError(f"image_shape: got {shape!r}, of {prod(shape)} numbers; rows have {self.n_features_in_}")
        return tuple(shape)

    def _build(self) -> dict[str, Any]:
        return built_of(self._hyperparams(), self._shape(), self.dtype, self.preprocessing)

    def _config(self, rows: int) -> TrainConfig:
        """The settings for so many rows; ``ValueError`` names the one that is wrong."""
        check_integer("max_iter", plain(self.max_iter), low=1)
        size = min(LARGEST_BATCH, rows) if self.batch_size == "auto" else plain(self.batch_size)
        config = TrainConfig(plain(self.max_iter), size, self.preprocessing, dtype=self.dtype)
        if size > rows:
            raise UserError(f"batch_size: got {size}; there are {rows} rows to train on. Give fewer, or 'auto'")
        return config
