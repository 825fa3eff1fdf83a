"""Locks on files and folders."""

import os

import pytest

from pipeline.file_locks import lock_file, locked_byte


def test_a_lock_excludes_others_until_the_file_is_closed(tmp_path):
    """A second opening of a folder cannot take its lock while the first has it, and can after that was closed."""
    first, second = (os.open(tmp_path, os.O_RDONLY) for _ in range(2))
    assert lock_file(first, wait=False)
    assert not lock_file(second, wait=False)
    os.close(first)
    assert lock_file(second, wait=True)
    os.close(second)


def test_a_byte_is_locked_under_every_name_of_the_file(tmp_path):
    """A hard link meets the lock; a lock of another name on the same file does not, and the end of the body frees it."""
    file, link = tmp_path / "file", tmp_path / "link"
    file.touch()
    link.hardlink_to(file)
    with (
        locked_byte(file, "a", wait=False),
        locked_byte(link, "b", wait=False),
        pytest.raises(BlockingIOError),
        locked_byte(link, "a", wait=False),
    ):
        pass
    with locked_byte(link, "a", wait=True):
        assert file.stat().st_size == 0
