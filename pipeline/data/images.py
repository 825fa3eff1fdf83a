"""Images by their path: a folder or a file, in one of the formats that images are published in."""

from __future__ import annotations

import re
from pathlib import Path

from pipeline.data.binary_images import AXES, idx_file, load_cifar_folder, load_idx, load_mat
from pipeline.data.pictures import has_pictures, load_encoded, load_pictures
from pipeline.data.rows import Rows


def is_images(name: str) -> bool:
    """Return True for a folder, a .mat file, and a parquet file of pictures; ``FOLDER:32x32`` sets the size of pictures."""
    path = Path(split_size(name)[0]).expanduser()
    if path.suffix == ".parquet":
        return path.is_file() and has_pictures(path)
    return bool(name) and (path.suffix.lower() == ".mat" or path.is_dir())


def split_size(name: str) -> tuple[str, tuple[int, int] | None]:
    """Split ``folder:32x32`` into the folder and the height and width of its pictures, None if they are not given."""
    found = re.fullmatch(r"(.+):(\d{1,4})x(\d{1,4})", name, re.DOTALL)
    return (found[1], (int(found[2]), int(found[3]))) if found else (name, None)


def load_images(name: str) -> Rows:
    """Return the rows of a folder or a .mat file. Raises :class:`UserError` with the file and the fault."""
    text, size = split_size(name)
    path = Path(text).expanduser()
    if path.suffix.lower() == ".mat":
        return load_mat(path)
    if path.suffix == ".parquet":
        return load_encoded(path, size)
    if any(idx_file(path, "train", kind) for kind in AXES):
        return load_idx(path)
    if any((path / name).is_file() for name in ("data_batch_1", "data_batch_1.bin")):
        return load_cifar_folder(path)
    return load_pictures(path, size)
