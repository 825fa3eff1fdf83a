"""A scikit-learn classifier that trains one network with the training loop of the studies."""

from pipeline.estimator.classifier import NumpyNetworkClassifier

__all__ = ["NumpyNetworkClassifier"]
