"""What a recorded study leaves for its readers: the report, the tally of its diagnoses, its best model, and where to look."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline import __version__
from pipeline.console.console import Console
from pipeline.diagnosis.diagnose import GOOD
from pipeline.diagnosis.summary import summary
from pipeline.errors import UserError
from pipeline.model.best import best_trial, keeping, train_again
from pipeline.report.figures.network import save_figures
from pipeline.report.table import TrialsTable
from pipeline.report.writer import write_report
from pipeline.search import confirmation
from pipeline.storage.addresses import is_url, redact, sqlite_address, sqlite_file, storage_file
from pipeline.storage.optuna_store import OptunaStore
from pipeline.storage.stores import Stores
from pipeline.study.spec import Study
from pipeline.tracking import Tracker, ui_of

COMPLAINTS = 5
"""So many of the commonest complaints are said."""

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Publication:
    """A study and its records, and what is said meanwhile."""

    study: Study
    stores: Stores
    console: Console
    optuna_store: OptunaStore
    tracker: Tracker

    @property
    def folder(self) -> Path:
        """Where the report goes."""
        return self.stores.folder / "reports" / self.study.name

    def report(self, *, basis: Callable[[], Record] | None) -> None:
        """Write the report, log it to the study's run, register the best model, and say where to look.

        ``basis`` is asked what a model stands on, and is ``None`` if none is wanted.
        """
        trials = self.optuna_store.table()
        if trials.empty:
            raise UserError(
                f"study {self.study.name!r}: no trial of it is recorded yet; there is nothing to report. Run the search first"
            )
        records = trials.to_dict("records")
        diagnosis = self.diagnose(records)
        facts = {
            "declarations": self.optuna_store.declarations,
            "classes": self.optuna_store.classes,
            "diagnosis": diagnosis,
        }
        blas = self.optuna_store.blas
        again = pd.DataFrame(confirmation.confirmed(self.optuna_store))
        self._write(TrialsTable(trials, self.study, {**versions(), **facts, **({"blas": blas} if blas else {})}, again))
        self.tracker.log_metrics({f"health/{word}": count for word, count in diagnosis["health"].items()})
        if basis:
            self.register(records, basis)
        self._say_where()

    def _write(self, table: TrialsTable) -> None:
        report = write_report(table, self.folder)
        self.tracker.log_metrics(report.metrics)
        self.tracker.set_tags(report.tags)
        self.tracker.describe(self.study, report.verdict)
        self.tracker.log_files(self.folder, "report")
        self.optuna_store.illustrate(report.figures)
        self.console.result(f"report: {report.sentence}")
        self.console.result(f"page: {report.page}")
        if self.console.verbose:
            self.console.detail(f"  {sum(path.is_file() for path in self.folder.rglob('*'))} files in {self.folder}")

    def diagnose(self, trials: Sequence[Record]) -> dict[str, Any]:
        """Say how many trials are well, and where in the space the complaints gather; the same as plain values."""
        health = Counter(trial["health"] for trial in trials)
        sentences = [tally.sentence for tally in summary(trials, self.study.space)]
        self.console.say(f"diagnosis: {health[GOOD]:,} of {len(trials):,} trials have nothing wrong")
        for sentence in sentences[:COMPLAINTS]:
            self.console.say(f"  {sentence}")
        return {"health": dict(health.most_common()), "sentences": sentences}

    def register(self, trials: Sequence[Record], basis: Callable[[], Record]) -> None:
        """Train the network of the best trial once more, draw it, and register it as a model; say under what name."""
        if not (record := best_trial(trials)):
            self.console.say("model: none, since every trial diverged")
            return
        best = train_again(self.study, record, basis())
        save_figures(best.pictures, self.folder / "best")
        self.tracker.log_files(self.folder / "best", "best")
        name = f"babysit-{self.study.name}"
        with keeping(best) as kept:
            number, champion = self.tracker.register(name, kept)
        self.console.say(
            f"model: {best.evidence['trial']}, {best.val_accuracy:.3f} of validation rows right, is {name}/{number}"
        )
        self.console.say(f"  {champion}")

    def _say_where(self) -> None:
        uri = self.stores.tracking
        self.console.say("look at every trial in")
        self.console.say(f"  MLflow UI         {redact(uri) if uri.startswith('http') else mlflow_command(uri)}")
        self.console.say(f"    then open       {self.tracker.links(ui_of(self.stores.tracking)).charts}")
        self.console.say(f"  Optuna Dashboard  {dashboard_command(self.stores.storage)}")


def mlflow_command(tracking: str) -> str:
    """The line for a shell that opens MLflow UI on a database, from any folder."""
    file = sqlite_file(tracking)
    address = sqlite_address(file) if file else redact(tracking)
    command = shlex.join(["mlflow", "ui", "--workers", "1", "--backend-store-uri", address])
    return f"MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false {command}"


def dashboard_command(storage: str) -> str:
    """The line for a shell that opens Optuna Dashboard on a storage, from any folder."""
    file = storage_file(storage)
    address = redact(storage) if file is None else sqlite_address(file) if is_url(storage) else str(file)
    return shlex.join(["optuna-dashboard", address])


def versions() -> dict[str, str]:
    """The versions that the numbers were made with."""
    packages = ("numpy", "optuna", "scikit-learn", "scipy", "mlflow")
    return {"babysit": __version__} | {name: version(name) for name in packages}
