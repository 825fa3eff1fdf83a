"""From coarse to fine on CIFAR-10, as the lecture has it: 50 hidden units, 100 short trials, then 100 longer ones around the best."""

from pipeline import Arm, Float, HyperParams, SearchSpace, Stage, Study, TrainConfig

STUDY = Study(
    name="cifar10_coarse",
    question="Where do good learning rates and regularisation lie for the lecture's network on CIFAR-10?",
    dataset="cifar10",
    space=SearchSpace(
        # The lecture's ranges, which are for pixels from 0 to 255 less their mean image and weights that start at 1e-4.
        # It found its best, 0.53, at a rate of 9.5e-4 in a fine range that ended at 1e-3, and says to look beyond:
        # so the coarse range goes to 1e-2, where its network explodes. Its steps are plain ones: with a momentum of 0.9
        # the good rates lie at 1e-4, and those above 1e-3 diverge.
        learning_rate=Float(1e-6, 1e-2, log=True, levels=10),
        l2=Float(1e-5, 1e5, log=True, levels=10),
    ),
    fixed=HyperParams(hidden=(50,), init=1e-4, schedule="step", step_factor=0.9, step_epochs=1),
    # 49,000 images to learn from and 1,000 to choose by, as in the lecture. The best of a hundred on so few rows is partly
    # luck, 0.02 or 0.03 of it: the test split says what was gained.
    config=TrainConfig(batch_size=100, preprocessing="mean_image", validation=0.02),
    arms=(Arm("random"),),
    stages=(Stage(epochs=5, trials=100), Stage(epochs=15, trials=100)),
    blocks=1,
)
