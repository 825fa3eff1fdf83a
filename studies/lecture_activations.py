"""Which activation functions saturate, die, or learn fast? The lecture's experiments 1.1 to 1.5."""

from pipeline import Experiment

STUDY = Experiment(
    name="lecture_activations",
    question="Which activation functions saturate, die, or learn fast?",
    demonstration="activations",
)
