"""Which initial weights let a signal through ten layers? The lecture's experiments 3.0 to 3.5."""

from pipeline import Experiment

STUDY = Experiment(
    name="lecture_initialisation",
    question="Which initial weights let a signal through ten layers?",
    demonstration="initialisation",
    settings={"seeds": 40},  # stacks of ten layers of 500 units, in lockstep
)
