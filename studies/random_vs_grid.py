"""Is random search better than grid search? Bergstra and Bengio's question (2012), asked of a small network on digits."""

from pipeline import Arm, Categorical, Float, SearchSpace, Study, TrainConfig

STUDY = Study(
    name="random_vs_grid",
    question="Is random search better than grid search?",
    dataset="digits",
    space=SearchSpace(
        learning_rate=Float(1e-4, 10, log=True, levels=3),  # five decades: from hardly any progress to divergence
        l2=Float(1e-6, 1e-1, log=True, levels=3),
        activation=Categorical("relu", "tanh"),
        init=Categorical("small", "xavier", "he"),
        batch_norm=Categorical(False, True),
    ),
    config=TrainConfig(epochs=20, batch_size=64),
    # Random search is compared with the textbook's grid, which is the question, and with a grid that is shifted in every
    # block, which tells whether the answer is about grids or about where the levels of that one lie.
    arms=(Arm("random"), Arm("grid"), Arm("shifted_grid")),
    blocks=10,
    max_blocks=30,
    delta=0.005,
)
