"""Images by their path: a folder or a file, in one of the formats that images are published in."""

from __future__ import annotations

import re
from math import isqrt
from pathlib import Path

import numpy as np

from pipeline.data.binary_images import AXES, Part, idx_file, joined, load_cifar_folder, load_idx, load_mat
from pipeline.data.pictures import has_pictures, load_encoded, load_pictures
from pipeline.data.rows import Rows
from pipeline.errors import UserError


def is_images(name: str) -> bool:
    """Return True for a folder, a .mat or .amat file, and a parquet file of pictures.

    ``FOLDER:32x32`` sets the size of pictures.
    """
    path = Path(split_size(name)[0]).expanduser()
    if path.suffix == ".parquet":
        return path.is_file() and has_pictures(path)
    return bool(name) and (path.suffix.lower() in (".mat", ".amat") or path.is_dir())


def split_size(name: str) -> tuple[str, tuple[int, int] | None]:
    """Split ``folder:32x32`` into the folder and the height and width of its pictures, None if they are not given."""
    found = re.fullmatch(r"(.+):(\d{1,4})x(\d{1,4})", name, re.DOTALL)
    return (found[1], (int(found[2]), int(found[3]))) if found else (name, None)


def load_images(name: str) -> Rows:
    """Return the rows of a folder or a file of images. Raises :class:`UserError` with the file and the fault."""
    text, size = split_size(name)
    path = Path(text).expanduser()
    if path.suffix.lower() == ".mat":
        return load_mat(path)
    if path.suffix.lower() == ".amat":
        return load_amat(path)
    if path.suffix == ".parquet":
        return load_encoded(path, size)
    if any(idx_file(path, "train", kind) for kind in AXES):
        return load_idx(path)
    if any((path / name).is_file() for name in ("data_batch_1", "data_batch_1.bin")):
        return load_cifar_folder(path)
    return load_pictures(path, size)


def load_amat(path: Path) -> Rows:
    """Return the rows of one of Larochelle's variants of MNIST (2007): a text file with 784 pixels and a label in each line.

    ``..._test.amat`` next to ``..._train.amat`` or ``..._train_valid.amat`` is the test split.
    """
    if not path.is_file():
        raise UserError(f"{path}: there is no such file in {Path.cwd()}")
    test = path.with_name(re.sub(r"_train(_valid)?(?=\.amat$)", "_test", path.name))
    return joined(str(path), read_amat(path), read_amat(test) if test != path and test.is_file() else None)


def read_amat(path: Path) -> Part:
    """Return the images (N, S, S), in float32, and the labels of one .amat file."""
    try:
        rows = np.loadtxt(path, "float32", ndmin=2)
    except ValueError as error:
        raise UserError(f"{path}: is no table of numbers ({error}). Fetch it again") from error
    side, labels = isqrt(rows.shape[1] - 1), rows[:, -1]
    if not side or side**2 + 1 != rows.shape[1] or not np.isfinite(rows).all() or (labels % 1).any():
        raise UserError(
            f"{path}: expected the pixels of a square image and a whole number in each line. Fetch it again"
        )
    return Part(rows[:, :-1].reshape(-1, side, side), labels.astype(int))
