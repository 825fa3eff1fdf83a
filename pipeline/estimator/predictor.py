"""What a fitted classifier predicts, and what it shows of its network."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from pipeline.data.rows import check_cells
from pipeline.estimator.prediction import NUMBERS, log_probabilities, network_of, probabilities
from pipeline.estimator.settings import PATIENCE, Settings
from pipeline.nn.layers import Array, Arrays


class Predictor(ClassifierMixin, Settings):  # type: ignore[misc]  # scikit-learn has no types
    """Predicts from the fitted attributes of a classifier. Rows X may be sparse."""

    classes_: Array
    loss_curve_: list[float]
    validation_scores_: list[float] | None

    def predict(self, X: Any) -> Array:
        """Return the most probable class of each row, (N,)."""
        places = self.predict_proba(X).argmax(axis=1)
        return np.asarray(self.classes_[places])

    def predict_proba(self, X: Any) -> Array:
        """Return the probability of each class for each row, (N, C), in the order of ``classes_``."""
        return probabilities(vars(self), self._read_rows(X))

    def predict_log_proba(self, X: Any) -> Array:
        """Return the logarithm of each probability, (N, C); it is finite even where the probability rounds to 0."""
        return log_probabilities(vars(self), self._read_rows(X))

    @property
    def coefs_(self) -> list[Array]:
        """The weights (D, H) of each layer that has any; the first layer's inputs are preprocessed."""
        return [views["W"][0] for views in self._layers()]

    @property
    def intercepts_(self) -> list[Array]:
        """The biases (H,) of the layers of ``coefs_``."""
        return [views["b"][0, 0] for views in self._layers()]

    @property
    def best_loss_(self) -> float | None:
        """The lowest training loss of an epoch; None with early stopping, as in ``MLPClassifier``."""
        check_is_fitted(self)
        return min(self.loss_curve_) if self.validation_scores_ is None else None

    def _layers(self) -> list[Arrays]:
        check_is_fitted(self)
        return [views for views in network_of(vars(self)).params.layers if "W" in views]

    def _read_rows(self, X: Any) -> Any:
        """Return rows to predict, as an array or sparse."""
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse="csr", dtype=NUMBERS, reset=False)
        check_cells("X", X)
        return X

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def __setstate__(self, state: Any) -> None:
        super().__setstate__(state)
        if hasattr(self, "parameters_") and not hasattr(self, "built_"):
            self.built_ = self._build()  # an older version did not store it
        if "warm_start" not in state and self.n_iter_no_change == PATIENCE:
            self.n_iter_no_change = "auto"  # in older versions it was for early stopping alone
