"""CIFAR-10 and CIFAR-100: the published binary archives, unpacked once into an array that all processes share.

The binary version holds plain records, one or two label bytes and 3,072 pixel bytes; no pickle is ever loaded.
Layout, sizes and the MD5 are those of https://www.cs.toronto.edu/~kriz/cifar.html (Krizhevsky, 2009). The page gives no
SHA-256; the ones below are of the files with those MD5s, and widely published.
"""

from __future__ import annotations

import math
import os
import tarfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.data.files import Published, obtain
from pipeline.data.folder import data_folder, say, scratch_folder
from pipeline.data.rows import Rows
from pipeline.errors import UserError

IMAGE = (3, 32, 32)
PIXELS = math.prod(IMAGE)
"""Bytes of an image: its red, green and blue planes, each row by row."""
PICKLES = "is the python version, whose batches are pickles, which can run code when they are loaded; the binary version is needed"
SLOW = "Its host has given 50-80 kB/s since June 2026, so it may take an hour. "


@dataclass(frozen=True)
class Archive:
    """A published archive: its members with their numbers of records; the test split is last.

    A record is ``label_bytes`` labels, the last of which is its class, and then the pixels.
    """

    file: Published
    folder: str
    train: tuple[tuple[str, int], ...]
    test: tuple[str, int]
    class_names: tuple[str, ...]
    label_bytes: int = 1

    @property
    def members(self) -> dict[str, int]:
        """The number of records by the full name of each member."""
        return {f"{self.folder}/{name}": records for name, records in (*self.train, self.test)}

    @property
    def shape(self) -> tuple[int, int]:
        """The shape of the uint8 array of all records."""
        return sum(self.members.values()), self.label_bytes + PIXELS


ARCHIVES = {
    "cifar10": Archive(
        Published(
            "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",  # MD5 c32a1d4ab5d03f1284b67883e8d87530
            "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
            170_052_171,
            ((b"cifar-10-batches-py", PICKLES),),
            SLOW,
        ),
        "cifar-10-batches-bin",
        tuple((f"data_batch_{i}.bin", 10_000) for i in range(1, 6)),
        ("test_batch.bin", 10_000),
        ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
    ),
    "cifar100": Archive(
        Published(
            "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",  # MD5 03b5dce01913d631647c71ecec9e9cb8
            "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
            168_513_733,
            ((b"cifar-100-python", PICKLES),),
            SLOW,
        ),
        "cifar-100-binary",
        (("train.bin", 50_000),),
        ("test.bin", 10_000),
        tuple(
            """apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can
            castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin
            elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster
            man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck
            pine_tree plain plate poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk
            skyscraper snail snake spider squirrel streetcar sunflower sweet_pepper table tank telephone television tiger
            tractor train trout tulip turtle wardrobe whale willow_tree wolf woman worm""".split()  # noqa: SIM905  a hundred words are read best as words
        ),
        label_bytes=2,
    ),
}


def load_cifar(name: str) -> Rows:
    """The 60,000 images of an archive: inputs (60000, 3072) uint8, read-only and mapped from a file in the data folder.

    At the first use, the archive is taken from the data folder, unpacked or not, or downloaded, and unpacked there.
    Raises :class:`UserError` in one line if the archive is not available.
    """
    archive, folder = ARCHIVES[name], data_folder()
    path = folder / f"{name}-{archive.file.sha256[:12]}.npy"
    if not path.exists():
        archive.file.sources()  # a mirror that is not an address is refused before any folder is made
        if (folder / archive.file.name.replace("-binary", "-python")).exists():
            say(f"{archive.file.name.replace('-binary', '-python')} in {folder} {PICKLES}")
        with scratch_folder(folder, name) as scratch:
            if not path.exists():  # another process may have made it while this one waited
                unpacked = folder / archive.folder
                if unpacked.is_dir():
                    records = records_of_folder(unpacked, archive)
                else:
                    packed = obtain(archive.file, folder, scratch, extra_bytes=math.prod(archive.shape))
                    say(f"{packed.name}: unpacking {archive.shape[0]:,} images, once")
                    records = read_records(packed, archive)
                save_records(records, scratch).replace(path)
    records = open_records(path, archive)
    labels = records[:, archive.label_bytes - 1].astype(np.intp)
    return Rows(records[:, archive.label_bytes :], labels, archive.class_names, test=archive.test[1], shape=IMAGE)


def open_records(path: Path, archive: Archive) -> np.ndarray:
    """The unpacked records, mapped read-only: the processes of a machine share the memory."""
    try:
        records: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{path}: is damaged ({error}). Delete it and run again") from error
    if records.shape != archive.shape or records.dtype != np.uint8:
        raise UserError(
            f"{path}: is damaged; expected {archive.shape} uint8, got {records.shape} {records.dtype}. Delete it and run again"
        )
    return records


def save_records(records: np.ndarray, scratch: Path) -> Path:
    """Write the records (N, labels + pixels) of an archive to an array file in ``scratch``, and return its path."""
    target = scratch / "records.npy"
    with target.open("wb") as stream:
        np.save(stream, records)
        stream.flush()
        os.fsync(stream.fileno())
    return target


def records_of_folder(folder: Path, archive: Archive) -> np.ndarray:
    """All records of an unpacked archive. Raises :class:`UserError` for a file that is missing or of another size."""
    parts, width = [], archive.shape[1]
    for name, records in (*archive.train, archive.test):
        path = folder / name
        size = path.stat().st_size if path.is_file() else 0
        if size != records * width:
            raise UserError(
                f"{path}: has {size:,} bytes; expected {records * width:,}. Unpack {archive.file.name} again"
            )
        parts.append(np.fromfile(path, np.uint8).reshape(records, width))
    return np.concatenate(parts)


def read_records(path: Path, archive: Archive) -> np.ndarray:
    """All records of an archive whose SHA-256 was checked, in the order of :attr:`Archive.members`.

    No member is extracted to a file.
    """
    records = np.empty(archive.shape, np.uint8)
    ends = np.cumsum(list(archive.members.values()))
    parts = dict(zip(archive.members, np.split(records, ends[:-1]), strict=True))
    with tarfile.open(path) as tar:
        for member in tar:
            if (part := parts.get(member.name)) is not None and (stream := tar.extractfile(member)):
                part[:] = np.frombuffer(stream.read(), np.uint8).reshape(part.shape)
    return records
