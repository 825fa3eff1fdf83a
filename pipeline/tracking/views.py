"""Views of the MLflow UI that are set up beforehand: which columns, which charts, grouped by what, so that nobody has to click.

The UI keeps a saved view as a tag of the experiment, and opens it by its key. The form is that of MLflow 3.17; a UI that
does not know it says so and shows its usual page.
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
"""What every trial has beside: the UI draws a chart of each number that has none, in a section by its name's first word."""
COLUMNS = {"hyperparameters": 1, "accuracies": 2, "losses": 2, "scores": 2}
ARMS, BEST = "arms", "best"


def views(study: Study, run_id: str, now: int) -> dict[str, str]:
    """The experiment's tags that hold the views of a study: its arms beside each other, and its best trials.

    The UI loads 100 runs at first. The arms' are ordered by trial number, so that those are as many of every arm and
    block; the best trials' by validation accuracy. An arm's losses stay folded, since their mean is that of its trials
    that diverge; and it has no parallel coordinates, which the UI does not draw of groups.
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
    """What the UI calls a view of a study's run."""
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
        "isAccordionReordered": True,  # else the UI sorts the sections by name, with those that it adds
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
    section, scale = (
        ("losses", "log") if name in LOSSES else ("accuracies", "linear")
    )  # a trial that diverges would flatten the others
    axes = {"xAxisKey": "step", "xAxisScaleType": "linear", "scaleType": scale, "range": {}, "yAxisKey": "metric"}
    rest = {"lineSmoothness": 0, "selectedXAxisMetricKey": "", "yAxisExpressions": [], "ignoreOutliers": False}
    shared = {"useGlobalXaxisKey": True, "useGlobalLineSmoothing": True, "runsCountToCompare": 20}
    keys = {"metricKey": name, "selectedMetricKeys": [name]}
    return {**_chart("LINE", name, section), **keys, **axes, **rest, **shared}


def _parallel(params: list[str]) -> dict[str, Any]:
    made = _chart("PARALLEL", "what the good ones have in common", "hyperparameters")
    return {
        **made,
        "runsCountToCompare": 100,
        "selectedParams": params,
        "selectedMetrics": [BEST_VAL_ACCURACY],
        "showAllRuns": True,
    }


def _packed(name: str, state: dict[str, Any], now: int) -> str:
    packed = base64.b64encode(zlib.compress(json.dumps(state).encode(), 9)).decode()
    return json.dumps({"name": name, "createdAt": now, "updatedAt": now, "state": f"deflate;{packed}"})
