"""Is every kind of loss curve diagnosed correctly? The lecture's experiments 7.1 to 7.5."""

from pipeline import Experiment

STUDY = Experiment(
    name="lecture_curves",
    question="Is every kind of loss curve diagnosed correctly?",
    demonstration="curves",
    settings={"seeds": 3},  # of every curve
)
