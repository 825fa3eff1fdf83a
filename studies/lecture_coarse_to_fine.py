"""Does a wide, short search say where a finer one should look? The lecture's experiments 6.1 to 6.3."""

from pipeline import Experiment

STUDY = Experiment(
    name="lecture_coarse_to_fine",
    question="Does a wide, short search say where a finer one should look?",
    demonstration="coarse_to_fine",
    settings={"trials": 100},  # in each stage, as in the lecture
)
