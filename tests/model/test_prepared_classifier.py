"""The classifier that is registered: the preparation of its rows, and the names of its classes."""

import numpy as np
import pytest
from sklearn.svm import SVC

from pipeline.data import load_block
from pipeline.data.dataset import load_rows
from pipeline.data.splits import split_indices
from pipeline.errors import UserError
from pipeline.model.estimators import prepared
from pipeline.model.prepared_classifier import PreparedClassifier
from pipeline.study.hparams import TrainConfig


@pytest.mark.parametrize("preprocessing", ["none", "min_max", "whiten"])
def test_rows_are_prepared_as_in_the_trial(preprocessing):
    """Raw rows become the bits that the trial was fitted on; a classifier without probabilities has none here."""
    config = TrainConfig(preprocessing=preprocessing)
    data, rows = load_block("iris", config, 3), load_rows("iris")
    raw = rows.inputs[split_indices(rows, config, 3)[1]]
    classifier = prepared(PreparedClassifier, SVC().fit(data.train.inputs, data.train.labels), data, config)
    assert np.array_equal(classifier.transform(raw), data.val.inputs)
    assert classifier.score(raw, np.array(data.class_names)[data.val.labels]) > 0.8
    assert not hasattr(classifier, "predict_proba")
    with pytest.raises(UserError, match=r"rows: got shape \(30, 3\); expected \(N, 4\)"):
        classifier.predict(raw[:, :3])
