"""Arithmetic in place for the optimizers: a fused product and subtraction, and the removal of subnormal numbers."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from pipeline.nn.base import Array


@cache
def gemm(dtype: str) -> Any:
    """BLAS's matrix product for a dtype, which can add to an existing array; NumPy's cannot.

    SciPy gives access to it. Importing SciPy takes a fifth of a second, so only networks that need it do so.
    """
    from scipy.linalg import blas

    return {"float32": blas.sgemm, "float64": blas.dgemm}[dtype]


def subtract_product(target: Array, inputs: Array, upstream: Array, keep: Array) -> None:
    """C ← keep·C - Xᵀ·U for each trial, in place.

    C is (K, D, H), U is (K, B, H), keep is a factor (K,), and the trials share X (B, D). All arrays have B or D
    innermost in memory, as layers lay them out. With another layout, SciPy would change a copy of C.
    """
    product = gemm(target.dtype.name)
    for trial_target, gradient, factor in zip(target, upstream, keep, strict=True):
        product(-1, inputs, gradient, factor, trial_target, trans_a=True, overwrite_c=True)


def flush(values: Array, *, squared: bool = False) -> None:
    """Set values (K, P) that are close to the subnormal numbers to 0, in place.

    A processor takes twenty times as long for subnormal numbers. Under a large L2 all weights shrink by a factor a
    step, and behind a dead unit a velocity does, until they are subnormal. Rounding then keeps them there for good.
    The limit is the root of the least normal number (1e-19 in float32), since the product of two values below it is
    subnormal. For ``squared`` values the limit is the least normal number itself.
    """
    least = np.finfo(values.dtype).tiny
    limit = least if squared else np.sqrt(least)
    for trial_values in values:  # one trial at a time, which stays in the cache
        small = np.abs(trial_values) < limit
        if small.any():
            trial_values[small] = 0
