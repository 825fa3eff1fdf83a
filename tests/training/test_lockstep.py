"""A trial's numbers do not depend on the trials that it is trained with."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import get_scorer
from threadpoolctl import threadpool_limits

from pipeline.data import Dataset, Split, load_block
from pipeline.errors import UserError
from pipeline.estimator import NumpyNetworkClassifier
from pipeline.nn.activations import ACTIVATIONS
from pipeline.nn.optimizers import OPTIMIZERS
from pipeline.nn.schedules import SCHEDULES
from pipeline.study.hparams import HyperParams, TrainConfig
from pipeline.training import CURVES, History, loop, memory, train, train_group
from pipeline.training.blas import blas

CONFIG = TrainConfig(epochs=3, batch_size=50)


def mixed_trials(count):
    """Return trials of several structures with different numbers, some of which diverge."""
    rng = np.random.default_rng(3)
    return [
        HyperParams(
            learning_rate=float(10 ** rng.uniform(-3, 2)),
            l2=float(10 ** rng.uniform(-6, -1)),
            momentum=float(rng.choice([0.0, 0.5])),
            activation=str(rng.choice(["relu", "tanh", "sigmoid"])),
            init=[str(rng.choice(["small", "xavier", "he"])), 0.2][k % 2],
            batch_norm=bool(rng.integers(2)),
            seed=k,
        )
        for k in range(count)
    ]


def values(history: History):
    """Return all arrays of a history except the time."""
    arrays = {**history.curves, **history.scores, "val": history.val_correct, "test": history.test_correct}
    arrays |= {"val scores": history.val_scores, "test scores": history.test_scores}
    measured = {**history.layer_statistics, "first loss": history.first_loss, "in batches": history.batch_accuracy}
    return {**arrays, **measured, "diverged": history.diverged, "epochs": history.epochs}


@pytest.fixture(scope="module")
def data():
    """The digits in one block's splits."""
    return load_block("digits", CONFIG, 0)


@pytest.fixture(scope="module")
def few(data):
    """181 rows of each split of the digits: minibatches of 60 leave a last one of 61, and of 4, a single row."""
    parts = {name: getattr(data, name) for name in ("train", "val", "test")}
    return Dataset(**{name: Split(rows.inputs[:181], rows.labels[:181]) for name, rows in parts.items()}, classes=10)


@pytest.fixture(scope="module")
def together(data):
    """24 trials and their history, trained in lockstep."""
    return mixed_trials(24), train(mixed_trials(24), data, CONFIG)


def assert_same(history, other, members):
    """Assert that the other history is that of these members, bit for bit."""
    for key, value in values(history).items():
        np.testing.assert_array_equal(values(other)[key], value[members], err_msg=key, strict=True)


def test_a_group_equals_its_members_trained_alone(together, data):
    """24 mixed trials get the same bits in lockstep as alone."""
    trials, history = together
    assert history.diverged.any()
    assert not history.diverged.all()
    for k, trial in enumerate(trials):
        assert_same(history, train([trial], data, CONFIG), [k])


@pytest.mark.parametrize("name", ["balanced_accuracy", "f1_macro", "neg_log_loss", "roc_auc_ovr"])
def test_another_metric_chooses_the_checkpoints_alone(together, data, name):
    """Its first best epoch is kept, its scores are scikit-learn's, training stays the same, and so do trials alone."""
    trials, config = together[0][:6], replace(CONFIG, metric=name)
    history = train(trials, data, config)
    for key in CURVES:
        np.testing.assert_array_equal(history.curves[key], together[1].curves[key][:6], err_msg=key)
    values, fine = history.curves[f"val/{name}"], ~history.diverged
    np.testing.assert_array_equal(history.scores["best/epoch"][fine], values[fine].argmax(axis=1) + 1)
    np.testing.assert_array_equal(history.scores[f"best/val_{name}"][fine], values[fine].max(axis=1))
    assert (history.scores[f"test/{name}"][~fine] == config.objective.guess(10)).all()
    for k in range(6):
        assert_same(history, train([trials[k]], data, config), [k])
    best = NumpyNetworkClassifier.of_record(train_group(trials[:1], data, config, 0), trials[0], data, config)
    raw = load_block("digits", replace(CONFIG, preprocessing="none"), 0).test
    scored = get_scorer(name)(best, raw.inputs, raw.labels)
    assert history.scores[f"test/{name}"][0] == pytest.approx(scored, abs=1e-6)
    assert history.test_scores[0].mean() == pytest.approx(scored, abs=1e-6)


