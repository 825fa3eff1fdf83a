"""Loading a small archive: in a new process, or refused."""

import subprocess
import sys

import pytest

from pipeline.data.cifar import load_cifar
from pipeline.errors import UserError

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
    """A new process that loads the small CIFAR-10 and prints its hash, or the line of its error."""
    file = archive.file
    arguments = [file.url, file.sha256, str(file.size), str(records), str(limit)]
    pipes = {"stdout": subprocess.PIPE, "stderr": stderr, "text": True}
    return subprocess.Popen([sys.executable, "-c", LOAD, *arguments], **pipes)


def refusal(name="cifar10"):
    """The one line with which loading is refused."""
    with pytest.raises(UserError) as caught:
        load_cifar(name)
    line = str(caught.value)
    assert "\n" not in line
    return line


def files(folder):
    """The names of all files in a folder, except the empty locks."""
    return {path.name for path in folder.iterdir() if not path.name.endswith(".lock")}
