"""Saved views of a study in the MLflow UI: their columns, charts and groups.

The UI keeps a saved view as a tag of the experiment, and opens it by its key. The format is that of MLflow 3.17. A UI that
does not know the format says so and shows its usual page.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Sequence
from typing import Any

from pipeline.study.spec import Categorical, Study
from pipeline.training.metrics import (
    BEST_EPOCH,
    BEST_VAL_ACCURACY,
    GAP,
    TEST_ACCURACY,
    TRAIN_ACCURACY,
    TRAIN_LOSS,
    VAL_ACCURACY,
    VAL_LOSS,
)

TAG = "mlflow.sharedViewState."
SCORES = (BEST_VAL_ACCURACY, TEST_ACCURACY, GAP, BEST_EPOCH)
ACCURACIES, LOSSES = (VAL_ACCURACY, TRAIN_ACCURACY), (VAL_LOSS, TRAIN_LOSS)
FOLDED = ("test", "initial", "update_ratio", "gradient_norm")
"""Other metrics of every trial. The UI draws each in a section named after the first word of the metric."""
COLUMNS = {"hyperparameters": 1, "accuracies": 2, "losses": 2, "scores": 2}
ARMS, BEST = "arms", "best"


def views(study: Study, run_id: str, now: int) -> dict[str, str]:
    """Return the experiment's tags that hold the views of a study: its arms compared, and its best trials.

    The UI loads 100 runs at first. The view of arms is ordered by trial number, so that these runs are shared equally
    among arms and blocks; the view of the best trials is ordered by validation accuracy. The losses of arms stay folded,
    since diverged trials dominate their mean. The UI does not draw parallel coordinates of groups.
    ``now`` is the views' time in milliseconds since 1970.
    """
    by_arm, by_score = ("accuracies", "scores"), ("hyperparameters", "accuracies", "losses", "scores")
    arms = {
        **_state(study, run_id, by_arm),
        "orderByKey": "tags.`trial`",
        "orderByAsc": True,
        "groupBy": _by_tag("arm"),
    }
    order = {"orderByKey": f"metrics.`{BEST_VAL_ACCURACY}`", "orderByAsc": False}
    best = {**_state(study, run_id, by_score), **order, "groupBy": None}
    named = {ARMS: (f"{study.name}: the arms compared", arms), BEST: (f"{study.name}: the best trials", best)}
    return {TAG + key(run_id, view): _packed(name, state, now) for view, (name, state) in named.items()}


def key(run_id: str, view: str) -> str:
    """Return the key of a view of a study's run."""
    return f"{view}{run_id[:12]}"


def _state(study: Study, run_id: str, unfolded: Sequence[str]) -> dict[str, Any]:
    params = [name if isinstance(d, Categorical) or not d.log else f"log10_{name}" for name, d in study.space.items()]
    columns = [f"metrics.`{name}`" for name in SCORES[:2]] + [f"params.`{name}`" for name in study.space]
    folded = [name for name in ("losses", *FOLDED) if name not in unfolded]
    charts = [_lines(name) for name in (*ACCURACIES, *LOSSES)] + [_bars(name) for name in SCORES]
    return {
        "searchFilter": f"tags.kind = 'trial' and tags.`mlflow.parentRunId` = '{run_id}'",
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": [*columns, "tags.`arm`", "tags.`block`", "tags.`health`"],
        "runsHiddenMode": "FIRST_20_RUNS",
        "compareRunCharts": [*charts, *([_parallel(params)] if "hyperparameters" in unfolded else [])],
        "compareRunSections": [
            *(_section(name, display=True) for name in unfolded),
            *(_section(name, display=False) for name in folded),
        ],
        "isAccordionReordered": True,  # otherwise the UI sorts the sections by name, together with those that it adds
        "hideEmptyCharts": True,
        "useGroupedValuesInCharts": True,
        "globalLineChartConfig": {"xAxisKey": "step", "lineSmoothness": 0, "selectedXAxisMetricKey": ""},
    }


def _by_tag(name: str) -> dict[str, Any]:
    return {"aggregateFunction": "average", "groupByKeys": [{"mode": "tag", "groupByData": name}]}


def _section(name: str, *, display: bool) -> dict[str, Any]:
    flags = {"display": display, "isReordered": False, "deleted": False, "isGenerated": False}
    return {"uuid": name, "name": name, "columns": COLUMNS.get(name, 3), "cardHeight": 360, **flags}


def _chart(kind: str, name: str, section: str) -> dict[str, Any]:
    flags = {"deleted": False, "isGenerated": False}
    return {"uuid": f"{section}-{name}", "type": kind, "metricSectionId": section, "displayName": name, **flags}


def _bars(name: str) -> dict[str, Any]:
    return {**_chart("BAR", name, "scores"), "runsCountToCompare": 20, "metricKey": name}


def _lines(name: str) -> dict[str, Any]:
    # On a linear scale, a diverged trial would flatten the others.
    section, scale = ("losses", "log") if name in LOSSES else ("accuracies", "linear")
    axes = {"xAxisKey": "step", "xAxisScaleType": "linear", "scaleType": scale, "range": {}, "yAxisKey": "metric"}
    rest = {"lineSmoothness": 0, "selectedXAxisMetricKey": "", "yAxisExpressions": [], "ignoreOutliers": False}
    shared = {"useGlobalXaxisKey": True, "useGlobalLineSmoothing": True, "runsCountToCompare": 20}
    keys = {"metricKey": name, "selectedMetricKeys": [name]}
    return {**_chart("LINE", name, section), **keys, **axes, **rest, **shared}


def _parallel(params: list[str]) -> dict[str, Any]:
    return {
        **_chart("PARALLEL", "what the good ones have in common", "hyperparameters"),
        "runsCountToCompare": 100,
        "selectedParams": params,
        "selectedMetrics": [BEST_VAL_ACCURACY],
        "showAllRuns": True,
    }


def _packed(name: str, state: dict[str, Any], now: int) -> str:
    packed = base64.b64encode(zlib.compress(json.dumps(state).encode(), 9)).decode()
    return json.dumps({"name": name, "createdAt": now, "updatedAt": now, "state": f"deflate;{packed}"})
