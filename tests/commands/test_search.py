"""A search goes from look to look until its verdict is decided; stopped or killed anywhere, it ends as if it had not been."""

import json
import os
import shlex
import shutil
import signal
from collections import Counter

import pandas as pd
import pytest
from mlflow import MlflowClient

from pipeline.cli.main import main
from pipeline.commands.job import Job
from pipeline.search.confirmation import confirmed
from pipeline.storage.optuna_store import OptunaStore
from pipeline.study.loading import find_study

EQUAL = """
from pipeline import Arm, Categorical, Float, SearchSpace, Study, TrainConfig

STUDY = Study(
    name="looks",
    question="When does it stop?",
    dataset="digits-200",
    space=SearchSpace(learning_rate=Float(1e-2, 1, log=True, levels=2), batch_norm=Categorical(False, True)),
    config=TrainConfig(epochs=3, batch_size=25),
    arms=(Arm("random"), Arm("again", "random")),
    blocks=7,
    max_blocks=14,
    trials=4,
    confirm=2,
    delta=0.0005,
)
"""
WORSE = EQUAL.replace('Arm("again", "random")', 'Arm("grid")').replace("1e-2, 1,", "1e-4, 1e3,")
"""Both rates of the grid are useless: the arms differ by more than a half."""
TIMES = ["seconds", "run_id"]
PLACES = [
    ("add_all", 3, signal.SIGKILL),
    ("confirm_all", 3, signal.SIGKILL),
    ("extend", 14, signal.SIGKILL),
    ("extend", 14, signal.SIGTERM),
    ("open", 14, signal.SIGKILL),
    ("add_all", 9, signal.SIGKILL),
    ("confirm_all", 12, signal.SIGKILL),
    ("confirm_all", 12, signal.SIGTERM),
]
"""Inside of the first look, inside of its confirmation, between the looks, and the same in the second."""


def searched(folder, verb="run", *flags):
    """Run the study in a folder."""
    quick = ["--no-model", "--skip-checks"] if verb == "run" else []
    assert main([verb, str(folder / "looks.py"), "--workers", "1", *quick, *flags]) == 0


def records(folder):
    """The recorded trials and repetitions, without what differs from run to run."""
    store = OptunaStore(find_study(str(folder / "looks.py"), {"blocks": 14}), str(folder / "optuna.log"))
    tables = (
        store.table(),
        pd.DataFrame(confirmed(store)).sort_values(["arm", "block", "repetition"], ignore_index=True),
    )
    return [table.drop(columns=TIMES) for table in tables]


def verdict(folder):
    """The last report's verdict."""
    return json.loads((folder / "reports" / "looks" / "verdict.json").read_text())


def assert_same(folder, other):
    """Both folders hold the same trials, repetitions, declarations and verdict."""
    for table, expected in zip(records(folder), records(other), strict=True):
        pd.testing.assert_frame_equal(table, expected, check_like=True)
    assert verdict(folder) == verdict(other)
    study = find_study(str(folder / "looks.py"), {})
    terms = [
        [{**terms, "at": ""} for terms in OptunaStore(study, str(place / "optuna.log")).declarations]
        for place in (folder, other)
    ]
    assert terms[0] == terms[1]


@pytest.fixture
def looks(tracking_uri, tmp_path):
    """The folder of a study of two equal arms, which is looked at after 7 and 14 blocks."""
    (tmp_path / "looks.py").write_text(EQUAL)
    return tmp_path


@pytest.fixture(scope="module")
def whole(tmp_path_factory, empty_mlflow_db):
    """The same, as it is after an uninterrupted run."""
    folder = tmp_path_factory.mktemp("whole")
    shutil.copyfile(empty_mlflow_db, folder / "mlflow.db")
    (folder / "looks.py").write_text(EQUAL)
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.chdir(folder)
        searched(folder)
    return folder


def lines(capsys, *starts):
    """The printed lines that begin with one of some words."""
    return [line for line in capsys.readouterr().out.splitlines() if line.startswith(starts)]


def test_a_search_stops_at_the_look_that_decides(looks, capsys):
    """Of two arms one is plainly worse: the report after the first look says so, and no other block is trained."""
    (looks / "looks.py").write_text(WORSE)
    searched(looks)
    (report,) = lines(capsys, "look: ", "report: ")
    assert report.startswith("report: Random search is ahead of the textbook grid")
    assert set(records(looks)[0]["block"]) == set(range(7))
    assert verdict(looks)["label"] == "ahead"


