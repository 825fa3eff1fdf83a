"""The journal takes many trials in one write; what other processes read meanwhile."""

import io
import os
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from optuna.storages.journal import JournalFileSymlinkLock

from pipeline.storage.journal import at_once, open_storage
from pipeline.storage.optuna_store import OptunaStore
from pipeline.study.loading import find_study

SPACE = {"x": optuna.distributions.FloatDistribution(0, 1)}


@pytest.fixture
def study(tmp_path):
    """An Optuna study in a journal file."""
    return optuna.create_study(study_name="one", storage=open_storage(str(tmp_path / "optuna.log")))


def add(study, *values):
    """Record finished trials, with a curve each."""
    for value in values:
        study.add_trial(
            optuna.trial.create_trial(
                params={"x": value}, distributions=SPACE, value=value, intermediate_values={1: value}
            )
        )


def read(tmp_path):
    """Return what another process reads from the file: the value of each trial by number."""
    found = optuna.load_study(study_name="one", storage=open_storage(str(tmp_path / "optuna.log")))
    return {trial.number: trial.value for trial in found.trials}


def test_trials_are_written_together_and_read_before(study, tmp_path):
    """In the body the study has its trials and the file does not; after it, all processes have them with the same numbers."""
    path = tmp_path / "optuna.log"
    before = path.read_bytes()
    with at_once(study._storage):
        add(study, 0.1, 0.2)
        assert path.read_bytes() == before
        assert [(t.number, t.value, t.intermediate_values) for t in study.trials] == [
            (0, 0.1, {1: 0.1}),
            (1, 0.2, {1: 0.2}),
        ]
    add(study, 0.3)
    assert read(tmp_path) == {0: 0.1, 1: 0.2, 2: 0.3} == {t.number: t.value for t in study.trials}


def test_lines_that_others_wrote_before_come_first(study, tmp_path):
    """Lines of another process that this one has not read yet come before its own waiting lines."""
    add(optuna.load_study(study_name="one", storage=open_storage(str(tmp_path / "optuna.log"))), 0.7)
    with at_once(study._storage):
        add(study, 0.1)
        add(study, 0.2)
    with at_once(study._storage):
        add(study, 0.3)
    assert read(tmp_path) == {0: 0.7, 1: 0.1, 2: 0.2, 3: 0.3} == {t.number: t.value for t in study.trials}


def test_no_other_process_writes_during_a_batch(study, tmp_path):
    """The journal's lock is held during the body, and released after it."""
    with at_once(study._storage):
        assert (tmp_path / "optuna.log.lock").is_symlink()
    assert not (tmp_path / "optuna.log.lock").is_symlink()


def test_what_was_recorded_before_an_error_is_written(study, tmp_path):
    """An error in the body loses nothing that was recorded before it."""

    def stopped():
        with at_once(study._storage):
            add(study, 0.1)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    add(study, 0.2)
    assert read(tmp_path) == {0: 0.1, 1: 0.2}


def test_half_a_line_is_cut_off_when_the_journal_is_opened(study, tmp_path):
    """Other programs, such as Optuna Dashboard, may write to an opened journal, and would join their line to half a one."""
    path = tmp_path / "optuna.log"
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"op_code": 4, "worker')
    open_storage(str(path))
    assert path.read_bytes() == whole
    again = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(path)))
    optuna.load_study(study_name="one", storage=again).set_user_attr("note", "x")
    assert study.user_attrs == {"note": "x"}


def test_the_lock_of_a_dead_process_is_released(study, tmp_path):
    """A lock that a killed process left does not stop the next write."""
    lock = JournalFileSymlinkLock(str(tmp_path / "optuna.log"))
    assert lock.acquire()
    code = "import sys; from pipeline.storage.journal import open_storage as o; o('optuna.log').create_new_study([2], 'two')"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, timeout=60)
    assert optuna.get_all_study_names(study._storage) == ["one", "two"]


