"""The lecture's search from coarse to fine on CIFAR-10: 50 hidden units, 100 short trials, then 100 longer ones."""

from pipeline import Arm, Float, HyperParams, SearchSpace, Stage, Study, TrainConfig

STUDY = Study(
    name="cifar10_coarse",
    question="Where do good learning rates and regularisation lie for the lecture's network on CIFAR-10?",
    dataset="cifar10",
    space=SearchSpace(
        # The lecture's ranges, for pixels from 0 to 255 less their mean image and weights of standard deviation 1e-4.
        # Its best accuracy, 0.53, was at a rate of 9.5e-4 in a fine range that ended at 1e-3, and it advises to look
        # beyond. So this coarse range goes to 1e-2, where the network diverges. There is no momentum: with 0.9, the
        # good rates are near 1e-4, and rates above 1e-3 diverge.
        learning_rate=Float(1e-6, 1e-2, log=True, levels=10),
        l2=Float(1e-5, 1e5, log=True, levels=10),
    ),
    fixed=HyperParams(hidden=(50,), init=1e-4, schedule="step", step_factor=0.9, step_epochs=1),
    # 49,000 training and 1,000 validation images, as in the lecture. Of the best accuracy of 100 trials on 1,000 images,
    # 0.02 to 0.03 is luck; the test split shows the real gain.
    config=TrainConfig(batch_size=100, preprocessing="mean_image", validation=0.02),
    arms=(Arm("random"),),
    stages=(Stage(epochs=5, trials=100), Stage(epochs=15, trials=100)),
    blocks=1,
)
