"""Images in the files that they are published in.

These are MNIST's idx files, SVHN's .mat files, an unpacked CIFAR-10, folders of pictures, and Hugging Face's parquet files.
"""

from __future__ import annotations

import gzip
import io
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.data.cifar import ARCHIVES, PICKLES, records_of_folder
from pipeline.data.labels import check_classes
from pipeline.data.rows import Rows
from pipeline.errors import UserError

IDX = "{part}-{kind}-idx{axes}-ubyte"
"""The names of MNIST's files; they may end in ``.gz``, and may have a dot for the second hyphen."""
PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".pgm", ".ppm")
TEST_FOLDERS = ("test", "val", "valid", "validation")
"""The folder of the published test split, next to ``train``: the first one that is present."""
LABELS = ("label", "labels", "fine_label")
"""The columns of classes where a parquet file's metadata name none."""
FAULTS_SHOWN = 5
UNREADABLE = (OSError, ValueError, SyntaxError)
"""What Pillow raises for files that are no pictures, or damaged ones."""


@dataclass(frozen=True)
class Part:
    """Images (N, ...) of one split, and the names of their classes (N,)."""

    images: np.ndarray
    labels: np.ndarray


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
    names = {entry.name for entry in path.iterdir()}
    if any(idx_file(path, "train", kind) for kind in ("images", "labels")):
        return load_idx(path)
    if "data_batch_1" in names or "data_batch_1.bin" in names:
        return load_cifar_folder(path)
    return load_pictures(path, size)


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
    name = IDX.format(part=part, kind=kind, axes=3 if kind == "images" else 1)
    forms = [name, name.replace("-idx", ".idx")]
    paths = [folder / f"{form}{end}" for form in forms for end in ("", ".gz")]
    return next((path for path in paths if path.is_file()), None)


def load_idx(folder: Path, names: Sequence[str] = ()) -> Rows:
    """Return the rows of a folder of MNIST's four files, or of the two of its training split."""
    parts = []
    for part in ("train", "t10k"):
        files = [idx_file(folder, part, kind) for kind in ("images", "labels")]
        if not all(files) and (any(files) or part == "train"):
            kind = "labels" if files[0] else "images"
            raise UserError(
                f"{folder}: has no {IDX.format(part=part, kind=kind, axes=3 if kind == 'images' else 1)}, packed or not. Put it there"
            )
        parts.append(Part(*(read_idx(file) for file in files if file)) if all(files) else None)
    train, test = parts
    assert train  # noqa: S101  a folder without it is refused above
    return joined(str(folder), train, test, names)


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


def load_pictures(folder: Path, size: tuple[int, int] | None) -> Rows:
    """Return the rows of a folder with a folder of pictures for each class.

    With the folders ``train`` and ``test`` (or ``val``) in it, the second is the test split.
    """
    parts = [folder]
    if (folder / "train").is_dir():
        test = [folder / name for name in TEST_FOLDERS if (folder / name).is_dir()]
        parts = [folder / "train", *test[:1]]
    listed = [list_pictures(part) for part in parts]
    if not all(listed):
        raise UserError(
            f"{folder}: has no folders of pictures; expected one for each class, MNIST's idx files, or {ARCHIVES['cifar10'].folder}"
        )
    return decoded(str(folder), listed, size)


def has_pictures(path: Path) -> bool:
    """Return True if a parquet file has a column of encoded pictures, as Hugging Face's data sets do."""
    return picture_column(path) is not None


def picture_column(path: Path) -> str | None:
    """Return the name of the column whose values have ``bytes``, the encoded picture."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        schema = pq.read_schema(path)
    except (OSError, pa.ArrowInvalid):  # the reader of tables names the fault
        return None
    return next((f.name for f in schema if pa.types.is_struct(f.type) and f.type.get_field_index("bytes") >= 0), None)


def load_encoded(path: Path, size: tuple[int, int] | None) -> Rows:
    """Return the rows of Hugging Face's parquet files: all parts of ``train-00000-of-00002``, and of ``test`` next to them."""
    if shard := re.fullmatch(r"train(-\d+-of-\d+)?", path.stem):
        pattern = "{}-*-of-*.parquet" if shard[1] else "{}.parquet"
        parts = [sorted(path.parent.glob(pattern.format(part))) for part in ("train", *TEST_FOLDERS)]
        parts = [parts[0], *[part for part in parts[1:] if part][:1]]
    else:
        parts = [[path]]
    return decoded(str(path), [[row for file in part for row in read_encoded(file)] for part in parts], size)


