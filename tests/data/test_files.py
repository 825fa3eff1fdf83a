"""A published file is found or downloaded, and compared with its hash."""

import hashlib
import os
import re

import pytest
from archives import files, refusal, start

from pipeline.data.cifar import ARCHIVES, load_cifar
from pipeline.data.files import MIRRORS_VARIABLE

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
    """A file that differs from the published one is refused with its path, both hashes and the remedy."""
    content = forge.published(forge.small("cifar10"))
    archive = publish("cifar10", content)
    change, what = WRONG[case]
    path = folder / archive.file.name
    path.write_bytes(change(content))
    line = refusal()
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
    """Wrong content from a server is refused with both hashes, requested once, and not kept."""
    content = forge.published(forge.small("cifar10"))
    archive = publish("cifar10", content, server.url)
    change, what = WRONG[case]
    server.gives(change(content))
    line = refusal()
    for part in (archive.file.url, what, archive.file.sha256, hashlib.sha256(change(content)).hexdigest(), "curl"):
        assert part in line
    assert files(folder) == set()
    assert len(server.requests) == 1


def test_a_download_is_announced(server, folder, publish, forge, capsys):
    """Before a download the user reads the size, the expected rate, and the command to do it by hand."""
    content = forge.published(forge.small("cifar10"))
    publish("cifar10", content, server.url)
    server.gives(content)
    load_cifar("cifar10")
    printed = capsys.readouterr().err
    assert all(part in printed for part in ("MiB", "50-80 kB/s", "curl -L -C - -o"))


def test_progress_is_shown_on_a_terminal(server, folder, publish, forge):
    """If standard error is a terminal, a line shows how much has arrived and how fast; otherwise there is none."""
    content = forge.published(forge.small("cifar10"))
    archive = publish("cifar10", content, server.url)
    server.gives(content)
    reader, terminal = os.openpty()
    process = start(archive, forge.records, stderr=terminal)
    process.communicate(timeout=60)
    os.close(terminal)
    shown = os.read(reader, 10_000).decode()
    os.close(reader)
    assert re.search(r"\rcifar-10-binary.tar.gz: \d+ of 1 MiB, [\d,]+ kB/s", shown)
    (folder / archive.file.name).unlink()
    next(folder.glob("*.npy")).unlink()
    assert "kB/s" not in start(archive, forge.records).communicate(timeout=60)[1].replace("50-80 kB/s", "")


def test_a_failed_download_is_repeated(server, folder, publish, forge):
    """After a broken connection or a 503 the request is repeated, and the file arrives."""
    content = forge.published(forge.small("cifar10"))
    publish("cifar10", content, server.url)
    answers = iter(
        [{"content": content[:1000], "length": len(content)}, {"content": b"", "status": 503}, {"content": content}]
    )
    server.answer = lambda handler: handler.send(**next(answers))
    assert len(load_cifar("cifar10")) == 6 * forge.records
    assert len(server.requests) == 3


def test_without_a_network_the_remedies_are_named(folder, publish):
    """Without a server, one line has the address, the failure, the mirrors' variable and the command; no file is left."""
    archive = publish("cifar10", url="http://127.0.0.1:9")
    line = refusal()
    assert all(part in line for part in (archive.file.url, "ConnectionError", MIRRORS_VARIABLE, "curl", str(folder)))
    assert files(folder) == set()


def test_a_missing_file_is_reported_by_its_status(server, folder, publish):
    """A 404 is in the error."""
    publish("cifar10", url=server.url)
    server.gives(b"gone", status=404)
    assert "HTTP 404" in refusal()


def test_a_mirror_is_asked_first(server, folder, publish, forge, monkeypatch):
    """Mirrors come before the origin and need the same hash; after a wrong one the next is asked."""
    content = forge.published(forge.small("cifar10"))
    archive = publish("cifar10", content, server.url)
    monkeypatch.setenv(MIRRORS_VARIABLE, f"{server.url}/wrong/, {server.url}/right")
    server.answer = lambda handler: handler.send(b"<html>" if "wrong" in handler.path else content)
    load_cifar("cifar10")
    assert server.requests == [f"/wrong/{archive.file.name}", f"/right/{archive.file.name}"]


def test_a_mirror_is_an_address(folder, publish, monkeypatch, capsys):
    """A mirror that is not a web address is refused by name, before any message, download or folder."""
    publish("cifar10")
    monkeypatch.setenv(MIRRORS_VARIABLE, "ftp://mirror")
    assert "'ftp://mirror'" in refusal()
    assert capsys.readouterr().err == ""
    assert not folder.exists() or files(folder) == set()


def test_a_source_that_sends_too_much_is_stopped(server, folder, publish, forge):
    """A server that sends more than the file's size is stopped there."""
    content = forge.published(forge.small("cifar10"))
    publish("cifar10", content, server.url)
    server.gives(content + bytes(10**6))
    assert "sends more than" in refusal()
    assert files(folder) == set()


def test_too_little_space_is_reported_before_the_download(folder, publish, monkeypatch):
    """Too little space for the archive and the array is an error with numbers, before any request."""
    from dataclasses import replace

    archive = publish("cifar10", url="http://127.0.0.1:9")
    huge = replace(archive, file=replace(archive.file, size=2**62))
    monkeypatch.setitem(ARCHIVES, "cifar10", huge)
    line = refusal()
    assert "MiB are free" in line
    assert str(folder) in line
