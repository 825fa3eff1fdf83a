"""Every kind of layer that a network is stacked of."""

from pipeline.nn.dense import Dense
from pipeline.nn.dropout import Dropout
from pipeline.nn.layer import Array, Arrays, Layer, Shapes, Workspace
from pipeline.nn.nonlinearities import Maxout, Nonlinearity, PReLU
from pipeline.nn.norms import BatchNorm, LayerNorm

__all__ = [
    "Array",
    "Arrays",
    "BatchNorm",
    "Dense",
    "Dropout",
    "Layer",
    "LayerNorm",
    "Maxout",
    "Nonlinearity",
    "PReLU",
    "Shapes",
    "Workspace",
]
