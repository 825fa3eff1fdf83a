"""Does every kind of loss curve get its right word? The lecture's experiments 7.1 to 7.5."""

from pipeline import Experiment

STUDY = Experiment(
    name="lecture_curves",
    question="Does every kind of loss curve get its right word?",
    demonstration="curves",
    settings={"seeds": 3},  # of every curve
)
