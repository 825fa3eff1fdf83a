"""The BLAS library that computes matrix products; their last digits depend on it."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import ThreadpoolController


def one_thread() -> AbstractContextManager[Any]:
    """Return a context in which BLAS and OpenMP use one thread. It costs little, unless modules were imported since the last."""
    limited: AbstractContextManager[Any] = _libraries(len(sys.modules)).limit(limits=1)
    return limited


@lru_cache(maxsize=1)
def _libraries(modules: int) -> ThreadpoolController:  # noqa: ARG001  another number of modules may mean other libraries
    """Return the loaded libraries. To find them takes 3 ms, as long as the record of a trial."""
    return ThreadpoolController()


def blas() -> str:
    """Return a description of NumPy's BLAS library: its version, kernel and current threads, and NumPy's version.

    A kernel is the code for one kind of processor. OpenBLAS chooses it when it is loaded, unless ``OPENBLAS_CORETYPE``
    names one.
    """
    libraries: list[dict[str, Any]] = [
        library for library in _libraries(len(sys.modules)).info() if library["user_api"] == "blas"
    ]
    libraries.sort(key=lambda library: "numpy" not in Path(library["filepath"]).parent.name)  # SciPy may have its own
    if not libraries:
        return f"unknown BLAS, NumPy {np.__version__}"
    used = libraries[0]
    threads = f"{used['num_threads']} thread{'s' if used['num_threads'] > 1 else ''}"
    kernel = used.get("architecture", "one kernel")
    return f"{used['internal_api']} {used['version']}, {kernel}, {threads}, NumPy {np.__version__}"
