"""A small study of two arms, and finished trials of it that were never trained."""

from pipeline.search.plan import planned_trial
from pipeline.study.hparams import TrainConfig
from pipeline.study.spec import Arm, Float, SearchSpace, Study
from pipeline.trials.trial import FinishedTrial, TrialResult

STUDY = Study(
    name="s",
    question="?",
    space=SearchSpace(learning_rate=Float(1e-3, 1, log=True, levels=5)),
    config=TrainConfig(epochs=3),
    arms=(Arm("random"), Arm("grid")),
    blocks=2,
    trials=2,
)

SCORES = ("best/epoch", "gap", "train/accuracy", "test/accuracy")


def finished(arm, block, number, **changes):
    """A finished trial whose best epoch is not its last."""
    result = {
        "curves": {"val/accuracy": [0.1, 0.3, 0.2]},
        "scores": {"best/val_accuracy": 0.3, **dict.fromkeys(SCORES, 0.5)},
        "diverged": False,
        "epochs": 3,
        "seconds": 1.0,
        "ended": 1.7e9,
        "n_val": 8,
        "n_test": 8,
        "val_correct": "",
        "test_correct": "",
    }
    plan = planned_trial(STUDY, Arm(arm), block, number, {"learning_rate": 0.1})
    return FinishedTrial(plan, TrialResult(**{**result, **changes}))
