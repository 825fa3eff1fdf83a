"""Pruning: Optuna's own decisions, the same for any workers and interruptions, and recorded as pruned trials."""

from dataclasses import replace

import numpy as np
import optuna
import pytest
from mlflow import MlflowClient
from optuna.trial import TrialState

from pipeline.cli.main import main
from pipeline.data import load_block
from pipeline.search.pruners import PastTrial, Pruning, make_pruner
from pipeline.storage.optuna_store import OptunaStore
from pipeline.study.hparams import HyperParams, TrainConfig
from pipeline.study.loading import find_study
from pipeline.study.spec import Arm, Float, Pruner, SearchSpace, Study
from pipeline.training import train

EPOCHS = 9
PRUNERS = [
    Pruner("median", {"n_startup_trials": 3}),
    Pruner("successive_halving", {"reduction_factor": 3}),
    Pruner("hyperband"),
    Pruner("threshold", {"lower": 0.4}),
]
SPACE = SearchSpace(learning_rate=Float(1e-3, 1, log=True))


def curve_of(number):
    """A noisy, rising curve of EPOCHS accuracies."""
    rng = np.random.default_rng(number)
    return rng.uniform(0.2, 0.9) + np.sort(rng.uniform(-0.1, 0.1, EPOCHS))


def by_optuna(pruner, count):
    """The curves up to where a plain Optuna study, one trial after another, prunes them."""
    study = optuna.create_study(study_name="s", direction="maximize", pruner=make_pruner(pruner, EPOCHS))
    kept = []
    for number in range(count):
        trial = study.ask()
        kept.append([])
        for epoch, accuracy in enumerate(curve_of(number), start=1):
            trial.report(accuracy, epoch)
            kept[-1].append(accuracy)
            if epoch < EPOCHS and trial.should_prune():
                study.tell(trial, state=TrialState.PRUNED)
                break
        else:
            study.tell(trial, accuracy)
    return kept


def by_judges(pruner, count, wave):
    """The curves up to where the pruner stops them, wave by wave, each wave in lockstep."""
    done = []
    for start in range(0, count, wave):
        numbers = range(start, min(start + wave, count))
        watch = Pruning(pruner, "s", EPOCHS, tuple(done)).watch(numbers)
        curves, alive = {n: [] for n in numbers}, np.arange(len(numbers))
        for epoch in range(1, EPOCHS + 1):
            accuracies = np.array([curve_of(numbers[k])[epoch - 1] for k in alive])
            for k, accuracy in zip(alive, accuracies, strict=True):
                curves[numbers[k]].append(accuracy)
            if epoch < EPOCHS and len(alive):
                alive = alive[watch(alive, epoch, accuracies)]
        done += [PastTrial(n, tuple(curves[n]), watch.pruned[k], watch.rungs(k)) for k, n in enumerate(numbers)]
    return [list(past_trial.curve) for past_trial in done]


@pytest.mark.parametrize("pruner", PRUNERS, ids=lambda pruner: pruner.name)
def test_decisions_are_optunas_own(pruner):
    """In waves of one trial, each is pruned where a plain Optuna study prunes it; some are, and some are not."""
    kept = by_judges(pruner, 30, wave=1)
    assert kept == by_optuna(pruner, 30)
    assert {len(curve) < EPOCHS for curve in kept} == {True, False}


@pytest.mark.parametrize("pruner", PRUNERS, ids=lambda pruner: pruner.name)
def test_trials_of_the_same_wave_have_no_effect(pruner):
    """The trials of a wave are judged the same alone, in any order and all together."""
    done = tuple(PastTrial(n, tuple(curve_of(n)), pruned=False) for n in range(8))
    pruning = Pruning(pruner, "s", EPOCHS, done)

    def judged(numbers):
        watch = pruning.watch(numbers)
        for epoch in (1, 2, 3):
            watch(np.arange(len(numbers)), epoch, np.array([curve_of(n)[epoch - 1] for n in numbers]))
        return dict(zip(numbers, watch.pruned, strict=True))

    whole = judged(list(range(8, 24)))
    assert judged(list(reversed(range(8, 24)))) == whole
    assert {n: judged([n])[n] for n in range(8, 24)} == whole


