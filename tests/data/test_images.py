"""Images are read from small files of the formats that they are published in; each fault names the file and the remedy."""

import gzip
import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from scipy.io import savemat

from pipeline.data.cifar import ARCHIVES, PIXELS
from pipeline.data.dataset import load_rows, split_indices
from pipeline.data.files import Published
from pipeline.errors import UserError
from pipeline.study.hparams import TrainConfig

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def _fresh():
    load_rows.cache_clear()


def idx(array):
    """The bytes of an idx file of bytes."""
    return bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.astype(np.uint8).tobytes()


def write_idx(folder, *, packed=True, form="{}-{}-idx{}-ubyte"):
    """MNIST's four files with 12 training and 6 test images of 4 x 5 pixels; return the images and labels."""
    written = {}
    for part, count in (("train", 12), ("t10k", 6)):
        images, labels = RNG.integers(0, 256, (count, 4, 5)), np.arange(count) % 3
        written[part] = images, labels
        for kind, array, axes in (("images", images, 3), ("labels", labels, 1)):
            path = folder / (form.format(part, kind, axes) + (".gz" if packed else ""))
            path.write_bytes(gzip.compress(idx(array)) if packed else idx(array))
    return written


@pytest.mark.parametrize(("packed", "form"), [(True, "{}-{}-idx{}-ubyte"), (False, "{}-{}.idx{}-ubyte")])
def test_idx_files_have_their_published_test_split(tmp_path, packed, form):
    """The rows are the training images and then the test images, which are the test split of every block."""
    written = write_idx(tmp_path, packed=packed, form=form)
    rows = load_rows(str(tmp_path))
    assert (rows.shape, rows.test, rows.class_names) == ((4, 5), 6, ("0", "1", "2"))
    assert np.array_equal(
        rows.inputs.reshape(-1, 4, 5), np.concatenate([written[part][0] for part in ("train", "t10k")])
    )
    assert np.array_equal(rows.labels, np.concatenate([written[part][1] for part in ("train", "t10k")]))
    assert split_indices(rows, TrainConfig(validation=0.25), 0)[2].tolist() == list(range(12, 18))


def test_faults_of_idx_files_are_named(tmp_path):
    """A missing, a cut and a foreign file are refused by name."""
    write_idx(tmp_path, packed=False)
    labels = tmp_path / "train-labels-idx1-ubyte"
    labels.write_bytes(labels.read_bytes()[:-2])
    with pytest.raises(UserError, match=r"train-labels-idx1-ubyte: has 10 values; its header says 12"):
        load_rows(str(tmp_path))
    labels.write_bytes(b"<html>")
    with pytest.raises(UserError, match="is no idx file of bytes; it begins with 3c68746d"):
        load_rows(str(tmp_path))
    labels.unlink()
    with pytest.raises(UserError, match="has no train-labels-idx1-ubyte, packed or not"):
        load_rows(str(tmp_path))


def test_svhn_has_planes_and_the_digit_0(tmp_path):
    """X is turned from (height, width, channels, N) to planes, 10 is the digit 0, and test_... is the test split."""
    for part, count in (("train", 40), ("test", 20)):
        images = RNG.integers(0, 256, (32, 32, 3, count)).astype(np.uint8)
        savemat(tmp_path / f"{part}_32x32.mat", {"X": images, "y": (np.arange(count) % 10 + 1)[:, None]})
    rows = load_rows(str(tmp_path / "train_32x32.mat"))
    assert (rows.shape, rows.test, rows.class_names) == ((3, 32, 32), 20, tuple("0123456789"))
    assert np.array_equal(rows.inputs[-1].reshape(3, 32, 32), images[..., -1].transpose(2, 0, 1))
    assert rows.labels[:10].tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9, 0]


def save_pictures(folder, mode, sizes=((6, 5),) * 4):
    """Pictures of two classes, as .png, with these widths and heights."""
    for label in ("cat", "dog"):
        (folder / label).mkdir(parents=True)
        for number, (width, height) in enumerate(sizes):
            shape = (height, width) if mode == "L" else (height, width, 3)
            Image.fromarray(RNG.integers(0, 256, shape).astype(np.uint8)).save(folder / label / f"{number}.png")


def test_a_folder_for_each_class(tmp_path):
    """Colour pictures become planes of bytes; the class is the name of the folder; other files are left alone."""
    save_pictures(tmp_path, "RGB")
    (tmp_path / "README.txt").write_text("none")
    rows = load_rows(str(tmp_path))
    assert (rows.shape, rows.class_names, rows.labels.tolist()) == ((3, 5, 6), ("cat", "dog"), [0] * 4 + [1] * 4)
    with Image.open(tmp_path / "dog" / "3.png") as picture:
        assert np.array_equal(rows.inputs[-1].reshape(3, 5, 6), np.asarray(picture).transpose(2, 0, 1))


def test_train_and_test_folders_of_grey_pictures(tmp_path):
    """Grey pictures have one plane; the folder ``test`` is the test split."""
    for part in ("train", "test"):
        save_pictures(tmp_path / part, "L")
    rows = load_rows(str(tmp_path))
    assert (rows.shape, rows.test, len(rows)) == ((5, 6), 8, 16)


