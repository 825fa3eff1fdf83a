"""Tables of trials whose truth is known: closed-form scores instead of trained networks."""

import numpy as np
import pandas as pd
from scipy import stats

from pipeline.report.confirmation import Confirmation
from pipeline.report.trials_table import TrialsTable
from pipeline.study.spec import Arm, Categorical, Float, SearchSpace, Study

SPACE = SearchSpace(
    learning_rate=Float(1e-4, 10, log=True, levels=3),
    l2=Float(1e-6, 1e-1, log=True, levels=3),
    activation=Categorical("relu", "tanh"),
    batch_norm=Categorical(False, True),
)
RANDOM, SHIFTED, GRID = ARMS = (Arm("random"), Arm("shifted_grid"), Arm("grid"))
EMPTY = pd.DataFrame()


def unit(dimension, values):
    """Positions of values in the unit interval of a numeric hyperparameter."""
    low, high, x = dimension.low, dimension.high, np.asarray(values, float)
    return np.log(x / low) / np.log(high / low) if dimension.log else (x - low) / (high - low)


def bowl(frame, study, rng):
    """Accuracy that falls with the distance of the learning rate, and a little of l2, from a point off the grid."""
    far = (unit(study.space["learning_rate"], frame["learning_rate"]) - 0.63) ** 2
    far += 0.1 * (unit(study.space["l2"], frame["l2"]) - 0.3) ** 2
    return 0.97 - 1.2 * far - 0.01 * (frame["activation"] == "tanh").to_numpy() + 0.003 * rng.normal(size=len(frame))


def points_of(study, arm, rng):
    """The configurations of one arm in one block, in the order visited."""
    space, n = study.space, study.trials
    if arm.sampler in ("grid", "shifted_grid"):
        shifts = {name: rng.uniform() for name in space} if arm.sampler == "shifted_grid" else None
        grid = space.grid(shifts)
        mesh = np.array(np.meshgrid(*(np.arange(len(levels)) for levels in grid.values()))).reshape(len(grid), -1)
        chosen = rng.permutation(mesh.shape[1])[:n]
        return {name: [grid[name][j] for j in row[chosen]] for name, row in zip(grid, mesh, strict=True)}
    return {
        name: [d.at(u) for u in rng.uniform(size=n)]
        if isinstance(d, Float)
        else [d.choices[i] for i in rng.integers(len(d.choices), size=n)]
        for name, d in space.items()
    }


def make_frame(study, objective=bowl, seed=0, n_val=360, test_noise=0.0):
    """A frame of trials: configurations as the arms draw them, scored by ``objective(frame, study, rng)``.

    ``n_val`` examples round the accuracies, as a real split would; 0 leaves them as they are.
    """
    rows = []
    for arm in study.arms:
        for block in range(study.blocks):
            rng = np.random.default_rng([seed, block, len(rows)])
            frame = pd.DataFrame(points_of(study, arm, rng))
            value = np.clip(objective(frame, study, rng), 0.1, 1.0)
            test = np.clip(value + test_noise * rng.normal(size=len(frame)), 0.1, 1.0)
            rounded = [np.round(x * n_val) / n_val if n_val else x for x in (value, test)]
            rows.append(frame.assign(**measurements(study, arm, block, rounded, n_val)))
    return pd.concat(rows, ignore_index=True)


def measurements(study, arm, block, scores, n_val):
    """The columns that training fills."""
    value, test = scores
    n = len(value)
    number = np.arange(n)
    return {
        "study": study.name,
        "arm": arm.name,
        "block": block,
        "trial": number,
        "seed": 1000 * block + number,
        "best/val_accuracy": value,
        "best/epoch": 1 + number % 20,
        "gap": 0.01,
        "train/accuracy": np.minimum(value + 0.01, 1),
        "val/loss": 1 - value,
        "test/accuracy": test,
        "test/loss": 1 - test,
        "diverged": value <= 0.1,
        "epochs": 20,
        "seconds": 0.2 + 0.01 * (number * 7 % 20),
        "n_val": n_val,
        "n_test": n_val,
        "val_correct": "",
        "test_correct": "",
        "run_id": [f"{arm.name}-{block}-{i}" for i in number],
    }


def make_study(**options):
    """A small study with the lecture's three arms, whose choices are not trained again."""
    defaults = {"name": "toy", "question": "Is random search better than grid search?", "space": SPACE, "arms": ARMS}
    return Study(**{**defaults, "blocks": 10, "confirm": 0, **options})


def make_table(objective=bowl, seed=0, provenance=None, n_val=360, test_noise=0.0, repetitions=0, **options):
    """A table of a small study, with ``repetitions`` of the arms' choices."""
    study = make_study(**{"confirm": repetitions, **options})
    frame = make_frame(study, objective, seed, n_val, test_noise)
    return TrialsTable(frame, study, provenance or {}, trained_again(frame, repetitions, seed) if repetitions else None)


def trained_again(frame, repetitions, seed=0, n_val=360):
    """Repetitions of each arm's choice in each block: a little worse than the choice, which was lucky."""
    rng = np.random.default_rng(seed)
    best = frame.loc[frame.groupby(["arm", "block"], sort=False)["best/val_accuracy"].idxmax()]

    def drawn(column):
        return np.clip(np.round((best[column] - 0.006 + 0.004 * rng.normal(size=len(best))) * n_val) / n_val, 0.1, 1)

    return pd.concat(
        [
            best.assign(
                **{
                    "repetition": r,
                    "seed": 9000 + r,
                    "best/val_accuracy": drawn("best/val_accuracy"),
                    "test/accuracy": drawn("test/accuracy"),
                    "run_id": best["run_id"] + f"-r{r}",
                }
            )
            for r in range(1, repetitions + 1)
        ],
        ignore_index=True,
    )


WORTH, SPREAD, NOISE = 0.95, 0.01, 0.01
"""The mean accuracy over blocks, and the standard deviations over blocks and over a network's weights."""


def lucky_choice(rng, blocks, trials=108, repetitions=5):
    """A search among equal configurations: each score is the block's accuracy plus the luck of the weights."""
    worth = WORTH + SPREAD * rng.normal(size=blocks)
    validation = (worth[:, None] + NOISE * rng.normal(size=(blocks, trials))).max(axis=1)
    again = worth[:, None] + NOISE * rng.normal(size=(2, blocks, repetitions))
    test = worth + NOISE * rng.normal(size=blocks)
    val_again, test_again = again.mean(axis=2)
    choices = {"block": range(blocks), "val_accuracy": validation, "val_again": val_again}
    choices |= {"test_accuracy": test, "test_again": test_again}
    sd = np.sqrt(again[1].var(axis=1, ddof=1).mean())
    return Confirmation(RANDOM, repetitions, pd.DataFrame(choices), float(sd))


def luck_of_the_best(trials=108):
    """The mean of the largest of ``trials`` normal numbers, as a difference of accuracy."""
    x = np.linspace(-8, 8, 200_001)
    return NOISE * float(np.trapezoid(x * trials * stats.norm.pdf(x) * stats.norm.cdf(x) ** (trials - 1), x))
