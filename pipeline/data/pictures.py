"""Encoded pictures, which Pillow decodes: in a folder for each class, or in Hugging Face's parquet files."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.data.binary_images import Part, joined
from pipeline.data.cifar import ARCHIVES
from pipeline.data.rows import Rows
from pipeline.errors import UserError

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".pgm", ".ppm")
TEST_FOLDERS = ("test", "val", "valid", "validation")
"""The folder of the published test split, next to ``train``: the first one that is present."""
LABELS = ("label", "labels", "fine_label")
"""The columns of classes where a parquet file's metadata name none."""
FAULTS_SHOWN = 5
UNREADABLE = (OSError, ValueError, SyntaxError)
"""What Pillow raises for files that are no pictures, or damaged ones."""


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
