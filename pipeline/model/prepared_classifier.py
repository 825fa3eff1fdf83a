"""The scikit-learn classifier that is registered: a trial's, behind the preparation of its rows. It is carried with the model."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.metaestimators import available_if

from pipeline.data.encoding import Encoding
from pipeline.data.transform import Transform
from pipeline.model.raw_inputs import raw_inputs
from pipeline.trials.predictions import classes_of, predicted


def _has_probabilities(prepared: PreparedClassifier) -> bool:
    return hasattr(prepared.classifier, "predict_proba")


class PreparedClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A fitted classifier that takes raw rows, and predicts the names of classes. It cannot be fitted again.

    Parameters
    ----------
    classifier
        The fitted classifier; its classes are whole numbers from 0.
    classes
        The names of the C classes.
    features
        The number of columns of rows that need no encoding.
    encoding
        The encoding of a table's columns as JSON; empty for rows of numbers.
    offset, scale, basis
        The arrays of the preprocessing's :class:`Transform`.
    dtype
        The precision of the inputs that the classifier was fitted on.
    """

    def __init__(
        self,
        classifier: Any = None,
        classes: tuple[str, ...] = (),
        features: int = 0,
        encoding: str = "",
        offset: np.ndarray | None = None,
        scale: np.ndarray | None = None,
        basis: np.ndarray | None = None,
        dtype: str = "float32",
    ) -> None:
        self.classifier = classifier
        self.classes = classes
        self.features = features
        self.encoding = encoding
        self.offset = offset
        self.scale = scale
        self.basis = basis
        self.dtype = dtype

    @property
    def classes_(self) -> np.ndarray:
        """The names of the C classes."""
        return np.array(self.classes)

    def transform(self, rows: Any) -> np.ndarray:
        """Return raw rows as the classifier's inputs (N, M), as they were in the trial."""
        encoding = Encoding.from_json(json.loads(self.encoding)) if self.encoding else None
        transform = Transform(self.offset, self.scale, self.basis)
        return transform(raw_inputs(rows, encoding, self.features)).astype(self.dtype)

    def predict(self, rows: Any) -> np.ndarray:
        """Return the name of the class of each row (N,): as in the trial, the most probable one if it has probabilities."""
        return np.asarray(self.classes_[classes_of(self._predicted(rows))])

    @available_if(_has_probabilities)  # type: ignore[untyped-decorator]
    def predict_proba(self, rows: Any) -> np.ndarray:
        """Return the probability of each class (N, C)."""
        return self._predicted(rows)

    def _predicted(self, rows: Any) -> np.ndarray:
        return predicted(self.classifier, self.transform(rows), len(self.classes))

    def __sklearn_is_fitted__(self) -> bool:
        return self.classifier is not None
