"""The memory that a task may take."""

import pytest

from pipeline.search import worker_memory


def test_workers_share_the_memory(tmp_path, monkeypatch):
    """Twice the workers get half the memory each; a container's limit applies where it is below the machine's memory."""
    assert worker_memory.bytes_per_worker(2) == pytest.approx(2 * worker_memory.bytes_per_worker(4), abs=2)
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(worker_memory, "LIMITS", (str(limit), str(tmp_path / "absent")))
    limit.write_text("1073741824\n")
    assert worker_memory.memory_bytes() == 2**30
    assert worker_memory.bytes_per_worker(4) == 2**27
    limit.write_text("max\n")
    assert worker_memory.memory_bytes() > 2**30


def test_the_limit_of_a_process_is_the_memory(monkeypatch):
    """A limit of the address space, as by ``ulimit -v``, applies where it is below the machine's memory."""
    pytest.importorskip("resource")
    machine = worker_memory.memory_bytes()
    monkeypatch.setattr(worker_memory.resource, "getrlimit", lambda _: (2**30, 2**30))
    assert worker_memory.memory_bytes() == min(2**30, machine)
