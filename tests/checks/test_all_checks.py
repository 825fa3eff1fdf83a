"""The checks before a study: a sound network passes them, and each injected fault fails the right check."""

import math
import re
from dataclasses import replace

import numpy as np
import pytest
from sklearn import datasets

from pipeline.checks import all_checks as checks
from pipeline.checks.all_checks import check, initial_loss
from pipeline.data import Split, load_block
from pipeline.data.dataset import load_rows, split
from pipeline.nn import optimizers
from pipeline.nn.activations import ACTIVATIONS, Activation
from pipeline.nn.initializers import INITIALIZERS
from pipeline.nn.layers import BatchNorm, Dense, Nonlinearity
from pipeline.nn.norms import LayerNorm
from pipeline.seeds import derive_seed
from pipeline.study.hparams import HyperParams, TrainConfig
from pipeline.study.spec import Categorical, Float, SearchSpace
from studies.random_vs_grid import STUDY

NAMES = [
    "initial loss",
    "L2",
    "gradient",
    "overfit 20 examples",
    "labels belong to inputs",
    "shuffled labels teach nothing",
    "activations at initialisation",
]


def failed(study=STUDY):
    """The names of the checks that fail."""
    return [result.name for result in check(study) if not result.passed]


def test_the_default_study_passes():
    """All checks pass, in order; the small weights of its space get advice."""
    results = list(check(STUDY))
    assert [result.name for result in results] == NAMES
    assert [result.status for result in results] == ["ok"] * 6 + ["advice"]
    assert "relu from small collapses" in results[-1].message
    assert all(key.startswith("check/") for result in results for key in result.metrics)


@pytest.mark.parametrize(("activation", "seed"), [("tanh", 1), ("sigmoid", 2), ("relu", 3)])
def test_other_seeds_and_activations_pass(activation, seed):
    """No check fails by chance for another split."""
    fixed = replace(STUDY.fixed, activation=activation, batch_norm=seed == 2)
    assert failed(replace(STUDY, seed=seed, fixed=fixed)) == []


def test_enlarged_weights_may_start_above_a_guess():
    """The initial loss is that of the factor and the distribution of the weights; above a factor of 1 it has no limit."""
    fixed = replace(STUDY.fixed, init="he", init_scale=3.0, init_distribution="uniform")
    space = SearchSpace(l2=STUDY.space["l2"])
    data = load_block("digits", STUDY.config, 0)
    result = initial_loss(replace(STUDY, space=space, fixed=fixed, trials=3), data)
    assert result.passed
    assert result.metrics["check/initial_loss/he"] > math.log(10) + 1.4


def table_study(name, seed, folder, *, shuffled=False):
    """A study of a small table of scikit-learn, optionally with shuffled labels."""
    X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    path = folder / f"{name}.npz"
    np.savez(path, X=X, y=np.random.default_rng(seed).permutation(y) if shuffled else y)
    space = SearchSpace(
        learning_rate=Float(1e-3, 1, log=True, levels=3),
        activation=Categorical("relu", "tanh", "maxout"),
        init=Categorical("he", "xavier"),
    )
    fixed = HyperParams(seed=seed)
    return replace(STUDY, dataset=str(path), space=space, fixed=fixed, config=TrainConfig(), seed=seed, trials=4)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", ["iris", "wine", "breast_cancer"])
def test_small_tables_pass(name, seed, tmp_path):
    """Untrained weights may separate few distant classes well or badly by chance, which is not a fault."""
    assert failed(table_study(name, seed, tmp_path)) == []


@pytest.mark.parametrize("name", ["iris", "wine", "breast_cancer"])
def test_small_tables_with_shuffled_labels_fail(name, tmp_path):
    """The allowance for chance does not hide shuffled labels."""
    results = check(table_study(name, 0, tmp_path, shuffled=True))
    assert not next(result.passed for result in results if result.name == "labels belong to inputs")


@pytest.mark.parametrize("preprocessing", ["none", "centre"])
def test_other_scales_of_the_inputs_pass(preprocessing):
    """Pixels up to 16, centred or not, with small weights: the sweep contains the rates that they need."""
    space = SearchSpace(learning_rate=Float(1e-4, 1, log=True), init=Categorical("small", 0.01))
    study = replace(
        STUDY, space=space, fixed=HyperParams(init="small"), config=TrainConfig(preprocessing=preprocessing), trials=4
    )
    assert failed(study) == []


def wrong_bias_gradient(monkeypatch):  # noqa: D103  the name is the fault
    right = Dense.backward

    def backward(self, params, grads, *rest):
        result = right(self, params, grads, *rest)
        grads["b"] *= 1.01
        return result

    monkeypatch.setattr(Dense, "backward", backward)


def slope_of_relu_missing(monkeypatch):  # noqa: D103  the name is the fault
    monkeypatch.setattr(Nonlinearity, "backward", lambda *arguments: arguments[4])


def batch_norm_without_its_statistics(monkeypatch):  # noqa: D103  the name is the fault
    right = BatchNorm.backward

    def backward(self, params, grads, *rest):
        _, upstream, space = rest
        straight = upstream * params["gamma"] * self._saved(space)[1]
        right(self, params, grads, *rest)
        return straight

    monkeypatch.setattr(BatchNorm, "backward", backward)


