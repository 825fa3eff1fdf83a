"""From coarse to fine: what is proposed after a search, and the rules across trials that it stands on."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import spearmanr

from pipeline.search.refine import border_check, position, propose
from pipeline.study.hparams import HyperParams
from pipeline.study.spec import Arm, Categorical, Float, Int, SearchSpace, Study

# CS231n, lecture 6 (2017): the 22 printed rows of the fine search, validation accuracy, learning rate, regularisation.
FINE_ROWS = [
    (0.527, 5.340517e-4, 4.097824e-1),
    (0.492, 2.279484e-4, 9.991345e-4),
    (0.512, 8.680827e-4, 1.349727e-2),
    (0.461, 1.028377e-4, 1.220193e-2),
    (0.460, 1.113730e-4, 5.244309e-2),
    (0.498, 9.477776e-4, 2.001293e-3),
    (0.469, 1.484369e-4, 4.328313e-1),
    (0.522, 5.586261e-4, 2.312685e-4),
    (0.530, 5.808183e-4, 8.259964e-2),
    (0.489, 1.979168e-4, 1.010889e-4),
    (0.490, 2.036031e-4, 2.406271e-3),
    (0.475, 2.021162e-4, 2.287807e-1),
    (0.460, 1.135527e-4, 3.905040e-2),
    (0.515, 6.947668e-4, 1.562808e-2),
    (0.531, 9.471549e-4, 1.433895e-3),
    (0.509, 3.140888e-4, 2.857518e-1),
    (0.514, 6.438349e-4, 3.033781e-1),
    (0.502, 3.921784e-4, 2.707126e-4),
    (0.509, 9.752279e-4, 2.850865e-3),
    (0.500, 2.412048e-4, 4.997821e-4),
    (0.466, 1.319314e-4, 1.189915e-2),
    (0.516, 8.039527e-4, 1.528291e-2),
]
RANGES = {"learning_rate": Float(1e-4, 1e-3, log=True), "l2": Float(1e-4, 1, log=True)}
LECTURE = Study(
    name="cifar",
    question="How fine?",
    space=SearchSpace(**RANGES),
    fixed=HyperParams(momentum=0.9),
    arms=(Arm("random"),),
    trials=100,
)
LECTURE_TRIALS = [
    {"learning_rate": rate, "l2": reg, "best/val_accuracy": accuracy} for accuracy, rate, reg in FINE_ROWS
]


def test_the_lectures_rows_are_as_described():
    """Accuracy follows the learning rate with a rank correlation of 0.81, and is 0.498 in the mean."""
    accuracies, rates, _ = zip(*FINE_ROWS, strict=True)
    assert spearmanr(accuracies, rates).statistic == pytest.approx(0.81, abs=0.005)
    assert np.mean(accuracies) == pytest.approx(0.498, abs=5e-4)


def test_the_border_check_flags_the_lectures_learning_rate_alone():
    """The best rate lies at 0.976 of its range, three of the top five in its highest quarter; regularisation is fine."""
    ranked = sorted(LECTURE_TRIALS, key=lambda trial: -trial["best/val_accuracy"])
    positions = {name: [position(RANGES[name], trial[name]) for trial in ranked] for name in RANGES}
    assert positions["learning_rate"][:5] == pytest.approx([0.976, 0.764, 0.728, 0.747, 0.905], abs=1e-3)
    flags = {name: border_check(found[0], found[:5]) for name, found in positions.items()}
    assert flags == {"learning_rate": "high", "l2": None}


@pytest.mark.parametrize(
    ("best", "top", "side"),
    [
        (0.09, [0.09, 0.5, 0.5, 0.5, 0.5], "low"),
        (0.11, [0.11, 0.2, 0.5, 0.6, 0.5], None),
        (0.3, [0.3, 0.2, 0.1, 0.24, 0.5], "low"),
        (0.91, [0.91, 0.5, 0.5, 0.5, 0.5], "high"),
        (0.6, [0.6, 0.8, 0.76, 0.5, 0.9], "high"),
        (0.6, [0.6, 0.8, 0.76, 0.1, 0.2], None),
    ],
)
def test_a_border_is_an_outer_tenth_or_a_crowd_in_an_outer_quarter(best, top, side):
    """A range is extended if the best lies in the outer tenth, or three of the best five in an outer quarter."""
    assert border_check(best, top) == side


def test_the_lectures_next_space_goes_up_with_the_rate():
    """The range of rates is shifted up by half of its width; the range of L2 is kept, since the best lie all over it."""
    proposal = propose(LECTURE, LECTURE_TRIALS)
    rate = proposal.study.space["learning_rate"]
    assert (rate.low, rate.high) == pytest.approx((10**-3.5, 10**-2.5), rel=0.01)
    assert "3 of the best 5 lie in the highest quarter of 0.0001 to 0.001, so on to" in proposal.reasons[0]
    assert proposal.study.space["l2"] == RANGES["l2"]


SPACE = SearchSpace(
    learning_rate=Float(1e-4, 10, log=True, levels=3),
    l2=Float(1e-6, 1e-1, log=True, levels=3),
    activation=Categorical("relu", "tanh", "sigmoid"),
)
COARSE = Study(name="coarse", question="Where?", space=SPACE)


def coarse_trials(peak, study=COARSE, count=300):
    """Trials at random points: accuracy falls with the distance from a rate, is lower for sigmoid, and ignores L2."""
    rng = np.random.default_rng(0)

    def trial():
        point = {
            name: d.at(rng.uniform()) if isinstance(d, Float) else d.choices[rng.integers(len(d.choices))]
            for name, d in study.space.items()
        }
        distance = abs(math.log10(point["learning_rate"] / peak))
        return point | {"best/val_accuracy": 0.98 - 0.1 * distance - 0.3 * (point.get("activation") == "sigmoid")}

    return [trial() for _ in range(count)]


def test_the_space_is_narrowed_around_the_best():
    """The range of rates shrinks around the peak, choices that are never among the best go, and L2 stays."""
    proposal = propose(COARSE, coarse_trials(0.1))
    rate, space = proposal.study.space["learning_rate"], proposal.study.space
    assert rate.low < 0.1 < rate.high
    assert 0.2 <= math.log10(rate.high / rate.low) / 5 <= 0.5
    assert space["l2"] == SPACE["l2"]
    assert set(space["activation"].choices) == {"relu", "tanh"}
    assert proposal.study.trials == space.grid_size == 18
    assert "none with sigmoid" in proposal.reasons[2]
    assert "it hardly matters" in proposal.reasons[1]


@pytest.mark.parametrize("peak", [1.0, 3e-4])
def test_a_range_is_not_shifted_towards_worse_trials(peak):
    """If the best rates lie in an outer quarter but trials beyond them were worse, the range shrinks around the peak."""
    rate = propose(COARSE, coarse_trials(peak)).study.space["learning_rate"]
    assert SPACE["learning_rate"].low <= rate.low < peak < rate.high <= SPACE["learning_rate"].high
    assert math.log10(rate.high / rate.low) < 2.5


def test_repeated_narrowing_keeps_the_peak():
    """In each round the range shrinks around the peak, and contains it."""
    study = COARSE
    for _ in range(3):
        study = propose(study, coarse_trials(0.1, study)).study
        assert study.space["learning_rate"].low < 0.1 < study.space["learning_rate"].high
    assert math.log10(study.space["learning_rate"].high / study.space["learning_rate"].low) < 1


def test_a_range_stops_where_its_hyperparameter_ends():
    """Momentum stays below 1 and is not shifted below 0; the reason says that it cannot go further."""
    space = SearchSpace(momentum=Float(0.0, 0.99), learning_rate=Float(1e-3, 1, log=True))
    study = replace(LECTURE, space=space, fixed=HyperParams())
    base = {"learning_rate": 0.03, "best/val_accuracy": 0.5}
    high = propose(study, [base | {"momentum": 0.98}] * 6)
    assert high.study.space["momentum"] == space["momentum"]
    assert "it cannot go further" in high.reasons[0]
    low = propose(study, [base | {"momentum": 0.01}] * 6).study.space["momentum"]
    assert (low.low, low.high) == pytest.approx((0.0, 0.495))


def test_too_few_trials_are_refused():
    """Four trials are refused, since they do not tell good from bad."""
    with pytest.raises(ValueError, match="got 4; expected 5 or more"):
        propose(COARSE, coarse_trials(0.1, count=4))


def test_a_narrow_range_moves_by_its_own_width():
    """After many stages a range differs in its fifth digit; the next range is not rounded to nothing."""
    space = SearchSpace(learning_rate=Float(0.93701, 0.93705))
    narrow = replace(COARSE, space=space, arms=(Arm("random"),))
    shifted = propose(narrow, [{"learning_rate": 0.93705, "best/val_accuracy": 0.9}] * 6).study.space["learning_rate"]
    assert shifted.low < 0.93705 < shifted.high
    assert shifted.high - shifted.low == pytest.approx(4e-5, rel=0.01)


def proposed(*positions):
    """The next range of a rate from 0 to 1, after trials at these positions, best first."""
    study = replace(COARSE, space=SearchSpace(learning_rate=Float(0, 1)), arms=(Arm("random"),))
    trials = [{"learning_rate": at, "best/val_accuracy": 1 - i / 1000} for i, at in enumerate(positions)]
    rate = propose(study, trials).study.space["learning_rate"]
    return rate.low, rate.high


def test_the_best_tenth_decides_and_leaves_a_margin():
    """Of 60 trials the range of the best six and a twentieth on each side are kept; of six equal ones, a quarter."""
    best, rest = (0.5, 0.35, 0.65, 0.4, 0.6, 0.45), (0.1, 0.9) * 27
    assert proposed(*best, *rest) == pytest.approx((0.30, 0.70))
    assert proposed(*[0.5] * 6, *rest) == pytest.approx((0.375, 0.625))


@pytest.mark.parametrize(("scores", "moved"), [((0.1,), False), ((0.1, 0.2), False), ((0.1, 0.6), True)])
def test_few_trials_beyond_the_best_keep_a_range_from_moving_if_they_are_in_the_lower_half(scores, moved):
    """However few trials lie between the best five and the border, the range moves on only if one was in the upper half."""
    trials = [(0.8 + 0.01 * i, 0.9 - 0.01 * i) for i in range(5)] + [
        (0.1 + 0.05 * i, 0.5 - 0.02 * i) for i in range(10)
    ]
    trials += [(0.95 + 0.01 * i, score) for i, score in enumerate(scores)]
    study = Study(name="x", question="x", space=SearchSpace(l2=Float(0, 1)), arms=(Arm("random"),), trials=20)
    rows = [{"l2": value, "best/val_accuracy": score} for value, score in trials]
    proposed_range = propose(study, rows).study.space["l2"]
    assert (proposed_range.high > 0.99) == moved


def test_the_ends_of_a_narrowed_range_are_round():
    """A narrowed range has ends of at most four digits, and keeps an end that it shares with the range before."""
    rng = np.random.default_rng(0)
    rates = 10 ** rng.uniform(-4, 1, 60)
    rows = [{"learning_rate": rate, "best/val_accuracy": -abs(np.log10(rate) + 1)} for rate in rates]
    study = replace(LECTURE, space=SearchSpace(learning_rate=Float(1e-4, 10, log=True)))
    narrow = propose(study, rows).study.space["learning_rate"]
    assert all(float(f"{end:.4g}") == end for end in (narrow.low, narrow.high))


def test_five_worse_trials_beyond_the_best_keep_a_range_from_moving():
    """With four worse trials nearer to the border the range is shifted; with five, it shrinks around the best."""
    best, rest = (0.8,) * 5, (0.2,) * 10
    assert proposed(*best, *(0.95,) * 4, *rest) == pytest.approx((0.5, 1.5))
    assert proposed(*best, *(0.95,) * 5, *rest) == pytest.approx((0.675, 0.925))


def _whole(dimension, best):
    """Propose the next range of widths, where a width scores the less the farther it is from the best."""
    study = Study(
        name="widths", question="How wide?", space=SearchSpace(hidden=dimension), arms=(Arm("random"),), trials=9
    )
    values = dimension.grid() if dimension.levels > 20 else range(dimension.low, dimension.high + 1, dimension.step)
    trials = [{"hidden": value, "best/val_accuracy": 1 / (1 + abs(value - best))} for value in values]
    return propose(study, trials).study.space["hidden"]


def test_ranges_of_whole_numbers_stay_whole():
    """A narrowed range is rounded outwards, one that is moved stops at 1, and both keep their steps."""
    assert _whole(Int(4, 256, log=True, levels=60), 32) == Int(18, 53, log=True, levels=36)
    assert _whole(Int(10, 200, step=10), 100) == Int(70, 130, step=10)
    assert _whole(Int(2, 40), 2) == Int(1, 21)
    assert _whole(Int(1, 9), 1) == Int(1, 5)


def test_the_limits_of_an_own_models_parameter_are_not_known():
    """Its range moves on past any end, but never from positive numbers below 0."""
    study = Study(
        name="own", question="?", model="a:b", space=SearchSpace(x=Float(0, 1)), arms=(Arm("random"),), trials=9
    )
    low, high = (
        propose(study, [{"x": abs(end - k / 100), "best/val_accuracy": 0.9 - k / 100} for k in range(9)]).study.space[
            "x"
        ]
        for end in (0, 1)
    )
    assert (low.low, high.low, high.high) == (0, 0.5, 1.5)
