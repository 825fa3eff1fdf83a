"""How many convolutions take CIFAR-10 from the lecture's 0.53 to the 0.65-0.70 that the course asks for? Within 10 epochs."""

from pipeline import Arm, Categorical, Float, HyperParams, SearchSpace, Study, TrainConfig

STUDY = Study(
    name="cifar10_conv",
    question="Does random search find a better small convolutional network than grid search on CIFAR-10?",
    dataset="cifar10",
    space=SearchSpace(
        # With batch norm and momentum useful rates span less than two decades, and one less than for a dense network.
        learning_rate=Float(1e-2, 0.5, log=True, levels=2),
        l2=Float(1e-5, 1e-3, log=True, levels=2),
        # Filters of 3x3, each layer halved by pooling: two layers see 8 x 8 maps at the end, three 4 x 4 ones.
        conv=Categorical("16px32p", "16px32px64p"),
    ),
    # After pooling, maps are far from centred, and weights by He's rule start with a loss well above ln 10; batch norm
    # makes their scale in the convolutions a matter of taste, so that they may all be as small as the logits want them.
    fixed=HyperParams(momentum=0.9, batch_norm=True, init=0.05, hidden=(), schedule="cosine", conv=("16p", "32p")),
    # Pixels are standardised, as in the other studies of CIFAR-10.
    # An epoch of a trial takes about a minute on one processor. For a final model, not for a comparison, add
    # augmentation="flip_crop" here, and more epochs.
    config=TrainConfig(epochs=10, batch_size=128, validation=0.1),
    arms=(Arm("random"), Arm("grid")),
    blocks=1,
    delta=0.01,
)
