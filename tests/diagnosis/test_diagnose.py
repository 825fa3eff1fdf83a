"""Diagnosis: the words that curves are given, on curves that real training drew, and on curves drawn by hand."""

import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.data import Dataset, Split, load_block
from pipeline.diagnosis.diagnose import RULES, diagnose, health
from pipeline.diagnosis.summary import summary
from pipeline.diagnosis.trial_facts import Facts, Finding
from pipeline.nn.network import Architecture, init_network
from pipeline.search.plan import plan, tasks
from pipeline.search.pruning_history import PruningHistory
from pipeline.study.hparams import HyperParams, TrainConfig
from pipeline.study.spec import Arm, Categorical, Float, SearchSpace
from pipeline.training import CURVES, evaluate, train
from pipeline.trials.task import facts_of, run_task
from pipeline.trials.trial import results
from studies.random_vs_grid import STUDY

SEEDS = (0, 1, 2)
CONFIG = TrainConfig(epochs=40, batch_size=100, preprocessing="centre", validation=0.1, test=0.1)
BAD_INIT = {"flat-then-drop"}
TOO_HIGH = {"diverged", "dead", "lr-too-high", "late-explosion"}
CLEAN = {
    "lr 1e-4": (HyperParams(learning_rate=1e-4), {"low-lr"}),
    "lr 1e-3": (HyperParams(learning_rate=1e-3), {"low-lr"}),
    "lr 3e-3": (HyperParams(learning_rate=3e-3), {"low-lr"}),
    "lr 1e-2": (HyperParams(learning_rate=1e-2), {"slightly-low-lr"}),
    "lr 0.1": (HyperParams(learning_rate=0.1), {"good"}),
    "lr 0.3": (HyperParams(learning_rate=0.3), {"good"}),
    "lr 10, off the chart": (HyperParams(learning_rate=10), TOO_HIGH),
    "lr 20, off the chart": (HyperParams(learning_rate=20), TOO_HIGH),
    "three relu, W 0.03": (HyperParams(learning_rate=0.3, hidden=(50,) * 3, init=0.03), BAD_INIT),
    "two relu, W 0.01": (HyperParams(learning_rate=0.3, hidden=(50,) * 2, init=0.01), BAD_INIT),
    "three sigmoid": (HyperParams(learning_rate=1, hidden=(50,) * 3, init="xavier", activation="sigmoid"), BAD_INIT),
    "three tanh, W 0.01": (
        HyperParams(learning_rate=0.3, hidden=(50,) * 3, init=0.01, activation="tanh"),
        {"never-starts"},
    ),
    "zeros": (HyperParams(learning_rate=0.3, init="zeros"), {"never-starts"}),
    "l2 3": (HyperParams(learning_rate=0.1, l2=3.0), {"l2-overwhelms"}),
}
DEEP = {
    "five relu": (HyperParams(learning_rate=0.1, hidden=(50,) * 5), {"good"}),
    **{
        f"{depth} tanh, W 0.01": (
            HyperParams(learning_rate=0.3, hidden=(50,) * depth, init=0.01, activation="tanh"),
            {"never-starts"},
        )
        for depth in (4, 5)
    },
}
NOISY = {
    "lr 2, the best": (HyperParams(learning_rate=2), {"good", "overfitting"}),
    "lr 6, too high": (HyperParams(learning_rate=6), {"high-plateau", *TOO_HIGH}),
    "two hidden units": (HyperParams(learning_rate=0.3, hidden=(2,)), {"underfitting"}),
}


def digits(seed, noise=0.0):
    """Digits less their mean, over 8, in a split of the seed; a share of the training labels drawn afresh."""
    block, rng = load_block("digits", CONFIG, seed), np.random.default_rng(seed)
    parts = {name: getattr(block, name) for name in ("train", "val", "test")}
    scaled = {name: Split(part.inputs / 8, part.labels.copy()) for name, part in parts.items()}
    wrong = rng.random(len(block.train)) < noise
    scaled["train"].labels[wrong] = rng.integers(0, block.classes, wrong.sum())
    return Dataset(**scaled, classes=block.classes)


def first_losses(trials, data):
    """The loss of each trial before its first step."""
    losses = []
    for trial in trials:
        architecture = Architecture((data.features, *trial.hidden, data.classes), trial.activation, trial.batch_norm)
        losses.append(float(evaluate(init_network(architecture, [trial.init], [trial.seed]), data.train)[0][0]))
    return losses


