"""CIFAR arrives whole or not at all: found, downloaded by hash, read without unpacking files, and shared."""

import errno
import gzip
import hashlib
import os
import re
import subprocess
import sys
import tarfile
import threading

import numpy as np
import pytest

from pipeline.data import describe, load_block
from pipeline.data.cifar import ARCHIVES, PIXELS, load_cifar
from pipeline.data.files import MIRRORS_VARIABLE
from pipeline.data.folder import data_folder
from pipeline.errors import UserError
from pipeline.study.hparams import TrainConfig

NAMES = ("cifar10", "cifar100")

LOAD = """
import resource, sys
from dataclasses import replace
from pipeline.data import cifar, describe
from pipeline.errors import UserError
url, sha256, size, records, limit = sys.argv[1:]
true = cifar.ARCHIVES["cifar10"]
file = replace(true.file, url=url, sha256=sha256, size=int(size))
train = tuple((name, int(records)) for name, _ in true.train)
cifar.ARCHIVES["cifar10"] = replace(true, file=file, train=train, test=(true.test[0], int(records)))
if int(limit):
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
try:
    print(describe("cifar10").sha256)
except UserError as error:
    print(error)
"""


def start(archive, records, limit=0, stderr=subprocess.PIPE):
    """A process of its own that loads the small CIFAR-10 and prints its fingerprint, or the line of its error."""
    file = archive.file
    arguments = [file.url, file.sha256, str(file.size), str(records), str(limit)]
    pipes = {"stdout": subprocess.PIPE, "stderr": stderr, "text": True}
    return subprocess.Popen([sys.executable, "-c", LOAD, *arguments], **pipes)


def complaint(name="cifar10"):
    """The one line with which loading is refused."""
    with pytest.raises(UserError) as caught:
        load_cifar(name)
    line = str(caught.value)
    assert "\n" not in line
    return line


def files(folder):
    """The names of all that lies in a folder, but the empty locks."""
    return {path.name for path in folder.iterdir() if not path.name.endswith(".lock")}


@pytest.mark.parametrize("name", NAMES)
def test_it_is_downloaded_and_read(name, server, folder, publish, forge):
    """From nothing but its address the rows come out as they were put in: pixels, labels, names, the test batch last."""
    content = forge.published(forge.small(name))
    archive = publish(name, content, server.url)
    server.gives(content)
    rows = load_cifar(name)
    sent = np.concatenate([np.frombuffer(b, np.uint8) for b in forge.batches(archive).values()]).reshape(archive.shape)
    np.testing.assert_array_equal(rows.inputs, sent[:, -PIXELS:])
    np.testing.assert_array_equal(rows.labels, sent[:, archive.label_bytes - 1])
    assert (rows.test, rows.classes) == (forge.records, {"cifar10": 10, "cifar100": 100}[name])
    assert len(server.requests) == 1


def test_it_is_mapped_and_read_only(folder, publish, forge):
    """The rows stay uint8 in one file that processes share, and cannot be written to."""
    archive = publish("cifar10")
    (folder / archive.file.name).write_bytes(forge.published(archive))
    inputs = load_cifar("cifar10").inputs
    assert inputs.dtype == np.uint8
    assert isinstance(inputs, np.memmap)
    assert not inputs.flags.writeable


def test_a_local_archive_needs_no_network(server, folder, publish, forge):
    """An archive that lies in the data folder is unpacked, and nobody is asked."""
    archive = publish("cifar10", url=server.url)
    (folder / archive.file.name).write_bytes(forge.published(archive))
    assert len(load_cifar("cifar10")) == 6 * forge.records
    assert server.requests == []


def test_the_unpacked_array_is_enough(folder, publish, forge):
    """Once unpacked, the archive may go, and loading writes nothing, so a folder shared read-only will do."""
    archive = publish("cifar10")
    (folder / archive.file.name).write_bytes(forge.published(archive))
    before = load_cifar("cifar10").labels
    (array,) = folder.glob("*.npy")
    for path in set(folder.iterdir()) - {array}:
        path.unlink()
    np.testing.assert_array_equal(load_cifar("cifar10").labels, before)
    assert list(folder.iterdir()) == [array]


