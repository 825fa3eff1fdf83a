"""The winner's section: the lines to paste make the network that won."""

import contextlib
import io
import re
from itertools import product

import numpy as np
import pytest
from synthetic import RANDOM, make_table

from pipeline.estimator import NumpyNetworkClassifier
from pipeline.estimator.settings import HYPERPARAMETERS
from pipeline.report.analysis import Analysis
from pipeline.report.winner_section import winner_section
from pipeline.study.hparams import HyperParams, TrainConfig
from pipeline.study.spec import Categorical, Float, SearchSpace

SPACE = SearchSpace(
    learning_rate=Float(0.05, 0.2, log=True),
    hidden=Categorical("30", "40x20"),
    init=Categorical("he", 0.1),
    batch_norm=Categorical(False, True),
)
CURVES = {
    f"{part}/{kind}": np.linspace(0.1 * place, 1, 20).tolist()
    for place, (part, kind) in enumerate(product(("train", "val"), ("accuracy", "loss")))
}
"""The curves of 20 epochs."""


def section_of(facts=None, **options):
    """The winner's section of a study with a space of every kind of value, and the analysis."""
    options = {"space": SPACE, "fixed": HyperParams(momentum=0.9), "trials": 12, "blocks": 1, **options}
    analysis = Analysis(make_table(arms=(RANDOM,), objective=lambda f, _s, r: r.random(len(f)), **options))
    provenance = {"winner": {"trial": analysis.winner.name, **facts}} if facts else {}
    return next(
        winner_section(Analysis(type(analysis.table)(analysis.table.frame, analysis.study, provenance)))
    ), analysis


def code(section, heading):
    """The text of the code whose heading begins so."""
    (text,) = (code.text for code in section.codes if code.heading.startswith(heading))
    return text


def test_the_configuration_can_be_pasted():
    """Both texts evaluate to the winner's searched and fixed values and the settings of training."""
    config = TrainConfig(epochs=20, batch_size=32, preprocessing="min_max", validation=0.3)
    section, analysis = section_of(config=config)
    plan = analysis.winner.plan
    assert eval(code(section, "Its hyperparameters")) == plan.hparams  # noqa: S307  the text is our own
    assert plan.hparams.momentum == 0.9
    hparams, trained_with = code(section, "All settings").split("\nTrainConfig")
    assert eval(hparams) == plan.hparams  # noqa: S307
    assert eval(f"TrainConfig{trained_with}") == config  # noqa: S307
    assert all(f"    {name}=" in code(section, "All settings") for name in (*vars(plan.hparams), *vars(config)))
    made = eval(code(section, "The same as a scikit-learn"))  # noqa: S307
    assert isinstance(made, NumpyNetworkClassifier)
    defaults = {"class_weight": None}  # what "none" is in scikit-learn
    assert {name: getattr(made, name) for name in HYPERPARAMETERS} == {
        name: getattr(plan.hparams, name) for name in HYPERPARAMETERS
    } | defaults
    assert (made.random_state, made.max_iter, made.batch_size) == (plan.hparams.seed, 20, 32)
    assert (made.preprocessing, made.validation_fraction, made.n_iter_no_change) == ("min_max", 0.3, 20)


def test_the_lines_train_it():
    """The lines that train again run as they are printed, and reach what such a network reaches on the digits."""
    section, _ = section_of()
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        exec(code(section, "Train it again on all rows"), {})  # noqa: S102  the text is our own
    assert float(output.getvalue()) > 0.9


def test_images_need_their_shape():
    """A convolution has its classifier only where the shape of a row is known."""
    space = SearchSpace(learning_rate=Float(0.05, 0.2), conv=Categorical("4p", "8p"))
    without, _ = section_of(space=space)
    assert [code.heading for code in without.codes] == ["Its hyperparameters", "All settings, the defaults too"]
    known, _ = section_of({"image_shape": [8, 8]}, space=space)
    assert eval(code(known, "The same as a scikit-learn")).image_shape == (8, 8)  # noqa: S307


def test_what_the_trained_network_gives():
    """With the facts of the trained network the section has its curves, and lines with its address; without, none."""
    facts = {
        "curves": CURVES,
        "model": "models:/babysit-toy/3",
        "tracking": "sqlite:////a b/mlflow.db",
        "train": "babysit train x",
    }
    section, analysis = section_of(facts)
    (plot,) = section.plots
    assert plot.table["val/accuracy"].tolist() == CURVES["val/accuracy"]
    assert "load_model('models:/babysit-toy/3')" in code(section, "Load the trained network")
    assert code(section, "Serve").startswith("MLFLOW_TRACKING_URI='sqlite:////a b/mlflow.db' mlflow models serve ")
    assert code(section, "Train it again and record it") == "babysit train x"
    bare, _ = section_of()
    assert bare.plots == ()
    assert not any(re.search("mlflow|babysit", code.text) for code in bare.codes)
    assert f"the best of {len(analysis.table.frame)} trials" in bare.prose[0]


def test_facts_of_another_trial_are_left_out():
    """Curves that were recorded for another trial than the table's winner are not shown."""
    section, _ = section_of({"trial": "random-b00-9999", "curves": CURVES})
    assert section.plots == ()


@pytest.mark.parametrize("epoch", [1, 20])
def test_the_curves_mark_the_epoch_that_is_kept(epoch):
    """The words of the figure have the accuracies of the epoch whose weights are kept."""
    from pipeline.report.figures.winner import winner_figure

    plot = winner_figure("random-b00-0001", CURVES, epoch)
    train, val = (CURVES[f"{part}/accuracy"][epoch - 1] for part in ("train", "val"))
    assert f"at epoch {epoch} training {100 * train:.1f}% and validation {100 * val:.1f}% accuracy" in plot.alt
