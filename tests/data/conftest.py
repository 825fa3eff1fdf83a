"""Small archives in the published format, and a server on loopback that serves them."""

import gzip
import hashlib
import http.server
import io
import sys
import tarfile
import threading
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from pipeline.data import cifar, dataset
from pipeline.data.cifar import ARCHIVES
from pipeline.data.files import MIRRORS_VARIABLE
from pipeline.data.folder import FOLDER_VARIABLE

sys.path.append(str(Path(__file__).parent))  # importlib mode leaves a test's own folder out
RECORDS = 40


def small(name, content=b"", url=""):
    """The archive of that name with 40 records in a batch, published as ``content`` at ``url``."""
    archive = ARCHIVES[name]
    file = replace(archive.file, sha256=hashlib.sha256(content).hexdigest(), size=len(content))
    file = replace(file, url=f"{url}/{file.name}") if url else file
    train = tuple((member, RECORDS) for member, _ in archive.train)
    return replace(archive, file=file, train=train, test=(archive.test[0], RECORDS))


def batches(archive, seed=0):
    """The bytes of each batch: random pixels, and all classes in turn."""
    rng = np.random.default_rng(seed)
    contents = {}
    for name, count in archive.members.items():
        records = rng.integers(0, 256, (count, archive.shape[1]), np.uint8)
        records[:, archive.label_bytes - 1] = np.arange(count) % len(archive.class_names)
        contents[name] = records.tobytes()
    return contents


def tar_gz(members):
    """A .tar.gz of members, each a name and its bytes; a folder has None."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.type, info.size = (tarfile.REGTYPE, len(content)) if content is not None else (tarfile.DIRTYPE, 0)
            tar.addfile(info, io.BytesIO(content or b""))
    return gzip.compress(stream.getvalue(), 1, mtime=0)  # without the time, the bytes are always the same


def published(archive):
    """The members of the published archives: a folder, the batches, a list of names and a page."""
    folder = archive.folder
    extra = [
        (f"{folder}/batches.meta.txt", "\n".join(archive.class_names).encode()),
        (f"{folder}/readme.html", b"<html>"),
    ]
    return tar_gz([(folder, None), *extra, *batches(archive).items()])


class Server(http.server.ThreadingHTTPServer):
    """Answers every request by ``answer(handler)``, and counts them."""

    daemon_threads = True

    def __init__(self):
        self.requests, self.answer = [], None
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"

    def gives(self, content, status=200):
        """Answer with this content."""
        self.answer = lambda handler: handler.send(content, status=status)


class Handler(http.server.BaseHTTPRequestHandler):
    """One request to :class:`Server`."""

    def do_GET(self):
        self.server.requests.append(self.path)
        self.server.answer(self)

    def send(self, content, length=None, status=200):
        """Send content under a length that may be wrong."""
        self.send_response(status)
        self.send_header("Content-Length", str(len(content) if length is None else length))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        """Print nothing."""


@pytest.fixture
def server():
    """A server on loopback that has no content yet."""
    with Server() as running:
        threading.Thread(target=partial(running.serve_forever, poll_interval=0.01), daemon=True).start()
        yield running
        running.shutdown()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty data folder."""
    path = tmp_path / "data"
    path.mkdir()
    monkeypatch.setenv(FOLDER_VARIABLE, str(path))
    monkeypatch.delenv(MIRRORS_VARIABLE, raising=False)
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pooch.core.time", SimpleNamespace(sleep=lambda _: None))  # between the attempts of a download
    return path


@pytest.fixture(scope="session")
def forge():
    """Functions that make small archives."""
    return SimpleNamespace(small=small, batches=batches, tar_gz=tar_gz, published=published, records=RECORDS)


@pytest.fixture
def publish(monkeypatch):
    """A function that replaces a published archive by a small one and returns it."""

    def put(name, content=None, url=""):
        archive = small(name, published(small(name)) if content is None else content, url)
        monkeypatch.setitem(cifar.ARCHIVES, name, archive)
        dataset.load_rows.cache_clear()
        dataset._blocks.clear()
        return archive

    yield put
    dataset.load_rows.cache_clear()
    dataset._blocks.clear()
