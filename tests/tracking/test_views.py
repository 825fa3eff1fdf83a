"""The saved views of a study, decoded as the MLflow UI decodes them."""

import base64
import json
import zlib

import pytest

from pipeline.study.spec import Categorical, Float, SearchSpace, Study
from pipeline.tracking.views import ARMS, BEST, TAG, key, views

RUN = "0123456789abcdef"
STUDY = Study(
    name="s",
    question="?",
    space=SearchSpace(
        learning_rate=Float(1e-3, 1, log=True), momentum=Float(0, 0.9), activation=Categorical("relu", "tanh")
    ),
)


@pytest.fixture(scope="module")
def states():
    """Return the state of each view by its key, and the names of the views."""
    tags = {tag.removeprefix(TAG): json.loads(value) for tag, value in views(STUDY, RUN, 7).items()}
    assert {name: view["name"] for name, view in tags.items()} == {
        key(RUN, ARMS): "s: the arms compared",
        key(RUN, BEST): "s: the best trials",
    }
    packed = {name: view["state"].removeprefix("deflate;") for name, view in tags.items()}
    return {name: json.loads(zlib.decompress(base64.b64decode(text))) for name, text in packed.items()}


def test_arms_are_groups_and_the_best_trials_come_first(states):
    """One view groups trials by arm, in the order of their numbers; the other has the most accurate trials first."""
    arms, best = states[f"arms{RUN[:12]}"], states[f"best{RUN[:12]}"]
    assert (arms["orderByKey"], arms["orderByAsc"]) == ("tags.`trial`", True)
    assert arms["groupBy"]["groupByKeys"] == [{"mode": "tag", "groupByData": "arm"}]
    assert (best["orderByKey"], best["orderByAsc"], best["groupBy"]) == ("metrics.`best/val_accuracy`", False, None)
    for state in (arms, best):
        assert state["searchFilter"] == f"tags.kind = 'trial' and tags.`mlflow.parentRunId` = '{RUN}'"


def test_charts_lie_in_sections_that_are_open_or_folded(states):
    """Losses are open for the best trials and folded for arms; each chart's section exists; losses have a log scale."""
    opened = {name: {s["name"]: s["display"] for s in state["compareRunSections"]} for name, state in states.items()}
    arms, best = opened[key(RUN, ARMS)], opened[key(RUN, BEST)]
    assert [name for name, display in arms.items() if display] == ["accuracies", "scores"]
    assert [name for name, display in best.items() if display] == ["hyperparameters", "accuracies", "losses", "scores"]
    assert not arms["losses"]
    assert not best["update_ratio"]
    for name, state in states.items():
        assert {chart["metricSectionId"] for chart in state["compareRunCharts"]} <= set(opened[name])
        scales = {c["metricKey"]: c["scaleType"] for c in state["compareRunCharts"] if c["type"] == "LINE"}
        assert {metric for metric, scale in scales.items() if scale == "log"} == {"train/loss", "val/loss"}


def test_the_parallel_chart_has_readable_axes(states):
    """Only the view of the best trials has it; a hyperparameter on a log scale is drawn by its ``log10_`` twin."""
    charts = {name: [c for c in state["compareRunCharts"] if c["type"] == "PARALLEL"] for name, state in states.items()}
    assert charts[key(RUN, ARMS)] == []
    (chart,) = charts[key(RUN, BEST)]
    assert chart["selectedParams"] == ["log10_learning_rate", "momentum", "activation"]
