"""Why do nine random trials see more than a grid of nine? The lecture's experiments 6.4 and 6.5."""

from pipeline import Experiment

STUDY = Experiment(
    name="lecture_random_against_grid",
    question="Why do nine random trials see more than a grid of nine?",
    demonstration="random_against_grid",
    settings={"repeats": 20000, "blocks": 10},  # of the simulation, and of nine real trials of each arm
)
