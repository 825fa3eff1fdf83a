"""The last two sections: how the numbers are computed and reproduced, and what they cannot tell."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.report.analysis import Analysis
from pipeline.report.formatting import count, listed, title
from pipeline.report.importance import SHUFFLES
from pipeline.report.selection import RESAMPLES
from pipeline.study.spec import Categorical

OTHER_FACTS = ("declarations", "classes", "diagnosis", "blas")
"""The entries of a provenance that are not versions."""


def methods(analysis: Analysis) -> Iterator[str]:
    """Yield the formulae, the declaration and the versions."""
    study = analysis.study
    yield (
        "Best after n: for trials whose order is free (random search, a grid in shuffled order), P(the i-th smallest of the "
        "M validation accuracies of a block is the best of n) = [C(cᵢ, n) - C(cᵢ₋₁, n)] / C(M, n), with cᵢ the number of "
        "trials at or below it; the curve is the mean test accuracy under these weights, which equal trials share. For random search "
        "it is an unbiased estimate, for a whole grid a census of its orders. An adaptive arm's curve is the path it took."
    )
    yield (
        "Intervals of means are t-intervals over blocks. p is exact, over all signs of the blocks' differences (99,999 "
        "random ones from 17 blocks on). Equality is two one-sided tests at 0.05: the 90% interval inside ±delta. The "
        "detectable difference is (t₀.₉₇₅ + t₀.₈) s / √K, and for 6, 7 and 8 blocks 1.27, 1.07 and 1.04 times that, since "
        "sign flips over so few blocks detect less. Only the difference after the last trial is tested."
    )
    yield (
        "Trials needed: for random search ⌈ln(1 - q) / ln(1 - p)⌉ with the exact (Clopper-Pearson) interval of the share p "
        "of its trials that reach the target, over all blocks together unless a chi-square test finds that they differ; for "
        "a grid, exactly from the number of its points that do, or, where only some of its points were visited, as if they were "
        "independent draws; for other arms, from each block's first hit, censored at "
        "the budget (Kaplan and Meier). Over blocks it is the median, with SciPy's distribution-free interval."
    )
    yield (
        "Probability of a win: exact within a block from the weights above. After all trials of a pool a block is a plain "
        "win, loss or draw, and the interval is Clopper and Pearson's; before, it is a t-interval over blocks."
    )
    yield (
        f"Importances: Optuna's PED-ANOVA and fANOVA on random search's trials alone, raw, log scales made straight; noise is "
        f"{SHUFFLES} shuffles of the scores within their blocks. The effective number of hyperparameters is 1 / Σ share², "
        f"after noise is taken off. Near-ties: {RESAMPLES:,} draws of the validation examples."
    )
    yield (
        f"Declared: study {study.name}, hash {study.hash}, data set {study.dataset}, contrast "
        f"{listed([title(arm) for arm in study.contrast])}, {count(study.blocks, 'block')} of {count(study.trials, 'trial')} "
        f"for each arm, difference that matters {100 * study.delta:g} points, seed {study.seed}."
    )
    if analysis.confirmations:
        yield (
            "Trained again: in each block the trial of the best validation accuracy, the first of equals, from weights whose "
            "seeds derive from the block and the repetition, and are shared by the arms; the split, the order of the "
            "minibatches and the hyperparameters are those of the trial. A block's value is the mean over its repetitions, "
            "and intervals are t-intervals over blocks."
        )
    yield from _provenance(analysis)


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
    yield f"One data set ({study.dataset}): another data set may give another answer."
    yield (
        "The blocks split the same rows in different ways, so they overlap: the intervals hold for new splits of this data "
        "set, not for new data."
    )
    yield "One search space: a narrower or wider one is harder or easier to search, which changes every number here."
    if any(arm.is_grid for arm in analysis.arms):
        yield "One resolution of the grid: a grid with more or fewer levels may score differently."
    if any(arm.sampler == "cmaes" for arm in analysis.arms) and any(
        isinstance(d, Categorical) for d in study.space.values()
    ):
        yield "CMA-ES models numbers alone: its categorical hyperparameters were drawn at random."
