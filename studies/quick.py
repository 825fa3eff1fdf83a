"""Is random search better than grid search? The question of the default study, in a smaller space and half a minute."""

from pipeline import Arm, Float, SearchSpace, Study, TrainConfig

STUDY = Study(
    name="quick",
    question="Is random search better than grid search in a small space?",
    dataset="digits",
    space=SearchSpace(learning_rate=Float(1e-4, 10, log=True, levels=4), l2=Float(1e-6, 1e-1, log=True, levels=4)),
    config=TrainConfig(epochs=10, batch_size=64),
    arms=(Arm("random"), Arm("grid")),
    blocks=6,
    delta=0.005,
)
