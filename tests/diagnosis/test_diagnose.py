"""Diagnosis: the findings for curves of real training, and for curves written by hand."""

import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.data import Dataset, Split, load_block
from pipeline.diagnosis.diagnose import RULES, diagnose, health
from pipeline.diagnosis.trial_facts import Facts, Finding
from pipeline.nn.network import Architecture, init_network
from pipeline.search.plan import plan, tasks
from pipeline.search.pruning_history import PruningHistory
from pipeline.study.hparams import HyperParams, TrainConfig
from pipeline.study.spec import Arm
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
    """Digits minus their mean, divided by 8, split by the seed; a share of the training labels is random."""
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
    """Each trial's findings, and the history, from real training; the first loss is known if ``recorded``."""
    history = train(trials, data, config)
    sizes = {"classes": data.classes, "train_rows": len(data.train), "val_rows": len(data.val)}
    firsts = first_losses(trials, data) if recorded else [None] * len(trials)
    found = []
    for k, (trial, first) in enumerate(zip(trials, firsts, strict=True)):
        facts = Facts.of(trial, config, diverged=bool(history.diverged[k]), **sizes)
        found.append(diagnose({key: history.curves[key][k] for key in CURVES}, replace(facts, initial_loss=first)))
    return found, history


def mislabelled(rows, data, seeds, recorded):
    """The rows of a gallery with another health than expected, and their codes."""
    named = [(name, seed) for name in rows for seed in seeds]
    found, _ = diagnoses([replace(rows[name][0], seed=seed) for name, seed in named], data, CONFIG, recorded)
    return {
        place: codes(findings)
        for place, findings in zip(named, found, strict=True)
        if health(findings) not in rows[place[0]][1]
    }


def curves(train_loss, train_accuracy=None, val_accuracy=None, val_loss=None):
    """Four curves; by default accuracies rise from 0.1 to 1."""
    rising = np.linspace(0.1, 1, len(train_loss))
    lines = (train_loss, train_loss, rising, rising)
    given = (train_loss, val_loss, train_accuracy, val_accuracy)
    return {key: list(b if b is not None else a) for key, a, b in zip(CURVES, lines, given, strict=True)}


def codes(findings):
    """The codes of findings."""
    return [finding.code for finding in findings]


GOOD_LOSS = 2.2 * np.exp(-np.arange(20) / 2.5) + 0.02
FACTS = Facts(10, HyperParams(learning_rate=0.3), epochs=20, steps=17, rows=360)


@pytest.mark.parametrize(("rows", "noise"), [(CLEAN, 0.0), (NOISY, 0.2)], ids=["clean", "noisy"])
def test_the_gallery_has_the_expected_health(rows, noise):
    """Each loss curve of the gallery, from real training with three seeds, has its expected health."""
    assert mislabelled(rows, digits(0, noise), SEEDS, recorded=False) == {}


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "recorded"), [*((n, True) for n in range(12)), *((n, False) for n in range(6))])
@pytest.mark.parametrize(("rows", "noise"), [(CLEAN | DEEP, 0.0), (NOISY, 0.2)], ids=["clean", "noisy"])
def test_the_gallery_has_the_expected_health_on_other_splits(rows, noise, seed, recorded):
    """The same on other splits and from other weights, with and without a recorded first loss."""
    assert mislabelled(rows, digits(seed, noise), [seed], recorded) == {}


def test_a_better_init_removes_the_flat_part():
    """Networks that start late with small weights have no finding about the start with He's."""
    trials = [replace(CLEAN[name][0], init="he") for name in ("three relu, W 0.03", "two relu, W 0.01")]
    for findings in diagnoses(trials, digits(0), CONFIG)[0]:
        assert not {"flat-then-drop", "late-start", "never-starts"} & set(codes(findings))


