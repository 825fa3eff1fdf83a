"""Published files: taken from the data folder or downloaded, and compared with their SHA-256."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import os
import shutil
import sys
import time
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.data.folder import FOLDER_VARIABLE, MIB, say
from pipeline.errors import UserError

MIRRORS_VARIABLE = "BABYSIT_MIRRORS"
RETRIES = 2
"""How often pooch repeats a download that the network broke."""
TIMEOUT = 30
"""Seconds."""
CHUNK_BYTES = 2**16


@dataclass(frozen=True)
class Published:
    """A file that is published at ``url`` and never changes: its SHA-256 and its size in bytes.

    ``lookalikes`` are other files that may have its name: a text in the unpacked beginning, and the reason why that file is
    refused. ``note`` is printed before a download.
    """

    url: str
    sha256: str
    size: int
    lookalikes: tuple[tuple[bytes, str], ...] = ()
    note: str = ""

    @property
    def name(self) -> str:
        """The file name."""
        return self.url.rsplit("/", 1)[-1]

    def sources(self) -> list[str]:
        """The addresses to try: in the web folders that ``BABYSIT_MIRRORS`` lists, then the origin."""
        mirrors = os.environ.get(MIRRORS_VARIABLE, "").replace(",", " ").split()
        for mirror in mirrors:
            if not mirror.startswith(("https://", "http://")):
                raise UserError(f"{MIRRORS_VARIABLE}: got {mirror!r}; expected addresses that begin with https://")
        return [f"{mirror.rstrip('/')}/{self.name}" for mirror in mirrors] + [self.url]


def obtain(file: Published, folder: Path, scratch: Path, extra_bytes: int = 0) -> Path:
    """Return the path of a file in the data folder; download it if it is not there.

    A download is written to ``scratch`` before it is moved. ``extra_bytes`` are needed in addition to the file. Raises
    :class:`UserError` if the file, present or downloaded, is not the published one, or there is too little space.
    """
    path = folder / file.name
    if path.exists():
        if fault := difference(path, file):
            raise UserError(f"{path}: {fault}. Delete it and run again, or {by_hand(file, folder)}")
        return path
    free = shutil.disk_usage(folder).free
    if free < file.size + extra_bytes:
        need = f"{file.name} needs {(file.size + extra_bytes) / MIB:,.0f} MiB"
        raise UserError(f"{folder}: {need}, {free / MIB:,.0f} MiB are free. Make room, or set {FOLDER_VARIABLE}")
    return download(file, folder, scratch)


def download(file: Published, folder: Path, scratch: Path) -> Path:
    """Try each source in order, and move the first right file into place."""
    say(
        f"{file.name}: not in {folder}; downloading {file.size / MIB:,.0f} MiB. {file.note}To do so yourself, {by_hand(file, folder)}"
    )
    failures = []
    for url in file.sources():
        try:
            _download_from(url, file, scratch)
        except _Failed as failure:
            failures.append(f"{url}: {failure}")
        else:
            return (scratch / file.name).replace(folder / file.name)
    raise UserError(
        f"{file.name}: not downloaded ({'; '.join(failures)}). Try again, name a mirror in {MIRRORS_VARIABLE}, or {by_hand(file, folder)}"
    )


class _Failed(Exception):  # noqa: N818  it is caught here
    """A source did not give the file. It is not a ``ValueError``, because pooch retries after those."""


def _download_from(url: str, file: Published, scratch: Path) -> None:
    """Download from one source with pooch, which writes a temporary file and retries when the network fails."""
    import pooch  # type: ignore[import-untyped]
    from requests import RequestException

    def downloader(url: str, output: str, registry: Any) -> None:
        meter: Any = Meter(file)
        pooch.HTTPDownloader(progressbar=meter, timeout=TIMEOUT, chunk_size=CHUNK_BYTES)(url, output, registry)
        if fault := difference(Path(output), file):
            raise _Failed(fault)

    pooch.get_logger().setLevel("WARNING")
    hashes = {file.name: f"sha256:{file.sha256}"}
    registry = pooch.create(scratch, base_url="", registry=hashes, urls={file.name: url}, retry_if_failed=RETRIES)
    try:
        registry.fetch(file.name, downloader=downloader)
    except RequestException as error:
        raise _Failed(
            f"HTTP {error.response.status_code}" if error.response is not None else type(error).__name__
        ) from error


def difference(path: Path, file: Published) -> str:
    """How a file differs from the published one; an empty text if it does not."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        got = hashlib.file_digest(stream, "sha256").hexdigest()
    if got == file.sha256:
        return ""
    numbers = f"expected {file.size:,} bytes of SHA-256 {file.sha256}, got {size:,} bytes of SHA-256 {got}"
    return f"{_likeness(path, file, size)}; {numbers}"


def _likeness(path: Path, file: Published, size: int) -> str:
    """The probable kind of a wrong file."""
    with path.open("rb") as stream:
        start = stream.read(512)
    if start.lstrip()[:1] == b"<":
        return "looks like HTML, perhaps the page of a login or of an error"
    with contextlib.suppress(OSError, EOFError, zlib.error), gzip.open(path) as stream:
        unpacked = stream.read(512)
        for mark, reason in file.lookalikes:
            if mark in unpacked:
                return reason
    return "is cut short" if size < file.size else "is not the published file"


def by_hand(file: Published, folder: Path) -> str:
    """The command that downloads the file without this program, and can be resumed."""
    return f"fetch it by hand: curl -L -C - -o '{folder / file.name}' {file.url}"


class Meter:
    """Shows how much has arrived and how fast, on a terminal; stops a source that sends too much.

    The methods are those that pooch calls on a progress bar.
    """

    def __init__(self, file: Published) -> None:
        self.file, self.total, self.done, self.shown = file, 0, 0, 0.0
        self.start = time.monotonic()

    def update(self, count: int) -> None:
        """Count bytes that have arrived; pooch rounds them up to a chunk."""
        self.done += count
        if self.done > self.file.size + CHUNK_BYTES:
            raise _Failed(f"sends more than the {self.file.size:,} bytes of the file")
        if sys.stderr.isatty() and time.monotonic() - self.shown > 1:
            self.shown = time.monotonic()
            rate = self.done / max(self.shown - self.start, 1e-9) / 1000
            sys.stderr.write(
                f"\r{self.file.name}: {self.done / MIB:,.0f} of {self.file.size / MIB:,.0f} MiB, {rate:,.0f} kB/s "
            )

    def reset(self) -> None:
        """Start to count from 0."""
        self.done = 0

    def close(self) -> None:
        """End the line."""
        if sys.stderr.isatty():
            sys.stderr.write("\n")
