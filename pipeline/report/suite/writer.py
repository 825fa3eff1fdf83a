"""Writes the page of a suite: its files, and its results for the suite's run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.report.analysis import Analysis
from pipeline.report.arm_titles import label
from pipeline.report.display import display
from pipeline.report.formatting import listed
from pipeline.report.intervals import Interval
from pipeline.report.page import FILES, render, web_address
from pipeline.report.suite.analysis import SuiteAnalysis
from pipeline.report.suite.sections import facts, key_numbers, make_sections
from pipeline.report.suite.set_results import SetResult
from pipeline.report.suite.verdict import SuiteVerdict
from pipeline.report.writer import write_pages, write_sections
from pipeline.study.suite import Suite


@dataclass(frozen=True)
class SuiteReport:
    """The results of a suite's report, as :class:`pipeline.report.writer.Report` has those of a study."""

    verdicts: tuple[str, ...]
    sentences: tuple[str, ...]
    metrics: dict[str, float]
    tags: dict[str, str]
    page: Path


def write_suite_report(
    suite: Suite,
    analyses: Mapping[str, Analysis],
    folder: Path,
    mlflow_run: str = "",
    notes: Sequence[str] = (),
    failures: Mapping[str, str] | None = None,
) -> SuiteReport:
    """Write the report over a suite's studies into a folder.

    Parameters
    ----------
    suite
        The suite.
    analyses
        The analysis of each recorded study, by its name in the suite.
    folder
        The folder of the files; those of the studies are next to it.
    mlflow_run
        The address of the suite's run in MLflow UI.
    notes
        Sentences for the reader that leave the verdicts valid.
    failures
        Why a study has no analysis, if it failed, by its name.
    """
    ordered = {study.name: analyses[study.name] for study in suite.studies if study.name in analyses}
    analysis = SuiteAnalysis(suite, ordered)
    sections, labels = make_sections(analysis), {arm.name: label(arm) for arm in suite.studies[0].arms}
    absent = {study.name: (failures or {}).get(study.name, "") for study in suite.studies if study.name not in ordered}
    sentences = [note for verdict in analysis.verdicts for note in verdict.notes] + missing(absent)
    context: dict[str, Any] = {
        "study": suite,
        "verdicts": analysis.verdicts,
        "sentences": sentences,
        "notes": notes,
        "key_numbers": key_numbers(analysis),
        "facts": facts(analysis),
        "winner": None,
        "sections": sections,
        "mlflow_run": web_address(mlflow_run),
        "display": lambda name, frame: display(name, frame, labels, suite.objective),
        "files": FILES,
        "run_name": "the suite's run",
    }
    write_sections(sections, folder)
    write_pages(folder, render(context), {**summary(analysis), "missing": absent})
    verdicts = tuple(verdict.sentence for verdict in analysis.verdicts)
    return SuiteReport(verdicts, (*verdicts, *sentences), metrics(analysis), tags(analysis), folder / "report.html")


def missing(absent: Mapping[str, str]) -> list[str]:
    """Return a sentence on the studies without an analysis, with the reasons of those that failed; none without any."""
    found = [f"{name} ({reason.rstrip('.') or 'not recorded yet'})" for name, reason in absent.items()]
    return [f"Missing from the verdict: {listed(found)}."] if found else []


def change_notes(suite: Suite, first: Sequence[str]) -> list[str]:
    """Return a note if the suite's studies are not those that it was ``first`` declared with."""
    names = [study.name for study in suite.studies]
    added = [name for name in names if name not in first]
    dropped = [name for name in first if name not in names]
    changes = [f"{verb} {listed(found)}" for verb, found in (("gained", added), ("lost", dropped)) if found]
    if not changes:
        return []
    return [
        f"Since its first run the suite has {listed(changes)}. Data sets that are chosen after a look at results can tilt the mean."
    ]


def summary(analysis: SuiteAnalysis) -> dict[str, Any]:
    """Return the content of ``verdict.json``."""
    suite = analysis.suite
    return {
        "suite": suite.name,
        "question": suite.question,
        "suite_hash": suite.hash,
        "delta": suite.delta,
        "studies": [study.name for study in suite.studies],
        "recorded": [found.study.name for found in analysis.studies.values()],
        "contrasts": [_contrast(verdict) for verdict in analysis.verdicts],
        "metrics": metrics(analysis),
    }


def _contrast(verdict: SuiteVerdict) -> dict[str, Any]:
    return {
        "arms": [arm.name for arm in verdict.contrast],
        "rule": verdict.rule,
        "label": verdict.label,
        "leader": verdict.leader,
        "sentence": verdict.sentence,
        "notes": list(verdict.notes),
        **{name: _ends(interval) for name, interval in _intervals(verdict).items()},
        "mean": verdict.mean._asdict() if verdict.mean else None,
        "next_set": verdict.next_set._asdict() if verdict.next_set else None,
        "places": verdict.places,
        "sets": [_set(result) for result in verdict.results],
    }


def _set(result: SetResult) -> dict[str, Any]:
    return {
        "study": result.study,
        "dataset": result.dataset,
        "place": result.place,
        "label": result.verdict.label,
        "difference": _ends(result.interval),
        "variance": result.difference.variance if result.difference else None,
        "blocks": result.difference.blocks if result.difference else None,
        "left_out": result.left_out,
    }


def _intervals(verdict: SuiteVerdict) -> dict[str, Interval | None]:
    return {
        "difference": verdict.interval,
        "equality": verdict.equality_interval,
        "prediction": verdict.prediction,
        "sd_over_sets": verdict.effects.spread if verdict.effects else None,
    }


def _ends(interval: Interval | None) -> dict[str, float | None] | None:
    """Return an interval as plain values; JSON has no NaN."""
    values = {"estimate": interval.estimate, "low": interval.low, "high": interval.high} if interval else {}
    return {key: x if math.isfinite(x) else None for key, x in values.items()} or None


def metrics(analysis: SuiteAnalysis) -> dict[str, float]:
    """Return the numbers of the headline under ``report/``, then those of each contrast under its arms' names."""
    values: dict[str, float] = {}
    for verdict in reversed(analysis.verdicts):
        numbers: dict[str, float] = {f"sets_{key.replace(' ', '_')}": n for key, n in verdict.places.items()}
        for name, interval in _intervals(verdict).items():
            if interval and name != "equality":
                numbers |= interval.named(name)
        for name, chances in {"mean": verdict.mean, "next_set": verdict.next_set}.items():
            numbers |= {f"p_{name}_{key}": p for key, p in chances._asdict().items()} if chances else {}
        contrast = "-".join(arm.name for arm in verdict.contrast)
        values |= numbers | {f"{contrast}/{key}": x for key, x in numbers.items()}
    return {f"report/{key}": float(value) for key, value in values.items()}


def tags(analysis: SuiteAnalysis) -> dict[str, str]:
    """Return the verdict in words, as tags of the suite's run."""
    verdict = analysis.verdict
    return {
        "report/verdict": verdict.sentence,
        "report/label": verdict.label,
        "report/leader": verdict.leader or "none",
        "report/contrast": " - ".join(arm.name for arm in verdict.contrast),
        "report/suite_hash": analysis.suite.hash,
    }