def test_a_search_goes_on_until_the_last_look(looks, whole, capsys):
    """Two equal arms are undecided at the first look, which says what the next one costs; the last one is printed too."""
    searched(looks, "search")
    first, last = lines(capsys, "look: ")
    assert first.startswith("look: Undecided after 7 blocks")
    assert "The next look, after 14 blocks, costs 84 trainings" in first
    assert last.startswith("look: Undecided after 14 blocks")
    trials, repetitions = records(looks)
    assert Counter(trials["block"]) == dict.fromkeys(range(14), 8)
    assert Counter(repetitions["block"]) == dict.fromkeys(range(14), 4)
    assert verdict(whole)["sentences"][0].startswith("Undecided after 14 blocks")
    assert main(["report", str(looks / "looks.py"), "--no-model"]) == 0
    assert_same(looks, whole)


def test_a_second_run_trains_nothing(looks, whole, capsys):
    """It takes each look again without a word of those that are past, trains nothing, and reports the same."""
    shutil.copytree(whole, looks, dirs_exist_ok=True)
    client = MlflowClient(f"sqlite:///{whole / 'mlflow.db'}")  # where its runs keep their artifacts
    before = {run.info.run_id for run in client.search_runs(["0"], max_results=5000)}
    capsys.readouterr()
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.chdir(whole)
        searched(whole)
    done = lines(capsys, "search: ", "confirm: ", "look: ")
    assert [line.split(":")[0] for line in done] == ["search", "confirm", "search", "confirm"]
    assert all("nothing to train" in line for line in done)
    assert {run.info.run_id for run in client.search_runs(["0"], max_results=5000)} == before
    assert_same(whole, looks)


@pytest.mark.parametrize(
    ("blocks", "label", "says"),
    [
        (6, "too few repeats", "The first look is after 7 blocks"),
        (9, "undecided", "Undecided after 7 blocks"),
        (16, "undecided", "Undecided after 14 blocks"),
    ],
)
def test_a_number_of_blocks_is_trained_exactly(blocks, label, says, looks, capsys):
    """The flag trains that number and takes no look on the way; the verdict is that of the last declared look, if any."""
    searched(looks, "run", "--blocks", str(blocks))
    store = OptunaStore(find_study(str(looks / "looks.py"), {"blocks": 20}), "optuna.log")
    assert {block for _, block, _ in store.recorded()} == set(range(blocks))
    assert not lines(capsys, "look: ")
    assert verdict(looks)["label"] == label
    assert says in verdict(looks)["sentences"][0]
    beyond = [note for note in verdict(looks)["notes"] if "are recorded, and the last look was after" in note]
    assert len(beyond) == (blocks in (9, 16))


def test_blocks_of_a_flag_are_those_of_the_looks(looks, whole):
    """A pilot, and more blocks than the first look has, change no trial and no repetition of the study."""
    for blocks in ("2", "9"):
        searched(looks, "search", "--blocks", blocks)
    searched(looks)
    for table, expected in zip(records(looks), records(whole), strict=True):
        pd.testing.assert_frame_equal(table, expected, check_like=True)
    assert verdict(looks)["sentences"][0] == verdict(whole)["sentences"][0]
    assert verdict(looks)["notes"][0].startswith("A pilot of 2 blocks of 4 trials for each arm came before")


def test_a_withheld_verdict_takes_no_further_look(looks, whole, capsys):
    """No more blocks can decide a contrast that was changed after a verdict, so the search stops at the first look."""
    shutil.copytree(whole, looks, dirs_exist_ok=True)
    capsys.readouterr()
    searched(looks, "search", "--trials", "3")
    _, look = lines(capsys, "search: ", "look: ")
    assert look.startswith("look: Verdict withheld: the budget was changed from 4 to 3 trials")
    (looks / "looks.py").write_text(EQUAL.replace("max_blocks=14", "max_blocks=21"))
    searched(looks, "search")
    (look,) = lines(capsys, "look: ")
    assert look.startswith("look: Undecided after 14 blocks"), "those declared are at 7 and 14 blocks"
    store = OptunaStore(find_study(str(looks / "looks.py"), {"blocks": 21}), "optuna.log")
    assert max(block for _, block, _ in store.recorded()) == 13


