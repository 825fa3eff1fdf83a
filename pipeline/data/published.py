"""Data sets that are known by name: scikit-learn's own tables, MNIST and Fashion-MNIST."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np

from pipeline.data.binary_images import Part, joined, load_idx
from pipeline.data.files import Published, obtain
from pipeline.data.folder import data_folder, scratch_folder
from pipeline.data.rows import Rows

MNIST = Published(
    "https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz",
    "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1",
    11_490_434,
)
"""LeCun, Cortes and Burges (1998), as Keras publishes it."""
FASHION_MNIST = tuple(
    Published(
        f"https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/{name}-ubyte.gz",
        sha256,
        size,
    )
    for name, sha256, size in (
        ("train-images-idx3", "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84", 26_421_880),
        ("train-labels-idx1", "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845", 29_515),
        ("t10k-images-idx3", "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073", 4_422_102),
        ("t10k-labels-idx1", "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5", 5_148),
    )
)
"""Xiao, Rasul and Vollgraf (2017)."""
FASHION_CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)


def load_digits() -> Rows:
    """scikit-learn's 1,797 handwritten digits, 8 x 8 pixels of 0 to 16: inputs (1797, 64) float64."""
    package = find_spec("sklearn")
    file = Path(package.origin).parent / "datasets" / "data" / "digits.csv.gz" if package and package.origin else Path()
    if file.is_file():  # read here, since importing scikit-learn takes most of a second
        table = np.loadtxt(file, delimiter=",")
        inputs, labels = table[:, :-1], table[:, -1]
    else:
        from sklearn.datasets import load_digits as load

        inputs, labels = load(return_X_y=True)
    return Rows(inputs, labels.astype(np.intp), tuple("0123456789"), shape=(8, 8))


def load_own(name: str) -> Rows:
    """One of scikit-learn's tables of numbers, by its name there."""
    from sklearn import datasets

    bunch = getattr(datasets, f"load_{name}")()
    return Rows(
        bunch.data, bunch.target.astype(np.intp), tuple(map(str, bunch.target_names)), shape=bunch.data.shape[1:]
    )


def load_mnist() -> Rows:
    """MNIST's 70,000 digits of 28 x 28 pixels; the last 10,000 are the test split."""
    folder = data_folder()
    with scratch_folder(folder, "mnist") as scratch, np.load(obtain(MNIST, folder, scratch)) as arrays:
        train, test = (Part(arrays[f"x_{part}"], arrays[f"y_{part}"]) for part in ("train", "test"))
    return joined("mnist", train, test)


def load_fashion_mnist() -> Rows:
    """Fashion-MNIST's 70,000 articles of 28 x 28 pixels; the last 10,000 are the test split."""
    folder = data_folder() / "fashion_mnist"  # its files have the names of MNIST's
    with scratch_folder(folder, "fashion_mnist") as scratch:
        for file in FASHION_MNIST:
            obtain(file, folder, scratch)
    return load_idx(folder, FASHION_CLASSES)