def test_pictures_of_several_sizes(tmp_path):
    """They are refused with the remedy, which scales them; a damaged picture is named with them."""
    save_pictures(tmp_path, "RGB", [(6, 5), (7, 5), (6, 5), (6, 5)])
    (tmp_path / "dog" / "3.png").write_bytes(b"no picture")
    with pytest.raises(
        UserError, match=r"cat/1.png is 5x7, the first is 5x6; .*:32x32 scales all; .*dog/3.png cannot be read"
    ):
        load_rows(str(tmp_path))
    (tmp_path / "dog" / "3.png").unlink()
    assert load_rows(f"{tmp_path}:8x9").shape == (3, 8, 9)


def encoded(number):
    """A small picture as the bytes of a .png."""
    stream = io.BytesIO()
    Image.fromarray(np.full((4, 4, 3), number, np.uint8)).save(stream, "PNG")
    return {"bytes": stream.getvalue(), "path": None}


def test_parquet_files_of_encoded_pictures(tmp_path):
    """All parts of ``train`` are read, ``test`` is the test split, and the classes have the names of the metadata."""
    features = {"image": {"_type": "Image"}, "label": {"names": ["cat", "dog"], "_type": "ClassLabel"}}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    for part, name in enumerate(("train-00000-of-00002", "train-00001-of-00002", "test-00000-of-00001")):
        table = pa.table({"image": [encoded(10 * part + i) for i in range(4)], "label": [0, 1, 0, 1]})
        pq.write_table(table.replace_schema_metadata(metadata), tmp_path / f"{name}.parquet")
    rows = load_rows(str(tmp_path / "train-00000-of-00002.parquet"))
    assert (rows.shape, rows.test, rows.class_names) == ((3, 4, 4), 4, ("cat", "dog"))
    assert rows.inputs[:, 0].tolist() == [0, 1, 2, 3, 10, 11, 12, 13, 20, 21, 22, 23]


def test_an_unpacked_cifar_folder(tmp_path, monkeypatch):
    """The folder of the binary version is read, by path and in the data folder; the pickles are refused with the remedy."""
    archive = ARCHIVES["cifar10"]
    small = type(archive)(
        Published("https://example.org/cifar-10-binary.tar.gz", "0" * 64, 1),
        archive.folder,
        (("data_batch_1.bin", 60),),
        ("test_batch.bin", 20),
        archive.class_names,
    )
    monkeypatch.setitem(ARCHIVES, "cifar10", small)
    monkeypatch.setenv("BABYSIT_DATA_DIR", str(tmp_path))
    folder = tmp_path / archive.folder
    folder.mkdir()
    for name, count in (*small.train, small.test):
        records = RNG.integers(0, 256, (count, 1 + PIXELS)).astype(np.uint8)
        records[:, 0] = np.arange(count) % 10
        (folder / name).write_bytes(records.tobytes())
    by_path, by_name = load_rows(str(folder)), load_rows("cifar10")
    assert (by_path.shape, by_path.test, by_path.class_names) == ((3, 32, 32), 20, archive.class_names)
    assert np.array_equal(by_path.inputs, by_name.inputs)
    assert by_path.description.sha256 == by_name.description.sha256
    (folder / "data_batch_1.bin").rename(folder / "data_batch_1")
    load_rows.cache_clear()
    with pytest.raises(UserError, match=r"python version.*pickles.*Give the folder cifar-10-batches-bin"):
        load_rows(str(folder))


def test_a_folder_without_images(tmp_path):
    """The refusal says what such a folder may have."""
    with pytest.raises(UserError, match="has no folders of pictures; expected one for each class, MNIST's idx files"):
        load_rows(str(tmp_path))


def test_amat_files_have_the_test_split_next_to_them(tmp_path):
    """A line is an image and its label; the rows of the test file are the test split, and a wrong line is refused."""
    images = RNG.random((18, 4)).astype("float32").round(4)
    for part, rows in (("train_valid", slice(12)), ("test", slice(12, 18))):
        table = np.column_stack([images[rows], np.arange(18)[rows] % 3])
        np.savetxt(tmp_path / f"mnist_rotation_{part}.amat", table, "%.4f", delimiter="   ")
    path = tmp_path / "mnist_rotation_train_valid.amat"
    rows = load_rows(str(path))
    assert np.array_equal(rows.inputs, images)
    assert (rows.shape, rows.test, rows.labels.tolist()) == ((2, 2), 6, [0, 1, 2] * 6)
    for fault, expected in (("0.5 1\n", "is no table of numbers"), ("0.1 0.2 0.3 0.4 1.5\n", "a whole number")):
        load_rows.cache_clear()
        path.write_text("0.1 0.2 0.3 0.4 1\n" + fault)
        with pytest.raises(UserError, match=rf"mnist_rotation_train_valid.amat: .*{expected}"):
            load_rows(str(path))
