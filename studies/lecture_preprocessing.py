"""What do centring, standardising, PCA and whitening do, and what may they look at? The lecture's experiments 2.1."""

from pipeline import Experiment

STUDY = Experiment(
    name="lecture_preprocessing",
    question="What do centring, standardising, PCA and whitening do, and what may they look at?",
    demonstration="preprocessing",
)
