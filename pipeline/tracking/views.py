"""Saved views of a study in the MLflow UI: their columns, charts and groups.

The UI keeps a saved view as a tag of the experiment, and opens it by its key. The format is that of MLflow 3.17. A UI that
does not know the format says so and shows its usual page.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

from mlflow.entities import Run
from mlflow.tracking import MlflowClient

from pipeline.study.spec import Categorical, Study
from pipeline.tracking.run_record import ARM, ARM_KIND
from pipeline.training.metrics import (
    BEST_EPOCH,
    DIVERGED,
    DIVERGED_SHARE,
    GAP,
    TRAIN_ACCURACY,
    TRAIN_LOSS,
    TRIALS,
    VAL_ACCURACY,
    VAL_LOSS,
)

TAG = "mlflow.sharedViewState."
LOSSES = (VAL_LOSS, TRAIN_LOSS)
FOLDED = ("test", "initial", "update_ratio", "gradient_norm")
"""Other metrics of every trial. The UI draws each in a section named after the first word of the metric."""
WIDE = ("values", "after n trials", "accuracies", "losses", "scores", "all trials")
"""The sections of one column: of two, the UI cuts the titles to seven letters in a window of 1,300 pixels."""
ARMS, BEST, ALL = "arms", "best", "all"
TITLES = {ARMS: "the arms compared", BEST: "the best trials", ALL: "good and bad trials"}

State = dict[str, Any]


def save(
    client: MlflowClient, parent: Run, study: Study, trials: str, limits: tuple[float, float] | None = None
) -> None:
    """Save the views of a study, whose run is ``parent``, with the experiment; ``trials`` is the query of its trials."""
    experiment_id, order = str(parent.info.experiment_id), ["attributes.start_time ASC"]
    first = client.search_runs([experiment_id], trials, max_results=1, order_by=order)
    axis = all(ARM in run.data.params for run in first)  # older versions wrote no such param
    now = int(parent.info.start_time)
    for tag, value in views(study, parent.info.run_id, now, arm_axis=axis, limits=limits).items():
        client.set_experiment_tag(experiment_id, tag, value)


def views(
    study: Study, run_id: str, now: int, *, arm_axis: bool = True, limits: tuple[float, float] | None = None
) -> dict[str, str]:
    """Return the experiment's tags that hold the views of a study, in the order of :data:`TITLES`.

    The UI loads 100 runs at first. The best trials come by validation value; in the last view, trials come by number, so
    that the runs are shared equally among arms and blocks. ``arm_axis`` is False where trials lack the param of their arm,
    since the UI draws no parallel coordinates of such runs. ``limits`` are the range that the arms' curves are shown in,
    by default all of theirs. ``now`` is the views' time in milliseconds since 1970.
    """
    best = {"orderByKey": f"metrics.`{study.objective.best_val}`", "orderByAsc": False}
    by_number = {"orderByKey": "tags.`trial`", "orderByAsc": True}
    states = {
        ARMS: _arms(study, run_id, limits),
        BEST: _trials(study, run_id, arm_axis) | best,
        ALL: _trials(study, run_id, arm_axis) | by_number,
    }
    return {
        TAG + key(run_id, view): _packed(f"{study.name}: {TITLES[view]}", state, now) for view, state in states.items()
    }


def key(run_id: str, view: str) -> str:
    """Return the key of a view of a study's run."""
    return f"{view}{run_id[:12]}"


def _arms(study: Study, run_id: str, limits: tuple[float, float] | None) -> State:
    """The runs of arms, as a folded group for each arm: their curves by number of trials, and the last values."""
    shown, metric = dict(zip(("yMin", "yMax"), limits, strict=True)) if limits else {}, study.objective
    after_n = (metric.test_so_far, metric.expected, metric.val_so_far)
    charts = [
        *(_lines(name, "after n trials") | {"range": shown} for name in after_n),
        _lines(metric.spread, "all trials"),
        _bars(DIVERGED_SHARE, "all trials"),
        *(_bars(name, "numbers") for name in (DIVERGED, TRIALS)),
    ]
    columns = [f"metrics.`{name}`" for name in (*after_n, DIVERGED_SHARE)]
    return {
        **_state(run_id, ARM_KIND, charts, {"after n trials": True, "all trials": True, "numbers": False}),
        "selectedColumns": [*columns, "tags.`block`", "tags.`choice`", "tags.`budget`"],
        "orderByKey": "tags.`block`",
        "orderByAsc": True,
        "groupBy": {"aggregateFunction": "average", "groupByKeys": [{"mode": "tag", "groupByData": ARM}]},
        "groupsExpanded": {f"tag.{ARM}.{arm.name}": False for arm in study.arms},
    }