def test_the_data_folder_is_the_users_cache_unless_one_is_named(folder, monkeypatch, tmp_path):
    """BABYSIT_DATA_DIR names the folder; without it, it is babysit in the user's cache."""
    assert data_folder() == folder
    monkeypatch.delenv("BABYSIT_DATA_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    if sys.platform == "linux":
        assert data_folder() == tmp_path / "cache" / "babysit"


WRONG = {
    "cut in its last 20 bytes": (lambda content: content[:-20], "is cut short"),
    "one flipped bit": (
        lambda content: content[:999] + bytes([content[999] ^ 1]) + content[1000:],
        "is not the published file",
    ),
    "a page": (lambda _: b"\n<!DOCTYPE html><title>Sign in</title>", "looks like HTML"),
    "empty": (lambda _: b"", "is cut short"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_local_file_is_refused(case, folder, publish, forge):
    """A file that is not the published one, byte for byte, is not read; the line has the file, both hashes and the remedy."""
    content = forge.published(forge.small("cifar10"))
    archive = publish("cifar10", content)
    change, what = WRONG[case]
    path = folder / archive.file.name
    path.write_bytes(change(content))
    line = complaint()
    for part in (
        str(path),
        what,
        archive.file.sha256,
        hashlib.sha256(path.read_bytes()).hexdigest(),
        "Delete it",
        "curl",
    ):
        assert part in line
    assert files(folder) == {path.name}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_download_leaves_nothing(case, server, folder, publish, forge):
    """What a server sends in the place of the file is refused with both hashes, asked for once, and not kept."""
    content = forge.published(forge.small("cifar10"))
    archive = publish("cifar10", content, server.url)
    change, what = WRONG[case]
    server.gives(change(content))
    line = complaint()
    for part in (archive.file.url, what, archive.file.sha256, hashlib.sha256(change(content)).hexdigest(), "curl"):
        assert part in line
    assert files(folder) == set()
    assert len(server.requests) == 1


def test_pickles_are_refused_with_the_reason(folder, publish, forge):
    """The python version under the name of the binary one is recognised, and never opened."""
    archive = publish("cifar10")
    (folder / archive.file.name).write_bytes(forge.tar_gz([("cifar-10-batches-py/data_batch_1", b"cos\nsystem\n")]))
    assert "pickles" in complaint()


def test_the_python_version_beside_is_no_substitute(server, folder, publish, forge, capsys):
    """The python version under its own name is left alone, which is said, and the binary one is fetched."""
    content = forge.published(forge.small("cifar10"))
    publish("cifar10", content, server.url)
    (folder / "cifar-10-python.tar.gz").write_bytes(b"")
    server.gives(content)
    load_cifar("cifar10")
    assert "pickles" in capsys.readouterr().err


def test_a_download_is_announced(server, folder, publish, forge, capsys):
    """Before a long wait the user reads the size, the rate to expect, and the command that does it by hand."""
    content = forge.published(forge.small("cifar10"))
    publish("cifar10", content, server.url)
    server.gives(content)
    load_cifar("cifar10")
    said = capsys.readouterr().err
    assert all(part in said for part in ("MiB", "50-80 kB/s", "curl -L -C - -o"))


def test_progress_is_shown_on_a_terminal(server, folder, publish, forge):
    """Where standard error is a terminal, a line tells how much has come and how fast; elsewhere there is none."""
    content = forge.published(forge.small("cifar10"))
    archive = publish("cifar10", content, server.url)
    server.gives(content)
    ours, terminal = os.openpty()
    process = start(archive, forge.records, stderr=terminal)
    process.communicate(timeout=60)
    os.close(terminal)
    said = os.read(ours, 10_000).decode()
    os.close(ours)
    assert re.search(r"\rcifar-10-binary.tar.gz: \d+ of 1 MiB, [\d,]+ kB/s", said)
    (folder / archive.file.name).unlink()
    next(folder.glob("*.npy")).unlink()
    assert "kB/s" not in start(archive, forge.records).communicate(timeout=60)[1].replace("50-80 kB/s", "")


def test_the_network_is_tried_again(server, folder, publish, forge):
    """A connection that breaks, or a server that is ill for a moment, is asked again, and the file arrives."""
    content = forge.published(forge.small("cifar10"))
    publish("cifar10", content, server.url)
    answers = iter(
        [{"content": content[:1000], "length": len(content)}, {"content": b"", "status": 503}, {"content": content}]
    )
    server.answer = lambda handler: handler.send(**next(answers))
    assert len(load_cifar("cifar10")) == 6 * forge.records
    assert len(server.requests) == 3


def test_without_a_network_the_remedies_are_named(folder, publish):
    """With nobody there, one line has the address, what failed, the mirrors' variable and the command; nothing is left."""
    archive = publish("cifar10", url="http://127.0.0.1:9")
    line = complaint()
    assert all(part in line for part in (archive.file.url, "ConnectionError", MIRRORS_VARIABLE, "curl", str(folder)))
    assert files(folder) == set()


def test_an_answer_that_is_no_file_is_told_by_its_status(server, folder, publish):
    """A missing file is told by its status."""
    publish("cifar10", url=server.url)
    server.gives(b"gone", status=404)
    assert "HTTP 404" in complaint()


def test_a_mirror_is_asked_first_and_believed_no_more(server, folder, publish, forge, monkeypatch):
    """Mirrors come before the origin and are held to the same hash; a wrong one is passed over."""
    content = forge.published(forge.small("cifar10"))
    archive = publish("cifar10", content, server.url)
    monkeypatch.setenv(MIRRORS_VARIABLE, f"{server.url}/wrong/, {server.url}/right")
    server.answer = lambda handler: handler.send(b"<html>" if "wrong" in handler.path else content)
    load_cifar("cifar10")
    assert server.requests == [f"/wrong/{archive.file.name}", f"/right/{archive.file.name}"]


def test_a_mirror_is_an_address(folder, publish, monkeypatch, capsys):
    """What is no address of the web is refused by its name, before a word of a download, or a folder for it."""
    publish("cifar10")
    monkeypatch.setenv(MIRRORS_VARIABLE, "ftp://mirror")
    assert "'ftp://mirror'" in complaint()
    assert capsys.readouterr().err == ""
    assert not folder.exists() or files(folder) == set()


def test_a_source_that_never_ends_is_left(server, folder, publish, forge):
    """A server that sends more than the file's size is cut off there, not when the disk is full."""
    content = forge.published(forge.small("cifar10"))
    publish("cifar10", content, server.url)
    server.gives(content + bytes(10**6))
    assert "sends more than" in complaint()
    assert files(folder) == set()


def a_link(name, kind):
    """A member that is a link or a pipe in the place of a batch."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, "../../evil"
    return name, info


def with_label(batch, record, label):
    """A batch with one label changed."""
    changed = bytearray(batch)
    changed[record * (1 + PIXELS)] = label
    return bytes(changed)


HOSTILE = {
    "climbs": (lambda sound: [("../evil", b"x"), *sound], "unsafe member '../evil'"),
    "climbs from inside": (lambda sound: [("cifar-10-batches-bin/../../evil", b"x"), *sound], "unsafe member"),
    "absolute": (lambda sound: [("/evil", b"x"), *sound], "unsafe member"),
    "symlink": (lambda sound: [a_link(sound[0][0], tarfile.SYMTYPE), *sound[1:]], "a link or a device"),
    "hardlink": (lambda sound: [a_link(sound[0][0], tarfile.LNKTYPE), *sound[1:]], "a link or a device"),
    "pipe": (lambda sound: [a_link(sound[0][0], tarfile.FIFOTYPE), *sound[1:]], "a link or a device"),
    "twice": (lambda sound: [sound[0], *sound], "comes twice"),
    "short batch": (lambda sound: [(sound[0][0], sound[0][1][:-1]), *sound[1:]], "has 122,919 bytes; expected 122,920"),
    "long batch": (lambda sound: [(sound[0][0], sound[0][1] + b"x"), *sound[1:]], "has 122,921 bytes; expected 122,920"),
    "batch missing": (lambda sound: sound[1:], "lacks cifar-10-batches-bin/data_batch_1.bin"),
    "label 10": (lambda sound: [*sound[:2], (sound[2][0], with_label(sound[2][1], 7, 10)), *sound[3:]], "label 10 in cifar-10-batches-bin/data_batch_3.bin, record 8"),
    "many members": (lambda sound: [*((f"cifar-10-batches-bin/{i}", b"") for i in range(200)), *sound], "too many"),
    "a large stranger": (lambda sound: [("cifar-10-batches-bin/x", bytes(2**21)), *sound], "has 2,097,152 bytes"),
}  # fmt: skip


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_archive_is_refused(case, folder, publish, forge):
    """Even under the right hash, an archive that is not of the published form is refused, and no file of it is made."""
    make, what = HOSTILE[case]
    sound = list(forge.batches(forge.small("cifar10")).items())
    content = forge.tar_gz(make(sound))
    archive = publish("cifar10", content)
    (folder / archive.file.name).write_bytes(content)
    line = complaint()
    assert what in line
    assert str(folder / archive.file.name) in line
    assert files(folder) == {archive.file.name}
    assert files(folder.parent) == {folder.name}


def test_a_header_that_unpacks_without_end_is_refused(folder, publish, forge):
    """A member whose header claims gigabytes is given up at a bound, however small it is packed."""
    _, header = forge.link("cifar-10-batches-bin/x", tarfile.XHDTYPE, "")
    header.size = 2**32
    plain = header.tobuf(tarfile.USTAR_FORMAT) + bytes(110 * 2**20)
    content = gzip.compress(plain, 1)
    archive = publish("cifar10", content)
    (folder / archive.file.name).write_bytes(content)
    assert "unpacks to more" in complaint()


@pytest.mark.parametrize("keep", [100, 100_000])
def test_a_torn_archive_is_refused_even_under_its_hash(keep, folder, publish, forge):
    """A stream that ends early is an error and never a shorter data set."""
    content = forge.published(forge.small("cifar10"))[:keep]
    archive = publish("cifar10", content)
    (folder / archive.file.name).write_bytes(content)
    assert "is damaged" in complaint()
    assert files(folder) == {archive.file.name}


def test_a_damaged_array_is_refused(folder, publish, forge):
    """An unpacked file of another length, or another shape, is told and not trained on."""
    archive = publish("cifar10")
    (folder / archive.file.name).write_bytes(forge.published(archive))
    load_cifar("cifar10")
    (array,) = folder.glob("*.npy")
    np.save(array, np.zeros((3, 3), np.uint8))
    assert "is damaged; expected (240, 3073) uint8, got (3, 3) uint8" in complaint()
    array.write_bytes(b"\x93NUMPY")
    assert "is damaged" in complaint()


def test_a_folder_that_cannot_be_written_is_named(folder, publish, monkeypatch):
    """One line says which folder, why, and that another may be chosen."""
    publish("cifar10")
    (folder / "file").write_bytes(b"")
    monkeypatch.setenv("BABYSIT_DATA_DIR", str(folder / "file" / "inside"))
    line = complaint()
    assert str(folder / "file" / "inside") in line
    assert os.strerror(errno.ENOTDIR) in line
    assert "BABYSIT_DATA_DIR" in line


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_named(folder, publish):
    """One line says that the folder may not be written to."""
    publish("cifar10")
    folder.chmod(0o500)
    assert os.strerror(errno.EACCES) in complaint()


def test_a_lack_of_room_is_seen_before_the_download(folder, publish, monkeypatch):
    """A disk without room for the archive and the array is told in numbers, before anyone is asked."""
    from dataclasses import replace

    archive = publish("cifar10", url="http://127.0.0.1:9")
    huge = replace(archive, file=replace(archive.file, size=2**62))
    monkeypatch.setitem(ARCHIVES, "cifar10", huge)
    line = complaint()
    assert "MiB are free" in line
    assert str(folder) in line


def test_a_full_disk_leaves_nothing(server, folder, publish, forge):
    """When a write fails in the middle, the line has the file and the reason, and nothing half-written stays."""
    content = forge.published(forge.small("cifar10"))
    archive = publish("cifar10", content, server.url)
    server.gives(content)
    line, _ = start(archive, forge.records, limit=len(content) // 2).communicate(timeout=60)
    assert os.strerror(errno.EFBIG) in line
    assert files(folder) == set()


def test_a_killed_download_is_taken_up_by_the_next(server, folder, publish, forge):
    """After kill -9 in the middle, the next process clears away what is left and brings the data whole."""
    content = forge.published(forge.small("cifar10"))
    archive = publish("cifar10", content, server.url)
    half, over = threading.Event(), threading.Event()

    def stall(handler):
        handler.send(content[: len(content) // 2], length=len(content))
        handler.wfile.flush()
        half.set()
        over.wait(30)

    server.answer = stall
    process = start(archive, forge.records)
    assert half.wait(30)
    process.kill()
    process.communicate(timeout=30)
    over.set()
    assert files(folder) == {".cifar10.partial"}
    server.gives(content)
    assert len(load_cifar("cifar10")) == 6 * forge.records
    assert files(folder) == {archive.file.name, next(folder.glob("*.npy")).name}


def test_two_processes_share_one_download(server, folder, publish, forge):
    """The second waits for the first; both get the same rows, and the server is asked once."""
    content = forge.published(forge.small("cifar10"))
    archive = publish("cifar10", content, server.url)
    asked, go = threading.Event(), threading.Event()

    def hold(handler):
        asked.set()
        go.wait(30)
        handler.send(content)

    server.answer = hold
    first = start(archive, forge.records)
    assert asked.wait(30)
    second = start(archive, forge.records)
    said = second.stderr.readline()  # it says that it waits while it does
    go.set()
    (one, _), (other, _) = (process.communicate(timeout=60) for process in (first, second))
    assert {one.strip(), other.strip()} == {describe("cifar10").sha256}
    assert "another process is bringing it" in said
    assert len(server.requests) == 1


def test_a_block_keeps_the_published_test_split(folder, publish, forge):
    """The test batch is the test split of every block; training and validation rows share out the others by class."""
    archive = publish("cifar10")
    (folder / archive.file.name).write_bytes(forge.published(archive))
    rows = load_cifar("cifar10")
    config = TrainConfig(validation=0.2, preprocessing="none")
    first, second = (load_block("cifar10", config, seed) for seed in (0, 1))
    for block in (first, second):
        np.testing.assert_array_equal(block.test.inputs, rows.inputs[-forge.records :])
        assert (len(block.train), len(block.val)) == (4 * forge.records, forge.records)
        assert set(np.bincount(block.val.labels)) == {4}
        both = np.concatenate([block.train.inputs, block.val.inputs])
        assert {row.tobytes() for row in both} == {
            row.astype(np.float32).tobytes() for row in rows.inputs[: -forge.records]
        }
    assert not np.array_equal(first.val.inputs, second.val.inputs)
    assert first.class_names[3] == "cat"


def test_a_subset_is_a_part_of_it(folder, publish, forge):
    """``cifar10-60`` is 60 training rows, 6 of each class, the same ones every time, and the whole test batch."""
    archive = publish("cifar10")
    (folder / archive.file.name).write_bytes(forge.published(archive))
    block = load_block("cifar10-60", TrainConfig(validation=0.5, preprocessing="none"), 0)
    assert (len(block.train), len(block.val), len(block.test)) == (30, 30, forge.records)
    labels = np.concatenate([block.train.labels, block.val.labels])
    assert set(np.bincount(labels)) == {6}
    assert describe("cifar10-60").sha256 != describe("cifar10").sha256


@pytest.mark.parametrize("name", NAMES)
def test_what_is_published_is_written_down_right(name):
    """The two archives hold 50,000 images to learn from and 10,000 to test on, in as many classes as their names say."""
    archive = ARCHIVES[name]
    assert archive.shape == (60_000, archive.label_bytes + 3072)
    assert archive.test[1] == 10_000
    assert len(set(archive.class_names)) == int(name.removeprefix("cifar"))
    assert list(archive.class_names) == sorted(archive.class_names)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_true_archive_is_what_its_page_says(name):
    """The real file, where it is present: 6,000 images of each of 10 classes or 600 of 100, a sixth of them in the test batch."""
    archive, folder = ARCHIVES[name], data_folder()
    if not (folder / archive.file.name).exists() and not list(folder.glob(f"{name}-*.npy")):
        pytest.skip(f"{archive.file.name} is not in {folder}; it takes up to an hour to download")
    rows = load_cifar(name)
    assert rows.inputs.shape == (60_000, 3072)
    assert set(np.bincount(rows.labels)) == {60_000 // rows.classes}
    assert set(np.bincount(rows.labels[-rows.test :])) == {10_000 // rows.classes}
    assert 100 < rows.inputs[:1000].mean() < 140
