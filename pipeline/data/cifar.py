"""CIFAR-10 and CIFAR-100: the published binary archives, unpacked once into an array that all processes share.

The binary version holds plain records, one or two label bytes and 3,072 pixel bytes; no pickle is ever loaded.
Layout, sizes and the MD5 are those of https://www.cs.toronto.edu/~kriz/cifar.html (Krizhevsky, 2009). The page gives no
SHA-256; the ones below are of the files of those MD5s, and widely published.
"""

from __future__ import annotations

import gzip
import math
import os
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

import numpy as np

from pipeline.data.files import Published, obtain
from pipeline.data.folder import MIB, data_folder, say, workshop
from pipeline.data.rows import Rows
from pipeline.errors import UserError

IMAGE = (3, 32, 32)
PIXELS = math.prod(IMAGE)
"""The red, the green and the blue plane of an image, each by rows."""
SMALL = MIB
"""The most bytes of a member that is not read: a list of names, a page about the data."""
MEMBERS = 100
PICKLES = "is the python version, whose batches are pickles, and those can run code when they are loaded; the binary version is wanted"
SLOW = "Its host has given 50-80 kB/s since June 2026, so it may take an hour. "


@dataclass(frozen=True)
class Archive:
    """A published archive: its members with their numbers of records, those of the test split last.

    A record is ``label_bytes`` labels, the last of them its class, and the pixels.
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
        """Of the array of all records."""
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
    """The 60,000 images of an archive: inputs (60000, 3072) uint8, read-only and mapped from the data folder's file.

    The first time, the archive is looked for in the data folder, or downloaded, and unpacked there.
    Raises :class:`UserError` in one line if it cannot be had.
    """
    archive, folder = ARCHIVES[name], data_folder()
    path = folder / f"{name}-{archive.file.sha256[:12]}.npy"
    if not path.exists():
        archive.file.sources()  # a mirror that is no address is told before anything is made
        if (folder / archive.file.name.replace("-binary", "-python")).exists():
            say(f"{archive.file.name.replace('-binary', '-python')} in {folder} {PICKLES}")
        with workshop(folder, name) as scratch:
            if not path.exists():  # while this process waited, another may have brought it
                unpack(obtain(archive.file, folder, scratch, room=_bytes(archive)), archive, scratch).replace(path)
    return _rows(open_records(path, archive), archive)


def _bytes(archive: Archive) -> int:
    rows, width = archive.shape
    return rows * width


def _rows(records: np.ndarray, archive: Archive) -> Rows:
    labels = records[:, archive.label_bytes - 1].astype(np.intp)
    return Rows(records[:, archive.label_bytes :], labels, archive.class_names, test=archive.test[1], shape=IMAGE)


def open_records(path: Path, archive: Archive) -> np.ndarray:
    """The unpacked records, mapped read-only: the processes of a machine share its memory."""
    try:
        records: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{path}: is damaged ({error}). Delete it and run again") from error
    if records.shape != archive.shape or records.dtype != np.uint8:
        raise UserError(
            f"{path}: is damaged; expected {archive.shape} uint8, got {records.shape} {records.dtype}. Delete it and run again"
        )
    return records


def unpack(path: Path, archive: Archive, scratch: Path) -> Path:
    """Write the records (N, labels + pixels) of an archive to an array file in ``scratch``, whole."""
    say(f"{path.name}: unpacking {archive.shape[0]:,} images, once")
    target = scratch / "records.npy"
    with target.open("wb") as stream:
        np.save(stream, read_records(path, archive))
        stream.flush()
        os.fsync(stream.fileno())
    return target


def read_records(path: Path, archive: Archive) -> np.ndarray:
    """All records of an archive, in the order of :attr:`Archive.members`; nothing is ever extracted to a file."""
    records = np.empty(archive.shape, np.uint8)
    stops = np.cumsum(list(archive.members.values()))
    places = {
        name: records[stop - count : stop] for (name, count), stop in zip(archive.members.items(), stops, strict=True)
    }
    try:
        for name, stream in members(path, archive):
            _fill(places.pop(name), stream)
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UserError(f"{path}: is damaged ({error}). Delete it and run again") from error
    if places:
        raise UserError(f"{path}: lacks {', '.join(places)}. Delete it and run again")
    _check_labels(path, records, archive)
    return records


def _fill(place: np.ndarray, stream: IO[bytes]) -> None:
    content = stream.read(place.size)
    if len(content) < place.size:
        raise EOFError("it ends inside a batch")
    place[:] = np.frombuffer(content, np.uint8).reshape(place.shape)


def members(path: Path, archive: Archive) -> Iterator[tuple[str, IO[bytes]]]:
    """The members that hold records, each once; :class:`UserError` for any member that a sound archive does not have."""
    width, seen = archive.shape[1], set[str]()
    limit = 2 * _bytes(archive) + MEMBERS * SMALL
    with (
        gzip.open(path) as unzipped,
        tarfile.open(
            fileobj=cast(IO[bytes], _Bounded(path, unzipped, limit)),  # a stream of this mode is only ever read
            mode="r|",
        ) as tar,
    ):
        for member in tar:
            _check_member(path, member, archive, seen)
            seen.add(member.name)
            if member.name in archive.members:
                expected = archive.members[member.name] * width
                if member.size != expected:
                    raise UserError(f"{path}: {member.name} has {member.size:,} bytes; expected {expected:,}")
                content = tar.extractfile(member)
                assert content is not None  # noqa: S101  it is a file: _check_member has seen to it
                yield member.name, content


def _check_member(path: Path, member: tarfile.TarInfo, archive: Archive, seen: set[str]) -> None:
    """Raise :class:`UserError` unless a member is a plain file or a folder, inside the archive's folder, once, and small if not read."""
    inside = member.name == archive.folder or member.name.startswith(f"{archive.folder}/")
    if not inside or ".." in member.name.split("/"):
        raise UserError(
            f"{path}: unsafe member {member.name!r} outside {archive.folder}/; it is not the published archive. Delete it and run again"
        )
    if not (member.isreg() or member.isdir()):
        raise UserError(
            f"{path}: unsafe member {member.name!r}, a link or a device; it is not the published archive. Delete it and run again"
        )
    if member.name in seen or len(seen) >= MEMBERS:
        raise UserError(
            f"{path}: member {member.name!r} comes twice or is one of too many; it is not the published archive. Delete it and run again"
        )
    if member.name not in archive.members and member.size > SMALL:
        raise UserError(
            f"{path}: member {member.name!r} has {member.size:,} bytes; it is not the published archive. Delete it and run again"
        )


def _check_labels(path: Path, records: np.ndarray, archive: Archive) -> None:
    labels = records[:, archive.label_bytes - 1]
    wrong = np.flatnonzero(labels >= len(archive.class_names))
    if len(wrong):
        record = int(wrong[0])
        for name, count in archive.members.items():
            if record < count:
                raise UserError(
                    f"{path}: label {labels[wrong[0]]} in {name}, record {record + 1}; expected 0 to {len(archive.class_names) - 1}"
                )
            record -= count


class _Bounded:
    """A stream that ends in an error after so many bytes, however much a packed file unpacks to."""

    def __init__(self, path: Path, stream: gzip.GzipFile, limit: int) -> None:
        self.path, self.stream, self.left = path, stream, limit

    def read(self, size: int) -> bytes:
        """At most ``size`` bytes."""
        content = self.stream.read(size)
        self.left -= len(content)
        if self.left < 0:
            raise UserError(
                f"{self.path}: unpacks to more than it should; it is not the published archive. Delete it and run again"
            )
        return content
