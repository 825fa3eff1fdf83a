"""All layer classes of the network, and the types that they share."""

from pipeline.nn.base import Array, Arrays, Layer, Shapes, Workspace
from pipeline.nn.conv import Conv
from pipeline.nn.dense import Dense
from pipeline.nn.dropout import Dropout
from pipeline.nn.map_norm import MapNorm
from pipeline.nn.nonlinearities import Maxout, Nonlinearity, PReLU
from pipeline.nn.norms import BatchNorm, LayerNorm
from pipeline.nn.pooling import GlobalAveragePool, MaxPool

__all__ = [
    "Array",
    "Arrays",
    "BatchNorm",
    "Conv",
    "Dense",
    "Dropout",
    "GlobalAveragePool",
    "Layer",
    "LayerNorm",
    "MapNorm",
    "MaxPool",
    "Maxout",
    "Nonlinearity",
    "PReLU",
    "Shapes",
    "Workspace",
]
