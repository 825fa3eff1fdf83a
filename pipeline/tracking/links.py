"""Links into the MLflow UI: a study's run, its report, its trials' curves, and its saved views."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote, urlencode

from pipeline.storage.addresses import redact
from pipeline.study.metrics import ACCURACY
from pipeline.tracking import views

LOCAL_UI = "http://127.0.0.1:5000"

MACHINE_LEARNING = "workflowType=machine_learning"
"""Selects the part of the UI with runs; by default it shows the part for traces of language models."""


def ui_of(store: str) -> str:
    """Return the address of the UI: the server itself or, for a database, the default address of ``mlflow ui``."""
    return redact(store).rstrip("/") if store.startswith("http") else LOCAL_UI


@dataclass(frozen=True)
class Links:
    """The pages of a study's run at a server; without a server, links as the UI itself writes them.

    ``score`` is the key of the trials' best validation value.
    """

    experiment_id: str
    run_id: str
    server: str = ""
    score: str = ACCURACY.best_val

    @property
    def run(self) -> str:
        """The study's run: the verdict, and the report among its artifacts."""
        return f"{self._experiment}/runs/{self.run_id}?{MACHINE_LEARNING}"

    @property
    def report(self) -> str:
        """The report's page, an artifact of the run."""
        return f"{self._experiment}/runs/{self.run_id}/artifacts/report/report.html?{MACHINE_LEARNING}"

    @property
    def charts(self) -> str:
        """The trials' curves as charts, best trial first."""
        return self.trials()

    def trials(self, **tags: str) -> str:
        """Return the page of the trials with these tags, as charts, best trial first."""
        terms = [f"tags.{key} = '{value}'" for key, value in {"kind": "trial", **tags}.items()]
        query = {
            "searchFilter": " and ".join([*terms, f"tags.`mlflow.parentRunId` = '{self.run_id}'"]),
            "orderByKey": f"metrics.`{self.score}`",
            "orderByAsc": "false",
            "compareRunsMode": "CHART",
        }
        return f"{self._experiment}/runs?{MACHINE_LEARNING}&{urlencode(query, quote_via=quote)}"

    def view(self, name: str) -> str:
        """Return a saved view of the study, as charts."""
        query = {"viewStateShareKey": views.key(self.run_id, name), "compareRunsMode": "CHART"}
        return f"{self._experiment}/runs?{MACHINE_LEARNING}&{urlencode(query)}"

    @property
    def _experiment(self) -> str:
        return f"{self.server}{'/' if self.server else ''}#/experiments/{self.experiment_id}"