def test_a_run_of_fewer_blocks_leaves_the_verdict(looks, whole):
    """After a search of three blocks the report still has every recorded block, and the same verdict."""
    shutil.copytree(whole, looks, dirs_exist_ok=True)
    before = json.loads(next((whole / "reports").glob("*/verdict.json")).read_text())
    searched(looks, "search", "--blocks", "3")
    assert main(["report", str(looks / "looks.py"), "--no-model"]) == 0
    after = json.loads(next((looks / "reports").glob("*/verdict.json")).read_text())
    assert [c["looks"] for c in after["contrasts"]] == [c["looks"] for c in before["contrasts"]]


def test_a_new_search_has_all_looks(looks, whole):
    """Started again under the next name, a study is searched up to its last look, and the first one stays as it was."""
    shutil.copytree(whole, looks, dirs_exist_ok=True)
    searched(looks, "search", "--new")
    store = OptunaStore(find_study(str(looks / "looks.py"), {"blocks": 14}), "optuna.log")
    assert store.study.name == "looks-2"
    assert len(store.recorded()) == len(records(whole)[0]) == 112
    assert store.declaration.looks == (7, 14)


def test_a_study_that_cannot_be_planned_to_its_last_look_is_refused_first(looks, capsys):
    """Blocks of the second look that repeat those of the first are refused before anything is written."""
    source = EQUAL.replace("Float(1e-2, 1, log=True, levels=2)", "Categorical(0.1, 0.2)")
    (looks / "looks.py").write_text(source.replace("blocks=7", "blocks=1").replace("trials=4", "trials=5"))
    assert main(["search", str(looks / "looks.py"), "--workers", "1", "--blocks", "1"]) == 0
    (looks / "optuna.log").unlink()
    (looks / "looks.py").write_text(
        source.replace("blocks=7", "blocks=1").replace("14", "40").replace("trials=4", "trials=5")
    )
    capsys.readouterr()
    assert main(["search", str(looks / "looks.py"), "--workers", "1"]) == 2
    assert "begins with the points of" in capsys.readouterr().err
    assert not (looks / "optuna.log").exists()


def signalled_run(method, block, signum):
    """Run the study; a signal comes when it first calls a method for a block.

    That is before the block's trials or repetitions are recorded, or once a look is opened.
    """
    owner = Job if method == "extend" else OptunaStore
    called = getattr(owner, method)

    def signalled(self, *arguments):
        if method == "open" and self.study.blocks == block:
            called(self, *arguments)
        if block in blocks_of(method, self, *arguments):
            os.kill(os.getpid(), signum)
        return called(self, *arguments)

    setattr(owner, method, signalled)
    return main(["run", "looks.py", "--workers", "1", "--no-model", "--skip-checks"])


def blocks_of(method, owner, given, *_):
    """The blocks that a call of a method is for."""
    if method == "add_all":
        return {trial.plan.block for trial in given.values()}
    if method == "confirm_all":
        return {block for _, block, _ in given}
    return {owner.study.blocks if method == "open" else given}


def test_a_search_that_is_stopped_and_killed_at_each_of_its_phases_ends_with_the_same_verdict(looks, whole, fork):
    """Stopped and killed in and between its looks and confirmations, one after the other, it ends as an undisturbed one."""
    for method, block, signum in PLACES:
        left = 128 + signum if signum == signal.SIGTERM else -signum
        child = fork(looks, signalled_run, method, block, signum)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == left, (method, block)
    searched(looks)
    assert_same(looks, whole)
    client = MlflowClient(f"sqlite:///{looks / 'mlflow.db'}")
    for kind, number in (("trial", 112), ("confirmation", 56), ("study", 1)):
        runs = client.search_runs(["0"], f"tags.kind = '{kind}'", max_results=5000)
        assert Counter(run.info.status for run in runs) == {"FINISHED": number}


def test_a_search_ends_with_the_command_that_reports(tiny_study, tmp_path, monkeypatch, capsys):
    """The last line is a command that writes the report, with the flags of stores that are not the usual ones."""
    (tmp_path / "a b").mkdir()
    flags = ["--storage", str(tmp_path / "a b" / "optuna.log")]
    assert main(["search", str(tiny_study), "--workers", "1", "--blocks", "1", *flags]) == 0
    said, _, command = capsys.readouterr().out.splitlines()[-1].partition(": ")
    program, *words = shlex.split(command)
    assert (said, program) == ("now write the report", "babysit")
    assert main([*words, "--no-model"]) == 0
    assert (tmp_path / "reports" / "tiny" / "report.html").is_file()
