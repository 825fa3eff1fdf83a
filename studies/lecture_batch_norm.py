"""What does batch normalisation free a network from? The lecture's experiments 4.1 to 4.6."""

from pipeline import Experiment

STUDY = Experiment(
    name="lecture_batch_norm",
    question="What does batch normalisation free a network from?",
    demonstration="batch_norm",
)
