"""What can a hidden layer tell apart that a linear classifier cannot? The lecture's experiments 9."""

from pipeline import Experiment

STUDY = Experiment(
    name="lecture_spiral",
    question="What can a hidden layer tell apart that a linear classifier cannot?",
    demonstration="spiral",
    settings={"linear_epochs": 200, "hidden_epochs": 10000},  # full batches, as in the notes
)
