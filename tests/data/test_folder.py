"""The data folder holds whole files alone, and one process at a time prepares them."""

import errno
import os
import sys
import threading

import pytest
from archives import files, refusal, start

from pipeline.data import describe
from pipeline.data.cifar import load_cifar
from pipeline.data.folder import data_folder


def test_the_data_folder_is_in_the_users_cache_by_default(folder, monkeypatch, tmp_path):
    """BABYSIT_DATA_DIR names the folder; without it, it is babysit in the user's cache."""
    assert data_folder() == folder
    monkeypatch.delenv("BABYSIT_DATA_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    if sys.platform == "linux":
        assert data_folder() == tmp_path / "cache" / "babysit"


def test_a_folder_that_cannot_be_written_is_named(folder, publish, monkeypatch):
    """One line has the folder, the reason and the variable that selects another."""
    publish("cifar10")
    (folder / "file").write_bytes(b"")
    monkeypatch.setenv("BABYSIT_DATA_DIR", str(folder / "file" / "inside"))
    line = refusal()
    assert str(folder / "file" / "inside") in line
    assert os.strerror(errno.ENOTDIR) in line
    assert "BABYSIT_DATA_DIR" in line


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_named(folder, publish):
    """One line has the reason."""
    publish("cifar10")
    folder.chmod(0o500)
    assert os.strerror(errno.EACCES) in refusal()


def test_a_full_disk_leaves_nothing(server, folder, publish, forge):
    """When a write fails, the line has the file and the reason, and no partial file stays."""
    content = forge.published(forge.small("cifar10"))
    archive = publish("cifar10", content, server.url)
    server.gives(content)
    line, _ = start(archive, forge.records, limit=len(content) // 2).communicate(timeout=60)
    assert os.strerror(errno.EFBIG) in line
    assert files(folder) == set()


def test_the_next_process_cleans_up_after_a_killed_download(server, folder, publish, forge):
    """After kill -9 during a download, the next process deletes the partial files and loads the data."""
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
    """The second process waits for the first; both get the same rows, and there is one request."""
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
    message = second.stderr.readline()  # it is printed while the process waits
    go.set()
    (first_hash, _), (second_hash, _) = (process.communicate(timeout=60) for process in (first, second))
    assert {first_hash.strip(), second_hash.strip()} == {describe("cifar10").sha256}
    assert "another process is preparing it" in message
    assert len(server.requests) == 1
