"""The BLAS library that products of matrices run on, which decides their last digits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_info


def blas() -> str:
    """NumPy's BLAS library with its version, its kernel and the threads that it may use now, and NumPy's version.

    A kernel is the code for one kind of processor. OpenBLAS chooses it when it is loaded, or takes ``OPENBLAS_CORETYPE``.
    """
    libraries: list[dict[str, Any]] = [library for library in threadpool_info() if library["user_api"] == "blas"]
    libraries.sort(key=lambda library: "numpy" not in Path(library["filepath"]).parent.name)  # SciPy may have another
    if not libraries:
        return f"unknown BLAS, NumPy {np.__version__}"
    used = libraries[0]
    threads = f"{used['num_threads']} thread{'s' if used['num_threads'] > 1 else ''}"
    kernel = used.get("architecture", "one kernel")
    return f"{used['internal_api']} {used['version']}, {kernel}, {threads}, NumPy {np.__version__}"