def test_order_and_split_change_nothing(together, data):
    """In another order and in other groups, trials get the same bits."""
    trials, history = together
    order = np.random.default_rng(0).permutation(len(trials))
    for members in (order[:7], order[7:]):
        assert_same(history, train([trials[k] for k in members], data, CONFIG), members)


def test_a_diverged_trial_scores_as_a_guess_and_keeps_its_finite_curve(together):
    """It is flagged, its accuracies are 1/C, and its curves are finite until the epoch in which it diverged."""
    _, history = together
    for k in np.flatnonzero(history.diverged):
        assert history.scores["best/val_accuracy"][k] == history.scores["test/accuracy"][k] == 0.1
        assert np.isnan(history.scores["test/loss"][k])
        for curve in history.curves.values():
            assert np.isfinite(curve[k, : history.epochs[k]]).all()
            assert np.isnan(curve[k, history.epochs[k] :]).all()


KINDS = {
    **{name: {"activation": name} for name in ACTIVATIONS},
    **{f"{name} with norm": {"activation": name, "batch_norm": True} for name in ("prelu", "maxout", "gelu")},
    **{name: {"optimizer": name, "momentum": 0.5} for name in OPTIMIZERS},
    **{f"{name} schedule": {"schedule": name, "warmup": 1} for name in SCHEDULES},
    "layer norm": {"layer_norm": True},
    "both norms": {"batch_norm": True, "layer_norm": True},
    "dropout": {"dropout": 0.4},
    "dropout of maxout": {"dropout": 0.2, "activation": "maxout", "layer_norm": True},
    "elastic net": {"l1": 1e-3, "l2": 1e-3},
    "max norm": {"max_norm": 1.0},
    "clip": {"clip": 0.5, "momentum": 0.9},
    "label smoothing": {"label_smoothing": 0.1},
    "orthogonal": {"init": "orthogonal"},
    "deep": {"hidden": (20, 7, 13, 5), "batch_norm": True},
    "no hidden layer": {"hidden": ()},
    "balanced classes": {"class_weight": "balanced"},
    "own batch size": {"batch_size": 7},
    "annealed after t0 steps": {"t0": 5.0},
    "uniform weights": {"init_distribution": "uniform", "init_scale": 0.5},
    "everything": {
        "batch_norm": True, "layer_norm": True, "dropout": 0.3, "l1": 1e-4, "l2": 1e-4, "max_norm": 2.0, "clip": 1.0,
        "label_smoothing": 0.1, "optimizer": "adamw", "schedule": "cosine", "warmup": 1, "activation": "silu",
    },
}  # fmt: skip
NUMBERS = ("learning_rate", "l2", "momentum", "dropout", "l1", "max_norm", "label_smoothing", "clip", "t0")


def relatives(kind, count):
    """Return trials of one structure with different numbers, of which the last diverges."""
    base = HyperParams(**{"learning_rate": 0.02, "hidden": (17, 9), **kind})
    scaled = [{name: getattr(base, name) * (1 - 0.1 * k) for name in NUMBERS} for k in range(count)]
    scaled[-1]["learning_rate"] = 1e9
    return [replace(base, **numbers, seed=k) for k, numbers in enumerate(scaled)]


@pytest.mark.parametrize("size", [60, 4])
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_every_kind_of_trial_is_independent_of_its_group(kind, size, few, monkeypatch):
    """Each activation, norm, optimizer, schedule and regulariser gives a trial the same bits in a group as alone.

    The group is trained in tiles of two, its last minibatch has another size, and a member diverges.
    """
    config, trials = replace(CONFIG, batch_size=size, epochs=2 if size == 4 else CONFIG.epochs), relatives(kind, 5)
    assert len({trial.structure for trial in trials}) == 1
    with monkeypatch.context() as patch:
        patch.setattr(memory, "LARGEST_TILE", 2)
        group = train(trials, few, config)
    assert not group.diverged[:-1].any()
    for k in (0, 1, 3, 4):
        assert_same(group, train([trials[k]], few, config), [k])
    assert_same(group, train(trials, few, config), range(5))


def test_a_trial_with_its_own_batch_size_is_that_of_a_study_with_it(few):
    """Batch sizes are searched: each trial has the bits of a study of its size, whatever the other trials have."""
    trials = [HyperParams(seed=k, batch_size=size) for k, size in enumerate((0, 7, 20, 7))]
    together = train(trials, few, CONFIG)
    for k, trial in enumerate(trials):
        alone = train(
            [replace(trial, batch_size=0)], few, replace(CONFIG, batch_size=trial.batch_size or CONFIG.batch_size)
        )
        assert_same(together, alone, [k])
    with pytest.raises(UserError, match="batch_size: got 100000; the training split has"):
        train([HyperParams(batch_size=100_000)], few, CONFIG)


