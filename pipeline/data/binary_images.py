"""Images in binary files: MNIST's idx files, SVHN's .mat files, and an unpacked CIFAR-10."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.data.cifar import ARCHIVES, PICKLES, records_of_folder
from pipeline.data.labels import check_classes
from pipeline.data.rows import Rows
from pipeline.errors import UserError

AXES = {"images": 3, "labels": 1}
"""The axes of MNIST's arrays, which are a part of the names of its files."""


@dataclass(frozen=True)
class Part:
    """Images (N, ...) of one split, and the names of their classes (N,)."""

    images: np.ndarray
    labels: np.ndarray


def joined(where: str, train: Part, test: Part | None, names: Sequence[str] = ()) -> Rows:
    """Return the rows of the training part, and of the published test part, if there is one.

    ``names`` are the names of classes 0, 1, ...; by default the labels are their own names.
    """
    parts = [train, *([test] if test else [])]
    for part in parts:
        if len(part.images) != len(part.labels):
            raise UserError(f"{where}: {len(part.images):,} images and {len(part.labels):,} labels; expected one each")
        if part.images.shape[1:] != train.images.shape[1:]:
            raise UserError(
                f"{where}: training images of shape {train.images.shape[1:]}, test images of {part.images.shape[1:]}. Make them equal"
            )
    classes, codes = np.unique(np.concatenate([part.labels for part in parts]), return_inverse=True)
    class_names = [names[label] for label in classes] if names else [str(label) for label in classes.tolist()]
    check_classes(where, np.array(class_names), np.bincount(codes[: len(train.labels)], minlength=len(classes)))
    images = np.concatenate([part.images for part in parts])
    shape = images.shape[1:]
    return Rows(
        images.reshape(len(images), -1),
        codes.astype(np.intp),
        tuple(class_names),
        test=len(test.labels) if test else 0,
        shape=shape,
    )


def idx_file(folder: Path, part: str, kind: str) -> Path | None:
    """Return the path of an idx file of a folder: of ``train`` or ``t10k``, with ``images`` or ``labels``."""
    name = _idx_name(part, kind)
    paths = [folder / f"{form}{end}" for form in (name, name.replace("-idx", ".idx")) for end in ("", ".gz")]
    return next((path for path in paths if path.is_file()), None)


def _idx_name(part: str, kind: str) -> str:
    """Return the name of one of MNIST's files. It may end in ``.gz``, and may have a dot for the second hyphen."""
    return f"{part}-{kind}-idx{AXES[kind]}-ubyte"


def load_idx(folder: Path, names: Sequence[str] = ()) -> Rows:
    """Return the rows of a folder of MNIST's four files, or of the two of its training split."""
    has_test = any(idx_file(folder, "t10k", kind) for kind in AXES)
    test = read_idx_part(folder, "t10k") if has_test else None
    return joined(str(folder), read_idx_part(folder, "train"), test, names)


def read_idx_part(folder: Path, part: str) -> Part:
    """Return the images and labels of a split. Raises :class:`UserError` if a file is missing."""
    files = {kind: idx_file(folder, part, kind) for kind in AXES}
    for kind, file in files.items():
        if not file:
            raise UserError(f"{folder}: has no {_idx_name(part, kind)}, packed or not. Put it there")
    images, labels = (read_idx(file) for file in files.values() if file)
    return Part(images, labels)


def read_idx(path: Path) -> np.ndarray:
    """Return the array of an idx file of bytes: a magic number, the sizes as big-endian integers, the values.

    The format is that of http://yann.lecun.com/exdb/mnist (LeCun, Cortes and Burges, 1998).
    """
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError) as error:
        raise UserError(f"{path}: cannot be read ({error}). Fetch it again") from error
    if len(data) < 4 or data[:3] != b"\x00\x00\x08":
        raise UserError(f"{path}: is no idx file of bytes; it begins with {data[:4].hex()}. Fetch it again")
    start = 4 + 4 * data[3]
    shape = np.frombuffer(data[4:start], ">u4").astype(int)
    values = np.frombuffer(data, np.uint8, offset=min(start, len(data)))
    if values.size != shape.prod():
        raise UserError(f"{path}: has {values.size:,} values; its header says {shape.prod():,}. Fetch it again")
    return values.reshape(shape)


def load_mat(path: Path) -> Rows:
    """Return the rows of one of SVHN's .mat files of 32 x 32 pixels; ``test_...`` next to ``train_...`` is the test split.

    X is (height, width, channels, N), and y (N, 1), where 10 stands for the digit 0 (Netzer et al., 2011).
    """
    if not path.is_file():
        raise UserError(f"{path}: there is no such file in {Path.cwd()}")
    test = path.with_name(path.name.replace("train", "test", 1))
    return joined(str(path), read_mat(path), read_mat(test) if test != path and test.is_file() else None)


def read_mat(path: Path) -> Part:
    """Return the images and labels of one .mat file."""
    from scipy.io import loadmat

    try:
        arrays = loadmat(path, variable_names=["X", "y"])
    except Exception as error:  # damaged files raise many kinds
        raise UserError(f"{path}: cannot be read as a .mat file ({error}). Fetch it again") from error
    images, labels = arrays.get("X"), arrays.get("y")
    if images is None or labels is None or images.ndim != 4 or images.dtype != np.uint8:
        raise UserError(
            f"{path}: expected an array X of bytes, (height, width, channels, N), and an array y, as SVHN has them"
        )
    labels = labels.ravel().astype(int)
    digits = set(labels.tolist()) <= set(range(1, 11))
    return Part(np.ascontiguousarray(images.transpose(3, 2, 0, 1)), labels % 10 if digits else labels)


def load_cifar_folder(folder: Path) -> Rows:
    """Return the rows of an unpacked ``cifar-10-batches-bin``. Raises :class:`UserError` for the version of pickles."""
    archive = ARCHIVES["cifar10"]
    if not (folder / archive.train[0][0]).is_file():
        raise UserError(
            f"{folder}: {PICKLES}. Give the folder {archive.folder}, or dataset='cifar10', which downloads it"
        )
    records = records_of_folder(folder, archive)
    labels, images = records[:, 0], records[:, 1:].reshape(-1, 3, 32, 32)
    cut = len(records) - archive.test[1]
    return joined(str(folder), Part(images[:cut], labels[:cut]), Part(images[cut:], labels[cut:]), archive.class_names)