def read_encoded(path: Path) -> list[tuple[str, Any]]:
    """Return the class and the encoded picture, an open file, of each row; classes have the names of the file's metadata."""
    import pyarrow.parquet as pq

    table, image = pq.read_table(path), str(picture_column(path))
    features = json.loads((table.schema.metadata or {}).get(b"huggingface", b"{}")).get("info", {}).get("features", {})
    labelled = [name for name, feature in features.items() if feature.get("_type") == "ClassLabel"]
    label = next(iter([*labelled, *(name for name in LABELS if name in table.column_names)]), None)
    if label not in table.column_names:
        raise UserError(
            f"{path}: has the columns {', '.join(table.column_names)}; expected one called {' or '.join(LABELS)}"
        )
    names = features.get(label, {}).get("names")
    rows = zip(table.column(label).to_pylist(), table.column(image).to_pylist(), strict=True)
    return [(names[code] if names else str(code), io.BytesIO(picture["bytes"])) for code, picture in rows]


def decoded(where: str, listed: Sequence[Sequence[tuple[str, Any]]], size: tuple[int, int] | None) -> Rows:
    """Return the rows of the training and test pictures, each with its class: paths or open files.

    Pictures have one size, or are scaled to ``size`` (height, width). If all are grey, a row is (height, width), else
    (3, height, width).
    """
    grey = all(_is_grey(source) for pictures in listed for _, source in pictures)
    read = [read_pictures(where, pictures, size, grey=grey) for pictures in listed]
    return joined(where, read[0], read[1] if len(read) > 1 else None)


def list_pictures(folder: Path) -> list[tuple[str, Path]]:
    """Return the class and the path of each picture, sorted; the class is the name of its folder."""
    classes = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    return [
        (label.name, path)
        for label in classes
        for path in sorted(label.rglob("*"))
        if path.suffix.lower() in PICTURES and not path.name.startswith(".")
    ]


def _is_grey(source: Any) -> bool:
    from PIL import Image

    try:
        with Image.open(source) as picture:
            return picture.mode in ("1", "L")
    except UNREADABLE:  # the reader names it
        return True


def read_pictures(where: str, pictures: Sequence[tuple[str, Any]], size: tuple[int, int] | None, *, grey: bool) -> Part:
    """Return the pictures as bytes and the names of their classes. Raises :class:`UserError` with all faulty ones."""
    images: list[np.ndarray] = []
    faults = []
    for row, (_, source) in enumerate(pictures, start=1):
        name = str(source) if isinstance(source, Path) else f"row {row}"
        try:
            image = read_picture(source, size, grey=grey)
        except UNREADABLE as error:
            faults.append(f"{name} cannot be read ({str(error).splitlines()[0]})")
            continue
        if images and image.shape != images[0].shape:
            faults.append(f"{name} is {_size(image)}, the first is {_size(images[0])}; {where}:32x32 scales all")
        else:
            images.append(image)
    if faults:
        more = f"; and {len(faults) - FAULTS_SHOWN:,} more" if len(faults) > FAULTS_SHOWN else ""
        raise UserError(f"{where}: {'; '.join(faults[:FAULTS_SHOWN])}{more}. Mend or delete them")
    return Part(np.stack(images), np.array([label for label, _ in pictures]))


def _size(image: np.ndarray) -> str:
    return f"{image.shape[-2]}x{image.shape[-1]}"


def read_picture(source: Any, size: tuple[int, int] | None, *, grey: bool) -> np.ndarray:
    """Return a picture, (height, width) or (3, height, width), in bytes; ``source`` is a path or an open file."""
    from PIL import Image

    with Image.open(source) as picture:
        converted = picture.convert("L" if grey else "RGB")
        if size and converted.size != (size[1], size[0]):
            converted = converted.resize((size[1], size[0]), Image.Resampling.BILINEAR)
        pixels = np.asarray(converted)
    return pixels if grey else np.ascontiguousarray(pixels.transpose(2, 0, 1))
