"""The data sets that are known by name."""

import numpy as np
import pytest
from sklearn import datasets

from pipeline.data import published
from pipeline.data.dataset import load_rows
from pipeline.data.files import Published
from tests.data.test_images import write_idx


@pytest.mark.parametrize("name", ["iris", "wine", "breast_cancer"])
def test_own_tables_of_scikit_learn(name):
    """The rows are those of scikit-learn, with the names of its classes."""
    bunch, rows = getattr(datasets, f"load_{name}")(), load_rows(name)
    assert np.array_equal(rows.inputs, bunch.data)
    assert [rows.class_names[code] for code in rows.labels] == [bunch.target_names[code] for code in bunch.target]


def test_mnist_of_the_data_folder(tmp_path, monkeypatch):
    """The file of Keras, and the four of Fashion-MNIST in a folder of their own, are read from the data folder."""
    load_rows.cache_clear()
    monkeypatch.setenv("BABYSIT_DATA_DIR", str(tmp_path))
    monkeypatch.setattr(published, "obtain", lambda file, folder, _: folder / file.name)
    images, labels = np.arange(30 * 4, dtype=np.uint8).reshape(30, 2, 2), np.arange(30) % 3
    np.savez(tmp_path / "mnist.npz", x_train=images[:21], y_train=labels[:21], x_test=images[21:], y_test=labels[21:])
    rows = load_rows("mnist")
    assert (rows.shape, rows.test, rows.class_names) == ((2, 2), 9, ("0", "1", "2"))
    (tmp_path / "fashion_mnist").mkdir()
    write_idx(tmp_path / "fashion_mnist")
    rows = load_rows("fashion_mnist")
    assert (rows.test, rows.class_names) == (6, ("T-shirt/top", "Trouser", "Pullover"))
    assert all(isinstance(file, Published) for file in published.FASHION_MNIST)