@pytest.mark.parametrize(
    ("settings", "advice"),
    [
        ({"init": "small"}, "initialise by He or Xavier, or use batch norm"),
        ({"init": "xavier"}, "initialise by He, or use batch norm"),
        ({"init": "he"}, "use batch norm"),
        ({"init": "he", "batch_norm": True}, "use another activation"),
    ],
)
def test_the_advice_is_not_what_the_trial_does_already(settings, advice):
    """A loss that stands still, then falls, gets no advice of He's init or of batch norm where the trial has it."""
    loss = [2.3] * 6 + [2.0, 1.5, 1.0, 0.8, 0.6, 0.5]
    accuracy = [0.1] * 6 + [0.3, 0.5, 0.6, 0.7, 0.8, 0.85]
    curves = {"train/loss": loss, "val/loss": loss, "train/accuracy": accuracy, "val/accuracy": accuracy}
    found = diagnose(curves, Facts(10, HyperParams(**settings), epochs=12, initial_loss=2.31))
    assert [finding.advice for finding in found if finding.code == "flat-then-drop"] == [advice]


def test_a_network_that_dies_is_called_dead():
    """Deep ReLU networks that end with the same output for every row, at ln C, are dead."""
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


def test_the_best_trials_of_the_default_study_have_no_findings():
    """At most one in twenty of the best tenth by validation accuracy has a false finding."""
    assert _false_findings_in_the_best_tenth(replace(STUDY, arms=(Arm("random"),), blocks=1)) <= 0.05


@pytest.mark.slow
def test_the_best_trials_of_the_complete_default_study_have_no_findings():
    """The same for all arms and blocks."""
    assert _false_findings_in_the_best_tenth(STUDY) <= 0.05


