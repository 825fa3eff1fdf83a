"""Bergstra and Bengio (2012): is random search better than grid search on data sets like theirs? A suite.

It takes at most 15 minutes on two cores, ``--quick`` two minutes, and ``--full``, which is closer to the paper, a night; see
``docs/bergstra-bengio.md``.
"""

from dataclasses import replace
from pathlib import Path

from pipeline import Arm, Categorical, Float, HyperParams, Int, SearchSpace, Study, Suite, TrainConfig

DRAWN = ("rectangles", "rectangles_images", "convex")
DIGITS = ("digits28", "digits28_rotated", "digits28_random", "digits28_images", "digits28_rotated_images")
# Larochelle's own files, if they are in this folder: mnist_train.amat and so on, each with its ..._test.amat.
FILES = sorted(str(path) for path in Path("larochelle").glob("*_train*.amat"))

# A space like the paper's for networks of one layer, without a choice of preprocessing (its figure 5). The grid has 96 points.
SPACE = SearchSpace(
    learning_rate=Float(1e-3, 10, log=True, levels=4),
    hidden=Int(18, 1024, log=True, levels=3),
    activation=Categorical("sigmoid", "tanh"),
    init_distribution=Categorical("uniform", "normal"),
    # The paper multiplies 1 / sqrt(inputs) by this, or takes Glorot's rule.
    init_scale=Float(0.2, 2, levels=1),
    # The paper has no penalty in half of its trials. Here half of the range is so small that it is none.
    l2=Float(3.1e-9, 3.1e-5, log=True, levels=1),
    batch_size=Categorical(20, 100),
    # The rate falls as 1 / (1 + decay_rate * epoch): in 8 epochs, the paper's t0 of up to 30,000 steps would change little.
    decay_rate=Float(0.01, 1, log=True, levels=1),
)
# The paper's space with its annealing, Glorot's rule and a choice of preprocessing (its figure 6). The grid has the same levels:
# of choices of one level it has the first. Glorot's rule is multiplied by init_scale too, unlike in the paper.
FULL_SPACE = SearchSpace(
    **{name: dimension for name, dimension in SPACE.items() if name != "decay_rate"},
    t0=Float(300, 30_000, log=True, levels=1),
    init=Categorical("xavier", "glorot", levels=1),
    preprocessing=Categorical("standardise", "min_max", "whiten", levels=1),
)


def studies(
    prefix: str, rows: int, epochs: int, blocks: int, trials: int = 96, space: SearchSpace = SPACE
) -> tuple[Study, ...]:
    """Return a study for each data set; of the drawn images it takes ``rows``."""
    schedule = "inverse_time" if "decay_rate" in space else "constant"
    names = {name: f"{name}-{rows}" for name in DRAWN} | {name: name for name in DIGITS}
    names |= {Path(file).stem: file for file in FILES}
    return tuple(
        Study(
            name=f"{prefix}_{name}",
            question=f"Is random search better than grid search on {name}?",
            dataset=dataset,
            space=space,
            fixed=HyperParams(init="xavier", schedule=schedule),
            config=TrainConfig(epochs=epochs, test=0.3),
            arms=(Arm("random"), Arm("grid")),
            trials=trials,
            blocks=blocks,
        )
        for name, dataset in names.items()
    )


SUITE = Suite(
    name="bergstra_bengio",
    question="Is random search better than grid search, over data sets?",
    studies=studies("bb", rows=2500, epochs=8, blocks=3),
)
QUICK = replace(SUITE, name="bb_quick", studies=studies("bb_quick", rows=600, epochs=2, blocks=2, trials=8))
FULL = replace(SUITE, name="bb_full", studies=studies("bb_full", rows=7500, epochs=50, blocks=10, space=FULL_SPACE))
