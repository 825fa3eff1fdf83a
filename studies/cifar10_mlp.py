"""A fully connected network on CIFAR-10: more units, batch norm and dropout aim at an accuracy above 0.55."""

from pipeline import Arm, Categorical, Float, HyperParams, SearchSpace, Study, TrainConfig

STUDY = Study(
    name="cifar10_mlp",
    question="Does random search find a better fully connected network than grid search on CIFAR-10?",
    dataset="cifar10",
    space=SearchSpace(
        learning_rate=Float(1e-3, 0.1, log=True, levels=3),
        l2=Float(1e-5, 1e-2, log=True, levels=2),
        dropout=Float(0.1, 0.5, levels=2),  # on a linear scale, as in the lecture
        hidden=Categorical("256x128", "512x256x128"),
    ),
    # The course's fully connected networks pass 0.55 with batch norm, He's initialisation and a falling rate.
    fixed=HyperParams(momentum=0.9, batch_norm=True, schedule="cosine"),
    config=TrainConfig(epochs=15, batch_size=128, validation=0.1),
    arms=(Arm("random"), Arm("shifted_grid")),
    blocks=3,
    delta=0.005,
)
