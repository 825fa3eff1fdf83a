"""The saved views of a study, decoded as the MLflow UI decodes them."""

import base64
import json
import zlib
from dataclasses import replace

import pytest

from pipeline.study.spec import Arm, Categorical, Float, SearchSpace, Study
from pipeline.tracking.views import ALL, ARMS, BEST, TAG, key, views

RUN = "0123456789abcdef"
STUDY = Study(
    name="s",
    question="?",
    space=SearchSpace(
        learning_rate=Float(1e-3, 1, log=True), momentum=Float(0, 0.9), activation=Categorical("relu", "tanh")
    ),
)


def decoded(study=STUDY, **options):
    """Return the state of each view by its name, and the titles of the views."""
    tags = {tag.removeprefix(TAG): json.loads(value) for tag, value in views(study, RUN, 7, **options).items()}
    packed = {name.removesuffix(RUN[:12]): view["state"].removeprefix("deflate;") for name, view in tags.items()}
    assert set(tags) == {key(RUN, name) for name in packed}
    states = {name: json.loads(zlib.decompress(base64.b64decode(text))) for name, text in packed.items()}
    return states, [view["name"] for view in tags.values()]


@pytest.fixture(scope="module")
def states():
    """Return the state of each view by its name."""
    states, titles = decoded()
    assert titles == ["s: the arms compared", "s: the best trials", "s: good and bad trials"]
    assert list(states) == [ARMS, BEST, ALL]
    return states


def test_arms_are_folded_groups_of_their_runs(states):
    """The view of arms shows the arms' runs, a folded group for each; their curves by number of trials come first."""
    arms = states[ARMS]
    assert arms["searchFilter"] == f"tags.kind = 'arm' and tags.`mlflow.parentRunId` = '{RUN}'"
    assert arms["groupBy"]["groupByKeys"] == [{"mode": "tag", "groupByData": "arm"}]
    assert arms["groupsExpanded"] == {f"tag.arm.{arm.name}": False for arm in STUDY.arms}
    first = [c["metricKey"] for c in arms["compareRunCharts"] if c["metricSectionId"] == "after n trials"]
    assert first == ["best_so_far/test_accuracy", "expected/test_accuracy", "best_so_far/val_accuracy"]


def test_the_titles_of_charts_have_room(states):
    """Each section that is shown at first has one column, which leaves its charts room for whole titles."""
    shown = [section for state in states.values() for section in state["compareRunSections"] if section["display"]]
    assert len(shown) > 5
    assert {section["columns"] for section in shown} == {1}


def test_the_curves_of_arms_are_shown_in_a_given_range():
    """The range is that of the curves by number of trials alone."""
    states, _ = decoded(limits=(0.9, 1.0))
    ranges = {c["metricKey"]: c.get("range") for c in states[ARMS]["compareRunCharts"] if c["type"] == "LINE"}
    assert ranges.pop("spread/val_accuracy") == {}
    assert list(ranges.values()) == [{"yMin": 0.9, "yMax": 1.0}] * 3


def test_trials_are_ordered_by_score_or_by_number(states):
    """The best trials come by validation accuracy; good and bad ones by number, which arms and blocks share."""
    best, every = states[BEST], states[ALL]
    assert (best["orderByKey"], best["orderByAsc"], best["groupBy"]) == ("metrics.`best/val_accuracy`", False, None)
    assert (every["orderByKey"], every["orderByAsc"], every["groupBy"]) == ("tags.`trial`", True, None)
    for state in (best, every):
        assert state["searchFilter"] == f"tags.kind = 'trial' and tags.`mlflow.parentRunId` = '{RUN}'"


def test_a_study_of_another_metric_has_views_of_it():
    """Orders, columns and charts are by the metric's keys; validation accuracy has its chart next to it."""
    states, _ = decoded(replace(STUDY, metric="balanced_accuracy"))
    text = json.dumps(states)
    assert states[BEST]["orderByKey"] == "metrics.`best/val_balanced_accuracy`"
    for prefix in ("best_so_far/test_", "expected/test_", "best_so_far/val_", "spread/val_", "best/val_", "test/"):
        assert f'"{prefix}balanced_accuracy"' in text
        assert f'"{prefix}accuracy"' not in text
    assert '"val/balanced_accuracy"' in text
    assert '"val/accuracy"' in text


def test_charts_lie_in_sections_that_are_open_or_folded(states):
    """Each chart's section exists; what the question needs is open, the rest folded; losses have a log scale."""
    opened = {name: {s["name"]: s["display"] for s in state["compareRunSections"]} for name, state in states.items()}
    assert [name for name, display in opened[ARMS].items() if display] == ["after n trials", "all trials"]
    assert [name for name, display in opened[BEST].items() if display] == [
        "values",
        "accuracies",
        "losses",
        "scores",
    ]
    assert not opened[BEST]["update_ratio"]
    for name, state in states.items():
        assert {chart["metricSectionId"] for chart in state["compareRunCharts"]} <= set(opened[name])
        scales = {c["metricKey"]: c["scaleType"] for c in state["compareRunCharts"] if c["type"] == "LINE"}
        logs = {metric for metric, scale in scales.items() if scale == "log"}
        assert logs == (set() if name == ARMS else {"train/loss", "val/loss"})


@pytest.mark.parametrize("arm_axis", [True, False])
def test_the_parallel_chart_has_readable_axes(arm_axis):
    """The arm is the first axis where trials have it as a param; a log-scaled hyperparameter is drawn by its ``log10_`` twin."""
    states, _ = decoded(arm_axis=arm_axis)
    charts = {name: [c for c in state["compareRunCharts"] if c["type"] == "PARALLEL"] for name, state in states.items()}
    assert charts[ARMS] == []
    params = ["log10_learning_rate", "momentum", "activation"]
    for name in (BEST, ALL):
        (chart,) = charts[name]
        assert chart["selectedParams"] == (["arm", *params] if arm_axis else params)


def test_a_view_fits_into_a_tag_of_an_experiment():
    """With many hyperparameters and arms, each view is shorter than the 5,000 characters that MLflow keeps."""
    space = SearchSpace(
        **{name: Float(1e-3, 0.9, log=True) for name in ("learning_rate", "l1", "l2", "max_norm", "rho")}
    )
    study = replace(
        STUDY,
        metric="balanced_accuracy",
        space=space,
        arms=tuple(Arm(f"random_{i}", sampler="random") for i in range(20)),
    )
    assert max(map(len, views(study, RUN, 7, limits=(0.123, 0.456)).values())) < 5000