def _trials(study: Study, run_id: str, arm_axis: bool) -> State:
    """Single trials: their hyperparameters in parallel coordinates, curves and scores."""
    params = [name if isinstance(d, Categorical) or not d.log else f"log10_{name}" for name, d in study.space.items()]
    metric = study.objective
    scores, curves = (metric.best_val, metric.test, GAP, BEST_EPOCH), (metric.val, VAL_ACCURACY, TRAIN_ACCURACY)
    charts = [
        _parallel([ARM, *params] if arm_axis else params, metric.best_val),
        *(_lines(name, "accuracies") for name in dict.fromkeys(curves)),
        *(_lines(name, "losses", "log") for name in LOSSES),  # a diverged trial would flatten the others
        *(_bars(name, "scores") for name in scores),
    ]
    unfolded = dict.fromkeys(("values", "accuracies", "losses", "scores"), True)
    columns = [f"metrics.`{name}`" for name in scores[:2]] + [f"params.`{name}`" for name in study.space]
    return {
        **_state(run_id, "trial", charts, unfolded | dict.fromkeys(FOLDED, False)),
        "selectedColumns": [*columns, f"tags.`{ARM}`", "tags.`block`", "tags.`health`"],
        "groupBy": None,
    }


def _state(run_id: str, kind: str, charts: Sequence[State], sections: Mapping[str, bool]) -> State:
    return {
        "searchFilter": f"tags.kind = '{kind}' and tags.`mlflow.parentRunId` = '{run_id}'",
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "runsHiddenMode": "FIRST_20_RUNS",
        "compareRunCharts": charts,
        "compareRunSections": [_section(name, display=display) for name, display in sections.items()],
        "isAccordionReordered": True,  # otherwise the UI sorts the sections by name, together with those that it adds
        "hideEmptyCharts": True,
        "useGroupedValuesInCharts": True,
        "globalLineChartConfig": {"xAxisKey": "step", "lineSmoothness": 0, "selectedXAxisMetricKey": ""},
    }


def _section(name: str, *, display: bool) -> State:
    flags = {"display": display, "isReordered": False, "deleted": False, "isGenerated": False}
    return {"uuid": name, "name": name, "columns": 1 if name in WIDE else 3, "cardHeight": 360, **flags}


def _chart(kind: str, name: str, section: str) -> State:
    flags = {"deleted": False, "isGenerated": False}
    return {"uuid": f"{section}-{name}", "type": kind, "metricSectionId": section, "displayName": name, **flags}


def _bars(name: str, section: str) -> State:
    return {**_chart("BAR", name, section), "runsCountToCompare": 20, "metricKey": name}


def _lines(name: str, section: str, scale: str = "linear") -> State:
    axes = {"xAxisKey": "step", "xAxisScaleType": "linear", "scaleType": scale, "range": {}, "yAxisKey": "metric"}
    rest = {"lineSmoothness": 0, "selectedXAxisMetricKey": "", "yAxisExpressions": [], "ignoreOutliers": False}
    shared = {"useGlobalXaxisKey": True, "useGlobalLineSmoothing": True, "runsCountToCompare": 20}
    keys = {"metricKey": name, "selectedMetricKeys": [name]}
    return {**_chart("LINE", name, section), **keys, **axes, **rest, **shared}


def _parallel(params: list[str], score: str) -> State:
    return {
        **_chart("PARALLEL", "what the good ones have in common", "values"),
        "runsCountToCompare": 100,
        "selectedParams": params,
        "selectedMetrics": [score],
        "showAllRuns": True,
    }


def _packed(name: str, state: State, now: int) -> str:
    packed = base64.b64encode(zlib.compress(json.dumps(state).encode(), 9)).decode()
    return json.dumps({"name": name, "createdAt": now, "updatedAt": now, "state": f"deflate;{packed}"})