def diagnoses(trials, data, config, recorded=False):
    """Each trial's findings, and its history, from real training; the first loss is told if ``recorded``."""
    history = train(trials, data, config)
    sizes = {"classes": data.classes, "train_rows": len(data.train), "val_rows": len(data.val)}
    firsts = first_losses(trials, data) if recorded else [None] * len(trials)
    found = []
    for k, (trial, first) in enumerate(zip(trials, firsts, strict=True)):
        facts = Facts.of(trial, config, diverged=bool(history.diverged[k]), **sizes)
        found.append(diagnose({key: history.curves[key][k] for key in CURVES}, replace(facts, initial_loss=first)))
    return found, history


def mislabelled(rows, data, seeds, recorded):
    """The rows of a gallery that were given another word than theirs, with what they were given."""
    named = [(name, seed) for name in rows for seed in seeds]
    found, _ = diagnoses([replace(rows[name][0], seed=seed) for name, seed in named], data, CONFIG, recorded)
    return {
        place: codes(findings)
        for place, findings in zip(named, found, strict=True)
        if health(findings) not in rows[place[0]][1]
    }


def curves(train_loss, train_accuracy=None, val_accuracy=None, val_loss=None):
    """Four curves; accuracies rise from a guess's to 1 unless they are given."""
    rising = np.linspace(0.1, 1, len(train_loss))
    lines = (train_loss, train_loss, rising, rising)
    given = (train_loss, val_loss, train_accuracy, val_accuracy)
    return {key: list(b if b is not None else a) for key, a, b in zip(CURVES, lines, given, strict=True)}


def codes(findings):
    """The codes alone."""
    return [finding.code for finding in findings]


GOOD_LOSS = 2.2 * np.exp(-np.arange(20) / 2.5) + 0.02
FACTS = Facts(10, HyperParams(learning_rate=0.3), epochs=20, steps=17, rows=360)


@pytest.mark.parametrize(("rows", "noise"), [(CLEAN, 0.0), (NOISY, 0.2)], ids=["clean", "noisy"])
def test_the_gallery_keeps_its_labels(rows, noise):
    """Every kind of loss curve of the gallery, drawn by real training from three seeds of the weights, has its word."""
    assert mislabelled(rows, digits(0, noise), SEEDS, recorded=False) == {}


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "recorded"), [*((n, True) for n in range(12)), *((n, False) for n in range(6))])
@pytest.mark.parametrize(("rows", "noise"), [(CLEAN | DEEP, 0.0), (NOISY, 0.2)], ids=["clean", "noisy"])
def test_the_gallery_keeps_its_labels_on_other_splits(rows, noise, seed, recorded):
    """The same on other splits of the digits, from other weights, with the first loss recorded as by a search, or not."""
    assert mislabelled(rows, digits(seed, noise), [seed], recorded) == {}


def test_a_better_init_removes_the_flat_part():
    """What stood still with small weights has no complaint of its start with He's."""
    trials = [replace(CLEAN[name][0], init="he") for name in ("three relu, W 0.03", "two relu, W 0.01")]
    for findings in diagnoses(trials, digits(0), CONFIG)[0]:
        assert not {"flat-then-drop", "late-start", "never-starts"} & set(codes(findings))


def test_a_network_that_dies_is_called_dead():
    """Deep ReLU networks thrown by momentum that give one answer to every row, at ln C: each of these is called dead."""
    rates, data = (0.3, 0.4, 0.5, 0.6, 0.8), digits(0)
    shape = HyperParams(momentum=0.9, hidden=(50,) * 3)
    trials = [replace(shape, learning_rate=rate, seed=seed) for rate in rates for seed in SEEDS]
    found, history = diagnoses(trials, data, replace(CONFIG, epochs=20))
    shares = np.bincount(data.val.labels, minlength=data.classes) / len(data.val)
    distance = np.abs(history.curves["val/accuracy"][:, -3:, None] - shares).min(axis=-1).max(axis=-1)
    at_guess = np.abs(history.curves["train/loss"][:, -1] - math.log(10)) < 0.05
    died = [health(found[k]) for k in np.flatnonzero(at_guess & (distance < 1e-9))]
    assert died
    assert set(died) == {"dead"}


def test_the_best_trials_of_the_default_study_have_no_complaint():
    """At most one in twenty of the best tenth, by validation accuracy, has any: no false alarms."""
    assert _complaints_in_the_best_tenth(replace(STUDY, arms=(Arm("random"),), blocks=1)) <= 0.05


@pytest.mark.slow
def test_the_best_trials_of_the_whole_default_study_have_no_complaint():
    """The same of all arms, over all of its blocks."""
    assert _complaints_in_the_best_tenth(STUDY) <= 0.05


