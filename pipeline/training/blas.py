"""The BLAS library that computes matrix products; their last digits depend on it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_info


def blas() -> str:
    """Return a description of NumPy's BLAS library: its version, kernel and current threads, and NumPy's version.

    A kernel is the code for one kind of processor. OpenBLAS chooses it when it is loaded, unless ``OPENBLAS_CORETYPE``
    names one.
    """
    libraries: list[dict[str, Any]] = [library for library in threadpool_info() if library["user_api"] == "blas"]
    libraries.sort(key=lambda library: "numpy" not in Path(library["filepath"]).parent.name)  # SciPy may have its own
    if not libraries:
        return f"unknown BLAS, NumPy {np.__version__}"
    used = libraries[0]
    threads = f"{used['num_threads']} thread{'s' if used['num_threads'] > 1 else ''}"
    kernel = used.get("architecture", "one kernel")
    return f"{used['internal_api']} {used['version']}, {kernel}, {threads}, NumPy {np.__version__}"