def _false_findings_in_the_best_tenth(study):
    """The share of the best tenth with false findings. ``spike`` is true if a loss was three times the first."""
    planned = tasks(study, plan(study), PruningHistory(study, {}), limit_bytes=2**30)
    trials = [trial for task in planned for trial in run_task(task)]
    trials.sort(key=lambda trial: -trial.result.scores["best/val_accuracy"])
    found = [trial.findings for trial in trials]
    assert sum(map(bool, found)) > len(found) / 4  # the rules have findings at all
    best = trials[: len(found) // 10]
    thrown = [max(t.result.curves["train/loss"]) > 3 * t.result.scores["initial/loss"] for t in best]
    false = [set(codes(t.findings)) - ({"spike"} if up else set()) for t, up in zip(best, thrown, strict=True)]
    return sum(map(bool, false)) / len(best)


def test_a_healthy_trial_has_no_finding():
    """A fast fall to a low level is good."""
    findings = diagnose(curves(GOOD_LOSS), FACTS)
    assert findings == ()
    assert health(findings) == "good"


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_is_found(bad):
    """NaN and infinity, which a comparison with three times the start misses, are found; the sentence has rate and epoch."""
    (finding,) = diagnose(curves([2.3, *[bad] * 19]), FACTS)
    assert finding.code == "diverged"
    assert "learning rate 0.3 far too high" in finding.sentence
    assert "epoch 2" in finding.sentence


def test_an_explosion_after_progress_is_late():
    """Four good epochs, then infinity (the lecture's 3e-3) or more than three times the start, are a late explosion."""
    falling = [2.19, 2.18, 1.94, 1.83]
    for tail in ([math.inf] * 16, [8.0] * 16):
        findings = diagnose(curves(falling + tail, val_accuracy=[0.3] * 20), FACTS)
        assert health(findings) == "late-explosion"
        assert "fell to 1.83 by epoch 4" in findings[0].sentence


def test_a_trial_that_recovers_has_a_spike():
    """A loss that rises in the middle and recovers has the spike as its only finding."""
    loss = GOOD_LOSS.copy()
    loss[5] = 9.0
    assert codes(diagnose(curves(loss), FACTS)) == ["spike"]


def test_overfitting_is_a_gap_or_a_decline():
    """A gap above 0.10 at the end, or validation 0.02 below its best while training rises, is enough."""
    train_accuracy = np.linspace(0.8, 1.0, 20)
    gap = curves(GOOD_LOSS, train_accuracy, train_accuracy - 0.12)
    peak = np.concatenate([np.linspace(0.8, 0.93, 10), np.linspace(0.93, 0.905, 10)])
    decline = curves(GOOD_LOSS, train_accuracy, peak, np.concatenate([GOOD_LOSS[:10], np.linspace(0.3, 0.6, 10)]))
    narrow = curves(GOOD_LOSS, train_accuracy, train_accuracy - 0.08)
    assert [codes(diagnose(c, FACTS)) for c in (gap, decline, narrow)] == [["overfitting"], ["overfitting"], []]


def test_barely_moving_is_not_never_starting():
    """A steady small fall is a low rate, an unsteady loss has no gradient, and update ratios decide."""
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
"""Codes that only a network that does not fit can have."""


@pytest.mark.parametrize("code", MEASURED)
def test_measurements_are_used(code):
    """Statistics of the layers and the first loss are used where they are known; healthy values give no finding."""
    healthy = Facts(
        **(vars(FACTS) | {"dead": 0.05, "saturated": 0.3, "update_ratios": (1e-3,), "initial_loss": 2.4}),
    )
    assert codes(diagnose(curves(GOOD_LOSS), healthy)) == []
    unfit = 0.6 * GOOD_LOSS + 1.0
    assert code in codes(diagnose(curves(unfit if code in UNFIT else GOOD_LOSS), replace(healthy, **MEASURED[code])))
    assert code not in UNFIT or diagnose(curves(GOOD_LOSS), replace(healthy, **MEASURED[code])) == ()


@pytest.mark.parametrize(
    ("init", "scale", "first", "wrong"),
    [("he", 1, 0.5, False), ("he", 1, 0.2, True), ("small", 1, 0.9, True), ("he", 1, 4, True), ("he", 2, 4, False)],
)
def test_a_lucky_first_loss_is_not_wrong(init, scale, first, wrong):
    """With three classes, weights scaled by the fans may start low by chance, enlarged ones high; small ones may not."""
    hparams = HyperParams(learning_rate=0.1, init=init, init_scale=scale)
    facts = Facts(**(vars(FACTS) | {"classes": 3, "hparams": hparams, "initial_loss": first}))
    assert ("wrong-first-loss" in codes(diagnose(curves(GOOD_LOSS / 3), facts))) == wrong


def test_far_too_many_dead_units_are_always_found():
    """Over 40 % dead units in a layer are a finding even if the network fits."""
    assert codes(diagnose(curves(GOOD_LOSS), replace(FACTS, dead=0.41))) == ["dead-units"]
    assert codes(diagnose(curves(GOOD_LOSS), replace(FACTS, dead=0.39))) == []


def test_running_statistics_that_lag_are_found():
    """After two epochs of three large batches, batch norm's running statistics are near their start (P24)."""
    config = replace(CONFIG, epochs=2, batch_size=400, preprocessing="none")
    trials = [HyperParams(learning_rate=0.1, batch_norm=True, hidden=(50, 50), seed=seed) for seed in SEEDS]
    data = load_block("digits", config, 0)
    history = train(trials, data, config)
    for trial, result in zip(trials, results(history, 0.0), strict=True):
        facts = facts_of(
            trial, result, config, {"classes": 10, "train_rows": len(data.train), "val_rows": len(data.val)}
        )
        assert "running-statistics" in codes(diagnose(result.curves, facts))


def test_a_rise_with_full_batches_is_found():
    """With one minibatch per epoch and no momentum a rise means a rate above 2/λ; with more it is noise."""
    loss = GOOD_LOSS.copy()
    loss[-1] = loss[-2] * 1.01
    assert "full-batch-rises" in codes(diagnose(curves(loss), replace(FACTS, steps=1)))
    assert "full-batch-rises" not in codes(diagnose(curves(loss), FACTS))


def test_validation_at_chance_is_found():
    """High training accuracy with validation at chance means that inputs and labels do not match."""
    found = diagnose(curves(GOOD_LOSS, None, [0.11] * 20), FACTS)
    assert health(found) == "val-at-chance"


def test_validation_above_training_is_found_when_the_loss_is_flat():
    """Training's running mean lags while the loss falls; after that a difference above 0.05 is a finding."""
    loss, accuracy = np.minimum(GOOD_LOSS + 0.2, 2.3), np.full(20, 0.92)
    assert codes(diagnose(curves(loss, accuracy, accuracy + 0.06), FACTS)) == ["val-above-train"]
    assert codes(diagnose(curves(loss, accuracy, accuracy + 0.04), FACTS)) == []


def test_the_batch_decides_how_much_a_loss_may_vary():
    """The variation of an epoch's mean is that of its minibatches divided by the root of their number."""
    loss = GOOD_LOSS + 0.5 + 0.15 * np.tile([1, -1], 10)
    assert "wiggly" in codes(diagnose(curves(loss), FACTS))
    assert "wiggly" not in codes(diagnose(curves(loss), replace(FACTS, steps=1, hparams=HyperParams(momentum=0.9))))


def test_a_rule_in_the_list_is_applied(monkeypatch):
    """A rule appended to RULES is applied after the others."""

    def slow_start(evidence):
        return Finding("too-short", "fewer than 30 epochs", "train longer") if evidence.epochs < 30 else None

    monkeypatch.setattr("pipeline.diagnosis.diagnose.RULES", [*RULES, slow_start])
    assert codes(diagnose(curves(GOOD_LOSS), FACTS)) == ["too-short"]


def test_every_rule_names_its_pitfall():
    """Each rule is listed once, and its docstring begins with the number of its pitfall or with two of them."""
    assert all(rule.__doc__.startswith(("P", "Between P")) for rule in RULES)
    assert max(Counter(RULES).values()) == 1


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
    """For any curves no rule fails, each code occurs once, and a trial that is not finite is never good."""
    accuracies = st.lists(st.floats(0, 1), min_size=len(losses), max_size=len(losses))
    drawn = curves(losses, data.draw(accuracies), data.draw(accuracies), losses[::-1])
    facts = Facts(10, HyperParams(init=init, l2=0.1), epochs=planned, steps=steps, rows=100)
    found = codes(diagnose(drawn, facts))
    assert len(found) == len(set(found))
    if not all(map(math.isfinite, losses)):
        assert {"diverged", "late-explosion"} & set(found)


def test_a_loss_of_exactly_zero_is_healthy():
    """A float32 loss can reach 0 on rows that are easily separated."""
    assert diagnose(curves([1.0, 0.1, 0.01, *[0.0] * 17]), FACTS) == ()


def test_chance_depends_on_the_number_of_classes():
    """With two classes an accuracy of 0.72 is not chance: the network learns, but slowly."""
    facts = Facts(2, HyperParams(learning_rate=0.01, init="small", activation="tanh"), epochs=20, steps=17, rows=360)
    loss, accuracy = np.linspace(0.6933, 0.6886, 20), np.linspace(0.5, 0.72, 20)
    assert codes(diagnose(curves(loss, accuracy, accuracy), facts)) == ["barely-moves"]


def test_a_network_that_is_worse_on_its_own_rows_does_not_overfit():
    """Validation accuracy below its best and above training's is noise."""
    loss, accuracy = np.linspace(2.3, 1.7, 40), np.linspace(0.1, 0.46, 40)
    val = np.concatenate([np.linspace(0.1, 0.578, 38), [0.53, 0.522]])
    val_loss = np.concatenate([np.linspace(2.3, 1.5, 38), [1.6, 1.61]])
    assert "overfitting" not in codes(diagnose(curves(loss, accuracy, val, val_loss), FACTS))


def test_a_loss_that_rose_and_stayed_high_is_a_high_plateau():
    """The finding does not depend on the later fall or the accuracies."""
    loss = [3.72, *np.linspace(2.0, 0.87, 19)]
    (first, *_) = diagnose(curves(loss), FACTS)
    assert first.code == "high-plateau"
    assert "thrown to 3.72, and came no lower than 0.87" in first.sentence