def test_a_stopped_trial_does_not_change_the_others():
    """Its curves and scores end with the epoch it was stopped after; the others have the same bits as without."""
    config = TrainConfig(epochs=4, batch_size=100)
    data = load_block("digits", config, 0)
    trials = [HyperParams(learning_rate=0.1 * (k + 1), batch_norm=k % 2 == 0, seed=k) for k in range(6)]
    calls = []

    def watch(members, epoch, accuracy):
        calls.extend((int(k), epoch) for k in members)
        return ~((members == 3) & (epoch == 2))

    whole, watched = train(trials, data, config), train(trials, data, config, watch=watch)
    assert sorted(calls) == [(k, e) for k in range(6) for e in (1, 2, 3) if (k, e) != (3, 3)]
    assert watched.epochs.tolist() == [4, 4, 4, 2, 4, 4]
    assert not watched.diverged.any()
    for key, curve in whole.curves.items():
        expected = curve.copy()
        expected[3, 2:] = np.nan
        assert np.array_equal(watched.curves[key], expected, equal_nan=True)
    assert watched.scores["best/val_accuracy"][3] == whole.curves["val/accuracy"][3, :2].max()
    others = [0, 1, 2, 4, 5]
    assert all(np.array_equal(watched.scores[key][others], values[others]) for key, values in whole.scores.items())


PRUNED_STUDY = """
from pipeline import Arm, Categorical, Float, Pruner, SearchSpace, Study, TrainConfig

STUDY = Study(
    name="short",
    question="Does it stop?",
    space=SearchSpace(learning_rate=Float(1e-4, 1e2, log=True), batch_norm=Categorical(False, True)),
    config=TrainConfig(epochs=5, batch_size=200),
    arms=(Arm("random"),),
    blocks=2,
    trials=14,
    pruner=Pruner("successive_halving", {"reduction_factor": 2}, wave=4),
)
"""


@pytest.fixture
def short_study(tracking_uri, tmp_path):
    """The path of a study of 28 trials, some of which are pruned."""
    path = tmp_path / "short.py"
    path.write_text(PRUNED_STUDY)
    return path


def recorded(study_path, journal, **given):
    """The trials of a journal, without the columns that differ from run to run."""
    return OptunaStore(find_study(str(study_path), given), str(journal)).table().drop(columns=["seconds", "run_id"])


def test_the_same_trials_are_pruned_with_any_workers_and_interruptions(short_study, tmp_path):
    """One worker at once and two workers in three parts, the first ending inside a wave, record the same trials."""
    whole = tmp_path / "whole.log"
    assert main(["search", str(short_study), "--workers", "1", "--storage", str(whole)]) == 0
    for trials in ("6", "13", "14"):
        assert main(["search", str(short_study), "--workers", "2", "--trials", trials]) == 0
    table = recorded(short_study, whole)
    assert table.equals(recorded(short_study, tmp_path / "optuna.log"))
    assert table["pruned"].sum() >= 6
    assert not table[table["trial"] < 4]["pruned"].any()
    assert (table[table["pruned"]]["epochs"] < 5).all()


def test_workers_that_prune_log_nothing_of_optunas(short_study, capfd):
    """The studies in memory that a worker asks its pruner with are not announced on standard error."""
    assert main(["search", str(short_study), "--workers", "2"]) == 0
    out, err = capfd.readouterr()
    assert "pruned, in" in out
    assert "A new study created" not in err


