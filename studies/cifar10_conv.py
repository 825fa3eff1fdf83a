"""A small convolutional network on CIFAR-10: the course asks for an accuracy of 0.65 to 0.70 within 10 epochs."""

from pipeline import Arm, Categorical, Float, HyperParams, SearchSpace, Study, TrainConfig

STUDY = Study(
    name="cifar10_conv",
    question="Does random search find a better small convolutional network than grid search on CIFAR-10?",
    dataset="cifar10",
    space=SearchSpace(
        # With batch norm and momentum, the useful rates span less than two decades, one less than for a dense network.
        learning_rate=Float(1e-2, 0.5, log=True, levels=2),
        l2=Float(1e-5, 1e-3, log=True, levels=2),
        # 3x3 filters; pooling halves the maps after each layer: two layers end with 8x8 maps, three with 4x4 maps.
        conv=Categorical("16px32p", "16px32px64p"),
    ),
    # Pooled maps are not centred, so that weights by He's rule give a first loss well above ln 10. Batch norm removes
    # the scale of the weights in the convolutions, so all weights can be as small as the output layer needs them.
    fixed=HyperParams(momentum=0.9, batch_norm=True, init=0.05, hidden=(), schedule="cosine", conv=("16p", "32p")),
    # Pixels are standardised, as in the other studies of CIFAR-10. An epoch of a trial takes about a minute on one
    # processor. For a final model, not for a comparison, add augmentation="flip_crop" and more epochs.
    config=TrainConfig(epochs=10, batch_size=128, validation=0.1),
    arms=(Arm("random"), Arm("grid")),
    blocks=1,
    delta=0.01,
)
