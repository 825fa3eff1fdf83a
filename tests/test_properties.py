"""Properties that hold for any numbers: training of any shape, studies and their JSON, tuning curves of any pool."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.data import Dataset, Split
from pipeline.nn.activations import ACTIVATIONS
from pipeline.nn.initializers import DISTRIBUTIONS, INITIALIZERS
from pipeline.nn.optimizers import OPTIMIZERS
from pipeline.nn.schedules import SCHEDULES
from pipeline.report.curves import Pool
from pipeline.study.hparams import CLASS_WEIGHTS, HyperParams, TrainConfig
from pipeline.study.spec import Arm, Categorical, Float, SearchSpace, Study
from pipeline.training import train

ANY_RATE = st.floats(0, 1e6, allow_subnormal=False)
PENALTY = st.one_of(st.just(0.0), st.floats(1e-8, 1e3))
SHARE = st.one_of(st.just(0.0), st.floats(0.01, 0.95))
HPARAMS = st.builds(
    HyperParams,
    learning_rate=ANY_RATE,
    l2=PENALTY,
    momentum=SHARE,
    activation=st.sampled_from(sorted(ACTIVATIONS)),
    init=st.one_of(st.sampled_from(sorted(INITIALIZERS)), st.floats(0, 100)),
    batch_norm=st.booleans(),
    hidden=st.lists(st.integers(1, 9), max_size=3).map(tuple),
    seed=st.integers(0, 2**32),
    layer_norm=st.booleans(),
    dropout=SHARE,
    l1=PENALTY,
    max_norm=PENALTY,
    label_smoothing=SHARE,
    optimizer=st.sampled_from(sorted(OPTIMIZERS)),
    clip=PENALTY,
    schedule=st.sampled_from(sorted(SCHEDULES)),
    warmup=st.integers(0, 3),
    class_weight=st.sampled_from(CLASS_WEIGHTS),
    init_scale=st.floats(0, 2),
    init_distribution=st.sampled_from(DISTRIBUTIONS),
)
QUICK, LONG = settings(max_examples=30, deadline=None), settings(max_examples=3000, deadline=None)


@st.composite
def datasets(draw):
    """Splits of any shape, their inputs from -1e6 to 1e6, constant columns among them."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    features, classes, scale = draw(st.integers(1, 6)), draw(st.integers(2, 4)), 10 ** draw(st.floats(-6, 6))

    def rows(count):
        inputs = (scale * rng.normal(size=(count, features))).astype("float32")
        inputs[:, : features // 3] = scale
        return Split(inputs, rng.integers(classes, size=count))

    counts = [draw(st.integers(1, 40)) for _ in range(3)]
    return Dataset(*map(rows, counts), classes)


@st.composite
def groups(draw):
    """Data, settings that fit it, and trials of one structure or several."""
    data = draw(datasets())
    config = TrainConfig(epochs=3, batch_size=draw(st.integers(1, len(data.train))))
    one = draw(HPARAMS)
    mates = draw(st.lists(st.tuples(ANY_RATE, st.integers(0, 99)), max_size=3))
    others = draw(st.lists(HPARAMS, max_size=2))
    return data, config, [one, *(replace(one, learning_rate=rate, seed=seed) for rate, seed in mates), *others]


def hold_training(group):
    """Every trial is finite as long as it lasts or flagged, and the first one is the same bits alone."""
    data, config, trials = group
    together, alone = train(trials, data, config), train(trials[:1], data, config)
    for key, curves in together.curves.items():
        for curve, epochs, diverged in zip(curves, together.epochs, together.diverged, strict=True):
            assert np.isfinite(curve[:epochs]).all(), key
            assert np.isnan(curve[epochs:]).all(), key
            assert diverged or epochs == config.epochs
        assert np.array_equal(curves[0], alone.curves[key][0], equal_nan=True), key
    for key, scores in together.scores.items():
        assert np.array_equal(scores[:1], alone.scores[key], equal_nan=True), key
    assert ((together.scores["best/val_accuracy"] >= 0) & (together.scores["best/val_accuracy"] <= 1)).all()


@QUICK
@given(groups())
def test_any_training_is_finite_or_flagged_and_changes_no_neighbour(group):
    """Whatever the shape and the hyperparameters: no crash, no warning, finite or flagged, and alone the same bits."""
    hold_training(group)


@pytest.mark.slow
@pytest.mark.long
@LONG
@given(groups())
def test_any_training_for_long(group):
    """The same, 3,000 times."""
    hold_training(group)


@QUICK
@given(
    HPARAMS,
    st.floats(1e-6, 1, exclude_max=True),
    st.lists(st.sampled_from(sorted(ACTIVATIONS)), min_size=1, max_size=4, unique=True),
    st.integers(1, 5),
    st.booleans(),
)
def test_a_study_survives_its_json(fixed, low, choices, levels, log):
    """Declared, written as JSON and read back, a study is the same, and so is its hash."""
    space = SearchSpace(learning_rate=Float(low, 1, log=log, levels=levels), activation=Categorical(*choices))
    study = Study(name="x", question="?", space=space, fixed=replace(fixed, seed=0), arms=(Arm("random"),), blocks=1)
    again = Study.from_json(study.to_json())
    assert again.to_json() == study.to_json()
    assert again.hash == study.hash
    assert all(low <= value <= 1 for value in space["learning_rate"].grid())


@QUICK
@given(st.lists(st.integers(0, 20), min_size=1, max_size=40), st.integers(0, 2**32))
def test_any_tuning_curve_is_a_choice_among_trials(scores, seed):
    """Of any pool with any ties: chances sum to 1, one trial gives the mean, all give the best, and more never hurt."""
    validation = np.array(scores) / 20
    test = np.random.default_rng(seed).uniform(size=len(scores))
    pool = Pool(Arm("random"), 0, validation, test, pd.DataFrame(), ())
    chances = pool.choice(np.arange(1, len(scores) + 1))
    curve = validation @ chances
    assert chances.min() >= -1e-12
    assert chances.sum(axis=0) == pytest.approx(1)
    assert curve[0] == pytest.approx(validation.mean())
    assert curve[-1] == pytest.approx(validation.max())
    assert (np.diff(curve) >= -1e-12).all()
    assert (test @ chances)[0] == pytest.approx(test.mean())