def test_a_pruned_trial_is_recorded_as_one(short_study, tmp_path, tracking_uri):
    """In Optuna it is PRUNED, with its curve and last value; in MLflow a complete run with the tag ``pruned``."""
    assert main(["search", str(short_study), "--workers", "1"]) == 0
    trials = OptunaStore(find_study(str(short_study), {}), str(tmp_path / "optuna.log")).recorded().values()
    pruned = [trial for trial in trials if trial.state == TrialState.PRUNED]
    assert 0 < len(pruned) < len(trials) == 28
    client = MlflowClient(tracking_uri=tracking_uri)
    (experiment,) = {client.get_run(trial.user_attrs["run_id"]).info.experiment_id for trial in trials}
    tagged = {run.info.run_id: run for run in client.search_runs([experiment], "tags.pruned = 'True'")}
    assert tagged.keys() == {trial.user_attrs["run_id"] for trial in pruned}
    for trial in pruned:
        run_id, curve = trial.user_attrs["run_id"], trial.intermediate_values
        assert trial.value == curve[trial.user_attrs["epochs"]] == curve[trial.last_step]
        assert {m.step: m.value for m in client.get_metric_history(run_id, "val/accuracy")} == curve
        assert tagged[run_id].info.status == "FINISHED"
        assert tagged[run_id].data.metrics["best/val_accuracy"] == max(curve.values())


def test_a_pruned_adaptive_arm_resumes_as_if_never_stopped(short_study, tmp_path):
    """TPE learns from pruned trials too, and a study searched in two parts equals one searched at once."""
    source = short_study.read_text()
    short_study.write_text(source.replace('Arm("random")', 'Arm("tpe", arguments={"n_startup_trials": 4})'))
    whole = tmp_path / "whole.log"
    assert main(["search", str(short_study), "--workers", "1", "--storage", str(whole)]) == 0
    for trials in ("7", "14"):
        assert main(["search", str(short_study), "--workers", "1", "--trials", trials]) == 0
    table = recorded(short_study, whole)
    assert table.equals(recorded(short_study, tmp_path / "optuna.log"))
    assert 0 < table["pruned"].sum() < 28


def test_a_pruner_is_part_of_the_study():
    """The declaration and the hash include the pruner; without one, neither mentions it."""
    plain = Study(name="s", question="?", space=SPACE, arms=(Arm("random"),))
    pruned = replace(plain, pruner=Pruner("median", {"n_startup_trials": 2}))
    assert "pruner" not in plain.to_json().keys() | plain.identity.keys()
    assert plain.hash != pruned.hash != replace(pruned, pruner=Pruner("median")).hash
    assert Study.from_json(pruned.to_json()) == pruned
    assert Study.from_json(plain.to_json()) == plain


def test_a_pruner_in_a_comparison_is_refused():
    """A pruner in a study of several arms is refused with the reason."""
    with pytest.raises(ValueError, match="a comparison trains every trial to the end"):
        Study(name="s", question="?", space=SPACE, pruner=Pruner("median"))


@pytest.mark.parametrize(
    ("pruner", "says"),
    [
        (Pruner("mean"), "unknown name 'mean'; expected one of median, successive_halving, hyperband, threshold"),
        (Pruner("median", {"warmup": 1}), "does not take its arguments: .*warmup"),
        (Pruner("threshold"), "does not take its arguments: Either lower or upper"),
        (Pruner("successive_halving", {"reduction_factor": 1}), "must be `reduction_factor >= 2`"),
    ],
)
def test_a_pruner_that_cannot_be_created_is_refused(pruner, says):
    """An unknown pruner, or arguments that it does not take, are refused by name."""
    with pytest.raises(ValueError, match=says):
        make_pruner(pruner, EPOCHS)


def test_a_wrong_pruner_is_refused_before_anything_is_written(short_study, tmp_path, capsys):
    """The command ends with exit code 2 and one line, and records nothing."""
    short_study.write_text(short_study.read_text().replace("successive_halving", "halving"))
    assert main(["search", str(short_study)]) == 2
    assert capsys.readouterr().err.startswith("error: pruner: unknown name 'halving'")
    assert not (tmp_path / "optuna.log").exists()
