"""Products that are added to what is there. BLAS can do that and NumPy cannot say it, so SciPy's door to BLAS is taken."""

from __future__ import annotations

from functools import cache
from typing import Any

from pipeline.nn.base import Array


@cache
def gemm(dtype: str) -> Any:
    """BLAS's product of matrices of a type. SciPy takes a fifth of a second to come, so only what needs it loads it."""
    from scipy.linalg import blas

    return {"float32": blas.sgemm, "float64": blas.dgemm}[dtype]


def subtract_product(target: Array, inputs: Array, upstream: Array, keep: Array) -> None:
    """C ← keep·C - Xᵀ·U, in place, for every trial's C (K, D, H), U (K, B, H) and number keep (K,), and the shared X (B, D).

    All of them have B or D innermost in memory, as layers lay them out; SciPy would change a copy of another C.
    """
    product = gemm(target.dtype.name)
    for own, gradient, factor in zip(target, upstream, keep, strict=True):
        product(-1, inputs, gradient, factor, own, trans_a=True, overwrite_c=True)
