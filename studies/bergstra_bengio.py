"""Bergstra and Bengio (2012): is random search better than grid search on data sets like theirs? A suite.

It takes at most 15 minutes on two cores, ``--quick`` two minutes, and ``--full`` hours; see ``docs/bergstra-bengio.md``.
"""

from dataclasses import replace
from pathlib import Path

from pipeline import Arm, Categorical, Float, Int, SearchSpace, Study, Suite, TrainConfig

DRAWN = ("rectangles", "rectangles_images", "convex")
DIGITS = ("digits28", "digits28_rotated", "digits28_random", "digits28_images", "digits28_rotated_images")
# Larochelle's own files, if they are in this folder: mnist_train.amat and so on, each with its ..._test.amat.
FILES = sorted(str(path) for path in Path("larochelle").glob("*_train*.amat"))

# The paper's space for networks of one layer, with preprocessing (its figure 6). The grid has 96 points: of the choices with
# one level it takes the first, and of such ranges the middle.
SPACE = SearchSpace(
    learning_rate=Float(1e-3, 10, log=True, levels=4),
    hidden=Int(18, 1024, log=True, levels=3),
    activation=Categorical("sigmoid", "tanh"),
    init_distribution=Categorical("uniform", "normal"),
    init=Categorical("xavier", "glorot", levels=1),
    # The paper multiplies 1 / sqrt(inputs) by this; here Glorot's rule is multiplied too.
    init_scale=Float(0.2, 2, levels=1),
    # The paper has no penalty in half of its trials. Here half of the range is so small that it is none.
    l2=Float(3.1e-9, 3.1e-5, log=True, levels=1),
    batch_size=Categorical(20, 100),
    t0=Float(300, 30_000, log=True, levels=1),
    preprocessing=Categorical("standardise", "min_max", "whiten", levels=1),
)


def studies(prefix: str, rows: int, epochs: int, blocks: int, trials: int = 96) -> tuple[Study, ...]:
    """Return a study for each data set; of the drawn images it takes ``rows``."""
    names = {name: f"{name}-{rows}" for name in DRAWN} | {name: name for name in DIGITS}
    names |= {Path(file).stem: file for file in FILES}
    return tuple(
        Study(
            name=f"{prefix}_{name}",
            question=f"Is random search better than grid search on {name}?",
            dataset=dataset,
            space=SPACE,
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
FULL = replace(SUITE, name="bb_full", studies=studies("bb_full", rows=7500, epochs=50, blocks=10))
