"""Views of the MLflow UI that are set up beforehand: which columns, which charts, grouped by what, so that nobody has to click.

The UI keeps a saved view as a tag of the experiment, and opens it by its key. The form is that of MLflow 3.17; a UI that
does not know it says so and shows its usual page.
"""

from __future__ import annotations

import base64
import json
import zlib
from typing import Any
from urllib.parse import urlencode

from pipeline.spec import Categorical, Study

TAG = "mlflow.sharedViewState."
SCORES = ("best/val_accuracy", "test/accuracy", "gap", "best/epoch")
CURVES = ("val/accuracy", "val/loss", "train/accuracy", "train/loss")
ARMS, BEST = "arms", "best"


def views(study: Study, run_id: str, now: int) -> dict[str, str]:
    """The experiment's tags that hold the views of a study: its arms beside each other, and its best trials.

    The UI loads 100 runs at first. The arms' are ordered by trial number, so that those are as many of every arm and
    block; the best trials' by validation accuracy.
    """
    arms = {**_state(study, run_id), "orderByKey": "tags.`trial`", "orderByAsc": True, "groupBy": _by_tag("arm")}
    best = {**_state(study, run_id), "orderByKey": "metrics.`best/val_accuracy`", "orderByAsc": False, "groupBy": None}
    named = {ARMS: (f"{study.name}: the arms compared", arms), BEST: (f"{study.name}: the best trials", best)}
    return {TAG + key(run_id, view): _packed(name, state, now) for view, (name, state) in named.items()}


def key(run_id: str, view: str) -> str:
    """What the UI calls a view of a study's run."""
    return f"{view}{run_id[:12]}"


def link(server: str, experiment_id: str, run_id: str, view: str) -> str:
    """Where the UI shows a view, as charts."""
    query = {"workflowType": "machine_learning", "viewStateShareKey": key(run_id, view), "compareRunsMode": "CHART"}
    return f"{server}/#/experiments/{experiment_id}/runs?{urlencode(query)}"


def _state(study: Study, run_id: str) -> dict[str, Any]:
    params = [name if isinstance(d, Categorical) or not d.log else f"log10_{name}" for name, d in study.space.items()]
    columns = [f"metrics.`{name}`" for name in SCORES[:2]] + [f"params.`{name}`" for name in study.space]
    charts = [_lines(name) for name in CURVES] + [_bars(name) for name in SCORES] + [_parallel(params)]
    return {
        "searchFilter": f"tags.kind = 'trial' and tags.`mlflow.parentRunId` = '{run_id}'",
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": [*columns, "tags.`arm`", "tags.`block`", "tags.`health`"],
        "runsHiddenMode": "FIRST_20_RUNS",
        "compareRunCharts": charts,
        "compareRunSections": [_section("curves"), _section("scores"), _section("hyperparameters")],
        "hideEmptyCharts": True,
        "useGroupedValuesInCharts": True,
        "globalLineChartConfig": {"xAxisKey": "step", "lineSmoothness": 0, "selectedXAxisMetricKey": ""},
    }


def _by_tag(name: str) -> dict[str, Any]:
    return {"aggregateFunction": "average", "groupByKeys": [{"mode": "tag", "groupByData": name}]}


def _section(name: str) -> dict[str, Any]:
    return {"uuid": name, "name": name, "display": True, "isReordered": False, "deleted": False, "isGenerated": False}


def _chart(kind: str, name: str, section: str) -> dict[str, Any]:
    flags = {"deleted": False, "isGenerated": False}
    return {"uuid": f"{section}-{name}", "type": kind, "metricSectionId": section, "displayName": name, **flags}


def _bars(name: str) -> dict[str, Any]:
    return {**_chart("BAR", name, "scores"), "runsCountToCompare": 20, "metricKey": name}


def _lines(name: str) -> dict[str, Any]:
    scale = "log" if name.endswith("loss") else "linear"  # a trial that diverges would flatten the others
    axes = {"xAxisKey": "step", "xAxisScaleType": "linear", "scaleType": scale, "range": {}, "yAxisKey": "metric"}
    rest = {"lineSmoothness": 0, "selectedXAxisMetricKey": "", "yAxisExpressions": [], "ignoreOutliers": False}
    shared = {"useGlobalXaxisKey": True, "useGlobalLineSmoothing": True, "runsCountToCompare": 20}
    keys = {"metricKey": name, "selectedMetricKeys": [name]}
    return {**_chart("LINE", name, "curves"), **keys, **axes, **rest, **shared}


def _parallel(params: list[str]) -> dict[str, Any]:
    made = _chart("PARALLEL", "what the good ones have in common", "hyperparameters")
    return {
        **made,
        "runsCountToCompare": 100,
        "selectedParams": params,
        "selectedMetrics": ["best/val_accuracy"],
        "showAllRuns": True,
    }


def _packed(name: str, state: dict[str, Any], now: int) -> str:
    packed = base64.b64encode(zlib.compress(json.dumps(state).encode(), 9)).decode()
    return json.dumps({"name": name, "createdAt": now, "updatedAt": now, "state": f"deflate;{packed}"})
