"""Do the lecture's first steps on images give the results that it states? The lecture's experiments 5.1 to 5.7."""

from pipeline import Experiment

STUDY = Experiment(
    name="lecture_babysitting",
    question="Do the lecture's first steps with a network on images give the results that it states?",
    demonstration="babysitting",
)