def layer_norm_without_its_statistics(monkeypatch):  # noqa: D103  the name is the fault
    def backward(self, params, grads, inputs, upstream, space):
        space.dot_over_rows(upstream, inputs, out=grads["gamma"])
        space.sum_over_rows(upstream, out=grads["beta"])
        return upstream * params["gamma"] * space.like_signal(self.index, "inverse_std", 1)

    monkeypatch.setattr(LayerNorm, "backward", backward)


def optimizer_without_decay(monkeypatch):  # noqa: D103  the name is the fault
    right = optimizers.SGD.update

    def update(self, params, grads):
        self.l2 = 0 * self.l2
        right(self, params, grads)

    monkeypatch.setattr(checks.SGD, "update", update)


def l2_without_its_half(monkeypatch):  # noqa: D103  the name is the fault
    right = checks.l2_penalty
    monkeypatch.setattr(checks, "l2_penalty", lambda params, l2: 2 * right(params, l2))


def initial_weights_ten_times_too_large(monkeypatch):  # noqa: D103  the name is the fault
    monkeypatch.setitem(INITIALIZERS, "he", lambda fan_in, _: 10 * np.sqrt(2 / fan_in))


def labels_apart_from_inputs(monkeypatch):  # noqa: D103  the name is the fault
    right = checks.load_block

    def load_block(*arguments):
        data, rng = right(*arguments), np.random.default_rng(3)
        apart = {name: getattr(data, name) for name in ("train", "val")}
        return replace(data, **{name: Split(s.inputs, rng.permutation(s.labels)) for name, s in apart.items()})

    monkeypatch.setattr(checks, "load_block", load_block)


def scoring_that_flatters(monkeypatch):  # noqa: D103  the name is the fault
    from pipeline.training import lockstep

    right = lockstep.evaluate

    def evaluate(*arguments):
        found = right(*arguments)
        for rows in (found.correct, found.row_scores):
            rows[:, ::2] = True
        return found._replace(values=found.row_scores.mean(axis=1))

    monkeypatch.setattr(lockstep, "evaluate", evaluate)


FAULTS = {
    wrong_bias_gradient: "gradient",
    slope_of_relu_missing: "gradient",
    batch_norm_without_its_statistics: "gradient",
    layer_norm_without_its_statistics: "gradient",
    optimizer_without_decay: "L2",
    l2_without_its_half: "L2",
    initial_weights_ten_times_too_large: "initial loss",
    labels_apart_from_inputs: "labels belong to inputs",
    scoring_that_flatters: "shuffled labels teach nothing",
}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_fault_is_found(fault, monkeypatch):
    """The first check that fails is the one for this fault, and it gives advice."""
    fault(monkeypatch)
    study = replace(STUDY, fixed=replace(STUDY.fixed, layer_norm="layer_norm" in fault.__name__))
    first = next(result for result in check(study) if not result.passed)
    assert (first.name, first.status) == (FAULTS[fault], "FAILED")
    assert first.advice


def test_every_structure_of_the_space_is_checked(monkeypatch):
    """A fault in tanh, which only the space contains, is found and located."""

    def fifty_times(z, slope):
        ACTIVATIONS["relu"].forward(z, slope)
        z *= 50

    monkeypatch.setitem(ACTIVATIONS, "tanh", Activation(fifty_times))
    first = next(result for result in check(STUDY) if not result.passed)
    assert first.name == "initial loss"
    assert "he (activation tanh, batch_norm False)" in first.advice
    assert "activation relu" not in first.advice


def test_convolutions_of_the_space_pass():
    """A pooling network by He's rule starts with a high loss, and passes."""
    space = SearchSpace(learning_rate=Float(1e-3, 1, log=True), conv=Categorical("4p", "4px8p"))
    study = replace(STUDY, space=space, fixed=HyperParams(init="he", conv="4p"), trials=4)
    results = {result.name: result for result in check(study)}
    assert results["initial loss"].passed
    assert results["L2"].passed


def test_whitening_of_faint_directions_gives_advice(tmp_path):
    """Some of the digits' 64 directions have nearly no variance, which gives advice; those of iris have enough."""
    result = list(check(replace(STUDY, config=TrainConfig(preprocessing="whiten"))))[-1]
    assert (result.name, result.status) == ("whitening", "advice")
    few = int(re.search(r"; (\d+) of 64 below 0.001 of the greatest", result.message)[1])
    raw = split(load_rows("digits"), TrainConfig(), derive_seed(STUDY.seed, "split", 0)).train.inputs
    variances = np.linalg.eigvalsh(np.cov(raw.T, bias=True))
    assert few == (variances < 1e-3 * variances.max()).sum()
    iris = replace(table_study("iris", 0, tmp_path), config=TrainConfig(preprocessing="whiten"))
    assert [result.status for result in check(iris) if result.name == "whitening"] == ["ok"]


def test_zero_weights_cannot_learn_by_heart():
    """With equal units no rate of the sweep overfits twenty examples."""
    assert failed(replace(STUDY, fixed=HyperParams(init="zeros"))) == ["overfit 20 examples"]
