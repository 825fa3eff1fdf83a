"""The sections of a suite's page, its key numbers, and the line below the verdict."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from pipeline.report.arm_titles import label, title
from pipeline.report.figures.forest import forest_figure, profile_figure
from pipeline.report.formatting import amount, count, duration, listed, point, points
from pipeline.report.intervals import Interval
from pipeline.report.key_numbers import KeyNumber
from pipeline.report.page import mlflow_run
from pipeline.report.sections import NamedTable, Section
from pipeline.report.suite import experiments
from pipeline.report.suite.analysis import SuiteAnalysis
from pipeline.report.suite.random_effects import DRAWS, FEWEST_SETS
from pipeline.report.suite.sentences import chance
from pipeline.report.suite.set_results import FEWEST_BLOCKS, SetResult
from pipeline.report.suite.verdict import SuiteVerdict


def make_sections(analysis: SuiteAnalysis) -> list[Section]:
    """Return the sections that these studies can fill, in the order of the page. Figures of a suite are added here."""
    writers = (
        _forest,
        _contrasts,
        _sets,
        _profiles,
        experiments.experiments,
        experiments.relevance,
        _methods,
        _limits,
    )
    return [section for writer in writers for section in writer(analysis)]


def _forest(analysis: SuiteAnalysis) -> Iterator[Section]:
    for verdict in analysis.verdicts:
        plot = forest_figure(verdict, analysis.styles, analysis.suite.delta, analysis.suite.objective)
        yield Section(plot.name, plot.title, plots=(plot,))


def _contrasts(analysis: SuiteAnalysis) -> Iterator[Section]:
    tables = (
        NamedTable("contrasts", "The difference over data sets", pd.DataFrame(map(_contrast, analysis.verdicts))),
        NamedTable("chances", "Its probabilities", pd.DataFrame(map(_chances, analysis.verdicts))),
        NamedTable("places", "The studies' own verdicts", pd.DataFrame(map(_places, analysis.verdicts))),
    )
    prose = (
        (
            "The mean is about data sets like these together; the next data set is about one more of them. A probability is the "
            "share of the confidence distribution beyond delta."
        ),
    )
    yield Section("contrasts", "The contrasts", prose, tables=tables)


def _arms(verdict: SuiteVerdict) -> dict[str, str]:
    first, second = verdict.contrast
    return {"first": first.name, "second": second.name}


def _contrast(verdict: SuiteVerdict) -> dict[str, object]:
    spread = verdict.effects.spread if verdict.effects else None
    named = {"difference": verdict.interval, "next_set": verdict.prediction, "sd_over_sets": spread}
    numbers = {
        key: x for name, interval in named.items() if interval is not None for key, x in interval.named(name).items()
    }
    numbers.pop("next_set", None)  # the interval is what is predicted
    return {
        **_arms(verdict),
        "verdict": verdict.label,
        "sets": verdict.effects.sets if verdict.effects else 0,
        **numbers,
    }


def _chances(verdict: SuiteVerdict) -> dict[str, object]:
    named = {"mean": verdict.mean, "next": verdict.next_set}
    numbers = {
        f"{name}_{key}": x for name, found in named.items() if found is not None for key, x in found._asdict().items()
    }
    return {**_arms(verdict), **numbers}


def _places(verdict: SuiteVerdict) -> dict[str, object]:
    left_out = sum(bool(result.left_out) for result in verdict.results)
    return {**_arms(verdict), **verdict.places, "left out": left_out}


def _sets(analysis: SuiteAnalysis) -> Iterator[Section]:
    rows = [_set(analysis, verdict, result) for verdict in analysis.verdicts for result in verdict.results]
    table = NamedTable("sets", "The studies", pd.DataFrame(rows))
    yield Section("sets", "Each study", ("The name of a study leads to its own page.",), tables=(table,))


def _set(analysis: SuiteAnalysis, verdict: SuiteVerdict, result: SetResult) -> dict[str, object]:
    found = next(a for a in analysis.studies.values() if a.study.name == result.study)
    interval = result.interval or Interval(float("nan"), float("nan"), float("nan"))
    return {
        "study": result.study,
        "dataset": result.dataset,
        **_arms(verdict),
        "trials": found.study.trials,
        "blocks": result.difference.blocks if result.difference else found.table.frame["block"].nunique(),
        **interval.named("difference"),
        "first arm is": f"left out: {result.left_out}" if result.left_out else result.place,
        "run": mlflow_run(found),
    }


def _profiles(analysis: SuiteAnalysis) -> Iterator[Section]:
    suite, last = analysis.suite, max(found.study.trials for found in analysis.studies.values())
    plot = profile_figure(analysis.needed, suite.studies[0].arms, analysis.styles, last)
    yield Section("profiles", plot.title, plots=(plot,))


def _methods(analysis: SuiteAnalysis) -> Iterator[Section]:
    suite, metric = analysis.suite, analysis.suite.objective
    declared = listed([f"{study.name} ({study.dataset}, hash {study.hash})" for study in suite.studies])
    prose = (
        (
            "A study gives a contrast one number: the mean over its whole blocks of the difference of the expected value of the "
            "choice, as on its own page, with the variance of that mean. Data sets are a sample: each has a true difference of its "
            "own, normal around a common mean with variance tau²."
        ),
        (
            f"The intervals are quantiles of {DRAWS:,} draws of a confidence distribution: tau² solves Paule and Mandel's equation "
            "Q(tau²) = u for draws u of the chi-squared distribution with k - 1 degrees of freedom (Viechtbauer's Q-profile), the "
            "variances of the noise are drawn from their own degrees of freedom, and the mean from a normal distribution "
            "given both. The next data set adds a draw with variance tau². With equal noise the interval of the mean is Student's t "
            "over data sets. The usual intervals (Hartung and Knapp's; Higgins's for the next set) lost up to 5 and 10 points of "
            "coverage in the simulations of docs/report-statistics.md."
        ),
        (
            f"The contrasts share an error rate of 5% in equal parts. Fewer than {FEWEST_SETS} data sets have no verdict. A study "
            f"whose own verdict is withheld, or that has fewer than {FEWEST_BLOCKS} whole blocks, is left out. An undecided study "
            "counts as any other."
        ),
        f"Declared: suite {suite.name}, hash {suite.hash}; studies {declared}; difference that matters {amount(point(suite.delta, metric), metric)}.",
    )
    yield Section("methods", "How this is computed", prose, folded=True)


def _limits(_: SuiteAnalysis) -> Iterator[Section]:
    prose = (
        (
            "The data sets were chosen, not drawn. The interval of the mean and the next data set are about data sets like these, "
            "and variants of one data set are more alike than others."
        ),
        (
            "Differences over data sets are taken as normal. One data set unlike the others widens every interval, and few data sets "
            "cannot show that there are such."
        ),
        (
            "Each study stops at the look that decides it. A difference at such a look is a little too large on average, as in any "
            "sequential design."
        ),
        "Budgets and spaces may differ between the studies; the difference is that at each study's own budget.",
    )
    yield Section("limits", "What this cannot tell you", prose)


def key_numbers(analysis: SuiteAnalysis) -> list[KeyNumber]:
    """Return the numbers of the headline: the mean, the next data set, and the studies' own verdicts."""
    verdict, metric = analysis.verdict, analysis.suite.objective
    first, second = verdict.contrast
    numbers = []
    if verdict.interval and verdict.prediction and verdict.next_set:
        size, low, high = points(verdict.interval, metric)
        sign = "" if size.startswith("\u2212") or not float(size) else "+"
        of = "points of " if metric.is_share else ""
        caption = f"{of}expected test {metric.title} on average over data sets: {label(first)} minus {label(second)}"
        numbers.append(KeyNumber(f"{sign}{size}", caption, f"95% CI {low} to {high}"))
        _, low, high = points(verdict.prediction, metric)
        delta = analysis.suite.delta
        by = f" by more than {amount(point(delta, metric), metric)}" if delta else ""
        caption = f"probability that {title(first)} is better{by} on the next data set"
        detail = f"difference there {low} to {high} (95% prediction interval)"
        numbers.append(KeyNumber(chance(verdict.next_set.better), caption, detail))
    places = verdict.places
    detail = ", ".join(f"{place} on {n}" for place, n in places.items() if place != "ahead")
    value = f"{places['ahead']} of {sum(places.values())}"
    numbers.append(KeyNumber(value, f"data sets on which {title(first)} is ahead by the study's own verdict", detail))
    return numbers


def facts(analysis: SuiteAnalysis) -> list[str]:
    """Return the line below the verdict: how much was run, and under which hash."""
    frames = [found.table.frame for found in analysis.studies.values()]
    declared, recorded = len(analysis.suite.studies), len(frames)
    return [
        count(recorded, "study", "studies") + ("" if recorded == declared else f" of {declared} recorded"),
        f"{count(sum(map(len, frames)), 'trial')} in all",
        f"{duration(sum(float(frame['seconds'].sum()) for frame in frames))} of training",
        f"suite {analysis.suite.hash}",
    ]