@pytest.mark.parametrize("name", ["dropout", "label_smoothing", "l1", "max_norm", "clip", "momentum", "l2"])
def test_every_number_matters(name, few):
    """Another value of a hyperparameter changes the result: none is ignored."""
    trial = HyperParams(hidden=(9,), seed=1)
    value = 0.3 if name in ("dropout", "label_smoothing", "momentum", "clip") else 0.1
    history = train([trial, replace(trial, **{name: value})], few, CONFIG)
    assert history.curves["val/loss"][0, -1] != history.curves["val/loss"][1, -1]


def test_float64_trials_are_independent_of_their_group(few):
    """In double precision, a trial gets the same bits alone and in a group, and other ones than in single precision."""
    double = replace(CONFIG, dtype="float64")
    trials = relatives({"batch_norm": True, "dropout": 0.2}, 4)
    group = train(trials, few, double)
    for k in range(4):
        assert_same(group, train([trials[k]], few, double), [k])
    assert group.curves["val/loss"][0, -1] != train(trials, few, CONFIG).curves["val/loss"][0, -1]


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint64"])
def test_labels_of_any_whole_type_are_the_same(dtype, few):
    """The integer type of the labels changes no number, even in a group with more logits than the type can count."""
    parts = {name: getattr(few, name) for name in ("train", "val", "test")}
    typed = Dataset(**{k: Split(part.inputs, part.labels.astype(dtype)) for k, part in parts.items()}, classes=10)
    trials = [HyperParams(seed=k) for k in range(9)]
    assert_same(train(trials, few, CONFIG), train(trials, typed, CONFIG), list(range(9)))


def test_a_schedule_reaches_training(few):
    """When the schedule reduces the rate to almost 0, the curves no longer change."""
    steady, ended = train(
        [HyperParams(), HyperParams(schedule="step", step_epochs=1, step_factor=1e-30)], few, CONFIG
    ).curves["val/loss"]
    assert len(set(steady)) == CONFIG.epochs
    assert set(ended) == {steady[0]}


def test_batch_norm_learns_whatever_rows_are_left_over(data):
    """Two rows more than whole minibatches cost no accuracy, since they are not a minibatch of their own."""
    accuracies = []
    for rows in (960, 962):
        part = replace(data, train=Split(data.train.inputs[:rows], data.train.labels[:rows]))
        trials = [HyperParams(batch_norm=True, learning_rate=0.3, seed=k) for k in range(8)]
        accuracies.append(train(trials, part, replace(CONFIG, batch_size=64, epochs=8)).curves["val/accuracy"][:, -1])
    whole, more = (values.mean() for values in accuracies)
    assert more > whole - 0.02


def test_the_first_of_equal_epochs_is_the_best(few):
    """If no epoch changes the weights, the checkpoint is from the first."""
    assert train([HyperParams(learning_rate=0.0)], few, CONFIG).scores["best/epoch"].tolist() == [1]


def test_a_trial_that_is_finite_on_training_rows_alone_has_diverged(few):
    """A trial whose validation loss is not finite scores as a guess and has no finite epoch."""
    huge = replace(few, val=Split(few.val.inputs * np.float32(1e37), few.val.labels))
    history = train([HyperParams(learning_rate=1e-3)], huge, CONFIG)
    assert history.diverged.tolist() == [True]
    assert history.epochs.tolist() == [0]
    assert history.scores["best/val_accuracy"].tolist() == [0.1]
    assert history.scores["best/epoch"].tolist() == [0]


def test_scores_are_taken_on_one_thread(monkeypatch):
    """A direct call of train evaluates its checkpoints with one BLAS thread."""
    used, evaluate = [], loop.evaluate

    def watched(*arguments):
        used.append(blas())
        return evaluate(*arguments)

    monkeypatch.setattr(loop, "evaluate", watched)
    with threadpool_limits(2):
        train([HyperParams()], load_block("digits", CONFIG, 0), CONFIG)
    assert len(used) == 2  # before the first step, and of the checkpoint
    assert all(", 1 thread," in words for words in used)


def test_the_gap_is_training_minus_validation_accuracy(together):
    """The gap is that of the checkpoint, and 0 if the trial diverged."""
    scores = together[1].scores
    np.testing.assert_array_equal(scores["gap"], scores["train/accuracy"] - scores["best/val_accuracy"])
    assert (scores["gap"][together[1].diverged] == 0).all()
