"""A quick study of CIFAR-10, about a minute: 5,000 of the training images and all test images."""

from pipeline import Arm, Float, HyperParams, SearchSpace, Study, TrainConfig

STUDY = Study(
    name="cifar10_subset",
    question="Is random search better than grid search on a tenth of CIFAR-10?",
    dataset="cifar10-5000",
    space=SearchSpace(
        learning_rate=Float(1e-4, 1, log=True, levels=5),  # the ranges of cifar10.py, which gives the reasons
        l2=Float(1e-5, 1, log=True, levels=3),
    ),
    fixed=HyperParams(momentum=0.9, hidden=(50,)),
    config=TrainConfig(epochs=5, batch_size=100, validation=0.2),
    arms=(Arm("random"), Arm("grid")),
    blocks=3,
    delta=0.01,
)