def test_half_a_line_of_another_process_is_cut_off_before_a_batch(study, tmp_path):
    """A half line of a process that died is not joined to a line of this one, and all records can be read."""
    path = tmp_path / "optuna.log"
    for record in (lambda: add(study, 0.1), lambda: recorded_at_once(study, 0.2, 0.3)):
        with path.open("ab") as file:
            file.write(b'{"op_code":4,"wor' + b"k" * 5000)
        record()
    assert read(tmp_path) == {0: 0.1, 1: 0.2, 2: 0.3} == {t.number: t.value for t in study.trials}


@pytest.mark.parametrize("line", [b"garbage", b"\xff\xfe", b'{"op_code": 4'])
def test_a_line_that_is_no_record_is_refused_before_anything_is_written_after_it(line, study, tmp_path):
    """A journal with a damaged last line is refused with the number of the line, and not changed."""
    add(study, 0.1)
    path = tmp_path / "optuna.log"
    whole = len(path.read_bytes().splitlines())
    path.write_bytes(path.read_bytes() + line + b"\n")
    before = path.read_bytes()
    with pytest.raises(ValueError, match=rf"optuna\.log, which is damaged in line {whole + 1}; restore a copy"):
        open_storage(str(path))
    assert path.read_bytes() == before


def test_a_batch_does_not_read_the_journal_again(study, tmp_path, monkeypatch):
    """However long the journal is, a batch reads none of its lines again."""
    recorded_at_once(study, *[0.5] * 50)
    lines, open_path = [], Path.open

    class Watched(io.BufferedReader):
        def __next__(self):
            lines.append(line := super().__next__())
            return line

    def watched(path, mode):
        return Watched(io.FileIO(path)) if mode == "rb" else open_path(path, mode)

    monkeypatch.setattr(Path, "open", watched)
    recorded_at_once(study, 0.1)
    recorded_at_once(study, 0.2, 0.3)
    assert lines == []
    assert len(read(tmp_path)) == 53
    assert len(lines) > 53


def recorded_at_once(study, *values):
    """Record trials in one write."""
    with at_once(study._storage):
        add(study, *values)


def test_a_database_takes_them_one_by_one(tmp_path):
    """A storage that cannot write in batches records trials one by one."""
    study = optuna.create_study(study_name="one", storage=open_storage(f"sqlite:///{tmp_path / 'optuna.db'}"))
    with at_once(study._storage):
        add(study, 0.1)
    assert [trial.value for trial in study.trials] == [0.1]


def test_a_batch_is_on_the_disk_before_others_may_write(study, tmp_path, monkeypatch):
    """The file is flushed and synchronised while the lock is held, when all of the batch is in it."""
    path, sync, seen = tmp_path / "optuna.log", os.fsync, []

    def watched(file):
        sync(file)
        seen.append((os.fstat(file).st_size, (tmp_path / "optuna.log.lock").is_symlink()))

    monkeypatch.setattr(os, "fsync", watched)
    recorded_at_once(study, 0.1, 0.2)
    assert seen == [(path.stat().st_size, True)]


@pytest.mark.parametrize("link", ["symlink_to", "hardlink_to"])
def test_a_journal_is_locked_under_all_its_names(link, study, tmp_path):
    """A record through a link waits for a write through another name, and nothing is lost."""
    (tmp_path / "other").mkdir()
    other = tmp_path / "other" / "link.log"
    getattr(other, link)(tmp_path / "optuna.log")
    linked = optuna.load_study(study_name="one", storage=open_storage(str(other)))
    adding = threading.Thread(target=lambda: add(linked, 0.2))
    with at_once(study._storage):
        add(study, 0.1)
        adding.start()
        adding.join(0.3)
        assert adding.is_alive()
    adding.join()
    assert read(tmp_path) == {0: 0.1, 1: 0.2}


def test_a_study_of_many_blocks_is_opened_in_as_many_writes_as_one_of_few(tiny_study, tmp_path, monkeypatch):
    """The wait for the disk when a study is opened does not grow with its blocks."""
    syncs, fsync = [], os.fsync
    monkeypatch.setattr(os, "fsync", lambda file: syncs.append(fsync(file)))
    study, counts = find_study(str(tiny_study), {}), []
    for blocks in (2, 20):
        syncs.clear()
        OptunaStore(replace(study, blocks=blocks), str(tmp_path / f"{blocks}.log")).open("a-run", {})
        counts.append(len(syncs))
    assert counts[0] == counts[1]
