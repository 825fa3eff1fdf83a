"""Checks of the labels: a network must learn from the true labels, and nothing from shuffled ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np

from pipeline.checks import CheckResult
from pipeline.data import Dataset, Split
from pipeline.nn.layers import Array, Workspace
from pipeline.nn.network import forward
from pipeline.study.hparams import HyperParams, TrainConfig
from pipeline.study.metrics import ACCURACY
from pipeline.study.spec import Study
from pipeline.training import run_epochs, train
from pipeline.training.lockstep import make_tiles
from pipeline.training.metrics import VAL_ACCURACY

EPOCHS, STEPS = 5, 50
"""The least number of epochs and of steps. In a small table, an epoch has only one or two steps."""
RATES = (1e-4, 1e-3, 0.01, 0.1, 1.0)
"""Learning rates. Pixels up to 255 need the first, standardised ones the last."""
MAX_ROWS = 1000
"""The most rows that the first attempt takes."""
ATTEMPTS = (1, 4)
"""What :data:`MAX_ROWS` and the steps are multiplied by in the first and the second attempt."""
FOLDS = 4
PERMUTATIONS = 3999
LEVEL = 5e-4
"""The share of shuffled tables that pass an attempt, where there are rows enough."""
TREES = 200
"""The trees of the random forest that is asked after the networks."""
WEAK_AUC, MISSED = 0.75, 0.01
"""A signal of this size is refused this often in a table that is too small for :data:`LEVEL`. With 0.75, 1 of 290 checks of sound
tables failed, and 29 of 30 shuffled tables of 64 to 481 rows; with 0.65, 20 of these; with 0.8, 3 of the sound ones."""
ROUNDING = 1e-9
SHUFFLES = 5
ERRORS = 8.0
"""Standard errors above a guess that are not chance: 1 in 1,500 for five shuffles (Student's t, four degrees of freedom)."""


def label_checks(study: Study, data: Dataset) -> Iterator[CheckResult]:
    """Train a few epochs on the true labels, and on the same labels shuffled; score both on held-out rows."""
    yield labels_belong(clearest_signal(study, data))
    yield shuffled_teach_nothing(study, data)


def clearest_signal(study: Study, data: Dataset) -> Signal:
    """Return the first signal that shuffles hardly ever give: of networks, of longer training, of a random forest.

    The forest tells labels that do not belong from a table that such short training cannot learn. Without a clear signal,
    that of the smallest p is returned.
    """
    signals = []
    for attempt in ATTEMPTS:
        signals.append(find_signal(study, data, attempt))
        if signals[-1].found:
            return signals[-1]
    return min([*signals[1:], forest_signal(data)], key=lambda signal: signal.p)


@dataclass(frozen=True)
class Signal:
    """How well networks, or a forest, rank rows that they did not train on by their classes.

    Attributes
    ----------
    auc
        The area under the ROC curve of each class against the others, averaged; 0.5 is chance.
    p
        The share of shuffles of the labels whose area is as large, with the true labels as one of them.
    limit
        The greatest p that counts as a signal.
    rows
        The number of rows.
    forest
        True for a random forest.

    """

    auc: float
    p: float
    limit: float
    rows: int
    forest: bool = False

    @property
    def found(self) -> bool:
        """True if shuffles hardly ever give so large an area."""
        return self.p <= LEVEL


def labels_belong(signal: Signal) -> CheckResult:
    """Check that networks that learned from the true labels rank the classes of held-out rows better than chance.

    A random forest suffices. A table of few rows passes with advice if a weak signal could look like its own.
    """
    passed = signal.p <= signal.limit
    message = (
        f"area under the ROC curve {signal.auc:.3f}{' of a random forest' * signal.forest} on {signal.rows:,} held-out rows, "
        "a guess has 0.5; "
        f"p = {signal.p:.2g} over {PERMUTATIONS:,} shuffles of the labels"
    )
    advice = "" if passed else "look for rows and labels that were shuffled apart, and for inputs without a signal"
    if signal.found and signal.forest:
        advice = "a few epochs of the network learn nothing here, and a random forest does: is the space right for these rows?"
    if passed and not signal.found:
        advice = "so few rows cannot tell whether the labels belong to them; the search goes on"
    metrics = {"check/true_labels_auc": signal.auc, "check/true_labels_p": signal.p}
    return CheckResult("labels belong to inputs", passed, message, advice, metrics)


def find_signal(study: Study, data: Dataset, attempt: int = 1) -> Signal:
    """Rank each row by networks that were trained on the other folds, and test the ranks against shuffled labels.

    Within its fold, a row has a rank in each logit. The statistic is the sum over rows of the rank in the logit of the
    row's class. That is Wilcoxon's statistic of each class against the others, summed; it does not depend on how frequent
    the classes are. Each learning rate has its statistic, divided by its standard deviation over the shuffles; the
    greatest counts (Westfall and Young, 1993). A shuffle permutes the labels within folds, and trains nothing.

    Parameters
    ----------
    study
        Its fixed hyperparameters and settings.
    data
        The block whose training and validation rows are taken.
    attempt
        Multiplies the greatest number of rows, and the steps.

    """

    def scores(training: Dataset, inputs: Array) -> Iterator[Array]:
        config = _brief(study.config, len(training.train), attempt)
        return _logits(study.fixed, config, training, inputs)

    return _cross_fitted(data, attempt, scores)


def forest_signal(data: Dataset) -> Signal:
    """Rank each row by a random forest that was trained on the other folds, as :func:`find_signal` does by networks."""
    from sklearn.ensemble import RandomForestClassifier  # takes a second to import

    def scores(training: Dataset, inputs: Array) -> Iterator[Array]:
        forest = RandomForestClassifier(TREES, min_samples_leaf=2, random_state=0)
        forest.fit(training.train.inputs, training.train.labels)
        shares = np.zeros((len(inputs), data.classes))
        shares[:, forest.classes_] = forest.predict_proba(inputs)
        yield shares

    return replace(_cross_fitted(data, ATTEMPTS[-1], scores), forest=True)


def _cross_fitted(data: Dataset, attempt: int, scores: Callable[[Dataset, Array], Iterable[Array]]) -> Signal:
    """Test the ranks of rows by the scores (N, C) of each of several models, which are trained on the other folds."""
    from scipy.stats import rankdata  # takes a second to import

    rng = np.random.default_rng(attempt)
    rows = _drawn(data, attempt * MAX_ROWS, rng)
    folds = _folds(rows.labels, rng)
    ranks: list[Array] = []
    for held_out in folds:
        rest = np.setdiff1d(np.arange(len(rows)), held_out)
        training = replace(data, train=rows.take(rest), val=rows.empty)
        for model, of_rows in enumerate(scores(training, rows.inputs[held_out])):
            if model == len(ranks):
                ranks.append(np.zeros((len(rows), data.classes)))
            if np.isfinite(of_rows).all():  # a network that diverged tells nothing: its ranks stay 0
                ranks[model][held_out] = rankdata(of_rows, axis=0) / (len(held_out) + 1) - 0.5
    return signal_of(np.array(ranks), rows.labels, folds, rng)


def _drawn(data: Dataset, limit: int, rng: np.random.Generator) -> Split:
    """Return at most ``limit`` of the training and validation rows, drawn at random."""
    kept = np.sort(rng.permutation(len(data.train) + len(data.val))[:limit])
    cut = int(np.searchsorted(kept, len(data.train)))
    parts = data.train.take(kept[:cut]), data.val.take(kept[cut:] - len(data.train))  # only these rows are copied
    return Split(np.concatenate([p.inputs for p in parts]), np.concatenate([p.labels for p in parts]))


def _folds(labels: Array, rng: np.random.Generator) -> list[Array]:
    """Divide the rows at random into folds that have the classes in equal shares; return the places of each."""
    order = rng.permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    return [np.sort(order[start::FOLDS]) for start in range(FOLDS)]


def _logits(fixed: HyperParams, config: TrainConfig, data: Dataset, inputs: Array) -> Iterator[Array]:
    """Yield the logits (N, C) of rows for each learning rate."""
    for rate in RATES:
        tiles = make_tiles(
            [replace(fixed, learning_rate=rate, l2=0.0)], data.features, data.classes, config, data.shape
        )
        run_epochs(tiles, data, config, np.random.default_rng(fixed.seed))
        with np.errstate(all="ignore"):  # of a network that diverged
            network = tiles[0].network
            yield forward(network, inputs, Workspace(1, len(inputs), config.dtype), training=False)[-1][0]


def signal_of(ranks: Array, labels: Array, folds: Sequence[Array], rng: np.random.Generator) -> Signal:
    """Test whether rows have greater ranks (R, N, C) in their own class than shuffled rows, by the best of R models."""
    true, shuffled, size = np.zeros(len(ranks)), np.zeros((PERMUTATIONS, len(ranks))), 0.0
    for fold in folds:
        own = labels[fold]
        counts = np.bincount(own)
        size += float((counts * (len(fold) - counts)).sum()) / (len(fold) + 1)
        shuffles = rng.permuted(np.tile(own, (PERMUTATIONS, 1)), axis=1)
        for rate, of_rate in enumerate(ranks[:, fold]):
            places = np.arange(len(fold))
            true[rate] += of_rate[places, own].sum()
            shuffled[:, rate] += of_rate[places, shuffles].sum(axis=1)
    spreads = shuffled.std(axis=0)
    spreads[spreads == 0] = math.inf  # equal outputs for all rows
    scores = true / spreads
    best, normal = int(scores.argmax()), NormalDist()
    as_great = (shuffled / spreads).max(axis=1) >= scores[best] - ROUNDING
    spread = max(spreads[np.isfinite(spreads)], default=math.inf)  # equal ranks would have a smaller one
    expected = (WEAK_AUC - 0.5) * size / float(spread)
    return Signal(
        auc=0.5 + float(true[best]) / size,
        p=(1 + int(as_great.sum())) / (PERMUTATIONS + 1),
        limit=max(LEVEL, 1 - normal.cdf(expected + normal.inv_cdf(MISSED))),
        rows=len(labels),
    )


def shuffled_teach_nothing(study: Study, data: Dataset) -> CheckResult:
    """Check that training on shuffled labels scores no more than the most frequent class.

    A network that has learned nothing still gives similar rows the same output. So chance varies more than independent
    guesses would, and its size is estimated from several shuffles.
    """
    rng = np.random.default_rng(0)
    rows, held_out = (_sample(split, rng) for split in (data.train, data.val))
    data, config = replace(data, val=held_out), _brief(study.config, len(rows))
    control = np.array(
        [
            _accuracies(study.fixed, config, data, Split(rows.inputs, rng.permutation(rows.labels))).mean()
            for _ in range(SHUFFLES)
        ]
    )
    guess = float(np.bincount(held_out.labels).max()) / len(held_out)
    spread = max(float(control.std(ddof=1)), math.sqrt(guess * (1 - guess) / len(held_out)))
    limit, mean = min(1.0, guess + ERRORS * spread / math.sqrt(len(control))), float(control.mean())
    advice = "" if mean <= limit else "look for a leak of labels into inputs or into the scoring"
    message = f"{mean:.3f} of held-out rows right; a guess has {guess:.3f}, and chance at most {limit:.3f}"
    metrics = {"check/shuffled_labels_accuracy": mean}
    return CheckResult("shuffled labels teach nothing", mean <= limit, message, advice, metrics)


def _sample(rows: Split, rng: np.random.Generator) -> Split:
    """Return at most :data:`MAX_ROWS` rows, drawn at random: a file may be sorted by class."""
    return rows.take(rng.permutation(len(rows))[:MAX_ROWS])


def _brief(config: TrainConfig, rows: int, attempt: int = 1) -> TrainConfig:
    """The settings for a short training on ``rows`` rows that is long enough to learn something."""
    size = min(config.batch_size, rows)
    return replace(
        config, metric=ACCURACY.name, epochs=attempt * max(EPOCHS, -(-STEPS * size // rows)), batch_size=size
    )


def _accuracies(fixed: HyperParams, config: TrainConfig, data: Dataset, rows: Split) -> Array:
    """The final validation accuracy of each learning rate, trained on ``rows``; a trial that diverged scores as a guess."""
    trials = [replace(fixed, learning_rate=rate, l2=0.0, batch_size=0) for rate in RATES]
    history = train(trials, replace(data, train=rows), config)
    return np.asarray(np.where(history.diverged, data.chance, history.curves[VAL_ACCURACY][:, -1]))
