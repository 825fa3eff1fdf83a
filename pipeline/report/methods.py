"""The last two sections: how the numbers are computed and reproduced, and what they cannot tell."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.report.analysis import Analysis
from pipeline.report.arm_titles import title
from pipeline.report.formatting import amount, count, drawn_again, listed, point
from pipeline.report.importance import SHUFFLES
from pipeline.report.selection import RESAMPLES
from pipeline.report.trials_table import RUN_ADDRESS
from pipeline.study.metrics import ACCURACY, METRICS, Metric
from pipeline.study.spec import Categorical, Study

OTHER_FACTS = ("declarations", "classes", "columns", "diagnosis", "blas", "winner", RUN_ADDRESS)
"""The entries of a provenance that are not versions."""


def methods(analysis: Analysis) -> Iterator[str]:
    """Yield the formulae, the declaration and the versions."""
    study, metric, drawn = analysis.study, analysis.study.objective, drawn_again(analysis.study)
    values = "accuracies" if metric is ACCURACY else f"values of {metric.title}"
    of_first_look, of_arms = ("of the first look's blocks ", "for each arm ") if study.compared else ("", "")
    yield (
        "Best after n: for trials whose order is free (random search, a grid in shuffled order), P(the i-th smallest of the "
        f"M validation {values} of a block is the best of n) = [C(cᵢ, n) - C(cᵢ₋₁, n)] / C(M, n), with cᵢ the number of "
        f"trials at or below it; the curve is the mean test {metric.title} under these weights, which equal trials share. For random search "
        "it is an unbiased estimate, for a whole grid a census of its orders. An adaptive arm's curve is the path it took."
    )
    yield (
        f"Expected {metric.title} of the choice: Σ w m over the trials of an arm in a block, the test {metric.title} of what a search of all "
        f"its trials chooses, over new validation rows and new {drawn}. w is the probability that a trial has the best "
        f"validation {metric.title}, by {RESAMPLES:,} draws of the validation rows, multinomial and the same for all trials, and of "
        f"new {drawn}, which move a trial's {metric.title} by a normal amount ({amount(point(analysis.spread_of_weights, metric), metric)}, "
        f"from the trials {of_first_look}that were trained again twice); m is its mean test {metric.title} over its own training and "
        f"those from new {drawn}. A diverged trial is never chosen."
    )
    if metric is not ACCURACY:
        yield _of_rows(metric)
    if study.compared:
        yield from _of_comparisons(analysis)
    else:
        yield f"Intervals of means are t-intervals over blocks; {_of_best(metric)}."
    yield (
        "Trials needed: for random search ⌈ln(1 - q) / ln(1 - p)⌉ with the exact (Clopper-Pearson) interval of the share p "
        "of its trials that reach the target, over all blocks together unless a chi-square test finds that they differ; for "
        "a grid, exactly from the number of its points that do, or, where only some of its points were visited, as if they were "
        "independent draws; for other arms, from each block's first hit, censored at "
        "the budget (Kaplan and Meier). Over blocks it is the median, with SciPy's distribution-free interval."
    )
    yield (
        f"Importances: Optuna's PED-ANOVA and fANOVA on random search's trials alone, raw, log scales made straight; noise is "
        f"{SHUFFLES} shuffles of the scores within their blocks. The effective number of hyperparameters is 1 / Σ share², "
        f"after noise is taken off. Near-ties: {RESAMPLES:,} draws of the validation examples."
    )
    contrasts = listed([" against ".join(map(title, pair)) for pair in study.compared])
    terms = f", contrasts {contrasts}, difference that matters {_delta(study)}" if contrasts else ""
    yield (
        f"Declared: study {study.name}, hash {study.hash}, data set {study.dataset}{terms}, {count(study.trials, 'trial')} "
        f"{of_arms}in each block, seed {study.seed}."
    )
    if study.model:
        yield (
            f"The model is {study.model}. A trial gets the same rows, parameters and seed with any number of workers and after "
            "any stop; it repeats to the bit where the model does."
        )
    if analysis.confirmations:
        seeds = (
            "The seeds of the repetitions derive from the block and the repetition, and the arms share them; the rows and the "
            "parameters are those of the trial."
            if study.model
            else "The seeds of the new weights derive from the block and the repetition, and the arms share them; the split, the "
            "order of the minibatches and the hyperparameters are those of the trial."
        )
        yield (
            f"Trained again: in each block the trial of the best validation {metric.title}, the first of equals, and those that would "
            f"most probably be chosen if the validation rows alone are drawn again, in proportion to that probability. {seeds}"
        )
    yield from _provenance(analysis)


def _of_rows(metric: Metric) -> str:
    """Return how the rows of a metric other than accuracy are drawn again."""
    return (
        f"Rows drawn again: {metric.title} is the mean of one score for each row, rounded to 256 steps. A draw takes the mean of "
        + (
            "the scores of its rows, which are the logarithms of the probabilities of their labels."
            if metric is METRICS["neg_log_loss"]
            else f"the scores of its rows: the {metric.title} plus each row's influence on it (the delta method; for an AUC the "
            "components of DeLong et al. 1988)."
        )
    )


def _of_best(metric: Metric) -> str:
    kind = "Wilson's" if metric is ACCURACY else "normal, on the logit scale" if metric.is_share else "normal"
    return f"that of the best network's {metric.title} is {kind}, over rows"


def _delta(study: Study) -> str:
    return f"{100 * study.delta:g} points" if study.objective.is_share else f"{study.delta:g}"


def _of_comparisons(analysis: Analysis) -> Iterator[str]:
    """Yield the formulae of the verdicts and of what goes with them."""
    looks = analysis.rules.looks
    yield (
        f"Verdict: the contrasts share an error rate of 5%, in equal parts; the looks after {listed([*map(str, looks[:-1]), count(looks[-1], 'block')])} "
        "spend a contrast's part in proportion to the blocks (Lan and DeMets's spending, integrated for the mean of normal "
        "blocks), and each boundary is one of Student's t. So the intervals of all contrasts and looks hold together with 95%. "
        "A contrast is ahead if this interval leaves out 0 and exact sign flips agree at the same level; it is equal enough if "
        "two one-sided tests at this level, 90% together, lie inside ±delta. No interval is narrower than the rows allow: "
        "-ln(p) / (blocks · test rows) on each side. What one look decides stays decided."
    )
    yield (
        f"Other intervals of means are t-intervals over blocks, {_of_best(analysis.study.objective)}; p is by "
        "sign flips, exact up to 16 blocks, over 99,999 random ones beyond."
    )
    yield (
        "Trials that match: the first number of trials at which the arm's curve reaches what the other scored after all of its "
        "trials, in the mean over blocks. The interval goes from the first number at which the t-interval of the difference "
        "reaches 0 to the first at which it lies above 0."
    )
    yield (
        "Probability of a win: exact within a block from the weights above. After all trials of a pool a block is a plain "
        "win, loss or draw, and the interval is Clopper and Pearson's; before, it is a t-interval over blocks."
    )


def _provenance(analysis: Analysis) -> Iterator[str]:
    facts = analysis.table.provenance
    if versions := [f"{name} {version}" for name, version in sorted(facts.items()) if name not in OTHER_FACTS]:
        yield f"Versions: {', '.join(versions)}."
    if facts.get("blas"):
        yield f"BLAS that the trials were trained on: {'; '.join(facts['blas'])}."
    yield "This report is made only from trials.parquet, next to it; a report made again from that file is the same to the byte."


def limits(analysis: Analysis) -> Iterator[str]:
    """Yield what a reader must not conclude from this report."""
    study = analysis.study
    by = ", by about 0.05 points in simulations" if study.objective is ACCURACY else ""
    yield f"One data set ({study.dataset}): another data set may give another answer."
    if study.order or study.split:
        yield (
            f"The test rows are the same in every block, by {'order' if study.order else 'split'}="
            f"{study.order or study.split!r}: the intervals hold for new searches on these splits, not for new data."
        )
    else:
        yield (
            "The blocks split the same rows in different ways, so they overlap: the intervals hold for new splits of this data "
            "set, not for new data."
        )
    if analysis.comparison:
        yield (
            "The validation rows are drawn again from those of the block, so their luck counts twice. That draws differences "
            f"towards 0{by}."
        )
        yield (
            "A rare failure: if an arm fails badly in one block of twenty, ten blocks often hold no such block, and then neither "
            "mean nor interval knows of it. No interval over so few blocks can."
        )
    yield "One search space: a narrower or wider one is harder or easier to search, which changes every number here."
    if any(arm.is_grid for arm in analysis.arms):
        yield "One resolution of the grid: a grid with more or fewer levels may score differently."
    if any(arm.sampler == "cmaes" for arm in analysis.arms) and any(
        isinstance(d, Categorical) for d in study.space.values()
    ):
        yield "CMA-ES models numbers alone: its categorical hyperparameters were drawn at random."