def _complaints_in_the_best_tenth(study):
    """The share with false alarms; that an epoch's mean was over three times the first loss is a true one, P2 of a fine end."""
    planned = tasks(study, plan(study), PruningHistory(study, {}), budget_bytes=2**30)
    trials = [trial for task in planned for trial in run_task(task)]
    trials.sort(key=lambda trial: -trial.result.scores["best/val_accuracy"])
    found = [trial.findings for trial in trials]
    assert sum(map(bool, found)) > len(found) / 4  # the rules are awake
    best = trials[: len(found) // 10]
    thrown = [max(t.result.curves["train/loss"]) > 3 * t.result.scores["initial/loss"] for t in best]
    false = [set(codes(t.findings)) - ({"spike"} if up else set()) for t, up in zip(best, thrown, strict=True)]
    return sum(map(bool, false)) / len(best)


def test_a_fine_trial_has_no_complaint():
    """A fast fall to a low level is good."""
    findings = diagnose(curves(GOOD_LOSS), FACTS)
    assert findings == ()
    assert health(findings) == "good"


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_is_seen(bad):
    """NaN and infinity are told apart from 'more than three times', which NaN never is; the words name rate and epoch."""
    (finding,) = diagnose(curves([2.3, *[bad] * 19]), FACTS)
    assert finding.code == "diverged"
    assert "learning rate 0.3 far too high" in finding.sentence
    assert "epoch 2" in finding.sentence


def test_an_explosion_after_progress_is_late():
    """The lecture's 3e-3: four good epochs, then infinity; and the same where the loss stays finite past three times its start."""
    falling = [2.19, 2.18, 1.94, 1.83]
    for tail in ([math.inf] * 16, [8.0] * 16):
        findings = diagnose(curves(falling + tail, val_accuracy=[0.3] * 20), FACTS)
        assert health(findings) == "late-explosion"
        assert "fell to 1.83 by epoch 4" in findings[0].sentence


def test_a_trial_that_recovers_is_told_its_edge():
    """A loss thrown up in the middle that came back complains of the spike, and of nothing else."""
    loss = GOOD_LOSS.copy()
    loss[5] = 9.0
    assert codes(diagnose(curves(loss), FACTS)) == ["spike"]


def test_overfitting_is_a_gap_or_a_decline():
    """A gap of over 0.10 at the end, or validation 0.02 below its best while training rises; each alone is enough."""
    train_accuracy = np.linspace(0.8, 1.0, 20)
    gap = curves(GOOD_LOSS, train_accuracy, train_accuracy - 0.12)
    peak = np.concatenate([np.linspace(0.8, 0.93, 10), np.linspace(0.93, 0.905, 10)])
    decline = curves(GOOD_LOSS, train_accuracy, peak, np.concatenate([GOOD_LOSS[:10], np.linspace(0.3, 0.6, 10)]))
    narrow = curves(GOOD_LOSS, train_accuracy, train_accuracy - 0.08)
    assert [codes(diagnose(c, FACTS)) for c in (gap, decline, narrow)] == [["overfitting"], ["overfitting"], []]


def test_barely_moving_and_never_starting_are_told_apart():
    """A steady creep of under 1 % is a low rate; a loss that shuffles about ln C has no gradient; update ratios decide if known."""
    guess = [0.1] * 20
    creep = curves(math.log(10) - 1e-4 * np.arange(1, 21), guess, guess)
    shuffle = curves(math.log(10) + 1e-4 * np.tile([1, -1], 10), guess, guess)
    small = replace(FACTS, hparams=HyperParams(learning_rate=1e-3, init="small"))
    assert codes(diagnose(creep, small)) == ["barely-moves"]
    assert codes(diagnose(shuffle, small)) == ["never-starts"]
    assert health(diagnose(shuffle, replace(small, update_ratios=(1e-6, 1e-5)))) == "barely-moves"
    assert health(diagnose(creep, replace(small, update_ratios=(1e-5, 1e-3)))) == "never-starts"
    (learning,) = diagnose(creep | {"val/accuracy": list(np.linspace(0.1, 0.2, 20))}, small)
    assert "it learns, but slowly" in learning.sentence


MEASURED = {
    "dead-units": {"dead": 0.15},
    "saturated": {"saturated": 0.6},
    "updates-low": {"update_ratios": (1e-5, 1e-4)},
    "updates-high": {"update_ratios": (1e-3, 5e-2)},
    "wrong-first-loss": {"initial_loss": 1.8},
    "running-statistics": {"batch_accuracy": 0.9, "best_accuracy": 0.8},
}
UNFIT = ("dead-units", "saturated", "updates-high")
"""What is a complaint only about a network that does not fit."""


@pytest.mark.parametrize("code", MEASURED)
def test_what_was_measured_is_used(code):
    """Statistics of the layers and the first loss are used where they are known; healthy values give no finding."""
    healthy = Facts(
        **(vars(FACTS) | {"dead": 0.05, "saturated": 0.3, "update_ratios": (1e-3,), "initial_loss": 2.4}),
    )
    assert codes(diagnose(curves(GOOD_LOSS), healthy)) == []
    unfit = 0.6 * GOOD_LOSS + 1.0
    assert code in codes(diagnose(curves(unfit if code in UNFIT else GOOD_LOSS), replace(healthy, **MEASURED[code])))
    assert code not in UNFIT or diagnose(curves(GOOD_LOSS), replace(healthy, **MEASURED[code])) == ()


@pytest.mark.parametrize(("init", "first", "wrong"), [("he", 0.5, False), ("he", 0.2, True), ("small", 0.9, True)])
def test_the_luck_of_a_start_is_no_fault_of_it(init, first, wrong):
    """Of three classes, weights scaled by the fans may guess well by luck; small ones know nothing yet, and lower is odd."""
    hparams = HyperParams(learning_rate=0.1, init=init)
    facts = Facts(**(vars(FACTS) | {"classes": 3, "hparams": hparams, "initial_loss": first}))
    assert ("wrong-first-loss" in codes(diagnose(curves(GOOD_LOSS / 3), facts))) == wrong


def test_far_too_many_dead_units_are_always_told():
    """Over 40 % of a layer is a complaint about any network, however well it fits."""
    assert codes(diagnose(curves(GOOD_LOSS), replace(FACTS, dead=0.41))) == ["dead-units"]
    assert codes(diagnose(curves(GOOD_LOSS), replace(FACTS, dead=0.39))) == []


def test_running_statistics_that_lag_are_told():
    """Two epochs of three large batches leave batch norm's running statistics near their start: P24, on a real network."""
    config = replace(CONFIG, epochs=2, batch_size=400, preprocessing="none")
    trials = [HyperParams(learning_rate=0.1, batch_norm=True, hidden=(50, 50), seed=seed) for seed in SEEDS]
    data = load_block("digits", config, 0)
    history = train(trials, data, config)
    for trial, result in zip(trials, results(history, 0.0), strict=True):
        facts = facts_of(
            trial, result, config, {"classes": 10, "train_rows": len(data.train), "val_rows": len(data.val)}
        )
        assert "running-statistics" in codes(diagnose(result.curves, facts))


def test_full_batch_descent_may_not_rise():
    """With one minibatch an epoch and no momentum any rise is a rate above 2/λ; with minibatches it is noise."""
    loss = GOOD_LOSS.copy()
    loss[-1] = loss[-2] * 1.01
    assert "full-batch-rises" in codes(diagnose(curves(loss), replace(FACTS, steps=1)))
    assert "full-batch-rises" not in codes(diagnose(curves(loss), FACTS))


def test_held_out_rows_known_no_better_than_a_guess():
    """Training learned by heart and validation at chance: inputs and labels do not belong together."""
    found = diagnose(curves(GOOD_LOSS, None, [0.11] * 20), FACTS)
    assert health(found) == "val-at-chance"


def test_validation_above_training_is_odd_once_the_loss_rests():
    """Training's running mean lags while the loss falls; a difference of over 0.05 after that is told."""
    loss, accuracy = np.minimum(GOOD_LOSS + 0.2, 2.3), np.full(20, 0.92)
    assert codes(diagnose(curves(loss, accuracy, accuracy + 0.06), FACTS)) == ["val-above-train"]
    assert codes(diagnose(curves(loss, accuracy, accuracy + 0.04), FACTS)) == []


def test_a_loss_that_sways_is_told_by_its_batch():
    """The sway of an epoch is that of its minibatches over the root of their number."""
    loss = GOOD_LOSS + 0.5 + 0.15 * np.tile([1, -1], 10)
    assert "wiggly" in codes(diagnose(curves(loss), FACTS))
    assert "wiggly" not in codes(diagnose(curves(loss), replace(FACTS, steps=1, hparams=HyperParams(momentum=0.9))))


def test_a_rule_of_ones_own_is_heard(monkeypatch):
    """A rule appended to RULES has its say, after the others."""

    def slow_start(evidence):
        return Finding("too-short", "fewer than 30 epochs", "train longer") if evidence.epochs < 30 else None

    monkeypatch.setattr("pipeline.diagnosis.diagnose.RULES", [*RULES, slow_start])
    assert codes(diagnose(curves(GOOD_LOSS), FACTS)) == ["too-short"]


def test_every_rule_names_its_pitfall():
    """Each rule's docstring begins with the number of its pitfall, or says between which it lies; each is listed once."""
    assert all(rule.__doc__.startswith(("P", "Between P")) for rule in RULES)
    assert max(Counter(RULES).values()) == 1


SPACE = SearchSpace(
    learning_rate=Float(1e-4, 10, log=True), activation=Categorical("relu", "sigmoid"), init=Categorical("small", "he")
)


def test_the_summary_names_where_complaints_gather():
    """Of 43 sigmoids with small weights 41 never start, of the others none: the pair is named, not the sigmoid alone."""
    rng = np.random.default_rng(0)

    def trial(activation, init, word):
        return {"activation": activation, "init": init, "learning_rate": 10 ** rng.uniform(-4, 1), "health": word}

    trials = [trial("sigmoid", "small", "never-starts" if k < 41 else "good") for k in range(43)]
    trials += [
        trial(*others, "good") for others in (("relu", "small"), ("relu", "he"), ("sigmoid", "he")) for _ in range(43)
    ]
    assert [tally.sentence for tally in summary(trials, SPACE)] == [
        "activation sigmoid with init small: 41 of 43 never start"
    ]


def test_the_summary_counts_rates_by_decade():
    """Complaints about a rate are gathered in its decade; the top of the range belongs to the last one."""
    trials = [
        {"activation": "relu", "init": "he", "learning_rate": rate, "health": "diverged" if rate > 1 else "good"}
        for rate in np.geomspace(1e-4, 10, 50)
    ]
    (tally,) = summary(trials, SPACE)
    assert (tally.values, tally.hits) == ({"learning_rate": "1 to 10"}, 10)


LOSSES = st.lists(st.one_of(st.floats(1e-6, 1e30), st.just(math.nan), st.just(math.inf)), max_size=25)


@given(
    losses=LOSSES,
    data=st.data(),
    init=st.sampled_from(["small", "zeros", "large", "he", 0.01, 1.0]),
    planned=st.integers(1, 25),
    steps=st.integers(1, 40),
)
@settings(max_examples=100, deadline=None)
def test_any_curves_can_be_diagnosed(losses, data, init, planned, steps):
    """Whatever the curves, no rule breaks; each code is told once, and a trial that is not finite is never called good."""
    accuracies = st.lists(st.floats(0, 1), min_size=len(losses), max_size=len(losses))
    drawn = curves(losses, data.draw(accuracies), data.draw(accuracies), losses[::-1])
    facts = Facts(10, HyperParams(init=init, l2=0.1), epochs=planned, steps=steps, rows=100)
    found = codes(diagnose(drawn, facts))
    assert len(found) == len(set(found))
    if not all(map(math.isfinite, losses)):
        assert {"diverged", "late-explosion"} & set(found)


def test_a_loss_of_exactly_zero_is_read():
    """Float32 reaches it on rows that are easily told apart; nothing is wrong with it."""
    assert diagnose(curves([1.0, 0.1, 0.01, *[0.0] * 17]), FACTS) == ()


def test_of_two_classes_an_accuracy_that_is_learned_is_no_guess():
    """72 % right of two classes is not luck: it learns slowly, and no gradient is missing. Of ten, 14 % is luck."""
    facts = Facts(2, HyperParams(learning_rate=0.01, init="small", activation="tanh"), epochs=20, steps=17, rows=360)
    loss, accuracy = np.linspace(0.6933, 0.6886, 20), np.linspace(0.5, 0.72, 20)
    assert codes(diagnose(curves(loss, accuracy, accuracy), facts)) == ["barely-moves"]


def test_a_network_that_is_worse_on_its_own_rows_does_not_overfit():
    """Validation accuracy that is down from its best and still above training's is noise."""
    loss, accuracy = np.linspace(2.3, 1.7, 40), np.linspace(0.1, 0.46, 40)
    val = np.concatenate([np.linspace(0.1, 0.578, 38), [0.53, 0.522]])
    val_loss = np.concatenate([np.linspace(2.3, 1.5, 38), [1.6, 1.61]])
    assert "overfitting" not in codes(diagnose(curves(loss, accuracy, val, val_loss), FACTS))


def test_a_loss_that_was_thrown_and_stayed_high_is_a_rate_too_high():
    """However slowly it goes on falling, and whatever its accuracies."""
    loss = [3.72, *np.linspace(2.0, 0.87, 19)]
    (first, *_) = diagnose(curves(loss), FACTS)
    assert first.code == "high-plateau"
    assert "thrown to 3.72, and came no lower than 0.87" in first.sentence
